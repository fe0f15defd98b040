"""Where a network fails: its accuracy on parts of the photos, and whether the parts differ at all.

Cut into enough slices, any test has a bad one: with twenty slices of fifty photos the worst looks
poor by chance alone. So the slices of a property are tested together, the properties are corrected
for one another, and the worst slice is compared with the worst that chance brings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.evaluation.chance import (
    DRAWS,
    correct_for_many,
    draw_right_counts,
    find_p_value,
)
from emoclf.evaluation.classes import share_right
from emoclf.evaluation.estimates import Estimate
from emoclf.evaluation.metrics import Evaluation

SMALL_SLICE = 20
"""Below this many photos a slice is marked: its interval is wider than about 40 points."""

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Slice:
    """The accuracy on the photos that have something in common.

    Attributes:
        measure: What they were sorted by, such as `"brightness"`.
        name: Which of them these are, such as `"below 87"`.
        accuracy: Share of right answers, with its interval and the number of photos.
        majority_share: What always giving the more frequent class of all photos reaches here.
        is_small: Whether there are too few photos to say much.
    """

    measure: str
    name: str
    accuracy: Estimate
    majority_share: float
    is_small: bool


@dataclass(frozen=True)
class SliceTest:
    """Whether the slices of one measure differ by more than chance.

    Attributes:
        measure: The measure.
        p_value: Share of random orders in which the slices differ at least as much.
        corrected: The same after Holm's (1979) correction for the number of measures.
    """

    measure: str
    p_value: float
    corrected: float

    @property
    def differs(self) -> bool:
        """Whether the slices are shown to differ, at 5 % over all measures together."""
        return self.corrected < _SIGNIFICANT


@dataclass(frozen=True)
class SliceReport:
    """The accuracy on parts of the photos.

    Attributes:
        overall: The accuracy on all photos.
        majority_class: The more frequent class of all photos.
        slices: In the order of the measures, each from low to high.
        tests: One per measure with at least two slices.
        expected_worst: What the worst of the slices that are not small would reach on average if
            no measure mattered; None without such slices.
        worst_p_value: How often chance alone brings a worst slice at least as bad; likewise.
    """

    overall: Estimate
    majority_class: str
    slices: tuple[Slice, ...]
    tests: tuple[SliceTest, ...]
    expected_worst: float | None
    worst_p_value: float | None

    @property
    def worst(self) -> Slice | None:
        """The slice with the lowest accuracy that is not small; None without one."""
        large = [each for each in self.slices if not each.is_small]
        return min(large, key=lambda each: each.accuracy.value, default=None)

    def describe(self) -> str:
        """Return the slices as a table, and what can be concluded from it in words."""
        lines = [f"all photos: {self.overall}", ""]
        lines.append(f"{'':40}{'accuracy':>9}  {'95 % interval':16}{'n':>6}  always")
        lines.append(f"{'':40}{'':9}  {'':16}{'':>6}  {self.majority_class}")
        for each in self.slices:
            share, mark = each.accuracy, "  few photos" if each.is_small else ""
            interval = f"{share.low:.3f} to {share.high:.3f}"
            title = f"{each.measure}: {each.name}"
            lines.append(
                f"{title:40}{share.value:9.3f}  {interval:16}{share.count:6}"
                f"{each.majority_share:8.3f}{mark}"
            )
        return "\n".join([*lines, "", self.describe_tests()])

    def describe_tests(self) -> str:
        """Say which measures matter, and what the worst slice is worth."""
        found = [test for test in self.tests if test.differs]
        if not self.tests:
            text = "No measure cuts these photos into two slices, so none can be compared."
        elif found:
            names = ", ".join(f"{each.measure} (p = {each.corrected:.3f})" for each in found)
            text = f"The accuracy differs with {names}, corrected for {len(self.tests)} measures."
        else:
            text = (
                f"For none of {len(self.tests)} measures are the slices shown to differ "
                f"(Holm's correction, {DRAWS:,} random orders): these photos do not tell."
            )
        return f"{text} {self._describe_worst()}"

    def _describe_worst(self) -> str:
        worst = self.worst
        if worst is None or self.expected_worst is None or self.worst_p_value is None:
            return (
                f"No slice has {SMALL_SLICE} photos or more: nothing can be concluded from one "
                "of them. Test on more photos."
            )
        count = sum(not each.is_small for each in self.slices)
        share = worst.accuracy.value
        verdict = "chance" if self.worst_p_value >= _SIGNIFICANT else "more than chance"
        return (
            f"Among many slices one is the worst by chance: of {count}, the lowest would be at "
            f"{self.expected_worst:.3f} on average if nothing mattered. Here it is {share:.3f} "
            f"({worst.measure}: {worst.name}), which chance reaches in "
            f"{self.worst_p_value:.1%} of the draws: {verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {**asdict(self), "text": self.describe_tests()}


def slice_evaluation(
    evaluation: Evaluation,
    measures: Mapping[str, Sequence[float] | Sequence[str] | np.ndarray],
    *,
    cuts: Mapping[str, Sequence[float]] | None = None,
    parts: int = 3,
    seed: int = SEED,
) -> SliceReport:
    """Measure the accuracy on slices of the photos.

    Whether the slices of a measure differ is tested with the chi-square statistic of right and
    wrong answers per slice; its distribution comes from random orders of the answers, which is
    right for few photos too (Fisher's permutation principle, 1935). Copies of a photo change
    places together. The worst slice is compared with the worst of the same random orders
    (Westfall and Young, 1993).

    Args:
        evaluation: The answers.
        measures: Name to one value per photo, in the order of the evaluation: numbers, which are
            cut into slices, or words, each of which is a slice. A photo whose number is not finite
            or whose word is empty is in no slice of that measure.
        cuts: Measure to the numbers at which it is cut, rising; a value belongs to the slice that
            begins with it. Default: quantiles of the values, so that the slices are equally large.
        parts: How many slices the quantiles make.
        seed: Seed of the random orders.

    Returns:
        The slices, the tests and what they are worth.

    Raises:
        ValueError: If there is no measure, a length does not fit or cuts do not rise.

    Example:
        >>> from emoclf.evaluation import evaluate_predictions
        >>> rows = np.repeat([[0.9, 0.1]], 4, axis=0)
        >>> report = slice_evaluation(
        ...     evaluate_predictions([0, 0, 1, 1], rows), {"face": ["yes", "yes", "no", "yes"]}
        ... )
        >>> [(each.name, each.accuracy.count) for each in report.slices]
        [('no', 1), ('yes', 3)]
    """
    if not measures:
        raise ValueError(
            "measures: expected at least one, received none. emoclf.measure_photos makes some."
        )
    groups, is_right = evaluation.groups, evaluation.predicted_labels == evaluation.labels
    is_majority = evaluation.labels == evaluation.class_names.index(evaluation.majority_class)
    parted = [
        (measure, name, inside)
        for measure, values in measures.items()
        for name, inside in _cut(
            measure, _check_values(measure, values, len(is_right)), (cuts or {}).get(measure), parts
        )
        if inside.any()
    ]
    slices = tuple(
        Slice(
            measure,
            name,
            share_right(is_right[inside], None if groups is None else groups[inside]),
            float(is_majority[inside].mean()),
            bool(inside.sum() < SMALL_SLICE),
        )
        for measure, name, inside in parted
    )
    members = np.array([inside for *_, inside in parted], dtype=bool).reshape(-1, len(is_right))
    tests, expected, worst_p = _test_slices(slices, members, is_right, groups, seed)
    majority = evaluation.majority_class
    return SliceReport(evaluation.accuracy, majority, slices, tests, expected, worst_p)


def _check_values(
    measure: str, values: Sequence[float] | Sequence[str] | np.ndarray, count: int
) -> np.ndarray:
    found = np.asarray(values)
    if found.shape != (count,):
        raise ValueError(
            f"measures[{measure!r}]: expected {count} values, one per photo, received an array of "
            f"shape {found.shape}. emoclf.measure_photos measures the photos of an evaluation."
        )
    return found


def _cut(
    measure: str, values: np.ndarray, cuts: Sequence[float] | None, parts: int
) -> list[tuple[str, np.ndarray]]:
    """Return name and bool `(photos,)` of every slice of one measure, from low to high."""
    if values.dtype.kind in "US":
        return [(str(word), values == word) for word in np.unique(values) if word]
    values = values.astype(np.float64)
    known = values[np.isfinite(values)]
    if cuts is None:
        shares = np.arange(1, parts) / parts
        cuts = np.unique(np.quantile(known, shares)).tolist() if len(known) else []
    if list(cuts) != sorted(set(cuts)):
        raise ValueError(f"cuts[{measure!r}]: expected rising numbers, received {list(cuts)}.")
    edges = [-np.inf, *cuts, np.inf]
    return [
        (_name_range(low, high), np.isfinite(values) & (values >= low) & (values < high))
        for low, high in itertools.pairwise(edges)
    ]


def _name_range(low: float, high: float) -> str:
    if np.isinf(low) and np.isinf(high):
        return "all"
    if np.isinf(low):
        return f"below {high:.3g}"
    return f"{low:.3g} or more" if np.isinf(high) else f"{low:.3g} to {high:.3g}"


def _test_slices(
    slices: Sequence[Slice],
    inside: np.ndarray,
    is_right: np.ndarray,
    groups: np.ndarray | None,
    seed: int,
) -> tuple[tuple[SliceTest, ...], float | None, float | None]:
    """Compare slices with those of random orders; `inside` is bool `(slices, photos)`."""
    owner = np.array([each.measure for each in slices])
    tested = [name for name in dict.fromkeys(owner.tolist()) if (owner == name).sum() > 1]
    large = np.array([not each.is_small for each in slices], dtype=bool)
    counts = inside.sum(axis=1).astype(np.float64)
    share = float(is_right.mean())
    rights = draw_right_counts(inside, is_right, groups, seed)
    rows = {name: owner == name for name in tested}
    p_values = {}
    for name, own in rows.items():
        expected = counts[own, None] * rights[own].sum(axis=0) / counts[own].sum()
        statistic = ((rights[own] - expected) ** 2 / counts[own, None]).sum(axis=0)
        p_values[name] = find_p_value(statistic)
    corrected = correct_for_many(p_values)
    tests = tuple(SliceTest(name, p_values[name], corrected[name]) for name in tested)
    if not large.any() or share in (0.0, 1.0):
        return tests, None, None
    lowest = -(rights[large] / counts[large, None]).min(axis=0)
    return tests, float(-lowest[1:].mean()), find_p_value(lowest)
