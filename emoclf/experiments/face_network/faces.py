"""The faces of the recipe: to train on, to validate on, and what each is taught.

No training face is a duplicate of a validation face; the raters' votes are mixed with the label.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet

SADNESS, HAPPINESS = EMOTIONS.index("sadness"), EMOTIONS.index("happiness")

LABEL_WEIGHT = 0.3
"""Weight of FER2013's own label in the target; the rest are the raters' votes."""

MIN_VOTES = 5
"""Faces with fewer votes for any emotion (of ten) are left out of training."""

DUPLICATE_CORRELATION = 0.92
"""Two faces are called duplicates when their thumbnails correlate at least this much."""

_THUMBNAIL_PX = 16
_SHIFT_PX = 3


class RecipeFaces(NamedTuple):
    """The faces of the recipe, each in its role.

    Attributes:
        training: Faces to learn from, without duplicates of the others.
        tuning: Validation faces that settings and temperature are chosen on.
        confirmation: Validation faces that are used once, at the end; none is a duplicate of a
            tuning face.
        leakage: The training faces that were left out as duplicates.
    """

    training: FaceSet
    tuning: FaceSet
    confirmation: FaceSet
    leakage: Leakage


def prepare_faces(faces: FaceSet) -> RecipeFaces:
    """Give every face its role.

    Training faces are FER2013's "Training" without duplicates of validation faces and without
    pictures that the raters call no face. Validation faces are FER2013's "PublicTest": every second
    one tunes, the others confirm. "PrivateTest" is not used.

    Args:
        faces: FER2013.

    Returns:
        The faces by role.

    Raises:
        ValueError: If there are no training or no validation faces.
    """
    training = faces.take(faces.usages == "Training")
    validation = faces.take(faces.usages == "PublicTest")
    if not len(training) or not len(validation):
        raise ValueError(
            "Expected faces with the usages 'Training' and 'PublicTest'. "
            f"Received: {sorted(set(faces.usages.tolist()))}."
        )
    leakage = find_leakage(training, validation)
    is_even = np.arange(len(validation)) % 2 == 0
    tuning, confirmation = validation.take(is_even), validation.take(~is_even)
    confirmation = confirmation.take(~find_leakage(confirmation, tuning).is_duplicate)
    return RecipeFaces(
        training=training.take(~leakage.is_duplicate & find_teachable(training)),
        tuning=tuning,
        confirmation=confirmation,
        leakage=leakage,
    )


class Leakage(NamedTuple):
    """Training faces that are duplicates of validation faces.

    Attributes:
        is_duplicate: bool `(training faces,)`.
        exact: Training faces that are pixel for pixel a validation face.
        near: Training faces that look like one: shifted, re-lit, re-compressed, mirrored.
        validation_faces: Validation faces that have a duplicate, exact or near, in training.
    """

    is_duplicate: np.ndarray
    exact: int
    near: int
    validation_faces: int

    def __str__(self) -> str:
        """Return one sentence with the counts."""
        return (
            f"{self.validation_faces:,} validation faces have duplicates in the training faces: "
            f"{self.exact:,} exact and {self.near:,} near duplicates leave training."
        )


def find_leakage(training: FaceSet, validation: FaceSet) -> Leakage:
    """Find the training faces that are duplicates of a validation face.

    Faces are compared as thumbnails of 16 x 16 pixels without their mean and contrast, the
    validation face also mirrored and shifted by 3 pixels in each direction. On FER2013, pairs above
    a correlation of 0.95 are duplicates, pairs below 0.90 mostly are not; the limit of 0.92 removes
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
    has_duplicate = np.zeros(len(validation), dtype=bool)
    for variant in _make_variants(validation.pixels):
        for start in range(0, len(validation), 512):
            part = slice(start, start + 512)
            alike = _make_thumbnails(variant[part]) @ thumbnails.T >= DUPLICATE_CORRELATION
            is_near |= alike.any(axis=0)
            has_duplicate[part] |= alike.any(axis=1)
    return Leakage(
        is_duplicate=is_exact | is_near,
        exact=int(is_exact.sum()),
        near=int((is_near & ~is_exact).sum()),
        validation_faces=int(has_duplicate.sum()),
    )


def _make_variants(pixels: np.ndarray) -> list[np.ndarray]:
    """Mirror and shift faces uint8 `(faces, 48, 48)`: 18 arrays of that shape."""
    border = ((0, 0), (_SHIFT_PX, _SHIFT_PX), (_SHIFT_PX, _SHIFT_PX))
    height, width = pixels.shape[1:]
    shifts = (0, _SHIFT_PX, 2 * _SHIFT_PX)
    return [
        padded[:, top : top + height, left : left + width]
        for faces in (pixels, pixels[:, :, ::-1])
        for padded in [np.pad(faces, border, mode="edge")]
        for top, left in product(shifts, shifts)
    ]


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


def find_teachable(faces: FaceSet) -> np.ndarray:
    """Find the faces that show an expression to the raters.

    Args:
        faces: With votes, or without any (all zero), which makes every face teachable.

    Returns:
        bool `(faces,)`: False where most raters said "unknown" or "not a face".
    """
    return (faces.votes[:, : len(EMOTIONS)].sum(axis=1) >= MIN_VOTES) | (
        faces.votes.sum(axis=1) == 0
    )


def make_targets(faces: FaceSet, *, label_weight: float = LABEL_WEIGHT) -> np.ndarray:
    """Turn votes and label into the probability that each emotion deserves.

    Learning the distribution of the raters' votes follows Barsoum et al. (2016). FER2013's own
    label counts beside them, because it is what validation is measured by.

    Args:
        faces: Labelled faces; faces without votes are taught their label alone.
        label_weight: Weight of the label, 0 to 1.

    Returns:
        float32 `(faces, 8)`, one column per emotion of `EMOTIONS`; rows sum to 1.

    Raises:
        ValueError: If `label_weight` is out of range.
    """
    if not 0 <= label_weight <= 1:
        raise ValueError(f"label_weight={label_weight} should be from 0 to 1.")
    votes = faces.votes[:, : len(EMOTIONS)].astype(np.float32)
    counts = votes.sum(axis=1, keepdims=True)
    labels = np.eye(len(EMOTIONS), dtype=np.float32)[faces.labels]
    weights = np.where(counts > 0, np.float32(label_weight), np.float32(1))
    return (1 - weights) * votes / np.maximum(counts, 1) + weights * labels


def is_happy_or_sad(faces: FaceSet) -> np.ndarray:
    """Find the faces whose label is one of the two classes: bool `(faces,)`."""
    return np.isin(faces.labels, (SADNESS, HAPPINESS))


def raters_agree(faces: FaceSet) -> np.ndarray:
    """Find the faces that most raters call happy or sad, whatever the label says.

    Args:
        faces: With votes.

    Returns:
        bool `(faces,)`: more than half of the ten votes are for happiness, or more than half for
        sadness.
    """
    return faces.votes[:, [SADNESS, HAPPINESS]].max(axis=1) * 2 > faces.votes.sum(axis=1)


def raters_confirm_label(faces: FaceSet) -> np.ndarray:
    """Find the happy and sad faces for which most raters say the same as the label.

    Args:
        faces: With votes.

    Returns:
        bool `(faces,)`: more than half of the ten votes are for the label, happiness or sadness.
    """
    own = faces.votes[np.arange(len(faces)), faces.labels]
    return is_happy_or_sad(faces) & (own * 2 > faces.votes.sum(axis=1))
