"""Where a network fails: its accuracy on parts of the photos, and whether the parts differ at all.

Cut into enough slices, any test has a bad one: with twenty slices of fifty photos the worst looks
poor by chance alone. So the slices of a property are tested together, the properties are corrected
for one another, and the worst slice is compared with the worst that chance brings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.display import Displayed, Table
from emoclf.evaluation.estimates import ESTIMATE_HEADERS, TOO_FEW, Estimate
from emoclf.evaluation.evaluation import Evaluation

SMALL_SLICE = 20
"""Below this many photos a slice is marked: its interval is wider than about 40 points."""

RANDOM_ORDERS = 4_999
"""Random orders of the right and wrong predictions: p-values come in steps of 1 / 5,000."""

_SIGNIFICANT = 0.05
_CHUNK = 500


@dataclass(frozen=True)
class Slice:
    """The accuracy on the photos that have something in common.

    Attributes:
        measure: What they were sorted by, such as `"brightness"`.
        name: Which of them these are, such as `"below 87"`.
        accuracy: The accuracy, with its interval and the number of photos.
        majority_accuracy: What always predicting the more frequent class of all photos reaches
            here.
        is_small: Whether there are too few photos to say much.
    """

    measure: str
    name: str
    accuracy: Estimate
    majority_accuracy: float
    is_small: bool

    @property
    def is_tiny(self) -> bool:
        """Whether there are too few photos for a fraction of them to say anything."""
        return self.accuracy.count < TOO_FEW


@dataclass(frozen=True)
class SliceTest:
    """Whether the slices of one measure differ by more than chance.

    Attributes:
        measure: The measure.
        p_value: Fraction of random orders in which the slices differ at least as much.
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
class SliceReport(Displayed):
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

    def blocks(self) -> Iterable[str | Table]:
        """Return the slices, and what can be concluded from them."""
        rows = [
            (
                f"{each.measure}: {each.name}",
                *each.accuracy.to_cells(is_fraction=True),
                None if each.is_tiny else each.majority_accuracy,
                "few photos" if each.is_small else None,
            )
            for each in self.slices
        ]
        yield f"all photos: {self.overall}"
        head = ("slice", "accuracy", *ESTIMATE_HEADERS[1:], f"always {self.majority_class}", "")
        yield Table(head, rows)
        yield self.conclusion

    @property
    def conclusion(self) -> str:
        """Which measures matter, and what the worst slice is worth, in sentences."""
        found = [test for test in self.tests if test.differs]
        if not self.tests:
            text = "No measure cuts these photos into two slices, so none can be compared."
        elif found:
            names = ", ".join(f"{each.measure} (p = {each.corrected:.3f})" for each in found)
            text = f"The accuracy differs with {names}, corrected for {len(self.tests)} measures."
        else:
            text = (
                f"For none of {len(self.tests)} measures are the slices shown to differ "
                f"(Holm's correction, {RANDOM_ORDERS:,} random orders): these photos do not tell."
            )
        return f"{text} {self._judge_worst()}"

    def _judge_worst(self) -> str:
        worst = self.worst
        if worst is None or self.expected_worst is None or self.worst_p_value is None:
            return (
                f"No slice has {SMALL_SLICE} photos or more: nothing can be concluded from one "
                "of them. Test on more photos."
            )
        count = sum(not each.is_small for each in self.slices)
        verdict = "chance" if self.worst_p_value >= _SIGNIFICANT else "more than chance"
        return (
            f"Among many slices one is the worst by chance: of {count}, the lowest would be at "
            f"{self.expected_worst:.3f} on average if nothing mattered. Here it is "
            f"{worst.accuracy.value:.3f} ({worst.measure}: {worst.name}), which chance reaches in "
            f"{self.worst_p_value:.1%} of the random orders: {verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {**asdict(self), "text": self.conclusion}


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
    wrong predictions per slice; its distribution comes from random orders of the predictions, which
    is right for few photos too (Fisher's permutation principle, 1935). Duplicates change places
    together. The worst slice is compared with the worst of the same random orders (Westfall and
    Young, 1993).

    Args:
        evaluation: The evaluation.
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
        >>> from emoclf.evaluation import Evaluation
        >>> from emoclf.photos import Photos
        >>> photos = Photos.make(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], [0, 0, 1, 1])
        >>> evaluation = Evaluation(photos, np.repeat([[0.9, 0.1]], 4, axis=0))
        >>> report = slice_evaluation(evaluation, {"face": ["yes", "yes", "no", "yes"]})
        >>> [(each.name, each.accuracy.count) for each in report.slices]
        [('no', 1), ('yes', 3)]
    """
    if not measures:
        raise ValueError(
            "measures: expected at least one, received none. experiments.error_analysis."
            "measure_photos makes some."
        )
    cut = [
        (measure, name, inside)
        for measure, values in measures.items()
        for name, inside in _cut(
            measure,
            _check_values(measure, values, len(evaluation.photos)),
            (cuts or {}).get(measure),
            parts,
        )
        if inside.any()
    ]
    majority = evaluation.majority_class
    is_majority = evaluation.labels == evaluation.photos.class_names.index(majority)
    slices = tuple(
        Slice(
            measure,
            name,
            evaluation.take(inside).accuracy,
            float(is_majority[inside].mean()),
            bool(inside.sum() < SMALL_SLICE),
        )
        for measure, name, inside in cut
    )
    members = np.array([inside for *_, inside in cut], dtype=bool)
    tests, expected, worst_p = _test_slices(
        slices, members.reshape(-1, len(evaluation.photos)), evaluation, seed
    )
    return SliceReport(evaluation.accuracy, majority, slices, tests, expected, worst_p)


def _check_values(
    measure: str, values: Sequence[float] | Sequence[str] | np.ndarray, count: int
) -> np.ndarray:
    found = np.asarray(values)
    if found.shape != (count,):
        raise ValueError(
            f"measures[{measure!r}]: expected {count} values, one per photo, received an array of "
            f"shape {found.shape}. experiments.error_analysis.measure_photos measures the photos "
            "of an evaluation."
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
        at = np.arange(1, parts) / parts
        cuts = np.unique(np.quantile(known, at)).tolist() if len(known) else []
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
    slices: Sequence[Slice], inside: np.ndarray, evaluation: Evaluation, seed: int
) -> tuple[tuple[SliceTest, ...], float | None, float | None]:
    """Compare slices with those of random orders; `inside` is bool `(slices, photos)`."""
    owner = np.array([each.measure for each in slices])
    tested = [name for name in dict.fromkeys(owner.tolist()) if (owner == name).sum() > 1]
    large = np.array([not each.is_small for each in slices], dtype=bool)
    counts = inside.sum(axis=1).astype(np.float64)
    rights = _count_right_in_random_orders(
        inside, evaluation.is_right, evaluation.photos.groups, seed
    )
    p_values = {}
    for name in tested:
        own = owner == name
        expected = counts[own, None] * rights[own].sum(axis=0) / counts[own].sum()
        statistic = ((rights[own] - expected) ** 2 / counts[own, None]).sum(axis=0)
        p_values[name] = _find_p_value(statistic)
    corrected = correct_for_many(p_values)
    tests = tuple(SliceTest(name, p_values[name], corrected[name]) for name in tested)
    if not large.any() or len(np.unique(evaluation.is_right)) == 1:
        return tests, None, None
    lowest = -(rights[large] / counts[large, None]).min(axis=0)
    return tests, float(-lowest[1:].mean()), _find_p_value(lowest)


def _count_right_in_random_orders(
    inside: np.ndarray, is_right: np.ndarray, groups: np.ndarray, seed: int
) -> np.ndarray:
    """Count the right predictions in sets of photos, as they are and in random orders.

    Duplicates are right or wrong together, so groups change places with groups as large.

    Args:
        inside: bool `(sets, photos)`: which photos a set holds.
        is_right: bool `(photos,)`.
        groups: int64 `(photos,)`, equal for duplicates.
        seed: Seed of the orders.

    Returns:
        float64 `(sets, 1 + RANDOM_ORDERS)`: as they are, then as ordered.
    """
    generator = np.random.default_rng(seed)
    blocks = _find_blocks(groups)
    members, right = inside.astype(np.float32), is_right.astype(np.float32)
    columns = [members @ right[:, None]]
    for start in range(0, RANDOM_ORDERS, _CHUNK):
        ordered = np.empty((min(_CHUNK, RANDOM_ORDERS - start), len(right)), dtype=np.float32)
        for block in blocks:
            order = generator.permuted(np.tile(np.arange(len(block)), (len(ordered), 1)), axis=1)
            ordered[:, block.ravel()] = right[block][order].reshape(len(ordered), -1)
        columns.append(members @ ordered.T)
    return np.concatenate(columns, axis=1).astype(np.float64)


def _find_blocks(groups: np.ndarray) -> list[np.ndarray]:
    """Return positions of photos, int64 `(groups, size)`, for every size that groups have."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    sizes = sorted({len(part) for part in parts})
    return [np.array([part for part in parts if len(part) == size]) for size in sizes]


def _find_p_value(statistics: np.ndarray) -> float:
    """Return how often a statistic is at least as large as the first, which counts, too."""
    return float(np.mean(statistics >= statistics[0] - 1e-9))


def correct_for_many(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p-values for their number after Holm (1979).

    Args:
        p_values: Name to p-value.

    Returns:
        Name to corrected p-value, at most 1.
    """
    corrected, largest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda each: p_values[each])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = largest
    return corrected
