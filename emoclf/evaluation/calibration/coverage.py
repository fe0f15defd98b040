"""What "uncertain" costs and brings: the accuracy of the answers that the network is surest of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emoclf.evaluation import Estimate, Evaluation, share_right
from emoclf.evaluation.bootstrap import draw_figures, find_interval
from emoclf.evaluation.calibration.reliability import judge_answers
from emoclf.evaluation.estimates import number_groups
from emoclf.evaluation.weighted import measure_risk_area


@dataclass(frozen=True)
class RiskCoverage:
    """Share of wrong answers against the share of photos that are answered at all.

    Attributes:
        coverage: float64 `(points,)`, rising to 1: share of the photos that are answered.
        risk: float64 `(points,)`, 0 to 1: share of those answers that is wrong.
        confidence: float64 `(points,)`, falling: below it the network says "uncertain".
        area: Area under the curve, with interval; smaller is better.
        whole_risk: Share of wrong answers when every photo is answered: the area of a network whose
            confidence says nothing.
        best_area: Area when the wrong answers are the least sure ones.
    """

    coverage: np.ndarray
    risk: np.ndarray
    confidence: np.ndarray
    area: Estimate
    whole_risk: Estimate
    best_area: float

    def describe(self) -> str:
        """Return in words what "uncertain" would bring."""
        half = int(np.searchsorted(self.coverage, 0.5))
        lines = [
            f"all photos answered: {self.whole_risk} wrong",
            f"the surest {self.coverage[half]:.0%} answered: {self.risk[half]:.3f} wrong",
            f"area under risk-coverage: {self.area}; best possible {self.best_area:.3f}",
        ]
        if self.area.high < self.whole_risk.value:
            lines.append(
                'Saying "uncertain" to the unsure answers leaves out the wrong ones first.'
            )
        else:
            lines.append("These photos do not show that the wrong answers are the unsure ones.")
        return "\n".join(lines)


def measure_risk_coverage(evaluation: Evaluation) -> RiskCoverage:
    """Measure what is wrong among the surest answers, for every share (Geifman, El-Yaniv, 2017).

    Args:
        evaluation: Numbers of photos of any split.

    Returns:
        One point per distinct confidence: answers of the same confidence are answered together.
    """
    labels, groups = evaluation.labels, evaluation.groups
    confidence, is_right = judge_answers(evaluation.probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(confidence[order]) != 0, True])
    answered, wrong = last + 1, np.cumsum(~is_right[order])[last]

    def measure(weights: np.ndarray) -> np.ndarray:
        return measure_risk_area(confidence, is_right, weights)

    area = float(measure(np.ones((1, len(labels))))[0])
    interval = find_interval(area, draw_figures(measure, labels, groups), labels, groups)
    share, count = evaluation.accuracy, len(labels)
    least = np.arange(1, int(wrong[-1]) + 1) / np.arange(count - int(wrong[-1]) + 1, count + 1)
    return RiskCoverage(
        coverage=answered / count,
        risk=wrong / answered,
        confidence=confidence[order][last],
        area=interval,
        whole_risk=Estimate(1 - share.value, 1 - share.high, 1 - share.low, count),
        best_area=float(least.sum() / count),
    )


def accuracy_at_coverage(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    coverage: float = 0.9,
    groups: np.ndarray | None = None,
) -> Estimate:
    """Measure the accuracy on the photos that the model is surest of.

    Args:
        probabilities: float `(photos, classes)`, rows sum to 1.
        labels: int `(photos,)`, true labels.
        coverage: Share of the photos that are answered, above 0, up to 1.
        groups: int `(photos,)`, equal for copies, which count once in the interval; None when there
            are none.

    Returns:
        Accuracy on them, with interval.

    Raises:
        ValueError: If `coverage` is out of range.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage} should be above 0 and at most 1.")
    confidence, is_right = judge_answers(probabilities, labels)
    answered = np.argsort(-confidence, kind="stable")[: max(1, round(coverage * len(confidence)))]
    return share_right(
        is_right[answered], None if groups is None else number_groups(groups)[answered]
    )
