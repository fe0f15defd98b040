"""Copies of validation faces that would leak into the training of the face network."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emoclf.data.sources.fer2013 import FaceSet

COPY_CORRELATION = 0.92
"""Two faces are called copies when their thumbnails correlate at least this much."""

_THUMBNAIL_PX = 16
_SHIFT_PX = 3


@dataclass(frozen=True)
class Crossings:
    """Training faces that are copies of validation faces.

    Attributes:
        is_copy: bool `(training faces,)`.
        exact: Training faces that are pixel for pixel a validation face.
        near: Training faces that look like one: shifted, re-lit, re-compressed, mirrored.
        validation_faces: Validation faces that have a copy, exact or near, in training.
    """

    is_copy: np.ndarray
    exact: int
    near: int
    validation_faces: int

    def __str__(self) -> str:
        """Return one sentence with the counts."""
        return (
            f"{self.validation_faces:,} validation faces have copies in the training faces: "
            f"{self.exact:,} exact and {self.near:,} near copies leave training."
        )


def find_crossings(training: FaceSet, validation: FaceSet) -> Crossings:
    """Find the training faces that are copies of a validation face.

    Faces are compared as thumbnails of 16 x 16 pixels without their mean and contrast, the
    validation face also mirrored and shifted by 3 pixels in each direction. On FER2013, pairs above
    a correlation of 0.95 are copies, pairs below 0.90 mostly are not; the limit of 0.92 removes
    some faces too many rather than one too few.

    Args:
        training: Faces to learn from.
        validation: Faces to be judged by.

    Returns:
        Which training faces to leave out, and the counts.
    """
    known = {face.tobytes() for face in validation.pixels}
    is_exact = np.array([face.tobytes() in known for face in training.pixels], dtype=bool)
    thumbnails = _make_thumbnails(training.pixels)
    is_near = np.zeros(len(training), dtype=bool)
    has_copy = np.zeros(len(validation), dtype=bool)
    for variant in _make_variants(validation.pixels):
        for start in range(0, len(validation), 512):
            part = slice(start, start + 512)
            alike = _make_thumbnails(variant[part]) @ thumbnails.T >= COPY_CORRELATION
            is_near |= alike.any(axis=0)
            has_copy[part] |= alike.any(axis=1)
    return Crossings(
        is_copy=is_exact | is_near,
        exact=int(is_exact.sum()),
        near=int((is_near & ~is_exact).sum()),
        validation_faces=int(has_copy.sum()),
    )


def _make_variants(pixels: np.ndarray) -> list[np.ndarray]:
    """Mirror and shift faces uint8 `(faces, 48, 48)`: 18 arrays of that shape."""
    border = ((0, 0), (_SHIFT_PX, _SHIFT_PX), (_SHIFT_PX, _SHIFT_PX))
    variants = []
    for faces in (pixels, pixels[:, :, ::-1]):
        padded = np.pad(faces, border, mode="edge")
        height, width = faces.shape[1:]
        for top in (0, _SHIFT_PX, 2 * _SHIFT_PX):
            variants += [
                padded[:, top : top + height, left : left + width]
                for left in (0, _SHIFT_PX, 2 * _SHIFT_PX)
            ]
    return variants


def _make_thumbnails(pixels: np.ndarray) -> np.ndarray:
    """Turn faces into unit vectors float32 `(faces, 256)` whose product is their correlation."""
    size = (_THUMBNAIL_PX, _THUMBNAIL_PX)
    small = [
        cv2.resize(np.ascontiguousarray(face), size, interpolation=cv2.INTER_AREA)
        for face in pixels
    ]
    vectors = np.reshape(small, (len(pixels), -1)).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
