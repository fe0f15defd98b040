"""What is there for a moment: names that no user's file has, removed also after a kill."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PARTIAL = re.compile(r"\..*\.(?P<process>\d+)-(?P<machine>[0-9a-f]{8})\.partial(\.[^.]*)?", re.S)
"""Name of what is being written: `.model.4711-0a1b2c3d.partial.keras`."""

_FOREIGN_SECONDS = 24 * 3600
"""After this long, what another machine has left on a shared disk is removed, too."""

_LONGEST_PLAIN_NAME = 40
_LONGEST_SUFFIX = 12

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_swept_folders: set[str] = set()
_tempfile_lock = threading.Lock()


def name_temporary(path: Path) -> Path:
    """Name what is being written, no longer than a file's name may be."""
    stem = path.stem
    if len(path.name) > _LONGEST_PLAIN_NAME:
        stem = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""
    return path.with_name(f".{stem}.{os.getpid()}-{find_machine()}.partial{suffix}")


def find_machine() -> str:
    """Return eight digits for this machine: process numbers count on one machine only."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def sweep_once(folder: Path) -> None:
    """Remove leftovers the first time that this process writes to a folder: listing takes time."""
    name = os.path.abspath(folder)  # noqa: PTH100 - no need to follow links
    if name not in _swept_folders:
        _swept_folders.add(name)
        remove_leftovers(folder)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what processes that are gone had begun to write into a folder.

    Only names that `replacing` and `building_folder` give are touched. Files of another machine
    on a shared disk are kept for a day: whether its processes run cannot be seen from here.

    Args:
        folder: The folder; its sub-folders are not searched.
    """
    entries: list[os.DirEntry[str]] = []
    with suppress(OSError), os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        match = _PARTIAL.fullmatch(entry.name)
        with suppress(OSError):  # what cannot be removed, such as another user's, does no harm
            if match is None or not _is_leftover(entry, match):
                continue
            if entry.is_dir(follow_symlinks=False):
                remove_folder(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)


def _is_leftover(entry: os.DirEntry[str], name: re.Match[str]) -> bool:
    if name["machine"] == find_machine():
        process = int(name["process"])
        return process != os.getpid() and not _is_running(process)
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FOREIGN_SECONDS


def _is_running(process: int) -> bool:
    """Tell whether a process runs; where that cannot be asked without harm, say yes."""
    if os.name == "nt":  # there, os.kill ends the process whatever the signal
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def make_folder(folder: str | Path) -> None:
    """Make a folder, which may be there, and those that it lies in, however many.

    `Path.mkdir` fails below a thousand.

    Raises:
        OSError: If it cannot be made, or something else has its name.
    """
    missing = [Path(folder)]
    while not missing[-1].is_dir() and missing[-1] != missing[-1].parent:
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(exist_ok=True)


def remove_folder(folder: str | Path) -> None:
    """Remove a folder that emoclf has made with all that is in it, however deep.

    `shutil.rmtree` calls itself for every level, and opens a file for each. What cannot be removed
    stays; links are removed, never followed.
    """
    waiting, found = [os.fspath(folder)], []
    while waiting:
        current = waiting.pop()
        found.append(current)
        with suppress(OSError), os.scandir(current) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)  # noqa: PTH108 - no path object for every file
    for each in reversed(found):
        with suppress(OSError):
            os.rmdir(each)  # noqa: PTH106


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give an empty folder for what is needed for a moment, and remove it afterwards.

    It lies where the system keeps such folders. What a killed process has left there is removed by
    the next call; of Python's own `tempfile` nobody knows whose it was.

    Yields:
        The folder, which only this user can read.

    Example:
        >>> with temporary_folder() as folder:
        ...     _ = (folder / "notes.txt").write_text("soon gone")
    """
    sweep_once(Path(tempfile.gettempdir()))
    suffix = f".{os.getpid()}-{find_machine()}.partial"
    with tempfile.TemporaryDirectory(
        prefix=".emoclf.", suffix=suffix, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@contextmanager
def tidy_temporaries() -> Iterator[None]:
    """Let what a library leaves in temporary folders when it is killed be removed by the next run.

    Inside of the block `tempfile` makes its files in a `temporary_folder`, which goes at the end.

    Example:
        >>> with tidy_temporaries():  # doctest: +SKIP
        ...     model.save("model.keras")
    """
    with _tempfile_lock, temporary_folder() as folder:
        before = tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def naming_place(path: Path, temporary: Path) -> Iterator[None]:
    """Let an error of the disk name the place that the user knows, not the temporary one."""
    try:
        with naming_full_disk(path):
            yield
    except OSError as error:
        name = None if error.filename is None else str(error.filename)
        if name == str(temporary):
            error.filename = str(path)
        elif name is not None and name.startswith(f"{temporary}{os.sep}"):
            error.filename = str(path / Path(name).relative_to(temporary))
        raise


@contextmanager
def naming_full_disk(path: str | Path) -> Iterator[None]:
    """Let whatever a library raises when a disk is full be an error that names the place.

    TensorFlow has exceptions of its own for it, HDF5 a page of numbers, Python no file name.

    Args:
        path: What is written, as the user knows it.

    Raises:
        OSError: Instead of those, with the number, the words and the name of the system's own.

    Example:
        >>> with naming_full_disk("logs/first"):  # doctest: +SKIP
        ...     writer.flush()
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            error.strerror = os.strerror(error.errno)
            error.filename = error.filename or str(path)
        raise
    except Exception as error:
        said = str(error) if type(error).__module__.startswith("tensorflow.") else ""
        number = next((each for each in _FULL if os.strerror(each) in said), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
