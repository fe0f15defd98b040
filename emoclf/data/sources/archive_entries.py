"""What is in a `.zip`, `.tar` or `.tar.gz`: entry by entry, nothing written, nothing trusted.

Sizes, counts and kinds come from the archive, which may lie: a tar header may not ask for more
memory than a name needs, and an entry gives at most the bytes that it has announced.
`storage.zips` does the same for the list of a zip.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

from emoclf.storage.zips import ZIP_ERRORS, ArchiveRefusedError, check_member, refuse_special

ArchiveKind = Literal["zip", "tar", "tar.gz"]

READ_ERRORS = (*ZIP_ERRORS, tarfile.TarError, gzip.BadGzipFile)
"""What Python's readers raise when an archive is damaged or unusual."""

_MAX_HEADER_BYTES = 1 << 20
_BLOCK = 512


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


def find_archive_kind(file: IO[bytes]) -> ArchiveKind | None:
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


def list_zip_entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    """Yield the files and folders of a zip.

    Raises:
        ArchiveRefusedError: If an entry is encrypted, a link or a device.
    """
    for info in archive.infolist():
        if info.is_dir():
            yield Entry(info.filename, 0, None)
            continue
        check_member(info)
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
            raise refuse_special(member.name)
        yield Entry(member.name, member.size, _tar_opener(archive, member))
    archive.fileobj.seek(archive.offset)  # type: ignore[union-attr]
    if archive.fileobj.read(_BLOCK) != bytes(_BLOCK):  # type: ignore[union-attr]
        raise ArchiveRefusedError("the end of the archive is missing or damaged")


@contextmanager
def open_tar(file: IO[bytes]) -> Iterator[tarfile.TarFile]:
    """Open an uncompressed tar whose headers may not ask for much memory.

    Args:
        file: The open file.

    Yields:
        The archive.
    """
    file.seek(0)
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


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _tar_opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        content = archive.extractfile(member)
        if content is None:
            raise refuse_special(member.name)
        return content

    return open_member
