"""Did the repair help? One training before it, one after it, both asked about the same test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emoclf.config import Settings
from emoclf.data.loading import WithoutFace
from emoclf.evaluation import Evaluation, compare_evaluations, evaluate_predictions
from emoclf.experiments.label_errors.decisions import Decision
from emoclf.images.faces import FaceDetector
from emoclf.inference import Predictor
from emoclf.inference.testing import evaluate
from emoclf.photos import PhotoRow, Photos
from emoclf.storage import write_json
from emoclf.training.classifier import train
from emoclf.untrusted import show_text

COMPARISON_NAME = "comparison.json"
"""File with the numbers of a comparison."""


@dataclass(frozen=True)
class CorrectedSplit:
    """A split before and after its labels were repaired.

    Attributes:
        before: With the labels as they were.
        after: With the labels as decided, without the photos that were set aside.
        moved: How many photos have another label.
        set_aside: How many are left out.
    """

    before: Photos
    after: Photos
    moved: int
    set_aside: int


@dataclass(frozen=True, eq=False)
class CorrectionComparison:
    """How a network did before and after a repair, on the same test photos.

    Attributes:
        split: What was learned from.
        before: Answers of the network that learned from the labels as they were.
        after: Answers of the one that learned from the repaired labels, for the same photos.
        run_folders: Where the two trainings are.
        left_out: Test photos that one of the two did not answer.
    """

    split: CorrectedSplit
    before: Evaluation
    after: Evaluation
    run_folders: tuple[Path, Path]
    left_out: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the comparison as text for reading."""
        lines = [
            f"labels changed: {self.split.moved:,}; photos set aside: {self.split.set_aside:,}; "
            f"tested on the same {len(self.before.labels):,} photos, untouched by the repair",
            f"accuracy before  {self.before.accuracy}",
            f"accuracy after   {self.after.accuracy}",
            describe_difference(self.before, self.after),
        ]
        if self.left_out:
            lines.append(f"{len(self.left_out):,} test photos have no answer and are not counted")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return {
            "moved": self.split.moved,
            "set_aside": self.split.set_aside,
            "test_photos": len(self.before.labels),
            "accuracy_before": asdict(self.before.accuracy),
            "accuracy_after": asdict(self.after.accuracy),
            "difference": describe_difference(self.before, self.after),
            "run_folders": [str(folder) for folder in self.run_folders],
        }


def describe_difference(before: Evaluation, after: Evaluation) -> str:
    """Say how the answers of two networks for the same photos differ.

    Args:
        before: Answers of one network.
        after: Answers of the other, for the same photos in the same order.

    Returns:
        The paired comparison of `compare_evaluations`, and what it does not cover.
    """
    comparison = compare_evaluations(before, after, names=("before", "after"))
    return (
        f"{comparison.describe()}\nEach network was trained once, and two trainings differ by "
        "chance alone, too: few photos more or less are no proof."
    )


def correct_labels(
    photos: Photos,
    decisions: Sequence[Decision],
    *,
    locations: Mapping[str, str] | None = None,
) -> CorrectedSplit:
    """Make two splits that differ in the repaired labels alone.

    Args:
        photos: The split that was reviewed.
        decisions: From `load_decisions`. Those about photos that are in no part of the split, such
            as copies that the cleaning left out, do not count.
        locations: Old path -> where the photo is now, `DecisionsResult.locations`, when the
            decisions were carried out already.

    Returns:
        Both splits, with the same test.

    Raises:
        ValueError: If a decision changes a test photo, or names a class there is none of.
    """
    where = locations or {}
    by_path = {each.path: each for each in decisions if each.action in ("move", "set_aside")}
    before, after = [], []
    moved = set_aside = 0
    for file in photos.rows:
        decision = by_path.get(file.path)
        here = replace(file, path=where.get(file.path, file.path))
        before.append(here)
        if decision is None:
            after.append(here)
            continue
        _refuse_test_photo(file)
        if decision.action == "set_aside":
            set_aside += 1
            continue
        moved += 1
        after.append(replace(here, label=_find_label(photos, decision)))
    first, second = (replace(photos, rows=tuple(rows)) for rows in (before, after))
    second.verify()
    return CorrectedSplit(first, second, moved, set_aside)


