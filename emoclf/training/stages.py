"""Training in stages: first the head of a network that knows something already, then more of it."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from emoclf.config import Settings
from emoclf.models import FineTuningStage

RATE_DIVISOR = 20
"""After the head, the largest step size is this many times smaller."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Attributes:
        learns: What learns: see `freeze_for_fine_tuning`; None leaves everything as it is built.
        epochs: Passes over the training photos at most.
        learning_rate: Largest step size of the stage.
    """

    learns: FineTuningStage | None
    epochs: int
    learning_rate: float


def plan_stages(settings: Settings) -> tuple[Stage, ...]:
    """Divide a training into stages.

    Args:
        settings: Epochs and learning rate of the whole training, and which network.

    Returns:
        A third of the epochs for the head at the settings' rate, the rest at a twentieth of it for
        the top of the network too, or for all of the packaged face network, which is small.
    """
    first = max(1, round(settings.epochs / 3))
    stages = [Stage("head", first, settings.learning_rate)]
    if settings.epochs > first:
        learns: FineTuningStage = "all" if settings.network == "face" else "top"
        rate = settings.learning_rate / RATE_DIVISOR
        stages.append(Stage(learns, settings.epochs - first, rate))
    return tuple(stages)


def choose_stages(settings: Settings) -> tuple[Stage, ...]:
    """Divide a training into stages where the network knows something already, else into one.

    Args:
        settings: Epochs and learning rate of the whole training, and which network.

    Returns:
        `plan_stages(settings)`, or one stage in which the whole network learns.
    """
    whole = Stage(None, settings.epochs, settings.learning_rate)
    return plan_stages(settings) if settings.is_pretrained else (whole,)


def describe_stage(model: keras.Model, stage: Stage) -> str:
    """Say what of a model learns in a stage, after `freeze_for_fine_tuning`.

    Args:
        model: The model.
        stage: The stage.

    Returns:
        One line, such as `head: 1,154 of 940,274 weights learn, 5 epochs at up to 0.002`.
    """
    learning = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    noun = "epoch" if stage.epochs == 1 else "epochs"
    return (
        f"{stage.learns}: {learning:,} of {model.count_params():,} weights learn, "
        f"{stage.epochs} {noun} at up to {stage.learning_rate:g}"
    )
