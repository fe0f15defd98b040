"""Train the folds, one after the other; each is kept as soon as it is finished."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.config import FACE_SIZE, Settings
from emoclf.data.folds import Folds, make_folds
from emoclf.data.loading import PhotoCache, WithoutFace, cache_for, take_order
from emoclf.display import count_noun
from emoclf.experiments.kept_folds import (
    PLAN_NAME,
    CrossValidation,
    KeptFold,
    Learner,
    check_learner,
    find_fold_file,
    keep_fold,
    load_cross_validation,
)
from emoclf.experiments.learners import (
    TIMED_STEPS,
    check_networks,
    describe_seconds,
    time_training,
    train_and_test,
)
from emoclf.images.faces import FaceDetector, make_detector
from emoclf.models.joint import JointNetwork
from emoclf.models.packaged import PackagedNetwork
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.runtime import require_part, set_seeds
from emoclf.storage import keep_work
from emoclf.training.joint import describe_faces, find_features, fit_head
from emoclf.training.regression import fit_regression
from emoclf.training.run_folder import CROSS_VALIDATED
from emoclf.untrusted import show_text

INVERSE_STRENGTH = 0.1
"""Inverse regularisation strength (scikit-learn's C); not tuned on anything."""

_WORK_NAME = "unfinished_fold"


def cross_validate(
    photos: Photos,
    settings: Settings | None = None,
    *,
    fold_count: int = 5,
    repeats: int = 1,
    learner: Learner = "network",
    include_test: bool = False,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> CrossValidation:
    """Predict every photo with a network trained on neither it nor a duplicate of it.

    The photos are divided into folds; each fold is predicted by a network that was trained on the
    others. Before the first training, a few steps of it are timed and `say` gets an estimate of the
    whole. A finished fold is kept; stopped at any moment and called again with the same name and
    `resume=True`, it goes on, within a fold after the last whole epoch.

    Args:
        photos: Photos in parts. Those of training and validation are divided into folds anew, those
            of the test are not used. A photo in no part counts as one of training.
        settings: What to train; `validation_fraction` is the fraction of a fold's training photos
            that chooses the best epoch.
        fold_count: Folds of each repeat.
        repeats: How many times all photos are predicted, each time with other folds.
        learner: `"network"` trains the network of the settings. `"face_features"` takes the
            features that the packaged face network finds in each face and fits a logistic
            regression, in seconds; it takes `crop="face"` and `image_size=(48, 48)`, its default.
        include_test: Whether the test photos are divided into folds, too: for folders that are too
            small to keep a test.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Go on with the run of this name, where there is one.
        detector: As for `train`.
        without_face: As for `train`.
        say: Called with a line of progress now and then, such as `print`.
        progress: Whether decoding shows a progress bar.

    Returns:
        The predictions of all repeats.

    Raises:
        ResumeRefusedError: If the run to go on with has other photos, settings or folds.
        RunInUseError: If another process writes that run.
        ValueError: If there are too few photos, or the settings do not fit together.
    """
    from emoclf.training import check_run_is_free, hold_run, save_evaluation, start_run

    if settings is None and learner == "face_features":
        settings = Settings(crop="face", image_size=FACE_SIZE)
    settings = settings or Settings()
    check_learner(learner, settings)
    if learner == "network" and settings.network != "joint":
        require_part("keras")
        check_networks(photos.class_names, settings)
    photos = photos.with_parts([row.part or "train" for row in photos.rows])
    if resume and name:
        check_run_is_free(Path(logs) / name)
    used = photos.take([include_test or row.part != "test" for row in photos.rows])
    inputs: PhotoCache | np.ndarray
    if settings.network == "joint":
        detector = detector or make_detector()
        kept = Path(logs) / "cache"
        inputs = find_features(
            used, JointNetwork(), detector=detector, folder=kept, progress=progress
        )
        say(describe_faces(inputs, detector))
    else:
        faces: dict[str, Any] = {"detector": detector, "without_face": without_face}
        inputs = cache_for(settings, used, logs=logs, progress=progress, **faces)
        say(str(inputs))
        used = inputs.photos
    folds = make_folds(used, fold_count=fold_count, repeats=repeats)
    run = start_run(settings, photos, logs=logs, name=name, resume=resume)
    _keep_plan(run, inputs, folds, learner)
    say(f"run folder: {show_text(run.folder)}")
    with hold_run(run.folder), _expecting_many_networks():
        _finish_folds(inputs, settings, folds=folds, learner=learner, run=run, say=say)
        result = load_cross_validation(run)
        save_evaluation(result.evaluation, run, part=CROSS_VALIDATED)
    return result


def _keep_plan(run: Run, inputs: PhotoCache | np.ndarray, folds: Folds, learner: Learner) -> None:
    """Write down what is cross-validated, or check that what goes on is the same."""

    def find_print(part: str) -> str | None:
        if isinstance(inputs, PhotoCache):
            return take_order(inputs, part).fingerprint
        return hashlib.sha256(inputs[folds.photos.find_part(part)].tobytes()).hexdigest()

    parts = sorted({row.part for row in folds.photos.rows})
    facts = {
        "learner": learner,
        "fold_count": folds.fold_count,
        "repeats": folds.repeats,
        "pixels": {part: find_print(part) for part in parts},
    }
    keep_work(
        run.folder / PLAN_NAME,
        lambda: {"files": folds.photos.paths},
        facts=facts,
        what="plan of a cross-validation",
        kind=dict[str, list[str]],
    )


@contextmanager
def _expecting_many_networks() -> Iterator[None]:
    """Keep back TensorFlow's advice about building many networks, which is what is meant here."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _finish_folds(
    inputs: PhotoCache | np.ndarray,
    settings: Settings,
    *,
    folds: Folds,
    learner: Learner,
    run: Run,
    say: Callable[[str], None],
) -> None:
    """Train and predict every fold that is not finished yet."""
    unfinished = run.folder / _WORK_NAME
    places = list(product(range(folds.repeats), range(folds.fold_count)))
    waiting = [place for place in places if not find_fold_file(run, *place).is_file()]
    if len(waiting) < len(places):
        say(f"{len(places) - len(waiting)} of {len(places)} folds were finished before.")
    splits = {
        place: folds.make_split(*place, validation_fraction=settings.validation_fraction)
        for place in waiting
    }
    if waiting and learner == "face_features" and isinstance(inputs, PhotoCache):
        inputs = PackagedNetwork().predict_features(inputs.images[:])
    elif waiting and settings.network != "joint":
        set_seeds(settings.seed)
        say(_estimate(splits[waiting[0]], settings, trainings=len(waiting)))
    begun = time.perf_counter()
    for done, (repeat, fold) in enumerate(waiting, start=1):
        work = partial(
            _predict_fold,
            inputs,
            splits[repeat, fold],
            replace(settings, seed=settings.seed + places.index((repeat, fold))),
            folder=unfinished / f"{repeat + 1}-{fold + 1}",
        )
        found, _ = keep_fold(run, folds, (repeat, fold), work)
        shutil.rmtree(unfinished, ignore_errors=True)
        left = (time.perf_counter() - begun) / done * (len(waiting) - done)
        say(
            f"repeat {repeat + 1} of {folds.repeats}, fold {fold + 1} of {folds.fold_count}: "
            f"{found.is_right.sum()} of {len(found.photos)} right"
            + (f"; {describe_seconds(left)} left" if left else "")
        )
    shutil.rmtree(unfinished, ignore_errors=True)  # of one that was killed


def _estimate(photos: Photos, settings: Settings, *, trainings: int) -> str:
    """Say how long all trainings will take, from a few steps of the first."""
    start, epoch = time_training(
        settings,
        photos.class_names,
        photos=len(photos.part("train")),
        validation_photos=len(photos.part("validation")),
    )
    return (
        f"{count_noun(trainings, 'training')} of at most {count_noun(settings.epochs, 'epoch')}: "
        f"{describe_seconds(trainings * (start + settings.epochs * epoch))} in all, measured on "
        f"{TIMED_STEPS} steps ({epoch:.1f} s per epoch, {start:.1f} s to start each); early "
        "stopping makes it less."
    )


def _predict_fold(
    inputs: PhotoCache | np.ndarray, photos: Photos, settings: Settings, *, folder: Path
) -> KeptFold:
    """Train on the other photos of a fold, as they are decoded or as features; predict its test."""
    begun, best_epoch, collapse = time.perf_counter(), 0, None
    if isinstance(inputs, PhotoCache):
        result, found = train_and_test(replace(inputs, photos=photos), settings, folder=folder)
        probabilities = found.probabilities
        best_epoch, collapse = result.best_epoch, result.collapse
    else:
        probabilities = _predict_with_features(inputs, photos, settings)
    return {
        "probabilities": probabilities.tolist(),
        "best_epoch": best_epoch,
        "collapse": collapse,
        "seconds": time.perf_counter() - begun,
    }


def _predict_with_features(features: np.ndarray, photos: Photos, settings: Settings) -> np.ndarray:
    """Fit a logistic regression on the other photos of a fold, and predict its test.

    Where nothing is chosen on validation photos, they are trained on, too.
    """
    test = photos.find_part("test")
    if settings.network == "joint":
        return fit_head(features, photos, class_weights=settings.class_weights).probabilities[test]
    others = np.setdiff1d(np.arange(len(photos)), test)
    return fit_regression(
        (features[others], photos.labels[others]),
        test=features[test],
        class_count=len(photos.class_names),
        class_weights=settings.class_weights,
        inverse_strengths=(INVERSE_STRENGTH,),
        max_steps=2000,
    ).probabilities
