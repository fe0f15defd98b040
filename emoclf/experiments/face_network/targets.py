"""What the face network is taught about each face: the raters' votes, mixed with the label."""

from __future__ import annotations

import numpy as np

from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet

LABEL_WEIGHT = 0.3
"""Share of FER2013's own label in the target; the rest are the raters' votes."""

MIN_VOTES = 5
"""Faces with fewer votes for any emotion (of ten) are left out of training."""


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
    """Turn votes and label into the share that each emotion deserves.

    Learning the distribution of the raters' votes follows Barsoum et al. (2016). FER2013's own
    label counts beside them, because it is what validation is measured by.

    Args:
        faces: Labelled faces; faces without votes are taught their label alone.
        label_weight: Share of the label, 0 to 1.

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
