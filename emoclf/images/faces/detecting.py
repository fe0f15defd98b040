"""Choose a detector by what is there: YuNet, or the Haar cascade that OpenCV 4 brings along.

The cascade finds frontal faces only, without landmarks and without a download: Viola and Jones,
"Rapid object detection using a boosted cascade of simple features" (2001). Its settings and score
were chosen on 319 scraped photos against YuNet: of its boxes 92 % are faces to YuNet too, and it
finds a little over half of YuNet's sure ones. OpenCV 5 has neither the class nor the file.
"""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from emoclf.config import DetectorKind
from emoclf.images.decoding import load_image
from emoclf.images.faces.face import (
    Face,
    FaceDetector,
    FaceDetectorUnavailableError,
    FaceModelError,
    check_image,
    import_opencv,
    scale_to_side,
    silence_opencv,
    sort_faces,
)
from emoclf.images.faces.yunet import YuNetDetector
from emoclf.images.faces.yunet_file import load_yunet_file
from emoclf.untrusted import show_text

MIN_SCORE: float = 0.7
"""Boxes below this score are dropped."""

_CASCADE_NAME = "haarcascade_frontalface_default.xml"
_SIDE = 640
_MAX_ENLARGEMENT = 2.0
_SCALE_FACTOR = 1.2
_MIN_NEIGHBOURS = 4
_MIN_FACE_SHARE = 0.08
"""Smallest face as a fraction of the photo's shorter side; OpenCV's own floor is 24 pixels."""

_WEIGHT_MIDDLE = 1.7
_WEIGHT_WIDTH = 1.7
"""A box of weight w is a face to YuNet too in 1 / (1 + exp((middle - w) / width)) of the cases."""


def make_detector(
    kind: DetectorKind = "auto", *, model_path: str | Path | None = None, download: bool = True
) -> FaceDetector:
    """Make a face detector from what this OpenCV and this machine have.

    YuNet needs a model file of 230 kB. It is taken from `model_path`, from where the environment
    variable `EMOCLF_YUNET` says, from the user's cache folder, or downloaded once over https from
    OpenCV's model zoo into that folder and checked against a pinned SHA-256. Without it, "auto"
    takes the Haar cascade of OpenCV 4 and says so in the detector's `note`; a download that failed
    is then not tried again for a day, so that every start is quick.

    Args:
        kind: "yunet", "haar", or "auto" for YuNet where possible, else the Haar cascade.
        model_path: A YuNet file to use instead of the pinned ones; it must load.
        download: Whether the network may be used.

    Returns:
        The detector. Show its `description`, and its `note` when it has one.

    Raises:
        ValueError: If `kind` is none of the above, or is "haar" while a `model_path` is given.
        FaceModelNotFoundError: If there is no file where `model_path` or `EMOCLF_YUNET` says.
        FaceModelError: If the file so named is no YuNet model that this OpenCV can use.
        FaceDetectorUnavailableError: If there is no such detector here; the message says how to
            get one.

    Example:
        >>> detector = make_detector()  # doctest: +SKIP
        >>> print(detector.description, detector.note)  # doctest: +SKIP
    """
    if kind not in get_args(DetectorKind):
        raise ValueError(f"kind: expected one of {get_args(DetectorKind)}, received {kind!r}.")
    if kind == "haar" and model_path is not None:
        raise ValueError(
            f"model_path: expected None for kind='haar', received {str(model_path)!r}: it names a "
            'YuNet file. Use kind="yunet", or leave `model_path` out.'
        )
    if kind == "haar":
        return HaarDetector()
    has_haar = kind == "auto" and find_cascade_file() is not None
    try:
        return _make_yunet(model_path, download, retry=not has_haar)
    except FaceDetectorUnavailableError as error:
        if has_haar:
            return HaarDetector(f"YuNet, which finds more faces, is not used: {show_text(error)}")
        if kind == "auto":
            raise FaceDetectorUnavailableError(f"No face detector: {show_text(error)}") from error
        raise


def find_faces(
    source: bytes | str | Path | Image.Image | np.ndarray, *, detector: FaceDetector | None = None
) -> tuple[Face, ...]:
    """Find the faces in a photo.

    Args:
        source: A path, the bytes of a file, a PIL image or an array, as for `load_image`; an
            array is uint8 of shape (height, width, 3), values 0 to 255, channels red-green-blue.
        detector: What to find them with. None makes `make_detector()` at the first call and
            keeps it.

    Returns:
        The faces, the largest first; boxes in pixels of the upright photo that `load_image`
        returns. Empty when there is none.

    Raises:
        UnreadableImageError: If the photo cannot be read.
        TypeError: If the source is of another type, or an array of another dtype.
        ValueError: If an array has another shape.
        FaceDetectorUnavailableError: If there is no detector here.
    """
    image = load_image(source)
    return (detector or _make_default_detector()).find(image)


@functools.cache
def _make_default_detector() -> FaceDetector:
    """Make the detector of callers that name none, once."""
    return make_detector()


def _make_yunet(model_path: str | Path | None, download: bool, *, retry: bool) -> YuNetDetector:
    """Make YuNet's detector, or say why it cannot be had."""
    cv2 = import_opencv()
    if not hasattr(cv2, "FaceDetectorYN"):
        raise FaceDetectorUnavailableError(
            f"OpenCV {cv2.__version__} has no `FaceDetectorYN`. Install a newer one with "
            "`pip install --upgrade opencv-python`."
        )
    file = load_yunet_file(model_path, download=download, retry=retry)
    try:
        return YuNetDetector(file)
    except FaceModelError as error:
        if file.is_named:
            raise
        raise FaceDetectorUnavailableError(str(error)) from error


class HaarDetector:
    """Finds frontal faces with OpenCV 4's Haar cascade; threads that share it take turns.

    Args:
        note: What the user should know about this choice.

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
                f"OpenCV {cv2.__version__} has no Haar cascade; OpenCV 5 came without it. Take "
                'YuNet, or `pip install "opencv-python<5"`.'
            )
        self._cascade = _load_cascade(path)
        self.description = f"Haar cascade ({_CASCADE_NAME}) of OpenCV {cv2.__version__}."
        self.note = note
        self._lock = threading.Lock()

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Find the frontal faces in a photo.

        Args:
            image: uint8 RGB `(height, width, 3)`, 0 to 255.

        Returns:
            The faces with a score of at least `MIN_SCORE`, the largest first, without landmarks.
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
    """Turn the weight of the last stage into the measured fraction of faces among such boxes."""
    return float(1 / (1 + np.exp((_WEIGHT_MIDDLE - weight) / _WEIGHT_WIDTH)))
