"""The accuracy by what can be measured of a photo by itself: light, sharpness, size, faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emoclf.data.cleaning import CleaningThresholds, FileRecord
from emoclf.data.cleaning.problems import examine_file
from emoclf.evaluation import Evaluation, SliceReport, slice_evaluation
from emoclf.images import load_image
from emoclf.images.faces import FaceDetector
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
    paths: Sequence[str | Path],
    *,
    detector: FaceDetector | None = None,
    progress: bool = False,
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
