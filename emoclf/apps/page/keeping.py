"""The folder of the page's photos: what it takes, how long it keeps it, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KEPT_SECONDS = 300
"""Photos and predictions are deleted so long after their last use."""

MAX_KEPT_BYTES, MAX_KEPT_FILES = 2**30, 2000
"""With more in the folder, further uploads have to wait."""

_PREFIX = "emoclf-demo-"
_CHECK_SECONDS = 20
_LOOKS = 3
_SILENT_SECONDS = 3600
"""On Windows folders cannot be locked: untouched for so long, one belongs to no page any more."""

_CONTENT_HASH = re.compile(r"[0-9a-f]{64}")


class PhotoFolder:
    """A folder of uploads and predictions that deletes what was not used for five minutes.

    Gradio puts each file into a sub-folder of `uploads` that is called like the hash of its
    content; what is on its way there lies beside them.

    Args:
        root: An empty folder of this process alone, without a link in its path.

    Attributes:
        root: As given.
        uploads: Where uploads and predictions lie.
    """

    def __init__(self, root: Path) -> None:
        """Make the folder of uploads."""
        self.root = root
        self.uploads = root / "uploads"
        self.uploads.mkdir()
        self._permanent: frozenset[Path] = frozenset()
        self._announced = 0
        self._lock = threading.Lock()

    def keep_present(self) -> None:
        """Never delete what lies in the folder now: the examples."""
        self._permanent = frozenset(self._list_files())

    def has(self, path: object) -> bool:
        """Say whether a path that a client names is a whole file of this folder, and use it.

        Every other path is judged by its words alone, so that nobody learns whether it exists.

        Args:
            path: What the client sent.

        Returns:
            Whether it is the one name of a regular file in `uploads`, which then stays for five
            more minutes.
        """
        if not isinstance(path, str) or not self._is_name_of_upload(path):
            return False
        file = Path(path)
        try:
            if file.parent.is_symlink() or not stat.S_ISREG(file.lstat().st_mode):
                return False
            os.utime(file)
        except (OSError, ValueError):  # deleted, too long, or with a null character
            return False
        return True

    @contextlib.contextmanager
    def expecting(self, size: int) -> Iterator[bool]:
        """Announce an upload for the time of the block.

        Args:
            size: Its bytes.

        Yields:
            Whether there is room for it.
        """
        with self._lock:
            has_room = self._has_room(size)
            self._announced += size if has_room else 0
        try:
            yield has_room
        finally:
            with self._lock:
                self._announced -= size if has_room else 0

    def remove_old(self, *, now: float | None = None) -> None:
        """Delete what was not used for five minutes, and empty folders as old.

        Args:
            now: The time, in seconds since 1970; default: now.
        """
        limit = (time.time() if now is None else now) - KEPT_SECONDS
        for file in self._list_files():
            with contextlib.suppress(OSError):  # replaced or deleted meanwhile
                if file not in self._permanent and file.lstat().st_mtime < limit:
                    file.unlink()
        for folder in self.uploads.iterdir():
            with contextlib.suppress(OSError):  # not empty, or no folder
                if folder.lstat().st_mtime < limit:
                    folder.rmdir()

    def _is_name_of_upload(self, path: str) -> bool:
        file = Path(path)
        return (
            str(file) == path
            and file.name != ".."
            and file.parent.parent == self.uploads
            and _CONTENT_HASH.fullmatch(file.parent.name) is not None
        )

    def _has_room(self, size: int) -> bool:
        whole = partial = count = 0
        for file in self._list_files():
            with contextlib.suppress(OSError):
                count += 1
                if file.parent == self.uploads:
                    partial += file.lstat().st_size
                else:
                    whole += file.lstat().st_size
        used = whole + max(partial, self._announced)  # what is on its way was announced
        return used + size <= MAX_KEPT_BYTES and count < MAX_KEPT_FILES

    def _list_files(self) -> list[Path]:
        """List all files and links under `uploads`."""
        return [Path(top, name) for top, _, names in os.walk(self.uploads) for name in names]


@contextlib.contextmanager
def open_photo_folder(parent: Path | None = None) -> Iterator[PhotoFolder]:
    """Make a folder for the page's photos, and remove it with all that is in it at the end.

    What pages have left there that were killed is removed, too. A page that runs holds a lock on
    its folder, which the system takes back however the page ends.

    Args:
        parent: Where to make it; default: the folder of temporary files.

    Yields:
        The folder, readable for this user only.
    """
    parent = Path(tempfile.gettempdir() if parent is None else parent).resolve()
    _remove_leftovers(parent)
    root, lock = _make_locked_folder(parent)
    is_over = threading.Event()
    try:
        photos = PhotoFolder(root)
        threading.Thread(target=_clean_regularly, args=(photos, is_over), daemon=True).start()
        yield photos
    finally:
        is_over.set()
        _remove(root)
        if lock is not None:
            os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of this user's pages that run no more."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or of a page that runs
            status = folder.lstat()
            is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            is_silent = status.st_mtime < time.time() - _SILENT_SECONDS
            if is_own and stat.S_ISDIR(status.st_mode) and (fcntl or is_silent):
                lock = _lock(folder)
                _remove(folder)
                if lock is not None:
                    os.close(lock)


def _make_locked_folder(parent: Path) -> tuple[Path, int | None]:
    while True:
        root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            return root, _lock(root)
        except (BlockingIOError, FileNotFoundError):  # a page that starts took it for a leftover
            continue
        except OSError:  # a disk without locks: nobody can take the folder for a leftover there
            return root, None


def _lock(folder: Path) -> int | None:
    """Lock a folder that is there until the process ends; None on Windows, which cannot."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _clean_regularly(photos: PhotoFolder, is_over: threading.Event) -> None:
    while not is_over.wait(_CHECK_SECONDS):
        with contextlib.suppress(OSError):  # a disk that fails once may not the next time
            photos.remove_old()
            os.utime(photos.root)  # a sign of life


def _remove(folder: Path) -> None:
    """Remove a folder until it stays away: something may still be written that nobody waits for."""
    looks = 0
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        looks = 0 if folder.exists() else looks + 1
        if looks == _LOOKS:
            return
        time.sleep(0.1)
