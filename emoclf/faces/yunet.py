"""YuNet, the small face detector of OpenCV's model zoo, through `cv2.FaceDetectorYN`.

Every photo is searched twice, because YuNet finds faces of about 10 to 300 pixels: at 640 pixels
for small faces, at 192 for a face that fills the photo. Measured on 250 faces that fill the frame:
98 % are found at 192 pixels, 64 % at 640; and on 638 scraped photos the second look raises the
share with a face from 70 to 74 %.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.faces.face import Face, FaceModelError, check_image, sort_faces
from emoclf.faces.opencv import import_opencv, scale_to_side, silence_opencv
from emoclf.faces.yunet_file import MODEL_SHA256, YuNetFile, explain_remedy

MIN_SCORE: float = 0.7
"""Boxes below this score are dropped: most of those show drawings, hands or nothing."""

_NEAR_SIDE, _NEAR_ENLARGEMENT = 640, 2.0
"""Longest side in pixels of the look from near, and how far it enlarges a small photo."""

_FAR_SIDE = 192
"""Longest side in pixels of the look from afar, to which every photo is brought."""

_MAX_OVERLAP = 0.3
"""Of two boxes that share more than this of their union, the one with the lower score goes."""

_STRIDE = 32
_MIN_CANVAS = 64
"""Below this, feature maps are one pixel high and OpenCV 4 reads past their end."""

_TRUSTED_SHA256 = frozenset(
    {MODEL_SHA256, "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"}
)
"""The zoo's files of May 2026 and March 2023."""

_PROBE = """
import sys
import cv2, numpy
content = numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8)
detector = cv2.FaceDetectorYN.create("onnx", content, content[:0], (64, 64))
detector.detect(numpy.zeros((64, 64, 3), numpy.uint8))
"""


class YuNetDetector:
    """Finds faces and five landmarks with YuNet.

    One detector may be used from several threads: they take turns.

    Args:
        file: The model file, from `load_yunet_file`.

    Attributes:
        name: "YuNet".
        description: Which file and which OpenCV.
        note: What happened to the file on the way, or nothing.

    Raises:
        FaceModelError: If the file is no YuNet model or is damaged.
    """

    name = "YuNet"

    def __init__(self, file: YuNetFile) -> None:
        """Load the network and try it once."""
        cv2 = import_opencv()
        self.description = f"YuNet ({Path(file.path).name}) with OpenCV {cv2.__version__}."
        self.note = file.note
        self._lock = threading.Lock()
        if hashlib.sha256(file.content).hexdigest() not in _TRUSTED_SHA256:
            _try_in_another_process(file)
        self._network = _load_network(file)

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Find the faces in a photo.

        Args:
            image: uint8 array of shape (height, width, 3), values 0 to 255, channels
                red-green-blue.

        Returns:
            The faces with a score of at least `MIN_SCORE`, the largest first, with landmarks.

        Raises:
            TypeError: If `image` is no uint8 array.
            ValueError: If `image` has another shape.
        """
        check_image(image)
        near = scale_to_side(image, _NEAR_SIDE, max_enlargement=_NEAR_ENLARGEMENT)
        smaller = near if near.size < image.size else image
        far = scale_to_side(smaller, _FAR_SIDE, max_enlargement=_FAR_SIDE)
        rows = np.concatenate([self._look(near, image), self._look(far, image)])
        return sort_faces(_drop_doubles(rows), image)

    def _look(self, small: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return YuNet's float32 rows (n, 15), box, landmarks, score, in pixels of `image`."""
        cv2 = import_opencv()
        height, width = small.shape[:2]
        canvas = cv2.copyMakeBorder(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
            *(0, _pad_side(height) - height, 0, _pad_side(width) - width),
            cv2.BORDER_CONSTANT,
        )
        with self._lock:
            self._network.setInputSize(canvas.shape[1::-1])
            _, found = self._network.detect(canvas)
        if found is None:
            return np.zeros((0, 15), dtype=np.float32)
        rows = found[np.isfinite(found).all(axis=1)]
        rows[:, 0:14:2] *= image.shape[1] / width
        rows[:, 1:14:2] *= image.shape[0] / height
        return rows


def _pad_side(side: int) -> int:
    """Return the next length that the network's strides divide."""
    return max(_MIN_CANVAS, -(-side // _STRIDE) * _STRIDE)


def _drop_doubles(rows: np.ndarray) -> list[Face]:
    """Turn YuNet's rows into faces, of overlapping ones only the surest."""
    if not len(rows):
        return []
    cv2 = import_opencv()
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), MIN_SCORE, _MAX_OVERLAP)
    return [
        Face(
            box=(float(row[0]), float(row[1]), float(row[2]), float(row[3])),
            score=float(np.clip(row[14], 0, 1)),
            landmarks=row[4:14].reshape(5, 2).copy(),
        )
        for row in rows[np.asarray(kept, dtype=int).ravel()]
    ]


def _load_network(file: YuNetFile) -> Any:
    """Return OpenCV's detector for a model file, tried once on a black picture."""
    cv2 = import_opencv()
    content = np.frombuffer(file.content, dtype=np.uint8)
    try:
        with silence_opencv():
            network = cv2.FaceDetectorYN.create(
                "onnx", content, content[:0], (_MIN_CANVAS, _MIN_CANVAS), MIN_SCORE, _MAX_OVERLAP
            )
            network.detect(np.zeros((_MIN_CANVAS, _MIN_CANVAS, 3), dtype=np.uint8))
    except cv2.error as error:
        raise _explain_unusable(file, error.err or str(error)) from error
    return network


def _try_in_another_process(file: YuNetFile) -> None:
    """Refuse a damaged file before it can take this process with it: some end the interpreter."""
    import subprocess  # not needed for the pinned file

    try:
        tried = subprocess.run(
            [sys.executable, "-c", _PROBE],
            input=file.content,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _explain_unusable(file, "OpenCV did not load it within 60 seconds") from error
    if tried.returncode:
        lines = tried.stderr.decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines and tried.returncode > 0 else f"crashed ({tried.returncode})"
        raise _explain_unusable(file, said)


def _explain_unusable(file: YuNetFile, said: str) -> FaceModelError:
    """Say that a file is no YuNet model."""
    return FaceModelError(
        f"{str(file.path)!r} is no YuNet model that OpenCV {import_opencv().__version__} can use "
        f"({len(file.content):,} bytes; OpenCV says: {' '.join(said.split())[:200]}). "
        f"Expected an ONNX file such as the one of {explain_remedy()}"
    )
