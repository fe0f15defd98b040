"""The baselines and what they reach, and what the differences between them mean, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from emoclf.config import BaselineName
from emoclf.display import Displayed, Table, count_noun
from emoclf.evaluation import Comparison, Evaluation, compare_evaluations
from emoclf.untrusted import show_text

BASELINE_NAMES: tuple[BaselineName, ...] = get_args(BaselineName)

LIGHT_BASELINES: tuple[BaselineName, ...] = ("brightness", "colours")
"""The baselines that know nothing but light and colour."""

FACE_BASELINES: tuple[BaselineName, ...] = ("face_features", "fine_tuned")
"""The baselines of face crops, and of the whole photo where no face is found."""

FEWEST_OF_A_CLASS = 10
"""With fewer photos of a class an interval of an area cannot be relied on, and none is given."""

FEW_PHOTOS = 100
"""Below this many test photos an accuracy is uncertain by ten points and more either way."""

_UNEVEN = 0.6


@dataclass(frozen=True, eq=False)
class Baseline:
    """One baseline: what it is, how it does on the test photos, and what that took.

    Attributes:
        name: Which baseline.
        title: The same for readers, such as `"mean colours"`.
        evaluation: What it predicts for the test photos.
        seconds: How long it was trained, decoding left out; None where that is not known, because
            it was trained before.
        note: What validation chose, and other things to know, in words.
        without_face: Test photos in which no face was found and the whole photo was used; None
            for a baseline of whole photos.
    """

    name: BaselineName
    title: str
    evaluation: Evaluation
    seconds: float | None = 0.0
    note: str = ""
    without_face: int | None = None


def compare_baselines(baselines: Sequence[Baseline]) -> tuple[Comparison, ...]:
    """Compare the network with the best of light, and those of faces with the one before.

    Args:
        baselines: From the simplest on, evaluated on the same photos.

    Returns:
        The comparisons, the simpler baseline first; none with fewer than `FEWEST_OF_A_CLASS`
        photos of a class.
    """
    if _count_rarest(baselines[0].evaluation) < FEWEST_OF_A_CLASS:
        return ()
    light = [each for each in baselines if each.name in LIGHT_BASELINES]
    pairs = []
    for before, baseline in zip((None, *baselines), baselines, strict=False):
        if baseline.name == "network" and light:
            pairs.append((max(light, key=_find_area), baseline))
        elif baseline.name in FACE_BASELINES and before:
            pairs.append((before, baseline))
    return tuple(
        compare_evaluations(one.evaluation, other.evaluation, names=(one.title, other.title))
        for one, other in pairs
    )


def _find_area(baseline: Baseline) -> float:
    return baseline.evaluation.curves.roc_auc if baseline.evaluation.curves else 0.5


def _count_rarest(evaluation: Evaluation) -> int:
    return min(scores.recall.count for scores in evaluation.per_class)


@dataclass(frozen=True, eq=False)
class BaselineComparison(Displayed):
    """All baselines, evaluated on the same test photos.

    Attributes:
        folder: Where everything of it is kept.
        baselines: From the simplest on, without those that were skipped.
        counts: Part -> class name -> number of photos.
        comparisons: From `compare_baselines`.
    """

    folder: Path
    baselines: tuple[Baseline, ...]
    counts: dict[str, dict[str, int]]
    comparisons: tuple[Comparison, ...]

    @property
    def without_face(self) -> int | None:
        """Test photos in which no face was found; None where no baseline looked for faces."""
        counts = (baseline.without_face for baseline in self.baselines)
        return next((count for count in counts if count is not None), None)

    def find(self, name: BaselineName) -> Baseline | None:
        """Return a baseline, or None if it was skipped."""
        return next((baseline for baseline in self.baselines if baseline.name == name), None)

    def blocks(self) -> Iterable[str | Table]:
        """Return the table of all baselines, what to know about it, and the verdict."""
        count = len(self.baselines[0].evaluation.photos)
        yield f"{count_noun(count, 'test photo')}, the same for all baselines"
        yield ""
        yield Table(
            ("", "accuracy", "95 % interval", "balanced", "AUC", "seconds"),
            [
                (
                    each.title,
                    *each.evaluation.accuracy.to_cells()[:2],
                    each.evaluation.balanced_accuracy.value,
                    each.evaluation.curves.roc_auc if each.evaluation.curves else None,
                    each.seconds,
                )
                for each in self.baselines
            ],
        )
        yield from ("", *self._list_notes(), "", self.describe_verdict())

    def _list_notes(self) -> Iterable[str]:
        """Return what the reader of the table should know."""
        for each in self.baselines:
            if each.note:
                yield f"{each.title}: {show_text(each.note)}"
        for each in self.baselines:
            if each.evaluation.collapse and each.name != "majority":
                yield f"{each.title}: {each.evaluation.collapse}"
        if self.without_face:
            yield (
                f"No face is found in {count_noun(self.without_face, 'test photo')}: there the "
                "baselines of face crops were given the whole photo."
            )
        if self.baselines[0].evaluation.majority_accuracy.value > _UNEVEN:
            yield (
                "The classes are uneven, and with class weights the rarer one counts for more: a "
                "baseline may get fewer right than the majority and know more. Compare the "
                "balanced accuracy and the AUC."
            )

    def describe_verdict(self) -> str:
        """Say whether the networks learned faces or that sad photos are dark, from the numbers."""
        test = self.baselines[0].evaluation
        count, rarest = len(test.photos), _count_rarest(test)
        sentences = [*self._describe_light(), *map(self._describe_gain, self.comparisons)]
        if count < FEW_PHOTOS:
            sentences.append(
                f"With {count_noun(count, 'test photo')} ({rarest} of the rarer class) the "
                "intervals are wide: what is not shown here may still be so. Test on more photos."
            )
        if rarest < FEWEST_OF_A_CLASS:
            sentences.append(
                f"With fewer than {FEWEST_OF_A_CLASS} of a class the baselines are not compared: "
                "nothing can be concluded about them."
            )
        return " ".join(sentences)

    def _describe_light(self) -> list[str]:
        """Say what brightness alone reaches."""
        baseline = self.find("brightness")
        area = None if baseline is None else baseline.evaluation.estimates.roc_auc
        if baseline is None or area is None:
            return []
        numbers = baseline.evaluation
        return [
            f"Brightness alone gets {numbers.accuracy} right; always {numbers.majority_class} gets "
            f"{numbers.majority_accuracy.value:.3f}. Its area under ROC is {area.value:.3f} "
            f"({area.low:.3f} to {area.high:.3f}): light is {'' if area.low > 0.5 else 'not '}"
            "shown to tell the classes apart."
        ]

    def _describe_gain(self, comparison: Comparison) -> str:
        """Say what a comparison shows, by the area under ROC."""
        (before, name), gain = comparison.names, comparison.differences["roc_auc"]
        network = self.find("network")
        if network and name == network.title:
            shown = (
                "it has learned more than light and colour; whether that is the face, only the "
                "comparison with faces can show"
                if gain.low > 0
                else "it is not shown to have learned more than light and colour"
            )
        else:
            shown = "not shown to be better"
            shown = "better" if gain.low > 0 else "worse" if gain.high < 0 else shown
        return (
            f"{name[:1].upper()}{name[1:]}: its area lies {gain.value:+.3f} "
            f"({gain.low:+.3f} to {gain.high:+.3f}) from that of {before}: {shown}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of all baselines as a dictionary that JSON can hold."""
        return {
            "counts": self.counts,
            "test_photos_without_face": self.without_face,
            "baselines": [
                {
                    "name": each.name,
                    "title": each.title,
                    "seconds": each.seconds,
                    "note": each.note,
                    **each.evaluation.to_dict(),
                }
                for each in self.baselines
            ],
            "comparisons": [each.to_dict() for each in self.comparisons],
            "verdict": self.describe_verdict(),
        }
