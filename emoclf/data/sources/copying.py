"""Files on their way to this machine: what is taken, written with its checksum, read again."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm import tqdm

from emoclf.data.folders import FileList
from emoclf.display import count_noun
from emoclf.images import IMAGE_EXTENSIONS, explain_unknown_content, find_format
from emoclf.storage import find_sha256, make_folder, open_regular
from emoclf.storage.archives import ArchiveRefusedError
from emoclf.untrusted import show_text

BEGINNING_BYTES = 4096
"""How much of a file is looked at to see what it is."""

ASK_ABOVE_BYTES = 5_000_000_000
"""More than this is copied from a slow source only after a question."""

_FILES_PER_SECOND = 80
_BYTES_PER_SECOND = 30_000_000
"""What is expected of Drive: 0.2 s to open a file, by 16 threads, and 30 MB a second."""

_DEBRIS = frozenset(
    {
        *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("$recycle.bin", "system volume information", "@eadir", "#recycle", "lost+found"),
    }
)
"""What macOS, Windows and network drives put beside photos, in small letters."""

_PIECE_BYTES = 1 << 18
_GIB = 1 << 30
_THREADS = 16


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold at most.

    Attributes:
        entries: Files and folders.
        bytes: All files together, unpacked.
        file_bytes: One file, unpacked.
        ratio: How many times larger than the archive all files together may be, once they are
            above 64 MiB. Photos are compressed already: a large ratio is a bomb.
    """

    entries: int = 200_000
    bytes: int = 20 * _GIB
    file_bytes: int = _GIB
    ratio: float = 100.0

    def check_total(self, size: int, archive_bytes: int) -> None:
        """Refuse bytes of all files together, unpacked, that are beyond a limit."""
        if size > self.bytes:
            raise ArchiveRefusedError(f"unpacked it has more than {self.bytes:,} bytes")
        if size > max(_GIB >> 4, self.ratio * archive_bytes):
            raise ArchiveRefusedError(
                f"unpacked it is more than {self.ratio:.0f} times as large: no archive of photos is"
            )


@dataclass(frozen=True)
class CopiedFile:
    """A file that was written.

    Attributes:
        path: Relative to the folder, with forward slashes.
        bytes: Its size.
        sha256: Of its content, as it was read from the source, in hexadecimal digits.
    """

    path: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        """Refuse what a record may say and no file has."""
        if self.bytes < 0:
            raise ValueError("bytes should be 0 or more")
        f"{self.path}{self.sha256}".encode(errors="surrogateescape")


class Copied(NamedTuple):
    """What was taken from a folder or an archive, and what was not, each with the reason."""

    files: list[CopiedFile]
    left_out: list[tuple[str, str]]


def explain_left_out(
    path: PurePosixPath, beginning: bytes, *, also: Collection[str] = ()
) -> str | None:
    """Say why a file is not taken, or return None for a picture.

    A file counts as a picture by its content or by its extension: what is called `.jpg` and is
    none is taken too, so that the cleaning step can say so.

    Args:
        path: Relative path of the file.
        beginning: Its first bytes.
        also: Extensions that are taken besides, such as `(".csv",)`.

    Returns:
        The reason, or None.

    Example:
        >>> explain_left_out(PurePosixPath("sad/notes.txt"), b"remember")
        'no picture'
    """
    if is_debris(path):
        return "hidden"
    extension = path.suffix.lower()
    if extension in IMAGE_EXTENSIONS or extension in also or find_format(beginning):
        return None
    kind, reason = explain_unknown_content(beginning)
    return reason if kind == "unsupported_format" else "no picture"


def is_debris(path: PurePosixPath) -> bool:
    r"""Tell whether a file is hidden, or left by a system for itself: no photo of anybody's.

    Example:
        >>> is_debris(PurePosixPath("sad/Icon\r")), is_debris(PurePosixPath("sad/icon.png"))
        (True, False)
    """
    return any(part.startswith(".") or part.lower() in _DEBRIS for part in path.parts)


def copy_stream(
    stream: IO[bytes],
    folder: Path,
    path: PurePosixPath,
    *,
    beginning: bytes,
    max_bytes: int | None = None,
) -> CopiedFile:
    """Write the rest of a stream, after `beginning`, to a new file below a folder.

    The path is checked already; `max_bytes` is for a file that may grow meanwhile. Raises
    FileExistsError if the file is there already.
    """
    target = folder.joinpath(*path.parts)
    make_folder(target.parent)
    with target.open("xb") as file:
        size, digest = write_stream(stream, file, beginning=beginning, max_bytes=max_bytes)
    return CopiedFile(path.as_posix(), size, digest)


