"""Probabilities that are as sure as they are right: one divisor, fitted on validation photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp, softmax
from scipy.stats import chi2

from emoclf.evaluation import Evaluation, count_independent, evaluate_predictions
from emoclf.evaluation.calibration.origin import check_is_validation

_TEMPERATURE_RANGE = (0.05, 20.0)


@dataclass(frozen=True)
class Temperature:
    """A divisor of the logits, and where it comes from.

    Attributes:
        value: The temperature: above 1 for a network that is too sure of itself.
        low: Lower end of its 95 % interval.
        high: Upper end.
        photos: Number of validation photos that it was fitted on.
        mistakes: Wrong answers among them. Without one there is nothing to fit: the value is 1.
        split: The split that it was fitted on.
    """

    value: float
    low: float
    high: float
    photos: int
    mistakes: int
    split: str

    def describe(self) -> str:
        """Return the temperature in a sentence, and whether it is needed."""
        origin = f"{self.photos:,} {self.split} photos"
        if not self.mistakes:
            return (
                f"No answer on {origin} is wrong, so they cannot tell how sure the network may be: "
                "its probabilities are left as they are."
            )
        text = (
            f"temperature {self.value:.2f} (95 % interval {self.low:.2f} to {self.high:.2f}), "
            f"fitted on {origin}"
        )
        if self.low > 1:
            return f"{text}: the network is too sure of itself."
        if self.high < 1:
            return f"{text}: the network is not sure enough."
        return f"{text}: these photos do not show that the network needs one."


def choose_temperature(validation: Evaluation) -> Temperature:
    """Fit the temperature on validation photos, never on test photos.

    The interval holds the temperatures that a likelihood-ratio test does not refuse (Wilks, 1938);
    copies count as one photo.

    Args:
        validation: Numbers of the validation photos, with `split="validation"`.

    Returns:
        The temperature, for `apply_temperature`.

    Raises:
        ValueError: If the numbers are not those of validation photos.
    """
    check_is_validation(validation, "temperature")
    labels, logits = validation.labels, _find_logits(validation.probabilities)
    mistakes, photos = len(validation.mistakes()), len(labels)
    if not mistakes:
        return Temperature(1.0, *_TEMPERATURE_RANGE, photos, 0, "validation")
    value = fit_temperature(logits, labels)
    worth = count_independent(validation.groups) or photos
    allowed = _measure_cross_entropy(logits, labels, value) + chi2.ppf(0.95, 1) / (2 * worth)

    def excess(temperature: float) -> float:
        return _measure_cross_entropy(logits, labels, temperature) - allowed

    ends = [
        float(brentq(excess, *sorted((value, end)))) if excess(end) > 0 else end
        for end in _TEMPERATURE_RANGE
    ]
    return Temperature(value, ends[0], ends[1], photos, mistakes, "validation")


def apply_temperature(temperature: Temperature, evaluation: Evaluation) -> Evaluation:
    """Measure photos anew with probabilities divided by a temperature; the answers stay the same.

    Args:
        temperature: From `choose_temperature`.
        evaluation: Numbers of any photos. On the validation photos themselves the calibration
            error comes out too good.

    Returns:
        The numbers with the new probabilities.
    """
    logits = _find_logits(evaluation.probabilities)
    return evaluate_predictions(
        evaluation.labels,
        softmax(logits / temperature.value, axis=1),
        paths=evaluation.paths,
        class_names=evaluation.class_names,
        groups=evaluation.groups,
        split=evaluation.split,
    )


def _find_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return logits, float64 `(photos, classes)`; 0 counts as the smallest float32."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


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
    bounds = tuple(np.log(_TEMPERATURE_RANGE))
    found = minimize_scalar(
        lambda x: _measure_cross_entropy(logits, labels, float(np.exp(x))),
        bounds=bounds,
        method="bounded",
    )
    return float(np.exp(found.x))


def _measure_cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scaled = logits / temperature
    chosen = np.take_along_axis(scaled, labels[:, np.newaxis], axis=1)[:, 0]
    return float((logsumexp(scaled, axis=1) - chosen).mean())
