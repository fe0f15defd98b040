"""What is moved, and what is under way: a manifest before the first move, a mark until the last.

A manifest has one line per file. Where the files are does not tell whether it is being carried out
or undone when its process is killed, so a mark says it. The mark lies in the data set's own
quarantine, also when the files go elsewhere, so that no later call can miss it.

    DATA/quarantine/3f9c1a2b7d4e/manifest.jsonl     one line per file: from, to, SHA-256, reason
    DATA/quarantine/3f9c1a2b7d4e/unfinished.json    {"task": "move", "folder": ""}
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import msgspec

from emoclf.data.folders import QUARANTINE_NAME
from emoclf.storage import find_path, open_regular, read_json, replacing, write_json
from emoclf.untrusted import show_text

MANIFEST_NAME = "manifest.jsonl"
MARK_NAME = "unfinished.json"
FILES_NAME = "files"

MAX_MANIFEST_BYTES = 128 * 2**20
MAX_MOVES = 500_000
_MARK_BYTES = 2**16
_ID_DIGITS = 12
_NAMED_LINES = 20
_WHAT = "the list of the files that were moved"

PATH_ERRORS = (OSError, ValueError, RuntimeError)
"""What a path from outside can bring up: a system's no, a null character, a circle of links."""

Task = Literal["move", "restore"]
"""What is under way: the moves of a manifest, or their undoing."""

Reasons = tuple[tuple[str, str], ...]
"""What could not be done: a path or a line, and why."""


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a manifest.

    Attributes:
        source: Where the file was, relative to the data set's folder, with forward slashes.
        to: Where it goes.
        sha256: Of its content.
        reason: Why.
        place: What `to` is relative to: the manifest's folder, or the data set's.
    """

    source: str
    to: str
    sha256: str
    reason: str
    place: Literal["quarantine", "data"] = "quarantine"

    def to_dict(self) -> dict[str, str]:
        """Return it as it stands in a manifest: `place` only where it is the data set's."""
        value = asdict(self)
        if self.place == "quarantine":
            del value["place"]
        return value

    def is_inside(self, root: Path, folder: Path) -> bool:
        """Tell whether both ends stay inside the folders they are relative to, links included."""
        return _is_inside(self.source, root) and _is_inside(self.to, self.find_base(root, folder))

    def find_base(self, root: Path, folder: Path) -> Path:
        """Return what `to` is relative to, given the data set's folder and the manifest's."""
        return root if self.place == "data" else folder


class Manifest(NamedTuple):
    """A manifest as it was read: its folder, its lines, and what is no line, with the reason."""

    folder: Path
    moves: tuple[Move, ...]
    damaged: Reasons = ()


def make_id(plan: object) -> str:
    """Return the name of the folder for a plan that JSON can hold: the same for the same plan."""
    return hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:_ID_DIGITS]


def write_manifest(path: Path, moves: Sequence[Move]) -> None:
    """Write a manifest, whole and on the disk, unless an interrupted run has done so.

    Raises:
        FileExistsError: If there is another one in its place.
        ValueError: If it would be larger than what is read, or something else is in its place.
    """
    text = "".join(json.dumps(move.to_dict()) + "\n" for move in moves).encode()
    if len(moves) > MAX_MOVES or len(text) > MAX_MANIFEST_BYTES:
        raise ValueError(
            f"{len(moves):,} files are more than can be moved in one call: at most {MAX_MOVES:,}, "
            "and fewer when their paths are long. Nothing was moved."
        )
    if not exists(path):
        with replacing(path) as temporary:
            temporary.write_bytes(text)
        return
    with open_regular(path, what=_WHAT) as file:
        if file.read(len(text) + 1) != text:
            raise make_changed(path)
    with suppress(OSError):  # it may be another user's; `restore` then takes one round more
        os.utime(path)  # `restore` begins with what was moved last


