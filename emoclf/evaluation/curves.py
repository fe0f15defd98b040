"""ROC and precision-recall: what every possible threshold would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        prevalence: Share of the last class.
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
