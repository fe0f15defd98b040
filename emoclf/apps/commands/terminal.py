"""The one way from the commands to the terminal: nothing from outside moves its cursor there.

What was made harmless where a message was written is not touched again. What was not, such as an
error of click's or a warning of another library, is made harmless here.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from emoclf.untrusted import show_lines

_BARS = frozenset(
    {
        ("click._termui_impl", "render_progress"),
        ("click._termui_impl", "render_finish"),
        ("keras.src.utils.progbar", "update"),
        ("tqdm.std", "fp_write"),
        ("tqdm.std", "moveto"),
    }
)
"""What draws progress bars, and moves the cursor for it."""

_MOVES = re.compile(r"[\r\b]|\x1b\[(?:[0-9;]*m|[AK]|\?25[lh])")
"""All that a bar needs; should a name from outside stand in one, nothing else passes."""

_CALLS_TO_BAR = 4
"""It is found that few calls above what writes, or it does not write."""


def echo(text: object = "", *, err: bool = False) -> None:
    """Print a text and a line break.

    Args:
        text: What the user is to read.
        err: Whether it goes to the standard error stream.
    """
    click.echo(show_lines(text), err=err)


def echo_json(value: object) -> None:
    """Print a value as JSON, exactly: what could move a cursor is escaped as JSON does it.

    Args:
        value: Anything JSON can hold.
    """
    echo(json.dumps(value, indent=1).replace("\x7f", "\\u007f"))  # which JSON leaves as it is


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
    streams = {"stdout": GuardedStream(sys.stdout), "stderr": GuardedStream(sys.stderr)}
    for name, stream in streams.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in streams.items():
            stream.end()
            if getattr(sys, name) is stream:  # click puts a quiet one there when nobody reads
                setattr(sys, name, stream.stream)


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


class GuardedStream(io.TextIOBase):
    """A text stream that escapes what moves a cursor, and what its encoding does not have.

    Attributes:
        stream: The stream that it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        """Guard a stream."""
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        """Answer what is not defined here as the stream does, but hand out no way around."""
        if name != "buffer":
            return getattr(self.stream, name)
        if os.name == "nt":  # where click takes it for a console, and writes to that
            raise AttributeError(name)
        return _GuardedBytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the stream does with characters that it does not have."""
        return getattr(self.stream, "errors", None)

    def write(self, text: str) -> int:
        """Write a text, made harmless unless a progress bar has drawn it."""
        if not isinstance(text, str):  # by trying, click tells streams of bytes
            raise TypeError(f"write() expects str, received {type(text).__name__}")
        shown = show_lines(text)
        if shown != text and _is_drawn_by_bar():
            moves = [*_MOVES.findall(text), ""]
            pieces = zip(_MOVES.split(text), moves, strict=True)
            shown = "".join(show_lines(piece) + move for piece, move in pieces)
        shown = shown.encode(self.encoding, "backslashreplace").decode(self.encoding)
        with self._naming_stream():
            self.stream.write(shown)
        return len(text)

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def isatty(self) -> bool:
        """Tell whether somebody looks at it."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Return the number of its file."""
        return self.stream.fileno()

    def flush(self) -> None:
        """Write what is still kept."""
        with self._naming_stream():
            self.stream.flush()

    def end(self) -> None:
        """Write what is still kept; where that is refused, keep Python from trying again."""
        try:
            self.stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                number = self.stream.fileno()
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)

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


class _GuardedBytes(io.BufferedIOBase):
    """The bytes of a guarded stream: click writes through them what a shell completes."""

    def __init__(self, stream: GuardedStream) -> None:
        self._stream = stream

    def write(self, content: Any) -> int:
        self._stream.write(bytes(content).decode("utf-8", "surrogateescape"))
        return len(content)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is not ours."""


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
