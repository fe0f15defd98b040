"""The answers of all folds, and what they do and do not show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from emoclf.config import Learner
from emoclf.data.splitting import Folds, make_folds
from emoclf.evaluation import (
    Estimate,
    Evaluation,
    evaluate_predictions,
    read_probabilities,
    share_right,
)
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import read_json
from emoclf.untrusted import show_text

FACTS_NAME = "cross_validation.json"
"""File of a run folder that says what is cross-validated."""

FEW_PHOTOS = 100
"""Below this many photos of a class, the sentence about small folders is said."""

_FOLDS_NAME = "folds"
_MOST = 1000


class Facts(TypedDict):
    """What is cross-validated: which photos, how often, by whom."""

    learner: Learner
    fold_count: int
    repeats: int
    pixels: dict[str, str | None]
    files: list[str]


class KeptFold(TypedDict):
    """What the file of a finished fold holds."""

    positions: list[int]
    probabilities: list[list[float]]
    best_epoch: int
    collapse: str | None
    seconds: float


@dataclass(frozen=True)
class FoldScore:
    """How one fold was answered.

    Attributes:
        repeat: Counted from 1.
        fold: Counted from 1.
        accuracy: Share of right answers on the photos of the fold.
        seconds: How long the fold took.
        collapse: A sentence when its network gave one answer to all validation photos, else None.
    """

    repeat: int
    fold: int
    accuracy: Estimate
    seconds: float
    collapse: str | None


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Every photo answered by networks that have seen neither it nor a copy of it.

    Attributes:
        run_folder: Where it is kept.
        learner: `"network"` or `"face_features"`.
        folds: The photos, and which fold of which repeat answered which.
        answers: float64 `(repeats, photos, classes)`: the probabilities of each repeat.
        scores: One per fold, in order.
    """

    run_folder: Path
    learner: str
    folds: Folds
    answers: np.ndarray
    scores: tuple[FoldScore, ...]

    @property
    def photos(self) -> Photos:
        """The photos that were answered, in the order of `answers`."""
        return self.folds.photos

    @property
    def evaluation(self) -> Evaluation:
        """The numbers of the answers averaged over the repeats, each photo counted once."""
        return self._evaluate(self.answers.mean(axis=0))

    @property
    def repeat_accuracies(self) -> tuple[Estimate, ...]:
        """The share of right answers in each repeat, each photo counted once."""
        right = self.answers.argmax(axis=2) == self.photos.labels
        return tuple(share_right(each, self.photos.groups) for each in right)

    def _evaluate(self, probabilities: np.ndarray) -> Evaluation:
        return evaluate_predictions(
            self.photos.labels,
            probabilities,
            paths=self.photos.paths,
            class_names=self.photos.class_names,
            groups=self.photos.groups,
        )

    def describe(self) -> str:
        """Return the numbers as a readable text, with what cannot be concluded from them."""
        what = "networks" if self.learner == "network" else "regressions on the face features"
        count = self.folds.fold_count
        lines = [f"{len(self.photos.labels):,} photos, {len(self.scores)} {what}"]
        for repeat, pooled in enumerate(self.repeat_accuracies, start=1):
            lines.append(f"repeat {repeat}, all {count} folds     {pooled}")
            own = [score for score in self.scores if score.repeat == repeat]
            lines += [f"    fold {score.fold:<3}             {score.accuracy}" for score in own]
        if self.folds.repeats > 1:
            lines.append("answers averaged over the repeats:")
        lines += [self.evaluation.describe(), "", *self.find_caveats()]
        return "\n".join(lines)

    def find_caveats(self) -> list[str]:
        """Say what cannot be concluded, in sentences computed from the numbers."""
        notes = [
            "The folds are not independent: any two networks have learned mostly from the same "
            "photos, so no interval can be made from the spread of the folds (Bengio and "
            "Grandvalet, 2004). The intervals above count photos, copies once; they know nothing "
            "of the chance that lies in a training."
        ]
        collapsed = sum(score.collapse is not None for score in self.scores)
        if collapsed:
            notes.append(
                f"{collapsed} of {len(self.scores)} networks gave one answer to all validation "
                "photos: there were too few photos or epochs to learn from."
            )
        found = self.evaluation
        different = [
            len(np.unique(self.photos.groups[self.photos.labels == label]))
            for label in range(len(found.class_names))
        ]
        fewest = min(different)
        if fewest < FEW_PHOTOS:
            half = (found.accuracy.high - found.accuracy.low) / 2
            notes.append(
                f"With {fewest} different photos of the smallest class, the accuracy is known to "
                f"about {100 * half:.0f} points either way: which of two networks or settings is "
                "better, or how well other photos will be answered, cannot be concluded unless the "
                "difference is much larger than that."
            )
        if found.accuracy.low <= found.majority_accuracy.value:
            notes.append(
                f"It is not shown that the answers are better than always saying "
                f"{found.majority_class}: that would be right for "
                f"{found.majority_accuracy.value:.3f} of these photos."
            )
        return notes