def make_changed(path: Path) -> FileExistsError:
    """Return the error for a manifest that is not the one of an interrupted run."""
    return FileExistsError(
        f"{show_text(path)} is not what an interrupted run wrote: it was changed. Nothing was "
        "moved; move this folder away first."
    )


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; a line that is none is named, and the others count.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no file, or too large.
    """
    folder, bad = path.parent, 0
    moves: list[Move] = []
    damaged: list[tuple[str, str]] = []
    with open_regular(path, what=_WHAT, max_bytes=MAX_MANIFEST_BYTES) as file:
        for number, line in enumerate(file, start=1):
            if number > MAX_MOVES:
                damaged.append((folder.name, f"only the first {MAX_MOVES:,} lines are read"))
                break
            try:
                moves.append(msgspec.convert(json.loads(line), Move))
            except (ValueError, RecursionError):  # msgspec's error is a ValueError, too
                bad += 1
                if bad <= _NAMED_LINES:
                    damaged.append((f"{folder.name} line {number}", "not a line of a manifest"))
    if bad > _NAMED_LINES:
        damaged.append((folder.name, f"{bad - _NAMED_LINES:,} more are no lines of a manifest"))
    return Manifest(folder, tuple(moves), tuple(damaged))


def find_manifests(base: Path, quarantine_id: str | None) -> list[Path]:
    """Return the manifests in the folders of `base`, or in that one folder, the newest first.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = _sort_by_age(base.glob(f"*/{MANIFEST_NAME}"))
    if quarantine_id is not None:
        found = [manifest for manifest in found if manifest.parent.name == quarantine_id]
    if not found:
        raise FileNotFoundError(
            f"There is no quarantine to restore: expected {str(base)!r} to hold a folder with "
            f"{MANIFEST_NAME}. Pass the data set's folder, and the destination if you chose one."
        )
    return found


@dataclass(frozen=True)
class _Mark:
    """What a mark holds: the task, and the manifest's folder, "" when it lies beside the mark."""

    task: Task
    folder: str = ""

    def __post_init__(self) -> None:
        if self.folder and not Path(self.folder).is_absolute():
            raise ValueError("the folder is not absolute")


def set_mark(root: Path, folder: Path, task: Task) -> None:
    """Note that the moves of the manifest in `folder` are begun, or their undoing."""
    path = root / QUARANTINE_NAME / folder.name / MARK_NAME
    is_beside = path.parent.resolve() == folder.resolve()
    write_json(path, asdict(_Mark(task, "" if is_beside else str(folder.absolute()))))


def clear_mark(root: Path, folder: Path) -> None:
    """Note that nothing of the manifest in `folder` is under way any more."""
    path = root / QUARANTINE_NAME / folder.name / MARK_NAME
    path.unlink(missing_ok=True)
    for made in (path.parent, path.parent.parent):
        with suppress(OSError):  # not empty: there is more than the mark
            made.rmdir()


def read_unfinished(root: Path) -> tuple[list[Manifest], list[Manifest], Reasons]:
    """Find what is under way in a data set's folder.

    Returns:
        The manifests that are being undone and those that are being carried out, the newest first,
        and the marks that lead to none, with the reason.
    """
    read: dict[Path, tuple[Task, Manifest]] = {}
    failed: list[tuple[str, str]] = []
    for file in sorted((root / QUARANTINE_NAME).glob(f"*/{MARK_NAME}")):
        name = file.relative_to(root).as_posix()
        try:
            mark = read_json(file, what="what is being moved", kind=_Mark, max_bytes=_MARK_BYTES)
        except (OSError, ValueError) as error:
            failed.append((name, str(error)))
            continue
        path = (Path(mark.folder) if mark.folder else file.parent) / MANIFEST_NAME
        try:
            read[path] = mark.task, read_manifest(path)
        except PATH_ERRORS as error:
            step = f"If it was removed on purpose, remove {MARK_NAME} there, too."
            failed.append((name, f"{explain(error)} {step}"))
    found = [read[path] for path in _sort_by_age(read)]
    restores = [manifest for task, manifest in found if task == "restore"]
    return restores, [manifest for task, manifest in found if task == "move"], tuple(failed)


def exists(path: Path) -> bool:
    """Tell whether anything is at a path, a broken symbolic link included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def explain(error: Exception) -> str:
    """Return in a few words why a path cannot be used."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError) and "null" in str(error):
        return "no file can have this name"
    return show_text(error)


def _sort_by_age(manifests: Iterable[Path]) -> list[Path]:
    return sorted(manifests, key=lambda path: (-path.lstat().st_mtime_ns, path.parent.name))


def _is_inside(relative: str, folder: Path) -> bool:
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        return False
    return find_path(folder, relative).parent.resolve().is_relative_to(folder.resolve())