def _refuse_test_photo(file: PhotoRow) -> None:
    if file.part == "test":
        raise ValueError(
            f"{show_text(file.path)} is a test photo, and a decision changes it. Before and after "
            "can only be compared on a test that the repair did not touch: leave test photos out "
            "of the review."
        )


def _find_label(photos: Photos, decision: Decision) -> int:
    if decision.suggested_class not in photos.class_names:
        raise ValueError(
            f"{show_text(decision.path)}: expected one of {', '.join(photos.class_names)} as "
            f"suggested_class. Received: {decision.suggested_class!r}."
        )
    return photos.class_names.index(decision.suggested_class)


def compare_corrections(
    split: CorrectedSplit,
    settings: Settings | None = None,
    *,
    logs: str | Path = "logs",
    name: str = "repair",
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> CorrectionComparison:
    """Train before and after a repair, with the same settings, and test both on the same photos.

    Args:
        split: From `correct_labels`.
        settings: What to train.
        logs: The folder that holds all runs.
        name: Name of the comparison: its two runs are `<name>/before` and `<name>/after`. Stopped
            and called again with the same name, it goes on.
        detector: As for `train`.
        without_face: As for `train`.
        say: Called with a line of progress now and then.
        progress: Whether decoding and testing show a progress bar.

    Returns:
        Both networks' answers; the numbers are kept in `<name>/comparison.json`.

    Raises:
        ResumeRefusedError: If the comparison of this name has other photos or settings.
        RunInUseError: If another process writes it.
        ValueError: If no test photo was answered by both.

    Example:
        >>> split = correct_labels(photos, load_decisions("decisions.csv"))  # doctest: +SKIP
        >>> print(compare_corrections(split, settings).describe())  # doctest: +SKIP
    """
    from emoclf.training import hold_run

    folder = Path(logs) / name
    with hold_run(folder):
        comparison = _train_both(
            split,
            settings,
            folder=folder,
            detector=detector,
            without_face=without_face,
            say=say,
            progress=progress,
        )
        write_json(folder / COMPARISON_NAME, comparison.to_dict())
    return comparison


def _train_both(
    split: CorrectedSplit,
    settings: Settings | None,
    *,
    folder: Path,
    detector: FaceDetector | None,
    without_face: WithoutFace,
    say: Callable[[str], None],
    progress: bool,
) -> CorrectionComparison:
    found = []
    for part, photos in (("before", split.before), ("after", split.after)):
        say(f"{part} the repair:")
        result = train(
            photos,
            settings,
            logs=folder,
            name=part,
            resume=True,
            detector=detector,
            without_face=without_face,
            say=say,
            progress=progress,
        )
        predictor = Predictor.load(result.run.folder, detector=detector)
        test = evaluate(result.run.folder, predictor=predictor, progress=progress)
        found.append((result.run.folder, test.evaluation))
    runs, answers = zip(*found, strict=True)
    before, after, left_out = _keep_common(*answers)
    return CorrectionComparison(split, before, after, runs, left_out)


def _keep_common(
    first: Evaluation, second: Evaluation
) -> tuple[Evaluation, Evaluation, tuple[str, ...]]:
    """Keep the photos that both have answered, in the same order."""
    common = [path for path in first.paths if path in set(second.paths)]
    if not common:
        raise ValueError("No test photo was answered by both networks.")
    kept = []
    for each in (first, second):
        position = {path: index for index, path in enumerate(each.paths)}
        order = [position[path] for path in common]
        kept.append(
            evaluate_predictions(
                each.labels[order],
                each.probabilities[order],
                paths=common,
                class_names=each.class_names,
                groups=None if each.groups is None else each.groups[order],
                split=each.split,
            )
        )
    left_out = tuple(sorted(set(first.paths) ^ set(second.paths)))
    return kept[0], kept[1], left_out
