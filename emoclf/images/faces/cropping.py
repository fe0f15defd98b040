"""Cut a face out of a photo the way the faces of FER2013 were cut out.

A network that learnt from FER2013 expects its placement: how much of the picture the face fills and
where the eyes are. The numbers below are medians over several hundred of its training faces, which
were enlarged, given a border, and shown to each detector. YuNet sees their eyes at 0.38 of the
height and 0.36 of the width apart; half of those faces are tilted by less than 5 degrees.
"""

from __future__ import annotations

import math

import numpy as np

from emoclf.config import FACE_SIZE
from emoclf.images.faces.face import Face, check_image, import_opencv

MAX_TILT_DEGREES: float = 60.0
"""How far the line through the eyes may differ from what eyes and mouth say to be trusted."""

_YUNET_SHARE, _YUNET_CENTRE = 0.905, 0.507
_HAAR_SHARE, _HAAR_CENTRE = 0.975, 0.5
"""Side of a box (root of its area) and height of its centre, as fractions of the crop's side."""

_MIN_EYE_DISTANCE = 0.2
"""Eyes closer than this fraction of the box belong to a profile: their line tells no tilt."""

_MAX_OVERSAMPLING = 4
_Square = tuple[tuple[float, float], float, float]


def crop_face(
    image: np.ndarray,
    face: Face,
    *,
    size: tuple[int, int] = FACE_SIZE,
    margin: float = 0.0,
    align: bool = True,
) -> np.ndarray:
    """Cut out one face, upright and placed as in FER2013.

    The crop is a square around the box, turned so that the eyes are level when there are
    landmarks. Beyond the photo's border its outermost pixels are repeated. Shrinking averages
    over all source pixels.

    Args:
        image: uint8 RGB `(height, width, 3)`, 0 to 255:
            the photo in which the face was found.
        face: Where the face is.
        size: `(height, width)` of the result in pixels. When it is not square, the longer side
            shows more of the photo; nothing is stretched.
        margin: What to add on every side, as a fraction of FER2013's crop: 0 is like FER2013, 0.25
            shows half as much again, negative values show less. Above -0.4, at most 4.
        align: Whether to turn the face upright.

    Returns:
        uint8 RGB `(height, width, 3)` in `size`, 0 to 255.

    Raises:
        TypeError: If `image` is no uint8 array.
        ValueError: If `image` has another shape, `size` or `margin` is out of range, or the box
            is empty or lies outside of the photo.

    Example:
        >>> photo = np.zeros((100, 80, 3), dtype=np.uint8)
        >>> crop_face(photo, Face(box=(10.0, 20.0, 40.0, 50.0), score=0.9)).shape
        (48, 48, 3)
    """
    check_image(image)
    _check_crop(image, face, size, margin)
    centre, side, roll = _find_square(face, margin=margin, align=align)
    return cut_square(image, centre, side=side, size=size, roll=roll)


def map_face(face: Face, size: tuple[int, int]) -> np.ndarray:
    """Say where in the photo each point of `crop_face`'s result lies.

    Args:
        face: Where the face is.
        size: As for `crop_face`.

    Returns:
        float64 `(2, 3)`: `matrix @ (x, y, 1)` is the point of the photo that the point `(x, y)` of
        the crop shows, both counted from the corner.

    Example:
        >>> map_face(Face((40.0, 30.0, 19.5, 19.5), 0.9), (10, 10)).round(6) @ (5, 5, 1)
        array([49.75, 39.75])
    """
    centre, side, roll = _find_square(face)
    return map_square(centre, side=side, size=size, roll=roll)


def measure_roll(face: Face) -> float:
    """Measure how far a face is tilted, by the line through the eyes.

    Returns:
        Degrees clockwise, as seen in the photo, -180 to 180: 180 for a face upside down. 0 without
        landmarks; whole quarters in a profile, where the eyes nearly coincide, and where the eyes
        contradict the way from them to the mouth by more than `MAX_TILT_DEGREES`.
    """
    marks = face.landmarks
    if marks is None or not np.isfinite(marks).all():
        return 0.0
    left, down = (marks[3:].mean(axis=0) - marks[:2].mean(axis=0)).astype(float).tolist()
    quarters = 90.0 * round(math.degrees(math.atan2(-left, down)) / 90)
    across, lower = (marks[1] - marks[0]).astype(float).tolist()
    is_profile = math.hypot(across, lower) < _MIN_EYE_DISTANCE * math.sqrt(
        face.box[2] * face.box[3]
    )
    roll = math.degrees(math.atan2(lower, across))
    is_odd = abs(math.remainder(roll - quarters, 360)) > MAX_TILT_DEGREES
    return quarters if is_profile or is_odd else roll


