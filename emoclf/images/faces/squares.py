"""Cut a turned square out of a photo, at any size and without aliasing."""

from __future__ import annotations

import math

import numpy as np

from emoclf.images.faces.opencv import import_opencv

_MAX_OVERSAMPLING = 4


def cut_square(
    image: np.ndarray,
    centre: tuple[float, float],
    *,
    side: float,
    size: tuple[int, int],
    roll: float = 0.0,
) -> np.ndarray:
    """Bring a square of a photo to a size; beyond the border the outermost pixels are repeated.

    Shrinking averages over all source pixels: in whole steps first, then by cutting out up to
    four times as fine as asked for and averaging that.

    Args:
        image: uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue.
        centre: x and y of the square's centre in pixels, counted from the photo's corner, so that
            the first pixel reaches from 0 to 1.
        side: Side of the square in pixels of the photo.
        size: `(height, width)` of the result in pixels. The square fills its shorter side.
        roll: By how much the square is turned, in radians clockwise.

    Returns:
        uint8 array of shape (height, width, 3) in `size`, values 0 to 255, channels
        red-green-blue.
    """
    cv2 = import_opencv()
    patch, origin = _cut_patch(image, centre, side * max(size) / min(size))
    shrinkage = max(1, math.ceil(side / min(size) / _MAX_OVERSAMPLING))
    if shrinkage > 1:
        inner = [max(1, round(length / shrinkage)) for length in patch.shape[1::-1]]
        scale = np.divide(inner, patch.shape[1::-1])
        patch = cv2.resize(patch, inner, interpolation=cv2.INTER_AREA)
    else:
        scale = np.ones(2)
    pixels = side / shrinkage / min(size)
    oversampling = min(max(1, math.ceil(pixels)), _MAX_OVERSAMPLING)
    height, width = (length * oversampling for length in size)
    on_patch = (float(centre[0] - origin[0]), float(centre[1] - origin[1]))
    matrix = map_square(on_patch, side=side, size=(height, width), roll=roll) * scale[:, None]
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    method = cv2.INTER_CUBIC if oversampling == 1 else cv2.INTER_LINEAR
    cut = cv2.warpAffine(
        patch,
        matrix,
        (width, height),
        flags=method | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if oversampling == 1:
        return cut
    return cv2.resize(cut, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def map_square(
    centre: tuple[float, float], *, side: float, size: tuple[int, int], roll: float = 0.0
) -> np.ndarray:
    """Say where in the photo each point of a square lies that `cut_square` cuts out.

    Args:
        centre: As for `cut_square`.
        side: As for `cut_square`.
        size: As for `cut_square`.
        roll: As for `cut_square`.

    Returns:
        float64 `(2, 3)`: `matrix @ (x, y, 1)` is the point of the photo that the point `(x, y)` of
        the result shows, both counted from the corner.

    Example:
        >>> map_square((50, 40), side=20, size=(10, 10)) @ (0, 0, 1)
        array([40., 30.])
    """
    step = side / min(size)
    turn = step * np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    return np.column_stack([turn, np.asarray(centre) - turn @ (size[1] / 2, size[0] / 2)])


def _cut_patch(
    image: np.ndarray, centre: tuple[float, float], side: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of the photo that a turned square can reach, and its corner (x, y)."""
    reach = side / math.sqrt(2) + 2
    limits = image.shape[1::-1]
    first = [
        int(min(max(0, c - reach), limit - 1)) for c, limit in zip(centre, limits, strict=True)
    ]
    last = [
        int(min(max(f + 1, math.ceil(c + reach)), limit))
        for c, f, limit in zip(centre, first, limits, strict=True)
    ]
    return image[first[1] : last[1], first[0] : last[0]], np.array(first, dtype=float)
