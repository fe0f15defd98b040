"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`train_model` does in one call what the lesson does in visible steps: it compiles, makes the
callbacks, fits and finishes the run folder with the functions of this module.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from emoclf.artefacts import MODEL_FILE_NAME, ModelInfo, save_model
from emoclf.config import CLASS_NAMES, Settings
from emoclf.datasets import balanced_class_weights
from emoclf.evaluation import Evaluation, collect_predictions, describe_collapse
from emoclf.runtime import find_versions, make_run_folder
from emoclf.splits import SplitManifest, load_manifest, save_manifest
from emoclf.storage import write_json

if TYPE_CHECKING:
    import tensorflow as tf

CHECKPOINT_FILE_NAME = "best.keras"
"""Name of the checkpoint of the best epoch inside a run folder."""

OVERFITTING_GAP = 0.08
"""A larger lead of the training accuracy over the validation accuracy is called overfitting."""


@dataclass(frozen=True)
class TrainingResult:
    """What one training came to.

    Attributes:
        run_folder: The folder with everything of the run.
        history: Metric name to one float per epoch, as Keras' `History.history`.
        best_epoch: The epoch with the lowest validation loss, counted from 1.
        collapse: A sentence when the model gives one answer to all validation photos, else None.
    """

    run_folder: Path
    history: dict[str, list[float]]
    best_epoch: int
    collapse: str | None


class BestCheckpoint(keras.callbacks.Callback):
    """Save the model whenever the validation loss is lower than ever before.

    Keras' own `ModelCheckpoint` writes in place, so a process that stops during a save loses the
    checkpoint it had. Here the file is whole or not touched, and it is a complete emoclf model.

    Args:
        path: The `.keras` file.
        info: Classes, size, resize mode and subject of the model.
    """

    def __init__(self, path: str | Path, info: ModelInfo) -> None:
        """Remember where to save; nothing is written yet."""
        super().__init__()
        self.path = Path(path)
        self.info = info
        self.best = float("inf")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Save when `val_loss` has improved."""
        loss = (logs or {}).get("val_loss")
        if loss is None:
            raise ValueError(
                "BestCheckpoint needs a validation loss: pass validation_data to model.fit."
            )
        if loss < self.best:
            self.best = loss
            save_model(self.model, self.path, info=self.info)


class HistoryFile(keras.callbacks.Callback):
    """Append the numbers of each epoch to a CSV file that can be read while training goes on.

    Args:
        path: The CSV file: a column `epoch`, counted from 1, and one per metric.
    """

    def __init__(self, path: str | Path) -> None:
        """Remember where to write; nothing is written yet."""
        super().__init__()
        self.path = Path(path)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Append one row."""
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        is_new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)


def start_run(
    settings: Settings,
    manifest: SplitManifest,
    *,
    logs: str | Path = "logs",
    name: str | None = None,
) -> Path:
    """Make the folder of a run and write down what it is made from.

    Args:
        settings: The run's settings, written to `settings.json`.
        manifest: Its split, written to `split.json`: `cache.manifest` where photos without a face
            were left out, so that the run tells what was learned from.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.

    Returns:
        The run folder, with `settings.json`, `split.json` and `versions.json`.
    """
    folder = make_run_folder(logs, name=name)
    write_json(folder / "settings.json", settings.to_dict())
    write_json(folder / "versions.json", find_versions())
    save_manifest(manifest, folder / "split.json")
    return folder


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
) -> keras.Model:
    """Tell a model how to learn: Adam, cross-entropy, accuracy.

    Args:
        model: A model that returns probabilities `(batch, classes)`.
        learning_rate: Step size, or a schedule of it.

    Returns:
        The same model, compiled.
    """
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def make_callbacks(
    run_folder: str | Path, *, info: ModelInfo, patience: int = 8, tensorboard: bool = True
) -> list[keras.callbacks.Callback]:
    """Make what watches over a training.

    In this order: the checkpoint of the best epoch, `history.csv`, TensorBoard, and early stopping,
    which at its end gives the model the weights of its best epoch.

    Args:
        run_folder: The run's folder.
        info: Classes, size, resize mode and subject of the model, for the checkpoint.
        patience: Epochs without a better validation loss before training stops.
        tensorboard: Whether TensorBoard's files are written.

    Returns:
        The callbacks for `model.fit`.
    """
    folder = Path(run_folder)
    callbacks = [
        BestCheckpoint(folder / CHECKPOINT_FILE_NAME, info),
        HistoryFile(folder / "history.csv"),
    ]
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    callbacks.append(
        keras.callbacks.EarlyStopping(
            monitor="val_loss",
            patience=patience,
            restore_best_weights=True,
        )
    )
    return callbacks


