"""From which probability on an answer is Happy: chosen on validation photos, then tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emoclf.evaluation import (
    ClassScores,
    Estimate,
    Evaluation,
    average_estimates,
    score_classes,
    share_right,
)
from emoclf.evaluation.calibration.origin import check_is_validation


@dataclass(frozen=True)
class ThresholdScores:
    """How a threshold does on some photos.

    Attributes:
        threshold: From this probability on an answer is the last class (Happy).
        split: The split of the photos; None for photos of no split.
        accuracy: Share of right answers.
        balanced_accuracy: Mean recall of the classes.
        per_class: Precision, recall and F1 of both classes.
    """

    threshold: float
    split: str | None
    accuracy: Estimate
    balanced_accuracy: Estimate
    per_class: tuple[ClassScores, ...]

    def describe(self) -> str:
        """Return the scores as a readable text."""
        last = self.per_class[-1]
        photos = f"{self.split} photos" if self.split else "photos"
        return "\n".join(
            [
                f"{last.class_name} from {self.threshold:.3f} on, {photos}:",
                f"accuracy            {self.accuracy}",
                f"balanced accuracy   {self.balanced_accuracy}",
                f"recall of {last.class_name:10}{last.recall}",
                f"precision of {last.class_name:7}{last.precision}",
            ]
        )


@dataclass(frozen=True)
class Threshold:
    """A threshold, and where it comes from.

    Attributes:
        value: From this probability on an answer is the last class (Happy), 0 to 1.
        criterion: What it was chosen for, in words.
        split: The split that it was chosen on.
        on_validation: How it does there: too good, because it was chosen there.
    """

    value: float
    criterion: str
    split: str
    on_validation: ThresholdScores

    def describe(self) -> str:
        """Return the threshold in words, with its scores on the photos it was chosen on."""
        count = self.on_validation.accuracy.count
        return (
            f"Chosen on {count:,} {self.split} photos for {self.criterion}. The figures there are "
            f"too good, because it was chosen there.\n{self.on_validation.describe()}"
        )


def choose_threshold(
    validation: Evaluation, *, recall: float | None = None, precision: float | None = None
) -> Threshold:
    """Choose from which probability on an answer is Happy, on validation photos.

    Without a wish it is the threshold of the best balanced accuracy. Thresholds lie half way
    between the probabilities of two photos; of equally good ones the nearest to one half is taken.

    Args:
        validation: Numbers of the validation photos, with `split="validation"`.
        recall: Share of the Happy photos that should be found, above 0, up to 1: the largest
            threshold that does.
        precision: Share of the photos called Happy that should be so, above 0, up to 1: the
            threshold that finds most of them.

    Returns:
        The threshold, for `apply_threshold`.

    Raises:
        ValueError: If the numbers are not those of validation photos of two classes, both wishes
            are given, or no threshold reaches the precision.
    """
    check_is_validation(validation, "threshold")
    _check_wishes(validation, recall, precision)
    name, values = validation.class_names[-1], _find_candidates(validation.probabilities[:, -1])
    found, right, sad = _count_calls(validation, values)
    if recall is not None:
        criterion = f"a recall of {name} of {recall:g} or more"
        value = float(values[found >= recall].max())
    elif precision is not None:
        criterion = f"a precision of {name} of {precision:g} or more"
        good = right >= precision
        if not good.any():
            raise ValueError(
                f"No threshold reaches precision={precision:g} on these {len(validation.labels)} "
                f"photos; the best is {np.nanmax(right):.3f}. Ask for less."
            )
        best = good & (found == found[good].max())
        value = _find_nearest_to_half(values[best])
    else:
        criterion, balanced = "the best balanced accuracy", (found + sad) / 2
        best = balanced >= balanced.max() - 1e-12
        value = _find_nearest_to_half(values[best])
    return Threshold(value, criterion, "validation", _score(validation, value))


def apply_threshold(threshold: Threshold, evaluation: Evaluation) -> ThresholdScores:
    """Measure how a threshold does on photos that it was not chosen on.

    Args:
        threshold: From `choose_threshold`.
        evaluation: Numbers of other photos of the same classes: of the test, or of no split.

    Returns:
        The scores.

    Raises:
        ValueError: If these are the validation photos, or photos of other classes.
    """
    if evaluation.split == threshold.split:
        raise ValueError(
            "The threshold was chosen on validation photos: its figures there are in "
            "`threshold.on_validation`. Apply it to photos of the test."
        )
    expected = tuple(scores.class_name for scores in threshold.on_validation.per_class)
    if evaluation.class_names != expected:
        raise ValueError(
            f"The threshold is for {', '.join(expected)}, received photos of "
            f"{', '.join(evaluation.class_names)}. Choose one on photos of these classes."
        )
    return _score(evaluation, threshold.value)


def _check_wishes(validation: Evaluation, recall: float | None, precision: float | None) -> None:
    if len(validation.class_names) != 2 or validation.curves is None:
        raise ValueError(
            "A threshold is chosen on photos of two classes, both of them there. Received: "
            f"{len(validation.class_names)} classes, {len(np.unique(validation.labels))} of them "
            "with photos."
        )
    if recall is not None and precision is not None:
        raise ValueError("Wish for a recall or for a precision, not for both: one decides.")
    for name, wish in (("recall", recall), ("precision", precision)):
        if wish is not None and not 0 < wish <= 1:
            raise ValueError(f"{name}={wish} should be above 0 and at most 1, for example 0.9.")


def _find_candidates(scores: np.ndarray) -> np.ndarray:
    """Return thresholds between the distinct scores, and one below and above all, rising."""
    distinct = np.unique(scores)
    between = (distinct[1:] + distinct[:-1]) / 2
    return np.r_[distinct[0] / 2, between, (1 + distinct[-1]) / 2]


def _find_nearest_to_half(values: np.ndarray) -> float:
    """Return the threshold nearest to one half; of two equally near ones the smaller."""
    return float(values[np.argmin(np.round(np.abs(values - 0.5), 9))])


def _count_calls(
    evaluation: Evaluation, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return recall and precision of the last class, and recall of the first, per threshold."""
    scores, is_last = evaluation.probabilities[:, -1], evaluation.labels == 1
    happy, sad = np.sort(scores[is_last]), np.sort(scores[~is_last])
    kept = len(happy) - np.searchsorted(happy, values)
    called = kept + len(sad) - np.searchsorted(sad, values)
    right = np.divide(kept, called, out=np.full(len(values), np.nan), where=called > 0)
    return kept / len(happy), right, np.searchsorted(sad, values) / len(sad)


def _score(evaluation: Evaluation, value: float) -> ThresholdScores:
    answers = (evaluation.probabilities[:, -1] >= value).astype(np.int64)
    labels, groups = evaluation.labels, evaluation.groups
    per_class = score_classes(labels, answers, groups=groups, class_names=evaluation.class_names)
    return ThresholdScores(
        threshold=value,
        split=evaluation.split,
        accuracy=share_right(answers == labels, groups),
        balanced_accuracy=average_estimates([s.recall for s in per_class if s.recall.count]),
        per_class=per_class,
    )
