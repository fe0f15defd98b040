"""Areas, F1 and calibration error: for many weightings of the photos at once, and with intervals.

Every `measure_` function takes weights, float64 `(resamples, photos)`, 0 or more, and returns one
figure per resample, float64 `(resamples,)`. With weights of one they are scikit-learn's figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emoclf.config import SEED
from emoclf.evaluation.bootstrap import (
    BOOTSTRAP_RESAMPLES,
    CELLS,
    find_error_interval,
    find_interval,
    resample_figures,
)
from emoclf.evaluation.estimates import Estimate
from emoclf.photos import Photos

CALIBRATION_BINS = 15
"""Bins of equal width, between 0 and 1, into which predictions are sorted by their confidence."""


@dataclass(frozen=True)
class Figures:
    """Figures with intervals, each between 0 and 1.

    Attributes:
        roc_auc: Area under the ROC curve of the last class (Happy); None when the photos hold one
            class only.
        average_precision: Area under its precision-recall curve; None likewise.
        f1: Harmonic mean of precision and recall of every class, in label order; the value is nan
            for a class that is neither there nor predicted.
        calibration_error: How far confidence and accuracy lie apart.
        error_by_chance: The calibration error that a calibrated network would show on these photos,
            on average, by chance alone.
    """

    roc_auc: Estimate | None
    average_precision: Estimate | None
    f1: tuple[Estimate, ...]
    calibration_error: Estimate
    error_by_chance: float


def estimate_figures(
    photos: Photos,
    probabilities: np.ndarray,
    *,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = SEED,
) -> Figures:
    """Measure areas, F1 and calibration error, each with its interval.

    Args:
        photos: At least one.
        probabilities: float64 `(photos, classes)`, rows sum to 1.
        resamples: Number of resamples of the bootstrap.
        seed: Their seed.

    Returns:
        The figures.
    """
    found, _, by_chance = estimate_all(photos, probabilities, resamples=resamples, seed=seed)
    nothing = Estimate(float("nan"), 0.0, 1.0, len(photos))
    return Figures(
        roc_auc=found.get("roc_auc"),
        average_precision=found.get("average_precision"),
        f1=tuple(found.get(f"f1_{label}", nothing) for label in range(probabilities.shape[1])),
        calibration_error=found["calibration_error"],
        error_by_chance=by_chance,
    )


def estimate_all(
    photos: Photos, probabilities: np.ndarray, *, resamples: int, seed: int
) -> tuple[dict[str, Estimate], dict[str, np.ndarray], float]:
    """Measure every figure of this module on the photos, and on many resamples of them.

    Args:
        photos: At least one.
        probabilities: float64 `(photos, classes)`, rows sum to 1.
        resamples: Number of resamples.
        seed: Their seed; the same seed gives the same resamples.

    Returns:
        Name to figure with its interval, name to resampled figures, float64 `(resamples,)`, and
        the calibration error that a calibrated network shows on average. A figure that the photos
        cannot give is left out.
    """
    measured = _measure_all(photos.labels, probabilities, np.ones((1, len(photos))))

    def measure(weights: np.ndarray) -> np.ndarray:
        return np.column_stack(list(_measure_all(photos.labels, probabilities, weights).values()))

    rows = resample_figures(measure, photos, resamples=resamples, seed=seed)
    resampled = dict(zip(measured, rows.T, strict=True))
    by_chance = resample_calibrated_errors(
        probabilities.max(axis=1), photos.groups, resamples=resamples, seed=seed
    )
    last, found = probabilities.shape[1] - 1, {}
    for name, (value,) in measured.items():
        own = resampled[name]
        if name == "calibration_error":
            limit = float(np.quantile(by_chance, 0.975))
            found[name] = find_error_interval(float(value), own, limit, photos)
        else:
            leans_on = last if name == "average_precision" else None
            found[name] = find_interval(float(value), own, photos, leans_on=leans_on)
    return found, resampled, float(by_chance.mean())


def resample_calibrated_errors(
    confidence: np.ndarray,
    groups: np.ndarray,
    *,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = SEED,
) -> np.ndarray:
    """Draw the errors that a calibrated network shows by chance (Broecker and Smith, 2007).

    Args:
        confidence: float `(photos,)`, probability of the prediction: of a calibrated network, so
            many of the predictions are right.
        groups: int64 `(photos,)`, equal for duplicates, which are right or wrong together.
        resamples: How often.
        seed: Seed of the luck.

    Returns:
        float64 `(resamples,)`.
    """
    generator = np.random.default_rng(seed)
    number = np.unique(groups, return_inverse=True)[1]
    ones, portion = np.ones((1, len(confidence))), max(1, CELLS // len(confidence))
    errors = []
    for start in range(0, resamples, portion):
        luck = generator.random((min(portion, resamples - start), number.max() + 1))[:, number]
        errors.append(measure_calibration_error(confidence, luck < confidence, ones))
    return np.concatenate(errors)


def _measure_all(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    last, predicted = probabilities.shape[1] - 1, probabilities.argmax(axis=1)
    is_last, score = labels == last, probabilities[:, last]
    found: dict[str, np.ndarray] = {}
    if 0 < is_last.sum() < len(labels):
        found["roc_auc"] = measure_roc_auc(is_last, score, weights)
        found["average_precision"] = measure_average_precision(is_last, score, weights)
    for label in range(last + 1):
        is_class = labels == label
        if is_class.any():
            found[f"f1_{label}"] = measure_f1(is_class, predicted == label, weights)
    found["calibration_error"] = measure_calibration_error(
        probabilities.max(axis=1), predicted == labels, weights
    )
    return found


def measure_roc_auc(is_last: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Measure the area under the ROC curve; photos with the same score share their ranks.

    Args:
        is_last: bool `(photos,)`, which photos are of the last class (Happy); both occur.
        scores: float `(photos,)`, its probability.
        weights: float64 `(resamples, photos)`.

    Returns:
        float64 `(resamples,)`, 0 to 1.
    """
    positive, negative = _sum_by_score(is_last, scores, weights)
    below = negative.cumsum(axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return (positive * below).sum(axis=1) / pairs


def measure_average_precision(
    is_last: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Measure the area under the precision-recall curve, in steps as scikit-learn does.

    Args:
        is_last: bool `(photos,)`, which photos are of the last class (Happy); both occur.
        scores: float `(photos,)`, its probability.
        weights: float64 `(resamples, photos)`.

    Returns:
        float64 `(resamples,)`, 0 to 1.
    """
    positive, negative = _sum_by_score(is_last, -scores, weights)
    found = positive.cumsum(axis=1)
    precision = _divide(found, found + negative.cumsum(axis=1))
    return (positive * precision).sum(axis=1) / found[:, -1]


def measure_f1(is_class: np.ndarray, called_class: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Measure the harmonic mean of precision and recall of one class.

    Args:
        is_class: bool `(photos,)`, which photos are of the class.
        called_class: bool `(photos,)`, which are predicted so.
        weights: float64 `(resamples, photos)`.

    Returns:
        float64 `(resamples,)`, 0 to 1.
    """
    right, either = is_class & called_class, is_class.astype(float) + called_class
    return 2 * (weights @ right.astype(float)) / (weights @ either)


def measure_calibration_error(
    confidence: np.ndarray,
    is_right: np.ndarray,
    weights: np.ndarray,
    *,
    bins: int = CALIBRATION_BINS,
) -> np.ndarray:
    """Measure how far confidence and accuracy lie apart, bin by bin (Naeini et al., 2015).

    Args:
        confidence: float `(photos,)`, probability of the prediction, 0 to 1.
        is_right: bool `(photos,)`, or `(resamples, photos)` for another truth in every resample.
        weights: float64 `(resamples, photos)`, or `(1, photos)`.
        bins: Number of bins of equal width between 0 and 1.

    Returns:
        float64 `(resamples,)`, 0 (calibrated) to 1.
    """
    members = np.eye(bins)[number_bins(confidence, bins)]
    gaps = (weights * (np.asarray(is_right, dtype=float) - confidence)) @ members
    return np.abs(gaps).sum(axis=1) / weights.sum(axis=1)


def number_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of every prediction, int64 `(photos,)`, 0 to `bins - 1`."""
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def measure_risk_area(
    confidence: np.ndarray, is_right: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Measure the area under the risk-coverage curve (Geifman and El-Yaniv, 2017).

    It is the mean error rate of the most confident predictions, over all fractions of the photos
    that could be predicted. Predictions of the same confidence are made together.

    Args:
        confidence: float `(photos,)`, probability of the prediction.
        is_right: bool `(photos,)`.
        weights: float64 `(resamples, photos)`.

    Returns:
        float64 `(resamples,)`, 0 to 1; smaller is better.
    """
    wrong, right = _sum_by_score(~is_right, -confidence, weights)
    covered = (wrong + right).cumsum(axis=1)
    risk = _divide(wrong.cumsum(axis=1), covered)
    return ((wrong + right) * risk).sum(axis=1) / covered[:, -1]


def _sum_by_score(
    is_last: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the weights of both classes at every distinct score, rising: `(resamples, scores)`."""
    order = np.argsort(scores, kind="stable")
    ordered, belongs = scores[order], is_last[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sorted_weights = np.take(weights, order, axis=1)
    positive = sorted_weights * belongs
    negative = sorted_weights - positive
    if len(first) < len(order):
        positive = np.add.reduceat(positive, first, axis=1)
        negative = np.add.reduceat(negative, first, axis=1)
    return positive, negative


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide, 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
