"""What the drawing of faces refuses."""

from __future__ import annotations

import numpy as np

from emoclf.config import CLASS_NAMES

MIN_SIDE_PX: int = 32
MAX_SIDE_PX: int = 1024


def find_label(class_name: str) -> int:
    """Return the label of a class name, upper or lower case."""
    names = [name.lower() for name in CLASS_NAMES]
    if not isinstance(class_name, str) or class_name.lower() not in names:
        raise ValueError(
            f"Expected `class_name` to be one of {', '.join(CLASS_NAMES)}. "
            f"Received: class_name={class_name!r}."
        )
    return names.index(class_name.lower())


def check_size(size: tuple[int, int]) -> None:
    """Refuse a size that is not two whole numbers in range."""
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(
        isinstance(side, (int, np.integer)) and MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in size
    ):
        raise ValueError(
            f"Expected `size` as (height, width) in whole pixels, each from {MIN_SIDE_PX} to "
            f"{MAX_SIDE_PX}, such as (128, 128). Received: size={size!r}."
        )


def check_whole_number(name: str, value: int, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse what is not a whole number of at least `minimum`, or is above `maximum`."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < minimum or (maximum is not None and value > maximum):
        most = "" if maximum is None else f" and at most {maximum}"
        raise ValueError(
            f"Expected `{name}` to be a whole number of at least {minimum}{most}. "
            f"Received: {name}={value!r}."
        )
