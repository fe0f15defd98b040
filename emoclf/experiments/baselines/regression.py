"""Logistic regression whose strictness the validation photos choose."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTHS: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What C may be: the inverse of how strictly large weights are punished."""

_MAX_STEPS = 500


@dataclass(frozen=True, eq=False)
class RegressionFit:
    """What a regression answers.

    Attributes:
        probabilities: float64 `(test photos, classes)`, rows sum to 1.
        strength: The C that the validation photos chose.
        weights: float64 `(features,)`: weight of each standardised feature for the last class; a
            feature with a weight above 0 speaks for it.
        note: What was chosen, and what was left out, in words.
    """

    probabilities: np.ndarray
    strength: float
    weights: np.ndarray
    note: str


def fit_regression(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    test: np.ndarray,
    class_count: int = 2,
    class_weights: bool = True,
) -> RegressionFit:
    """Fit a logistic regression to training photos and answer the test photos.

    Features are standardised by the training photos. Each C of `STRENGTHS` is fitted, and the one
    with the lowest cross-entropy on the validation photos answers; the test photos decide nothing.

    Args:
        train: Features, float `(photos, features)`, and labels, int64 `(photos,)`.
        validation: Likewise.
        test: Features of the test photos.
        class_count: How many classes there are.
        class_weights: Whether the rarer class counts for more, in fitting and in choosing.

    Returns:
        The answers, and what was chosen.

    Raises:
        ValueError: If a class has no training photo, or no fit came to an end.

    Example:
        >>> features, labels = np.array([[0.0], [1.0]] * 5), np.array([0, 1] * 5)
        >>> fit = fit_regression((features, labels), (features, labels), test=features[:2])
        >>> fit.probabilities.argmax(axis=1).tolist()
        [0, 1]
    """
    from sklearn.preprocessing import StandardScaler

    missing = sorted(set(range(class_count)) - set(np.unique(train[1]).tolist()))
    if missing:
        raise ValueError(
            f"train: expected photos of {class_count} classes, received none of label "
            f"{missing[0]}. Add photos of that class, or split with smaller shares for test and "
            "validation."
        )
    scaler = StandardScaler().fit(train[0])
    tried = [
        (loss, model)
        for strength in STRENGTHS
        for loss, model in _try(
            strength,
            (scaler.transform(train[0]), train[1]),
            (scaler.transform(validation[0]), validation[1]),
            class_weights,
        )
    ]
    if not tried:
        raise ValueError(
            f"No regression came to an end in {_MAX_STEPS} steps: give it fewer features."
        )
    _, best = min(tried, key=lambda each: each[0])
    left = len(STRENGTHS) - len(tried)
    note = f"C = {best.C:g}, chosen from {len(STRENGTHS)} by validation"
    return RegressionFit(
        best.predict_proba(scaler.transform(test)).astype(np.float64),
        float(best.C),
        np.asarray(best.coef_[-1], dtype=np.float64),
        f"{note}; {left} left out, not done in {_MAX_STEPS} steps" if left else note,
    )


def _try(
    strength: float,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    class_weights: bool,
) -> list[tuple[float, LogisticRegression]]:
    """Return the validation loss and the fitted model; nothing if the fit did not end."""
    from scipy.optimize import OptimizeWarning
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_sample_weight

    weighting = "balanced" if class_weights else None
    model = LogisticRegression(C=strength, class_weight=weighting, max_iter=_MAX_STEPS)
    with warnings.catch_warnings():
        # scikit-learn 1.6 hands an option to SciPy that newer ones no longer know
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(*train)
        except ConvergenceWarning:
            return []
    importance = compute_sample_weight(weighting, validation[1]) if class_weights else None
    loss = log_loss(
        validation[1],
        model.predict_proba(validation[0]),
        labels=model.classes_,
        sample_weight=importance,
    )
    return [(float(loss), model)]
