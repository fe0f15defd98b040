"""Choose a detector by what is there: YuNet, or emoclf's own, which comes with the package.

The packaged detector is a small network that learnt YuNet's answers (see the README beside its
file). Its file has the form of YuNet's, so both look at a photo in the same way.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from emoclf.config import DetectorKind
from emoclf.images.decoding import load_image
from emoclf.images.faces.face import (
    Face,
    FaceDetector,
    FaceDetectorUnavailableError,
    FaceModelError,
)
from emoclf.images.faces.yunet import YuNetDetector
from emoclf.images.faces.yunet_file import (
    PACKAGED_SHA256,
    YuNetFile,
    load_yunet_file,
)
from emoclf.untrusted import show_text

PACKAGED_PATH: Path = Path(__file__).with_name("face_detector.onnx")
"""emoclf's own detector."""


def make_detector(
    kind: DetectorKind = "auto", *, model_path: str | Path | None = None, download: bool = True
) -> FaceDetector:
    """Make a face detector from what this OpenCV and this machine have.

    YuNet needs a model file of 230 kB. It is taken from `model_path`, from where the environment
    variable `EMOCLF_YUNET` says, from the user's cache folder, or downloaded once over https from
    OpenCV's model zoo into that folder and checked against a pinned SHA-256. Without it, "auto"
    takes the packaged detector and says so in the detector's `note`; a download that failed is then
    not tried again for a day, so that every start is quick.

    Args:
        kind: "yunet", "packaged", or "auto" for YuNet where possible, else the packaged detector.
        model_path: A YuNet file to use instead of the pinned ones; it must load.
        download: Whether the network may be used.

    Returns:
        The detector. Show its `description`, and its `note` when it has one.

    Raises:
        ValueError: If `kind` is none of the above, or is "packaged" while a `model_path` is given.
        FaceModelNotFoundError: If there is no file where `model_path` or `EMOCLF_YUNET` says.
        FaceModelError: If the file so named is no YuNet model that this OpenCV can use, or the
            packaged one is damaged.
        FaceDetectorUnavailableError: If OpenCV cannot be imported or is too old, or there is no
            YuNet file; the message says how to get one.

    Example:
        >>> detector = make_detector()  # doctest: +SKIP
        >>> print(detector.description, detector.note)  # doctest: +SKIP
    """
    if kind not in get_args(DetectorKind):
        raise ValueError(f"kind: expected one of {get_args(DetectorKind)}, received {kind!r}.")
    if kind == "packaged" and model_path is not None:
        raise ValueError(
            f"model_path: expected None for kind='packaged', received {str(model_path)!r}: it "
            'names a YuNet file. Use kind="yunet", or leave `model_path` out.'
        )
    if kind == "packaged":
        return YuNetDetector(read_packaged_file())
    try:
        file = load_yunet_file(model_path, download=download, retry=kind == "yunet")
        return _make_yunet(file)
    except FaceDetectorUnavailableError as error:
        if kind == "yunet":
            raise
        note = f"YuNet, which finds a few more faces, is not used. {show_text(error)}"
        return YuNetDetector(read_packaged_file(note))


def read_packaged_file(note: str = "") -> YuNetFile:
    """Read emoclf's own detector, or raise FaceModelError if it is not as it was shipped."""
    try:
        content = PACKAGED_PATH.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != PACKAGED_SHA256:
        raise FaceModelError(
            f"{str(PACKAGED_PATH)!r} is not the file that came with emoclf ({len(content):,} bytes "
            f"with another SHA-256 than {PACKAGED_SHA256}). Install emoclf again."
        )
    return YuNetFile(PACKAGED_PATH, content, note, is_packaged=True)


def _make_yunet(file: YuNetFile) -> YuNetDetector:
    """Make YuNet's detector, or say why it cannot be had."""
    try:
        return YuNetDetector(file)
    except FaceModelError as error:
        if file.is_named:
            raise
        raise FaceDetectorUnavailableError(str(error)) from error


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
