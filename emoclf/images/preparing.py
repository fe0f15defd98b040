"""From a photo to a network's input: the whole photo, or every face cut out of it.

`prepare` is the one way, for training, prediction, explanation, error analysis and export alike.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
from PIL import Image

from emoclf.config import CLASS_NAMES, FACE_SIZE, IMAGE_SIZE, SCENE_SIZE, Crop, ResizeMode
from emoclf.images.decoding import DecodedImage, decode_image
from emoclf.images.faces.cropping import crop_face, map_face
from emoclf.images.faces.face import Face, FaceDetector, check_image
from emoclf.images.memory import sharing_memory
from emoclf.images.sheet import make_sheet
from emoclf.untrusted import check_class_names

Photo = str | Path | bytes | np.ndarray | Image.Image
"""Everything that is decoded: a path, the bytes of a file, an array or a PIL image."""

PADDING_GREY: int = 128
"""What `resize_image` puts beside a photo: mid-grey, which is near 0 after rescaling."""

_OVERSAMPLING = 2
"""A whole photo is decoded at least this many times as large as the network's input."""

_detector_turns = threading.RLock()
"""Held by the thread in which a detector looks that is not `is_thread_safe`."""


class Network(Protocol):
    """Anything that turns pixels into probabilities: Keras, the packaged network, an export.

    A network that also knows how probable none of its classes is has a method
    `predict_with_neither`, as `PackagedNetwork` has. One that several threads may use at once has
    `is_thread_safe = True`; of others, one thread at a time makes use.
    """

    def predict_on_batch(self, x: Any) -> Any:
        """Return probabilities `(batch, classes)` for uint8 RGB `(batch, height, width, 3)`."""