def _find_square(face: Face, *, margin: float = 0.0, align: bool = True) -> _Square:
    """Return centre (x, y) and side in pixels of the photo, and the turn in radians clockwise."""
    is_haar = face.landmarks is None
    share, middle = (_HAAR_SHARE, _HAAR_CENTRE) if is_haar else (_YUNET_SHARE, _YUNET_CENTRE)
    left, top, width, height = face.box
    face_side = math.sqrt(width * height) / share
    roll = math.radians(measure_roll(face) if align else 0.0)
    down = (0.5 - middle) * face_side
    centre = (left + width / 2 - down * math.sin(roll), top + height / 2 + down * math.cos(roll))
    return centre, face_side * (1 + 2 * margin), roll


def _check_crop(image: np.ndarray, face: Face, size: tuple[int, int], margin: float) -> None:
    """Refuse what cannot be cut out."""
    if len(size) != 2 or any(int(side) != side or side < 1 for side in size):
        want = "expected (height, width) in whole pixels, at least 1"
        raise ValueError(f"size: {want}, received {size}.")
    if not -0.4 < margin <= 4:
        raise ValueError(
            f"margin: expected a fraction of the face above -0.4 and at most 4, received {margin}. "
            "0 cuts as in FER2013."
        )
    left, top, width, height = face.box
    if not np.isfinite(face.box).all() or min(width, height) <= 0:
        raise ValueError(
            "face: expected a box (left, top, width, height) of finite numbers with a width and a "
            f"height above 0, received {face.box}."
        )
    outside = left + width <= 0 or top + height <= 0
    if outside or left >= image.shape[1] or top >= image.shape[0]:
        raise ValueError(
            f"face: the box {face.box} lies outside of the photo of {image.shape[0]} x "
            f"{image.shape[1]} pixels. Pass the photo in which the face was found."
        )


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
    four times as fine as needed and averaging that.

    Args:
        image: uint8 RGB `(height, width, 3)`, 0 to 255.
        centre: x and y of the square's centre in pixels, counted from the photo's corner, so that
            the first pixel reaches from 0 to 1.
        side: Side of the square in pixels of the photo.
        size: `(height, width)` of the result in pixels. The square fills its shorter side.
        roll: By how much the square is turned, in radians clockwise.

    Returns:
        uint8 RGB `(height, width, 3)` in `size`, 0 to 255.
    """
    cv2 = import_opencv()
    patch, origin = _cut_patch(image, centre, side * max(size) / min(size))
    shrinkage = max(1, math.ceil(side / min(size) / _MAX_OVERSAMPLING))
    scale = np.ones(2)
    if shrinkage > 1:
        inner = [max(1, round(length / shrinkage)) for length in patch.shape[1::-1]]
        scale = np.divide(inner, patch.shape[1::-1])
        patch = cv2.resize(patch, inner, interpolation=cv2.INTER_AREA)
    pixels = side / shrinkage / min(size)
    oversampling = min(max(1, math.ceil(pixels)), _MAX_OVERSAMPLING)
    height, width = (length * oversampling for length in size)
    on_patch = (float(centre[0] - origin[0]), float(centre[1] - origin[1]))
    matrix = map_square(on_patch, side=side, size=(height, width), roll=roll) * scale[:, None]
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    method = cv2.INTER_CUBIC if oversampling == 1 else cv2.INTER_LINEAR
    options = {"flags": method | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}
    cut = cv2.warpAffine(patch, matrix, (width, height), **options)
    if oversampling == 1:
        return cut
    return cv2.resize(cut, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def map_square(
    centre: tuple[float, float], *, side: float, size: tuple[int, int], roll: float
) -> np.ndarray:
    """Return float64 `(2, 3)`: from a point of the result to that of the photo, from the corner."""
    step = side / min(size)
    turn = step * np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    return np.column_stack([turn, np.asarray(centre) - turn @ (size[1] / 2, size[0] / 2)])


def _cut_patch(
    image: np.ndarray, centre: tuple[float, float], side: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of the photo that a turned square can reach, and its corner (x, y)."""
    reach, limits = side / math.sqrt(2) + 2, np.array(image.shape[1::-1])
    first = np.minimum(np.maximum(np.subtract(centre, reach), 0), limits - 1).astype(int)
    last = np.minimum(np.maximum(np.ceil(np.add(centre, reach)), first + 1), limits).astype(int)
    return image[first[1] : last[1], first[0] : last[0]], first.astype(float)
