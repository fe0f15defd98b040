"""Files and folders that are whole or not there: written under a temporary name, then moved.

Keras writes models in place: a copy taken during the save is unreadable, and a process that is
killed leaves an empty file. Everything emoclf writes for keeps goes through `replacing`; what is
read by a name from outside goes through `open_regular`, so that no pipe or device is waited for.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from emoclf.untrusted import show_text

MAX_JSON_BYTES = 128 * 2**20
"""Largest JSON file that is read: the split of a million photos fits."""

_PARTIAL = re.compile(r"\..*\.(?P<process>\d+)-(?P<machine>[0-9a-f]{8})\.partial(\.[^.]*)?", re.S)
"""Name of what is being written: `.model.4711-0a1b2c3d.partial.keras`."""

_FOREIGN_SECONDS = 24 * 3600
"""After this long, what another machine has left on a shared disk is removed, too."""

_LONGEST_PLAIN_NAME = 40
_LONGEST_SUFFIX = 12
_LONGEST_REASON = 400

_swept_folders: set[str] = set()
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
    _sweep_once(Path(tempfile.gettempdir()))
    suffix = f".{os.getpid()}-{_find_machine()}.partial"
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
    _sweep_once(path.parent)
    own = path if number is None else path.with_name(f"{number}-{path.name}")
    temporary = _name_temporary(own)
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
    temporary = _name_temporary(path)
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
    aside = _name_temporary(path.with_name(f"{path.name}.old"))
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    remove_folder(aside)


def _name_temporary(path: Path) -> Path:
    """Name what is being written, no longer than a file's name may be."""
    stem = path.stem
    if len(path.name) > _LONGEST_PLAIN_NAME:
        stem = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""
    return path.with_name(f".{stem}.{os.getpid()}-{_find_machine()}.partial{suffix}")


