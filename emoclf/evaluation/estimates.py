"""A figure with its interval: fractions after Wilson, their averages and differences, and scores.

The scores are those that need no bootstrap: of every class, of every threshold; and a collapse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.photos import Photos

ESTIMATE_HEADERS = ("value", "95 % interval", "n")
"""Heads of the columns that `Estimate.to_cells` fills."""

TOO_FEW = 10
"""A fraction of fewer photos than this is written as counts, and drawn as no finding."""


@dataclass(frozen=True)
class Estimate:
    """A figure measured on `count` photos, with its 95 % interval.

    Attributes:
        value: The measured figure: a fraction from 0 to 1, or a difference from -1 to 1.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: Photos it was measured on.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def interval(self) -> str:
        """The interval in words, for example `0.912 to 0.951`."""
        return f"{self.low:.3f} to {self.high:.3f}"

    def to_cells(self, *, is_fraction: bool = False) -> tuple[float | str, str, int]:
        """Return the cells of a table under `ESTIMATE_HEADERS`; see also `fraction`."""
        return self.fraction if is_fraction else self.value, self.interval, self.count

    @property
    def fraction(self) -> float | str:
        """The value of a fraction; of fewer than `TOO_FEW` photos the counts, such as `1 of 2`."""
        if not 0 < self.count < TOO_FEW:
            return self.value
        return f"{round(self.value * self.count)} of {self.count}"

    def __str__(self) -> str:
        """Return for example `0.934 (95 % interval 0.912 to 0.951, n = 600)`."""
        return f"{self.value:.3f} (95 % interval {self.interval}, n = {self.count})"


def wilson_interval(
    successes: int, count: int, *, confidence: float = 0.95, effective_count: float | None = None
) -> Estimate:
    """Estimate a fraction and its interval after Wilson (1927).

    Unlike the textbook interval it is right for few photos and for fractions near 0 or 1.

    Args:
        successes: Number of right predictions, 0 to `count`.
        count: Number of photos.
        confidence: Fraction of intervals that hold the true value, between 0 and 1.
        effective_count: How many independent photos these are worth, from `count_independent`,
            where some are duplicates of others; default: `count`.

    Returns:
        The fraction with its interval. For no photos the value is nan and the interval 0 to 1.

    Raises:
        ValueError: If `successes` is not between 0 and `count`.

    Example:
        >>> print(wilson_interval(17, 17))
        1.000 (95 % interval 0.816 to 1.000, n = 17)
    """
    if not 0 <= successes <= count:
        raise ValueError(f"successes={successes} should be between 0 and count={count}.")
    if count == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    fraction, worth = successes / count, count if effective_count is None else effective_count
    return Estimate(fraction, *find_wilson_limits(fraction, worth, z=z), count)


def find_wilson_limits(
    fraction: float, worth: float, *, z: float = 1.959964
) -> tuple[float, float]:
    """Return the ends of Wilson's interval for a fraction of `worth` independent photos.

    Args:
        fraction: The measured fraction, 0 to 1.
        worth: Number of independent photos, above 0; it need not be whole (Korn and Graubard,
            1998).
        z: Quantile of the normal distribution; default: for 95 %.

    Returns:
        Lower and upper end, 0 to 1; the fraction lies between them.
    """
    centre = (fraction + z**2 / (2 * worth)) / (1 + z**2 / worth)
    variance = fraction * (1 - fraction) / worth + z**2 / (4 * worth**2)
    half = z * variance**0.5 / (1 + z**2 / worth)
    return max(0.0, min(fraction, centre - half)), min(1.0, max(fraction, centre + half))


def count_independent(groups: np.ndarray) -> float:
    """Count how many independent photos some photos with duplicates are worth.

    Duplicates are predicted alike, so a group of them is worth about one photo: Kish's (1965)
    effective sample size, the squared sum of the groups' sizes over the sum of their squares.

    Args:
        groups: int `(photos,)`, equal for duplicates.

    Returns:
        At most the number of photos.

    Example:
        >>> count_independent(np.array([1, 1, 2, 3]))
        2.6666666666666665
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def estimate_fraction(is_hit: np.ndarray, groups: np.ndarray) -> Estimate:
    """Estimate a fraction of photos; duplicates count as one photo for the interval.

    Args:
        is_hit: bool `(photos,)`, such as `evaluation.is_right`.
        groups: int64 `(photos,)`, equal for duplicates.

    Returns:
        The fraction, with Wilson's interval.
    """
    worth = count_independent(groups)
    return wilson_interval(int(is_hit.sum()), len(is_hit), effective_count=worth)


def average_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Average independent fractions, with an interval from the intervals of the parts.

    The distances of the parts' limits are added as squares: "method of variance estimates
    recovery", Zou and Donner (2008), on Wilson limits as in Newcombe (1998).

    Args:
        estimates: At least one.

    Returns:
        The mean; `count` is the sum of the counts.
    """
    mean = sum(e.value for e in estimates) / len(estimates)
    below = sum((e.value - e.low) ** 2 for e in estimates) ** 0.5 / len(estimates)
    above = sum((e.high - e.value) ** 2 for e in estimates) ** 0.5 / len(estimates)
    return Estimate(mean, mean - below, mean + above, sum(e.count for e in estimates))


