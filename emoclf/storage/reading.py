"""What is read by a name from outside: only files, of a size that their kind allows, with types.

A pipe would be waited for, a device read without end, and a value of another type fail far from
where it was read. The sizes, counts and kinds in a zip may lie: `zipfile` loads its whole list at
once, and a member of some kilobytes may unpack to gigabytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec

from emoclf.untrusted import show_text

MAX_JSON_BYTES = 128 * 2**20
"""Largest JSON file that is read: the photos of a set of a million fit."""

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeError,
)
"""What Python's reader raises when a zip is damaged or unusual."""

_LONGEST_REASON = 400
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_CENTRAL_HEADER = struct.Struct("<4s24xHHH12x")
_ZIP_END = struct.Struct("<4s6xHII2x")
_ZIP64_END = struct.Struct("<4s28xQQQ")
_ZIP64_LOCATOR_BYTES = 20
_ZIP_COMMENT_BYTES = 65_535
_ZIP_COUNT_WRAPS = 1 << 16  # the count of a zip has two bytes, and some writers let it wrap


def describe_irregular(mode: int) -> str | None:
    """Say what a path of this `st_mode` leads to, such as "a folder"; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for test, name in _KINDS if test(mode)), "something else")


def _refuse_irregular(mode: int, shown: str, what: str) -> None:
    kind = describe_irregular(mode)
    if kind:
        raise ValueError(f"{shown} is {kind}, not a file. Expected {what}: check the path.")


def open_regular(path: str | Path, *, what: str, max_bytes: int | None = None) -> BinaryIO:
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


class ArchiveRefusedError(ValueError):
    """Say why an archive is not unpacked; nothing of it was kept."""


@contextmanager
def open_zip(file: IO[bytes], *, max_entries: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose list of files is not too long to be loaded.

    Raises:
        ArchiveRefusedError: If it has more entries, or its list is damaged.
    """
    _walk_zip_list(file, max_entries)
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        yield archive


def check_member(member: zipfile.ZipInfo) -> None:
    """Refuse a member, which is no folder, if it is encrypted, a link or a device.

    Raises:
        ArchiveRefusedError: If it is.
    """
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise refuse_special(member.filename)
    if member.flag_bits & 1:
        raise ArchiveRefusedError(
            f"{member.filename!r} is encrypted. Make the archive again without a password."
        )


def refuse_special(name: str) -> ArchiveRefusedError:
    """Return the error for an entry that is no plain file."""
    return ArchiveRefusedError(
        f"{name!r} is a link or a device, and only plain files are taken. Make the archive again "
        "from the files themselves."
    )


def check_small_zip(archive: zipfile.ZipFile, *, max_bytes: int, max_ratio: int) -> None:
    """Refuse a zip that no program of ours has written: it is to be handed to another reader.

    Args:
        archive: The zip.
        max_bytes: How large all members together may be, unpacked.
        max_ratio: How many times larger than in the file a member may be, above a mebibyte.

    Raises:
        ArchiveRefusedError: If a name is there twice, a member is no plain file or packed in an
            unusual way, or something is too large.
    """
    members = archive.infolist()
    names = [member.filename for member in members]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ArchiveRefusedError(f"it holds {doubled!r} twice")
    if sum(member.file_size for member in members) > max_bytes:
        raise ArchiveRefusedError(f"unpacked it has more than {max_bytes:,} bytes")
    for member in members:
        if not member.is_dir():
            check_member(member)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveRefusedError(f"{member.filename!r} is packed in an unusual way")
        if member.file_size > max(1 << 20, max_ratio * member.compress_size):
            raise ArchiveRefusedError(
                f"{member.filename!r} is more than {max_ratio} times as large unpacked: a bomb"
            )


def read_member(archive: zipfile.ZipFile, name: str, *, max_bytes: int) -> bytes:
    """Read a member of a zip into memory.

    Raises:
        KeyError: If there is none of that name.
        ArchiveRefusedError: If it is larger than `max_bytes`, or no plain file.
    """
    member = archive.getinfo(name)
    check_member(member)
    if member.file_size > max_bytes:
        raise ArchiveRefusedError(
            f"{name!r} in it has {member.file_size:,} bytes, more than {max_bytes:,}"
        )
    with archive.open(member) as file:
        return file.read(max_bytes)


def _walk_zip_list(file: IO[bytes], max_entries: int) -> None:
    """Count the entries of a zip's list without loading them, and compare with what it says."""
    start, length, announced = _find_zip_list(file)
    file.seek(start)
    count = 0
    while length > 0:
        signature, *extras = _CENTRAL_HEADER.unpack(file.read(_CENTRAL_HEADER.size))
        if signature != b"PK\x01\x02":
            raise ArchiveRefusedError("the list of its files is damaged")
        count += 1
        if count > max_entries:
            raise ArchiveRefusedError(f"it has more than {max_entries:,} entries")
        file.seek(sum(extras), 1)
        length -= _CENTRAL_HEADER.size + sum(extras)
    if length or (count - announced) % _ZIP_COUNT_WRAPS:
        raise ArchiveRefusedError("the list of its files is damaged")


def _find_zip_list(file: IO[bytes]) -> tuple[int, int, int]:
    """Return where a zip's list of files begins, its length, and the announced count."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _ZIP_END.size - _ZIP_COMMENT_BYTES))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + _ZIP_END.size:
        raise ArchiveRefusedError("its end is missing: it was cut off, or is no zip")
    end = size - len(tail) + at
    _, count, length, _ = _ZIP_END.unpack_from(tail, at)
    large_end = end - _ZIP64_LOCATOR_BYTES - _ZIP64_END.size
    if large_end >= 0:
        file.seek(large_end)
        record = file.read(_ZIP64_END.size)
        if file.read(4) == b"PK\x06\x07" and record.startswith(b"PK\x06\x06"):
            _, count, length, _ = _ZIP64_END.unpack(record)
            end = large_end
    if length > end:
        raise ArchiveRefusedError("the list of its files is damaged")
    return end - length, length, count
