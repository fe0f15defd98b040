"""The state of a training on disk: two generations, whole or not there, damage noticed."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.data.loading.stored import read_array_header
from emoclf.storage import check_kind, open_regular, parse_json, replacing
from emoclf.storage.reading import ZIP_ERRORS
from emoclf.untrusted import show_text

STATE_FOLDER_NAME = "state"
"""Name of the folder inside a run folder."""

GENERATIONS = 2
"""How many states are kept: when the newest is damaged, the one before it serves."""

FORMAT_VERSION = 1
_FACTS = "facts"


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
    path = name_state(folder, state.epoch)
    document = {"format_version": FORMAT_VERSION, "epoch": state.epoch, **state.facts}
    with replacing(path) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = {_FACTS: np.array(json.dumps(document)), **state.arrays}
        np.savez(file, **arrays)
    for older in list_states(folder)[GENERATIONS:]:
        older.unlink(missing_ok=True)  # another process of the same run may have done it
    return path


def name_state(folder: str | Path, epoch: int) -> Path:
    """Return the file of the state after so many epochs."""
    return Path(folder) / f"epoch-{epoch:05}.npz"


def list_shapes(arrays: Iterable[Any]) -> list[tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each array or Keras variable, to compare them."""
    return [(tuple(each.shape), str(each.dtype)) for each in arrays]


def list_states(folder: str | Path) -> list[Path]:
    """Return the files of a folder of states, the newest first."""
    return sorted(Path(folder).glob("epoch-*.npz"), reverse=True)


def find_newest_state(run_folder: str | Path) -> str:
    """Return the newest state of a run or its copy, such as `2-all/epoch-00004.npz`.

    Returns:
        Its path inside the folder of the states; later ones are larger. Empty without one.
    """
    states = Path(run_folder) / STATE_FOLDER_NAME
    found = (path.relative_to(states).as_posix() for path in states.rglob("epoch-*.npz"))
    return max(found, default="")


def load_state(
    folder: str | Path, *, kind: Any = dict[str, Any]
) -> tuple[SavedState | None, tuple[str, ...]]:
    """Read the newest state that is whole.

    Args:
        folder: The folder of the states; it need not exist.
        kind: The type that the facts should be of, a `TypedDict`.

    Returns:
        The state, or None where there is none; and a sentence for every newer file that is damaged.

    Raises:
        ValueError: If there are states, and all of them are damaged.
    """
    notes: list[str] = []
    for path in list_states(folder):
        try:
            return _read(path, kind), tuple(notes)
        except _DAMAGES as error:
            reason = show_text(str(error)[:_LONGEST_REASON])
            notes.append(f"{show_text(path)} is damaged and is left aside ({reason}).")
    if notes:
        raise ValueError(
            f"{' '.join(notes)} None of the states in {show_text(folder)} can be read. Move that "
            "folder away to train from the beginning."
        )
    return None, ()


_DAMAGES = (*ZIP_ERRORS, KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError)
"""What `zipfile` and NumPy raise for files that are not what was written."""

_LONGEST_REASON = 300


def _read(path: Path, kind: Any) -> SavedState:
    """Read all arrays; the checksums inside the file tell whether they are what was written."""
    with (
        open_regular(path, what="the state of a training") as content,
        zipfile.ZipFile(content) as archive,
    ):
        size = os.fstat(content.fileno()).st_size
        if sum(each.file_size for each in archive.infolist()) > size:
            raise ValueError("it says that it holds more than its size")
        arrays = {
            each.filename.removesuffix(".npy"): _read_array(archive, each)
            for each in archive.infolist()
        }
    text = str(arrays.pop(_FACTS)[()]).encode("utf-8", "surrogatepass")
    document = parse_json(text, name=path, what="the facts of a training", kind=dict[str, Any])
    if document.pop("format_version") != FORMAT_VERSION:
        raise ValueError("it was written by another version of emoclf")
    epoch = document.pop("epoch")
    if type(epoch) is not int or epoch != int(path.stem.removeprefix("epoch-")):
        raise ValueError("it is of another epoch than its name says")
    return SavedState(epoch, check_kind(document, kind, name=path, what="a state"), arrays)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read one array, once its header is known to promise as many bytes as there are."""
    with archive.open(member) as file:
        shape, dtype, _ = read_array_header(file)
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} is not of the size that it says")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
