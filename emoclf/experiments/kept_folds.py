"""The predictions of all folds, and what they do and do not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict, get_args

import msgspec
import numpy as np

from emoclf.config import FACE_SIZE, FOLDS_FOLDER_NAME, Learner, Settings
from emoclf.data.folds import Folds, make_folds
from emoclf.display import Displayed, Table
from emoclf.evaluation import ESTIMATE_HEADERS, Estimate, Evaluation, read_evaluation
from emoclf.evaluation.bootstrap import count_different
from emoclf.photos import UNASSIGNED, Photos
from emoclf.run import Run
from emoclf.storage import ResumeRefusedError, keep_work, read_json
from emoclf.untrusted import quote_argument, show_text

PLAN_NAME = "cross_validation.json"
"""File of a run folder that says what is cross-validated."""

FEW_PHOTOS = 100
"""Below this many photos of a class, the sentence about small folders is said."""

_Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class PlanFacts(TypedDict):
    """What decides about the predictions, beside the settings and the photos."""

    learner: Learner
    fold_count: _Count
    repeats: _Count
    pixels: dict[str, str | None]


class Plan(TypedDict):
    """What is cross-validated; `files` are the photos, in the order of the predictions."""

    facts: PlanFacts
    files: list[str]


class KeptFold(TypedDict):
    """What the file of a finished fold holds beside the positions of its photos."""

    probabilities: list[list[float]]
    best_epoch: int
    collapse: str | None
    seconds: float


class FoldScore(NamedTuple):
    """How one fold was predicted.

    Attributes:
        repeat: Counted from 1.
        fold: Counted from 1.
        accuracy: Of the predictions for the photos of the fold.
        seconds: How long the fold took.
        collapse: A sentence when its network predicted one class for all validation photos, else
            None.
    """

    repeat: int
    fold: int
    accuracy: Estimate
    seconds: float
    collapse: str | None


@dataclass(frozen=True, eq=False)
class CrossValidation(Displayed):
    """Every photo predicted by networks trained on neither it nor a duplicate of it.

    Attributes:
        run: Where it is kept.
        learner: `"network"` or `"face_features"`.
        folds: The photos, and which fold of which repeat predicted which.
        probabilities: float64 `(repeats, photos, classes)`: those of each repeat.
        scores: One per fold, in order.
    """

    run: Run
    learner: str
    folds: Folds
    probabilities: np.ndarray
    scores: tuple[FoldScore, ...]

    @property
    def photos(self) -> Photos:
        """The photos that were predicted, in the order of `probabilities`."""
        return self.folds.photos

    @property
    def evaluation(self) -> Evaluation:
        """Predictions averaged over the repeats, each photo counted once, of photos in no part."""
        photos = self.photos.with_parts([UNASSIGNED] * len(self.photos))
        return Evaluation(photos, self.probabilities.mean(axis=0))

    @property
    def repeat_accuracies(self) -> tuple[Estimate, ...]:
        """The accuracy of each repeat, each photo counted once."""
        return tuple(Evaluation(self.photos, each).accuracy for each in self.probabilities)

    def blocks(self) -> Iterable[str | Table]:
        """Return the numbers, and what cannot be concluded from them."""
        what = "networks" if self.learner == "network" else "regressions on the face features"
        yield f"{len(self.photos):,} photos, {len(self.scores)} {what}"
        rows = []
        for repeat, pooled in enumerate(self.repeat_accuracies, start=1):
            title = f"repeat {repeat}, all {self.folds.fold_count} folds"
            rows.append((title, *pooled.to_cells()))
            rows += [
                (f"repeat {repeat}, fold {score.fold}", *score.accuracy.to_cells())
                for score in self.scores
                if score.repeat == repeat
            ]
        yield Table(("accuracy of", *ESTIMATE_HEADERS), rows)
        yield "\npredictions averaged over the repeats:" if self.folds.repeats > 1 else ""
        yield from (*self.evaluation.blocks(), "", *self.find_caveats())

    def find_caveats(self) -> list[str]:
        """Say what the folds do not show, beside `Evaluation.find_limits`."""
        notes = [
            "The folds are not independent: any two networks were trained mostly on the same "
            "photos, so no interval can be made from the spread of the folds (Bengio and "
            "Grandvalet, 2004). The intervals above count photos, duplicates once; they know "
            "nothing of the chance that lies in a training."
        ]
        collapsed = sum(score.collapse is not None for score in self.scores)
        if collapsed:
            notes.append(
                f"{collapsed} of {len(self.scores)} networks predicted one class for all "
                "validation photos: too few photos or epochs to learn from may be the reason."
            )
        fewest = min(count_different(self.photos).values())
        if fewest < FEW_PHOTOS:
            accuracy = self.evaluation.accuracy
            half = (accuracy.high - accuracy.low) / 2
            notes.append(
                f"With {fewest} different photos of the smallest class, the accuracy is known to "
                f"about {100 * half:.0f} points either way: which of two networks or settings is "
                "better, or how well other photos will be predicted, cannot be concluded unless "
                "the difference is much larger than that."
            )
        return notes


def check_learner(learner: Learner, settings: Settings) -> None:
    """Refuse settings of photos that the learner does not take.

    Args:
        learner: `"network"` takes any.
        settings: What its photos look like.

    Raises:
        ValueError: If they are not what it takes, or there is no such learner.
    """
    if learner not in get_args(Learner):
        raise ValueError(f"learner={learner!r} should be one of {get_args(Learner)}.")
    received = (settings.crop, settings.image_size)
    if learner == "face_features" and received != ("face", FACE_SIZE):
        raise ValueError(
            f"learner='face_features' takes faces of {FACE_SIZE[0]} x {FACE_SIZE[1]} pixels. "
            f"Received: crop={settings.crop!r}, image_size={settings.image_size}. Leave both out, "
            f"or set crop='face' and image_size={FACE_SIZE}."
        )


def find_fold_file(run: Run, repeat: int, fold: int) -> Path:
    """Return where a finished fold is kept; `repeat` and `fold` are counted from 0."""
    return run.folder / FOLDS_FOLDER_NAME / f"repeat-{repeat + 1}-fold-{fold + 1}.json"


def keep_fold(
    run: Run,
    folds: Folds,
    place: tuple[int, int],
    work: Callable[[], Mapping[str, Any]] | None = None,
) -> tuple[Evaluation, FoldScore]:
    """Read a fold that is finished, or do its work and keep it.

    Args:
        run: The run.
        folds: Which photos the fold predicts.
        place: Repeat and fold, counted from 0.
        work: Trains and predicts: returns a `KeptFold`; None when the fold must be finished.

    Returns:
        The predictions for its photos, and its score.

    Raises:
        FileNotFoundError: If it is not finished and `work` is None.
        ValueError: If the file is damaged, or of a fold of other photos.
    """
    path, tested = find_fold_file(run, *place), folds.find_tested(*place)

    def refuse() -> Mapping[str, Any]:
        raise FileNotFoundError(
            f"{show_text(path)}, a finished fold, does not exist: first go on with that "
            "cross-validation (its name, and --resume or resume=True)."
        )

    value: KeptFold = keep_work(
        path,
        work or refuse,
        facts={"positions": tested.tolist()},
        what="finished fold",
        kind=KeptFold,
    )
    found = read_evaluation(value["probabilities"], folds.photos.take(tested), name=path)
    seconds, collapse = value["seconds"], value["collapse"]
    return found, FoldScore(place[0] + 1, place[1] + 1, found.accuracy, seconds, collapse)


def load_cross_validation(run: Run | str | Path) -> CrossValidation:
    """Read what `cross_validate` has kept.

    Args:
        run: Its run, or the folder of it.

    Returns:
        The predictions of all folds.

    Raises:
        FileNotFoundError: If it is no such folder, or some folds are not finished yet.
        ValueError: If its files are damaged.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    path = run.folder / PLAN_NAME
    if run.is_there and not path.exists():
        raise FileNotFoundError(
            f"{show_text(run.folder)} is the run of a training. Expected one of a "
            "cross-validation, which predicts every photo by a network not trained on it: "
            f"python -m emoclf cross-validate {quote_argument(run.photos.root)}"
        )
    plan: Plan = read_json(path, what="the plan of a cross-validation", kind=Plan)
    facts, photos = plan["facts"], run.photos
    position = {path: index for index, path in enumerate(photos.paths)}
    try:
        chosen = photos.take([position[path] for path in plan["files"]])
        folds = make_folds(chosen, fold_count=facts["fold_count"], repeats=facts["repeats"])
    except KeyError as error:
        raise ValueError(
            f"{show_text(path)} names {error.args[0]!r:.200}, which is not in the "
            "split: the files of the run do not belong together."
        ) from error
    except ValueError as error:
        raise ValueError(f"{show_text(path)}: {show_text(error)}") from error
    probabilities = np.empty((folds.repeats, len(chosen), len(chosen.class_names)))
    scores = []
    for repeat, fold in product(range(folds.repeats), range(folds.fold_count)):
        try:
            found, score = keep_fold(run, folds, (repeat, fold))
        except ResumeRefusedError as error:
            raise ValueError(
                f"{show_text(path)} names other photos than its folds: {show_text(error)}"
            ) from error
        probabilities[repeat, folds.find_tested(repeat, fold)] = found.probabilities
        scores.append(score)
    return CrossValidation(run, facts["learner"], folds, probabilities, tuple(scores))
