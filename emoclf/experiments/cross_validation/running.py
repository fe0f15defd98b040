"""Train the folds, one after the other; each is kept as soon as it is finished."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from emoclf.config import Learner, Settings
from emoclf.data.loading import PhotoCache, WithoutFace, cache_photos, take_order
from emoclf.data.splitting import Folds, make_folds
from emoclf.experiments.cross_validation.estimating import estimate_time
from emoclf.experiments.cross_validation.learners import (
    FoldAnswers,
    answer_with_features,
    answer_with_network,
    find_face_features,
)
from emoclf.experiments.cross_validation.result import (
    FACTS_NAME,
    CrossValidation,
    find_fold_file,
    load_cross_validation,
    load_facts,
)
from emoclf.experiments.timing import describe_seconds
from emoclf.images.faces import FaceDetector
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.runtime import set_seeds
from emoclf.storage import refuse_another, write_json
from emoclf.untrusted import show_text

_WORK_NAME = "unfinished_fold"
_EVALUATION_NAME = "cross_validation"


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
    """Let every photo be answered by a network that has seen neither it nor a copy of it.

    The photos are divided into folds; each fold is answered by a network that has learned from the
    others. Before the first training, a few steps of it are timed and `say` gets an estimate of the
    whole. A finished fold is kept; stopped at any moment and called again with the same name and
    `resume=True`, it goes on, within a fold after the last whole epoch.

    Args:
        photos: A split. Its training and validation photos are divided into folds anew, its test
            photos are not looked at.
        settings: What to train; `validation_fraction` is the share of a fold's training photos that
            chooses the best epoch.
        fold_count: Folds of each repeat.
        repeats: How many times all photos are answered, each time with other folds.
        learner: `"network"` trains the network of the settings. `"face_features"` asks the packaged
            face network for its features of each face and fits a logistic regression, in seconds;
            it needs `crop="face"` and `image_size=(48, 48)`.
        include_test: Whether the test photos of the split are divided into folds, too: for folders
            that are too small to keep a test.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Go on with the run of this name, where there is one.
        detector: As for `train`.
        without_face: As for `train`.
        say: Called with a line of progress now and then, such as `print`.
        progress: Whether decoding shows a progress bar.

    Returns:
        The answers of all repeats.

    Raises:
        ResumeRefusedError: If the run to go on with has other photos, settings or folds.
        RunInUseError: If another process writes that run.
        ValueError: If there are too few photos, or the settings do not fit together.
    """
    if learner not in get_args(Learner):
        raise ValueError(f"learner={learner!r} should be one of {get_args(Learner)}.")
    from emoclf.training import check_run_is_free, hold_run

    settings = settings or Settings()
    if resume and name:
        check_run_is_free(Path(logs) / name)
    learned = [include_test or row.part != "test" for row in photos.rows]
    cache = cache_photos(
        photos.take(learned),
        image_size=settings.image_size,
        resize_mode=settings.resize_mode,
        crop=settings.crop,
        detector=detector,
        without_face=without_face,
        cache_folder=Path(logs) / "cache",
        progress=progress,
    )
    say(str(cache))
    folds = make_folds(cache.photos, fold_count=fold_count, repeats=repeats)
    run = _start(settings, photos, cache, folds, learner, logs, name, resume)
    say(f"run folder: {show_text(run.folder)}")
    with hold_run(run.folder), _expecting_many_networks():
        _answer_all(cache, settings, folds=folds, learner=learner, run_folder=run.folder, say=say)
        return _finish(run)


def _finish(run: Run) -> CrossValidation:
    """Read all folds back and keep the numbers and one row per photo."""
    from emoclf.training import save_evaluation

    result = load_cross_validation(run)
    save_evaluation(result.evaluation, run, part=_EVALUATION_NAME)
    return result


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


def _start(
    settings: Settings,
    photos: Photos,
    cache: PhotoCache,
    folds: Folds,
    learner: Learner,
    logs: str | Path,
    name: str | None,
    resume: bool,
) -> Run:
    """Make the run, or check that the one to go on with is the same cross-validation."""
    from emoclf.training import start_run

    run = start_run(settings, photos, logs=logs, name=name, resume=resume)
    parts = sorted({row.part for row in cache.photos.rows})
    facts = {
        "learner": learner,
        "fold_count": folds.fold_count,
        "repeats": folds.repeats,
        "pixels": {part: take_order(cache, part).fingerprint for part in parts},
    }
    path = run.folder / FACTS_NAME
    if path.exists():
        before = {name: each for name, each in load_facts(run.folder).items() if name != "files"}
        refuse_another(before, facts, run.folder)
    else:
        write_json(path, {**facts, "files": list(cache.photos.paths)})
    return run


def _answer_all(
    cache: PhotoCache,
    settings: Settings,
    *,
    folds: Folds,
    learner: Learner,
    run_folder: Path,
    say: Callable[[str], None],
) -> None:
    """Answer every fold that is not finished yet."""
    places = [(r, f) for r in range(folds.repeats) for f in range(folds.fold_count)]
    waiting = [place for place in places if not find_fold_file(run_folder, *place).is_file()]
    if len(waiting) < len(places):
        say(f"{len(places) - len(waiting)} of {len(places)} folds were finished before.")
    if not waiting:
        shutil.rmtree(run_folder / _WORK_NAME, ignore_errors=True)  # of one that was killed
        return
    fraction = settings.validation_fraction
    caches = {
        place: replace(cache, photos=folds.make_split(*place, validation_fraction=fraction))
        for place in waiting
    }
    if learner == "network":
        set_seeds(settings.seed)
        say(estimate_time(caches[waiting[0]], settings, trainings=len(waiting)).describe())
    features = find_face_features(cache) if learner == "face_features" else None
    begun = time.perf_counter()
    for done, place in enumerate(waiting, start=1):
        started = time.perf_counter()
        if features is not None:
            answers = answer_with_features(features, caches[place], settings)
        else:
            own = replace(settings, seed=settings.seed + places.index(place))
            work = run_folder / _WORK_NAME / "-".join(str(number + 1) for number in place)
            answers = answer_with_network(caches[place], own, folder=work)
        _keep(answers, folds, place, run_folder, seconds=time.perf_counter() - started)
        left = (time.perf_counter() - begun) / done * (len(waiting) - done)
        say(_describe_progress(answers, folds, place, left))


def _keep(
    answers: FoldAnswers, folds: Folds, place: tuple[int, int], run_folder: Path, *, seconds: float
) -> None:
    """Write a finished fold down, then remove what its training needed to go on."""
    document = {
        "positions": folds.find_tested(*place).tolist(),
        "probabilities": answers.probabilities.tolist(),
        "best_epoch": answers.best_epoch,
        "collapse": answers.collapse,
        "seconds": seconds,
    }
    write_json(find_fold_file(run_folder, *place), document)
    shutil.rmtree(run_folder / _WORK_NAME, ignore_errors=True)


def _describe_progress(
    answers: FoldAnswers, folds: Folds, place: tuple[int, int], seconds_left: float
) -> str:
    repeat, fold = place
    labels = folds.photos.labels[folds.find_tested(repeat, fold)]
    right = int((answers.probabilities.argmax(axis=1) == labels).sum())
    left = f"; {describe_seconds(seconds_left)} left" if seconds_left else ""
    return (
        f"repeat {repeat + 1} of {folds.repeats}, fold {fold + 1} of {folds.fold_count}: "
        f"{right} of {len(labels)} right{left}"
    )
