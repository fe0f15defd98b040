"""The finished baselines: its table, and what the steps between the baselines mean, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoclf.evaluation import Comparison, compare_evaluations
from emoclf.experiments.baselines.baseline import (
    FACE_BASELINES,
    LIGHT_BASELINES,
    Baseline,
    BaselineName,
)
from emoclf.untrusted import show_text

FEWEST_OF_A_CLASS = 10
"""With fewer photos of a class an interval of an area cannot be relied on, and none is given."""

_UNEVEN = 0.6

FEW_PHOTOS = 100
"""Below this many test photos an accuracy is uncertain by ten points and more either way."""


def compare_baselines(baselines: Sequence[Baseline]) -> tuple[Comparison, ...]:
    """Compare the network with the best of light, and those of faces with the one below.

    Args:
        baselines: From the lowest to the highest, asked about the same photos.

    Returns:
        The comparisons, the higher baseline second; none with fewer than `FEWEST_OF_A_CLASS` photos
        of a class.
    """
    if min(scores.recall.count for scores in baselines[0].evaluation.per_class) < FEWEST_OF_A_CLASS:
        return ()
    pairs = []
    for baseline in baselines:
        if baseline.name == "network":
            light = [each for each in baselines if each.name in LIGHT_BASELINES]
            pairs += [(max(light, key=_find_area), baseline)] if light else []
        elif baseline.name in FACE_BASELINES:
            below = baselines[: baselines.index(baseline)]
            pairs += [(below[-1], baseline)] if below else []
    return tuple(
        compare_evaluations(lower.evaluation, higher.evaluation, names=(lower.title, higher.title))
        for lower, higher in pairs
    )


@dataclass(frozen=True, eq=False)
class BaselineComparison:
    """All baselines, asked about the same test photos.

    Attributes:
        folder: Where everything of it is kept.
        baselines: From the lowest to the highest, without those that were skipped.
        counts: Split -> class name -> number of photos.
        comparisons: From `compare_baselines`.
    """

    folder: Path
    baselines: tuple[Baseline, ...]
    counts: dict[str, dict[str, int]]
    comparisons: tuple[Comparison, ...]

    @property
    def without_face(self) -> int | None:
        """Test photos in which no face was found; None where no baseline looked for faces."""
        counts = (baseline.answers.without_face for baseline in self.baselines)
        return next((count for count in counts if count is not None), None)

    def find(self, name: BaselineName) -> Baseline | None:
        """Return a baseline, or None if it was skipped."""
        return next((baseline for baseline in self.baselines if baseline.name == name), None)

    def describe(self) -> str:
        """Return the table of all baselines, and the verdict."""
        test = self.baselines[0].evaluation
        names = f"{'accuracy':>9}  {'95 % interval':16}{'balanced':>9}{'AUC':>7}{'seconds':>9}"
        lines = [
            f"{len(test.labels)} test photos, the same for all baselines",
            "",
            f"{'':32}{names}",
        ]
        for baseline in self.baselines:
            share, area = baseline.evaluation.accuracy, baseline.evaluation.curves
            seconds = baseline.answers.seconds
            lines.append(
                f"{baseline.title:32}{share.value:9.3f}  "
                f"{f'{share.low:.3f} to {share.high:.3f}':16}"
                f"{baseline.evaluation.balanced_accuracy.value:9.3f}"
                f"{'-' if area is None else f'{area.roc_auc:.3f}':>7}"
                f"{'-' if seconds is None else f'{seconds:.1f}':>9}"
            )
        return "\n".join([*lines, "", *self._list_notes(), "", self.describe_verdict()])

    def _list_notes(self) -> list[str]:
        """Return what the reader of the table should know, a line each."""
        notes = [
            f"{baseline.title}: {show_text(baseline.answers.note)}"
            for baseline in self.baselines
            if baseline.answers.note
        ]
        notes += [
            f"{baseline.title}: {baseline.evaluation.collapse}"
            for baseline in self.baselines
            if baseline.evaluation.collapse and baseline.name != "majority"
        ]
        if self.without_face:
            notes.append(
                f"{self.without_face} of the test photos show no face that was found: there the "
                "baselines that look at faces were shown the whole photo."
            )
        if self.baselines[0].evaluation.majority_accuracy.value > _UNEVEN:
            notes.append(
                "The classes are uneven, and with class weights the rarer one counts for more: a "
                "baseline may get fewer right than the majority and know more. Compare the "
                "balanced "
                "accuracy and the AUC."
            )
        return notes

    def describe_verdict(self) -> str:
        """Say whether the networks learned faces or that sad photos are dark, from the numbers."""
        sentences = [*_describe_light(self), *_describe_networks(self)]
        test = self.baselines[0].evaluation
        rarest = min(scores.recall.count for scores in test.per_class)
        if len(test.labels) < FEW_PHOTOS:
            sentences.append(
                f"With {len(test.labels)} test photos ({rarest} of the rarer class) the intervals "
                "are wide: what is not shown here may still be so. Test on more photos."
            )
        if rarest < FEWEST_OF_A_CLASS:
            sentences.append(
                f"With fewer than {FEWEST_OF_A_CLASS} of a class the baselines are not compared: "
                "nothing can be concluded about them."
            )
        return " ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of all baselines as a dictionary that JSON can hold."""
        return {
            "counts": self.counts,
            "test_photos_without_face": self.without_face,
            "baselines": [
                {
                    "name": baseline.name,
                    "title": baseline.title,
                    "seconds": baseline.answers.seconds,
                    "note": baseline.answers.note,
                    **baseline.evaluation.to_dict(),
                }
                for baseline in self.baselines
            ],
            "comparisons": [each.to_dict() for each in self.comparisons],
            "verdict": self.describe_verdict(),
        }


def _describe_light(baselines: BaselineComparison) -> list[str]:
    """Say what brightness alone reaches."""
    baseline = baselines.find("brightness")
    area = None if baseline is None else baseline.evaluation.estimates.roc_auc
    if baseline is None or area is None:
        return []
    numbers = baseline.evaluation
    tells = "" if area.low > 0.5 else "not "
    return [
        f"Brightness alone gets {numbers.accuracy} right; always {numbers.majority_class} gets "
        f"{numbers.majority_accuracy.value:.3f}. Its area under ROC is {area.value:.3f} "
        f"({area.low:.3f} to {area.high:.3f}): light is {tells}shown to tell the classes apart."
    ]


def _describe_networks(baselines: BaselineComparison) -> list[str]:
    """Say what each comparison shows, by the area under ROC."""
    network = baselines.find("network")
    sentences = []
    for comparison in baselines.comparisons:
        lower, higher = comparison.names
        gain = comparison.differences["roc_auc"]
        shown = "better" if gain.low > 0 else "worse" if gain.high < 0 else "not shown to be better"
        if network and higher == network.title:
            shown = (
                "it has learned more than light and colour; whether that is the face, only the "
                "comparison with faces can show"
                if gain.low > 0
                else "it is not shown to have learned more than light and colour"
            )
        sentences.append(
            f"{higher[:1].upper()}{higher[1:]}: its area lies {gain.value:+.3f} "
            f"({gain.low:+.3f} to {gain.high:+.3f}) from that of {lower}: {shown}."
        )
    return sentences


def _find_area(baseline: Baseline) -> float:
    return baseline.evaluation.curves.roc_auc if baseline.evaluation.curves else 0.5
