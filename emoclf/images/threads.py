"""Work on many photos at once: in order, a few ahead, one core for each thread."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from emoclf.images.memory import is_sharing_memory
from emoclf.runtime import count_cores

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_WORKERS = 8
"""More threads bring little: about a tenth of the work on a photo is Python's, one at a time."""

_AHEAD = 4
"""Photos per thread that are begun or done before the one that is waited for."""

_SECONDS_BETWEEN_LOOKS = 1.0
"""A wait without an end cannot be interrupted on every system."""

_lock = threading.Lock()
_opencv: dict[str, Any] = {"users": 0, "threads": 0}


def work_ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int | None = None
) -> Generator[_Result, None, None]:
    """Do the same work on every item, in several threads, and yield the results in order.

    A few items per thread are taken ahead, so what waits to be yielded stays small; OpenCV gets one
    core per thread. What the work raises is raised where its result would stand, and no further
    item is begun. Within `sharing_memory` there is no thread but the caller's: others could wait
    for the memory that it holds, and it for them.

    Args:
        work: What is done; it may be called from several threads at once.
        items: They are taken in the caller's thread.
        workers: How many threads; default: one per core that this process may use, 8 at most.

    Yields:
        What `work` returns.

    Example:
        >>> list(work_ahead(len, ["a", "bcd"], workers=2))
        [1, 3]
    """
    if is_sharing_memory() or (isinstance(items, Sequence) and len(items) == 1):
        yield from map(work, items)  # one alone gets all of OpenCV's threads
        return
    count = workers or min(count_cores(), _MOST_WORKERS)
    jobs: deque[Future[_Result]] = deque()
    with _single_threaded_opencv(), ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                jobs.append(pool.submit(work, item))
                while jobs and (jobs[0].done() or len(jobs) >= _AHEAD * count):
                    yield _wait(jobs.popleft())
            while jobs:
                yield _wait(jobs.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _wait(job: Future[_Result]) -> _Result:
    while not job.done():
        wait([job], timeout=_SECONDS_BETWEEN_LOOKS)
    return job.result()


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Let OpenCV, if it is there, use one core per call, until the last who asked for it leaves."""
    cv2: Any = sys.modules.get("cv2")
    if cv2 is None:
        yield
        return
    with _lock:
        if _opencv["users"] == 0:
            _opencv["threads"] = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _opencv["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _opencv["users"] -= 1
            if _opencv["users"] == 0:
                cv2.setNumThreads(_opencv["threads"])


class Spares(Generic[_Item]):
    """What one thread at a time may use, such as a network of OpenCV: one for each that is at work.

    Args:
        make: Makes one. The first is made at once, others when all are in use.

    Example:
        >>> with Spares(list).borrow() as own:
        ...     own.append(1)
    """

    def __init__(self, make: Callable[[], _Item]) -> None:
        """Make the first."""
        self._make, self._free = make, [make()]

    @contextmanager
    def borrow(self) -> Iterator[_Item]:
        """Give one to this thread alone until the block ends."""
        try:
            own = self._free.pop()
        except IndexError:  # all are in use
            own = self._make()
        try:
            yield own
        finally:
            self._free.append(own)
