"""Pillow's warnings about strange files, kept from the user; and one of ours about Pillow."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import PIL

_SAFE_PILLOW: int = 13
"""Pillow 13.0.0 closed an overflow in its decoders."""

_lock = threading.Lock()
_quiet: dict[str, Any] = {"users": 0, "filters": None}
_old_pillow_warned = threading.Event()


class OldPillowWarning(UserWarning):
    """The installed Pillow is older than the version that closed a known hole."""


def warn_if_pillow_is_old() -> None:
    """Warn once per process when this Pillow is older than 13.0.0.

    Raises nothing; an older Pillow works, but a picture made for the purpose can attack it.
    """
    if int(PIL.__version__.split(".")[0]) >= _SAFE_PILLOW or _old_pillow_warned.is_set():
        return
    _old_pillow_warned.set()
    warnings.warn(
        f"Pillow {PIL.__version__} has a known security hole in its decoders: "
        'install Pillow 13 or newer with `pip install "pillow>=13"` before you open photos '
        "from strangers.",
        OldPillowWarning,
        stacklevel=2,
    )


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings about strange files to ourselves, in all threads.

    `warnings.catch_warnings` alone is not safe when several threads decode: one of them may
    restore the filters that another has set. Here the first to enter sets them and the last to
    leave restores them.
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
