"""The state of a training: taken, on disk in two generations, damage noticed, restored."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from emoclf.data.loading.stored import read_array_header
from emoclf.run import Run
from emoclf.storage import check_kind, open_regular, parse_json, refuse_another, replacing
from emoclf.storage.archives import ZIP_ERRORS
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras

STATE_FOLDER_NAME = "state"
"""Name of the folder inside a run folder."""

GENERATIONS = 2
"""How many states are kept: when the newest is damaged, the one before it serves."""

FORMAT_VERSION = 1
_FACTS = "facts"


class MadeFrom(TypedDict):
    """What every saved state tells beside its arrays."""

    made_from: dict[str, Any]
    network: str
    history: dict[str, list[float]]


class SavedState(NamedTuple):
    """Everything that a training needs to go on as if it had not been stopped.

    Attributes:
        epoch: How many epochs are done.
        facts: What JSON can hold: counters, history, what the training was made from.
        arrays: Name to array: weights, seeds, the optimizer's variables, the best weights.
    """

    epoch: int
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


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


def find_newest_state(run: Run) -> str:
    """Return the newest state of a run or its copy, such as `2-all/epoch-00004.npz`.

    Returns:
        Its path inside the folder of the states; later ones are larger. Empty without one.
    """
    states = run.folder / STATE_FOLDER_NAME
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

_LONGEST_REASON = 400


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


def take_state(
    model: keras.Model,
    epoch: int,
    *,
    made_from: Mapping[str, Any],
    history: Mapping[str, list[float]],
) -> SavedState:
    """Take down a compiled model after an epoch: its variables and those of its optimizer.

    Args:
        model: The model.
        epoch: How many epochs are done.
        made_from: What decides about the training beside its layers.
        history: Metric name to one value per epoch.

    Returns:
        The state, its facts of type `MadeFrom`.
    """
    from keras import ops

    facts = {"made_from": made_from, "network": _name_network(model), "history": history}
    arrays = {
        f"{kind}/{number:04}": np.asarray(ops.convert_to_numpy(each))
        for kind, variables in _list_variables(model)
        for number, each in enumerate(variables)
    }
    return SavedState(epoch, facts, arrays)


def restore_model(model: keras.Model, saved: SavedState, folder: Path, *, run: Run) -> None:
    """Give a compiled model, and its optimizer, what `take_state` has taken down.

    Args:
        model: The model; changed in place.
        saved: The state.
        folder: The folder of the states, for the error message.
        run: The run, likewise.

    Raises:
        ResumeRefusedError: If the state is of other layers or another optimizer.
        ValueError: If an array is missing, or of another shape or type.
    """
    network = {"network": _name_network(model)}
    refuse_another({"network": saved.facts["network"]}, network, run.folder)
    if not model.optimizer.built:  # Keras makes its variables at the first step only
        model.optimizer.build(model.trainable_variables)
    for kind, variables in _list_variables(model):
        for number, variable in enumerate(variables):
            name = f"{kind}/{number:04}"
            (expected,) = list_shapes([variable])
            received = list_shapes([saved.arrays[name]] if name in saved.arrays else [])
            if received != [expected]:
                reason = f"{name} should be {expected}, received {received or 'none'}"
                raise make_changed(name_state(folder, saved.epoch), reason)
            variable.assign(saved.arrays[name])


def _name_network(model: keras.Model) -> str:
    """Return a name, of 16 digits, for the kind of optimizer and the shapes of all variables."""
    shapes = [(each.path.rpartition("/")[2], tuple(each.shape)) for each in model.variables]
    text = repr((type(model.optimizer).__name__, shapes))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _list_variables(model: keras.Model) -> list[tuple[str, Sequence[Any]]]:
    return [("model", model.variables), ("optimizer", model.optimizer.variables)]


def make_changed(where: Path, reason: object) -> ValueError:
    """Return the error about a state that is not as it was written, and what to do."""
    return ValueError(
        f"{show_text(where)} was changed ({show_text(str(reason)[:_LONGEST_REASON])}). Move it "
        "away: the training then goes on with the state before it, or begins anew where there is "
        "none."
    )
