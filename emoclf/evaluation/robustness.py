"""How much corruption a network bears: its accuracy on the same photos, blurred, darkened, turned.

Every photo is brought to a working size, corrupted, and only then prepared for the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.evaluation.classes import score_classes, share_right
from emoclf.evaluation.estimates import Estimate, average_estimates, number_groups
from emoclf.images.corruptions import (
    CORRUPTIONS,
    WORKING_SIDE,
    Corruption,
    CorruptionName,
    choose_degrees,
    corrupt_photo,
    load_at_working_size,
)

BATCH_SIZE = 16
"""Photos that are decoded, corrupted and answered at a time."""


@dataclass(frozen=True, eq=False)
class CorruptedPhoto:
    """A photo that was corrupted, for those who must know how.

    Attributes:
        pixels: uint8 RGB `(height, width, 3)`, 0 to 255, of the working size.
        clean: The same before the corruption.
        index: Which of the photos it is.
        corruption: What was done; None for nothing.
        degrees: How far it was turned to the left, about its centre; 0 without rotation.
    """

    pixels: np.ndarray
    clean: np.ndarray
    index: int
    corruption: CorruptionName | None = None
    degrees: float = 0.0


PredictCorrupted = Callable[[Sequence[CorruptedPhoto]], np.ndarray]
"""Returns probabilities `(photos, classes)`; a row of nan for a photo it has no answer for."""


@dataclass(frozen=True)
class CorruptionCurve:
    """The accuracy under one kind of corruption.

    Attributes:
        corruption: The kind and its severities.
        accuracy: One share per severity, on the same photos each.
        balanced: The mean recall of the classes, likewise: where the classes are uneven, a network
            that gives one answer to everything has a good accuracy and a balanced one of 0.5.
        unanswered: Photos without an answer, per severity; they count as wrong.
    """

    corruption: Corruption
    accuracy: tuple[Estimate, ...]
    balanced: tuple[Estimate, ...]
    unanswered: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The mean balanced accuracy over the severities."""
        return sum(each.value for each in self.balanced) / len(self.balanced)


