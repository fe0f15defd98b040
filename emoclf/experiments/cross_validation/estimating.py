"""How long all folds will take, measured on steps of the very training before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

from emoclf.config import Settings
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.experiments.timing import TIMED_STEPS, describe_seconds, time_calls
from emoclf.models import build_network
from emoclf.runtime import find_hardware


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
            f"{self.trainings} trainings of at most {self.epochs} epochs: "
            f"{describe_seconds(self.seconds)} in all, measured on {TIMED_STEPS} steps "
            f"({self.epoch_seconds:.1f} s per epoch, {self.start_seconds:.1f} s to start each); "
            "early stopping makes it less."
        )


def estimate_time(cache: PhotoCache, settings: Settings, *, trainings: int) -> TimeEstimate:
    """Take a few steps of a training and say how long all of them will take.

    Args:
        cache: The photos; its photos is the split of one fold.
        settings: What will be trained.
        trainings: How many times.

    Returns:
        The estimate.
    """
    from emoclf.training import choose_precision, plan_stages, use_precision
    from emoclf.training.fitting import begin_stage

    size = settings.batch_size
    train = make_dataset(cache, "train", batch_size=size)
    validation = make_dataset(cache, "validation", batch_size=size)
    batch = tuple(part.numpy() for part in next(iter(train)))
    policy = choose_precision(find_hardware()) if settings.precision == "auto" else "float32"
    begun = time.perf_counter()
    with use_precision(policy):
        model = build_network(settings, cache.photos.class_names)
    start, total = time.perf_counter() - begun, 0.0
    for stage in plan_stages(settings):
        begin_stage(model, stage, settings=settings, steps_per_epoch=len(train))
        first, step = time_calls([lambda: model.train_on_batch(*batch)] * (1 + TIMED_STEPS))
        first_look, look = time_calls([lambda: model.test_on_batch(*batch)] * (1 + TIMED_STEPS))
        start += first + first_look
        total += stage.epochs * (len(train) * step + len(validation) * look)
    return TimeEstimate(trainings, start, total / settings.epochs, settings.epochs)
