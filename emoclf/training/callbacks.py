"""What watches over a training: the best epoch, the history, TensorBoard, early stopping."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import keras

from emoclf.config import CHECKPOINT_FILE_NAME
from emoclf.images import ModelInfo
from emoclf.models.model_file import save_model
from emoclf.storage import open_regular, replacing
from emoclf.training.ema import EMAWeights
from emoclf.training.event_files import EventFiles


class BestCheckpoint(keras.callbacks.Callback):
    """Save the model whenever the validation loss is lower than ever before.

    Keras' own `ModelCheckpoint` writes in place, so a process that stops during a save loses the
    checkpoint it had. Here the file is whole or not touched, and it is a complete emoclf model.

    Args:
        path: The `.keras` file.
        info: Classes, size, resize mode and crop of the model.
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

    def get_state(self) -> dict[str, float]:
        """Return the lowest validation loss, for `KeepState`."""
        return {"best": self.best}

    def set_state(self, state: Mapping[str, float]) -> None:
        """Take back what `get_state` returned."""
        self.best = float(state["best"])


class HistoryFile(keras.callbacks.Callback):
    """Write the numbers of all epochs to a CSV file that can be read while training goes on.

    The file is written as a whole after every epoch, so that no row is ever torn. With `KeepState`
    the state that a training goes on from decides which rows are there before; without it, a file
    that exists is continued.

    Args:
        path: The CSV file: a column `epoch`, counted from 1, and one per metric.
    """

    def __init__(self, path: str | Path) -> None:
        """Remember where to write; nothing is written yet."""
        super().__init__()
        self.path = Path(path)
        self._text: str | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Add one row."""
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        text = self._read() if self._text is None else self._text
        content = io.StringIO(newline="")
        writer = csv.DictWriter(content, fieldnames=list(row))
        if not text:
            writer.writeheader()
        writer.writerow(row)
        self._text = text + content.getvalue()
        self._write(self._text)

    def get_state(self) -> dict[str, str]:
        """Return what the file holds, for `KeepState`."""
        return {"text": self._text or ""}

    def set_state(self, state: Mapping[str, str]) -> None:
        """Put the file back: without rows of epochs that will be trained again."""
        if not isinstance(state["text"], str):
            raise TypeError("the history is no text")
        self._text = state["text"]
        self.settle()

    def settle(self) -> None:
        """Make the file what this object knows: nothing, where no epoch is done."""
        self._text = self._text or ""
        if not self._text:
            self.path.unlink(missing_ok=True)
        elif self._read() != self._text:
            self._write(self._text)

    def _read(self) -> str:
        if not self.path.exists():
            return ""
        with open_regular(self.path, what="the history of a run") as file:
            return file.read().decode("utf-8", "replace")

    def _write(self, text: str) -> None:
        with replacing(self.path) as temporary:
            temporary.write_bytes(text.encode("utf-8"))


def make_callbacks(
    run_folder: str | Path,
    *,
    info: ModelInfo,
    patience: int = 8,
    ema_momentum: bool = False,
    tensorboard: bool = True,
) -> list[keras.callbacks.Callback]:
    """Make what watches over a training.

    In this order: the checkpoint of the best epoch, `history.csv`, TensorBoard, and early stopping,
    which at its end gives the model the weights of its best epoch.

    Args:
        run_folder: The run's folder.
        info: Classes, size, resize mode and crop of the model, for the checkpoint.
        patience: Epochs without a better validation loss before training stops.
        ema_momentum: Whether averaged weights are judged and saved (`EMAWeights`), which then
            stands first.
        tensorboard: Whether TensorBoard's files are written.

    Returns:
        The callbacks for `model.fit`.
    """
    folder = Path(run_folder)
    callbacks: list[keras.callbacks.Callback] = [EMAWeights()] if ema_momentum else []
    callbacks += [
        BestCheckpoint(folder / CHECKPOINT_FILE_NAME, info),
        HistoryFile(folder / "history.csv"),
    ]
    if tensorboard:
        callbacks.append(EventFiles(folder / "tensorboard"))
    callbacks.append(
        keras.callbacks.EarlyStopping(
            monitor="val_loss",
            patience=patience,
            restore_best_weights=True,
        )
    )
    return callbacks
