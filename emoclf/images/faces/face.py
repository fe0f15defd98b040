"""A face in a photo, what all detectors share, and OpenCV, imported when a face is looked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from emoclf.untrusted import show_text


class FaceDetectorUnavailableError(RuntimeError):
    """No face detector can be used here; the message says why and what to do."""


class FaceModelError(ValueError):
    """A file that should be a YuNet face model cannot be used as one."""


class FaceModelNotFoundError(FaceModelError, FileNotFoundError):
    """There is no file where the user says that a YuNet face model is."""


Box = tuple[float, float, float, float]
"""`(left, top, width, height)` in pixels."""


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is in a photo.

    Attributes:
        box: `(left, top, width, height)` in pixels of the photo; it may reach past its border.
        score: How sure the detector is, 0 to 1.
        landmarks: float32 array of shape (5, 2), x and y in pixels of the photo: right eye, left
            eye, nose tip, right and left corner of the mouth, as the person has them, so that the
            right eye of an upright face is on the left. None where the detector gives none.
    """

    box: Box
    score: float
    landmarks: np.ndarray | None = None


class FaceDetector(Protocol):
    """Anything that finds faces, for example what `make_detector` returns.

    One that several threads may use at once has `is_thread_safe = True`; of others, one thread at
    a time makes use.
    """

    @property
    def name(self) -> str:
        """The detector's name: "YuNet" or "emoclf's own detector"."""

    @property
    def description(self) -> str:
        """One sentence for the user: which detector, which file, which OpenCV."""

    @property
    def note(self) -> str:
        """What the user should know about this choice, such as why it is not YuNet; else empty."""

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Return the faces in a photo, uint8 RGB `(height, width, 3)`, the largest first."""


def check_image(image: np.ndarray) -> None:
    """Refuse what is no uint8 RGB `(height, width, 3)`: TypeError or ValueError."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        received = getattr(image, "dtype", type(image).__name__)
        raise TypeError(
            f"image: expected a uint8 array with values 0 to 255, received {received}. "
            "`emoclf.load_image` returns such an array."
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"image: expected shape (height, width, 3), received {image.shape}. "
            "`emoclf.load_image` turns grey or transparent pictures into this shape."
        )


def sort_faces(faces: Iterable[Face], image: np.ndarray) -> tuple[Face, ...]:
    """Put the largest face first and drop what cannot be a face of this photo.

    Kept are faces with a finite box whose centre lies in the photo, uint8 `(height, width, 3)`, by
    falling area, then by falling score.
    """
    height, width = image.shape[:2]

    def is_possible(face: Face) -> bool:
        left, top, box_width, box_height = face.box
        return (
            bool(np.isfinite(face.box).all())
            and min(box_width, box_height) > 0
            and 0 <= left + box_width / 2 <= width
            and 0 <= top + box_height / 2 <= height
        )

    possible = [face for face in faces if is_possible(face)]
    return tuple(sorted(possible, key=lambda face: (-face.box[2] * face.box[3], -face.score)))


def measure_overlap(first: Box, second: Box) -> float:
    """Return intersection over union of two boxes: 0 (apart) to 1 (the same)."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def import_opencv() -> Any:
    """Return the module `cv2`, or raise FaceDetectorUnavailableError with the way to get it."""
    try:
        import cv2
    except ImportError as error:
        raise FaceDetectorUnavailableError(
            f"Finding faces needs OpenCV, which cannot be imported ({show_text(error)}). Install "
            "it with `pip install opencv-python`; on a machine without a display, with `pip "
            "install opencv-python-headless`."
        ) from error
    return cv2


@contextmanager
def silence_opencv() -> Iterator[None]:
    """Keep OpenCV from writing log lines to the screen; its errors are raised all the same.

    FFmpeg, which reads videos for it, is kept quiet from the first time on.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = import_opencv().utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def scale_to_side(image: np.ndarray, side: int, *, max_enlargement: float) -> np.ndarray:
    """Bring a picture's longest side to `side` pixels, its aspect kept, without aliasing.

    A small picture is enlarged by `max_enlargement` at most; each side has at least 1 pixel.
    """
    cv2 = import_opencv()
    height, width = image.shape[:2]
    scale = min(side / max(height, width), max_enlargement)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)
