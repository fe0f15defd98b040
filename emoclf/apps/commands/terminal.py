"""The one way from the commands to the terminal: texts, JSON, and what went wrong, in a line.

Nothing from outside moves the cursor there. What was made harmless where a message was written is
not touched again. What was not, such as a warning of another library, is made harmless here.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from emoclf.untrusted import show_lines, show_text

_BARS = frozenset(
    {("keras.src.utils.progbar", "update"), ("tqdm.std", "fp_write"), ("tqdm.std", "moveto")}
)
"""What draws progress bars, and moves the cursor for it."""

_MOVES = re.compile(r"[\r\b]|\x1b\[(?:[0-9;]*m|[AK]|\?25[lh])")
"""All that a bar needs; should a name from outside stand in one, nothing else passes."""

_COPIED = re.compile("python -m emoclf |pip install ")

_CALLS_TO_BAR = 4
"""It is found that few calls above what writes, or it does not write."""


def echo(text: object = "", *, err: bool = False, wrap: bool = True) -> None:
    """Print a text and a line break on the standard output, or on the error stream.

    In a terminal, lines are broken between words, but for those with a command to copy.
    """
    stream, shown = sys.stderr if err else sys.stdout, show_lines(text)
    columns = find_columns(stream)
    if columns and wrap:
        shown = "\n".join(_break(line, columns) for line in shown.split("\n"))
    stream.write(f"{shown}\n")
    stream.flush()


def find_columns(stream: TextIO) -> int | None:
    """Return the width of the terminal that a stream writes to; None for a file or a pipe."""
    import shutil

    return shutil.get_terminal_size().columns if stream.isatty() else None


def _break(line: str, columns: int) -> str:
    if len(line) <= columns or _COPIED.search(line):
        return line
    import textwrap

    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(),
        columns,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def echo_json(value: object) -> None:
    """Print a value as JSON, exactly: what could move a cursor is escaped as JSON does it."""
    text = json.dumps(value, indent=1)
    echo(text.replace("\x7f", "\\u007f"), wrap=False)  # which JSON leaves as it is


def is_watched() -> bool:
    """Return whether somebody looks at the error stream, so that a progress bar makes sense."""
    return sys.stderr.isatty()


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as one line on the standard error stream, without the code they come from."""

    def show(message: Warning | str, *_details: object) -> None:
        echo(f"Note: {' '.join(str(message).split())}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Let both standard streams show what could harm, and hold every character, in the block."""
    _open_missing()
    streams: dict[str, Any] = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        setattr(sys, name, GuardedStream(stream))
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
            _end(stream)


def _open_missing() -> None:
    """Give a program that was started without standard streams some that lead nowhere.

    Else the next file that is opened takes the number of one of them, and gets what other
    libraries write there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - stays open
            setattr(sys, name, nowhere)


def _end(stream: TextIO) -> None:
    """Write what is still kept; where that is refused, keep Python from trying again."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class GuardedStream:
    """A text stream that escapes what moves a cursor, and what its encoding does not have."""

    def __init__(self, stream: TextIO) -> None:
        """Guard a stream."""
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        """Answer what is not defined here as the stream does, but hand out no way around."""
        if name in ("buffer", "detach", "reconfigure"):
            raise AttributeError(name)
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text, made harmless unless a progress bar has drawn it."""
        if not isinstance(text, str):
            raise TypeError(f"write() expects str, received {type(text).__name__}")
        shown = show_lines(text)
        if shown != text and _is_drawn_by_bar():
            moves = [*_MOVES.findall(text), ""]
            pieces = zip(_MOVES.split(text), moves, strict=True)
            shown = "".join(show_lines(piece) + move for piece, move in pieces)
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        with self._naming_stream():
            self.stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is still kept."""
        with self._naming_stream():
            self.stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is not ours."""

    @contextmanager
    def _naming_stream(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            error.filename = error.filename or getattr(self.stream, "name", None)
            raise


def _is_drawn_by_bar() -> bool:
    """Tell whether a progress bar is among those who call."""
    frame = sys._getframe(2)
    for _ in range(_CALLS_TO_BAR):
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _BARS:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


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
    """Return what went wrong and what to do: one of `find_explained()`.

    The text is the error's own if emoclf raised it; another library's is one line, escaped.
    """
    if isinstance(error, ImportError):
        return _explain_import(error)
    if isinstance(error, OSError):
        return _explain_refusal(error)
    if isinstance(error, MemoryError):
        return _TOO_LARGE
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    is_python = isinstance(error, (ValueError, RuntimeError))
    return _say(error) if is_python else f"{type(error).__name__}: {_say(error)}"


def _explain_import(error: ImportError) -> str:
    from emoclf.runtime import MissingPartError, explain_missing

    if isinstance(error, MissingPartError) or not error.name:
        return _say(error)
    return str(explain_missing(error.name, error))


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
