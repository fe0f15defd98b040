"""The state of a training on disk: two generations, whole or not there, damage noticed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.storage import replacing
from emoclf.untrusted import show_text

STATE_FOLDER_NAME = "state"
"""Name of the folder inside a run folder."""

GENERATIONS = 2
"""How many states are kept: when the newest is damaged, the one before it serves."""

FORMAT_VERSION = 1
_FACTS = "facts"


class ResumeRefusedError(ValueError):
    """The saved run is another training; the message names what differs."""


@dataclass(frozen=True)
class SavedState:
    """Everything that a training needs to go on as if it had not been stopped.

    Attributes:
        epoch: How many epochs are done.
        facts: What JSON can hold: counters, history, what the training was made from.
        arrays: Name to array: weights, seeds, the optimizer's variables, the best weights.
    """

    epoch: int
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(repr=False)


def save_state(folder: str | Path, state: SavedState) -> Path:
    """Write a state beside the one before it, flushed to the disk and moved into place.

    Args:
        folder: The folder of the states.
        state: The state after an epoch.

    Returns:
        The file.

    Raises:
        OSError: If it cannot be written, for example on a full disk; older states are untouched.
    """
    path = Path(folder) / f"epoch-{state.epoch:05}.npz"
    document = {"format_version": FORMAT_VERSION, "epoch": state.epoch, **state.facts}
    with replacing(path) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = {_FACTS: np.array(json.dumps(document)), **state.arrays}
        np.savez(file, **arrays)
    for older in list_states(folder)[GENERATIONS:]:
        older.unlink(missing_ok=True)  # another process of the same run may have done it
    return path


def list_states(folder: str | Path) -> list[Path]:
    """Return the files of a folder of states, the newest first."""
    return sorted(Path(folder).glob("epoch-*.npz"), reverse=True)


def load_state(folder: str | Path) -> tuple[SavedState | None, tuple[str, ...]]:
    """Read the newest state that is whole.

    Args:
        folder: The folder of the states; it need not exist.

    Returns:
        The state, or None where there is none; and a sentence for every newer file that is damaged.

    Raises:
        ValueError: If there are states, and all of them are damaged.
    """
    notes: list[str] = []
    files = list_states(folder)
    for path in files:
        try:
            return _read(path), tuple(notes)
        except (EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            notes.append(f"{show_text(path)} is damaged and is left aside ({show_text(error)}).")
    if files:
        raise ValueError(
            f"{' '.join(notes)} None of the states in {show_text(folder)} can be read. Move that "
            "folder away to train from the beginning."
        )
    return None, ()


def _read(path: Path) -> SavedState:
    """Read all arrays; the checksums inside the file tell whether they are what was written."""
    with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    facts = json.loads(str(arrays.pop(_FACTS)[()]))
    if facts.pop("format_version") != FORMAT_VERSION:
        raise ValueError("it was written by another version of emoclf")
    return SavedState(facts.pop("epoch"), facts, arrays)


def refuse_another(before: Mapping[str, Any], now: Mapping[str, Any], run_folder: Path) -> None:
    """Refuse to go on with a training that was another one.

    Args:
        before: What the training was made from.
        now: What it is made from now.
        run_folder: The run's folder, for the message.

    Raises:
        ResumeRefusedError: If they differ; the message says in what.
    """
    names = [*before, *(name for name in now if name not in before)]
    unlike = [name for name in names if before.get(name) != now.get(name)]
    if unlike:
        told = "; ".join(
            f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in unlike
        )
        raise ResumeRefusedError(
            f"{show_text(run_folder)} is another training: {told}. Go on with what it was started "
            "with, or give the new training another name."
        )
