"""A zip from outside: walked before it is loaded, its members measured before they are read.

Sizes, counts and kinds come from the file, which may lie: `zipfile` loads the whole list of a zip
at once, and a member of some kilobytes may ask for gigabytes.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeError,
)
"""What Python's reader raises when a zip is damaged or unusual."""

_CENTRAL_HEADER = struct.Struct("<4s24xHHH12x")
_ZIP_END = struct.Struct("<4s6xHII2x")
_ZIP64_END = struct.Struct("<4s28xQQQ")
_ZIP64_LOCATOR_BYTES = 20
_ZIP_COMMENT_BYTES = 65_535
_ZIP_COUNT_WRAPS = 1 << 16  # the count of a zip has two bytes, and some writers let it wrap


class ArchiveRefusedError(ValueError):
    """Say why an archive is not unpacked; nothing of it was kept."""


@contextmanager
def open_zip(file: IO[bytes], *, max_entries: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose list of files is not too long to be loaded.

    Args:
        file: The open file.
        max_entries: How many entries are loaded at most.

    Yields:
        The archive.

    Raises:
        ArchiveRefusedError: If it has more entries, or its list is damaged.
    """
    _walk_zip_list(file, max_entries)
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        yield archive


def check_member(member: zipfile.ZipInfo) -> None:
    """Refuse a member that is no plain file.

    Args:
        member: A member that is no folder.

    Raises:
        ArchiveRefusedError: If it is encrypted, a link or a device.
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
    """Read a member into memory.

    Args:
        archive: The zip.
        name: Which member.
        max_bytes: How large it may be.

    Returns:
        Its content.

    Raises:
        KeyError: If there is none of that name.
        ArchiveRefusedError: If it is larger, or no plain file.
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
        header = file.read(_CENTRAL_HEADER.size)
        signature, *extras = _CENTRAL_HEADER.unpack(header)
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
