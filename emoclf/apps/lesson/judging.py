"""Two classifiers of the lesson on the same photos: a verdict that is fair to both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emoclf.display import Displayed, Table, count_noun
from emoclf.evaluation import Evaluation
from emoclf.evaluation.comparing import Comparison, compare_evaluations
from emoclf.evaluation.estimates import Estimate


@dataclass(frozen=True)
class Verdict(Displayed):
    """What a test says of a network that was trained from nothing, and of borrowed ones.

    Attributes:
        own: The evaluation of the network that was trained from nothing.
        borrowed: That of a head on borrowed networks, of the same photos; None without it.
        comparison: Both in pairs; None where there is one only.
        learned: How many photos both have learned from.
        crossed: The cross-validated accuracy of `borrowed`, where the photos are few; else None.
    """

    own: Evaluation
    borrowed: Evaluation | None
    comparison: Comparison | None
    learned: int
    crossed: Estimate | None

    def blocks(self) -> Iterable[str | Table]:
        """Return both accuracies beside "always", and what they show."""
        both = {"your network": self.own, "step 3": self.borrowed}
        tested = {name: each for name, each in both.items() if each is not None}
        rows = [
            (name, each.accuracy.value, each.accuracy.interval, each.balanced_accuracy.value)
            for name, each in tested.items()
        ]
        always = self.own.majority_accuracy
        chance = 1 / len(self.own.photos.class_names)
        rows.append((f"always {self.own.majority_class}", always.value, always.interval, chance))
        yield Table(("on the test", "accuracy", "95 % interval", "balanced"), rows)
        yield from (self._judge_alone(name, each) for name, each in tested.items())
        if self.comparison is not None:
            yield self._judge_pair(self.comparison)
        if self.crossed is not None:
            yield (
                "So few photos make a rough test. Step 3, cross-validated, is right in "
                f"{self.crossed}: report this figure."
            )

    def _judge_alone(self, name: str, tested: Evaluation) -> str:
        subject = name[0].upper() + name[1:]
        balanced = f"balanced accuracy {tested.balanced_accuracy}"
        if tested.is_above_chance:
            return f"{subject} beats always giving the same answer: {balanced}."
        return f"{subject} is NOT shown to beat always giving the same answer: {balanced}."

    def _judge_pair(self, comparison: Comparison) -> str:
        counts = (
            f"your network alone is right in {count_noun(comparison.only_first, 'photo')}, step 3 "
            f"alone in {comparison.only_second} (McNemar's exact test, duplicates counted once, "
            f"p = {comparison.p_value:.2g})"
        )
        if comparison.better is None:
            return f"These photos do not tell which is better: {counts}."
        if comparison.better == "step 3":
            return (
                f"Step 3 is better: {counts}. Both learned from {self.learned:,} photos; but your "
                "network began with nothing, and step 3 with networks that had seen millions."
            )
        return (
            f"Your network is better: {counts}. It learned from {self.learned:,} photos of this "
            "very kind; the borrowed networks have seen millions, but of other kinds."
        )


def judge_classifiers(
    own: Evaluation,
    borrowed: Evaluation | None = None,
    *,
    learned: int,
    crossed: Estimate | None = None,
) -> Verdict:
    """Judge a network trained from nothing beside borrowed ones, on the same test photos.

    Args:
        own: The evaluation of the network trained from nothing.
        borrowed: That of a head on borrowed networks, or None.
        learned: How many photos both have learned from.
        crossed: The cross-validated accuracy of the second, where the photos are few.

    Returns:
        The verdict, which shows itself.

    Raises:
        ValueError: If the two are of different photos.
    """
    names = ("your network", "step 3")
    pair = None if borrowed is None else compare_evaluations(own, borrowed, names=names)
    return Verdict(own, borrowed, pair, learned, crossed)
