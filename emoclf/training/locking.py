"""One process at a time writes a run: a lock that dies with the process that holds it.

The system lets go of it however the process ends, so nobody has to remove anything after a kill.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import platform
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from emoclf.storage import describe_irregular, remove_leftovers
from emoclf.untrusted import show_text

LOCK_NAME = ".training.lock"
"""Name of the file inside a run folder while something writes it."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | _NO_LINK
_LOCKED_BYTE = 2**30  # far behind the text: on Windows a locked byte cannot be read
_LONGEST_NOTE = 2000


class RunInUseError(RuntimeError):
    """Another process writes this run; the message names it."""


class _Held(NamedTuple):
    """A lock of this process; without a number where the disk knows no locks."""

    path: Path
    number: int | None
    thread: threading.Thread


_held: dict[str, _Held] = {}
_blocks: set[str] = set()  # those of `hold_run`, which nothing inside lets go of
_guard = threading.Lock()


@contextmanager
def hold_run(folder: str | Path) -> Iterator[None]:
    """Keep every other process from writing a run folder, and clear what killed ones have left.

    Calls inside of each other are one: the outermost holds and lets go. A disk that knows no locks
    (Google Drive, some network drives) is warned about, and written without one.

    Args:
        folder: The run folder, which exists.

    Raises:
        RunInUseError: If another process, or another thread of this one, has it.

    Example:
        >>> with hold_run("logs/first"):  # doctest: +SKIP
        ...     model.fit(...)
    """
    take_run(folder)
    name = _name(folder)
    is_inner = name in _blocks
    _blocks.add(name)
    try:
        yield
    finally:
        if not is_inner:
            _blocks.discard(name)
            release_run(folder)


def check_run_is_free(folder: str | Path) -> None:
    """Refuse early, before anything is computed, what `hold_run` would refuse.

    Raises:
        RunInUseError: If something else writes the folder, which need not exist.
    """
    if (Path(folder) / LOCK_NAME).exists():
        with hold_run(folder):
            return


def take_run(folder: str | Path) -> None:
    """Take the lock of a run folder, made if need be; this thread may have it already.

    For what has a beginning and an end but no block, such as a callback. A training that was
    interrupted keeps the lock until this process ends or takes it again.

    Raises:
        RunInUseError: If another process, or another thread of this one, has it.
    """
    with _guard:
        name, held = _name(folder), _held.get(_name(folder))
        if held is not None and held.thread is threading.current_thread():
            return
        if held is not None and held.thread.is_alive():
            raise _make_in_use(folder, {"process": os.getpid(), "machine": platform.node()})
        _close(_held.pop(name, None))
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = Path(folder) / LOCK_NAME
        _held[name] = _Held(path, _lock(path), threading.current_thread())
        _watch_forks()
    _clear(Path(folder))


def release_run(folder: str | Path) -> None:
    """Let go of a run folder, unless it is another thread's, or `hold_run` still holds it."""
    with _guard:
        name, held = _name(folder), _held.get(_name(folder))
        if held and held.thread is threading.current_thread() and name not in _blocks:
            _close(_held.pop(name), remove=True)


def _close(held: _Held | None, *, remove: bool = False) -> None:
    """Let go; the file goes while it is still locked, so that nobody locks one that is gone."""
    if held is None or held.number is None:
        return
    with suppress(OSError):  # on Windows a file that is open cannot be removed
        if remove:
            held.path.unlink()
    os.close(held.number)


def _name(folder: str | Path) -> str:
    return os.path.realpath(folder)


def _clear(folder: Path) -> None:
    """Remove what killed processes had begun to write, in the run and beside it."""
    remove_leftovers(folder.parent)
    for inside, _, _ in os.walk(folder):
        remove_leftovers(inside)


def _lock(path: Path) -> int | None:
    """Open and lock the file, and write into it who has it; None where there are no locks."""
    while True:
        number = os.open(path, _FLAGS, 0o666)
        try:
            if describe_irregular(os.fstat(number).st_mode):
                raise FileExistsError(
                    f"{show_text(path)} is in the way and no file: move it away, then start again."
                )
            if not _try_lock(number):
                raise _make_in_use(path.parent, _read_note(number))
            if _is_still(path, number):
                _write_note(number)
                return number
        except _NoLocksError:
            os.close(number)
            path.unlink(missing_ok=True)
            _warn(path)
            return None
        except BaseException:
            os.close(number)
            raise
        os.close(number)  # the one that had it has removed the file meanwhile


class _NoLocksError(Exception):
    """The disk knows no locks."""


def _try_lock(number: int) -> bool:
    """Lock an open file, without waiting; return False if somebody else has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(number, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        raise _NoLocksError from error
    return True


def _is_still(path: Path, number: int) -> bool:
    """Return whether an open file still has its name: it may have been removed before the lock."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(number))
    except FileNotFoundError:
        return False


def _write_note(number: int) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    note = {"process": os.getpid(), "machine": platform.node(), "since": since}
    with suppress(OSError):  # on a full disk the lock holds, too; it only names nobody
        os.ftruncate(number, 0)
        os.lseek(number, 0, os.SEEK_SET)
        os.write(number, json.dumps(note).encode())


def _read_note(number: int) -> dict[str, object]:
    """Return what the other one has written down, as far as it can be read."""
    try:
        os.lseek(number, 0, os.SEEK_SET)
        note = json.loads(os.read(number, _LONGEST_NOTE))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _make_in_use(folder: str | Path, note: dict[str, object]) -> RunInUseError:
    process, machine, since = (note.get(name) for name in ("process", "machine", "since"))
    who = f"process {show_text(process)}" if process else "another process"
    who += f" on {show_text(machine)}" if machine else ""
    who += f", since {show_text(since)}" if since else ""
    return RunInUseError(
        f"{show_text(folder)} is being written by {who}. Wait until that has ended, or stop it: "
        "the same call then goes on. Another training needs another name."
    )


def _warn(path: Path) -> None:
    warnings.warn(
        f"The disk of {show_text(path.parent)} knows no locks: nothing keeps a second training "
        "of this name from writing into it, so start one only.",
        stacklevel=6,
    )


@functools.cache
def _watch_forks() -> None:
    """Let a forked process have no share in the locks, which would outlive this one in it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for held in _held.values():
        _close(held)
    _held.clear()
    _blocks.clear()
