"""How much corruption a network bears: its accuracy on the same photos, blurred, darkened, turned.

Every photo is brought to a working size, corrupted, and only then prepared for the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclf.config import SEED
from emoclf.display import Displayed, Table, count_noun
from emoclf.evaluation.estimates import (
    Estimate,
    average_estimates,
    estimate_fraction,
    score_classes,
)
from emoclf.images.corruptions import (
    CORRUPTIONS,
    WORKING_SIDE,
    Corruption,
    CorruptionName,
    choose_degrees,
    corrupt_photo,
    load_at_working_size,
)
from emoclf.photos import Photos

BATCH_SIZE = 16
"""Photos that are decoded, corrupted and predicted at a time."""


@dataclass(frozen=True, eq=False)
class CorruptedPhoto:
    """A photo that was corrupted, and how.

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
"""Returns probabilities `(photos, classes)`; a row of nan for a photo without a prediction."""


@dataclass(frozen=True)
class CorruptionCurve:
    """The accuracy under one kind of corruption.

    Attributes:
        corruption: The kind and its severities.
        accuracy: One per severity, on the same photos each.
        balanced: The mean recall of the classes, likewise: where the classes are uneven, a network
            that predicts one class for everything has a good accuracy and a balanced one of 0.5.
        unanswered: Photos without a prediction, per severity; they count as wrong.
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
class RobustnessReport(Displayed):
    """The accuracy on corrupted photos beside that on the same photos clean.

    Attributes:
        clean: Accuracy at the working size, without corruption.
        clean_balanced: The mean recall of the classes, likewise.
        majority: What always predicting the more frequent class reaches.
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

    def blocks(self) -> Iterable[str | Table]:
        """Return two rows per kind of corruption, and what can be concluded."""
        yield f"clean: {self.clean}"
        yield f"clean, balanced: {self.clean_balanced}"
        steps = max(len(curve.accuracy) for curve in self.curves)
        rows = [
            (title, *_write_cells(curve.corruption.severities, estimates, steps))
            for curve in self.curves
            for title, estimates in (
                (curve.corruption.title, curve.accuracy),
                ("- balanced", curve.balanced),
            )
        ]
        yield Table(("severity: accuracy", *[""] * steps), rows)
        yield from [self.note] if self.note else []
        yield self.conclusion

    @property
    def conclusion(self) -> str:
        """The most damaging kind, and from which severity on, where that is more than chance."""
        clean, photos = self.clean_balanced, count_noun(self.clean_balanced.count, "photo")
        if clean.low <= 1 / 2:
            return (
                f"Clean, nothing shows that these {photos} are predicted better than by guessing "
                f"(balanced accuracy {clean}), so no corruption is shown to matter."
            )
        shown = [each for each in self.curves if self.find_apart(each)]
        if not shown:
            return (
                "At no severity of any corruption do the intervals lie apart: with "
                f"{photos} no corruption is shown to matter."
            )
        curve = min(shown, key=lambda each: each.mean)
        first = self.find_apart(curve)[0]
        return (
            f"Most damaging: {curve.corruption.title.partition(':')[0]}. Over its severities the "
            f"balanced accuracy is {curve.mean:.3f} on average, {clean.value - curve.mean:.3f} "
            f"below the clean {clean.value:.3f} (n = {clean.count}, {self.working_side_px} "
            f"pixels). From {first:g} on ({curve.corruption.title}) the intervals lie apart. The "
            "severities are no common scale, so which corruption is worst depends on them."
        )

    def find_apart(self, curve: CorruptionCurve) -> list[float]:
        """Return the severities at which the balanced accuracy is shown to be below the clean."""
        pairs = zip(curve.corruption.severities, curve.balanced, strict=True)
        return [severity for severity, each in pairs if each.high < self.clean_balanced.low]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {**asdict(self), "text": self.conclusion}


def _write_cells(
    severities: Sequence[float], estimates: Sequence[Estimate], steps: int
) -> list[str | None]:
    pairs = zip(severities, estimates, strict=True)
    cells: list[str | None] = [f"{severity:g}: {each.value:.3f}" for severity, each in pairs]
    return cells + [None] * (steps - len(cells))


