"""Files that are either whole or not there: written under a temporary name, then moved.

Keras writes models in place: a copy taken during the save is unreadable, and a process that is
killed leaves an empty file. Everything emoclf writes for keeps goes through `replacing`.
"""

from __future__ import annotations

import json
import os
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
