"""Does an exported file answer like the network it was made from? On photos, with numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from emoclf.evaluation import BatchModel, Estimate, share_right
from emoclf.experiments.exporting.photos import ParityPhotos
from emoclf.models.formats import FORMATS, MAX_ACCURACY_LOSS, MAX_DIFFERENCE, ExportFormat

_TIMED_PHOTOS = 50
_BATCH = 32


@dataclass(frozen=True, eq=False)
class Score:
    """What a network answers for some photos, and how quickly.

    Attributes:
        probabilities: float32 `(photos, classes)`.
        accuracy: Share of right answers; copies of a photo count once.
        milliseconds: Median time of one photo, asked one at a time.
    """

    probabilities: np.ndarray
    accuracy: Estimate
    milliseconds: float


@dataclass(frozen=True)
class Parity:
    """How an exported file does beside the network it was made from, on the same photos.

    Attributes:
        format: The format.
        path: The folder of the export.
        photos: Which photos, in words.
        largest_difference: The largest change of any probability, 0 to 1.
        changed_answers: Photos that are called by another class.
        accuracy_before: Of the network.
        accuracy_after: Of the exported file.
        size_mib: Size of the file in MiB; of a SavedModel, of all its files.
        milliseconds_before: Of the network in Keras: median time of one photo, one at a time.
        milliseconds: Likewise of the exported file, with what emoclf runs it with.
    """

    format: ExportFormat
    path: Path
    photos: str
    largest_difference: float
    changed_answers: int
    accuracy_before: Estimate
    accuracy_after: Estimate
    size_mib: float
    milliseconds_before: float
    milliseconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the file answers closely enough: what that means is in `rule`."""
        if FORMATS[self.format].is_float:
            return self.largest_difference < MAX_DIFFERENCE
        loss = self.accuracy_before.value - self.accuracy_after.value
        return loss <= MAX_ACCURACY_LOSS + 1e-9  # 0.9 - 0.89 is a little more than 0.01

    @property
    def rule(self) -> str:
        """What the file must keep."""
        if FORMATS[self.format].is_float:
            return f"no probability may change by {MAX_DIFFERENCE:.0e} or more"
        return f"accuracy may fall by {100 * MAX_ACCURACY_LOSS:.0f} point at most"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {**asdict(self), "path": str(self.path), "rule": self.rule, "is_kept": self.is_kept}


def score(network: BatchModel, photos: ParityPhotos) -> Score:
    """Ask a network about photos with known labels.

    Args:
        network: A Keras model or an `ExportedNetwork`.
        photos: At least one photo.

    Returns:
        Its answers, how many are right, and how long one takes.
    """
    images, labels = photos.images, photos.labels
    network.predict_on_batch(images[:1])  # the first call prepares what the others use
    times = []
    for number in range(min(_TIMED_PHOTOS, len(images))):
        start = time.perf_counter()
        network.predict_on_batch(images[number : number + 1])
        times.append(1000 * (time.perf_counter() - start))
    parts = [
        np.asarray(network.predict_on_batch(images[start : start + _BATCH]), dtype=np.float32)
        for start in range(0, len(images), _BATCH)
    ]
    probabilities = np.concatenate(parts)
    is_right = probabilities.argmax(axis=1) == labels
    return Score(probabilities, share_right(is_right, photos.groups), median(times))


def compare(
    before: Score,
    after: Score,
    *,
    format: ExportFormat,
    path: Path,
    size_mib: float,
    photos: str,
) -> Parity:
    """Compare the answers of an exported file with those of the network.

    Args:
        before: Of the network.
        after: Of the exported file, for the same photos.
        format: Its format.
        path: The folder of the export.
        size_mib: Its size in MiB.
        photos: Which photos, in words.

    Returns:
        The comparison. A probability that is no number counts as the largest difference there is.
    """
    difference = np.abs(after.probabilities - before.probabilities).max()
    changed = after.probabilities.argmax(axis=1) != before.probabilities.argmax(axis=1)
    return Parity(
        format=format,
        path=path,
        photos=photos,
        largest_difference=1.0 if np.isnan(difference) else float(difference),
        changed_answers=int(changed.sum()),
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        size_mib=size_mib,
        milliseconds_before=before.milliseconds,
        milliseconds=after.milliseconds,
    )


def describe_parities(parities: Sequence[Parity]) -> str:
    """Return the comparisons as a table, with what is not kept said below.

    Args:
        parities: At least one, all of one network and the same photos.

    Returns:
        One line per format, accuracy with its interval and n.
    """
    first = parities[0]
    lines = [
        f"on {first.photos}; the network in Keras takes {first.milliseconds_before:.1f} ms a photo",
        f"accuracy before: {first.accuracy_before}",
        "",
        f"{'format':12}{'difference':>11}{'changed':>8}{'MiB':>8}{'ms':>7}  accuracy after",
    ]
    lines += [
        f"{each.format:12}{each.largest_difference:11.1e}{each.changed_answers:8,}"
        f"{each.size_mib:8.2f}{each.milliseconds:7.1f}  {each.accuracy_after}"
        for each in parities
    ]
    lines += [
        f"Careful: {each.format} does not answer as the network does: {each.rule}."
        for each in parities
        if not each.is_kept
    ]
    return "\n".join(lines)
