"""The one way from the commands to the terminal: texts, JSON, and what went wrong, in a line.

Nothing from outside moves the cursor there. What was made harmless where a message was written is
not touched again. What was not, such as a warning of another library, is made harmless here.
"""

from __future__ import annotations

import errno
import faulthandler
import json
import logging
import os
import re
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TextIO

from emoclf.runtime import quiet_start
from emoclf.untrusted import show_lines, show_text

_BARS = frozenset(
    {
        ("keras.src.utils.progbar", "update"),
        ("tqdm.std", "clear"),
        ("tqdm.std", "fp_write"),
        ("tqdm.std", "moveto"),
    }
)
"""What draws progress bars, and moves the cursor for it."""

_MOVES = re.compile(r"[\r\b]|\x1b\[(?:[0-9;]*m|[AK]|\?25[lh])")
"""All that a bar needs; should a name from outside stand in one, nothing else passes."""

_COPIED = re.compile("python -m |pip install ")
_LABEL_COLUMNS = 16
_PATIENCE_SECONDS = 1.0
"""A wait that is shorter is not spoken of."""

UNNAMED = "Working"
"""What a terminal is told of a wait that has no better name; a file or a pipe is not told."""

_waits: list[str] = []
"""What is being done, the innermost last."""

_CALLS_TO_BAR = 4
"""It is found that few calls above what writes, or it does not write."""


def echo(text: object = "", *, err: bool = False, wrap: bool = True) -> None:
    """Print a text and a line break on the standard output, or on the error stream.

    In a terminal, lines are broken between words; a command to copy gets a line of its own.
    """
    stream, shown = sys.stderr if err else sys.stdout, show_lines(text)
    columns = find_columns(stream)
    if columns and wrap:
        shown = "\n".join(_break(line, columns) for line in shown.split("\n"))
    stream.write(f"{shown}\n")
    stream.flush()


def find_columns(stream: TextIO) -> int | None:
    """Return the width of the terminal that a stream writes to; None for a file or a pipe."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def _break(line: str, columns: int) -> str:
    if len(line) <= columns:
        return line
    import textwrap

    if command := _COPIED.search(line):
        start = command.start()  # after a label it stands alone as it is
        if start <= _LABEL_COLUMNS:
            return line
        return f"{_break(line[:start].rstrip(), columns)}\n{line[start:]}"
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
def waiting(text: str) -> Iterator[None]:
    """Let the error stream say what is done in a block, should it take more than a second.

    Nothing is said in a block without a text.
    """
    _waits.append(text)
    try:
        yield
    finally:
        _waits.pop()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let only emoclf's own warnings be seen, each as a line, and no library's log.

    What native code writes past Python, `guarded_streams` leads away.
    """

    def show(message: Warning | str, *_details: object) -> None:
        caller = sys._getframe(2).f_globals.get("__name__", "")
        if f"{caller}.".startswith("emoclf."):
            echo(f"Note: {' '.join(str(message).split())}", err=True)

    level = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        logging.disable(level)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Let both standard streams show what could harm, and hold every character, in the block."""
    _open_missing()
    streams: dict[str, Any] = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    with _keep_to_ourselves(streams["stderr"]) as errors:
        clock = _Clock(errors) if errors is not streams["stderr"] else None
        guarded = [GuardedStream(each, clock) for each in (streams["stdout"], errors)]
        sys.stdout, sys.stderr = guarded  # type: ignore[assignment]
        try:
            yield
        finally:
            if clock is not None:
                clock.end()
            _end(errors)
            for each, (name, stream) in zip(guarded, streams.items(), strict=True):
                each.stream, each.clock = stream, None  # a library may have kept it
                setattr(sys, name, stream)
                _end(stream)


@contextmanager
def _keep_to_ourselves(errors: TextIO) -> Iterator[TextIO]:
    """Lead away what native code writes to the error stream; yield one that still gets there."""
    try:
        is_native = errors.fileno() == 2
    except (AttributeError, OSError, ValueError):  # a stream in memory
        is_native = False
    if not is_native:
        yield errors
        return
    _end(errors)
    own = os.fdopen(os.dup(2), "w", 1, encoding=errors.encoding, errors=errors.errors)
    faulthandler.enable(own)  # else a crash of native code would say nothing
    try:
        with quiet_start():
            yield own
    finally:
        faulthandler.disable()
        _end(own)
        own.close()


class _Clock:
    """Says on the error stream what is waited for, and on a terminal since when."""

    def __init__(self, stream: TextIO) -> None:
        """Begin to look at the time."""
        self.stream, self.lock, self.ended = stream, threading.RLock(), threading.Event()
        self.last, self.is_free, self.shown, self.said = time.monotonic(), True, "", ""
        self.is_terminal = stream.isatty()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self.ended.wait(0.5):
            with self.lock, suppress(OSError, ValueError):
                self._tick()

    def _tick(self) -> None:
        """Say what is waited for: below the last line, never within one or within a bar."""
        seconds, text = time.monotonic() - self.last, next(reversed(_waits), "")
        if not text:  # the next wait begins later
            self.note("\n" if self.is_free else "")
        if not text or seconds < _PATIENCE_SECONDS or not self.is_free or self.ended.is_set():
            return
        if self.is_terminal:
            room = shutil.get_terminal_size().columns - 1
            line = f"{show_text(text)} ... {seconds:.0f} s"[:room]
            if line != self.shown:
                self.stream.write(f"\r{line:{len(self.shown)}}")
                self.shown = line
        elif text not in (UNNAMED, self.said):
            self.stream.write(f"{show_text(text)} ...\n")
            self.said = text
        self.stream.flush()

    def note(self, text: str) -> None:
        """Make room for a text, which is then waited from."""
        if self.shown:
            self.stream.write(f"\r{'':{len(self.shown)}}\r")
            self.stream.flush()
        self.last, self.is_free, self.shown = time.monotonic(), text.endswith("\n"), ""

    def end(self) -> None:
        """Say nothing more."""
        with self.lock, suppress(OSError, ValueError):
            self.ended.set()
            self.note("\n")


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

    def __init__(self, stream: TextIO, clock: _Clock | None = None) -> None:
        """Guard a stream; the clock is told of what is written."""
        self.stream, self.clock = stream, clock

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
        with self._naming_stream(), self.clock.lock if self.clock else nullcontext():
            if self.clock and text:
                self.clock.note(text)
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
    import tempfile

    try:
        folder = tempfile.gettempdir()
        is_full = shutil.disk_usage(folder).free < _LITTLE_ROOM_BYTES
    except OSError:  # no file can be made in any folder for such files
        folder, is_full = os.environ.get("TMPDIR", "/tmp"), True
    return f" The temporary folder {show_text(folder)} is full, too." if is_full else ""
