"""The finished ladder: its table, and what the steps between the rungs mean, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from emoclf.baselines.rungs import LIGHT_RUNGS, Rung, RungName
from emoclf.evaluation import Evaluation

FEWEST_OF_A_CLASS = 10
"""With fewer photos of a class an interval of an area cannot be relied on, and none is given."""

_UNEVEN = 0.6

FEW_PHOTOS = 100
"""Below this many test photos an accuracy is uncertain by ten points and more either way."""


@dataclass(frozen=True)
class AreaDifference:
    """How far two areas under ROC lie apart, or one from guessing, with a 95 % interval.

    Attributes:
        value: The first area minus the second, -1 to 1.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        """Return for example `0.120 (0.031 to 0.209)`."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def compare_areas(first: Evaluation, second: Evaluation | None = None) -> AreaDifference | None:
    """Compare the areas under ROC of two networks on the same photos, after DeLong et al. (1988).

    Args:
        first: The answers of one.
        second: Those of the other, about the same photos; None compares with guessing, 0.5.

    Returns:
        The difference with its interval; None if a class has fewer than `FEWEST_OF_A_CLASS`
        photos.

    Raises:
        ValueError: If they were asked about different photos.
    """
    if second is not None and second.paths != first.paths:
        raise ValueError(
            "Expected answers about the same photos in the same order, received "
            f"{len(first.paths)} and {len(second.paths)} photos. Evaluate both on one list."
        )
    is_last = first.labels == len(first.class_names) - 1
    if min(is_last.sum(), (~is_last).sum()) < FEWEST_OF_A_CLASS:
        return None
    gains, losses = _place_scores(first.probabilities[:, -1], is_last)
    if second is not None:
        others = _place_scores(second.probabilities[:, -1], is_last)
        gains, losses = gains - others[0], losses - others[1]
    value = float(gains.mean()) - (0.5 if second is None else 0.0)
    error = (gains.var(ddof=1) / len(gains) + losses.var(ddof=1) / len(losses)) ** 0.5
    half = NormalDist().inv_cdf(0.975) * float(error)
    limit = 0.5 if second is None else 1.0
    return AreaDifference(value, max(-limit, value - half), min(limit, value + half))


def _place_scores(scores: np.ndarray, is_last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each photo of the last class the share of others that it beats, and vice versa."""
    last, others = np.sort(scores[is_last]), np.sort(scores[~is_last])

    def place(values: np.ndarray, among: np.ndarray) -> np.ndarray:
        below = np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")
        return below / (2 * len(among))

    return place(scores[is_last], others), 1 - place(scores[~is_last], last)


@dataclass(frozen=True, eq=False)
class Ladder:
    """All rungs, asked about the same test photos.

    Attributes:
        folder: Where everything of it is kept.
        rungs: From the lowest to the highest, without those that were skipped.
        counts: Split -> class name -> number of photos.
    """

    folder: Path
    rungs: tuple[Rung, ...]
    counts: dict[str, dict[str, int]]

    @property
    def without_face(self) -> int | None:
        """Test photos in which no face was found; None where no rung looked for faces."""
        counts = (rung.answers.without_face for rung in self.rungs)
        return next((count for count in counts if count is not None), None)

    def find(self, name: RungName) -> Rung | None:
        """Return a rung, or None if it was skipped."""
        return next((rung for rung in self.rungs if rung.name == name), None)

    def describe(self) -> str:
        """Return the table of all rungs, and the verdict."""
        test = self.rungs[0].evaluation
        names = f"{'accuracy':>9}  {'95 % interval':16}{'balanced':>9}{'AUC':>7}{'seconds':>9}"
        lines = [f"{len(test.labels)} test photos, the same for all rungs", "", f"{'':32}{names}"]
        for rung in self.rungs:
            share, area = rung.evaluation.accuracy, rung.evaluation.curves
            seconds = rung.answers.seconds
            lines.append(
                f"{rung.title:32}{share.value:9.3f}  {f'{share.low:.3f} to {share.high:.3f}':16}"
                f"{rung.evaluation.balanced_accuracy.value:9.3f}"
                f"{'-' if area is None else f'{area.roc_auc:.3f}':>7}"
                f"{'-' if seconds is None else f'{seconds:.1f}':>9}"
            )
        return "\n".join([*lines, "", *self._list_notes(), "", self.describe_verdict()])

    def _list_notes(self) -> list[str]:
        """Return what the reader of the table should know, a line each."""
        notes = [f"{rung.title}: {rung.answers.note}" for rung in self.rungs if rung.answers.note]
        notes += [
            f"{rung.title}: {rung.evaluation.collapse}"
            for rung in self.rungs
            if rung.evaluation.collapse and rung.name != "majority"
        ]
        if self.without_face:
            notes.append(
                f"{self.without_face} of the test photos show no face that was found: there the "
                "rungs that look at faces were shown the whole photo."
            )
        if self.rungs[0].evaluation.majority_accuracy.value > _UNEVEN:
            notes.append(
                "The classes are uneven, and with class weights the rarer one counts for more: a "
                "rung may get fewer right than the majority and know more. Compare the balanced "
                "accuracy and the AUC."
            )
        return notes

    def describe_verdict(self) -> str:
        """Say whether the networks learned faces or that sad photos are dark, from the numbers."""
        sentences = [*_describe_light(self), *_describe_networks(self)]
        test = self.rungs[0].evaluation
        rarest = min(scores.recall.count for scores in test.per_class)
        if len(test.labels) < FEW_PHOTOS:
            sentences.append(
                f"With {len(test.labels)} test photos ({rarest} of the rarer class) the intervals "
                "are wide: what is not shown here may still be so. Test on more photos."
            )
        if rarest < FEWEST_OF_A_CLASS:
            sentences.append(
                f"With fewer than {FEWEST_OF_A_CLASS} of a class the rungs are not compared: "
                "nothing can be concluded about them."
            )
        return " ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of all rungs as a dictionary that JSON can hold."""
        return {
            "counts": self.counts,
            "test_photos_without_face": self.without_face,
            "rungs": [
                {
                    "name": rung.name,
                    "title": rung.title,
                    "seconds": rung.answers.seconds,
                    "note": rung.answers.note,
                    **rung.evaluation.to_dict(),
                }
                for rung in self.rungs
            ],
            "verdict": self.describe_verdict(),
        }


