"""Which learning rate? Try them all for one step each and look at the loss (Smith, 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from emoclf.config import SEED
from emoclf.models import copy_network
from emoclf.training.fitting import compile_model

FEWEST_STEPS = 20
"""Fewer points than this are no curve."""

_DIVERGED = 4.0
_SMALLEST_FALL = 0.02


@dataclass(frozen=True, eq=False)
class LearningRateCurve:
    """What a short training at ever larger learning rates has shown.

    Attributes:
        rates: float64 `(steps,)`: the rate of each step, rising.
        losses: float64 `(steps,)`: the loss of each batch before its step.
        smoothed_losses: float64 `(steps,)`: their moving average.
        suggestion: A rate to use as the largest one of a training; None when the loss never falls.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed_losses: np.ndarray
    suggestion: float | None

    def describe(self) -> str:
        """Return what to do, in a sentence or two."""
        tried = f"{self.rates[0]:.0e} to {self.rates[-1]:.0e}"
        if self.suggestion is None:
            return (
                f"The loss does not fall at any learning rate from {tried}: look at the photos "
                "and the labels, or try another range."
            )
        lowest = self.rates[int(np.argmin(self.smoothed_losses))]
        return (
            f"Suggested learning rate: {self.suggestion:.1e}. The loss falls most steeply there; "
            f"it is lowest at {lowest:.1e} (tried: {tried})."
        )


def find_learning_rate(
    model: keras.Model,
    dataset: Iterable[tuple[Any, Any]],
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 120,
    smoothing: float = 0.9,
    seed: int = SEED,
) -> LearningRateCurve:
    """Train a copy of the network for a few steps, each at a larger rate, and watch its loss.

    At small rates nothing happens, then the loss falls, then it climbs again: the rate where it
    falls most steeply is a good largest rate for a training (Smith, 2017, arXiv:1506.01186). It
    stops early once the loss is four times its lowest. The model itself stays as it is: weights,
    optimizer, what is frozen.

    Args:
        model: A network that returns probabilities; what is frozen stays so.
        dataset: Batches of `(images, labels)`, gone through as often as needed.
        lowest: First rate.
        highest: Last rate; those between grow by the same factor from step to step.
        steps: Batches to train on, at least 20.
        smoothing: Weight of what was before in the moving average, 0 to 1.
        seed: Seed of dropout and augmentation. The same seed and the same batches in the same
            order give the same curve; a data set that shuffles gives new batches every time.

    Returns:
        The curve, with a suggestion.

    Raises:
        ValueError: If the range, the steps or the smoothing are out of theirs, the data set is
            empty, or the loss is no number from the start.

    Example:
        >>> curve = find_learning_rate(model, train)  # doctest: +SKIP
        >>> Settings(learning_rate=curve.suggestion)  # doctest: +SKIP
    """
    if not 0 < lowest < highest or steps < FEWEST_STEPS or not 0 <= smoothing < 1:
        raise ValueError(
            f"Expected 0 < lowest < highest, at least {FEWEST_STEPS} steps and smoothing from 0 "
            f"to below 1. Received: lowest={lowest}, highest={highest}, steps={steps}, "
            f"smoothing={smoothing}."
        )
    copy = compile_model(copy_network(model), learning_rate=lowest)
    _seed_layers(copy, seed)
    rates = np.geomspace(lowest, highest, steps)
    losses: list[float] = []
    smoothed: list[float] = []
    for rate, (images, labels) in zip(rates, _repeat(dataset), strict=False):
        copy.optimizer.learning_rate = rate
        copy.reset_metrics()  # Keras would return the average over all steps so far
        loss = float(copy.train_on_batch(images, labels)[0])
        if not np.isfinite(loss):
            break
        losses.append(loss)
        smoothed.append(_average(losses, smoothing))
        if smoothed[-1] > _DIVERGED * min(smoothed):
            break
    if len(losses) < 2:
        raise ValueError(
            f"The loss is {loss} at the rate {rate:.1e} already: start with a smaller one, and "
            "look whether labels are 0 to the number of classes less one."
        )
    points = rates[: len(losses)], np.array(losses), np.array(smoothed)
    return LearningRateCurve(*points, suggestion=_suggest(points[0], points[2], steps=steps))


def _repeat(dataset: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    while True:
        is_empty = True
        for batch in dataset:
            is_empty = False
            yield batch
        if is_empty:
            raise ValueError("dataset holds no batch. Give batches of (images, labels).")


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Set the state of every random layer, without touching Keras' global seed."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed_generator_state" in variable.path:
            variable.assign(random.integers(0, 2**31, variable.shape).astype("uint32"))


def _average(losses: list[float], smoothing: float) -> float:
    """Average, the last losses most; the first ones are not pulled to zero (Kingma, Ba, 2015)."""
    weights = smoothing ** np.arange(len(losses))[::-1]
    return float(np.average(losses, weights=weights))


def _suggest(rates: np.ndarray, smoothed: np.ndarray, *, steps: int) -> float | None:
    """Find where the loss falls most steeply on its way to its lowest.

    The slope is taken over a fifth of the range, so that a lucky batch is no slope.
    """
    half, end = max(1, steps // 10), int(np.argmin(smoothed))
    if end < half or smoothed[end] > (1 - _SMALLEST_FALL) * smoothed[:half].mean():
        return None
    centres = range(half, end + 1)
    falls = [smoothed[i - half] - smoothed[min(i + half, end)] for i in centres]
    return float(rates[centres[int(np.argmax(falls))]])
