"""Predictions for corrupted photos: whole, or the face that was found before the corruption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emoclf.evaluation import CorruptedPhoto, PredictCorrupted
from emoclf.images import load_image, resize_image
from emoclf.images.faces import Face, FaceDetector, crop_face
from emoclf.inference import Predictor

FOUND_BEFORE = (
    "Faces were searched for in the clean photos, so the corruption is to the network alone. A "
    "turned face stays where it is after the turn and is not put upright."
)
SEARCHED_AGAIN = (
    "Faces were searched for again in every corrupted photo; where none is found, or the photo "
    "never had one, there is no answer, which counts as wrong."
)


def make_corrupted_prediction(
    predictor: Predictor, files: Sequence[str | Path], *, search_again: bool = False
) -> tuple[PredictCorrupted, str]:
    """Make a function that lets a predictor answer corrupted photos.

    A photo in which no face was found before the corruption has no answer, and neither has one
    whose face was turned out of the picture.

    Args:
        predictor: Who answers, for the largest face of a photo where it looks at faces.
        files: The clean photos, in the order of `CorruptedPhoto.index`.
        search_again: Whether faces are searched for in the corrupted photos, instead of in `files`.

    Returns:
        The function, for `measure_robustness`, and a sentence about where faces were searched for;
        empty for a network of whole photos.

    Raises:
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
    """
    if predictor.info.crop == "none":
        return lambda corrupted: _answer_whole(predictor, corrupted), ""
    detector = predictor.detector
    known: dict[int, Face | None] = {}

    def find(photo: CorruptedPhoto) -> Face | None:
        if search_again:
            return next(iter(detector.find(photo.pixels)), None)
        if photo.index not in known:
            known[photo.index] = _find_scaled(files[photo.index], photo, detector)
        face = known[photo.index]
        return face and turn_face(face, photo.degrees, size=photo.pixels.shape[:2])

    def answer(corrupted: Sequence[CorruptedPhoto]) -> np.ndarray:
        return _answer_faces(predictor, [(each.pixels, find(each)) for each in corrupted])

    return answer, SEARCHED_AGAIN if search_again else FOUND_BEFORE


def turn_face(face: Face, degrees: float, *, size: tuple[int, int]) -> Face | None:
    """Find where a face is after its photo was turned about its centre.

    Args:
        face: Where it was. Its landmarks move along, but keep their tilt, so that cutting it out
            does not put it upright again.
        degrees: How far the photo was turned to the left.
        size: `(height, width)` of the photo in pixels, the same before and after.

    Returns:
        The face at its new place; None when its centre is no longer in the photo.

    Example:
        >>> turned = turn_face(Face((60.0, 40.0, 20.0, 20.0), 0.9), 90, size=(100, 100))
        >>> [round(value) for value in turned.box]
        [40, 20, 20, 20]
    """
    left, top, width, height = face.box
    centre = np.array([size[1] / 2, size[0] / 2])
    across, down = np.array([left + width / 2, top + height / 2]) - centre
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = np.array([cosine * across + sine * down, cosine * down - sine * across])
    moved = centre + turned
    if not (0 <= moved[0] <= size[1] and 0 <= moved[1] <= size[0]):
        return None
    step = turned - np.array([across, down])
    marks = None if face.landmarks is None else face.landmarks + step.astype(np.float32)
    box = (float(moved[0]) - width / 2, float(moved[1]) - height / 2, width, height)
    return Face(box, face.score, marks)


def _find_scaled(file: str | Path, photo: CorruptedPhoto, detector: FaceDetector) -> Face | None:
    """Find the largest face of a file at full size, in pixels of the working size."""
    pixels = load_image(file)
    face = next(iter(detector.find(pixels)), None)
    if face is None:
        return None
    scale = max(photo.pixels.shape[:2]) / max(pixels.shape[:2])
    left, top, width, height = (value * scale for value in face.box)
    marks = None if face.landmarks is None else face.landmarks * np.float32(scale)
    return Face((left, top, width, height), face.score, marks)


def _answer_whole(predictor: Predictor, corrupted: Sequence[CorruptedPhoto]) -> np.ndarray:
    info = predictor.info
    images = [
        resize_image(each.pixels, info.image_size, mode=info.resize_mode) for each in corrupted
    ]
    return predictor.predict_probabilities(np.stack(images))


def _answer_faces(
    predictor: Predictor, pairs: Sequence[tuple[np.ndarray, Face | None]]
) -> np.ndarray:
    """Return float64 `(photos, classes)`, a row of nan for a photo without a face."""
    rows = np.full((len(pairs), len(predictor.info.class_names)), np.nan)
    crops = {
        place: crop_face(pixels, face, size=predictor.info.image_size)
        for place, (pixels, face) in enumerate(pairs)
        if face is not None
    }
    if crops:
        rows[list(crops)] = predictor.predict_probabilities(np.stack(list(crops.values())))
    return rows
