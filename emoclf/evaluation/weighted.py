"""Figures of weighted photos, for many weightings at once: what the bootstrap draws with.

Every function takes weights, float64 `(draws, photos)`, 0 or more, and returns one figure per
draw, float64 `(draws,)`. With weights of one they are scikit-learn's figures.
"""

from __future__ import annotations

import numpy as np

CALIBRATION_BINS = 15
"""Bins of equal width, between 0 and 1, into which answers are sorted by their confidence."""


def measure_roc_auc(is_last: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Measure the area under the ROC curve; photos with the same score share their ranks.

    Args:
        is_last: bool `(photos,)`, which photos are of the last class (Happy); both occur.
        scores: float `(photos,)`, its probability.
        weights: float64 `(draws, photos)`.

    Returns:
        float64 `(draws,)`, 0 to 1.
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
        weights: float64 `(draws, photos)`.

    Returns:
        float64 `(draws,)`, 0 to 1.
    """
    positive, negative = _sum_by_score(is_last, -scores, weights)
    found = positive.cumsum(axis=1)
    called = found + negative.cumsum(axis=1)
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    return (positive * precision).sum(axis=1) / found[:, -1]


def _sum_by_score(
    is_last: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the weights of both classes at every distinct score, rising: `(draws, scores)` each."""
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


def measure_f1(is_class: np.ndarray, called_class: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Measure the harmonic mean of precision and recall of one class.

    Args:
        is_class: bool `(photos,)`, which photos are of the class.
        called_class: bool `(photos,)`, which are called so.
        weights: float64 `(draws, photos)`.

    Returns:
        float64 `(draws,)`, 0 to 1.
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
        confidence: float `(photos,)`, probability of the answer, 0 to 1.
        is_right: bool `(photos,)`, or `(draws, photos)` for another truth in every draw.
        weights: float64 `(draws, photos)`, or `(1, photos)`.
        bins: Number of bins of equal width between 0 and 1.

    Returns:
        float64 `(draws,)`, 0 (honest) to 1.
    """
    members = np.eye(bins)[number_bins(confidence, bins)]
    gaps = (weights * (np.asarray(is_right, dtype=float) - confidence)) @ members
    return np.abs(gaps).sum(axis=1) / weights.sum(axis=1)


def number_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of every answer, int64 `(photos,)`, 0 to `bins - 1`."""
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def measure_risk_area(
    confidence: np.ndarray, is_right: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Measure the area under the risk-coverage curve (Geifman and El-Yaniv, 2017).

    It is the mean share of wrong answers among the surest ones, over all shares that could be
    answered. Answers of the same confidence are answered together.

    Args:
        confidence: float `(photos,)`, probability of the answer.
        is_right: bool `(photos,)`.
        weights: float64 `(draws, photos)`.

    Returns:
        float64 `(draws,)`, 0 to 1; smaller is better.
    """
    wrong, right = _sum_by_score(~is_right, -confidence, weights)
    answered = (wrong + right).cumsum(axis=1)
    risk = np.divide(
        wrong.cumsum(axis=1), answered, out=np.zeros_like(answered), where=answered > 0
    )
    return ((wrong + right) * risk).sum(axis=1) / answered[:, -1]
