"""What watches over a training: the best epoch, the history, TensorBoard, EMA, early stopping.

What one remembers is kept by `KeepState`, through `get_state` and `set_state`; `settle` makes its
files what the state says.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.config import CHECKPOINT_FILE_NAME
from emoclf.images import ModelInfo
from emoclf.models.model_file import save_model
from emoclf.run import Run
from emoclf.storage import open_regular, parse_json, replacing
from emoclf.training.run_folder import copy_or_warn
from emoclf.training.state import list_shapes

Logs = Mapping[str, float] | None


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

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
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
        """Return the lowest validation loss."""
        return {"best": self.best}

    def set_state(self, state: Mapping[str, float]) -> None:
        """Take back what `get_state` returned."""
        self.best = float(state["best"])


class HistoryFile(keras.callbacks.Callback):
    """Write the numbers of all epochs to a CSV file that can be read while training goes on.

    The file is written as a whole after every epoch, so that no row is ever torn. With `KeepState`
    the state decides which rows are there before; without it, a file that exists is continued.

    Args:
        path: The CSV file: a column `epoch`, counted from 1, and one per metric.
    """

    def __init__(self, path: str | Path) -> None:
        """Remember where to write; nothing is written yet."""
        super().__init__()
        self.path = Path(path)
        self._text: str | None = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
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
        """Return what the file holds."""
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


class EventFiles(keras.callbacks.TensorBoard):
    """Write TensorBoard's files, and let the state of a training decide what they hold.

    Events are only ever added to a file, so its length at the end of an epoch says what it held.
    When a training goes on, what came after that is cut off, and files that no saved epoch has
    written are removed: the epochs in them are trained again. Keras' own callback leaves them,
    and forgets up to two minutes of events when it is killed.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: str | Path) -> None:
        """Remember where to write; nothing is written yet."""
        super().__init__(folder)
        self._root = Path(folder)
        self._older: dict[str, int] = {}
        self._kept: dict[str, int] = {}

    def set_model(self, model: keras.Model) -> None:
        """Measure what is there, before this training adds its own files."""
        self._older = self._measure()
        super().set_model(model)

    def get_state(self) -> dict[str, str]:
        """Return the length of every file."""
        for writer in self._writers.values():
            writer.flush()
        self._kept = self._measure()
        return {"files": json.dumps(self._kept)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `get_state` returned."""
        what = "the lengths of TensorBoard's files"
        content = state["files"].encode()
        self._kept = parse_json(content, name="the state", what=what, kind=dict[str, int])

    def settle(self) -> None:
        """Make the files what the state says."""
        for name, size in self._older.items():
            kept = self._kept.get(name, 0)
            if not kept:
                (self._root / name).unlink(missing_ok=True)
            elif kept < size:
                os.truncate(self._root / name, kept)

    def _measure(self) -> dict[str, int]:
        return {
            path.relative_to(self._root).as_posix(): path.stat().st_size
            for path in sorted(self._root.rglob("events.out.tfevents.*"))
            if path.is_file()
        }


class EMAWeights(keras.callbacks.Callback):
    """Evaluate and save the exponential moving average (EMA) of the weights, not the last ones.

    The optimizer keeps the average (Polyak and Juditsky, 1992): compile with
    `compile_model(ema_momentum=0.99)`. From each validation to the next epoch the network has the
    averaged weights, so that the validation numbers, the checkpoint of the best epoch, early
    stopping and the network that `fit` leaves behind all speak of the same weights; with Keras' own
    `SwapEMAWeights` the last of these is the raw ones.

    Put it first in the list of callbacks.
    """

    def __init__(self) -> None:
        """Nothing is averaged yet."""
        super().__init__()
        self._raw: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Refuse an optimizer that averages nothing."""
        self._raw = None
        if not getattr(self.model.optimizer, "use_ema", False):
            raise ValueError(
                "EMAWeights needs an optimizer that averages: compile the model with "
                "compile_model(model, ema_momentum=0.99), or with "
                "keras.optimizers.Adam(use_ema=True)."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Learn on from the raw weights."""
        if self._raw is not None:
            for variable, value in zip(self.model.trainable_variables, self._raw, strict=True):
                variable.assign(value)
            self._raw = None

    def on_test_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Validate the averaged weights."""
        self._take_averages()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Leave the averaged weights to the callbacks that follow."""
        self._take_averages()

    def get_state(self) -> dict[str, Any]:
        """Return the raw weights."""
        return {} if self._raw is None else {"raw": self._raw}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `get_state` returned."""
        raw = list(state["raw"]) if "raw" in state else None
        if raw is not None and list_shapes(raw) != list_shapes(self.model.trainable_variables):
            raise ValueError("the raw weights are not of the shapes of the network's")
        self._raw = raw

    def _take_averages(self) -> None:
        if self._raw is not None:
            return
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        self._raw = [keras.ops.convert_to_numpy(each).copy() for each in variables]
        optimizer.finalize_variable_values(variables)


class CopyRun(keras.callbacks.Callback):
    """Copy what is new in a run folder to a second place, Google Drive for example, every epoch.

    A machine that is taken away, as Colab's are, takes its disk with it. Writing to Drive directly
    leaves half a file when that happens at the wrong moment; a copy that is made under another
    name, read back and then renamed does not.

    Put it behind `KeepState`. A copy that fails is a warning, and is tried again after the next
    epoch: the training does not depend on the second place.

    Args:
        run: The run.
        folder: The folder that holds the copies of all runs.
    """

    def __init__(self, run: Run, folder: str | Path) -> None:
        """Nothing is copied yet."""
        super().__init__()
        self._run, self.folder = run, Path(folder)
        self._copied: dict[str, tuple[int, int]] = {}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Copy what has changed since the last time."""
        self._copy("copying is tried again after the next epoch")

    def finish(self) -> None:
        """Copy what the end of the training has written; call it when all of the run is there."""
        self._copy("going on with the finished run (--resume) does nothing but copy it")

    def _copy(self, otherwise: str) -> None:
        copy_or_warn(self._run, self.folder, known=self._copied, otherwise=otherwise)


def make_callbacks(run: Run, *, tensorboard: bool = True) -> list[keras.callbacks.Callback]:
    """Make what watches over a training, as the settings of its run say.

    In this order: `EMAWeights` where weights are averaged, the checkpoint of the best epoch,
    `history.csv`, TensorBoard, and early stopping, which at its end gives the model the weights of
    its best epoch.

    Args:
        run: The run, whose folder gets their files.
        tensorboard: Whether TensorBoard's files are written.

    Returns:
        The callbacks for `model.fit`.
    """
    return [
        *([EMAWeights()] if run.settings.ema_momentum else []),
        BestCheckpoint(run.folder / CHECKPOINT_FILE_NAME, run.info),
        HistoryFile(run.folder / "history.csv"),
        *([EventFiles(run.folder / "tensorboard")] if tensorboard else []),
        keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=run.settings.patience, restore_best_weights=True
        ),
    ]
