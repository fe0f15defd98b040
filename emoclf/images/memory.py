"""What all threads that read pictures share: one budget of memory, and Pillow's warnings.

A picture's bytes and its pixels are taken from two shares, always in this order, and whoever holds
pixels never waits again. So nobody waits in a circle: those who wait for room in the files' share
hold nothing, those who wait for pixels hold a file at most, and the others finish.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import PIL

from emoclf.runtime import explain_hole

MAX_BYTES: int = 520_000_000
"""Most memory that one picture may need while it is decoded."""

FILE_BYTES: int = 256 * 2**20
"""Most memory that the files take which are read at the same time, by all threads together."""

PIXEL_BYTES: int = 768 * 2**20
"""Most memory that decoding and what follows takes at the same time, in all threads together."""

_LARGE_BYTES = 100_000_000
"""After a picture that took more, the freed memory is handed back to the system."""

_SECONDS_BETWEEN_LOOKS = 1.0
"""A wait without an end cannot be interrupted on every system."""

_lock = threading.Lock()
_quiet: dict[str, Any] = {"users": 0, "filters": None}
_old_pillow_warned = threading.Event()


class MemoryShare:
    """Bytes that threads take in turn, first come, first served.

    At most `limit` bytes are taken at the same time. Whoever needs more waits until nobody else
    holds any.

    Example:
        >>> share = MemoryShare(100)
        >>> share.take(70)
        >>> share.taken
        70
        >>> share.give_back()
    """

    def __init__(self, limit: int) -> None:
        """Begin with nothing taken."""
        self._limit = limit
        self._held: dict[int, int] = {}
        self._queue: deque[object] = deque()
        self._turn = threading.Condition()

    @property
    def taken(self) -> int:
        """Bytes that are taken now, by all threads."""
        with self._turn:
            return sum(self._held.values())

    @property
    def held(self) -> int:
        """Bytes that this thread holds."""
        return self._held.get(threading.get_ident(), 0)

    def take(self, amount: int, *, wait: bool = True) -> None:
        """Take bytes for this thread, beside those it holds; one that holds some must not wait."""
        me, ticket = threading.get_ident(), object()
        with self._turn:
            self._queue.append(ticket)
            try:
                while wait and not self._may_enter(ticket, amount):
                    self._turn.wait(_SECONDS_BETWEEN_LOOKS)
                self._held[me] = self._held.get(me, 0) + amount
            finally:  # a wait can be interrupted with Ctrl-C
                self._queue.remove(ticket)
                self._turn.notify_all()

    def give_back(self) -> None:
        """Give back all that this thread holds."""
        with self._turn:
            self._held.pop(threading.get_ident(), None)
            self._turn.notify_all()

    def _may_enter(self, ticket: object, amount: int) -> bool:
        """Tell whether it is this one's turn, and there is room or nobody else inside."""
        is_first = self._queue[0] is ticket
        return is_first and (not self._held or sum(self._held.values()) + amount <= self._limit)


_files = MemoryShare(FILE_BYTES)
_pixels = MemoryShare(PIXEL_BYTES)
_scope = threading.local()


@contextmanager
def sharing_memory() -> Iterator[None]:
    """Count the memory of the pictures that this thread reads until the block ends.

    `decode_image` counts while it decodes. Put this around what several threads do with pictures,
    each with its own, when the pixels are not kept: then they count as long as they are used.
    Blocks may be nested; the outermost one gives all back.

    Example:
        >>> with sharing_memory():
        ...     pass  # load a picture, measure it, keep the numbers
    """
    if is_sharing_memory():
        yield
        return
    try:
        _scope.is_open = True
        yield
    finally:
        _scope.is_open = False
        if _pixels.held > _LARGE_BYTES:
            _hand_back_freed_memory()
        _pixels.give_back()
        _files.give_back()


def is_sharing_memory() -> bool:
    """Tell whether this thread is within `sharing_memory`, and so may hold some."""
    return getattr(_scope, "is_open", False)


def take_file_memory(amount: int) -> None:
    """Wait until a file of so many bytes may be read; only counted in `sharing_memory`."""
    if is_sharing_memory():
        _files.take(amount, wait=not (_files.held or _pixels.held))


def take_pixel_memory(amount: int) -> None:
    """Wait until a picture that needs so many bytes may be decoded; counted likewise."""
    if is_sharing_memory():
        _pixels.take(amount, wait=not _pixels.held)


def _hand_back_freed_memory() -> None:
    """Ask the GNU C library for what it keeps for each thread: eight threads' rests were 1.3 GB."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class OldPillowWarning(UserWarning):
    """The installed Pillow is older than the version that closed a known hole."""


def warn_if_pillow_is_old() -> None:
    """Warn once per process when this Pillow is older than its security floor.

    An older one works, but a picture made for the purpose can attack it.
    """
    if _old_pillow_warned.is_set():
        return
    _old_pillow_warned.set()
    if hole := explain_hole("pillow", PIL.__version__):
        warnings.warn(hole, OldPillowWarning, stacklevel=2)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings about strange files to ourselves, in all threads.

    `warnings.catch_warnings` alone is not safe when several threads decode. Here the first to
    enter sets the filters and the last to leave restores them.
    """
    with _lock:
        if _quiet["users"] == 0:
            _quiet["filters"] = warnings.catch_warnings()
            _quiet["filters"].__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _quiet["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _quiet["users"] -= 1
            if _quiet["users"] == 0:
                _quiet["filters"].__exit__(None, None, None)
