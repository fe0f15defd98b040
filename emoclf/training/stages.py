"""Training in stages: first the head of a network that knows something already, then more of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from emoclf.config import CLASS_NAMES, Settings
from emoclf.data.loading import balanced_class_weights
from emoclf.data.splitting import load_manifest
from emoclf.models import FineTuningStage, freeze_for_fine_tuning
from emoclf.models.model_file import ModelInfo
from emoclf.storage import naming_full_disk
from emoclf.training.callbacks import make_callbacks
from emoclf.training.copying import CopyRun
from emoclf.training.fitting import compile_model, describe_facts, make_learning_rate
from emoclf.training.locking import hold_run
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import TrainingResult, finish_run

if TYPE_CHECKING:
    import tensorflow as tf

RATE_DIVISOR = 20
"""After the head, the largest step size is this many times smaller."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Attributes:
        learns: What learns: see `freeze_for_fine_tuning`.
        epochs: Passes over the training photos at most.
        learning_rate: Largest step size of the stage.
    """

    learns: FineTuningStage
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


def train_in_stages(
    model: keras.Model,
    train: tf.data.Dataset,
    *,
    validation: tf.data.Dataset,
    run_folder: str | Path,
    settings: Settings,
    stages: Sequence[Stage] | None = None,
    class_weights: Mapping[int, float] | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    copies: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    verbose: int | str = "auto",
) -> TrainingResult:
    """Train a network that knows something already, and keep everything of it in the run folder.

    Every stage freezes what is not to learn, compiles anew with its own warm-up and cosine, and
    starts from the best epoch of the stage before it. The epochs are counted through, so the
    curves of all stages are one history. The model ends with the weights of the best epoch of all.
    Stopped at any moment and called again, it goes on after the last whole epoch, as `train_model`.

    Args:
        model: From `build_transfer_model` or `load_face_network`.
        train: Batches of the training photos.
        validation: Batches of the validation photos.
        run_folder: A folder made by `start_run`.
        settings: As for `train_model`; the patience counts within a stage.
        stages: What learns when; default: `plan_stages(settings)`.
        class_weights: As for `train_model`.
        class_names: Names in label order.
        copies: As for `train_model`.
        say: Called with a line about every stage, such as `print`.
        verbose: As in Keras' `fit`.

    Returns:
        The history of all stages, the best epoch and whether the model collapsed.

    Raises:
        ResumeRefusedError: If the run folder holds the state of another training.
        RunInUseError: If another process writes the run folder.
        ValueError: If there is no stage.
    """
    stages = plan_stages(settings) if stages is None else tuple(stages)
    if not stages:
        raise ValueError("stages should hold at least one Stage. Received none.")
    with hold_run(run_folder):
        return _train(
            model,
            train,
            validation=validation,
            run_folder=Path(run_folder),
            settings=settings,
            stages=stages,
            class_weights=class_weights,
            class_names=class_names,
            copies=copies,
            say=say,
            verbose=verbose,
        )


def _train(
    model: keras.Model,
    train: tf.data.Dataset,
    *,
    validation: tf.data.Dataset,
    run_folder: Path,
    settings: Settings,
    stages: Sequence[Stage],
    class_weights: Mapping[int, float] | None,
    class_names: tuple[str, ...],
    copies: str | Path | None,
    say: Callable[[str], None],
    verbose: int | str,
) -> TrainingResult:
    info = ModelInfo(class_names, settings.image_size, settings.resize_mode, settings.subject)
    if class_weights is None and settings.class_weights:
        labels = load_manifest(run_folder / "split.json").labels("train")
        class_weights = balanced_class_weights(labels, len(class_names))
    callbacks = make_callbacks(
        run_folder, info=info, patience=settings.patience, averaging=settings.averaging > 0
    )
    copying = [CopyRun(run_folder, copies)] if copies is not None else []
    history: dict[str, list[float]] = {}
    best = (float("inf"), model.get_weights())
    for number, stage in enumerate(stages, start=1):
        _begin_stage(model, stage, settings, steps_per_epoch=len(train))
        say(describe_stage(model, stage))
        done = len(history.get("loss", ()))
        facts = describe_facts(settings, class_weights) | {"stage": asdict(stage)}
        keep = KeepState(
            run_folder, train, callbacks=callbacks, facts=facts, part=f"{number}-{stage.learns}"
        )
        if keep.epochs_done:
            say(keep.describe())
        with naming_full_disk(run_folder):
            fitted = model.fit(
                train,
                validation_data=validation,
                initial_epoch=keep.initial_epoch or done,
                epochs=done + stage.epochs,
                class_weight=dict(class_weights) if class_weights else None,
                callbacks=[*callbacks, keep, *copying],
                shuffle=False,  # the data set shuffles itself
                verbose=verbose,
            )
        for name, values in fitted.history.items():
            history.setdefault(name, []).extend(values)
        # Early stopping has given the model the best weights of this stage.
        best = min(best, (min(fitted.history["val_loss"]), model.get_weights()), key=_loss_of)
        model.set_weights(best[1])
    result = finish_run(model, history, validation, run_folder=run_folder, info=info)
    for each in copying:
        each.finish()
    return result


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


def _begin_stage(
    model: keras.Model, stage: Stage, settings: Settings, *, steps_per_epoch: int
) -> None:
    freeze_for_fine_tuning(model, stage.learns)
    rate = make_learning_rate(
        steps_per_epoch, epochs=stage.epochs, learning_rate=stage.learning_rate
    )
    compile_model(model, learning_rate=rate, averaging=settings.averaging)


def _loss_of(candidate: tuple[float, list[np.ndarray]]) -> float:
    return candidate[0]
