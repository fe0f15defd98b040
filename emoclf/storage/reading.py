"""What is read by a name from outside: only files, of a size that their kind allows, with types.

A pipe would be waited for, a device read without end, and a value of another type fail far from
where it was read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Collection
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from emoclf.untrusted import normalise_name, show_text

MAX_JSON_BYTES = 128 * 2**20
"""Largest JSON file that is read: the photos of a set of a million fit."""

_LONGEST_REASON = 400
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def describe_irregular(mode: int) -> str | None:
    """Say what a path of this `st_mode` leads to, such as "a folder"; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for test, name in _KINDS if test(mode)), "something else")


def is_folder(path: str | Path) -> bool:
    """Tell whether a text or path names a folder that can be looked at.

    Whatever else it is, too long a name, an address, a place that is gone or locked, to read it
    says why not.
    """
    try:
        return bool(os.fspath(path)) and stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def _refuse_irregular(mode: int, shown: str, what: str) -> None:
    kind = describe_irregular(mode)
    if kind:
        raise ValueError(f"{shown} is {kind}, not a file. Expected {what}: check the path.")


def open_regular(path: str | Path, *, what: str, max_bytes: int | None = None) -> BufferedReader:
    """Open a file for reading if it is one: no folder, pipe, device or socket.

    Args:
        path: The file; a symbolic link is followed.
        what: What is expected, for the error message ("the settings of a run").
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


def find_path(folder: str | Path, relative: str) -> Path:
    """Return where a path from a table lies: macOS writes accents in names in another way.

    Args:
        folder: What the path is relative to.
        relative: The path, with forward slashes.

    Returns:
        The path itself, each name in it replaced by that of the one entry which is there instead
        and differs only in how accents are written.
    """
    path = Path(folder)
    if relative.isascii():
        return path / relative
    for name in PurePosixPath(relative).parts:
        path = path / name if name.isascii() else _find_entry(path, name)
    return path


def _find_entry(folder: Path, name: str) -> Path:
    forms = (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
    for form in forms:
        if os.path.lexists(folder / form):
            return folder / form
    wanted = normalise_name(name)
    try:
        same = [entry for entry in folder.iterdir() if normalise_name(entry.name) == wanted]
    except (OSError, ValueError):
        same = []
    return same[0] if len(same) == 1 else folder / name


def find_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(
    path: str | Path, *, what: str, kind: Any = Any, max_bytes: int = MAX_JSON_BYTES
) -> Any:
    """Read a JSON file that emoclf wrote.

    Args:
        path: The file.
        what: What it is, for the error message ("the settings of a run").
        kind: The type of the value: see `parse_json`.
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
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else show_text(error)
        raise ValueError(
            f"{show_text(name)} should hold {what} but is not valid JSON ({reason}). It was "
            "changed or cut off: make it anew."
        ) from error
    return check_kind(value, kind, name=name, what=what)


def check_kind(value: Any, kind: Any, *, name: str | Path, what: str) -> Any:
    """Return a value that was read from JSON as the type that it should be of.

    The arguments and errors are those of `parse_json`.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError, RecursionError, OverflowError) as error:
        raise _make_changed(name, what, show_text(str(error)[:_LONGEST_REASON])) from error


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
        raise _make_changed(name, what, ", ".join(wrong[:5]))


def _make_changed(name: str | Path, what: str, reason: str) -> ValueError:
    return ValueError(
        f"{show_text(name)} should hold {what} but was changed ({reason}). Make it anew."
    )
