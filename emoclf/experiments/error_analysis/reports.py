"""The test photos of a network in slices, and corrupted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tqdm import tqdm

from emoclf.config import SEED
from emoclf.evaluation import (
    Evaluation,
    RobustnessReport,
    SliceReport,
    measure_robustness,
    slice_evaluation,
)
from emoclf.experiments.error_analysis.answering import make_corrupted_prediction
from emoclf.experiments.error_analysis.measuring import measure_photos
from emoclf.images.corruptions import CORRUPTIONS, WORKING_SIDE, Corruption
from emoclf.images.faces import FaceDetector
from emoclf.inference import Predictor
from emoclf.photos import Photos


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
    return slice_evaluation(evaluation, measures.to_measures())


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
