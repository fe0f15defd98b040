"""Logistic regression on features of photos; validation photos may choose how strict it is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTHS: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What C may be: the inverse of how strictly large weights are punished."""

MAX_STEPS = 500
"""How many steps a fit may take."""


@dataclass(frozen=True, eq=False)
class RegressionFit:
    """What a regression answers.

    Attributes:
        probabilities: float64 `(test photos, classes)`, rows sum to 1.
        strength: The C that was chosen.
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
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    test: np.ndarray,
    class_count: int = 2,
    class_weights: bool = True,
    strengths: Sequence[float] = STRENGTHS,
    max_steps: int = MAX_STEPS,
) -> RegressionFit:
    """Fit a logistic regression to training photos and answer the test photos.

    Features are standardised by the training photos. Each C of `strengths` is fitted, and the one
    with the lowest cross-entropy on the validation photos answers; the test photos decide nothing.

    Args:
        train: Features, float `(photos, features)`, and labels, int64 `(photos,)`.
        validation: Likewise; not needed where `strengths` holds one.
        test: Features of the test photos.
        class_count: How many classes there are.
        class_weights: Whether the rarer class counts for more, in fitting and in choosing.
        strengths: What C may be.
        max_steps: How many steps a fit may take.

    Returns:
        The answers, and what was chosen.

    Raises:
        ValueError: If a class has no training photo, no fit came to an end, or nothing can choose.

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
    if validation is None and len(strengths) != 1:
        raise ValueError(
            f"strengths: expected one C where no validation photos choose. Received: {strengths}."
        )
    scaler = StandardScaler().fit(train[0])
    learned = (scaler.transform(train[0]), train[1])
    tried = [
        model
        for strength in strengths
        for model in _fit(strength, learned, class_weights=class_weights, max_steps=max_steps)
    ]
    if not tried:
        raise ValueError(
            f"No regression came to an end in {max_steps} steps: give it fewer features."
        )
    best, note = tried[0], f"C = {tried[0].C:g}"
    if validation is not None:
        seen = (scaler.transform(validation[0]), validation[1])
        best = min(tried, key=lambda model: _measure_loss(model, seen, class_weights))
        note = f"C = {best.C:g}, chosen from {len(strengths)} by validation"
    left = len(strengths) - len(tried)
    return RegressionFit(
        best.predict_proba(scaler.transform(test)).astype(np.float64),
        float(best.C),
        np.asarray(best.coef_[-1], dtype=np.float64),
        f"{note}; {left} left out, not done in {max_steps} steps" if left else note,
    )


def _fit(
    strength: float, train: tuple[np.ndarray, np.ndarray], *, class_weights: bool, max_steps: int
) -> list[LogisticRegression]:
    """Return the fitted model; nothing if the fit did not end."""
    from scipy.optimize import OptimizeWarning
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weighting = "balanced" if class_weights else None
    model = LogisticRegression(C=strength, class_weight=weighting, max_iter=max_steps)
    with warnings.catch_warnings():
        # scikit-learn 1.6 hands an option to SciPy that newer ones no longer know
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return [model.fit(*train)]
        except ConvergenceWarning:
            return []


def _measure_loss(
    model: LogisticRegression, photos: tuple[np.ndarray, np.ndarray], class_weights: bool
) -> float:
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_sample_weight

    features, labels = photos
    importance = compute_sample_weight("balanced", labels) if class_weights else None
    answers = model.predict_proba(features)
    return float(log_loss(labels, answers, labels=model.classes_, sample_weight=importance))
