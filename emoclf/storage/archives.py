"""An archive from outside: walked before it is loaded, its members measured before they are read.

Sizes, counts and kinds come from the file, which may lie: `zipfile` loads the whole list of a zip
at once, a member of some kilobytes may ask for gigabytes, and a header of a tar for more memory
than a name needs. Nothing is written here.
"""

from __future__ import annotations

import gzip
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, Literal, NamedTuple

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeError,
)
"""What Python's reader raises when a zip is damaged or unusual."""

READ_ERRORS = (*ZIP_ERRORS, tarfile.TarError, gzip.BadGzipFile)
"""What Python's readers raise when a zip, a tar or a gzip file is damaged or unusual."""

_UTF8_FLAG = 0x800
_LETTER_WITH_BACKSLASH = re.compile(r"([^\x00-\x7f])\\")
_BYTE_WITH_BACKSLASH = re.compile(r"([\udc80-\udcff])\\")  # so tarfile shows what is no UTF-8
_MAX_HEADER_BYTES = 1 << 20
_BLOCK = 512

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


def _check_member(member: zipfile.ZipInfo) -> None:
    """Refuse a member, no folder, that is encrypted, a link or a device."""
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _refuse_special(member.filename)
    if member.flag_bits & 1:
        raise ArchiveRefusedError(
            f"{member.filename!r} is encrypted. Make the archive again without a password."
        )


def _refuse_special(name: str) -> ArchiveRefusedError:
    """Return the error for an entry that is no plain file."""
    return ArchiveRefusedError(
        f"{name!r} is a link or a device, and only plain files are taken. Make the archive again "
        "from the files themselves."
    )


class Entry(NamedTuple):
    """A file or folder in an archive.

    Attributes:
        name: As it stands in the archive; not to be trusted.
        file_bytes: Announced size, 0 for a folder; reading gives no more.
        open: Opens the content for reading; None for a folder.
    """

    name: str
    file_bytes: int = 0
    open: Callable[[], IO[bytes]] | None = None


def find_archive_kind(file: IO[bytes]) -> Literal["zip", "tar", "tar.gz"] | None:
    """Say what kind of archive a file is by its content, or None for anything else.

    Args:
        file: An open file; it is read from its beginning.

    Returns:
        The kind. A file that only begins like an archive counts: opening it says what is wrong.
    """
    file.seek(0)
    beginning = file.read(_BLOCK)
    if beginning.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if beginning.startswith(b"\x1f\x8b"):
        return "tar.gz"
    return "tar" if beginning[257:262] == b"ustar" else None


@contextmanager
def list_entries(file: IO[bytes], *, is_zip: bool, max_entries: int) -> Iterator[Iterator[Entry]]:
    """Open a zip or an uncompressed tar and give its files and folders, up to its proper end.

    Args:
        file: The open file.
        is_zip: Whether it is a zip.
        max_entries: How many entries of a zip are loaded at most.

    Yields:
        The entries; going on raises ArchiveRefusedError at one that is encrypted, a link or a
        device, and where the end of a tar is missing.
    """
    if is_zip:
        with open_zip(file, max_entries=max_entries) as archive:
            yield _list_zip(archive)
        return
    file.seek(0)
    guarded: Any = _GuardedFile(file)
    with tarfile.open(fileobj=guarded, mode="r:") as tar:
        yield _list_tar(tar)


def _list_zip(archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        name = _decode_name(info)
        if info.is_dir():
            yield Entry(name)
        else:
            _check_member(info)
            yield Entry(name, info.file_size, partial(archive.open, info))


def _decode_name(info: zipfile.ZipInfo) -> str:
    """Return a name as it was meant: without the flag for UTF-8, `zipfile` takes it for cp437.

    macOS writes UTF-8 all the same. Names in another encoding come out wrong, but as names: in
    those of Japan and China the second byte of a letter may be that of a backslash.
    """
    name = info.filename
    if info.flag_bits & _UTF8_FLAG or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return _LETTER_WITH_BACKSLASH.sub(r"\1_", name) if "/" in name else name


def _list_tar(archive: Any) -> Iterator[Entry]:
    while (member := archive.next()) is not None:
        archive.members.clear()  # tarfile keeps every header otherwise
        name = _BYTE_WITH_BACKSLASH.sub(r"\1_", member.name)
        if member.isdir():
            yield Entry(name)
        elif not member.isreg() or member.issparse():
            raise _refuse_special(name)
        else:
            yield Entry(name, member.size, partial(archive.extractfile, member))
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(_BLOCK) != bytes(_BLOCK):
        raise ArchiveRefusedError("the end of the archive is missing or damaged")


class _GuardedFile:
    """A file from which nobody reads much at once: tarfile loads some headers whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise ArchiveRefusedError(f"a header asks for {size:,} bytes, far more than a name has")
        return self._file.read(size)


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
            _check_member(member)
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
    _check_member(member)
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
