"""Compile and fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from emoclf.config import CLASS_NAMES, Settings
from emoclf.data.loading import balanced_class_weights
from emoclf.data.splitting import load_manifest
from emoclf.models.model_file import ModelInfo
from emoclf.storage import naming_full_disk
from emoclf.training.callbacks import make_callbacks
from emoclf.training.copying import CopyRun
from emoclf.training.locking import hold_run
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import TrainingResult, finish_run

if TYPE_CHECKING:
    import tensorflow as tf


def make_learning_rate(
    steps_per_epoch: int, *, epochs: int, learning_rate: float
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Make the step size rise for a tenth of the training and then fall along a cosine.

    Small first steps keep a fresh network from being thrown off, large ones get it going, and
    small last ones let it settle. Cosine after Loshchilov and Hutter (2017), warm-up after
    Goyal et al. (2017).

    Args:
        steps_per_epoch: Batches per epoch, `len(train)`.
        epochs: Epochs of the whole training.
        learning_rate: The largest step size.

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
    averaging: float = 0,
) -> keras.Model:
    """Tell a model how to learn: Adam, cross-entropy, accuracy.

    Args:
        model: A model that returns probabilities `(batch, classes)`.
        learning_rate: Step size, or a schedule of it.
        averaging: Momentum of the average of the weights, 0 to below 1, for the callback
            `AveragedWeights`; 0 averages nothing.

    Returns:
        The same model, compiled.
    """
    model.compile(
        optimizer=keras.optimizers.Adam(
            learning_rate, use_ema=averaging > 0, ema_momentum=averaging or 0.99
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def train_model(
    model: keras.Model,
    train: tf.data.Dataset,
    *,
    validation: tf.data.Dataset,
    run_folder: str | Path,
    settings: Settings,
    class_weights: Mapping[int, float] | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    copies: str | Path | None = None,
    say: Callable[[str], Any] = lambda _: None,
    verbose: int | str = "auto",
) -> TrainingResult:
    """Compile and train a model and keep everything of it in the run folder.

    Stopped at any moment and called again with the same photos and settings and a model built in
    the same way, it goes on after the last whole epoch (`KeepState`).

    Args:
        model: From `emoclf.models`, with the settings' image size.
        train: Batches of the training photos.
        validation: Batches of the validation photos.
        run_folder: A folder made by `start_run`.
        settings: Epochs, patience, learning rate, image size, resize mode and subject; the last
            three must be those that the photos were cached with.
        class_weights: Label to weight; default: balanced by the training photos of the run's
            split when the settings ask for class weights, else all photos count the same.
        class_names: Names in label order.
        copies: A folder, on Google Drive for example, that gets a copy of the run after every
            epoch (`CopyRun`).
        say: Called with a sentence when it goes on with an earlier training.
        verbose: As in Keras' `fit`: 0 is silent, 1 a progress bar, 2 a line per epoch.

    Returns:
        The history, the best epoch and whether the model collapsed.

    Raises:
        ResumeRefusedError: If the run folder holds the state of another training.
        RunInUseError: If another process writes the run folder.
    """
    with hold_run(run_folder):
        return _train(
            model,
            train,
            validation=validation,
            run_folder=Path(run_folder),
            settings=settings,
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
    class_weights: Mapping[int, float] | None,
    class_names: tuple[str, ...],
    copies: str | Path | None,
    say: Callable[[str], Any],
    verbose: int | str,
) -> TrainingResult:
    info = ModelInfo(class_names, settings.image_size, settings.resize_mode, settings.subject)
    if class_weights is None and settings.class_weights:
        labels = load_manifest(run_folder / "split.json").labels("train")
        class_weights = balanced_class_weights(labels, len(class_names))
    learning_rate = make_learning_rate(
        len(train), epochs=settings.epochs, learning_rate=settings.learning_rate
    )
    compile_model(model, learning_rate=learning_rate, averaging=settings.averaging)
    callbacks = make_callbacks(
        run_folder, info=info, patience=settings.patience, averaging=settings.averaging > 0
    )
    keep = KeepState(
        run_folder, train, callbacks=callbacks, facts=describe_facts(settings, class_weights)
    )
    if keep.epochs_done:
        say(keep.describe())
    copying = [CopyRun(run_folder, copies)] if copies is not None else []
    with naming_full_disk(run_folder):
        history = model.fit(
            train,
            validation_data=validation,
            epochs=settings.epochs,
            initial_epoch=keep.initial_epoch,
            class_weight=dict(class_weights) if class_weights else None,
            callbacks=[*callbacks, keep, *copying],
            shuffle=False,  # the data set shuffles itself
            verbose=verbose,
        )
    result = finish_run(model, history.history, validation, run_folder=run_folder, info=info)
    for each in copying:
        each.finish()
    return result


def describe_facts(settings: Settings, class_weights: Mapping[int, float] | None) -> dict[str, Any]:
    """Return what decides about a training beside its photos and its layers, for `KeepState`.

    Args:
        settings: The run's settings.
        class_weights: Label to weight.

    Returns:
        What JSON can hold.
    """
    weights = {str(label): each for label, each in (class_weights or {}).items()}
    return {**settings.to_dict(), "weights of the classes": weights}
