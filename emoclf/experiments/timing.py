"""How long something takes: a few calls measured, and a duration in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

TIMED_STEPS = 3
"""How many steps of a training are timed after its first."""


def time_calls(tasks: Iterable[Callable[[], Any]]) -> tuple[float, float]:
    """Call tasks one after the other.

    Args:
        tasks: At least one; the first is often slower, because things are made when first needed.

    Returns:
        The seconds of the first, and the mean seconds of the others; of the first if it is alone.
    """
    moments = [time.perf_counter()]
    for task in tasks:
        task()
        moments.append(time.perf_counter())
    first, *others = np.diff(moments).tolist()
    return first, float(np.mean(others or first))


def describe_seconds(seconds: float) -> str:
    """Return a duration for reading.

    Example:
        >>> describe_seconds(0.2), describe_seconds(42)
        ('about a second', 'about 42 seconds')
        >>> describe_seconds(700), describe_seconds(9000)
        ('about 12 minutes', 'about 2.5 hours')
    """
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"about {round(seconds)} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
