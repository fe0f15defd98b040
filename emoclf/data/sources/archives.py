"""Unpack an archive of photos safely: all or nothing, and nothing but photos.

Before a byte is written, every entry is looked at: no path leads outside, nothing is a link or a
device, neither the count nor the sizes are beyond the limits, the archive is whole. What is
unpacked grows in a temporary folder beside the target, which is removed when anything is wrong.
"""

from __future__ import annotations

import errno
import gzip
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from tqdm import tqdm

from emoclf.data.folders import PhotoFolder
from emoclf.data.sources.copying import (
    BEGINNING_BYTES,
    ArchiveLimits,
    Copied,
    copy_stream,
    explain_left_out,
)
from emoclf.storage import building_folder, open_regular
from emoclf.storage.archives import (
    READ_ERRORS,
    ArchiveRefusedError,
    Entry,
    find_archive_kind,
    list_entries,
)
from emoclf.untrusted import show_text

ARCHIVE_EXTENSIONS = ".zip, .tar, .tar.gz, .tgz"
"""How the archives that are unpacked are called, as a rule."""

_MAX_DEPTH = 20
_MAX_NAME_BYTES = 255
_PIECE_BYTES = 1 << 20
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


def extract_archive(
    archive: str | Path,
    folder: str | Path,
    *,
    limits: ArchiveLimits | None = None,
    also: Collection[str] = (),
    progress: bool = True,
) -> PhotoFolder:
    """Unpack the pictures of a `.zip`, `.tar` or `.tar.gz` into a new folder, all or nothing.

    Args:
        archive: The archive; judged by its content, not by its name.
        folder: Where the pictures go: nothing may be there, or an empty folder.
        limits: What the archive may hold at most; None takes the defaults.
        also: Extensions that are unpacked besides pictures, such as `(".csv",)`.
        progress: Whether a progress bar is shown.

    Returns:
        What was written, and what was left out.

    Raises:
        FileNotFoundError: If there is no such archive.
        FileExistsError: If something is in the folder.
        ArchiveRefusedError: If the archive is damaged, unsafe or too large, or holds no picture;
            nothing is left behind then.
        ValueError: If it is no regular file.

    Example:
        >>> extract_archive("photos.zip", "data")  # doctest: +SKIP
    """
    limits = limits or ArchiveLimits()
    if not Path(archive).exists():
        said = f"{show_text(archive)}: expected an archive, but there is no such file."
        raise FileNotFoundError(said)
    with (
        open_regular(archive, what="an archive") as file,
        building_folder(folder) as temporary,
        naming_archive(archive),
    ):
        files, left_out = fill_from_archive(
            file, temporary, limits=limits, also=also, progress=progress
        )
    size = sum(each.bytes for each in files)
    return PhotoFolder(
        Path(folder), str(archive), files=len(files), bytes=size, left_out=tuple(left_out)
    )


def fill_from_archive(
    archive: BinaryIO,
    folder: Path,
    *,
    limits: ArchiveLimits,
    also: Collection[str] = (),
    progress: bool = False,
) -> Copied:
    """Unpack an open archive into an empty folder, which the caller removes when this raises.

    As `extract_archive`; an ArchiveRefusedError does not name the archive.
    """
    size = archive.seek(0, 2)
    with _unzipping(archive, folder, limits) as (plain, is_zip):
        with list_entries(plain, is_zip=is_zip, max_entries=limits.entries) as entries:
            count = _check_entries(entries, limits, size, also)
        copied = Copied([], [])
        with list_entries(plain, is_zip=is_zip, max_entries=limits.entries) as entries:
            bar = {"desc": "Unpacking", "unit": " files", "disable": not progress}
            for entry in tqdm(entries, total=count, **bar):
                _copy_entry(entry, folder, also, copied)
    if not copied.files:
        raise ArchiveRefusedError(f"none of its {count:,} entries is a picture")
    return Copied(sorted(copied.files, key=lambda file: file.path), sorted(copied.left_out))


def read_safe_path(name: str) -> PurePosixPath:
    r"""Turn a name from an archive into a relative path that stays below its folder.

    Args:
        name: The name; both kinds of slashes separate folders.

    Returns:
        The path; empty for the folder itself.

    Raises:
        ArchiveRefusedError: If it leads outside, or no file can be called so.

    Example:
        >>> read_safe_path(r".\sad\1.jpg").as_posix()
        'sad/1.jpg'
    """
    path = find_inner_path(name)
    if not _can_be_called(name, path):
        raise ArchiveRefusedError(f"no file can be called {name[:100]!r}")
    return path


