"""One way to move files: a manifest first, then one renaming for each.

A process that is killed leaves each file whole, in its old place or in its new one, a manifest
that names both, and a mark that says what was under way: the next call that moves anything does
the rest, `restore` undoes it.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoclf.data.cleaning.manifests import MANIFEST_NAME, Move, exists, write_manifest
from emoclf.data.cleaning.marks import clear_mark, set_mark
from emoclf.storage import find_sha256, make_folder
from emoclf.untrusted import show_text

PATH_ERRORS = (OSError, ValueError, RuntimeError)
"""What a path from outside can bring up: a system's no, a null character, a circle of links."""

_TAKEN = "there is a file in its place in the"
_UNREADABLE = "its content cannot be read"

_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_OF_THE_MOMENT = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.EBUSY,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EXDEV,
    }
)


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
        OSError: If the target is on another disk, or the disk is full or read-only.
        ValueError: If there are too many moves for a manifest.
    """
    states = [(move, _find_state(root, folder, move)) for move in moves]
    if not dry_run and any(state == "waiting" for _, state in states):
        write_manifest(folder / MANIFEST_NAME, moves)
    result, errors = _move_waiting(states, root, folder=folder, dry_run=dry_run)
    if not result.waiting and not result.moved:
        for error in errors:
            if isinstance(error, OSError) and error.errno == errno.EXDEV:
                raise error
    return result


def carry_on(moves: Sequence[Move], root: Path, *, folder: Path, dry_run: bool) -> MovesResult:
    """Do the rest of what a manifest says, as `carry_out` would, without writing it."""
    states = [(move, _find_state(root, folder, move)) for move in moves]
    return _move_waiting(states, root, folder=folder, dry_run=dry_run)[0]


def _move_waiting(
    states: Sequence[tuple[Move, str]], root: Path, *, folder: Path, dry_run: bool
) -> tuple[MovesResult, list[Exception]]:
    """Move the files that wait, and return what became of all and what the system refused."""
    waiting = [move for move, state in states if state == "waiting"]
    moved = [move for move, state in states if state == "moved"]
    left = [(move, state) for move, state in states if state not in ("waiting", "moved")]
    errors: list[Exception] = []
    if not dry_run:
        if waiting:
            set_mark(root, folder, "move")
        done, failed = _move_each(waiting, root, folder)
        is_half_done = bool(done or moved) and (
            any(may_pass(error) for _, error in failed)
            or any(state.startswith((_TAKEN, _UNREADABLE)) for move, state in left if move.sha256)
        )
        if not is_half_done:
            clear_mark(root, folder)
        waiting, errors = done, [error for _, error in failed]
        left += [(move, explain(error)) for move, error in failed]
    return MovesResult(tuple(waiting), tuple(moved), tuple(left)), errors


def _move_each(
    moves: Sequence[Move], root: Path, folder: Path
) -> tuple[list[Move], list[tuple[Move, Exception]]]:
    done: list[Move] = []
    failed: list[tuple[Move, Exception]] = []
    for move in moves:
        try:
            rename(root / move.source, move.find_target(root, folder))
        except PATH_ERRORS as error:
            if is_of_the_disk(error):
                raise
            failed.append((move, error))
        else:
            done.append(move)
    return done, failed


def _find_state(root: Path, folder: Path, move: Move) -> str:
    """Return "waiting", "moved", or a sentence that says why a file stays where it is."""
    try:
        return _look(root, folder, move)
    except PATH_ERRORS as error:
        return f"{_UNREADABLE}: {explain(error)}" if may_pass(error) else explain(error)


def _look(root: Path, folder: Path, move: Move) -> str:
    target = move.find_target(root, folder)
    if not move.is_inside(root, folder):
        return "it is not inside the data set's folder"
    here, there = hash_file(root / move.source), hash_file(target)
    if here is None:
        return "moved" if there == move.sha256 else "it is gone, or is no file any more"
    if here == "" or not move.sha256:
        return _UNREADABLE
    if here != move.sha256:
        return "it changed since it was examined; examine the folder again"
    if not exists(target):
        return "waiting"
    return f"{_TAKEN} {'quarantine' if move.place == 'quarantine' else 'other class'}"


def is_of_the_disk(error: Exception) -> bool:
    """Tell whether an error stops the whole call: no file can be moved before it is mended."""
    return isinstance(error, OSError) and error.errno in _OF_THE_DISK


def may_pass(error: Exception) -> bool:
    """Tell whether the same move may succeed later: a permission can be given, a disk mended."""
    return isinstance(error, OSError) and error.errno in _OF_THE_MOMENT


def explain(error: Exception) -> str:
    """Return in a few words why a path cannot be used."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError) and "null" in str(error):
        return "no file can have this name"
    return show_text(error)


def hash_file(path: Path) -> str | None:
    """Return a regular file's SHA-256, "" when it cannot be read, None when there is none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        return find_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return ""


def rename(source: Path, target: Path) -> None:
    """Move a file on the same disk to a place that is free."""
    make_folder(target.parent)
    if exists(target):
        raise FileExistsError(f"{show_text(target)} exists; nothing is overwritten. Move it away.")
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise OSError(
            errno.EXDEV,
            f"destination: {show_text(target.parent)} is on another disk than "
            f"{show_text(source)}, so files cannot be moved in one step. Pass a destination on the "
            "same disk",
        ) from error
