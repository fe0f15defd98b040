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
from emoclf.display import Displayed, Table, count_noun
from emoclf.evaluation import Evaluation
from emoclf.inference import UNCERTAIN, Predictor
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
        kind: What photos these are to the network, such as "unseen photo".
        uncertain: How many of them it would call uncertain; here the larger probability counts.
    """

    evaluation: Evaluation
    left_out: tuple[tuple[str, str], ...]
    access_log: TestAccessLog | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    kind: str = "photo"
    uncertain: int = 0

    @property
    def headline(self) -> str:
        """How many come out right, and what guessing gets, in a sentence."""
        found = self.evaluation
        right, count = int(found.is_right.sum()), len(found.photos)
        text = f"{right:,} of {count_noun(count, self.kind)} right ({_show_percent(right, count)})"
        if self.left_out:
            text += f", {len(self.left_out):,} more without a prediction"
        guessed = int((found.labels == np.bincount(found.labels).argmax()).sum())
        if guessed == count:
            return f"{text}; all of them are {found.majority_class}, so guessing that gets all"
        is_even = len(np.unique(found.labels)) == 2 and round(100 * guessed / count) == 50
        guess = f"always {found.majority_class} gets {_show_percent(guessed, count)}"
        return f"{text}; {'guessing gets half' if is_even else guess}"

    def blocks(self) -> Iterable[str | Table]:
        """Return a headline, the numbers, the accesses to the photos, and how many are left out."""
        yield self.headline
        if self.uncertain:
            yield (
                f"{self.uncertain:,} of them are uncertain to the network: here the larger "
                "probability counts."
            )
        if self.known:
            yield describe_known(self.known)
        yield ""
        yield from self.evaluation.blocks()
        yield from self.access_log.blocks() if self.access_log else []
        if self.left_out:
            name, reason = self.left_out[0]
            count = count_noun(len(self.left_out), "photo")
            yield f"{count} without a prediction, such as {show_text(name)}: {reason}"


def _show_percent(part: int, whole: int) -> str:
    """Return a fraction in percent, 0 and 100 only where they are exact."""
    percent = round(100 * part / whole)
    if percent == 100 and part < whole:
        return "over 99 %"
    return "under 1 %" if percent == 0 and part else f"{percent} %"


def describe_known(known: Mapping[str, str]) -> str:
    """Say in a sentence how many photos of a folder are those of the run, by part."""
    counts = Counter(known.values())
    seen = counts["train"] + counts["validation"]
    count = count_noun(len(known), "photo")
    return (
        f"{count} {'is' if len(known) == 1 else 'are'} left out: "
        "they, or duplicates of them, are photos of the run, "
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
    kinds = {"test": "unseen photo", "validation": "validation photo", "train": "training photo"}
    test = replace(test, kind=kinds[part])
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
    kind = "unseen photo" if run and run.is_there else "photo"
    return replace(test, left_out=(*test.left_out, *refused), known=known, kind=kind)


def _evaluate_photos(predictor: Predictor, photos: Photos, *, progress: bool) -> PhotoTest:
    if set(photos.class_names) != set(predictor.info.class_names):
        raise ValueError(
            f"Expected photos of {', '.join(predictor.info.class_names)}, which the network "
            f"predicts. Received: photos of {show_text(', '.join(photos.class_names))}."
        )
    predicted, probabilities, uncertain = [], [], 0
    left_out: list[tuple[str, str]] = []
    found = tqdm(
        predictor.predict_each(photos.files),
        total=len(photos),
        desc="Testing",
        unit="photo",
        disable=not progress,
    )
    for position, (name, (prediction, _)) in enumerate(zip(photos.paths, found, strict=True)):
        if not prediction.probabilities:
            left_out.append((name, prediction.problem or prediction.note or "no prediction"))
            continue
        uncertain += prediction.answer == UNCERTAIN
        predicted.append(position)
        probabilities.append([prediction.probabilities[each] for each in photos.class_names])
    if not predicted:
        reason = f" The first: {left_out[0][1]}" if left_out else ""
        raise ValueError(
            f"None of {count_noun(len(photos), 'photo')} in {show_text(photos.root)} has a "
            f"prediction.{reason}"
        )
    evaluation = Evaluation(photos.take(predicted), np.array(probabilities))
    return PhotoTest(evaluation, tuple(left_out), uncertain=uncertain)
