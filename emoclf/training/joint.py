"""Learn to decide by what two packaged networks find in the faces and in the whole photo.

The features of every photo are computed once and kept, by the photo's content. What learns is the
last layer, a logistic regression: it takes a second, and neither TensorFlow nor a GPU.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from emoclf.config import JOINT_FILE_NAME, SHEET_SIZE, Settings
from emoclf.data.folds import make_folds
from emoclf.evaluation import Evaluation
from emoclf.images import ModelInfo, prepare, sharing_memory, work_ahead
from emoclf.images.faces import FaceDetector, make_detector
from emoclf.models.joint import FACE_FEATURES, SCENE_FEATURES, JointNetwork
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import open_regular, replacing
from emoclf.training.locking import hold_run
from emoclf.training.regression import RegressionFit, fit_regression
from emoclf.training.run_folder import (
    CROSS_VALIDATED,
    TrainingResult,
    copy_or_warn,
    save_evaluation,
    start_run,
)
from emoclf.untrusted import show_text

FEW_PHOTOS = 500
"""With fewer photos than this, the photos of a test are too few: all are cross-validated."""

FOLDS, REPEATS = 5, 3

FACE_EMPHASIS = 6.0
"""How much less than the 1,280 features of the scene the 23 of the faces are held back: chosen by
cross-validation of 1,129 scraped photos from 1, 3, 6 and 10."""

_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
_MAX_STEPS = 2000
_MAX_KEPT_BYTES = 4 * 2**30
_SHEETS = ModelInfo(image_size=SHEET_SIZE, crop="both")
_FORMAT = 1
"""Raise it when the same photo comes out of `prepare` otherwise: features are computed anew."""


def train_joint(
    photos: Photos,
    settings: Settings | None = None,
    *,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    copies: str | Path | None = None,
    detector: FaceDetector | None = None,
    network: JointNetwork | None = None,
    kept: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> TrainingResult:
    """Train a head on the features of faces and scene, and keep it in a run folder.

    The regularisation strength is chosen on the validation photos. Below `FEW_PHOTOS` photos, those
    of training and validation are cross-validated as well, three times in five folds, duplicates
    together, and that figure is the one to report.

    Args:
        photos: Which photos; those of the test are not looked at.
        settings: With `network="joint"`, the default.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Train the run of this name again, where there is one.
        copies: A folder that gets a copy of the run, as for `train`.
        detector: What finds faces; default: `make_detector()`.
        network: Finds the features; default: the packaged one.
        kept: Where features are kept; default: `cache` in `logs`.
        say: Called with a line of progress now and then, such as `print`.
        progress: Whether a progress bar is shown.

    Returns:
        The run, and what was chosen.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
        FaceDetectorUnavailableError: If there is no face detector here.
        ResumeRefusedError: If the run to go on with has other photos or settings.
        ValueError: If a class has no training photo.
    """
    settings, network = settings or Settings(network="joint"), network or JointNetwork()
    learned = photos.take([row.part in ("train", "validation") for row in photos.rows])
    detector = detector or make_detector()
    folder = kept or Path(logs) / "cache"
    features = find_features(learned, network, detector=detector, folder=folder, progress=progress)
    fit = fit_head(features, learned, class_weights=settings.class_weights)
    places: dict[str, Any] = {"logs": logs, "name": name, "copies": copies}
    run = start_run(settings, photos, resume=resume, detector=detector.description, **places)
    say(f"run folder: {show_text(run.folder)}")
    with hold_run(run.folder):
        JointNetwork(network.scene, network.face, fit.head).save(
            run.folder / JOINT_FILE_NAME, info=run.info
        )
        if len(photos) < FEW_PHOTOS:
            crossed = cross_validate_head(features, learned, class_weights=settings.class_weights)
            save_evaluation(crossed, run, part=CROSS_VALIDATED)
            say(
                f"Accuracy: {crossed.accuracy}, cross-validated ({FOLDS} folds, {REPEATS} times): "
                f"with {len(photos)} photos this is the figure to report, not that of the test."
            )
        if copies is not None:
            copy_or_warn(run, copies, otherwise="the same call with resume=True copies it")
    evaluations = {
        part: Evaluation(learned.part(part), fit.probabilities[learned.find_part(part)])
        for part in ("train", "validation")
    }
    return _make_result(run, fit, evaluations)


def _make_result(
    run: Run, fit: RegressionFit, evaluations: Mapping[str, Evaluation]
) -> TrainingResult:
    """Put together what a training of one step came to."""
    history = {}
    for part, prefix in (("train", ""), ("validation", "val_")):
        found = evaluations[part]
        true = found.probabilities[np.arange(len(found.labels)), found.labels]
        history[f"{prefix}loss"] = [float(-np.log(np.maximum(true, 1e-7)).mean())]
        history[f"{prefix}accuracy"] = [float(found.is_right.mean())]
    return TrainingResult(run, history, evaluations["validation"].collapse, fit.note)


def fit_head(features: np.ndarray, photos: Photos, *, class_weights: bool) -> RegressionFit:
    """Fit a head to the training photos; those of validation choose how strictly.

    Args:
        features: From `find_features`, in the order of `photos`.
        photos: In their parts.
        class_weights: Whether the rarer class counts for more.

    Returns:
        The fit; its probabilities are those of all photos.
    """
    train, validation = (photos.find_part(part) for part in ("train", "validation"))
    return fit_regression(
        (features[train], photos.labels[train]),
        (features[validation], photos.labels[validation]),
        test=features,
        class_count=len(photos.class_names),
        class_weights=class_weights,
        inverse_strengths=_STRENGTHS,
        max_steps=_MAX_STEPS,
        emphasis=np.repeat([1.0, FACE_EMPHASIS], [SCENE_FEATURES, FACE_FEATURES]),
    )


def cross_validate_head(
    features: np.ndarray,
    photos: Photos,
    *,
    class_weights: bool,
    fold_count: int = FOLDS,
    repeats: int = REPEATS,
) -> Evaluation:
    """Predict every photo with heads that were fitted to neither it nor a duplicate of it.

    Args:
        features: From `find_features`, in the order of `photos`.
        photos: The photos; the parts they are in do not matter.
        class_weights: Whether the rarer class counts for more.
        fold_count: Folds of each repeat.
        repeats: How many times all photos are predicted; the probabilities are averaged.

    Returns:
        The photos and their probabilities.

    Raises:
        ValueError: If there are too few photos.
    """
    folds = make_folds(photos, fold_count=fold_count, repeats=repeats)
    total = np.zeros((len(photos), len(photos.class_names)))
    for repeat, fold in product(range(repeats), range(fold_count)):
        split = folds.make_split(repeat, fold, validation_fraction=0.2)
        fit = fit_head(features, split, class_weights=class_weights)
        tested = split.find_part("test")
        total[tested] += fit.probabilities[tested] / repeats
    return Evaluation(photos, total)


def find_features(
    photos: Photos,
    network: JointNetwork,
    *,
    detector: FaceDetector | None = None,
    folder: str | Path = "logs/cache",
    progress: bool = False,
) -> np.ndarray:
    """Compute the features of photos, each once: they are kept by the photo's content.

    Of a photo whose features are kept only the content is read; nothing is decoded.

    Args:
        photos: Which photos.
        network: Finds the features.
        detector: What finds faces; default: `make_detector()`.
        folder: Where features are kept, in one file for these networks and this detector.
        progress: Whether a progress bar is shown.

    Returns:
        float32 `(photos, 1303)`, see `JointNetwork.predict_features`.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
        FaceDetectorUnavailableError: If there is no face detector here.
    """
    detector = detector or make_detector()
    facts = (str(_FORMAT), network.sha256, detector.description)
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    path = Path(folder) / f"features-{digest[:16]}.npz"
    contents = [_find_content(file) for file in photos.files]
    known = _load_kept(path)
    files = dict(zip(contents, photos.files, strict=True))
    missing = [content for content in files if content not in known]
    if missing:

        def load_sheet(content: str) -> np.ndarray:
            return prepare(files[content], _SHEETS, detector=detector).crops[0]

        found = _compute_all(missing, load_sheet, network, progress=progress)
        known |= dict(zip(missing, found, strict=True))
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, contents=np.array(list(known)), features=np.array(list(known.values())))
    return np.array([known[content] for content in contents], dtype=np.float32)


def describe_faces(features: np.ndarray, detector: FaceDetector) -> str:
    """Say in how many photos of `find_features` which detector found a face."""
    count = int(features[:, SCENE_FEATURES].sum())
    return f"{detector.description}\nIt found a face in {count:,} of {len(features):,} photos."


def _find_content(path: Path) -> str:
    """Return what a photo is known by; "" where it cannot be read, which `prepare` will explain."""
    try:
        with open_regular(path, what="a photo") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def _compute_all(
    contents: Sequence[str],
    load_sheet: Callable[[str], np.ndarray],
    network: JointNetwork,
    *,
    progress: bool,
) -> list[np.ndarray]:
    """Compute features on all cores."""

    def compute(content: str) -> np.ndarray:
        with sharing_memory():
            return network.predict_features(load_sheet(content)[np.newaxis])[0]

    rows = work_ahead(compute, contents)
    return list(tqdm(rows, "faces and scenes", len(contents), unit="photo", disable=not progress))


def _load_kept(path: Path) -> dict[str, np.ndarray]:
    """Return the features that are kept, content -> features; none if the file is damaged."""
    if not path.is_file():
        return {}
    try:
        with (
            open_regular(path, what="kept features", max_bytes=_MAX_KEPT_BYTES) as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            contents, features = arrays["contents"].tolist(), arrays["features"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}  # computed anew
    is_whole = features.shape == (len(contents), SCENE_FEATURES + FACE_FEATURES)
    return dict(zip(contents, features, strict=True)) if is_whole else {}