def _find_machine() -> str:
    """Return eight digits for this machine: process numbers count on one machine only."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _sweep_once(folder: Path) -> None:
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
        entries = [entry for entry in found if _PARTIAL.fullmatch(entry.name)]
    for entry in entries:
        with suppress(OSError):  # what cannot be removed, such as another user's, does no harm
            if not _is_leftover(entry):
                continue
            if entry.is_dir(follow_symlinks=False):
                remove_folder(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)


def _is_leftover(entry: os.DirEntry[str]) -> bool:
    found = _PARTIAL.fullmatch(entry.name)
    if found is None:
        return False
    if found["machine"] == _find_machine():
        process = int(found["process"])
        return process != os.getpid() and not is_running(process)
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FOREIGN_SECONDS


def is_running(process: int) -> bool:
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


def open_regular(path: str | Path, *, what: str, max_bytes: int | None = None) -> BinaryIO:
    """Open a file for reading if it is one: no folder, pipe, device or socket.

    A pipe would be waited for and a device read without end. A symbolic link is followed.

    Args:
        path: The file.
        what: What is expected, for the error message ("the split of a run").
        max_bytes: Largest file that is opened; None for any size.

    Returns:
        The open file, to be closed.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it may not be read.
        ValueError: If it is no regular file, or too large; the message names it.

    Example:
        >>> with open_regular("notes.txt", what="a text") as file:  # doctest: +SKIP
        ...     content = file.read()
    """
    shown = show_text(path)
    expected = f"Expected {what}: check the path, or make it anew."
    try:
        _refuse_irregular(Path(path).stat().st_mode, shown, what)
        # Not to wait, if something else has taken its place meanwhile.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{shown} does not exist. {expected}") from error
    except ValueError as error:
        if "null" in str(error):
            raise FileNotFoundError(f"No file can be called {shown}. {expected}") from error
        raise
    file = os.fdopen(number, "rb")
    try:
        status = os.fstat(number)
        _refuse_irregular(status.st_mode, shown, what)
        if max_bytes is not None and status.st_size > max_bytes:
            size = f"{status.st_size:,} bytes, more than {max_bytes:,}"
            raise ValueError(f"{shown} is too large ({size}). {expected}")
    except BaseException:
        file.close()
        raise
    return file


_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def describe_irregular(mode: int) -> str | None:
    """Say what a path leads to, if it is no regular file.

    Args:
        mode: `st_mode` of its status.

    Returns:
        "a folder", "a named pipe" and the like; None for a regular file.
    """
    if stat.S_ISREG(mode):
        return None
    return next((name for test, name in _KINDS if test(mode)), "something else")


def _refuse_irregular(mode: int, shown: str, what: str) -> None:
    kind = describe_irregular(mode)
    if kind:
        raise ValueError(f"{shown} is {kind}, not a file. Expected {what}: check the path.")


def find_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def read_json(
    path: str | Path, *, what: str, kind: Any = Any, max_bytes: int = MAX_JSON_BYTES
) -> Any:
    """Read a JSON file that emoclf wrote.

    Args:
        path: The file.
        what: What the file is, for the error message ("the split of a run").
        kind: The type of the value, which is checked: a dataclass, `dict[str, int]`...
        max_bytes: Largest file that is read.

    Returns:
        The value in the file, of type `kind`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not JSON, of another type, too large, or no file.
    """
    with open_regular(path, what=what, max_bytes=max_bytes) as file:
        content = file.read(max_bytes + 1)
    return parse_json(content, name=path, what=what, kind=kind)


def parse_json(content: bytes, *, name: str | Path, what: str, kind: Any = Any) -> Any:
    """Read a value from JSON and check its type.

    Args:
        content: UTF-8.
        name: Where it comes from, for the error message.
        what: What it is, for the error message.
        kind: The type of the value: a dataclass, `dict[str, int]`... Numbers are not made from
            text, and lists become tuples where the type says so.

    Returns:
        The value, of type `kind`.

    Raises:
        ValueError: If it is not JSON, or of another type; the message says where.
    """
    shown = show_text(name)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else show_text(error)
        raise ValueError(
            f"{shown} should hold {what} but is not valid JSON ({reason}). It was changed or cut "
            "off: make it anew."
        ) from error
    return check_kind(value, kind, name=name, what=what)


def check_kind(value: Any, kind: Any, *, name: str | Path, what: str) -> Any:
    """Check the type of a value that was read, and of all that is in it.

    Args:
        value: What JSON can hold.
        kind: The type, as for `parse_json`.
        name: Where it comes from, for the error message.
        what: What it is, for the error message.

    Returns:
        The value, of type `kind`.

    Raises:
        ValueError: If it is of another type; the message says where.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError, RecursionError, OverflowError) as error:
        reason = show_text(str(error)[:_LONGEST_REASON])
        raise ValueError(
            f"{show_text(name)} should hold {what} but was changed ({reason}). Make it anew."
        ) from error


def check_keys(value: Any, names: Collection[str], *, name: str | Path, what: str) -> None:
    """Check that an object read from JSON has these keys and no others.

    A missing key would otherwise get a default that nobody chose, and an unknown one is ignored.

    Args:
        value: What was read.
        names: The keys that it should have.
        name: Where it comes from, for the error message.
        what: What it is, for the error message.

    Raises:
        ValueError: If it has others; the message names them.
    """
    present = set(value) if isinstance(value, dict) else set()
    wrong = [f"{each} is missing" for each in names if each not in present]
    wrong += [f"{show_text(each[:100])} is unknown" for each in sorted(present - set(names))]
    if wrong:
        raise ValueError(
            f"{show_text(name)} should hold {what} but was changed ({', '.join(wrong[:5])}). Make "
            "it anew."
        )


def make_folder(folder: str | Path) -> None:
    """Make a folder and those that it lies in, however many: `Path.mkdir` fails below a thousand.

    Args:
        folder: The folder, which may be there.

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

    Args:
        folder: The folder, which may be gone.
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
