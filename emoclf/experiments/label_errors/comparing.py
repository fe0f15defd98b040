"""Did the corrections help? One training before them and one after, tested on the same photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from emoclf.config import Settings
from emoclf.data.loading import WithoutFace, cache_for
from emoclf.display import Displayed, Table, count_noun
from emoclf.evaluation import ESTIMATE_HEADERS, Evaluation, compare_evaluations
from emoclf.experiments.label_errors.sheet import Decision
from emoclf.experiments.learners import check_networks, train_and_test, train_and_test_joint
from emoclf.images.faces import FaceDetector
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import write_json
from emoclf.untrusted import match_names, show_text

COMPARISON_NAME = "comparison.json"
"""File with the numbers of a comparison."""


class CorrectedSplit(NamedTuple):
    """Photos in their parts before and after their labels were corrected.

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
class CorrectionComparison(Displayed):
    """How a network did before and after corrections, on the same test photos.

    Attributes:
        split: What was learned from.
        before: Predictions of the network that learned from the labels as they were.
        after: Those of the one that learned from the corrected labels, for the same photos.
        runs: The two trainings.
        left_out: Test photos in which no face was found.
    """

    split: CorrectedSplit
    before: Evaluation
    after: Evaluation
    runs: tuple[Run, Run]
    left_out: tuple[str, ...] = ()

    def blocks(self) -> Iterable[str | Table]:
        """Return both accuracies and the difference."""
        photos = count_noun(len(self.before.photos), "photo")
        yield (
            f"labels changed: {self.split.moved:,}; photos set aside: {self.split.set_aside:,}; "
            f"tested on the same {photos}, untouched by the corrections"
        )
        rows = [
            (f"accuracy {name}", *found.accuracy.to_cells())
            for name, found in (("before", self.before), ("after", self.after))
        ]
        yield Table(("", *ESTIMATE_HEADERS), rows)
        yield describe_difference(self.before, self.after)
        if self.left_out:
            count = count_noun(len(self.left_out), "test photo")
            yield f"not counted, because no face is found: {count}"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return {
            "moved": self.split.moved,
            "set_aside": self.split.set_aside,
            "test_photos": len(self.before.photos),
            "accuracy_before": asdict(self.before.accuracy),
            "accuracy_after": asdict(self.after.accuracy),
            "difference": describe_difference(self.before, self.after),
            "run_folders": [str(run.folder) for run in self.runs],
        }


def describe_difference(before: Evaluation, after: Evaluation) -> str:
    """Return the paired comparison of two networks on the same photos, and what it leaves open."""
    comparison = compare_evaluations(before, after, names=("before", "after"))
    return (
        f"{comparison}\nEach network was trained once, and two trainings differ by "
        "chance alone, too: few photos more or less are no proof."
    )


def correct_labels(
    photos: Photos, decisions: Sequence[Decision], *, locations: Mapping[str, str] | None = None
) -> CorrectedSplit:
    """Correct the labels of training and validation photos.

    Args:
        photos: The photos that were reviewed, in their parts.
        decisions: From `load_decisions`. Those about other photos, such as duplicates that the
            cleaning left out, do not count.
        locations: Old path -> where the photo is now, from `apply_decisions(...).locations`, when
            the decisions were carried out already.

    Returns:
        The photos before and after, with the same test.

    Raises:
        ValueError: If a decision changes a test photo, or names a class there is none of.
    """
    own = match_names((*(each.path for each in decisions), *(locations or {})), photos.paths)
    where = {own[path]: to for path, to in (locations or {}).items()}
    chosen = [each for each in decisions if each.action in ("move", "set_aside")]
    wanted = {own[each.path]: each for each in chosen}
    before, after = [], []
    moved = 0
    for row in photos.rows:
        here, decision = replace(row, path=where.get(row.path, row.path)), wanted.get(row.path)
        before.append(here)
        if decision is None:
            after.append(here)
            continue
        if row.part == "test":
            raise ValueError(
                f"{show_text(row.path)} is a test photo, and a decision changes it. Before and "
                "after can only be compared on a test that the corrections did not touch: leave "
                "test photos out of the review."
            )
        if decision.action == "move":
            moved += 1
            after.append(replace(here, label=_find_label(photos, decision)))
    first, second = (replace(photos, rows=tuple(rows)) for rows in (before, after))
    second.verify()
    return CorrectedSplit(first, second, moved, len(before) - len(after))


def _find_label(photos: Photos, decision: Decision) -> int:
    name = match_names([decision.suggested_class], photos.class_names)[decision.suggested_class]
    if name not in photos.class_names:
        raise ValueError(
            f"{show_text(decision.path)}: expected one of {', '.join(photos.class_names)} as "
            f"suggested_class. Received: {decision.suggested_class!r}."
        )
    return photos.class_names.index(name)


def compare_corrections(
    split: CorrectedSplit,
    settings: Settings | None = None,
    *,
    logs: str | Path = "logs",
    name: str = "corrections",
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> CorrectionComparison:
    """Train before and after corrections, with the same settings, and test on the same photos.

    Args:
        split: From `correct_labels`.
        settings: What to train.
        logs: The folder that holds all runs.
        name: Name of the comparison: its two runs are `<name>/before` and `<name>/after`. Stopped
            and called again with the same name, it goes on.
        detector: As for `train`.
        without_face: As for `train`; a test photo without a face is not counted.
        say: Called with a line of progress now and then.
        progress: Whether decoding shows a progress bar.

    Returns:
        Both networks' predictions; the numbers are kept in `<name>/comparison.json`.

    Raises:
        ResumeRefusedError: If the comparison of this name has other photos or settings.
        RunInUseError: If another process writes it.
        ValueError: If no test photo can be predicted.

    Example:
        >>> split = correct_labels(photos, load_decisions("decisions.csv"))  # doctest: +SKIP
        >>> print(compare_corrections(split, settings))  # doctest: +SKIP
    """
    from emoclf.training import check_run_is_free, hold_run

    settings, folder = settings or Settings(), Path(logs) / name
    check_networks(split.before.class_names, settings)
    common: dict[str, Any] = {"detector": detector, "progress": progress}
    found = []
    with hold_run(folder):
        for part, photos in (("before", split.before), ("after", split.after)):
            say(f"{part} the corrections:")
            check_run_is_free(folder / part)
            run, left_out = folder / part, ()  # type: Path, tuple[str, ...]
            if settings.network == "joint":
                result, evaluation = train_and_test_joint(
                    photos, settings, folder=run, kept=Path(logs) / "cache", say=say, **common
                )
            else:
                cache = cache_for(
                    settings, photos, logs=folder, without_face=without_face, **common
                )
                result, evaluation = train_and_test(cache, settings, folder=run, say=say)
                left_out = cache.faces.without_face.part("test").paths if cache.faces else ()
            evaluation = evaluation.take([p not in left_out for p in evaluation.photos.paths])
            result.run.log_test_access_once(evaluation.photos, evaluation.probabilities)
            found.append((result.run, evaluation, left_out))
        (first, before, left_out), (second, after, _) = found
        comparison = CorrectionComparison(split, before, after, (first, second), left_out)
        write_json(folder / COMPARISON_NAME, comparison.to_dict())
    return comparison
