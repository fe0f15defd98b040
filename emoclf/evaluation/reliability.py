"""How far confidence and accuracy lie apart, and what "uncertain" costs and brings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from emoclf.display import Displayed, Table
from emoclf.evaluation import Estimate, Evaluation
from emoclf.evaluation.bootstrap import find_interval, resample_figures
from emoclf.evaluation.estimates import ESTIMATE_HEADERS, TOO_FEW
from emoclf.evaluation.figures import (
    CALIBRATION_BINS,
    measure_calibration_error,
    measure_risk_area,
    number_bins,
)


class ReliabilityBin(NamedTuple):
    """The predictions of about the same confidence.

    Attributes:
        low: Smallest confidence that belongs here, 0 to 1.
        high: Where the next bin begins.
        confidence: Their mean confidence.
        accuracy: Their accuracy.
    """

    low: float
    high: float
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True)
class Reliability(Displayed):
    """The reliability diagram of a network, as numbers.

    Attributes:
        bins: The bins, by rising confidence; each holds `TOO_FEW` predictions or more, unless there
            are fewer in all.
        error: Expected calibration error, with interval.
        error_by_chance: What a calibrated network would show on these photos, on average.
        photos: Number of photos.
    """

    bins: tuple[ReliabilityBin, ...]
    error: Estimate
    error_by_chance: float
    photos: int

    def blocks(self) -> Iterable[str | Table]:
        """Return the bins, and what they show."""
        rows = [
            (f"{b.low:.2f} to {b.high:.2f}", *b.accuracy.to_cells(is_fraction=True))
            for b in self.bins
        ]
        yield Table(("confidence", "accuracy", *ESTIMATE_HEADERS[1:]), rows)
        yield f"calibration error {self.error}"
        yield f"A calibrated network would show {self.error_by_chance:.3f} by chance."
        if self.error.low > 0:
            gap = sum((b.confidence - b.accuracy.value) * b.accuracy.count for b in self.bins)
            side = "overconfident" if gap > 0 else "underconfident"
            yield f"The network is {side}: more than chance explains."
        else:
            yield "These photos do not show that the probabilities are not calibrated."


def measure_reliability(evaluation: Evaluation, *, bins: int = CALIBRATION_BINS) -> Reliability:
    """Measure how often predictions of each confidence are right (DeGroot and Fienberg, 1983).

    Args:
        evaluation: The evaluation of any photos.
        bins: Number of bins of equal width between 0 and 1; the confidence of two classes is never
            below one half, so half of them stay empty. One of fewer than `TOO_FEW` predictions is
            merged with the next. The error is always of `CALIBRATION_BINS` bins.

    Returns:
        The bins that hold predictions, and the calibration error.

    Raises:
        ValueError: If there is no bin.
    """
    if bins < 1:
        raise ValueError(f"bins={bins} should be 1 or more, for example {CALIBRATION_BINS}.")
    numbers = number_bins(evaluation.confidence, bins)
    found = []
    for first, last in _merge_bins(np.bincount(numbers, minlength=bins)):
        inside = (numbers >= first) & (numbers <= last)
        confidence = float(evaluation.confidence[inside].mean())
        accuracy = evaluation.take(inside).accuracy
        found.append(ReliabilityBin(first / bins, (last + 1) / bins, confidence, accuracy))
    figures = evaluation.estimates
    return Reliability(
        tuple(found), figures.calibration_error, figures.error_by_chance, len(evaluation.photos)
    )


def _merge_bins(counts: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and last of the bins that are taken together, without empty ends."""
    merged: list[tuple[int, int]] = []
    first, held = -1, 0
    for number in np.flatnonzero(counts).tolist():
        first, held = number if held == 0 else first, held + int(counts[number])
        if held >= TOO_FEW:
            merged.append((first, number))
            held = 0
    if held and merged:
        merged[-1] = (merged[-1][0], number)
    elif held:
        merged.append((first, number))
    return merged


