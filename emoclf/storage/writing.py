"""Files and folders that are whole or not there: written under a temporary name, then moved.

Keras writes models in place: a copy taken during the save is unreadable, and a process that is
killed leaves an empty file. Everything emoclf writes for keeps goes through `replacing`.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from emoclf.storage.temporary import (
    find_machine,
    make_folder,
    name_temporary,
    remove_folder,
    remove_leftovers,
    sweep_once,
)
from emoclf.untrusted import show_text

_numbers = count()
_temporaries = threading.Lock()


@contextmanager
def replacing(path: str | Path, *, flush: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    The temporary file lies in the same folder and keeps the suffix of `path`. When the block
    raises, the temporary file is removed and `path` is what it was before. What a killed process
    has left in that folder is removed first.

    Args:
        path: Where the finished file belongs. Missing parent folders are made.
        flush: Whether to wait until the disk has the content, so that the file also survives a
            power cut. Turn it off for many small files that can be made again.

    Yields:
        The temporary path, which does not exist yet.

    Example:
        >>> with replacing(folder / "notes.txt") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    with _writing(path) as temporary:
        yield temporary
        if flush:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)


def add_file(paths: Iterable[Path], write: Callable[[Path], Any]) -> Path:
    """Write a file under the first of several names that is free, whole or not at all.

    Args:
        paths: The names in order, all in one folder, which is made when it is missing.
        write: Called with a temporary path, to write the file there.

    Returns:
        Where it is. What had that name before is never overwritten.

    Raises:
        FileExistsError: If no name is free.

    Example:
        >>> add_file([Path("a.txt"), Path("a-2.txt")], make_text)  # doctest: +SKIP
    """
    names = iter(paths)
    first = next(names)
    with _writing(first, number=next(_numbers)) as temporary:
        write(temporary)
        for path in chain([first], names):
            with suppress(FileExistsError):
                _put_under_free_name(temporary, path)
                return path
    raise FileExistsError(f"No name is free beside {show_text(first)}: give another folder.")


def _put_under_free_name(temporary: Path, path: Path) -> None:
    """Give a file its name, unless that is taken, with no empty file in between."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a disk where a file cannot have two names
        if os.name != "nt":
            path.open("xb").close()
        temporary.rename(path)  # on Windows, this never overwrites


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
    with _temporaries, temporary_folder() as folder:
        before = tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def _writing(path: Path, *, number: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`, and remove what is there in the end.

    A number keeps two threads apart that write under the same name.
    """
    make_folder(path.parent)
    sweep_once(path.parent)
    own = path if number is None else path.with_name(f"{number}-{path.name}")
    temporary = name_temporary(own)
    try:
        with _naming(path, temporary):
            yield temporary
    finally:
        with suppress(OSError):  # a read-only disk has refused to make it, too
            temporary.unlink(missing_ok=True)


@contextmanager
def building_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty temporary folder to fill, and move it to `path` when the block ends well.

    It lies beside `path`, on the same disk. When the block raises, it is removed with all that is
    in it, and so are the parent folders that were made for it. What a killed process has left
    there is removed by the next call for the same `path`.

    Args:
        path: Where the finished folder belongs: nothing, or an empty folder. Missing parent
            folders are made.
        replace: Whether a folder at `path` gives way to the finished one, with all that is in it:
            only for what emoclf has made itself.

    Yields:
        The temporary folder.

    Raises:
        FileExistsError: If there is something at `path`, from the beginning or put there meanwhile,
            and it is not to be replaced.

    Example:
        >>> with building_folder(folder / "photos") as temporary:  # doctest: +SKIP
        ...     (temporary / "notes.txt").write_text("whole or not at all")
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()
    is_taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if is_taken and not (replace and path.is_dir()):
        raise _make_taken(path)
    made = [parent for parent in path.parents if not parent.exists()]
    make_folder(path.parent)
    remove_leftovers(path.parent)
    temporary = name_temporary(path)
    with _naming(path, temporary):
        temporary.mkdir()
    try:
        with _naming(path, temporary):
            yield temporary
            if replace:
                _put_in_place(temporary, path)
            else:
                _put_in_empty_place(temporary, path)
    finally:
        remove_folder(temporary)
        for parent in made:
            with suppress(OSError):  # not empty: the folder was finished, or others use it
                parent.rmdir()


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
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


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


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


def _make_taken(path: Path) -> FileExistsError:
    return FileExistsError(
        f"{show_text(path)} is there already and is never overwritten. Give another "
        "folder, or move it away."
    )


def _put_in_empty_place(temporary: Path, path: Path) -> None:
    """Move a folder to where nothing or an empty folder is, also if that has changed meanwhile."""
    try:
        with suppress(FileNotFoundError):
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        if path.exists():
            raise _make_taken(path) from error
        raise


def _put_in_place(temporary: Path, path: Path) -> None:
    """Move a folder; the one that is there goes when the new one is in its place."""
    if not path.exists():
        temporary.rename(path)
        return
    aside = name_temporary(path.with_name(f"{path.name}.old"))
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    remove_folder(aside)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON, whole or not at all.

    Args:
        path: Where the file belongs.
        value: Anything JSON can hold.

    Returns:
        The path of the file.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return Path(path)
