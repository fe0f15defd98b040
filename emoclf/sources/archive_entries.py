"""What is in a `.zip`, `.tar` or `.tar.gz`: entry by entry, nothing written, nothing trusted.

Sizes, counts and kinds come from the archive, which may lie: the list of a zip is walked before
`zipfile` loads it, a tar header may not ask for more memory than a name needs, and an entry gives
at most the bytes that it has announced.
"""

from __future__ import annotations

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

ArchiveKind = Literal["zip", "tar", "tar.gz"]

READ_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeError,
)
"""What Python's readers raise when an archive is damaged or unusual."""

_CENTRAL_HEADER = struct.Struct("<4s24xHHH12x")
_ZIP_END = struct.Struct("<4s6xHII2x")
_ZIP64_END = struct.Struct("<4s28xQQQ")
_ZIP64_LOCATOR_BYTES = 20
_ZIP_COMMENT_BYTES = 65_535
_ZIP_COUNT_WRAPS = 1 << 16  # the count of a zip has two bytes, and some writers let it wrap
_MAX_HEADER_BYTES = 1 << 20
_BLOCK = 512


class ArchiveRefusedError(ValueError):
    """Say why an archive is not unpacked; nothing of it was kept."""


@dataclass(frozen=True)
class Entry:
    """A file or folder in an archive.

    Attributes:
        name: As it stands in the archive; not to be trusted.
        file_bytes: Announced size, 0 for a folder; reading gives no more.
        open: Opens the content for reading; None for a folder.
    """

    name: str
    file_bytes: int
    open: Callable[[], IO[bytes]] | None


def find_archive_kind(path: Path) -> ArchiveKind | None:
    """Say what kind of archive a file is by its content, or None for anything else.

    Args:
        path: A file.

    Returns:
        The kind. A file that only begins like an archive counts: opening it says what is wrong.
    """
    with path.open("rb") as file:
        beginning = file.read(_BLOCK)
    if beginning.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if beginning.startswith(b"\x1f\x8b"):
        return "tar.gz"
    return "tar" if beginning[257:262] == b"ustar" else None


def list_zip_entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    """Yield the files and folders of a zip.

    Raises:
        ArchiveRefusedError: If an entry is encrypted, a link or a device.
    """
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            yield Entry(info.filename, 0, None)
            continue
        if kind not in (0, stat.S_IFREG):
            raise _refuse_special(info.filename)
        if info.flag_bits & 1:
            raise ArchiveRefusedError(
                f"{info.filename!r} is encrypted. Make the archive again without a password."
            )
        yield Entry(info.filename, info.file_size, _opener(archive, info))


def list_tar_entries(archive: tarfile.TarFile) -> Iterator[Entry]:
    """Yield the files and folders of a tar, up to its proper end.

    Raises:
        ArchiveRefusedError: If an entry is a link or a device, or the end is missing.
    """
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
        if member.isdir():
            yield Entry(member.name, 0, None)
            continue
        if not member.isreg() or member.issparse():
            raise _refuse_special(member.name)
        yield Entry(member.name, member.size, _tar_opener(archive, member))
    archive.fileobj.seek(archive.offset)  # type: ignore[union-attr]
    if archive.fileobj.read(_BLOCK) != bytes(_BLOCK):  # type: ignore[union-attr]
        raise ArchiveRefusedError("the end of the archive is missing or damaged")


@contextmanager
def open_zip(path: Path, *, max_entries: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose list of files is not too long to be loaded.

    Args:
        path: The file.
        max_entries: How many entries are loaded at most.

    Yields:
        The archive.

    Raises:
        ArchiveRefusedError: If it has more entries.
    """
    with path.open("rb") as file:
        _walk_zip_list(file, max_entries)
    with zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an uncompressed tar whose headers may not ask for much memory.

    Args:
        path: The file.

    Yields:
        The archive.
    """
    with path.open("rb") as file:
        guarded: Any = _GuardedFile(file)
        with tarfile.open(fileobj=guarded, mode="r:") as archive:
            yield archive


class _GuardedFile:
    """A file from which nobody reads much at once: tarfile loads some headers whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise ArchiveRefusedError(f"a header asks for {size:,} bytes, far more than a name has")
        return self._file.read(size)


def _refuse_special(name: str) -> ArchiveRefusedError:
    return ArchiveRefusedError(
        f"{name!r} is a link or a device, and only plain files are taken. Make the archive again "
        "from the files themselves."
    )


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _tar_opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        content = archive.extractfile(member)
        if content is None:
            raise _refuse_special(member.name)
        return content

    return open_member


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
