"""Two networks on the same photos: which is better, or that these photos do not tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.evaluation.bootstrap import DRAWS, draw_figures, draw_honest_errors
from emoclf.evaluation.estimates import Estimate, count_independent, subtract_estimates
from emoclf.evaluation.figures import draw_all, estimate_all
from emoclf.evaluation.metrics import Evaluation

_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "calibration_error": "calibration error",
}


@dataclass(frozen=True)
class Comparison:
    """The difference between two networks, asked about the same photos.

    Attributes:
        names: Names of the two.
        only_first: Photos (groups of copies count once) that the first alone gets right.
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

    def describe(self) -> str:
        """Return the differences as a text that says which is better, or that it is open."""
        first, second = self.names
        lines = [f"{second} minus {first}, on the same {self.photos:,} photos:"]
        lines += [f"{_TITLES[name]:20}{each}" for name, each in self.differences.items()]
        lines.append(
            f"{self.only_second} photos only {second} gets right, {self.only_first} only {first}: "
            f"McNemar's exact test, p = {self.p_value:.3g}."
        )
        if self.better:
            lines.append(f"{self.better} is right more often: chance is an unlikely reason.")
        else:
            lines.append("These photos do not tell which of the two is right more often.")
        area = self.differences.get("roc_auc")
        if area is None:
            lines.append("The photos hold one class only: areas cannot be compared.")
        elif area.low > 0 or area.high < 0:
            lines.append(f"{second if area.low > 0 else first} ranks the photos better (ROC AUC).")
        else:
            lines.append("These photos do not tell which of the two ranks better (ROC AUC).")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return {**asdict(self), "better": self.better}


def compare_evaluations(
    first: Evaluation,
    second: Evaluation,
    *,
    names: tuple[str, str] = ("first", "second"),
    draws: int = DRAWS,
    seed: int = SEED,
) -> Comparison:
    """Compare two networks that were asked about the same photos.

    Accuracy is compared by McNemar's (1947) exact test on the photos that one of the two alone
    gets right; copies of a photo have one vote together. Each difference has an interval from
    the intervals of both figures and their correlation (Newcombe, 1998), which for areas, F1 and
    calibration error comes from a paired bootstrap: both networks see the same drawn photos.

    Six figures are compared. One of six differs by chance alone more often than one, so choose
    beforehand which of them decides.

    Args:
        first: Numbers of one network.
        second: Numbers of the other, of the same photos in the same order.
        names: Names of the two, for the text.
        draws: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        The differences, second minus first, and what they show.

    Raises:
        ValueError: If the two were asked about different photos.
    """
    _check_same_photos(first, second, names)
    votes = _count_votes(first, second)
    differences = {"accuracy": _subtract_accuracies(first, second)}
    differences |= _subtract_figures(first, second, draws, seed)
    order = [name for name in _TITLES if name in differences]
    return Comparison(
        names=names,
        only_first=votes[0],
        only_second=votes[1],
        p_value=mcnemar_test(*votes),
        differences={name: differences[name] for name in order},
        photos=len(first.labels),
    )


def _check_same_photos(first: Evaluation, second: Evaluation, names: tuple[str, str]) -> None:
    same = first.paths == second.paths and np.array_equal(first.labels, second.labels)
    if not same or first.class_names != second.class_names:
        raise ValueError(
            "Two networks are compared on the same photos in the same order, with the same true "
            f"classes. Received: {names[0]}, {len(first.paths)} photos, and {names[1]}, "
            f"{len(second.paths)} photos. Evaluate both on the same photos."
        )
    nothing = np.zeros(0)
    copies = [nothing if each.groups is None else each.groups for each in (first, second)]
    if not np.array_equal(copies[0], copies[1]):
        raise ValueError(
            "The two evaluations do not name the same copies: give the same `groups` to both calls "
            "of evaluate_predictions."
        )


def mcnemar_test(only_first: int, only_second: int) -> float:
    """Test whether two networks are equally often right (McNemar, 1947; exact).

    Args:
        only_first: Photos that the first alone gets right.
        only_second: Photos that the second alone gets right.

    Returns:
        The two-sided p-value; 1 when they are never of different opinion.
    """
    from scipy.stats import binomtest

    count = only_first + only_second
    return float(binomtest(only_first, count).pvalue) if count else 1.0


def _count_votes(first: Evaluation, second: Evaluation) -> tuple[int, int]:
    """Count the groups of copies in which one network is right more often than the other."""
    lead = _is_right(second).astype(np.int64) - _is_right(first)
    if first.groups is not None:
        number = np.unique(first.groups, return_inverse=True)[1]
        lead = np.bincount(number, weights=lead)
    return int((lead < 0).sum()), int((lead > 0).sum())


def _is_right(evaluation: Evaluation) -> np.ndarray:
    return evaluation.predicted_labels == evaluation.labels


def _subtract_accuracies(first: Evaluation, second: Evaluation) -> Estimate:
    """Subtract two shares of the same photos (Newcombe, 1998, method 10)."""
    one, other = _is_right(first), _is_right(second)
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    margins = (both + only_one) * (only_other + neither) * (both + only_other)
    product = margins * (only_one + neither)
    shared = float(both * neither - only_one * only_other)
    if shared > 0:
        worth = count_independent(first.groups) or len(one)
        shared = max(shared - len(one) ** 2 / (2 * worth), 0.0)
    correlation = shared / product**0.5 if product else 0.0
    return subtract_estimates(second.accuracy, first.accuracy, correlation=correlation)


def _subtract_figures(
    first: Evaluation, second: Evaluation, draws: int, seed: int
) -> dict[str, Estimate]:
    found = []
    for each in (first, second):
        labels, answers, groups = each.labels, each.probabilities, each.groups
        values, drawn = draw_all(labels, answers, groups=groups, draws=draws, seed=seed)
        honest = draw_honest_errors(answers.max(axis=1), groups, draws=draws, seed=seed)
        limit = float(np.quantile(honest, 0.975))
        estimates = estimate_all(labels, answers, values, drawn, groups=groups, by_chance=limit)
        estimates["balanced_accuracy"] = each.balanced_accuracy
        drawn["balanced_accuracy"] = _draw_balanced_accuracy(each, draws, seed)
        found.append((estimates, drawn))
    (one, one_drawn), (other, other_drawn) = found
    last = f"f1_{len(first.class_names) - 1}"
    return {
        "f1" if name == last else name: subtract_estimates(
            other[name],
            one[name],
            correlation=_correlate(one_drawn[name], other_drawn[name]),
        )
        for name in one
        if name == last or not name.startswith("f1_")
    }


def _draw_balanced_accuracy(evaluation: Evaluation, draws: int, seed: int) -> np.ndarray:
    labels, is_right = evaluation.labels, _is_right(evaluation).astype(float)
    members = np.stack([labels == label for label in np.unique(labels)], axis=1).astype(float)

    def measure(weights: np.ndarray) -> np.ndarray:
        return ((weights * is_right) @ members / (weights @ members)).mean(axis=1)

    return draw_figures(measure, labels, evaluation.groups, draws=draws, seed=seed)


def _correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Correlate two columns of draws; 0, which is careful, where one of them never moves."""
    if min(one.std(), other.std()) < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