def expected_calibration_error(evaluation: Evaluation, *, bins: int = CALIBRATION_BINS) -> float:
    """Measure how far confidence and accuracy lie apart (Naeini et al., 2015; Guo et al., 2017).

    Predictions are sorted into bins of equal width by their confidence; the error is the mean
    distance of accuracy and confidence over the bins, weighted by their number of photos. With few
    photos it comes out too large by chance alone: `evaluation.estimates` says by how much.

    Args:
        evaluation: The evaluation of any photos.
        bins: Number of bins between 0 and 1.

    Returns:
        0 (calibrated) to 1.
    """
    ones = np.ones((1, len(evaluation.photos)))
    error = measure_calibration_error(evaluation.confidence, evaluation.is_right, ones, bins=bins)
    return float(error[0])


@dataclass(frozen=True)
class RiskCoverage(Displayed):
    """Fraction of wrong predictions against the fraction of photos that are predicted at all.

    Attributes:
        coverage: float64 `(points,)`, rising to 1: fraction of the photos that are predicted.
        risk: float64 `(points,)`, 0 to 1: fraction of those predictions that is wrong.
        confidence: float64 `(points,)`, falling: below it the network says "uncertain".
        area: Area under the curve, with interval; smaller is better.
        whole_risk: Fraction of wrong predictions when every photo is predicted: the area of a
            network whose confidence says nothing.
        best_area: Area when the wrong predictions are the least confident ones.
    """

    coverage: np.ndarray
    risk: np.ndarray
    confidence: np.ndarray
    area: Estimate
    whole_risk: Estimate
    best_area: float

    def blocks(self) -> Iterable[str | Table]:
        """Return what "uncertain" would bring."""
        half = int(np.searchsorted(self.coverage, 0.5))
        yield f"all photos predicted: {self.whole_risk} wrong"
        yield (
            f"the most confident {self.coverage[half]:.0%} predicted: {self.risk[half]:.3f} wrong"
        )
        yield f"area under risk-coverage: {self.area}; best possible {self.best_area:.3f}"
        if self.area.high < self.whole_risk.value:
            yield (
                'Saying "uncertain" below some confidence leaves out the wrong predictions first.'
            )
        else:
            yield "These photos do not show that the wrong predictions are the unsure ones."


def measure_risk_coverage(evaluation: Evaluation) -> RiskCoverage:
    """Measure what is wrong among the most confident predictions (Geifman and El-Yaniv, 2017).

    Args:
        evaluation: The evaluation of any photos.

    Returns:
        One point per distinct confidence: predictions of the same confidence are made together.
    """
    photos, confidence, is_right = evaluation.photos, evaluation.confidence, evaluation.is_right
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(confidence[order]) != 0, True])
    covered, wrong = last + 1, np.cumsum(~is_right[order])[last]

    def measure(weights: np.ndarray) -> np.ndarray:
        return measure_risk_area(confidence, is_right, weights)

    area = float(measure(np.ones((1, len(photos))))[0])
    right, count, mistakes = evaluation.accuracy, len(photos), int(wrong[-1])
    least = np.arange(1, mistakes + 1) / np.arange(count - mistakes + 1, count + 1)
    return RiskCoverage(
        coverage=covered / count,
        risk=wrong / covered,
        confidence=confidence[order][last],
        area=find_interval(area, resample_figures(measure, photos), photos),
        whole_risk=Estimate(1 - right.value, 1 - right.high, 1 - right.low, count),
        best_area=float(least.sum() / count),
    )


def accuracy_at_coverage(evaluation: Evaluation, *, coverage: float = 0.9) -> Estimate:
    """Measure the accuracy on the photos with the most confident predictions.

    Args:
        evaluation: The evaluation of any photos.
        coverage: Fraction of the photos that are predicted, above 0, up to 1.

    Returns:
        Accuracy on them, with interval.

    Raises:
        ValueError: If `coverage` is out of range.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage} should be above 0 and at most 1.")
    count = max(1, round(coverage * len(evaluation.photos)))
    return evaluation.take(np.argsort(-evaluation.confidence, kind="stable")[:count]).accuracy