def find_inner_path(name: str) -> PurePosixPath:
    """Return the path that a name from outside means, whether or not a file can be called so.

    Raises:
        ArchiveRefusedError: If it leads outside.
    """
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name[:1] in ("/", "\\") or PureWindowsPath(name).drive:
        raise ArchiveRefusedError(f"{name!r} leads outside of the folder")
    return PurePosixPath(*(part for part in parts if part not in ("", ".")))


def _can_be_called(name: str, path: PurePosixPath) -> bool:
    is_short = all(len(part.encode(errors="replace")) <= _MAX_NAME_BYTES for part in path.parts)
    return is_short and len(path.parts) <= _MAX_DEPTH and not _CONTROL_CHARACTER.search(name)


@contextmanager
def naming_archive(archive: str | Path) -> Iterator[None]:
    """Say which archive is refused, and turn what the readers raise into a refusal."""
    try:
        yield
    except ArchiveRefusedError as error:
        said = f"{show_text(archive)} is not unpacked: {show_text(error).rstrip('.')}."
        raise ArchiveRefusedError(said) from error
    except (*READ_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault; a position before the beginning is the archive's
        raise ArchiveRefusedError(
            f"{show_text(archive)} is not unpacked: it is damaged or cut off "
            f"({show_text(error) or type(error).__name__}). Copy or make it again."
        ) from error


@contextmanager
def _unzipping(
    archive: BinaryIO, folder: Path, limits: ArchiveLimits
) -> Iterator[tuple[BinaryIO, bool]]:
    """Give the archive itself, or the tar that was in a gzip file, and whether it is a zip."""
    kind = find_archive_kind(archive)
    if kind is None:
        raise ArchiveRefusedError(
            f"its content is none of {ARCHIVE_EXTENSIONS}. Pack it as one of these"
        )
    if kind != "tar.gz":
        yield archive, kind == "zip"
        return
    plain = folder / ".unzipped.tar"
    try:
        with plain.open("x+b") as file:
            _unzip(archive, file, limits)
            yield file, False
    finally:
        plain.unlink(missing_ok=True)


def _unzip(archive: BinaryIO, plain: BinaryIO, limits: ArchiveLimits) -> None:
    """Write the content of a gzip file, whose checksum Python compares at its end."""
    size, archive_bytes = 0, archive.seek(0, 2)
    archive.seek(0)
    with gzip.open(archive) as source:
        while piece := source.read(_PIECE_BYTES):
            size += len(piece)
            limits.check_total(size, archive_bytes)
            plain.write(piece)
    if find_archive_kind(plain) != "tar":
        raise ArchiveRefusedError("what is compressed in it is no tar archive")


def _check_entries(
    entries: Iterable[Entry], limits: ArchiveLimits, archive_bytes: int, also: Collection[str]
) -> int:
    """Look at every entry, write nothing, and return how many there are."""
    count = total = 0
    for entry in entries:
        count += 1
        total += entry.file_bytes
        _check_name(entry, also)
        if count > limits.entries:
            raise ArchiveRefusedError(f"it has more than {limits.entries:,} entries")
        if entry.file_bytes > limits.file_bytes:
            raise ArchiveRefusedError(
                f"{entry.name!r} has {entry.file_bytes:,} bytes unpacked, more than "
                f"{limits.file_bytes:,}"
            )
        limits.check_total(total, archive_bytes)
    return count


def _check_name(entry: Entry, also: Collection[str]) -> None:
    """Refuse a name that leads outside, and one that no file can have if the file is taken."""
    path = find_inner_path(entry.name)
    if entry.open is None or (path.parts and _can_be_called(entry.name, path)):
        return
    with entry.open() as stream:
        if explain_left_out(path, stream.read(BEGINNING_BYTES), also=also) is None:
            raise ArchiveRefusedError(f"no file can be called {entry.name[:100]!r}")


def _copy_entry(entry: Entry, folder: Path, also: Collection[str], copied: Copied) -> None:
    """Write one file, or note why it is left out; a folder is made when a file is in it."""
    if entry.open is None:
        return
    path = find_inner_path(entry.name)
    with entry.open() as stream:
        beginning = stream.read(BEGINNING_BYTES)
        if reason := explain_left_out(path, beginning, also=also):
            copied.left_out.append((entry.name, reason))
            return
        try:
            copied.files.append(copy_stream(stream, folder, path, beginning=beginning))
        except (FileExistsError, NotADirectoryError) as error:
            raise ArchiveRefusedError(f"it holds {entry.name!r} twice") from error
