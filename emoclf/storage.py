"""Files that are either whole or not there: written under a temporary name, then moved.

Keras writes models in place: a copy taken during the save is unreadable, and a process that is
killed leaves an empty file. Everything emoclf writes for keeps goes through `replacing`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
        yield temporary
        if flush:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill, and move it to `path` when the block ends well.

    The temporary folder lies beside `path`. When the block raises, it is removed and `path` is
    what it was before. What `path` held before is gone when the block ends well: look first
    whether it may be.

    Args:
        path: Where the finished folder belongs. Missing parent folders are made.

    Yields:
        The temporary folder, which exists and is empty.

    Example:
        >>> with replacing_folder(folder / "notes") as temporary:  # doctest: +SKIP
        ...     (temporary / "one.txt").write_text("all files or none")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for each in temporary.rglob("*"):
            if each.is_file():
                with each.open("rb+") as file:
                    os.fsync(file.fileno())
        temporary.chmod(path.parent.stat().st_mode & 0o777)  # mkdtemp makes it private
        _put_in_place(temporary, path)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Move a folder; the one that is there goes when the new one is in its place."""
    if not path.exists():
        temporary.rename(path)
        return
    aside = temporary.with_name(f"{temporary.name}.old")
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    shutil.rmtree(aside)


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
