"""Two networks on the same photos: which is better, or that these photos do not tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.display import Displayed, Table, count_noun
from emoclf.evaluation.bootstrap import BOOTSTRAP_RESAMPLES, resample_figures
from emoclf.evaluation.estimates import Estimate, count_independent, subtract_estimates
from emoclf.evaluation.evaluation import Evaluation
from emoclf.evaluation.figures import estimate_all

_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "calibration_error": "calibration error",
}


@dataclass(frozen=True)
class Comparison(Displayed):
    """The difference between two networks on the same photos.

    Attributes:
        names: Names of the two.
        only_first: Photos (a group of duplicates counts once) that the first alone gets right.
        only_second: Photos that the second alone gets right.
        p_value: McNemar's exact test: how often two equally good networks would be as unequal.
        differences: Figure to second minus first, with the paired interval. Above 0 the second is
            better, but for `calibration_error`, where less is better.
        photos: Number of photos.
    """

    names: tuple[str, str]
    only_first: int
    only_second: int
    p_value: float
    differences: dict[str, Estimate]
    photos: int

    @property
    def better(self) -> str | None:
        """The network that is right more often, by McNemar's test; None when it cannot be told."""
        if self.p_value >= 0.05:
            return None
        return self.names[self.only_second > self.only_first]

    def blocks(self) -> Iterable[str | Table]:
        """Return the differences, and which network is better or that it is open."""
        first, second = self.names
        yield Table(
            (f"{second} minus {first}", "difference", "95 % interval"),
            [(_TITLES[name], e.value, e.interval) for name, e in self.differences.items()],
        )
        yield (
            f"Of the same {count_noun(self.photos, 'photo')} {second} alone gets "
            f"{self.only_second} right, {first} alone {self.only_first}: McNemar's exact test, "
            f"p = {self.p_value:.3g}."
        )
        if self.better:
            yield f"{self.better} is right more often: chance is an unlikely reason."
        else:
            yield "These photos do not tell which of the two is right more often."
        area = self.differences.get("roc_auc")
        if area is None:
            yield "The photos hold one class only: areas cannot be compared."
        elif area.low > 0 or area.high < 0:
            yield f"{second if area.low > 0 else first} ranks the photos better (ROC AUC)."
        else:
            yield "These photos do not tell which of the two ranks better (ROC AUC)."

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return {**asdict(self), "better": self.better}


def compare_evaluations(
    first: Evaluation,
    second: Evaluation,
    *,
    names: tuple[str, str] = ("first", "second"),
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compare two networks on the same photos.

    Accuracy is compared by McNemar's (1947) exact test on the photos that one of the two alone
    gets right; duplicates have one vote together. Each difference has an interval from the
    intervals of both figures and their correlation (Newcombe, 1998), which for areas, F1 and
    calibration error comes from a paired bootstrap: both networks see the same resamples.

    Six figures are compared. One of six differs by chance alone more often than one, so choose
    beforehand which of them decides.

    Args:
        first: The evaluation of one network.
        second: That of the other, of the same photos in the same order.
        names: Names of the two, for the text.
        resamples: Number of resamples of the bootstrap.
        seed: Their seed.

    Returns:
        The differences, second minus first, and what they show.

    Raises:
        ValueError: If the two are of different photos.
    """
    check_same_photos(first, second, names)
    votes = _count_votes(first, second)
    differences = {"accuracy": _subtract_accuracies(first, second)}
    differences |= _subtract_figures(first, second, resamples, seed)
    return Comparison(
        names=names,
        only_first=votes[0],
        only_second=votes[1],
        p_value=mcnemar_test(*votes),
        differences={name: differences[name] for name in _TITLES if name in differences},
        photos=len(first.photos),
    )


def check_same_photos(first: Evaluation, second: Evaluation, names: tuple[str, str]) -> None:
    """Raise unless two evaluations are of the same photos, with the same duplicates."""
    one, other = first.photos, second.photos
    same = one.paths == other.paths and np.array_equal(one.labels, other.labels)
    if not same or one.class_names != other.class_names:
        raise ValueError(
            "Two networks are compared on the same photos in the same order, with the same true "
            f"classes. Received: {names[0]}, {len(one)} photos, and {names[1]}, "
            f"{len(other)} photos. Evaluate both on the same photos."
        )
    if not np.array_equal(one.groups, other.groups):
        raise ValueError(
            "The two evaluations do not name the same duplicates: give the same `photos` to both."
        )


def mcnemar_test(only_first: int, only_second: int) -> float:
    """Test whether two networks are equally often right (McNemar, 1947; exact).

    Args:
        only_first: Photos that the first alone gets right.
        only_second: Photos that the second alone gets right.

    Returns:
        The two-sided p-value; 1 when they never differ.
    """
    from scipy.stats import binomtest

    count = only_first + only_second
    return float(binomtest(only_first, count).pvalue) if count else 1.0


def _count_votes(first: Evaluation, second: Evaluation) -> tuple[int, int]:
    """Count the groups of duplicates in which one network is right more often than the other."""
    number = np.unique(first.photos.groups, return_inverse=True)[1]
    lead = np.bincount(number, weights=second.is_right.astype(np.int64) - first.is_right)
    return int((lead < 0).sum()), int((lead > 0).sum())


def _subtract_accuracies(first: Evaluation, second: Evaluation) -> Estimate:
    """Subtract two fractions of the same photos (Newcombe, 1998, method 10)."""
    one, other = first.is_right, second.is_right
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    margins = (both + only_one) * (only_other + neither) * (both + only_other)
    product = margins * (only_one + neither)
    shared = float(both * neither - only_one * only_other)
    if shared > 0:
        worth = count_independent(first.photos.groups)
        shared = max(shared - len(one) ** 2 / (2 * worth), 0.0)
    correlation = shared / product**0.5 if product else 0.0
    return subtract_estimates(second.accuracy, first.accuracy, correlation=correlation)


def _subtract_figures(
    first: Evaluation, second: Evaluation, resamples: int, seed: int
) -> dict[str, Estimate]:
    found = []
    for each in (first, second):
        estimates, resampled, _ = estimate_all(
            each.photos, each.probabilities, resamples=resamples, seed=seed
        )
        estimates["balanced_accuracy"] = each.balanced_accuracy
        resampled["balanced_accuracy"] = _resample_balanced_accuracy(each, resamples, seed)
        found.append((estimates, resampled))
    (one, one_resampled), (other, other_resampled) = found
    last = f"f1_{len(first.photos.class_names) - 1}"
    return {
        "f1" if name == last else name: subtract_estimates(
            other[name],
            one[name],
            correlation=_correlate(one_resampled[name], other_resampled[name]),
        )
        for name in one
        if name == last or not name.startswith("f1_")
    }


def _resample_balanced_accuracy(evaluation: Evaluation, resamples: int, seed: int) -> np.ndarray:
    labels, is_right = evaluation.labels, evaluation.is_right.astype(float)
    members = np.stack([labels == label for label in np.unique(labels)], axis=1).astype(float)

    def measure(weights: np.ndarray) -> np.ndarray:
        return ((weights * is_right) @ members / (weights @ members)).mean(axis=1)

    return resample_figures(measure, evaluation.photos, resamples=resamples, seed=seed)


def _correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Correlate two columns of resamples; 0, which is careful, where one of them never moves."""
    if min(one.std(), other.std()) < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
