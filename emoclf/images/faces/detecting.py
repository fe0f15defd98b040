"""Choose a detector by what is there, and find faces with it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from emoclf.config import DetectorKind
from emoclf.images import load_image
from emoclf.images.faces.face import (
    Face,
    FaceDetector,
    FaceDetectorUnavailableError,
    FaceModelError,
)
from emoclf.images.faces.haar import HaarDetector, find_cascade_file
from emoclf.images.faces.opencv import import_opencv
from emoclf.images.faces.yunet import YuNetDetector
from emoclf.images.faces.yunet_file import load_yunet_file
from emoclf.untrusted import show_text


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
    _check_kind(kind, model_path)
    if kind == "haar":
        return HaarDetector()
    has_haar = kind == "auto" and find_cascade_file() is not None
    try:
        return _make_yunet(model_path, download, retry=not has_haar)
    except FaceDetectorUnavailableError as error:
        if has_haar:
            return HaarDetector(f"YuNet, which finds more faces, is not used: {show_text(error)}")
        if kind == "auto":
            raise FaceDetectorUnavailableError(
                f"No face detector: {show_text(error)} Or install OpenCV 4, which brings "
                "a Haar cascade: "
                '`pip install "opencv-python<5"`.'
            ) from error
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


def _check_kind(kind: str, model_path: str | Path | None) -> None:
    """Refuse a detector that does not exist, and a model file that would be ignored."""
    if kind not in get_args(DetectorKind):
        raise ValueError(f"kind: expected one of {get_args(DetectorKind)}, received {kind!r}.")
    if kind == "haar" and model_path is not None:
        raise ValueError(
            f"model_path: expected None for kind='haar', received {str(model_path)!r}: it names a "
            'YuNet file. Use kind="yunet", or leave `model_path` out.'
        )


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
