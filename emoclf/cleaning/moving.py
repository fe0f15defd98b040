"""One way to move files and to bring them back: a manifest first, then one renaming for each.

A process that is killed leaves each file whole, in its old place or in its new one, and a manifest
that names both: the same call finishes the work, `restore` undoes it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from emoclf.storage import find_sha256, make_folder, replacing

QUARANTINE_NAME: str = "quarantine"
"""Folder beside the class folders; `find_class_folders` never takes it for one of them."""

MANIFEST_NAME = "manifest.jsonl"
FILES_NAME = "files"

_ID_DIGITS = 12

Place = Literal["quarantine", "data"]
"""What the target of a move is relative to: the folder of its manifest, or the data set's."""


@dataclass(frozen=True)
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
class MovesResult:
    """What became of the moves of a plan.

    Attributes:
        waiting: Those that were carried out, or would be.
        moved: Those that an interrupted run had carried out before.
        left: Those that were not, each with the reason.
    """

    waiting: tuple[Move, ...]
    moved: tuple[Move, ...]
    left: tuple[tuple[Move, str], ...]


def make_id(plan: object) -> str:
    """Return the name of the folder for a plan that JSON can hold: the same for the same plan."""
    return hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:_ID_DIGITS]


def carry_out(moves: Sequence[Move], root: Path, *, folder: Path, dry_run: bool) -> MovesResult:
    """Write the manifest, then move the files that wait.

    Args:
        moves: The plan.
        root: The data set's folder.
        folder: The manifest's folder, and that of files set aside.
        dry_run: Whether to touch nothing.

    Returns:
        What was moved, and what was left, with the reason.

    Raises:
        FileExistsError: If the manifest of an interrupted run was changed.
        OSError: If the target is on another disk.
    """
    states = [(move, _find_state(root, folder, move)) for move in moves]
    waiting = tuple(move for move, state in states if state == "waiting")
    if not dry_run and waiting:
        _write_manifest(folder / MANIFEST_NAME, moves)
        for move in waiting:
            rename(root / move.source, move.find_target(root, folder))
    return MovesResult(
        waiting,
        tuple(move for move, state in states if state == "moved"),
        tuple((move, state) for move, state in states if state not in ("waiting", "moved")),
    )


def write_line(move: Move) -> str:
    """Return a move as a line of a manifest."""
    value = asdict(move)
    if move.place == "quarantine":
        del value["place"]
    return json.dumps(value)


def parse_line(line: str) -> Move | None:
    """Return the move that a manifest's line describes, or None if it describes none."""
    try:
        value = json.loads(line)
        move = Move(**value)
    except (ValueError, TypeError):
        return None
    is_text = all(isinstance(part, str) for part in asdict(move).values())
    return move if is_text and move.place in ("quarantine", "data") else None


def _find_state(root: Path, folder: Path, move: Move) -> str:
    """Return "waiting", "moved", or a sentence that says why a file stays where it is."""
    target = move.find_target(root, folder)
    if not move.is_inside(root, folder):
        return "it is not inside the data set's folder"
    here, there = hash_file(root / move.source), hash_file(target)
    if here is None:
        return "moved" if there == move.sha256 else "it is gone, or is no file any more"
    if here == "" or not move.sha256:
        return "its content cannot be read"
    if here != move.sha256:
        return "it changed since it was examined; examine the folder again"
    if not exists(target):
        return "waiting"
    where = "quarantine" if move.place == "quarantine" else "other class"
    return f"there is a file in its place in the {where}"


def _is_inside(relative: str, folder: Path) -> bool:
    """Tell whether a manifest's relative path stays below its folder, links included."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        return False
    return (folder / relative).parent.resolve().is_relative_to(folder.resolve())


def exists(path: Path) -> bool:
    """Tell whether anything is at a path, a broken symbolic link included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def hash_file(path: Path) -> str | None:
    """Return a regular file's SHA-256, "" when it cannot be read, None when there is none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        return find_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return ""


def _write_manifest(path: Path, moves: Sequence[Move]) -> None:
    """Write the manifest, whole and on the disk, unless an interrupted run has done so."""
    text = "".join(write_line(move) + "\n" for move in moves)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise FileExistsError(
            f"{str(path)!r} is not what an interrupted run wrote: it was changed. "
            "Nothing was moved; move this folder away first."
        )


def rename(source: Path, target: Path) -> None:
    """Move a file on the same disk to a place that is free."""
    make_folder(target.parent)
    if exists(target):
        raise FileExistsError(f"{str(target)!r} exists; nothing is overwritten. Move it away.")
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise OSError(
            errno.EXDEV,
            f"destination: {str(target.parent)!r} is on another disk than {str(source)!r}, so "
            "files cannot be moved in one step. Pass a destination on the same disk",
        ) from error
