"""Where a network is weak: its test photos measured one by one, and corrupted.

How bright, sharp and large a photo is and how many faces it shows, and the accuracy by that; and
how much corruption a network bears: of its whole photos, or of the faces found before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emoclf.config import SEED
from emoclf.data.cleaning import CleaningThresholds, FileRecord
from emoclf.data.cleaning.problems import examine_file
from emoclf.evaluation import (
    CorruptedPhoto,
    Evaluation,
    PredictCorrupted,
    RobustnessReport,
    SliceReport,
    measure_robustness,
    slice_evaluation,
)
from emoclf.images import load_image, prepare
from emoclf.images.corruptions import CORRUPTIONS, WORKING_SIDE, Corruption
from emoclf.images.faces import Face, FaceDetector
from emoclf.inference import Predictor
from emoclf.photos import Photos
from emoclf.untrusted import show_text

_MANY_FACES = 3


def evaluate_slices(
    evaluation: Evaluation, *, detector: FaceDetector | None = None, progress: bool = False
) -> SliceReport:
    """Measure the photos of an evaluation, and its accuracy by what was measured.

    Args:
        evaluation: The photos and what was predicted for them: `evaluate(...).evaluation`.
        detector: What finds faces, such as `make_detector()`; None makes no slices by face.
        progress: Whether a progress bar is shown.

    Returns:
        Slices by brightness, sharpness and size, each in three equal parts, and by faces.

    Raises:
        UnreadableImageError: If a photo cannot be read.

    Example:
        >>> test = emoclf.evaluate("logs/first")  # doctest: +SKIP
        >>> print(evaluate_slices(test.evaluation))  # doctest: +SKIP
    """
    files = evaluation.photos.files
    measures = measure_photos(files, detector=detector, progress=progress)
    return slice_evaluation(evaluation, measures)


def measure_photos(
    paths: Sequence[str | Path], *, detector: FaceDetector | None = None, progress: bool = False
) -> dict[str, np.ndarray]:
    """Measure photos: brightness and sharpness as the cleaning does, size, faces.

    Args:
        paths: The files.
        detector: What finds faces, such as `make_detector()`; None counts no faces.
        progress: Whether a progress bar is shown.

    Returns:
        Name to one value per photo, `(photos,)`, as `slice_evaluation` takes them: "brightness"
        (mean grey value, 0 to 255) and "sharpness" (how much neighbouring pixels differ), as in
        `FileRecord`, and "shorter side in pixels". With a detector also "face" (found or not),
        "people" (how many; empty for none) and "face, % of longer side" (the largest; nan for
        none), so that a photo without a face stands in none of the slices by these two.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
    """
    rows = [
        _measure(Path(path), detector)
        for path in tqdm(paths, desc="Measuring", unit="photo", disable=not progress)
    ]
    brightness, sharpness, short_side_px, face_count, face_share = (
        np.array(rows, dtype=np.float64).reshape(-1, 5).T
    )
    measures = {
        "brightness": brightness,
        "sharpness": sharpness,
        "shorter side in pixels": short_side_px,
    }
    if detector:
        people = np.array(["", "1", "2", f"{_MANY_FACES} or more"])
        measures["face"] = np.where(face_count > 0, "found", "none found")
        measures["people"] = people[np.minimum(face_count, _MANY_FACES).astype(np.int64)]
        measures["face, % of longer side"] = face_share
    return measures


def _measure(path: Path, detector: FaceDetector | None) -> tuple[float, ...]:
    """Return brightness, sharpness, shorter side, number of faces, fraction of the largest."""
    new = FileRecord(path.name, "", -1)
    record, _ = examine_file(path, new, thresholds=CleaningThresholds())
    if record.brightness is None or record.sharpness is None:
        load_image(path)  # says what is wrong with it
        raise ValueError(
            f"{show_text(path)} cannot be measured: {record.problems}. Clean the folder first."
        )
    light = (record.brightness, record.sharpness, float(min(record.height, record.width)))
    if detector is None:
        return (*light, -1.0, float("nan"))
    photo = load_image(path)
    faces = detector.find(photo)
    if not faces:
        return (*light, 0.0, float("nan"))
    _, _, width, height = faces[0].box
    share = 100 * (width * height) ** 0.5 / max(photo.shape[:2])
    return (*light, float(len(faces)), share)


FOUND_BEFORE = (
    "Faces were searched for in the clean photos, so the corruption is to the network alone. A "
    "turned face stays where it is after the turn and is not put upright."
)
SEARCHED_AGAIN = (
    "Faces were searched for again in every corrupted photo; where none is found, or the photo "
    "never had one, there is no prediction, which counts as wrong."
)


def evaluate_robustness(
    predictor: Predictor,
    photos: Photos,
    *,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    search_again: bool = False,
    seed: int = SEED,
    working_side_px: int = WORKING_SIDE,
    progress: bool = False,
) -> RobustnessReport:
    """Measure how much corruption to its photos a network bears.

    Args:
        predictor: From `Predictor.load` or `Predictor.packaged`.
        photos: Photos that it has not learned from, of the classes that it predicts.
        corruptions: What is done to the photos.
        search_again: Whether faces are searched for in the corrupted photos; default: in the clean
            ones, so that the corruption is to the network and not to the detector.
        seed: Seed of everything random.
        working_side_px: The longer side in pixels that every photo is brought to first.
        progress: Whether a progress bar is shown.

    Returns:
        The accuracy for every corruption and severity, on the same photos each.

    Raises:
        UnreadableImageError: If a photo cannot be read.
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        ValueError: If there is no photo.
    """
    predict, note = make_corrupted_prediction(predictor, photos.files, search_again=search_again)
    return measure_robustness(
        predict,
        photos,
        corruptions=corruptions,
        seed=seed,
        working_side_px=working_side_px,
        watch=partial(tqdm, desc="Corrupting", unit="batch", disable=not progress),
        note=note,
    )


def make_corrupted_prediction(
    predictor: Predictor, files: Sequence[str | Path], *, search_again: bool = False
) -> tuple[PredictCorrupted, str]:
    """Make a function that lets a predictor predict corrupted photos.

    A photo in which no face was found before the corruption has no prediction, and neither has one
    whose face was turned out of the picture.

    Args:
        predictor: Who predicts, for the largest face of a photo where it takes faces.
        files: The clean photos, in the order of `CorruptedPhoto.index`.
        search_again: Whether faces are searched for in the corrupted photos, instead of in `files`.

    Returns:
        The function, for `measure_robustness`, and a sentence about where faces were searched for;
        empty for a network of whole photos.

    Raises:
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
    """
    info, known = predictor.info, dict[int, Face | None]()
    shows_faces = info.crop != "none"
    detector = predictor.detector if shows_faces else None

    def find(photo: CorruptedPhoto) -> list[Face] | None:
        if detector is None or search_again:
            return None
        if photo.index not in known:
            known[photo.index] = _find_scaled(files[photo.index], photo, detector)
        face = known[photo.index]
        moved = face and turn_face(face, photo.degrees, size=photo.pixels.shape[:2])
        return [moved] if moved else []

    def predict(corrupted: Sequence[CorruptedPhoto]) -> np.ndarray:
        rows = np.full((len(corrupted), len(info.class_names)), np.nan)
        shown = [
            prepare(each.pixels, info, detector=detector, faces=find(each)).crops[:1]
            for each in corrupted
        ]
        crops = np.concatenate(shown)
        if len(crops):
            rows[[len(each) > 0 for each in shown]] = predictor.predict_probabilities(crops)
        return rows

    if not shows_faces:
        return predict, ""
    return predict, SEARCHED_AGAIN if search_again else FOUND_BEFORE


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
