"""The runs of the lesson: what the next is called, and the newest with its photos, opened again."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from emoclf.config import PARTS, SEED
from emoclf.data.cleaning import CleaningReport, find_problems
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.data.loading.photo_cache import cache_for
from emoclf.data.splitting import split_photos
from emoclf.data.synthetic import make_drawn_faces
from emoclf.data.synthetic.data_set import SETTINGS_NAME
from emoclf.display import Table
from emoclf.evaluation import Evaluation, evaluate_model
from emoclf.evaluation.estimates import subtract_estimates
from emoclf.evaluation.evaluation import read_evaluation
from emoclf.images.faces import FaceDetector, FaceDetectorUnavailableError, make_detector
from emoclf.inference import Predictor
from emoclf.inference.testing import evaluate_folder
from emoclf.photos import Photos
from emoclf.run import Run, locate_photos
from emoclf.storage.tables import read_table
from emoclf.untrusted import show_text

_NAME = re.compile(r"lesson-([1-9][0-9]*)")


class Lesson(NamedTuple):
    """What every chapter begins with.

    Attributes:
        run: The newest run of step 8 that is finished.
        photos: Its photos in their parts, where they lie now.
        cache: The same, decoded as its network takes them.
        evaluation: What it predicted for the test photos in step 9.
        validation: What it predicts for the validation photos.
        detector: What finds faces; None where nothing can.
    """

    run: Run
    photos: Photos
    cache: PhotoCache
    evaluation: Evaluation
    validation: Evaluation
    detector: FaceDetector | None


class Review(NamedTuple):
    """The photos whose labels are reviewed.

    Attributes:
        photos: In their parts.
        report: Of `find_problems`, on their folder.
        planted: Paths of drawn faces that were put into the wrong class; empty for your own photos.
    """

    photos: Photos
    report: CleaningReport
    planted: frozenset[str]


def next_lesson_name(logs: str | Path = "logs") -> str:
    """Return the name of the lesson's next run: `lesson-3` where `lesson-2` is the last.

    Args:
        logs: The folder that holds all runs; it need not exist.
    """
    return f"lesson-{max(_list_lessons(Path(logs)), default=0) + 1}"


def try_detector(*, say: Callable[[str], Any] = print) -> FaceDetector | None:
    """Make what finds faces, and say which it is, or why there is none.

    Args:
        say: Called with the sentence.

    Returns:
        The detector; None where faces cannot be found here.
    """
    try:
        detector = make_detector()
    except FaceDetectorUnavailableError as error:
        say(f"Whole photos stand in for faces everywhere below. {show_text(error)}")
        return None
    say(f"{detector.description} {detector.note}".strip().replace(str(Path.home()), "~"))
    return detector


def open_lesson(logs: str | Path = "logs", *, say: Callable[[str], Any] = print) -> Lesson:
    """Open the newest finished run of the lesson, so that a chapter can begin with it.

    The predictions for the test are read from the run: nothing is predicted a second time, and the
    log of test-set access stays as it is. Called again for the same run, the same comes back.

    Args:
        logs: The folder that holds all runs.
        say: Called with a line about the run, and why faces cannot be found where that is so.

    Returns:
        The run and all that a chapter needs of it.

    Raises:
        FileNotFoundError: If no run is finished, or it was not tested yet; says which steps to run.
        ValueError: If a file of the run is damaged.

    Example:
        >>> run, photos, cache, evaluation, validation, detector = open_lesson()  # doctest: +SKIP
    """
    found = _list_lessons(Path(logs))
    finished = [number for number, run in found.items() if run.model_file.is_file()]
    if not finished:
        raise FileNotFoundError(
            f"{show_text(logs)} holds no finished training of this lesson. Run steps 1 to 9 first, "
            "then this chapter."
        )
    run = found[max(finished)]
    files = run.model_file, _find_predictions(run)
    if not files[1].is_file():
        raise FileNotFoundError(
            f"{show_text(run.folder)} is trained, but not tested yet. Run step 9, then this "
            "chapter."
        )
    lesson, note = _open(run.folder, tuple(file.stat().st_mtime_ns for file in files))
    train, validation, test = (len(lesson.photos.part(part)) for part in PARTS)
    say(
        f"{show_text(run.folder)}: {train:,} photos for training, {validation:,} for validation, "
        f"{test:,} for the test."
    )
    if lesson.detector is None:
        say(note)
    return lesson


def load_test(run: Run) -> Evaluation:
    """Read what `save_evaluation` kept of a run's test.

    Args:
        run: The run; its photos may have moved.

    Returns:
        The evaluation, in the order of the run's test photos.

    Raises:
        FileNotFoundError: If the run was not tested.
        ValueError: If the file is damaged, or of other photos.
    """
    path, photos = _find_predictions(run), _find_photos(run)
    columns = [f"probability_{name}" for name in photos.class_names]
    rows = read_table(path, what="the predictions of a run", columns=["file", *columns])
    try:
        kept = {row["file"]: [float(row[name]) for name in columns] for _, row in rows}
        paths = run.photos.part("test").paths
        values = [kept[name] for name in paths]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{show_text(path)} does not hold the predictions of its run ({show_text(error)}). "
            "Move it away and run step 9 again."
        ) from error
    return read_evaluation(values, photos.part("test"), name=path)


def open_review(run: Run, photos: Photos, *, count: int = 150, seed: int = SEED) -> Review:
    """Choose the photos whose labels chapter D reviews, and look for their problems.

    The labels of drawn faces are right: other faces are drawn beside them, every twentieth of them
    into the wrong class. Nothing is overwritten.

    Args:
        run: The lesson's run.
        photos: Its photos, where they lie now.
        count: How many faces of each class are drawn, where they are.
        seed: Their seed.

    Returns:
        The photos, what is wrong with their files, and which were planted.
    """
    folder, planted = Path(photos.root), frozenset[str]()
    if not (folder / SETTINGS_NAME).is_file():
        return Review(photos, find_problems(folder, progress=False), planted)
    drawn = make_drawn_faces(
        folder.with_name(f"wrong_labels_{count}_seed_{seed}"),
        photos_per_class=count,
        seed=seed,
        wrong_labels=max(1, count // 20),
    )
    planted = frozenset(flaw.paths[0] for flaw in drawn.planted_flaws)
    report = find_problems(drawn.folder, progress=False)
    return Review(split_photos(report.kept, run.settings), report, planted)


def take_with_face(photos: Photos, cache: PhotoCache) -> Photos:
    """Return the photos in which a face was found; all of them where none was, or none looked for.

    Args:
        photos: Some of those in the cache.
        cache: The decoded photos, which tell where a face was found.
    """
    faceless = set(cache.faces.without_face.paths) if cache.faces else set()
    found = photos.take([path not in faceless for path in photos.paths])
    return found if len(found) else photos


def list_runs(run: Run) -> tuple[Run, ...]:
    """Return a run of the lesson and those that steps and chapters named after it, if finished."""
    beside = sorted(run.folder.parent.glob(f"{run.folder.name}-*"))
    return tuple(each for each in (run, *map(Run, beside)) if each.model_file.is_file())


def compare_elsewhere(run: Run, folder: str | Path, *, detector: FaceDetector | None) -> Table:
    """Test all networks of a lesson on other photos than those that it was made from.

    Args:
        run: The lesson's run; those that are named after it are tested, too.
        folder: Holds one folder of photos per class.
        detector: What finds faces.

    Returns:
        A row for each, with its accuracy on the lesson's test photos as it was kept, and on these.
        Where nothing could be predicted, the row says why.
    """
    head = "network of the run", "test", "here", "95 % interval", "n", "than the test"
    return Table(head, [_compare(each, folder, detector) for each in list_runs(run)])


def _compare(run: Run, folder: str | Path, detector: FaceDetector | None) -> tuple[object, ...]:
    tested = load_test(run).accuracy if _find_predictions(run).is_file() else None
    test = None if tested is None else tested.value
    try:
        network = Predictor.load(run.folder, detector=detector)
        here = evaluate_folder(network, folder, progress=False).evaluation.accuracy
    except ValueError as error:  # of a network of faces, that none is found, for example
        return run.folder.name, test, None, None, None, str(error)
    verdict = "not tested"
    if tested is not None:
        difference = subtract_estimates(here, tested)
        verdict = "lower" if difference.high < 0 else "not shown to be lower"
    return run.folder.name, test, here.value, here.interval, here.count, verdict


def _list_lessons(logs: Path) -> dict[int, Run]:
    """Return number -> run of all that are called as the lesson calls them."""
    found = [(_NAME.fullmatch(path.name), path) for path in logs.glob("lesson-*")]
    return {int(match[1]): Run(path) for match, path in found if match}


def _find_predictions(run: Run) -> Path:
    return run.folder / "predictions.csv"


@lru_cache(maxsize=1)
def _open(folder: Path, stamps: tuple[int, ...]) -> tuple[Lesson, str]:  # noqa: ARG001
    """Decode and predict once in a process, as long as the files of the run stay as they are."""
    from emoclf.models.model_file import load_model

    run, notes = Run.open(folder), list[str]()
    detector, photos = try_detector(say=notes.append), _find_photos(run)
    cache = cache_for(
        run.settings,
        photos,
        logs=folder.parent,
        detector=detector,
        without_face="whole_photo",
        progress=False,
    )
    model, _ = load_model(run.model_file, compiled=False)
    validation = evaluate_model(model, make_dataset(cache, "validation"), photos.part("validation"))
    return Lesson(run, photos, cache, load_test(run), validation, detector), notes[0]


def _find_photos(run: Run) -> Photos:
    """Return a run's photos; one that was moved to another class folder is found there."""
    photos = run.find_photos()
    if all(file.is_file() for file in photos.files):
        return photos
    return locate_photos(photos, photos.root)[0]