def find_fold_file(run_folder: Path, repeat: int, fold: int) -> Path:
    """Return where a finished fold is kept; `repeat` and `fold` are counted from 0."""
    return run_folder / _FOLDS_NAME / f"repeat-{repeat + 1}-fold-{fold + 1}.json"


def select_photos(photos: Photos, paths: list[str]) -> Photos:
    """Return a split with these photos alone, in this order.

    Args:
        photos: A split.
        paths: Some of its photos.

    Returns:
        The smaller split.

    Raises:
        ValueError: If one of them is not in it.
    """
    position = {path: index for index, path in enumerate(photos.paths)}
    missing = [path for path in paths if path not in position]
    if missing:
        raise ValueError(
            f"{missing[0]!r:.200} is not in the split: the files of the run do not fit."
        )
    return photos.take([position[path] for path in paths])


def load_cross_validation(run: Run | str | Path) -> CrossValidation:
    """Read what `cross_validate` has kept.

    Args:
        run: Its run, or the folder of it.

    Returns:
        The answers of all folds.

    Raises:
        FileNotFoundError: If it is no such folder, or some folds are not finished yet.
        ValueError: If its files are damaged.
    """
    folder = run.folder if isinstance(run, Run) else Path(run)
    facts = load_facts(folder)
    split = Run(folder).photos
    places = [
        (repeat, fold) for repeat in range(facts["repeats"]) for fold in range(facts["fold_count"])
    ]
    values = [_load_fold(find_fold_file(folder, *place)) for place in places]
    try:
        photos = select_photos(split, facts["files"])
        folds = make_folds(photos, fold_count=facts["fold_count"], repeats=facts["repeats"])
    except ValueError as error:
        raise ValueError(f"{show_text(folder / FACTS_NAME)}: {show_text(error)}") from error
    answers = np.full((folds.repeats, len(photos), len(split.class_names)), np.nan)
    scores = [
        _read_fold(value, find_fold_file(folder, *place), folds, answers[place[0]], place)
        for place, value in zip(places, values, strict=True)
    ]
    return CrossValidation(folder, facts["learner"], folds, answers, tuple(scores))


def load_facts(run_folder: Path) -> Facts:
    """Read what is cross-validated.

    Args:
        run_folder: The run folder.

    Returns:
        The facts.

    Raises:
        FileNotFoundError: If it is no folder of a cross-validation.
        ValueError: If the file is damaged.
    """
    path, what = run_folder / FACTS_NAME, "the facts of a cross-validation"
    facts: Facts = read_json(path, what=what, kind=Facts)
    counts = (facts["fold_count"], facts["repeats"])
    if not all(1 <= count <= _MOST for count in counts):
        raise ValueError(
            f"{show_text(path)} should hold {what} but was changed (fold_count and repeats are "
            f"{counts!r:.100}). Make it anew."
        )
    return facts


def _load_fold(path: Path) -> KeptFold:
    what = "a finished fold (start `cross_validate` again)"
    value: KeptFold = read_json(path, what=what, kind=KeptFold)
    return value


def _read_fold(
    value: KeptFold, path: Path, folds: Folds, answers: np.ndarray, place: tuple[int, int]
) -> FoldScore:
    """Put a fold's answers, `(photos, classes)`, into their rows and return its score."""
    tested = folds.find_tested(*place)
    if value["positions"] != tested.tolist():
        raise ValueError(
            f"{show_text(path)} holds the answers for other photos than {FACTS_NAME} names. Move "
            "it away and start again."
        )
    shape = (len(tested), answers.shape[1])
    probabilities = read_probabilities(value["probabilities"], shape, name=path)
    answers[tested] = probabilities
    photos = folds.photos.take(tested)
    accuracy = share_right(probabilities.argmax(axis=1) == photos.labels, photos.groups)
    return FoldScore(place[0] + 1, place[1] + 1, accuracy, value["seconds"], value["collapse"])
