"""How far confidence and accuracy lie apart, bin by bin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emoclf.evaluation import Estimate, Evaluation, share_right
from emoclf.evaluation.weighted import CALIBRATION_BINS, measure_calibration_error, number_bins


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers of about the same confidence.

    Attributes:
        low: Smallest confidence that belongs here, 0 to 1.
        high: Where the next bin begins.
        confidence: Mean confidence of the answers.
        accuracy: Share of them that is right, with Wilson's interval.
    """

    low: float
    high: float
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram of a network, as numbers.

    Attributes:
        bins: The bins that hold answers, by rising confidence.
        error: Expected calibration error, with interval.
        error_by_chance: What an honest network would show on these photos, on average.
        photos: Number of photos.
    """

    bins: tuple[ReliabilityBin, ...]
    error: Estimate
    error_by_chance: float
    photos: int

    def describe(self) -> str:
        """Return the bins as a table, and what they show."""
        lines = [f"{'confidence':14}{'photos':>8}{'right':>9}   95 % interval"]
        for each in self.bins:
            share = each.accuracy
            lines.append(
                f"{each.low:.2f} to {each.high:.2f}  {share.count:8,}{share.value:9.3f}"
                f"   {share.low:.3f} to {share.high:.3f}"
            )
        lines.append(f"calibration error {self.error}")
        lines.append(f"An honest network would show {self.error_by_chance:.3f} by chance.")
        if self.error.low > 0:
            side = "too sure of itself" if self._is_too_sure() else "not sure enough"
            lines.append(f"The network is {side}: more than chance explains.")
        else:
            lines.append("These photos do not show that the probabilities are dishonest.")
        return "\n".join(lines)

    def _is_too_sure(self) -> bool:
        gap = sum((b.confidence - b.accuracy.value) * b.accuracy.count for b in self.bins)
        return gap > 0


def measure_reliability(evaluation: Evaluation, *, bins: int = CALIBRATION_BINS) -> Reliability:
    """Measure how often answers of each confidence are right (DeGroot and Fienberg, 1983).

    Args:
        evaluation: Numbers of photos of any split.
        bins: Number of bins of equal width between 0 and 1; the answer of two classes is never
            less sure than one half, so half of them stay empty. The error is always of
            `CALIBRATION_BINS` bins.

    Returns:
        The bins that hold answers, and the calibration error.

    Raises:
        ValueError: If there is no bin.
    """
    if bins < 1:
        raise ValueError(f"bins={bins} should be 1 or more, for example {CALIBRATION_BINS}.")
    confidence, is_right = judge_answers(evaluation.probabilities, evaluation.labels)
    numbers, groups = number_bins(confidence, bins), evaluation.groups
    found = []
    for number in np.unique(numbers):
        inside = numbers == number
        accuracy = share_right(is_right[inside], None if groups is None else groups[inside])
        ends = (float(number / bins), float((number + 1) / bins))
        found.append(ReliabilityBin(*ends, float(confidence[inside].mean()), accuracy))
    figures = evaluation.estimates
    return Reliability(
        tuple(found), figures.calibration_error, figures.error_by_chance, len(confidence)
    )


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, *, bins: int = CALIBRATION_BINS
) -> float:
    """Measure how far confidence and accuracy lie apart (Naeini et al., 2015; Guo et al., 2017).

    Answers are sorted into bins of equal width by their confidence; the error is the mean distance
    of accuracy and confidence over the bins, weighted by their number of photos. With few photos it
    comes out too large by chance alone.

    Args:
        probabilities: float `(photos, classes)`, rows sum to 1.
        labels: int `(photos,)`, true labels.
        bins: Number of bins between 0 and 1.

    Returns:
        0 (honest) to 1.
    """
    confidence, is_right = judge_answers(probabilities, labels)
    ones = np.ones((1, len(confidence)))
    return float(measure_calibration_error(confidence, is_right, ones, bins=bins)[0])


def judge_answers(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look at every answer: how sure it is, and whether it is right.

    Args:
        probabilities: float `(photos, classes)`, rows sum to 1.
        labels: int `(photos,)`, true labels.

    Returns:
        Confidence, float `(photos,)`, and whether the answer is right, bool `(photos,)`.

    Raises:
        ValueError: If the arrays do not fit together or are empty.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or not len(labels) or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "Expected probabilities (photos, classes) and one label per photo. "
            f"Received: {probabilities.shape} and {labels.shape}."
        )
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
