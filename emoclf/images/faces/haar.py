"""The Haar cascade that OpenCV 4 brings along: frontal faces only, no landmarks, no download.

Viola and Jones, "Rapid object detection using a boosted cascade of simple features" (2001).
Settings and score were chosen on 319 scraped photos against YuNet: of its boxes 92 % are faces to
YuNet too, and it finds a little over half of YuNet's sure ones. OpenCV 5 has neither the class nor
the file.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.images.faces.face import Face, FaceDetectorUnavailableError, check_image, sort_faces
from emoclf.images.faces.opencv import import_opencv, scale_to_side, silence_opencv

MIN_SCORE: float = 0.7
"""Boxes below this score are dropped."""

_CASCADE_NAME = "haarcascade_frontalface_default.xml"
_SIDE = 640
_MAX_ENLARGEMENT = 2.0
_SCALE_FACTOR = 1.2
_MIN_NEIGHBOURS = 4
_MIN_FACE_SHARE = 0.08
"""Smallest face as a share of the photo's shorter side; OpenCV's own floor is 24 pixels."""

_WEIGHT_MIDDLE = 1.7
_WEIGHT_WIDTH = 1.7
"""A box of weight w is a face to YuNet too in 1 / (1 + exp((middle - w) / width)) of the cases."""


class HaarDetector:
    """Finds frontal faces with OpenCV 4's Haar cascade.

    One detector may be used from several threads: they take turns.

    Args:
        note: What the user should know about this choice.

    Attributes:
        name: "Haar cascade".
        description: Which file and which OpenCV.
        note: As given.

    Raises:
        FaceDetectorUnavailableError: If this OpenCV has no Haar cascade.
    """

    name = "Haar cascade"

    def __init__(self, note: str = "") -> None:
        """Load the cascade."""
        cv2 = import_opencv()
        path = find_cascade_file()
        if path is None:
            raise FaceDetectorUnavailableError(
                f"OpenCV {cv2.__version__} has no Haar cascade; OpenCV 5 came without it. Use "
                'YuNet (`make_detector("yunet")`), or `pip install "opencv-python<5"`.'
            )
        self._cascade = _load_cascade(path)
        self.description = f"Haar cascade ({_CASCADE_NAME}) of OpenCV {cv2.__version__}."
        self.note = note
        self._lock = threading.Lock()

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Find the frontal faces in a photo.

        Args:
            image: uint8 array of shape (height, width, 3), values 0 to 255, channels
                red-green-blue.

        Returns:
            The faces with a score of at least `MIN_SCORE`, the largest first, without landmarks.

        Raises:
            TypeError: If `image` is no uint8 array.
            ValueError: If `image` has another shape.
        """
        check_image(image)
        cv2 = import_opencv()
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small = scale_to_side(grey, _SIDE, max_enlargement=_MAX_ENLARGEMENT)
        min_side = round(_MIN_FACE_SHARE * min(small.shape))
        with self._lock:
            boxes, _, weights = self._cascade.detectMultiScale3(
                small,
                scaleFactor=_SCALE_FACTOR,
                minNeighbors=_MIN_NEIGHBOURS,
                minSize=(min_side, min_side),
                outputRejectLevels=True,
            )
        scale = np.tile(np.divide(image.shape[1::-1], small.shape[::-1]), 2)
        found = [
            Face(tuple((np.asarray(box) * scale).tolist()), _score(float(weight)))
            for box, weight in zip(boxes, np.ravel(weights), strict=True)
        ]
        return sort_faces((face for face in found if face.score >= MIN_SCORE), image)


def _load_cascade(path: Path) -> Any:
    """Return OpenCV's classifier for a cascade's file."""
    cv2 = import_opencv()
    try:
        with silence_opencv():
            cascade = cv2.CascadeClassifier(str(path))
    except (cv2.error, SystemError):  # OpenCV's constructor wraps its own error in the latter
        cascade = None
    if cascade is None or cascade.empty():
        raise FaceDetectorUnavailableError(
            f"{str(path)!r} is damaged: OpenCV cannot load it. Install OpenCV again with "
            '`pip install --force-reinstall "opencv-python<5"`.'
        )
    return cascade


def find_cascade_file() -> Path | None:
    """Return the cascade's file, or None where this OpenCV has no Haar cascade."""
    cv2 = import_opencv()
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if not hasattr(cv2, "CascadeClassifier") or folder is None:
        return None
    path = Path(folder) / _CASCADE_NAME
    return path if path.is_file() else None


def _score(weight: float) -> float:
    """Turn the weight of the last stage into the measured share of faces among such boxes."""
    return float(1 / (1 + np.exp((_WEIGHT_MIDDLE - weight) / _WEIGHT_WIDTH)))
