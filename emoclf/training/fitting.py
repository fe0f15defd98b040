"""Compile and fit: one loop, whether a network is trained at once or in stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from emoclf.config import Settings
from emoclf.data.loading import balanced_class_weights
from emoclf.models import FineTuningStage, freeze_for_fine_tuning
from emoclf.run import Run
from emoclf.storage import naming_full_disk
from emoclf.training.callbacks import CopyRun, make_callbacks
from emoclf.training.locking import hold_run
from emoclf.training.resuming import KeepState, keeps_state
from emoclf.training.run_folder import TrainingResult, finish_run

if TYPE_CHECKING:
    import tensorflow as tf

RATE_DIVISOR = 20
"""After the head, the largest learning rate is this many times smaller."""


class Stage(NamedTuple):
    """One stage of a training.

    Attributes:
        learns: What learns: see `freeze_for_fine_tuning`; None leaves everything as it is built.
        epochs: Passes over the training photos at most.
        learning_rate: Largest learning rate of the stage.
    """

    learns: FineTuningStage | None
    epochs: int
    learning_rate: float


def plan_stages(settings: Settings) -> tuple[Stage, ...]:
    """Divide a training into stages where the network is pretrained.

    Args:
        settings: Epochs and learning rate of the whole training, and which network.

    Returns:
        One stage in which everything learns; for a pretrained network a third of the epochs for
        the head at the settings' rate, the rest at a twentieth of it for the top of the network
        too, or for all of the packaged face network, which is small.
    """
    if not settings.is_pretrained:
        return (Stage(None, settings.epochs, settings.learning_rate),)
    first = max(1, round(settings.epochs / 3))
    head = Stage("head", first, settings.learning_rate)
    if settings.epochs <= first:
        return (head,)
    learns: FineTuningStage = "all" if settings.network == "face" else "top"
    return head, Stage(learns, settings.epochs - first, settings.learning_rate / RATE_DIVISOR)


def describe_stage(model: keras.Model, stage: Stage) -> str:
    """Say what of a model learns in a stage, after `freeze_for_fine_tuning`.

    Returns:
        One line, such as `head: 1,154 of 940,274 weights learn, 5 epochs at up to 0.002`.
    """
    learning = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    noun = "epoch" if stage.epochs == 1 else "epochs"
    return (
        f"{stage.learns}: {learning:,} of {model.count_params():,} weights learn, "
        f"{stage.epochs} {noun} at up to {stage.learning_rate:g}"
    )


def make_learning_rate(
    steps_per_epoch: int, *, epochs: int, learning_rate: float
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Make the learning rate rise for a tenth of the training and then fall along a cosine.

    Small first steps keep a fresh network from being thrown off, large ones get it going, and
    small last ones let it settle. Cosine after Loshchilov and Hutter (2017), warm-up after
    Goyal et al. (2017).

    Args:
        steps_per_epoch: Batches per epoch, `len(train)`.
        epochs: Epochs of the whole training.
        learning_rate: The largest learning rate.

    Returns:
        A schedule for `keras.optimizers.Adam`.
    """
    steps = steps_per_epoch * epochs
    warm_up = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 100,
        decay_steps=max(1, steps - warm_up),
        warmup_target=learning_rate,
        warmup_steps=warm_up,
    )