def finish_run(
    model: keras.Model,
    history: Mapping[str, list[float]],
    validation: tf.data.Dataset,
    *,
    run_folder: str | Path,
    info: ModelInfo,
) -> TrainingResult:
    """Save the finished model and look whether it has collapsed to one class.

    Args:
        model: The trained model.
        history: Metric name to one value per epoch, with `val_loss`.
        validation: Batches of the validation photos.
        run_folder: The run's folder; the model goes to `model.keras` in it.
        info: Classes, size, resize mode and subject of the model.

    Returns:
        The best epoch and whether the model collapsed.
    """
    folder = Path(run_folder)
    save_model(model, folder / MODEL_FILE_NAME, info=info)
    _, probabilities = collect_predictions(model, validation)
    numbers = {name: [float(value) for value in values] for name, values in history.items()}
    losses = numbers["val_loss"]
    return TrainingResult(
        run_folder=folder,
        history=numbers,
        best_epoch=losses.index(min(losses)) + 1,
        collapse=describe_collapse(probabilities, class_names=info.class_names),
    )


def train_model(
    model: keras.Model,
    train: tf.data.Dataset,
    *,
    validation: tf.data.Dataset,
    run_folder: str | Path,
    settings: Settings,
    class_weights: Mapping[int, float] | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    verbose: int | str = "auto",
) -> TrainingResult:
    """Compile and train a model and keep everything of it in the run folder.

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
        verbose: As in Keras' `fit`: 0 is silent, 1 a progress bar, 2 a line per epoch.

    Returns:
        The history, the best epoch and whether the model collapsed.
    """
    info = ModelInfo(class_names, settings.image_size, settings.resize_mode, settings.subject)
    if class_weights is None and settings.class_weights:
        labels = load_manifest(Path(run_folder) / "split.json").labels("train")
        class_weights = balanced_class_weights(labels, len(class_names))
    learning_rate = make_learning_rate(
        len(train), epochs=settings.epochs, learning_rate=settings.learning_rate
    )
    compile_model(model, learning_rate=learning_rate)
    history = model.fit(
        train,
        validation_data=validation,
        epochs=settings.epochs,
        class_weight=dict(class_weights) if class_weights else None,
        callbacks=make_callbacks(run_folder, info=info, patience=settings.patience),
        shuffle=False,  # the data set shuffles itself
        verbose=verbose,
    )
    return finish_run(model, history.history, validation, run_folder=run_folder, info=info)


def describe_history(history: Mapping[str, list[float]]) -> str:
    """Read the learning curves in words.

    Args:
        history: `loss`, `val_loss`, `accuracy`, `val_accuracy`, one value per epoch each.

    Returns:
        Two or three sentences: which epoch was kept and why, whether the network learns the
        training photos by heart, and whether more epochs could help.
    """
    losses = history["val_loss"]
    best = losses.index(min(losses))
    trained, validated = history["accuracy"][best], history["val_accuracy"][best]
    sentences = [
        f"Epoch {best + 1} of {len(losses)} is kept: its validation loss, {losses[best]:.3f}, is "
        f"the lowest. It gets {trained:.1%} of the (augmented) training photos and "
        f"{validated:.1%} of the validation photos right."
    ]
    if trained - validated > OVERFITTING_GAP:
        sentences.append(
            f"The gap of {100 * (trained - validated):.0f} points means that it learns training "
            "photos by heart (overfitting): more photos, more dropout or a smaller network help."
        )
    else:
        sentences.append("Validation keeps up with training: no sign of learning by heart.")
    if best == len(losses) - 1:
        sentences.append("The last epoch is the best one, so more epochs may help.")
    return " ".join(sentences)


def save_evaluation(evaluation: Evaluation, run_folder: str | Path, *, split: str = "test") -> Path:
    """Keep an evaluation in the run folder: the numbers and one row per photo.

    Args:
        evaluation: The numbers of one split.
        run_folder: The run's folder.
        split: Name of the split; the test's numbers go to `metrics.json`.

    Returns:
        The path of the JSON file; the table lies beside it, in `predictions.csv`.
    """
    folder, prefix = Path(run_folder), "" if split == "test" else f"{split}_"
    evaluation.save_table(folder / f"{prefix}predictions.csv")
    numbers: dict[str, Any] = {"split": split, **evaluation.to_dict()}
    return write_json(folder / f"{prefix}metrics.json", numbers)
