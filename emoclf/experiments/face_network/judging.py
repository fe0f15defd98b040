"""How good a face network is: every figure of its card, with n and interval."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet
from emoclf.evaluation import Estimate, Evaluation, wilson_interval
from emoclf.evaluation.bootstrap import BOOTSTRAP_RESAMPLES
from emoclf.evaluation.calibration import accuracy_at_coverage, expected_calibration_error
from emoclf.photos import Photos

SADNESS, HAPPINESS = EMOTIONS.index("sadness"), EMOTIONS.index("happiness")


def is_happy_or_sad(faces: FaceSet) -> np.ndarray:
    """Find the faces whose label is one of the two classes: bool `(faces,)`."""
    return np.isin(faces.labels, (SADNESS, HAPPINESS))


def raters_agree(faces: FaceSet) -> np.ndarray:
    """Find the faces that most raters call happy or sad, whatever the label says.

    Args:
        faces: With votes.

    Returns:
        bool `(faces,)`: more than half of the ten votes are for happiness, or more than half for
        sadness.
    """
    return faces.votes[:, [SADNESS, HAPPINESS]].max(axis=1) * 2 > faces.votes.sum(axis=1)


def raters_confirm_label(faces: FaceSet) -> np.ndarray:
    """Find the happy and sad faces for which most raters say the same as the label.

    Args:
        faces: With votes.

    Returns:
        bool `(faces,)`: more than half of the ten votes are for the label, happiness or sadness.
    """
    own = faces.votes[np.arange(len(faces)), faces.labels]
    return is_happy_or_sad(faces) & (own * 2 > faces.votes.sum(axis=1))


def judge(
    probabilities: np.ndarray, neither: np.ndarray, faces: FaceSet, *, certain: np.ndarray
) -> dict[str, Any]:
    """Measure a network on validation faces.

    Args:
        probabilities: float `(faces, 2)`: Sad and Happy, calibrated.
        neither: float `(faces,)`: probability of the other emotions.
        faces: The same faces, of all emotions, with votes.
        certain: bool `(faces,)`: where the network answers Sad or Happy, not "uncertain".

    Returns:
        Figures by name; shares are dictionaries with `value`, `low`, `high` (95 %) and `count`.
    """
    chosen = is_happy_or_sad(faces)
    happy = (faces.labels[chosen] == HAPPINESS).astype(np.int64)
    photos = Photos.make(np.flatnonzero(chosen), happy)
    evaluation = Evaluation(photos, probabilities[chosen])
    shown, right = evaluation.probabilities, evaluation.is_right
    clear, confirmed = raters_agree(faces)[chosen], raters_confirm_label(faces)[chosen]
    confident = probabilities.max(axis=1) > 0.9
    figures = {
        "accuracy": _share(right),
        "area_under_roc": asdict(measure_area(happy, shown[:, 1])),
        "accuracy_where_raters_agree": _share(right[clear]),
        "accuracy_where_raters_confirm_label": _share(right[confirmed]),
        "accuracy_where_raters_do_not_agree": _share(right[~clear]),
        "calibration_error": expected_calibration_error(evaluation),
        "accuracy_at_90_percent_coverage": asdict(accuracy_at_coverage(evaluation)),
        "accuracy_when_certain": _share(right[certain[chosen]]),
        "certain_of_happy_or_sad": _share(certain[chosen]),
        "certain_of_other_emotions": _share(certain[~chosen]),
        "above_0.9_of_happy_or_sad": _share(confident[chosen]),
        "above_0.9_of_other_emotions": _share(confident[~chosen]),
        "area_under_roc_of_neither": float(
            measure_area((~chosen).astype(np.int64), neither, resamples=0).value
        ),
    }
    for label, name in enumerate(CLASS_NAMES):
        figures[f"recall_of_{name}"] = _share(right[happy == label])
    return figures


def _share(hits: np.ndarray) -> dict[str, Any]:
    return asdict(wilson_interval(int(hits.sum()), len(hits)))


def measure_area(
    labels: np.ndarray, scores: np.ndarray, *, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> Estimate:
    """Measure the area under the ROC curve, with a stratified bootstrap interval of 95 %.

    Args:
        labels: int `(faces,)`, 0 or 1; both occur.
        scores: float `(faces,)`, larger for label 1.
        resamples: Number of resamples; 0 for none, which makes the interval a point.
        seed: Their seed.

    Returns:
        The area and its interval.
    """
    from sklearn.metrics import roc_auc_score

    area = float(roc_auc_score(labels, scores))
    if resamples == 0:
        return Estimate(area, area, area, len(labels))
    random = np.random.default_rng(seed)
    groups = [scores[labels == label] for label in (0, 1)]
    areas = []
    for _ in range(resamples):
        low, high = (np.sort(random.choice(group, len(group))) for group in groups)
        below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
        areas.append(below.sum() / (2 * len(low) * len(high)))
    ends = np.quantile(areas, (0.025, 0.975))
    return Estimate(area, float(ends[0]), float(ends[1]), len(labels))