def subtract_estimates(second: Estimate, first: Estimate, *, correlation: float = 0.0) -> Estimate:
    """Subtract two figures of the same photos, with an interval from the intervals of both.

    The same method as in `average_estimates`, with the correlation that two figures of the same
    photos have (Newcombe, 1998, Statistics in Medicine 17, 2635-2650, method 10; Zou and Donner,
    2008).

    Args:
        second: The figure that is subtracted from.
        first: The figure that is subtracted.
        correlation: How far the two go up and down together from one set of photos to the next, -1
            to 1; 0 is careful.

    Returns:
        `second - first`, -1 to 1.
    """
    value = second.value - first.value

    def add(one: float, other: float) -> float:
        return float(max(0.0, one**2 - 2 * correlation * one * other + other**2) ** 0.5)

    below = add(second.value - second.low, first.high - first.value)
    above = add(second.high - second.value, first.value - first.low)
    return Estimate(value, value - below, value + above, first.count)


COLLAPSE_FRACTION = 0.98
"""A network that predicts one class for this fraction of the photos may have collapsed."""


@dataclass(frozen=True)
class ClassScores:
    """How well one class is recognised.

    Attributes:
        class_name: The class.
        precision: Fraction of the photos predicted so that are; n is how many were predicted so.
        recall: Fraction of the photos of the class that are predicted so; n is how many there are.
        f1: Harmonic mean of precision and recall, 0 to 1.
    """

    class_name: str
    precision: Estimate
    recall: Estimate
    f1: float


def score_classes(photos: Photos, predicted: np.ndarray) -> tuple[ClassScores, ...]:
    """Measure precision, recall and F1 of every class.

    Args:
        photos: The photos.
        predicted: Predicted labels, int64 `(photos,)`; -1 for no prediction, which is a wrong one.

    Returns:
        The scores in label order; those of a class without photos are nan.
    """
    scores = []
    for label, name in enumerate(photos.class_names):
        called, are = predicted == label, photos.labels == label
        either = int(called.sum() + are.sum())
        f1 = 2 * int((called & are).sum()) / either if either else float("nan")
        precision = estimate_fraction(are[called], photos.groups[called])
        recall = estimate_fraction(called[are], photos.groups[are])
        scores.append(ClassScores(name, precision, recall, f1))
    return tuple(scores)


class Curves(NamedTuple):
    """ROC and precision-recall curves of the last class (Happy).

    Attributes:
        false_positive_rate: float64 `(points,)`, 0 to 1, rising.
        true_positive_rate: float64 `(points,)`, 0 to 1, rising.
        recall: float64 `(points,)`, 0 to 1, falling.
        precision: float64 `(points,)`, 0 to 1.
        roc_auc: Area under the ROC curve, 0.5 is guessing.
        average_precision: Area under the precision-recall curve; guessing gives `prevalence`.
        prevalence: Fraction of the photos that are of the last class.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    roc_auc: float
    average_precision: float
    prevalence: float


def measure_curves(labels: np.ndarray, probabilities: np.ndarray) -> Curves:
    """Measure the curves of the last class, with scikit-learn.

    Args:
        labels: True labels, int64 `(photos,)`, of the last class and of others.
        probabilities: float64 `(photos, classes)`.

    Returns:
        The curves and their areas.
    """
    from sklearn import metrics

    last = probabilities.shape[1] - 1
    is_last, score = labels == last, probabilities[:, last]
    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(is_last, score)
    precision, recall, _ = metrics.precision_recall_curve(is_last, score)
    return Curves(
        false_positive_rate,
        true_positive_rate,
        recall,
        precision,
        float(metrics.roc_auc_score(is_last, score)),
        float(metrics.average_precision_score(is_last, score)),
        float(is_last.mean()),
    )


def describe_collapse(
    probabilities: np.ndarray,
    *,
    class_names: Sequence[str] = CLASS_NAMES,
    labels: np.ndarray | None = None,
) -> str | None:
    """Notice a network that predicts the same class for (nearly) every photo.

    Photos of that class are no sign of it, and few of the others are none: it is said when fewer
    than half of the others are recognised, and that is more than chance.

    Args:
        probabilities: `(photos, classes)`.
        class_names: Names in label order.
        labels: The true labels, int64 `(photos,)`; default: unknown, so that any photo may be of
            another class.

    Returns:
        A sentence that says so and what to try, or None when that is not shown.
    """
    if not len(probabilities):
        return None
    predicted = np.argmax(probabilities, axis=1)
    counts = np.bincount(predicted, minlength=len(class_names))
    if counts.max() < COLLAPSE_FRACTION * len(probabilities):
        return None
    top = int(counts.argmax())
    others = predicted if labels is None else predicted[labels != top]
    if wilson_interval(int((others != top).sum()), len(others)).high > 1 / 2:
        return None
    return (
        f"Careful: {counts.max()} of {len(probabilities)} predictions are {class_names[top]}. The "
        "model has collapsed to one class: as it is, it tells nothing apart. Try class weights, a "
        "smaller learning rate, more epochs or more photos of the other class."
    )
