"""Scores that need no bootstrap: of every class, of every threshold; and a collapse, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.evaluation.estimates import Estimate, estimate_fraction
from emoclf.photos import Photos

COLLAPSE_FRACTION = 0.98
"""A network that predicts one class for this fraction of the photos has collapsed."""


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


@dataclass(frozen=True)
class Curves:
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
    probabilities: np.ndarray, *, class_names: Sequence[str] = CLASS_NAMES
) -> str | None:
    """Notice a network that predicts the same class for (nearly) every photo.

    Args:
        probabilities: `(photos, classes)`.
        class_names: Names in label order.

    Returns:
        A sentence that says so and what to try, or None when both classes are predicted.
    """
    if not len(probabilities):
        return None
    counts = np.bincount(np.argmax(probabilities, axis=1), minlength=len(class_names))
    if counts.max() < COLLAPSE_FRACTION * len(probabilities):
        return None
    name = class_names[int(counts.argmax())]
    return (
        f"Careful: {counts.max()} of {len(probabilities)} predictions are {name}. The model has "
        "collapsed to one class and has learned nothing you can use. Try class weights, a smaller "
        "learning rate, more epochs or more photos of the other class."
    )
