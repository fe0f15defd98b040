"""How long all folds will take, measured on steps of the very training before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emoclf.config import Settings
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.models.networks import build_network
from emoclf.runtime import find_hardware

_TIMED_STEPS = 3


@dataclass(frozen=True)
class TimeEstimate:
    """How long the trainings of a cross-validation will take at most.

    Attributes:
        trainings: How many networks are trained.
        start_seconds: Measured: building a network, and the first step of each kind.
        epoch_seconds: Mean seconds of an epoch, from measured training and validation steps.
        epochs: Epochs of one training at most.
    """

    trainings: int
    start_seconds: float
    epoch_seconds: float
    epochs: int

    @property
    def seconds(self) -> float:
        """Seconds for everything; early stopping makes it less."""
        return self.trainings * (self.start_seconds + self.epochs * self.epoch_seconds)

    def describe(self) -> str:
        """Return the estimate as a sentence."""
        return (
            f"{self.trainings} trainings of at most {self.epochs} epochs: about "
            f"{format_seconds(self.seconds)} in all, measured on {_TIMED_STEPS} steps "
            f"({self.epoch_seconds:.1f} s per epoch, {self.start_seconds:.1f} s to start each); "
            "early stopping makes it less."
        )


def format_seconds(seconds: float) -> str:
    """Return a duration for reading.

    Example:
        >>> format_seconds(42), format_seconds(600), format_seconds(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate_time(cache: PhotoCache, settings: Settings, *, trainings: int) -> TimeEstimate:
    """Take a few steps of a training and say how long all of them will take.

    Args:
        cache: The photos; its manifest is the split of one fold.
        settings: What will be trained.
        trainings: How many times.

    Returns:
        The estimate.
    """
    from emoclf.training import choose_precision, choose_stages, use_precision
    from emoclf.training.fitting import begin_stage

    size = settings.batch_size
    train = make_dataset(cache, "train", batch_size=size)
    validation = make_dataset(cache, "validation", batch_size=size)
    batch = tuple(part.numpy() for part in next(iter(train)))
    policy = choose_precision(find_hardware()) if settings.precision == "auto" else "float32"
    begun = time.perf_counter()
    with use_precision(policy):
        model = build_network(settings, cache.class_names)
    start, total = time.perf_counter() - begun, 0.0
    for stage in choose_stages(settings):
        begin_stage(model, stage, settings=settings, steps_per_epoch=len(train))
        first, step = _time(lambda: model.train_on_batch(*batch))
        first_look, look = _time(lambda: model.test_on_batch(*batch))
        start += first + first_look
        total += stage.epochs * (len(train) * step + len(validation) * look)
    return TimeEstimate(trainings, start, total / settings.epochs, settings.epochs)


def _time(task: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds of the first call, and of one of the calls after it."""
    times = [time.perf_counter()]
    for _ in range(1 + _TIMED_STEPS):
        task()
        times.append(time.perf_counter())
    return times[1] - times[0], (times[-1] - times[1]) / _TIMED_STEPS
