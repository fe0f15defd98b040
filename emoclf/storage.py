"""Files and folders that are whole or not there: written under a temporary name, then moved.

Keras writes models in place: a copy taken during the save is unreadable, and a process that is
killed leaves an empty file. Everything emoclf writes for keeps goes through `replacing`.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PARTIAL = ".partial"


@contextmanager
def replacing(path: str | Path, *, flush: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    The temporary file lies in the same folder and keeps the suffix of `path`. When the block
    raises, the temporary file is removed and `path` is what it was before.

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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with _naming(path, temporary):
            yield temporary
            if flush:
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            temporary.replace(path)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    with _naming(path, temporary):
        temporary.mkdir()
    try:
        yield temporary
        if replace:
            _put_in_place(temporary, path)
        else:
            _put_in_empty_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # not empty: the folder was finished, or others use it
                parent.rmdir()


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Let an error of the disk name the place that the user knows, not the temporary one."""
    try:
        yield
    except OSError as error:
        is_full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_full or str(error.filename) == str(temporary):
            error.filename = str(path)
        raise


def _make_taken(path: Path) -> FileExistsError:
    return FileExistsError(
        f"{path} is there already and is never overwritten. Give another folder, or move it away."
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
    aside = path.with_name(f".{path.name}.old.{os.getpid()}{_PARTIAL}")
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    shutil.rmtree(aside)


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        process = leftover.name.removesuffix(_PARTIAL).rpartition(".")[2]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process: int) -> bool:
    """Tell whether a process runs; where that cannot be asked without harm, say yes."""
    if os.name == "nt":  # there, os.kill ends the process whatever the signal
        return process != os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()


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


def read_json(path: str | Path, *, what: str) -> Any:
    """Read a JSON file that emoclf wrote.

    Args:
        path: The file.
        what: What the file is, for the error message ("the split of a run").

    Returns:
        The value in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not JSON.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist. Expected {what}: check the path, or make it anew."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} should hold {what} but is not valid JSON ({error}). It was changed or cut "
            "off: make it anew."
        ) from error