def compile_model(
    model: keras.Model,
    *,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3,
    ema_momentum: float = 0,
) -> keras.Model:
    """Tell a model how to learn: Adam, cross-entropy, accuracy.

    Args:
        model: A model that returns probabilities `(batch, classes)`.
        learning_rate: The learning rate, or a schedule of it.
        ema_momentum: Momentum of the average of the weights, 0 to below 1, for the callback
            `EMAWeights`; 0 averages nothing.

    Returns:
        The same model, compiled.
    """
    model.compile(
        optimizer=keras.optimizers.Adam(
            learning_rate, use_ema=ema_momentum > 0, ema_momentum=ema_momentum or 0.99
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def begin_stage(
    model: keras.Model, stage: Stage, *, settings: Settings, steps_per_epoch: int
) -> None:
    """Freeze what is not to learn in a stage, and compile the model for it, in place."""
    if stage.learns is not None:
        freeze_for_fine_tuning(model, stage.learns)
    rate = make_learning_rate(
        steps_per_epoch, epochs=stage.epochs, learning_rate=stage.learning_rate
    )
    compile_model(model, learning_rate=rate, ema_momentum=settings.ema_momentum)


def train_model(
    model: keras.Model,
    train: tf.data.Dataset,
    *,
    validation: tf.data.Dataset,
    run: Run | str | Path,
    stages: Sequence[Stage] | None = None,
    class_weights: Mapping[int, float] | None = None,
    copies: str | Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    say: Callable[[str], Any] = lambda _: None,
    verbose: int | str = "auto",
) -> TrainingResult:
    """Compile and train a model, and keep everything of it in the run's folder.

    A pretrained network is trained in stages: each freezes what is not to learn, compiles anew with
    its own warm-up and cosine, and starts from the best epoch of the stage before it. The epochs
    are counted through, so the curves of all stages are one history, and the model ends with the
    weights of the best epoch of all. Stopped at any moment and called again with the same photos
    and a model built in the same way, it goes on after the last whole epoch (`KeepState`).

    Args:
        model: From `emoclf.models`, with the image size of the run's settings.
        train: Batches of the training photos.
        validation: Batches of the validation photos.
        run: From `start_run`. Its settings say how the model is trained; image size, resize mode
            and crop must be those that the photos were cached with.
        stages: What learns when; default: `plan_stages(run.settings)`.
        class_weights: Label to weight; default: balanced by the run's training photos when the
            settings ask for class weights, else all photos count the same.
        copies: A folder, on Google Drive for example, that gets a copy of the run after every
            epoch (`CopyRun`).
        callbacks: Your own, for W&B, MLflow or Trackio, for example. They run behind ours; what
            one remembers is kept and given back if it has `get_state` and `set_state` (`KeepState`)
            or is one of Keras' that count, and a training goes on only with the same ones.
        say: Called with a line about every stage, and when it goes on with an earlier training.
        verbose: As in Keras' `fit`: 0 is silent, 1 a progress bar, 2 a line per epoch.

    Returns:
        The history, the best epoch and whether the model collapsed.

    Raises:
        ResumeRefusedError: If the run folder holds the state of another training.
        RunInUseError: If another process writes the run folder.
        ValueError: If there is no stage.
    """
    run = Run.open(run)
    settings = run.settings
    stages = plan_stages(settings) if stages is None else tuple(stages)
    if not stages:
        raise ValueError("stages should hold at least one Stage. Received none.")
    with hold_run(run.folder):
        if class_weights is None and settings.class_weights:
            labels = run.photos.part("train").labels
            class_weights = balanced_class_weights(labels, len(run.photos.class_names))
        copying = [CopyRun(run, copies)] if copies is not None else []
        history = _fit(
            model,
            train,
            run=run,
            stages=stages,
            # Those that remember something first: a logger more or less moves none of them.
            callbacks=[*make_callbacks(run), *sorted(callbacks, key=keeps_state, reverse=True)],
            copying=copying,
            facts=_list_facts(settings, class_weights, callbacks),
            say=say,
            validation_data=validation,
            class_weight=dict(class_weights) if class_weights else None,
            verbose=verbose,
        )
        result = finish_run(model, history, validation, run=run)
        for each in copying:
            each.finish()
    return result


def _fit(
    model: keras.Model,
    train: tf.data.Dataset,
    *,
    run: Run,
    stages: Sequence[Stage],
    callbacks: Sequence[keras.callbacks.Callback],
    copying: Sequence[CopyRun],
    facts: Mapping[str, Any],
    say: Callable[[str], Any],
    **options: Any,
) -> dict[str, list[float]]:
    """Fit stage by stage, leave the weights of the best epoch, and return the whole history."""
    history: dict[str, list[float]] = {}
    best = (float("inf"), model.get_weights())
    for number, stage in enumerate(stages, start=1):
        begin_stage(model, stage, settings=run.settings, steps_per_epoch=len(train))
        part, told = "", facts
        if stage.learns is not None:
            say(describe_stage(model, stage))
            part, told = f"{number}-{stage.learns}", {**facts, "stage": stage._asdict()}
        keep = KeepState(run, train, callbacks=callbacks, facts=told, part=part)
        if keep.epochs_done:
            say(str(keep))
        done = len(history.get("loss", ()))
        with naming_full_disk(run.folder):
            fitted = model.fit(
                train,
                initial_epoch=keep.initial_epoch or done,
                epochs=done + stage.epochs,
                callbacks=[*callbacks, keep, *copying],
                shuffle=False,  # the data set shuffles itself
                **options,
            )
        for name, values in fitted.history.items():
            history.setdefault(name, []).extend(values)
        # Early stopping has given the model the best weights of this stage.
        if stage.learns is not None:
            here = (min(fitted.history["val_loss"]), model.get_weights())
            best = min(best, here, key=lambda each: each[0])
            model.set_weights(best[1])
    return history


def _list_facts(
    settings: Settings,
    class_weights: Mapping[int, float] | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> dict[str, Any]:
    """Return what decides about a training beside its photos and its layers, for `KeepState`."""
    return {
        **settings.to_dict(),
        "weights of the classes": {str(key): each for key, each in (class_weights or {}).items()},
        "callbacks that remember": [type(each).__name__ for each in callbacks if keeps_state(each)],
    }
