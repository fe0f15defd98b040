"""The figures that need the bootstrap for their interval: areas, F1, calibration error."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.evaluation.bootstrap import (
    DRAWS,
    draw_figures,
    draw_honest_errors,
    find_error_interval,
    find_interval,
)
from emoclf.evaluation.estimates import Estimate
from emoclf.evaluation.weighted import (
    measure_average_precision,
    measure_calibration_error,
    measure_f1,
    measure_roc_auc,
)


@dataclass(frozen=True)
class Figures:
    """Figures with intervals, each between 0 and 1.

    Attributes:
        roc_auc: Area under the ROC curve of the last class (Happy); None when the photos hold one
            class only.
        average_precision: Area under its precision-recall curve; None likewise.
        f1: Harmonic mean of precision and recall of every class, in label order; the value is nan
            for a class that is neither there nor answered.
        calibration_error: How far confidence and accuracy lie apart.
        error_by_chance: What an honest network would show as calibration error on these photos, on
            average, by chance alone.
    """

    roc_auc: Estimate | None
    average_precision: Estimate | None
    f1: tuple[Estimate, ...]
    calibration_error: Estimate
    error_by_chance: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dictionary that JSON can hold."""
        return asdict(self)


def measure_all(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Measure every figure of this module under many weightings of the photos.

    Args:
        labels: True labels, int64 `(photos,)`.
        probabilities: float64 `(photos, classes)`, rows sum to 1.
        weights: float64 `(draws, photos)`.

    Returns:
        Name to figures, float64 `(draws,)`. A figure that the photos cannot give is left out.
    """
    last, answers = probabilities.shape[1] - 1, probabilities.argmax(axis=1)
    is_last, score = labels == last, probabilities[:, last]
    found: dict[str, np.ndarray] = {}
    if 0 < is_last.sum() < len(labels):
        found["roc_auc"] = measure_roc_auc(is_last, score, weights)
        found["average_precision"] = measure_average_precision(is_last, score, weights)
    for label in range(last + 1):
        is_class, called = labels == label, answers == label
        if is_class.any():
            found[f"f1_{label}"] = measure_f1(is_class, called, weights)
    confidence = probabilities.max(axis=1)
    found["calibration_error"] = measure_calibration_error(confidence, answers == labels, weights)
    return found


def draw_all(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Measure every figure on the photos, and on many drawn sets of them.

    Args:
        labels: True labels, int64 `(photos,)`.
        probabilities: float64 `(photos, classes)`, rows sum to 1.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        draws: Number of drawn sets.
        seed: Seed of the draws; the same seed draws the same photos.

    Returns:
        Name to figure, and name to drawn figures, float64 `(draws,)`.
    """
    measured = measure_all(labels, probabilities, np.ones((1, len(labels))))

    def measure(weights: np.ndarray) -> np.ndarray:
        return np.column_stack(list(measure_all(labels, probabilities, weights).values()))

    drawn = draw_figures(measure, labels, groups, draws=draws, seed=seed)
    values = {name: float(value[0]) for name, value in measured.items()}
    return values, dict(zip(measured, drawn.T, strict=True))


def estimate_all(
    labels: np.ndarray,
    probabilities: np.ndarray,
    values: dict[str, float],
    drawn: dict[str, np.ndarray],
    *,
    groups: np.ndarray | None = None,
    by_chance: float,
) -> dict[str, Estimate]:
    """Turn the draws of every figure into its interval.

    Args:
        labels: True labels, int64 `(photos,)`.
        probabilities: float64 `(photos, classes)`.
        values: From `draw_all`.
        drawn: From `draw_all`.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        by_chance: The calibration error below which an honest network stays in 97.5 % of draws.

    Returns:
        Name to figure with its interval.
    """
    last, found = probabilities.shape[1] - 1, {}
    for name, value in values.items():
        if name == "calibration_error":
            found[name] = find_error_interval(value, drawn[name], by_chance, labels, groups)
        else:
            leans_on = last if name == "average_precision" else None
            found[name] = find_interval(value, drawn[name], labels, groups, leans_on=leans_on)
    return found


def estimate_figures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Figures:
    """Measure areas, F1 and calibration error, each with its interval.

    Args:
        labels: True labels, int64 `(photos,)`.
        probabilities: float64 `(photos, classes)`, rows sum to 1.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        draws: Number of drawn sets.
        seed: Seed of the draws.

    Returns:
        The figures.
    """
    values, drawn = draw_all(labels, probabilities, groups=groups, draws=draws, seed=seed)
    honest = draw_honest_errors(probabilities.max(axis=1), groups, draws=draws, seed=seed)
    limit = float(np.quantile(honest, 0.975))
    found = estimate_all(labels, probabilities, values, drawn, groups=groups, by_chance=limit)
    nothing = Estimate(float("nan"), 0.0, 1.0, len(labels))
    classes = range(probabilities.shape[1])
    return Figures(
        roc_auc=found.get("roc_auc"),
        average_precision=found.get("average_precision"),
        f1=tuple(found.get(f"f1_{label}", nothing) for label in classes),
        calibration_error=found["calibration_error"],
        error_by_chance=float(honest.mean()),
    )
