"""LR range test (Smith, 2017): every learning rate for one step, and what the loss does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from emoclf.config import SEED
from emoclf.display import Displayed
from emoclf.models import copy_network
from emoclf.training.fitting import compile_model

FEWEST_STEPS = 20
"""Fewer points than this are no curve."""

_DIVERGED, _LAST = 4.0, 5
_SMALLEST_FALL = 0.02


@dataclass(frozen=True, eq=False)
class LearningRateCurve(Displayed):
    """What a short training at ever larger learning rates has shown.

    Attributes:
        rates: float64 `(steps,)`: the rate of each step, rising.
        losses: float64 `(steps,)`: the loss of each batch before its step.
        smoothed_losses: float64 `(steps,)`: the losses around each rate, averaged.
        suggestion: A rate to use as the largest one of a training; None when the loss falls no
            further than chance would have it.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed_losses: np.ndarray
    suggestion: float | None

    def blocks(self) -> Iterable[str]:
        """Say what to do."""
        tried = f"{self.rates[0]:.0e} to {self.rates[-1]:.0e}"
        if self.suggestion is None:
            yield (
                f"In {len(self.rates)} steps the loss does not clearly fall at any learning rate "
                f"from {tried}: give more steps or larger batches. A network that learns hard "
                "photos from scratch may need epochs before it begins: keep the default there."
            )
            return
        lowest = self.rates[int(np.argmin(self.smoothed_losses))]
        yield (
            f"Suggested learning rate: {self.suggestion:.1e}. The loss falls most steeply there; "
            f"it is lowest at {lowest:.1e} (tried: {tried})."
        )


def find_learning_rate(
    model: keras.Model,
    dataset: Iterable[tuple[Any, Any]],
    *,
    lowest: float = 1e-5,
    highest: float = 1.0,
    steps: int = 200,
    smoothing: float = 0.06,
    seed: int = SEED,
) -> LearningRateCurve:
    """Run an LR range test: a few steps of a copy, each at a larger learning rate.

    At small rates nothing happens, then the loss falls, then it rises again: the rate where it
    falls most steeply is a good largest rate for a training (Smith, 2017, arXiv:1506.01186). It
    stops early once the loss is four times what it was. The model itself stays as it is: weights,
    optimizer, what is frozen.

    Args:
        model: A network that returns probabilities; what is frozen stays so.
        dataset: Batches of `(images, labels)`, gone through as often as needed.
        lowest: First rate.
        highest: Last rate; those between grow by the same factor from step to step.
        steps: Batches to train on, at least 20.
        smoothing: Width of the average (sigma of a Gaussian) as a fraction of the steps, above 0 to
            0.5. It looks both ways, so that it does not lag behind and suggest too much.
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
    if not 0 < lowest < highest or steps < FEWEST_STEPS or not 0 < smoothing <= 0.5:
        raise ValueError(
            f"Expected 0 < lowest < highest, at least {FEWEST_STEPS} steps and smoothing above 0, "
            f"up to 0.5. Received: lowest={lowest}, highest={highest}, steps={steps}, "
            f"smoothing={smoothing}."
        )
    copy = compile_model(copy_network(model), learning_rate=lowest)
    _seed_layers(copy, seed)
    rates = np.geomspace(lowest, highest, steps)
    losses: list[float] = []
    for rate, (images, labels) in zip(rates, _repeat(dataset), strict=False):
        copy.optimizer.learning_rate = rate
        copy.reset_metrics()  # Keras would return the average over all steps so far
        loss = float(copy.train_on_batch(images, labels)[0])
        if not np.isfinite(loss):
            break
        losses.append(loss)
        if np.mean(losses[-_LAST:]) > _DIVERGED * np.mean(losses[:_LAST]):
            break
    if len(losses) < 2:
        raise ValueError(
            f"The loss is {loss} at the rate {rate:.1e} already: start with a smaller one, and "
            "check that the labels are 0 to the number of classes less one."
        )
    raw, width = np.array(losses), max(1.0, smoothing * steps)
    smoothed = _smooth(raw, width)
    suggestion = _suggest(rates[: len(raw)], raw, smoothed, width=width)
    return LearningRateCurve(rates[: len(raw)], raw, smoothed, suggestion)


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


def _smooth(losses: np.ndarray, width: float) -> np.ndarray:
    """Average each loss with those around it, by a Gaussian of that many steps."""
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, np.newaxis] - steps) / width) ** 2)
    return weights @ losses / weights.sum(axis=1)


def _suggest(
    rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, *, width: float
) -> float | None:
    """Find where the loss falls most steeply on its way to its lowest."""
    end = int(np.argmin(smoothed))
    chance = np.std((losses - smoothed)[: end + 1]) / np.sqrt(2 * np.sqrt(np.pi) * width)
    if end < 2 or smoothed[0] - smoothed[end] < max(_SMALLEST_FALL * smoothed[0], 3 * chance):
        return None
    slopes = np.gradient(smoothed[: end + 1], np.log10(rates[: end + 1]))
    return float(rates[int(np.argmin(slopes))])
