"""A network tested on photos with known classes: those of its run, or of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emoclf.data.cleaning import find_problems
from emoclf.data.cleaning.report import make_photos
from emoclf.data.folders import is_refused
from emoclf.display import Displayed, Table
from emoclf.evaluation import Evaluation
from emoclf.inference import Predictor
from emoclf.photos import Photos
from emoclf.run import Run, TestAccessLog
from emoclf.untrusted import show_text


@dataclass(frozen=True, eq=False)
class PhotoTest(Displayed):
    """How a network did on photos with known classes.

    Attributes:
        evaluation: The photos that it predicted, and their probabilities.
        left_out: The photos without a prediction, each with the reason.
        access_log: All accesses to these photos, this one included; None for photos of no test.
        known: The photos of a folder that are left out because they, or duplicates of them, are
            in the split of the network's run: path -> part.
    """

    evaluation: Evaluation
    left_out: tuple[tuple[str, str], ...]
    access_log: TestAccessLog | None = None
    known: Mapping[str, str] = field(default_factory=dict)

    def blocks(self) -> Iterable[str | Table]:
        """Return the numbers, the accesses to the photos, and how many are left out."""
        if self.known:
            yield describe_known(self.known)
        yield from self.evaluation.blocks()
        yield from self.access_log.blocks() if self.access_log else []
        if self.left_out:
            name, reason = self.left_out[0]
            count = f"{len(self.left_out):,} photos"
            yield f"{count} have no prediction, such as {show_text(name)}: {reason}"


def describe_known(known: Mapping[str, str]) -> str:
    """Say in a sentence how many photos of a folder are those of the run, by part."""
    counts = Counter(known.values())
    seen = counts["train"] + counts["validation"]
    return (
        f"{len(known):,} photos are left out: they, or duplicates of them, are photos of the run, "
        f"{seen:,} of which it was trained with ({counts['train']:,} learned from, "
        f"{counts['validation']:,} validated on)."
    )


def evaluate(
    run: Run | str | Path,
    part: str = "test",
    *,
    predictor: Predictor | None = None,
    progress: bool = True,
) -> PhotoTest:
    """Let the network of a run predict the photos that its split kept for the test.

    An access to the test is written into `test_access_log.json` of the run folder: when, and by
    which model. A second access is allowed, and the log says what it is worth.

    Args:
        run: A run, or its folder.
        part: `"test"`, `"validation"` or `"train"`.
        predictor: Who predicts; default: `Predictor.load(run.folder)`.
        progress: Whether a progress bar is shown.

    Returns:
        The numbers; `save_evaluation` keeps them in the run folder.

    Raises:
        FileNotFoundError: If the folder holds no run, or its photos are gone.
        ValueError: If the run's files are damaged, or no photo could be predicted.
    """
    run = Run.open(run)
    photos = run.find_photos().part(part)
    predictor = predictor or Predictor.load(run.folder)
    test = _evaluate_photos(predictor, photos, progress=progress)
    if part != "test":
        return test
    found = test.evaluation
    log = run.log_test_access(found.photos, found.probabilities, model_file=predictor.file)
    return replace(test, access_log=log)


def evaluate_folder(
    predictor: Predictor,
    folder: str | Path,
    *,
    class_map: Mapping[str, str] | None = None,
    progress: bool = True,
) -> PhotoTest:
    """Let a network predict all photos of a folder with one folder per class.

    The numbers are right for photos that the network has not learned from. Those of its own run are
    known by their content, wherever they lie, and left out; of others only you know. Duplicates,
    which are looked for first, count once in the intervals.

    Args:
        predictor: From `Predictor.load` or `Predictor.packaged`.
        folder: Holds one folder per class of the network.
        class_map: Which folder belongs to which class, as for `find_class_folders`.
        progress: Whether a progress bar is shown.

    Returns:
        The numbers.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it does not hold one folder per class, holds no usable photos but the run's
            own, or no photo could be predicted.
    """
    names = predictor.info.class_names
    report = find_problems(folder, class_names=names, class_map=class_map, progress=progress)
    photos = make_photos(report, report.records)
    run = Run(predictor.file.parent) if predictor.file else None
    known = run.find_known(photos) if run and run.is_there else {}
    if known and set(report.kept.paths) <= set(known):
        raise ValueError(
            f"{show_text(folder)} holds no photo to test on. {describe_known(known)} The run is "
            "tested on the photos that its split kept for it when no folder is named; if they were "
            "moved, with --photos FOLDER (in Python: Run(folder, photos_folder=...))."
        )
    others = photos.take([row.path not in known for row in photos.rows])
    test = _evaluate_photos(predictor, others, progress=progress)
    refused = tuple(each for each in report.skipped if is_refused(each[1]))
    return replace(test, left_out=(*test.left_out, *refused), known=known)


def _evaluate_photos(predictor: Predictor, photos: Photos, *, progress: bool) -> PhotoTest:
    if set(photos.class_names) != set(predictor.info.class_names):
        raise ValueError(
            f"Expected photos of {', '.join(predictor.info.class_names)}, which the network "
            f"predicts. Received: photos of {show_text(', '.join(photos.class_names))}."
        )
    predicted, probabilities = [], []
    left_out: list[tuple[str, str]] = []
    found = tqdm(
        predictor.predict_each(photos.files),
        total=len(photos),
        desc="Testing",
        disable=not progress,
    )
    for position, (name, (prediction, _)) in enumerate(zip(photos.paths, found, strict=True)):
        if not prediction.probabilities:
            left_out.append((name, prediction.problem or prediction.note or "no prediction"))
            continue
        predicted.append(position)
        probabilities.append([prediction.probabilities[each] for each in photos.class_names])
    if not predicted:
        reason = f" The first: {left_out[0][1]}" if left_out else ""
        raise ValueError(
            f"None of the {len(photos)} photos in {show_text(photos.root)} has a prediction."
            f"{reason}"
        )
    return PhotoTest(Evaluation(photos.take(predicted), np.array(probabilities)), tuple(left_out))
