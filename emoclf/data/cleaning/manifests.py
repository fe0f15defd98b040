"""The list of what is moved: one line per file, written before the first move, read with care."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from emoclf.storage import open_regular, replacing
from emoclf.untrusted import show_text

QUARANTINE_NAME: str = "quarantine"
"""Folder beside the class folders; `find_class_folders` never takes it for one of them."""

MANIFEST_NAME = "manifest.jsonl"
FILES_NAME = "files"

MAX_MANIFEST_BYTES = 128 * 2**20
MAX_MOVES = 500_000
"""Largest manifest that is written and read."""

_ID_DIGITS = 12
_NAMED_LINES = 20
_WHAT = "the list of the files that were moved"

Place = Literal["quarantine", "data"]
"""What the target of a move is relative to: the folder of its manifest, or the data set's."""


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a manifest.

    Attributes:
        source: Where the file was, relative to the data set's folder, with forward slashes.
        to: Where it goes.
        sha256: Of its content.
        reason: Why.
        place: What `to` is relative to.
    """

    source: str
    to: str
    sha256: str
    reason: str
    place: Place = "quarantine"

    def find_target(self, root: Path, folder: Path) -> Path:
        """Return where the file goes, given the data set's folder and the manifest's."""
        return self._find_base(root, folder) / self.to

    def is_inside(self, root: Path, folder: Path) -> bool:
        """Tell whether both ends stay inside the folders they are relative to, links included."""
        base = self._find_base(root, folder)
        return _is_inside(self.source, root) and _is_inside(self.to, base)

    def _find_base(self, root: Path, folder: Path) -> Path:
        return root if self.place == "data" else folder


@dataclass(frozen=True)
class Manifest:
    """A manifest as it was read.

    Attributes:
        folder: The folder it is in.
        moves: Its lines.
        damaged: Lines that are none, each with the reason.
    """

    folder: Path
    moves: tuple[Move, ...]
    damaged: tuple[tuple[str, str], ...] = ()


def make_id(plan: object) -> str:
    """Return the name of the folder for a plan that JSON can hold: the same for the same plan."""
    return hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:_ID_DIGITS]


def write_manifest(path: Path, moves: Sequence[Move]) -> None:
    """Write a manifest, whole and on the disk, unless an interrupted run has done so.

    Raises:
        FileExistsError: If there is another one in its place.
        ValueError: If it would be larger than what is read, or something else is in its place.
    """
    text = "".join(_write_line(move) + "\n" for move in moves).encode()
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
    folder = path.parent
    moves: list[Move] = []
    damaged: list[tuple[str, str]] = []
    bad = 0
    with open_regular(path, what=_WHAT, max_bytes=MAX_MANIFEST_BYTES) as file:
        for number, line in enumerate(file, start=1):
            move = _parse_line(line)
            if number > MAX_MOVES:
                damaged.append((folder.name, f"only the first {MAX_MOVES:,} lines are read"))
                break
            if move is not None:
                moves.append(move)
                continue
            bad += 1
            if bad <= _NAMED_LINES:
                damaged.append((f"{folder.name} line {number}", "not a line of a manifest"))
    if bad > _NAMED_LINES:
        damaged.append((folder.name, f"{bad - _NAMED_LINES:,} more are no lines of a manifest"))
    return Manifest(folder, tuple(moves), tuple(damaged))


def exists(path: Path) -> bool:
    """Tell whether anything is at a path, a broken symbolic link included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _write_line(move: Move) -> str:
    value = asdict(move)
    if move.place == "quarantine":
        del value["place"]
    return json.dumps(value)


def _parse_line(line: bytes) -> Move | None:
    """Return the move that a manifest's line describes, or None if it describes none."""
    try:
        return msgspec.convert(json.loads(line), Move)
    except (ValueError, RecursionError):  # msgspec's error is a ValueError, too
        return None


def _is_inside(relative: str, folder: Path) -> bool:
    """Tell whether a manifest's relative path stays below its folder, links included."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        return False
    return (folder / relative).parent.resolve().is_relative_to(folder.resolve())
