"""The project's preprocessing: a photo of any shape becomes one size, its aspect kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from PIL import Image

from emoclf.config import ResizeMode

PADDING_GREY: int = 128
"""What `resize_image` puts beside a photo: mid-grey, which is near 0 after rescaling."""


@dataclass(frozen=True)
class Placement:
    """Which part of a photo `resize_image` shows, and where.

    Attributes:
        source: `(left, top, right, bottom)` in pixels of the photo: what is shown.
        target: `(left, top, right, bottom)` in pixels of the result: where it lies. Beside it is
            `PADDING_GREY`.
    """

    source: tuple[float, float, float, float]
    target: tuple[int, int, int, int]


def find_placement(
    photo_size: tuple[int, int], size: tuple[int, int], *, mode: ResizeMode = "pad"
) -> Placement:
    """Find out which part of a photo a network sees, and where in its picture that lies.

    Args:
        photo_size: `(height, width)` of the photo in pixels.
        size: `(height, width)` of the result of `resize_image` in pixels.
        mode: As for `resize_image`.

    Returns:
        The two boxes.

    Example:
        >>> find_placement((200, 100), (96, 96)).target
        (24, 0, 72, 96)
    """
    height, width = photo_size
    if mode == "crop":
        scale = max(size[0] / height, size[1] / width)
        # rounding must not push the box over the border
        top = max(0.0, (height - size[0] / scale) / 2)
        left = max(0.0, (width - size[1] / scale) / 2)
        return Placement((left, top, width - left, height - top), (0, 0, size[1], size[0]))
    scale = min(size[0] / height, size[1] / width)
    inner = (_scale_side(height, scale, size[0]), _scale_side(width, scale, size[1]))
    first = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    target = (first[1], first[0], first[1] + inner[1], first[0] + inner[0])
    return Placement((0.0, 0.0, float(width), float(height)), target)


def resize_image(
    image: np.ndarray, size: tuple[int, int], *, mode: ResizeMode = "pad"
) -> np.ndarray:
    """Bring a photo of any shape to one size with its aspect kept: the project's preprocessing.

    Training and prediction both call this function, so that a network is asked about pictures
    made like those it learnt from. Shrinking averages over all source pixels (no aliasing), the
    result is the same on every run, and a photo that already has the size comes back unchanged.

    Args:
        image: uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue.
        size: `(height, width)` of the result in pixels.
        mode: "pad" shows the whole photo, centred on mid-grey (`PADDING_GREY`); "crop" fills
            the size with the centre of the photo.

    Returns:
        uint8 array of shape (height, width, 3) in `size`, values 0 to 255, channels red-green-blue.

    Raises:
        TypeError: If `image` is no uint8 array.
        ValueError: If `image` has another shape, or `size` or `mode` is none of the above.

    Example:
        >>> resize_image(np.zeros((300, 200, 3), dtype=np.uint8), (96, 96)).shape
        (96, 96, 3)
    """
    _check_resize(image, size, mode)
    height, width = image.shape[:2]
    if (height, width) == tuple(size):
        return image.copy()
    placement = find_placement((height, width), size, mode=mode)
    left, top, right, bottom = placement.target
    canvas = np.full((*size, 3), PADDING_GREY, dtype=np.uint8)
    inner = (bottom - top, right - left)
    canvas[top:bottom, left:right] = _resample(image, inner, box=placement.source)
    return canvas


def _check_resize(image: np.ndarray, size: tuple[int, int], mode: str) -> None:
    """Refuse what `resize_image` would otherwise get wrong."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        received = getattr(image, "dtype", type(image).__name__)
        raise TypeError(
            f"image: expected a uint8 array with values 0 to 255, received {received}. "
            "`load_image` returns such an array."
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"image: expected shape (height, width, 3), received {image.shape}. "
            "`load_image` turns grey or transparent pictures into this shape."
        )
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size: expected (height, width) of at least 1 pixel, received {size}.")
    if mode not in get_args(ResizeMode):
        raise ValueError(f"mode: expected one of {get_args(ResizeMode)}, received {mode!r}.")


def _scale_side(side: int, scale: float, limit: int) -> int:
    """Return a side's scaled length in whole pixels, 1 to `limit`."""
    return min(max(round(side * scale), 1), limit)


def _resample(
    image: np.ndarray,
    size: tuple[int, int],
    *,
    box: tuple[float, float, float, float],
) -> np.ndarray:
    """Bring a part of uint8 (height, width, 3) to `size`, bicubic, as wide as the step."""
    height, width = size
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(
        (width, height), Image.Resampling.BICUBIC, box=box
    )
    return np.asarray(resized)