def measure_robustness(
    predict: PredictCorrupted,
    photos: Photos,
    *,
    images: Sequence[Any] | None = None,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    seed: int = SEED,
    working_side_px: int = WORKING_SIDE,
    watch: Callable[[Iterable[range]], Iterable[range]] = iter,
    note: str = "",
) -> RobustnessReport:
    """Measure the accuracy of any function of photos on the same photos, corrupted.

    Args:
        predict: Gets corrupted photos, whose `pixels` are of the working size and of different
            shapes; returns probabilities `(photos, classes)`, a row of nan where it has none.
        photos: The photos, with true labels; duplicates count once in the intervals.
        images: What is decoded in place of `photos.files`, once each: paths, arrays or bytes, as
            for `emoclf.load_image`.
        corruptions: What is done to them.
        seed: Seed of everything random; every photo has noise, a patch and a direction of its own.
        working_side_px: As for `load_at_working_size`.
        watch: Passes on batches of photos, for a progress bar: `tqdm`.
        note: What the reader of the report should know.

    Returns:
        The accuracy for every corruption and severity.

    Raises:
        UnreadableImageError: If a photo cannot be read.
        ValueError: If there is no photo or no corruption, `images` are not those of the photos, or
            `predict` returns another shape.

    Example:
        >>> def predict_brightness(corrupted):
        ...     bright = np.array([photo.pixels.mean() / 255 for photo in corrupted])
        ...     return np.stack([1 - bright, bright], axis=1)
        >>> report = measure_robustness(predict_brightness, photos)  # doctest: +SKIP
    """
    sources = photos.files if images is None else images
    if len(sources) != len(photos) or not len(photos) or not corruptions:
        raise ValueError(
            "Expected at least one photo, an image for each, and at least one corruption. "
            f"Received: {len(photos)} photos, {len(sources)} images, {len(corruptions)} "
            "corruptions."
        )
    kinds: list[tuple[Corruption | None, float]] = [(None, 0.0)]
    kinds += [(corruption, each) for corruption in corruptions for each in corruption.severities]
    predicted = np.full((len(kinds), len(photos)), -1, dtype=np.int64)
    starts = range(0, len(photos), BATCH_SIZE)
    batches = [range(start, min(start + BATCH_SIZE, len(photos))) for start in starts]
    for batch in watch(batches):
        loaded = [load_at_working_size(sources[index], working_side_px) for index in batch]
        for row, (corruption, severity) in zip(predicted, kinds, strict=True):
            given = predict(_corrupt_batch(loaded, batch, corruption, severity, seed))
            row[batch.start : batch.stop] = _check_probabilities(given, len(batch))
    scored = iter([(*_score(row, photos), int((row < 0).sum())) for row in predicted])
    clean, clean_balanced, _ = next(scored)
    curves = []
    for corruption in corruptions:
        own = [next(scored) for _ in corruption.severities]
        accuracy, balanced, silent = zip(*own, strict=True)
        curves.append(CorruptionCurve(corruption, accuracy, balanced, silent))
    is_majority = photos.labels == np.bincount(photos.labels).argmax()
    majority = estimate_fraction(is_majority, photos.groups)
    return RobustnessReport(clean, clean_balanced, majority, tuple(curves), working_side_px, note)


def _score(predicted: np.ndarray, photos: Photos) -> tuple[Estimate, Estimate]:
    """Return the accuracy and the balanced accuracy; no prediction (-1) is a wrong one."""
    recalls = [each.recall for each in score_classes(photos, predicted) if each.recall.count]
    is_right = predicted == photos.labels
    return estimate_fraction(is_right, photos.groups), average_estimates(recalls)


def _corrupt_batch(
    loaded: Sequence[np.ndarray],
    batch: range,
    corruption: Corruption | None,
    severity: float,
    seed: int,
) -> list[CorruptedPhoto]:
    """Corrupt photos of the working size, each with a seed of its own."""
    if corruption is None:
        return [CorruptedPhoto(pixels, pixels, i) for i, pixels in zip(batch, loaded, strict=True)]
    corrupted = []
    for index, pixels in zip(batch, loaded, strict=True):
        own = seed + index
        degrees = choose_degrees(severity, seed=own) if corruption.name == "rotation" else 0.0
        changed = corrupt_photo(pixels, corruption.name, severity=severity, seed=own)
        corrupted.append(CorruptedPhoto(changed, pixels, index, corruption.name, degrees))
    return corrupted


def _check_probabilities(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the predicted labels, int64 `(photos,)`, -1 where there is no prediction."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != count:
        raise ValueError(
            f"predict: expected probabilities (photos, classes) for {count} photos, received an "
            f"array of shape {rows.shape}. Let it return one row per photo."
        )
    is_silent = np.isnan(rows).any(axis=1)
    return np.where(is_silent, -1, np.argmax(np.nan_to_num(rows), axis=1))
