"""A logistic regression on features of photos: a last layer that is found in a second."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emoclf.models.joint import Head

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

INVERSE_STRENGTHS: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What scikit-learn's C may be: the inverse of the regularisation strength."""

MAX_STEPS = 500
"""How many steps a regression may take."""


class RegressionFit(NamedTuple):
    """What a logistic regression predicts.

    Attributes:
        probabilities: float64 `(test photos, classes)`, rows sum to 1.
        inverse_strength: The C that was chosen.
        weights: float64 `(features,)`: weight of each standardised feature for the last class; a
            feature with a weight above 0 speaks for it.
        note: What was chosen, and what was left out, in words.
        head: What predicts: it takes the features as they are.
    """

    probabilities: np.ndarray
    inverse_strength: float
    weights: np.ndarray
    note: str
    head: Head


def fit_regression(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    test: np.ndarray,
    class_count: int = 2,
    class_weights: bool = True,
    inverse_strengths: Sequence[float] = INVERSE_STRENGTHS,
    max_steps: int = MAX_STEPS,
    emphasis: np.ndarray | float = 1.0,
) -> RegressionFit:
    """Fit a logistic regression to training photos and predict the test photos.

    Features are standardised by the training photos. Each C of `inverse_strengths` is fitted, and
    the one with the lowest cross-entropy on the validation photos predicts; the test photos decide
    nothing.

    Args:
        train: Features, float `(photos, features)`, and labels, int64 `(photos,)`.
        validation: Likewise; not needed where `inverse_strengths` holds one.
        test: Features of the test photos.
        class_count: How many classes there are.
        class_weights: Whether the rarer class counts for more, in fitting and in choosing.
        inverse_strengths: What C may be.
        max_steps: How many steps a fit may take.
        emphasis: What the standardised features are multiplied with, float `(features,)`: the
            larger, the less is a feature held back by the regularisation.

    Returns:
        The predictions, and what was chosen.

    Raises:
        ValueError: If a class has no training photo, no fit converged, or nothing can choose.

    Example:
        >>> features, labels = np.array([[0.0], [1.0]] * 5), np.array([0, 1] * 5)
        >>> fit = fit_regression((features, labels), (features, labels), test=features[:2])
        >>> fit.probabilities.argmax(axis=1).tolist()
        [0, 1]
    """
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    missing = sorted(set(range(class_count)) - set(np.unique(train[1]).tolist()))
    if missing:
        raise ValueError(
            f"train: expected photos of {class_count} classes, received none of label "
            f"{missing[0]}. Add photos of that class, or split with smaller fractions for test and "
            "validation."
        )
    if validation is None and len(inverse_strengths) != 1:
        raise ValueError(
            "inverse_strengths: expected one C where no validation photos choose. Received: "
            f"{inverse_strengths}."
        )
    scaler = StandardScaler().fit(train[0])
    scaler.scale_ = scaler.scale_ / emphasis
    scaled = (scaler.transform(train[0]), train[1])
    with threadpool_limits(1):  # the steps are so short that threads mostly wait for each other
        fitted = [
            model
            for inverse in inverse_strengths
            for model in _fit(inverse, scaled, class_weights=class_weights, max_steps=max_steps)
        ]
    if not fitted:
        raise ValueError(f"No regression converged in {max_steps} steps: give it fewer features.")
    best, note = fitted[0], f"C = {fitted[0].C:g}"
    if validation is not None:
        held_out = (scaler.transform(validation[0]), validation[1])
        best = min(fitted, key=lambda model: _measure_loss(model, held_out, class_weights))
        note = f"C = {best.C:g}, chosen from {len(inverse_strengths)} by validation"
    left = len(inverse_strengths) - len(fitted)
    return RegressionFit(
        best.predict_proba(scaler.transform(test)).astype(np.float64),
        float(best.C),
        np.asarray(best.coef_[-1], dtype=np.float64),
        f"{note}; {left} left out, not done in {max_steps} steps" if left else note,
        _make_head(scaler, best),
    )


def _make_head(scaler: StandardScaler, model: LogisticRegression) -> Head:
    """Return the same as weights; of two classes scikit-learn has those of the second alone."""
    weights, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:
        weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return Head(*(np.asarray(a, np.float32) for a in (scaler.mean_, scaler.scale_, weights, bias)))


def _fit(
    inverse: float, train: tuple[np.ndarray, np.ndarray], *, class_weights: bool, max_steps: int
) -> list[LogisticRegression]:
    """Return the fitted model; nothing if the fit did not converge."""
    from scipy.optimize import OptimizeWarning
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weighting = "balanced" if class_weights else None
    model = LogisticRegression(C=inverse, class_weight=weighting, max_iter=max_steps)
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
    weights = compute_sample_weight("balanced", labels) if class_weights else None
    predicted = model.predict_proba(features)
    return float(log_loss(labels, predicted, labels=model.classes_, sample_weight=weights))