@dataclass(frozen=True)
class RobustnessReport:
    """The accuracy on corrupted photos beside that on the same photos clean.

    Attributes:
        clean: Accuracy at the working size, without corruption.
        clean_balanced: The mean recall of the classes, likewise.
        majority: What always giving the more frequent class reaches.
        curves: One per kind of corruption.
        working_side_px: The longer side of the photos that were corrupted.
        note: How the photos were looked at, such as where faces were searched for.
    """

    clean: Estimate
    clean_balanced: Estimate
    majority: Estimate
    curves: tuple[CorruptionCurve, ...]
    working_side_px: int
    note: str = ""

    @property
    def most_damaging(self) -> CorruptionCurve:
        """The kind of corruption with the lowest mean balanced accuracy over its severities."""
        return min(self.curves, key=lambda curve: curve.mean)

    def describe(self) -> str:
        """Return two rows per kind of corruption, and what can be concluded in words."""
        lines = [f"clean: {self.clean}", f"balanced: {self.clean_balanced}", ""]
        for curve in self.curves:
            lines.append(
                _write_row(curve.corruption.title, curve.corruption.severities, curve.accuracy)
            )
            lines.append(_write_row("  balanced", curve.corruption.severities, curve.balanced))
        if self.note:
            lines += ["", self.note]
        return "\n".join([*lines, "", self.describe_worst()])

    def describe_worst(self) -> str:
        """Name the most harmful kind, and from which severity on the loss is more than chance."""
        curve, clean = self.most_damaging, self.clean_balanced
        name = curve.corruption.title.partition(":")[0]
        text = (
            f"Most harmful: {name}. Over its severities the balanced accuracy is "
            f"{curve.mean:.3f} on average, {clean.value - curve.mean:.3f} below the clean "
            f"{clean.value:.3f} (n = {clean.count}, {self.working_side_px} pixels)."
        )
        clear = [
            severity
            for severity, share in zip(curve.corruption.severities, curve.balanced, strict=True)
            if share.high < clean.low
        ]
        if clear:
            text += f" From {clear[0]:g} on ({curve.corruption.title}) the intervals lie apart."
        else:
            text += (
                f" At no severity do the intervals lie apart: with {clean.count} photos no "
                "corruption "
                "is shown to matter."
            )
        return (
            f"{text} The severities are no common scale, so which corruption is worst depends on "
            "them."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {**asdict(self), "text": self.describe_worst()}


def measure_robustness(
    answer: Callable[[Sequence[np.ndarray]], np.ndarray],
    photos: Sequence[Any],
    *,
    labels: Sequence[int] | np.ndarray,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    seed: int = SEED,
    groups: Sequence[int] | np.ndarray | None = None,
    working_side_px: int = WORKING_SIDE,
    watch: Callable[[Iterable[range]], Iterable[range]] = iter,
) -> RobustnessReport:
    """Measure the accuracy of any function of photos on the same photos, corrupted.

    Args:
        answer: Gets uint8 RGB `(height, width, 3)` arrays of the working size, of different
            shapes, and returns probabilities `(photos, classes)`.
        photos: As for `emoclf.load_image`: paths, arrays or bytes. Each is decoded once.
        labels: Their true labels.
        corruptions: What is done to them.
        seed: Seed of everything random; every photo has noise, a patch and a direction of its own.
        groups: One number per photo, equal for copies, which count once in the intervals.
        working_side_px: As for `load_at_working_size`.
        watch: Passes on batches of photos, for a progress bar: `tqdm`.

    Returns:
        The accuracy for every corruption and severity.

    Raises:
        UnreadableImageError: If a photo cannot be read.
        ValueError: If the number of photos and labels differs, there is none, or an answer has
            another shape.
    """

    def answer_pixels(corrupted: Sequence[CorruptedPhoto]) -> np.ndarray:
        return answer([each.pixels for each in corrupted])

    return measure_corrupted(
        answer_pixels,
        photos,
        labels=labels,
        corruptions=corruptions,
        seed=seed,
        groups=groups,
        working_side_px=working_side_px,
        watch=watch,
    )


def measure_corrupted(
    answer: PredictCorrupted,
    photos: Sequence[Any],
    *,
    labels: Sequence[int] | np.ndarray,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    seed: int = SEED,
    groups: Sequence[int] | np.ndarray | None = None,
    working_side_px: int = WORKING_SIDE,
    watch: Callable[[Iterable[range]], Iterable[range]] = iter,
    note: str = "",
) -> RobustnessReport:
    """Measure the accuracy on corrupted photos, for those who must know how each was corrupted.

    Args:
        answer: Gets corrupted photos, returns probabilities; nan where it has no answer.
        photos: As for `measure_robustness`, and so are the others.
        labels: Their true labels.
        corruptions: What is done to them.
        seed: Seed of everything random.
        groups: Which photos are copies.
        working_side_px: The longer side.
        watch: Passes on batches.
        note: What the reader of the report should know.

    Returns:
        The accuracy for every corruption and severity.

    Raises:
        UnreadableImageError: If a photo cannot be read.
        ValueError: As for `measure_robustness`.
    """
    truth = np.asarray(labels, dtype=np.int64)
    if len(truth) != len(photos) or not len(truth) or not corruptions:
        raise ValueError(
            "Expected at least one photo, a label for each, and at least one corruption. Received: "
            f"{len(photos)} photos, {len(truth)} labels, {len(corruptions)} corruptions."
        )
    kinds: list[tuple[Corruption | None, float]] = [(None, 0.0)]
    kinds += [
        (corruption, severity) for corruption in corruptions for severity in corruption.severities
    ]
    answers = np.full((len(kinds), len(truth)), -1, dtype=np.int64)
    batches = [range(i, min(i + BATCH_SIZE, len(truth))) for i in range(0, len(truth), BATCH_SIZE)]
    for batch in watch(batches):
        loaded = [load_at_working_size(photos[index], working_side_px) for index in batch]
        for row, (corruption, severity) in zip(answers, kinds, strict=True):
            given = answer(_corrupt_batch(loaded, batch, corruption, severity, seed))
            row[batch.start : batch.stop] = _check_answers(given, len(batch))
    copies = None if groups is None else number_groups(groups)
    clean, *others = [(*_score(row, truth, copies), int((row < 0).sum())) for row in answers]
    curves = []
    for corruption in corruptions:
        own, others = others[: len(corruption.severities)], others[len(corruption.severities) :]
        accuracy, balanced, silent = zip(*own, strict=True)
        curves.append(CorruptionCurve(corruption, accuracy, balanced, silent))
    majority = share_right(truth == np.bincount(truth).argmax(), copies)
    return RobustnessReport(*clean[:2], majority, tuple(curves), working_side_px, note)


def _score(
    answers: np.ndarray, truth: np.ndarray, groups: np.ndarray | None
) -> tuple[Estimate, Estimate]:
    """Return the accuracy and the balanced accuracy; no answer (-1) is a wrong one."""
    names = [str(label) for label in range(int(truth.max()) + 1)]
    scores = score_classes(truth, answers, groups=groups, class_names=names)
    recalls = [each.recall for each in scores if each.recall.count]
    return share_right(answers == truth, groups), average_estimates(recalls)


def _write_row(title: str, severities: Sequence[float], shares: Sequence[Estimate]) -> str:
    pairs = zip(severities, shares, strict=True)
    cells = "".join(f"{f'{severity:g}: {share.value:.3f}':>12}" for severity, share in pairs)
    return f"{title:40}{cells}"


def _corrupt_batch(
    loaded: Sequence[np.ndarray],
    batch: range,
    corruption: Corruption | None,
    severity: float,
    seed: int,
) -> list[CorruptedPhoto]:
    """Corruption photos of the working size, each with a seed of its own."""
    if corruption is None:
        pairs = zip(batch, loaded, strict=True)
        return [CorruptedPhoto(pixels, pixels, index) for index, pixels in pairs]
    corrupted = []
    for index, pixels in zip(batch, loaded, strict=True):
        own = seed + index
        degrees = choose_degrees(severity, seed=own) if corruption.name == "rotation" else 0.0
        changed = corrupt_photo(pixels, corruption.name, severity=severity, seed=own)
        corrupted.append(CorruptedPhoto(changed, pixels, index, corruption.name, degrees))
    return corrupted


def _check_answers(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the answered labels, int64 `(photos,)`, -1 where there is no answer."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != count:
        raise ValueError(
            f"answer: expected probabilities (photos, classes) for {count} photos, received an "
            f"array of shape {rows.shape}. Let it return one row per photo."
        )
    is_silent = np.isnan(rows).any(axis=1)
    return np.where(is_silent, -1, np.argmax(np.nan_to_num(rows), axis=1))