def write_stream(
    stream: IO[bytes],
    file: IO[bytes],
    *,
    beginning: bytes = b"",
    max_bytes: int | None = None,
    tell: Callable[[int], object] | None = None,
) -> tuple[int, str]:
    """Write a stream into a file, piece by piece; return how much, and its SHA-256.

    `beginning` was read from the stream before; `max_bytes` limits what is written; `tell` is
    called with the size of every piece.
    """
    digest, size, piece = hashlib.sha256(), 0, beginning
    while True:
        file.write(piece)
        digest.update(piece)
        size += len(piece)
        if tell is not None:
            tell(len(piece))
        left = _PIECE_BYTES if max_bytes is None else max(0, max_bytes - size)
        piece = stream.read(min(_PIECE_BYTES, left))
        if not piece:
            return size, digest.hexdigest()


def agree_on_size(
    source: Path,
    sizes: list[int],
    target: Path,
    *,
    ask: Callable[[str], str] | None,
    progress: bool,
) -> None:
    """Say of a slow source how long it takes, ask when it is much, refuse what has no room.

    Without `ask`, nothing is said. Raises ValueError if the answer is not yes, OSError if the disk
    of `target` is too small.
    """
    total, free = sum(sizes), shutil.disk_usage(target).free
    seconds = len(sizes) / _FILES_PER_SECOND + total / _BYTES_PER_SECOND
    minutes = count_noun(math.ceil(seconds / 60), "minute")
    work = f"{count_noun(len(sizes), 'file')}, {total / 1e9:,.2f} GB, about {minutes}"
    if ask is not None and total > ASK_ABOVE_BYTES:
        answer = ""
        with suppress(EOFError, OSError, NotImplementedError):  # nobody is there to answer
            answer = ask(f"Copy {show_text(source)} to this machine: {work}? (y/n) ")
        if answer.strip().lower() not in ("y", "yes"):
            raise ValueError(
                f"Nothing was copied: {show_text(source)} holds {work}. Run this again and answer "
                f"y, or give a folder of at most {ASK_ABOVE_BYTES / 1e9:.0f} GB: some of the "
                "photos are enough to learn from."
            )
    elif ask is not None and progress:
        tqdm.write(f"Copying {show_text(source)} to this machine: {work}", file=sys.stderr)
    if total > free:
        raise OSError(
            f"Nothing was copied: {show_text(source)} holds {total / 1e9:,.2f} GB, and this disk "
            f"has {free / 1e9:,.2f} GB left. Give a folder with fewer photos."
        )


def copy_folder(
    source: Path, listing: FileList, target: Path, *, limits: ArchiveLimits, progress: bool
) -> Copied:
    """Copy the pictures of a folder with several threads: most of the time is waiting.

    A file that is too large is left out. Raises ValueError if there are too many files, or no
    picture.
    """
    files = listing.files
    if len(files) > limits.entries:
        most = f"more than {limits.entries:,}"
        raise ValueError(f"{show_text(source)} has {len(files):,} files, {most}.")
    names = [PurePosixPath(file.relative_to(source).as_posix()) for file in files]
    left_out = [(path.relative_to(source).as_posix(), why) for path, why in listing.skipped]
    copied = Copied([], left_out)
    bar = tqdm(total=len(files), desc="Copying", unit=" files", disable=not progress)
    with bar, ThreadPoolExecutor(_THREADS) as pool:
        copy = partial(_copy_file, target=target, max_bytes=limits.file_bytes)
        results = pool.map(copy, files, names)
        for name, result in zip(names, results, strict=True):
            bar.update()
            if isinstance(result, CopiedFile):
                copied.files.append(result)
            else:
                copied.left_out.append((str(name), result))
    if not copied.files:
        looked = f"{len(files):,} files were looked at"
        raise ValueError(f"{show_text(source)} holds no picture: {looked}.")
    return Copied(sorted(copied.files, key=lambda file: file.path), copied.left_out)


def _copy_file(file: Path, path: PurePosixPath, target: Path, max_bytes: int) -> CopiedFile | str:
    """Copy a file if it is a picture, or return the reason why it is left out."""
    try:
        with open_regular(file, what="a picture") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                return f"{size:,} bytes, more than {max_bytes:,}"
            beginning = stream.read(min(BEGINNING_BYTES, size))
            return explain_left_out(path, beginning) or copy_stream(
                stream, target, path, beginning=beginning, max_bytes=size
            )
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return "its path would be too long here"  # that of a deep file, in the new place


def verify_copies(folder: Path, files: Iterable[CopiedFile]) -> None:
    """Read every file again; raise OSError if one is not what was read from the source."""
    for file in files:
        if find_sha256(folder / file.path) != file.sha256:
            raise OSError(
                f"{show_text(file.path)} was written to {str(folder.parent)!r} but reads "
                "differently: the disk is damaged or full. Nothing was kept; choose a folder on "
                "another disk."
            )
