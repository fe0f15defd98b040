"""The test photos of a network in slices, and corrupted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emoclf.config import SEED
from emoclf.evaluation import (
    CORRUPTIONS,
    WORKING_SIDE,
    Corruption,
    Evaluation,
    RobustnessReport,
    SliceReport,
    measure_corrupted,
    slice_evaluation,
)
from emoclf.experiments.error_analysis.answering import make_corrupted_prediction
from emoclf.experiments.error_analysis.measuring import measure_photos
from emoclf.images.faces import FaceDetector
from emoclf.inference import Predictor


def evaluate_slices(
    evaluation: Evaluation,
    root: str | Path,
    *,
    detector: FaceDetector | None = None,
    progress: bool = False,
) -> SliceReport:
    """Measure the photos of an evaluation, and its accuracy by what was measured.

    Args:
        evaluation: The answers, with the paths of the photos: `evaluate(...).evaluation`.
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


def evaluate_robustness(
    predictor: Predictor,
    files: Sequence[str | Path],
    *,
    labels: Sequence[int] | np.ndarray,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    groups: Sequence[int] | np.ndarray | None = None,
    search_again: bool = False,
    seed: int = SEED,
    working_side_px: int = WORKING_SIDE,
    progress: bool = False,
) -> RobustnessReport:
    """Measure how much corruption to its photos a network bears.

    Args:
        predictor: From `Predictor.load` or `Predictor.packaged`.
        files: Photos that it has not learned from.
        labels: Their true labels, indices into `predictor.info.class_names`.
        corruptions: What is done to the photos.
        groups: One number per photo, equal for copies, which count once in the intervals.
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
        ValueError: If there is no photo, or a label is missing.
    """
    answer, note = make_corrupted_prediction(predictor, files, search_again=search_again)
    return measure_corrupted(
        answer,
        files,
        labels=labels,
        corruptions=corruptions,
        seed=seed,
        groups=groups,
        working_side_px=working_side_px,
        watch=partial(tqdm, desc="Harming", unit="batch", disable=not progress),
        note=note,
    )
