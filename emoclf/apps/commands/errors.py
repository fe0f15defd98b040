"""What can go wrong in a command: said in one line, with what to do next."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from emoclf.untrusted import show_text

EXIT_FAILED = 1
EXIT_NOT_UNDERSTOOD = 2
EXIT_INTERRUPTED = 130

_TOO_LARGE = (
    "The memory of this machine is not enough for it. Close other programs, or give fewer or "
    "smaller photos; for a training, a smaller --image-size or --batch-size."
)
_TOO_DEEP = (
    "A file or folder is nested too deeply to be followed. Give a part of it, or lay it out in "
    "fewer levels."
)
_MAKE_ROOM = (
    "Make room on that disk, or choose another place, and give the command again (a training goes "
    "on with --resume)."
)
_STEPS = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EROFS: "Choose another place.",
    errno.EACCES: "Change the permissions, or choose another place.",
    errno.EPERM: "Change the permissions, or choose another place.",
    errno.ENAMETOOLONG: "Give a shorter name, or choose another place.",
}
_LITTLE_ROOM_BYTES = 16 * 2**20

_ERRORS_OF_LIBRARIES = {
    "zipfile": "BadZipFile",
    "tarfile": "TarError",
    "csv": "Error",
    "zlib": "error",
    "cv2": "error",
    "tensorflow.python.framework.errors_impl": "OpError",
}


class UsageError(Exception):
    """A command that cannot be meant as it was given."""


@contextmanager
def stopping(text: str) -> Iterator[None]:
    """Give Ctrl-C in a block, or in a command that this decorates, its last words."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(text) from error


def find_explained() -> tuple[type[Exception], ...]:
    """Return the errors that `explain` can say: Python's, and those of loaded libraries."""
    loaded = ((sys.modules.get(module), name) for module, name in _ERRORS_OF_LIBRARIES.items())
    others = (getattr(module, name) for module, name in loaded if hasattr(module, name))
    return (ImportError, OSError, MemoryError, ValueError, RuntimeError, *others)


def explain(error: BaseException) -> str:
    """Return what went wrong and what to do, in one line where another library has said it.

    Args:
        error: One of `find_explained()`.

    Returns:
        Its own text if emoclf raised it; a name in a text of others is escaped.
    """
    if isinstance(error, ImportError):
        step = "Install what emoclf needs: pip install -r requirements.txt"
        return f"{show_text(error)}. {step}"
    if isinstance(error, OSError):
        return _explain_refusal(error)
    if isinstance(error, MemoryError):
        return _TOO_LARGE
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    is_python = isinstance(error, (ValueError, RuntimeError))
    return _say(error) if is_python else f"{type(error).__name__}: {_say(error)}"


def _say(error: BaseException) -> str:
    text, last = str(error) or type(error).__name__, error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    is_own = last is not None and last.tb_frame.f_globals.get("__name__", "").startswith("emoclf.")
    return text if is_own else show_text(" ".join(text.split()))


def _explain_refusal(error: OSError) -> str:
    """Say what the system refused, where, and what to do; emoclf's own errors say it already."""
    if error.errno is None or error.strerror is None:
        return _say(error)
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    # Where a file is copied, the first name is the one that is read.
    place = error.filename2 if is_full and error.filename2 is not None else error.filename
    if isinstance(place, bytes):
        place = os.fsdecode(place)
    where = "" if place is None else f"{show_text(place)}: "
    reason = os.strerror(error.errno) if is_full else show_text(error.strerror)
    step = _STEPS.get(error.errno, "Check the path, or choose another place.")
    return f"{where}{reason}. {step}{_describe_full_temporaries() if is_full else ''}"


def _describe_full_temporaries() -> str:
    """Name the temporary folder if it is full: libraries write there first, and do not say so."""
    import shutil
    import tempfile

    try:
        folder = tempfile.gettempdir()
        is_full = shutil.disk_usage(folder).free < _LITTLE_ROOM_BYTES
    except OSError:  # no file can be made in any folder for such files
        folder, is_full = os.environ.get("TMPDIR", "/tmp"), True
    return f" The temporary folder {show_text(folder)} is full, too." if is_full else ""