def _describe_light(ladder: Ladder) -> list[str]:
    """Say what brightness alone reaches."""
    rung = ladder.find("brightness")
    if rung is None:
        return []
    numbers = rung.evaluation
    reached = (
        f"Brightness alone gets {numbers.accuracy} right; always {numbers.majority_class} gets "
        f"{numbers.majority_accuracy.value:.3f}."
    )
    difference = compare_areas(numbers)
    if difference is None or numbers.curves is None:
        return [
            f"{reached} Too few photos of one class to say whether light tells the classes apart."
        ]
    area = f"area under ROC {numbers.curves.roc_auc:.3f}, {_shift(difference)}"
    tells = difference.low > 0
    return [f"{reached} Its {area}: light is {'' if tells else 'not '}shown to tell them apart."]


def _shift(difference: AreaDifference) -> str:
    return f"95 % interval {0.5 + difference.low:.3f} to {0.5 + difference.high:.3f}"


def _describe_networks(ladder: Ladder) -> list[str]:
    """Compare the networks with the best that light and colour reach, and with each other."""
    light = [rung for rung in map(ladder.find, LIGHT_RUNGS) if rung and rung.evaluation.curves]
    network = ladder.find("network")
    sentences = []
    if light and network:
        best = max(light, key=_area)
        gain = compare_areas(network.evaluation, best.evaluation)
        if gain is not None:
            learned = (
                "it has learned more than that one class is darker; whether that is the face, a "
                "comparison with faces has to show"
                if gain.low > 0
                else "it is not shown to have learned more than light and colour"
            )
            sentences.append(
                f"{_capital(network.title)}: an area {gain} above {best.title}, the better of the "
                f"rungs of light: {learned}."
            )
    for rung in (ladder.find("face_features"), ladder.find("fine_tuned")):
        below = _find_below(ladder.rungs, rung)
        if rung and below:
            gain = compare_areas(rung.evaluation, below.evaluation)
            if gain is not None:
                shown = "better" if gain.low > 0 else "not shown to be better"
                shown = "worse" if gain.high < 0 else shown
                sentences.append(
                    f"{_capital(rung.title)}: an area {gain} above {below.title}: {shown}."
                )
    return sentences


def _find_below(rungs: Sequence[Rung], rung: Rung | None) -> Rung | None:
    """Return the next lower rung; None for the lowest, and where there is no rung."""
    place = rungs.index(rung) if rung in rungs else 0
    return rungs[place - 1] if rung and place else None


def _area(rung: Rung) -> float:
    return rung.evaluation.curves.roc_auc if rung.evaluation.curves else 0.5


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
