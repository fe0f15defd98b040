"""From a photo to what a network is shown of it: the photo at its size, or every face cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.images import DecodedImage, decode_image, find_placement, load_image, resize_image
from emoclf.images.faces import Face, FaceDetector, crop_face, find_square, map_square
from emoclf.models.model_file import ModelInfo

if TYPE_CHECKING:
    from PIL import Image

    Photo = str | Path | bytes | np.ndarray | Image.Image
else:
    Photo = Any

NO_FACE_NOTE = (
    "No face was found. Take a photo in which the face is larger, sharper and seen from the "
    "front, or ask for the whole photo instead: whole_photo=True (--whole-photo)."
)
WHOLE_PHOTO_NOTE = (
    "No face was found, so the answer is for the whole photo. The network learnt from faces alone: "
    "unless the photo is a face that was cut out, this is no more than a guess."
)


@dataclass(frozen=True)
class FaceSearch:
    """How one call searches for faces.

    Attributes:
        detector: What finds them; None where there is none here.
        whole_photo: Whether a photo without a face is shown as a whole.
        problem: Why there is no detector, else nothing.
    """

    detector: FaceDetector | None
    whole_photo: bool = False
    problem: str = ""


@dataclass(frozen=True, eq=False)
class View:
    """What a network is shown of one photo.

    Attributes:
        file: The path of the photo; None for a picture without one.
        crops: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the network's size.
        size: `(height, width)` of the upright photo in pixels; None when it could not be read.
        boxes: `(left, top, width, height)` in pixels of the photo, one per crop.
        matrices: float64 `(2, 3)` per crop: `matrix @ (x, y, 1)` is the point of the photo that the
            point `(x, y)` of the crop shows, both counted from the corner.
        scores: How sure the detector is, 0 to 1; None for a whole photo.
        is_whole_photo: Whether the one crop is the whole photo.
        problem: Why the photo could not be read, else None.
        note: What the user should know, else None.
        detector: Which detector looked at the photo; None when none did.
    """

    file: str | None
    crops: np.ndarray
    size: tuple[int, int] | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    matrices: tuple[np.ndarray, ...] = ()
    scores: tuple[float | None, ...] = ()
    is_whole_photo: bool = False
    problem: str | None = None
    note: str | None = None
    detector: str | None = None


def decode_for(photo: Photo, info: ModelInfo) -> DecodedImage:
    """Decode a photo as in training: in full only where faces are cut out of it.

    Args:
        photo: As for `decode_image`.
        info: What the network looks at.

    Returns:
        The photo; a large JPEG at a reduced scale where the network looks at whole photos.

    Raises:
        UnreadableImageError: If the photo cannot be read.
    """
    if info.crop == "face":
        return decode_image(photo)
    height, width = info.image_size
    return decode_image(photo, min_size=(2 * height, 2 * width))


def view_photo(
    photo: Photo, decoded: DecodedImage, *, info: ModelInfo, search: FaceSearch | None
) -> View:
    """Cut out what a network should see.

    Args:
        photo: What was decoded.
        decoded: The photo, from `decode_for`.
        info: What the network looks at, and its size.
        search: How to search for faces; None where the network looks at whole photos.

    Returns:
        The whole photo, or its faces, the largest first; no crop when there is no face.
    """
    if search is None:
        return _view_whole(photo, decoded, info)
    if search.detector is None:
        note = (
            f"The whole photo was looked at, because no face can be searched for: {search.problem}"
        )
        return _view_whole(photo, decoded, info, note=note)
    name = search.detector.description
    faces = search.detector.find(decoded.pixels)
    if not faces and search.whole_photo:
        return _view_whole(photo, decoded, info, note=WHOLE_PHOTO_NOTE, detector=name)
    return View(
        file=name_file(photo),
        crops=_stack(
            [crop_face(decoded.pixels, face, size=info.image_size) for face in faces], info
        ),
        size=decoded.size,
        boxes=tuple(face.box for face in faces),
        matrices=tuple(_map_face(face, info) for face in faces),
        scores=tuple(face.score for face in faces),
        note=None if faces else NO_FACE_NOTE,
        detector=name,
    )


def view_nothing(photo: Photo, problem: str, *, info: ModelInfo) -> View:
    """Say that there is nothing to see.

    Args:
        photo: What could not be read.
        problem: Why.
        info: The network's size.

    Returns:
        A view without a crop.
    """
    return View(file=name_file(photo), crops=_stack([], info), problem=problem)


def load_full_pixels(photo: Photo, decoded: DecodedImage) -> np.ndarray:
    """Return a photo in full size, which a large one was not decoded in for a small network.

    Args:
        photo: What was decoded.
        decoded: The photo, from `decode_for`.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255.
    """
    is_reduced = decoded.pixels.shape[:2] != decoded.size
    return load_image(photo) if is_reduced else decoded.pixels


def name_file(photo: Photo) -> str | None:
    """Return the path of a photo that has one."""
    return str(photo) if isinstance(photo, (str, Path)) else None


def _view_whole(
    photo: Photo,
    decoded: DecodedImage,
    info: ModelInfo,
    *,
    note: str | None = None,
    detector: str | None = None,
) -> View:
    height, width = decoded.size
    whole = resize_image(decoded.pixels, info.image_size, mode=info.resize_mode)
    return View(
        file=name_file(photo),
        crops=_stack([whole], info),
        size=decoded.size,
        boxes=((0.0, 0.0, float(width), float(height)),),
        matrices=(_map_whole(decoded, info),),
        scores=(None,),
        is_whole_photo=True,
        note=note,
        detector=detector,
    )


def _map_face(face: Face, info: ModelInfo) -> np.ndarray:
    square = find_square(face)
    return map_square(square.centre, side=square.side, size=info.image_size, roll=square.roll)


def _map_whole(decoded: DecodedImage, info: ModelInfo) -> np.ndarray:
    """Undo `resize_image`, and the reduced scale in which a large photo is decoded."""
    shown = decoded.pixels.shape[:2]
    placement = find_placement(shown, info.image_size, mode=info.resize_mode)
    source, target = np.array(placement.source), np.array(placement.target, dtype=float)
    step = (source[2:] - source[:2]) / (target[2:] - target[:2])
    matrix = np.column_stack([np.diag(step), source[:2] - step * target[:2]])
    return matrix * np.divide(decoded.size, shown)[::-1, None]


def _stack(crops: Sequence[np.ndarray], info: ModelInfo) -> np.ndarray:
    """Return uint8 RGB (n, height, width, 3), n may be 0."""
    return np.array(crops, dtype=np.uint8).reshape(-1, *info.image_size, 3)
