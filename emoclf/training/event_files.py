"""TensorBoard's files, which hold every epoch once, also when a training is stopped and goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from emoclf.storage import parse_json


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
        """Look at what is there, before this training adds its own files."""
        self._older = self._measure()
        super().set_model(model)

    def get_state(self) -> dict[str, str]:
        """Return the length of every file, for `KeepState`."""
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
