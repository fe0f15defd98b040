"""Cut a face out of a photo the way the faces of FER2013 were cut out.

A network that learnt from FER2013 expects its placement: how much of the picture the face fills and
where the eyes are. The numbers below are medians over several hundred of its training faces, which
were enlarged, given a border, and shown to each detector. YuNet sees their eyes at 0.38 of the
height and 0.36 of the width apart; half of those faces are tilted by less than 5 degrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emoclf.config import FACE_SIZE
from emoclf.images.faces.face import Face, check_image
from emoclf.images.faces.squares import cut_square

MAX_ROLL_DEGREES: float = 60.0
"""Beyond this tilt the landmarks are not trusted and the face is not turned."""

_YUNET_SHARE, _YUNET_CENTRE = 0.905, 0.507
_HAAR_SHARE, _HAAR_CENTRE = 0.975, 0.5
"""Side of a box (root of its area) and height of its centre, as shares of the crop's side."""

_MIN_EYE_DISTANCE = 0.2
"""Eyes closer than this share of the box belong to a profile: their line says nothing of tilt."""


@dataclass(frozen=True)
class Square:
    """The turned square around a face that `crop_face` cuts out.

    Attributes:
        centre: x and y in pixels of the photo, counted from its corner.
        side: In pixels of the photo.
        roll: By how much it is turned, in radians clockwise.
    """

    centre: tuple[float, float]
    side: float
    roll: float


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
        image: uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue:
            the photo in which the face was found.
        face: Where the face is.
        size: `(height, width)` of the result in pixels. When it is not square, the longer side
            shows more of the photo; nothing is stretched.
        margin: What to add on every side, as a share of FER2013's crop: 0 is like FER2013, 0.25
            shows half as much again, negative values show less. Above -0.4, at most 4.
        align: Whether to turn the face upright.

    Returns:
        uint8 array of shape (height, width, 3) in `size`, values 0 to 255, channels
        red-green-blue.

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
    square = find_square(face, margin=margin, align=align)
    return cut_square(image, square.centre, side=square.side, size=size, roll=square.roll)


def find_square(face: Face, *, margin: float = 0.0, align: bool = True) -> Square:
    """Find the square around a face that `crop_face` cuts out.

    Args:
        face: Where the face is.
        margin: As for `crop_face`.
        align: As for `crop_face`.

    Returns:
        The square.
    """
    share, centre_height = (
        (_HAAR_SHARE, _HAAR_CENTRE) if face.landmarks is None else (_YUNET_SHARE, _YUNET_CENTRE)
    )
    left, top, width, height = face.box
    face_side = math.sqrt(width * height) / share
    roll = math.radians(measure_roll(face) if align else 0.0)
    down = (0.5 - centre_height) * face_side
    centre = (
        left + width / 2 - down * math.sin(roll),
        top + height / 2 + down * math.cos(roll),
    )
    return Square(centre, face_side * (1 + 2 * margin), roll)


def measure_roll(face: Face) -> float:
    """Measure how far a face is tilted, by the line through the eyes.

    Args:
        face: A face, with or without landmarks.

    Returns:
        Degrees clockwise, as seen in the photo; 0 without landmarks, in a profile, where the eyes
        nearly coincide, and beyond `MAX_ROLL_DEGREES`, where landmarks are not to be trusted.
    """
    if face.landmarks is None or not np.isfinite(face.landmarks).all():
        return 0.0
    across, down = (face.landmarks[1] - face.landmarks[0]).astype(float).tolist()
    if math.hypot(across, down) < _MIN_EYE_DISTANCE * math.sqrt(face.box[2] * face.box[3]):
        return 0.0
    roll = math.degrees(math.atan2(down, across))
    return roll if abs(roll) <= MAX_ROLL_DEGREES else 0.0


def _check_crop(image: np.ndarray, face: Face, size: tuple[int, int], margin: float) -> None:
    """Refuse what cannot be cut out."""
    if len(size) != 2 or any(int(side) != side or side < 1 for side in size):
        raise ValueError(
            f"size: expected (height, width) in whole pixels, at least 1, received {size}."
        )
    if not -0.4 < margin <= 4:
        raise ValueError(
            f"margin: expected a share of the face above -0.4 and at most 4, received {margin}. "
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
