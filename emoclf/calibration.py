"""Are the probabilities honest? Temperature, calibration error, and what "uncertain" costs.

NumPy and SciPy only. Temperatures and thresholds are fitted on validation photos, never on test.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from emoclf.evaluation import Estimate, wilson_interval

_TEMPERATURE_RANGE = (0.05, 20.0)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the divisor of the logits that makes the probabilities honest.

    It minimises the cross-entropy (Guo et al., 2017, arXiv:1706.04599); the answers stay the same.

    Args:
        logits: float `(photos, classes)`, before the softmax.
        labels: int `(photos,)`, true labels.

    Returns:
        The temperature: above 1 for a network that is too sure of itself.

    Raises:
        ValueError: If the arrays do not fit together or are empty.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or not len(logits) or labels.shape != logits.shape[:1]:
        raise ValueError(
            "Expected logits (photos, classes) and one label per photo. "
            f"Received: {logits.shape} and {labels.shape}."
        )
    rows = np.arange(len(labels))

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        shifted = scaled - scaled.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1))
        return float((log_sum - shifted[rows, labels]).mean())

    bounds = tuple(np.log(_TEMPERATURE_RANGE))
    found = minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15
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
    confidence, is_right = _judge(probabilities, labels)
    numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(is_right[numbers == number].mean() - confidence[numbers == number].mean())
        * (numbers == number).mean()
        for number in np.unique(numbers)
    ]
    return float(sum(gaps))


def accuracy_at_coverage(
    probabilities: np.ndarray, labels: np.ndarray, *, coverage: float = 0.9
) -> Estimate:
    """Measure the accuracy on the photos that the model is surest of.

    Args:
        probabilities: float `(photos, classes)`, rows sum to 1.
        labels: int `(photos,)`, true labels.
        coverage: Share of the photos that are answered, above 0, up to 1.

    Returns:
        Accuracy on them, with interval.

    Raises:
        ValueError: If `coverage` is out of range.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage} should be above 0 and at most 1.")
    confidence, is_right = _judge(probabilities, labels)
    answered = np.argsort(-confidence, kind="stable")[: max(1, round(coverage * len(confidence)))]
    return wilson_interval(int(is_right[answered].sum()), len(answered))


def _judge(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence float `(photos,)` of each answer and whether it is right."""
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or not len(labels) or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "Expected probabilities (photos, classes) and one label per photo. "
            f"Received: {probabilities.shape} and {labels.shape}."
        )
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
