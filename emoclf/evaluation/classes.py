"""How well each class is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.evaluation.estimates import Estimate, count_independent, wilson_interval


@dataclass(frozen=True)
class ClassScores:
    """How well one class is recognised.

    Attributes:
        class_name: The class.
        precision: Of the photos called so, the share that are; n is how many were called so.
        recall: Of the photos that are, the share called so; n is how many there are.
        f1: Harmonic mean of precision and recall, 0 to 1.
    """

    class_name: str
    precision: Estimate
    recall: Estimate
    f1: float


def share_right(is_right: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """Estimate the share of right answers; copies count as one photo for the interval.

    Args:
        is_right: bool `(photos,)`.
        groups: int64 `(photos,)`, equal for copies; None when there are none.

    Returns:
        The share, with Wilson's interval.
    """
    worth = count_independent(groups)
    return wilson_interval(int(is_right.sum()), len(is_right), effective_count=worth)


def score_classes(
    labels: np.ndarray,
    answers: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    class_names: Sequence[str] = CLASS_NAMES,
) -> tuple[ClassScores, ...]:
    """Measure precision, recall and F1 of every class.

    Args:
        labels: True labels, int64 `(photos,)`.
        answers: Labels that were answered, int64 `(photos,)`.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        class_names: Names in label order.

    Returns:
        The scores in label order; those of a class without photos are nan.
    """

    def share(right: np.ndarray, chosen: np.ndarray) -> Estimate:
        return share_right(right[chosen], None if groups is None else groups[chosen])

    scores = []
    for label, name in enumerate(class_names):
        called, are = answers == label, labels == label
        either = int(called.sum() + are.sum())
        f1 = 2 * int((called & are).sum()) / either if either else float("nan")
        scores.append(ClassScores(name, share(are, called), share(called, are), f1))
    return tuple(scores)
