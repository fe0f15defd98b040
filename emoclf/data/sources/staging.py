"""Copy a data set to this machine once: checked, and found again at once by the next call.

Google Drive, mounted, takes long to open a file and is quick to read one. An archive is one file:
it is copied whole and unpacked here. A folder is copied by several threads. The source is only
read.

    LOCAL/.staged.json   what was staged, from where: path, size and SHA-256 of every file
    LOCAL/happy/...      the photos
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Literal

from tqdm import tqdm

from emoclf.config import CLASS_NAMES
from emoclf.data.folders import FileList, PhotoFolder, find_class_folders, list_files
from emoclf.data.sources.archives import ARCHIVE_EXTENSIONS, fill_from_archive, naming_archive
from emoclf.data.sources.copying import (
    ArchiveLimits,
    Copied,
    CopiedFile,
    agree_on_size,
    copy_folder,
    verify_copies,
    write_stream,
)
from emoclf.storage import (
    building_folder,
    describe_irregular,
    find_path,
    open_regular,
    read_json,
    write_json,
)
from emoclf.storage.archives import ArchiveRefusedError, find_archive_kind
from emoclf.untrusted import show_text

RECORD_NAME = ".staged.json"
"""File in a staged folder that says what was staged and from where."""

_Format = Literal["emoclf staged data 1"]
_FORMAT: _Format = "emoclf staged data 1"


@dataclass(frozen=True)
class _Record:
    """What `RECORD_NAME` holds."""

    format: _Format
    source: str
    fingerprint: str
    files: tuple[CopiedFile, ...]
    left_out: tuple[tuple[str, str], ...]


def stage_data(
    source: str | Path,
    local_folder: str | Path,
    *,
    sha256: str | None = None,
    limits: ArchiveLimits | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    progress: bool = True,
    ask: Callable[[str], str] | None = None,
    beside: bool = False,
) -> PhotoFolder:
    """Copy the pictures of a folder or an archive to this machine, once.

    Every file is read again after it was written and compared with what was read. Only when all
    are right, the folder appears under its name. A second call looks whether the source is still
    the same (names, sizes and times, no content) and copies nothing.

    Args:
        source: A folder, or a `.zip`, `.tar` or `.tar.gz`, for example on a mounted Drive. It is
            only read.
        local_folder: Where the copy goes: nothing, an empty folder, or what an earlier call has
            staged from the same source.
        sha256: What the SHA-256 of an archive should be, where you know it.
        limits: What an archive or folder may hold at most; None takes the defaults.
        class_names: Names in label order, to find the class folders inside a wrapping folder.
        progress: Whether a progress bar is shown.
        ask: For a slow source such as Drive: how long it takes is told before, and above
            `copying.ASK_ABOVE_BYTES` this is called with a question, as `input` is.
        beside: Whether a source that has changed, or another one, goes into a further folder
            beside the local one, which ends in `-2`, `-3` and so on.

    Returns:
        Where the photos are, how many, and what was left out.

    Raises:
        FileNotFoundError: If there is no such source.
        FileExistsError: If something else is in the local folder, or the source has changed.
        ArchiveRefusedError: If the archive is damaged, unsafe or too large, or holds no picture;
            nothing is left behind then.
        ValueError: If a folder holds no picture, the checksum is another, or the answer is not yes.
        OSError: If a disk fails or is too small; nothing is left behind then.

    Example:
        >>> stage_data("/content/drive/MyDrive/photos.zip", "/content/data")  # doctest: +SKIP
    """
    source, local_folder = Path(source), Path(local_folder)
    if not source.exists():
        raise FileNotFoundError(
            f"{show_text(source)} does not exist. Expected a folder or an archive. On Google "
            "Drive, mount Drive first (emoclf.runtime.mount_drive()) and check the spelling."
        )
    kind = describe_irregular(source.stat().st_mode)
    if kind and not source.is_dir():
        raise ValueError(
            f"{show_text(source)} is {kind}. Expected a folder, or an archive: check the path."
        )
    _check_apart(source, local_folder)
    if sha256 and source.is_dir():
        raise ValueError(
            f"sha256: {show_text(source)} is a folder, and only an archive has one checksum."
        )
    listing = list_files(source) if source.is_dir() else FileList((source,), ())
    limits = limits or ArchiveLimits()
    fingerprint, sizes = _fingerprint(source, listing.files, sha256)
    if beside:
        local_folder = _find_place(local_folder, str(source.resolve()), fingerprint)

    def fill(temporary: Path) -> Copied:
        largest = limits.file_bytes if source.is_dir() else max(sizes)
        copied = [size for size in sizes if size <= largest]  # larger files are left out
        agree_on_size(source, copied, temporary, ask=ask, progress=progress)
        if not source.is_dir():
            return _copy_archive(source, temporary, limits, sha256, progress)
        return copy_folder(source, listing, temporary, limits=limits, progress=progress)

    return stage_with(
        fill,
        local_folder,
        source=str(source.resolve()),
        fingerprint=fingerprint,
        class_names=class_names,
        progress=progress,
    )


def stage_with(
    fill: Callable[[Path], Copied],
    local_folder: Path,
    *,
    source: str,
    fingerprint: str,
    class_names: tuple[str, ...] = CLASS_NAMES,
    progress: bool = True,
) -> PhotoFolder:
    """Fill a folder once, by `fill`: verified, recorded, whole or not there.

    The fingerprint is that of the source's state: another one is not taken for the same. Raises
    FileExistsError if something else is in the local folder, or the source has changed.
    """
    was_there = (local_folder / RECORD_NAME).is_file()
    if was_there:
        record = _read_record(local_folder, source, fingerprint)
    else:
        with building_folder(local_folder) as temporary:
            files, left_out = fill(temporary)
            verify_copies(temporary, tqdm(files, desc="Verifying", disable=not progress))
            record = _Record(_FORMAT, source, fingerprint, tuple(files), tuple(left_out))
            write_json(temporary / RECORD_NAME, asdict(record))
    digest = hashlib.sha256()
    for file in record.files:
        digest.update(f"{file.path}\0{file.sha256}\n".encode(errors="surrogateescape"))
    return PhotoFolder(
        _find_class_root(local_folder, class_names),
        source,
        files=len(record.files),
        bytes=sum(file.bytes for file in record.files),
        sha256=digest.hexdigest(),
        left_out=record.left_out,
        was_there=was_there,
        gone=tuple(f.path for f in record.files if not _is_there(local_folder, f.path)),
    )


def _is_there(folder: Path, path: str) -> bool:
    return os.path.isfile(find_path(folder, path))  # noqa: PTH113 - says no for impossible names


def _check_apart(source: Path, local_folder: Path) -> None:
    inner, outer = local_folder.resolve(), source.resolve()
    if source.is_dir() and (inner.is_relative_to(outer) or outer.is_relative_to(inner)):
        raise ValueError(
            f"{show_text(local_folder)} and {show_text(source)} lie inside each other. "
            "Give a local folder elsewhere."
        )


def _find_place(folder: Path, source: str, fingerprint: str) -> Path:
    """Return the first of `folder`, `folder-2`, ... that holds this state of it, or nothing."""
    for number in count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        if not place.exists() or (place.is_dir() and not any(place.iterdir())):
            break
        if (place / RECORD_NAME).is_file():
            with suppress(FileExistsError, ValueError):
                _read_record(place, source, fingerprint)
                break
    return place


def _fingerprint(source: Path, files: Iterable[Path], sha256: str | None) -> tuple[str, list[int]]:
    """Return a digest of names, sizes and times, for which no file is opened, and the sizes."""
    digest, sizes = hashlib.sha256(repr(sha256 and sha256.lower()).encode()), []
    for file in files:
        status = file.stat()
        sizes.append(status.st_size)
        name = file.relative_to(source).as_posix() if file != source else ""
        line = f"{name}\0{status.st_size}\0{int(status.st_mtime)}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest(), sizes


def _copy_archive(
    source: Path, target: Path, limits: ArchiveLimits, sha256: str | None, progress: bool
) -> Copied:
    """Copy an archive in one piece, compare its checksum, unpack it here."""
    with (
        open_regular(source, what="an archive", max_bytes=limits.bytes) as stream,
        (target / f".archive{source.suffix}").open("x+b") as local,
    ):
        if find_archive_kind(stream) is None:
            raise ArchiveRefusedError(
                f"{show_text(source)} is not unpacked: its content is none of "
                f"{ARCHIVE_EXTENSIONS}. Pack it as one of these."
            )
        received = _copy_stream(stream, local, progress=progress)
        if sha256 and received != sha256.lower():
            raise ValueError(
                f"{show_text(source)} has the SHA-256 {received}, expected {show_text(sha256)}. It "
                "is another file or was cut off: copy it again."
            )
        with naming_archive(source):
            copied = fill_from_archive(local, target, limits=limits, progress=progress)
    Path(local.name).unlink()
    return copied


def _copy_stream(stream: BinaryIO, local: BinaryIO, *, progress: bool) -> str:
    """Copy as many bytes as a file has now, and return their SHA-256: it may grow meanwhile."""
    size = stream.seek(0, 2)
    stream.seek(0)
    with tqdm(total=size, desc="Copying", unit="B", unit_scale=True, disable=not progress) as bar:
        return write_stream(stream, local, max_bytes=size, tell=bar.update)[1]


def _read_record(folder: Path, source: str, fingerprint: str) -> _Record:
    """Return what an earlier call has staged, if it is the same."""
    try:
        record: _Record = read_json(folder / RECORD_NAME, what="what was staged", kind=_Record)
    except ValueError as error:
        raise ValueError(
            f"{show_text(folder / RECORD_NAME)} was not written by this emoclf "
            f"({show_text(error)}): delete {show_text(folder)}."
        ) from error
    if (record.source, record.fingerprint) != (source, fingerprint):
        was = "an earlier state of it" if record.source == source else show_text(record.source)
        raise FileExistsError(
            f"{show_text(folder)} holds what was staged from {was}, not {show_text(source)} as it "
            "is now. Stage into another folder, or delete this one first."
        )
    return record


def _find_class_root(folder: Path, class_names: tuple[str, ...]) -> Path:
    """Go down through folders that only wrap another one, as archives have them."""
    while not find_class_folders(folder, class_names=class_names, require_all=False).folders:
        inner = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if len(inner) != 1 or not inner[0].is_dir():
            break
        folder = inner[0]
    return folder
