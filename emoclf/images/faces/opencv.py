"""OpenCV, imported when a face is looked for and not before, and without its log lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from emoclf.images.faces.face import FaceDetectorUnavailableError
from emoclf.untrusted import show_text


def import_opencv() -> Any:
    """Return the module `cv2`.

    Raises:
        FaceDetectorUnavailableError: If OpenCV is not installed or cannot be loaded.
    """
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
    """Bring a picture's longest side to a length, its aspect kept.

    Args:
        image: uint8 array of shape (height, width, 3) or (height, width), values 0 to 255.
        side: The length in pixels.
        max_enlargement: Largest factor by which a small picture is enlarged.

    Returns:
        uint8 array, the picture in its new size, each side at least 1 pixel. Shrinking averages
        over all source pixels.
    """
    cv2 = import_opencv()
    height, width = image.shape[:2]
    scale = min(side / max(height, width), max_enlargement)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)