@dataclass(frozen=True)
class ModelInfo:
    """What a network takes, and what its outputs mean.

    Attributes:
        class_names: Names in the order of the network's outputs.
        image_size: `(height, width)` in pixels of the input.
        resize_mode: How a whole photo becomes that size: `"pad"` or `"crop"`, see `resize_image`.
        crop: `"none"` for whole photos, `"face"` for faces cut out by `crop_face`, `"both"` for
            sheets with the photo and its faces (`make_sheet`).
    """

    class_names: tuple[str, ...] = CLASS_NAMES
    image_size: tuple[int, int] = IMAGE_SIZE
    resize_mode: ResizeMode = "pad"
    crop: Crop = "none"

    def __post_init__(self) -> None:
        """Refuse names that could not be shown."""
        check_class_names(self.class_names)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a network gets of one photo.

    Attributes:
        crops: uint8 RGB `(crops, height, width, 3)`, 0 to 255, of the network's size: one per face,
            the largest first; the whole photo or the sheet alone; or none where no face was found.
        size: `(height, width)` of the upright photo in pixels.
        matrices: float64 `(2, 3)` per crop: `matrix @ (x, y, 1)` is the point of the photo that the
            point `(x, y)` of the crop shows, both counted from the corner.
        faces: The faces that were cut out; empty for a whole photo.
        face_crops: uint8 RGB `(faces, 48, 48, 3)`: every face of a photo that is on a sheet, also
            those for which it has no place; None for what is no sheet.
    """

    crops: np.ndarray
    size: tuple[int, int]
    matrices: tuple[np.ndarray, ...]
    faces: tuple[Face, ...] = ()
    face_crops: np.ndarray | None = None

    @property
    def is_whole_photo(self) -> bool:
        """Whether the one crop shows the whole photo."""
        return self.face_crops is not None or len(self.crops) > len(self.faces)


def prepare(
    photo: Photo | DecodedImage,
    info: ModelInfo,
    *,
    detector: FaceDetector | None = None,
    faces: Sequence[Face] | None = None,
    whole_photo: bool = False,
) -> Prepared:
    """Turn a photo into a network's input: the one way there is.

    Args:
        photo: A path, the bytes of a file, a PIL image, an array (uint8 RGB `(height, width, 3)`,
            0 to 255), or what `decode_for` made of one.
        info: The network's size, and whether it takes whole photos or faces.
        detector: What finds the faces, for a network of faces.
        faces: Known faces, which are then not searched for.
        whole_photo: Whether a photo without a face is used as a whole, instead of not at all.

    Returns:
        The crops, and where they lie in the photo.

    Raises:
        UnreadableImageError: If the photo cannot be read.
        TypeError: If it is of another type, or an array of another dtype.
        ValueError: If an array has another shape, or faces are neither known nor searched for.

    Example:
        >>> prepare(np.zeros((40, 30, 3), np.uint8), ModelInfo(image_size=(96, 96))).crops.shape
        (1, 96, 96, 3)
    """
    with sharing_memory():
        decoded = photo if isinstance(photo, DecodedImage) else decode_for(photo, info)
        if info.crop == "none":
            return _take_whole(decoded, info)
        if faces is None:
            faces = _find_faces(decoded, detector, whole_photo)
        if info.crop == "both":
            return _make_sheet(decoded, faces)
        if not faces and whole_photo:
            return _take_whole(decoded, info)
        crops = [crop_face(decoded.pixels, face, size=info.image_size) for face in faces]
        return Prepared(
            crops=np.array(crops, dtype=np.uint8).reshape(-1, *info.image_size, 3),
            size=decoded.size,
            matrices=tuple(map_face(face, info.image_size) for face in faces),
            faces=tuple(faces),
        )


def decode_for(photo: Photo, info: ModelInfo) -> DecodedImage:
    """Decode a photo for a network: in full where faces are cut out, else as large as suffices.

    A large JPEG is decoded at a reduced scale that is still at least twice the network's size, so
    that the final shrinking averages over real pixels.

    Args:
        photo: As for `decode_image`.
        info: What the network takes.

    Returns:
        The photo, for `prepare`.

    Raises:
        UnreadableImageError: If the photo cannot be read.
    """
    height, width = (_OVERSAMPLING * side for side in info.image_size)
    return decode_image(photo, min_size=(height, width) if info.crop == "none" else None)


def _find_faces(
    decoded: DecodedImage, detector: FaceDetector | None, whole_photo: bool
) -> Sequence[Face]:
    if detector is not None:
        is_safe = getattr(detector, "is_thread_safe", False)
        with nullcontext() if is_safe else _detector_turns:
            return detector.find(decoded.pixels)
    if whole_photo:
        return ()
    raise ValueError(
        "detector: expected a face detector, because the network takes faces, received None. "
        "Give `emoclf.make_detector()`, or take whole photos with `whole_photo=True`."
    )


def _take_whole(decoded: DecodedImage, info: ModelInfo) -> Prepared:
    whole = resize_image(decoded.pixels, info.image_size, mode=info.resize_mode)
    return Prepared(whole[np.newaxis], decoded.size, (_map_whole(decoded, info),))


def _make_sheet(decoded: DecodedImage, faces: Sequence[Face]) -> Prepared:
    scene = _take_whole(decoded, ModelInfo(image_size=SCENE_SIZE))
    crops = [crop_face(decoded.pixels, face, size=FACE_SIZE) for face in faces]
    areas = [face.box[2] * face.box[3] for face in faces]
    sizes = np.sqrt(np.divide(areas, decoded.size[0] * decoded.size[1]))
    sheet = make_sheet(scene.crops[0], crops, sizes)
    shown = np.array(crops, dtype=np.uint8).reshape(-1, *FACE_SIZE, 3)
    return Prepared(sheet[np.newaxis], decoded.size, scene.matrices, tuple(faces), shown)


def _map_whole(decoded: DecodedImage, info: ModelInfo) -> np.ndarray:
    """Undo `resize_image`, and the reduced scale in which a large photo is decoded."""
    shown = decoded.pixels.shape[:2]
    source, target = map(np.array, _find_placement(shown, info.image_size, info.resize_mode))
    step = (source[2:] - source[:2]) / (target[2:] - target[:2])
    matrix = np.column_stack([np.diag(step), source[:2] - step * target[:2]])
    return matrix * np.divide(decoded.size, shown)[::-1, None]


def resize_image(
    image: np.ndarray, size: tuple[int, int], *, mode: ResizeMode = "pad"
) -> np.ndarray:
    """Bring a photo of any shape to one size with its aspect kept.

    Shrinking averages over all source pixels (no aliasing), the result is the same on every run,
    and a photo that already has the size comes back unchanged.

    Args:
        image: uint8 RGB `(height, width, 3)`, 0 to 255.
        size: `(height, width)` of the result in pixels.
        mode: "pad" shows the whole photo, centred on mid-grey (`PADDING_GREY`); "crop" fills
            the size with the centre of the photo.

    Returns:
        uint8 RGB `(height, width, 3)` in `size`, 0 to 255.

    Raises:
        TypeError: If `image` is no uint8 array.
        ValueError: If `image` has another shape, or `size` or `mode` is none of the above.

    Example:
        >>> resize_image(np.zeros((300, 200, 3), dtype=np.uint8), (96, 96)).shape
        (96, 96, 3)
    """
    check_image(image)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size: expected (height, width) of at least 1 pixel, received {size}.")
    if mode not in get_args(ResizeMode):
        raise ValueError(f"mode: expected one of {get_args(ResizeMode)}, received {mode!r}.")
    if image.shape[:2] == tuple(size):
        return image.copy()
    source, (left, top, right, bottom) = _find_placement(image.shape[:2], size, mode)
    canvas = np.full((*size, 3), PADDING_GREY, dtype=np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(image))
    canvas[top:bottom, left:right] = np.asarray(
        picture.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=source)
    )
    return canvas


def _find_placement(
    photo_size: tuple[int, int], size: tuple[int, int], mode: ResizeMode
) -> tuple[tuple[float, float, float, float], tuple[int, int, int, int]]:
    """Find which part of a photo `resize_image` shows, and where in its result that lies.

    Returns:
        Two boxes, `(left, top, right, bottom)` in pixels of the photo and of the result.
    """
    height, width = photo_size
    if mode == "crop":
        scale = max(size[0] / height, size[1] / width)
        # rounding must not push the box over the border
        top = max(0.0, (height - size[0] / scale) / 2)
        left = max(0.0, (width - size[1] / scale) / 2)
        return (left, top, width - left, height - top), (0, 0, size[1], size[0])
    scale = min(size[0] / height, size[1] / width)
    rows = min(max(round(height * scale), 1), size[0])
    columns = min(max(round(width * scale), 1), size[1])
    above, before = (size[0] - rows) // 2, (size[1] - columns) // 2
    target = (before, above, before + columns, above + rows)
    return (0.0, 0.0, float(width), float(height)), target
