"""The accuracy by what can be measured of a photo by itself: light, sharpness, size, faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emoclf.data.cleaning import CleaningThresholds
from emoclf.data.cleaning.checks import examine_file
from emoclf.data.cleaning.report import FileRecord
from emoclf.evaluation import Evaluation, SliceReport, slice_evaluation
from emoclf.images import load_image
from emoclf.images.faces import FaceDetector
from emoclf.untrusted import show_text

_MANY_FACES = 3


@dataclass(frozen=True, eq=False)
class PhotoMeasures:
    """What was measured of some photos, in their order.

    Attributes:
        brightness: float64 `(photos,)`: mean grey value, 0 to 255, as in `FileRecord`.
        sharpness: float64 `(photos,)`: how much neighbouring pixels differ, as in `FileRecord`.
        short_side_px: float64 `(photos,)`: shorter side in pixels.
        face_count: int64 `(photos,)`: faces that the detector finds; -1 without a detector.
        face_share: float64 `(photos,)`: side of the largest face in % of the longer side of the
            photo; nan without a face.
        detector: Which detector looked for faces; empty when none did.
    """

    brightness: np.ndarray
    sharpness: np.ndarray
    short_side_px: np.ndarray
    face_count: np.ndarray
    face_share: np.ndarray
    detector: str

    def to_measures(self) -> dict[str, np.ndarray]:
        """Return name to one value per photo, as `slice_evaluation` takes them.

        A photo without a face stands in a slice of `face` and in none of the slices by how many
        people there are and how large they are.
        """
        measures = {
            "brightness": self.brightness,
            "sharpness": self.sharpness,
            "shorter side in pixels": self.short_side_px,
        }
        if self.detector:
            counts = np.minimum(self.face_count, _MANY_FACES)
            people = ["", "1", "2", f"{_MANY_FACES} or more"]
            measures["face"] = np.where(self.face_count > 0, "found", "none found")
            measures["people"] = np.array(people)[counts]
            measures["face, % of longer side"] = self.face_share
        return measures


def evaluate_slices(
    evaluation: Evaluation,
    root: str | Path,
    *,
    detector: FaceDetector | None = None,
    progress: bool = False,
) -> SliceReport:
    """Measure the photos of an evaluation, and its accuracy by what was measured.

    Args:
        evaluation: Of the predictions, with the paths of the photos: `evaluate(...).evaluation`.
        root: The folder that the paths are relative to.
        detector: What finds faces, such as `make_detector()`; None makes no slices by face.
        progress: Whether a progress bar is shown.

    Returns:
        Slices by brightness, sharpness and size, each in three equal parts, and by faces.

    Raises:
        UnreadableImageError: If a photo cannot be read.

    Example:
        >>> test = emoclf.evaluate("logs/first")  # doctest: +SKIP
        >>> report = evaluate_slices(test.evaluation, "data")  # doctest: +SKIP
        >>> print(report.describe())  # doctest: +SKIP
    """
    paths = [Path(root) / path for path in evaluation.paths]
    measures = measure_photos(paths, detector=detector, progress=progress)
    return slice_evaluation(evaluation, measures.to_measures())


def measure_photos(
    paths: Sequence[str | Path],
    *,
    detector: FaceDetector | None = None,
    progress: bool = False,
) -> PhotoMeasures:
    """Measure photos: brightness and sharpness as the cleaning does, size, faces.

    Args:
        paths: The files.
        detector: What finds faces, such as `make_detector()`; None counts no faces.
        progress: Whether a progress bar is shown.

    Returns:
        One value per photo and measure.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
    """
    rows = [
        _measure(Path(path), detector)
        for path in tqdm(paths, desc="Measuring", unit="photo", disable=not progress)
    ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return PhotoMeasures(
        brightness=columns[0],
        sharpness=columns[1],
        short_side_px=columns[2],
        face_count=columns[3].astype(np.int64),
        face_share=columns[4],
        detector=detector.description if detector else "",
    )


def _measure(path: Path, detector: FaceDetector | None) -> tuple[float, ...]:
    """Return brightness, sharpness, shorter side, number of faces, share of the largest."""
    record = examine_file(
        path, FileRecord(path.name, "", -1), thresholds=CleaningThresholds()
    ).record
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
