"""Does an exported file predict like the network it was made from? On photos, with numbers."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from emoclf.config import PARTS
from emoclf.data.cleaning import find_problems
from emoclf.data.loading import cache_photos
from emoclf.data.splitting import split_photos
from emoclf.display import count_noun
from emoclf.evaluation import Estimate, estimate_fraction
from emoclf.evaluation.comparing import mcnemar_test
from emoclf.images import ModelInfo, Network
from emoclf.images.faces import FaceDetector
from emoclf.inference import MakeDetector
from emoclf.models.formats import FORMATS, MAX_ACCURACY_LOSS, MAX_DIFFERENCE, ExportFormat
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.untrusted import show_text

CALIBRATION_PHOTOS = 200
"""Training photos that show the int8 format how large the numbers inside the network become."""

_TIMED_PHOTOS = 50
_BATCH = 32


class ParityPhotos(NamedTuple):
    """Photos of a network's size.

    Attributes:
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255: what is scored.
        photos: The same, with their labels.
        calibration: uint8 RGB `(others, height, width, 3)`, 0 to 255: training photos, none of
            which is scored.
        description: Which photos are scored, in words.
    """

    images: np.ndarray
    photos: Photos
    calibration: np.ndarray
    description: str


def gather_photos(
    source: Run | str | Path,
    info: ModelInfo,
    *,
    part: str = "test",
    run: Run | None = None,
    detector: FaceDetector | MakeDetector | None = None,
    progress: bool = False,
) -> ParityPhotos:
    """Decode the photos that an exported network is scored on, as they were for the training.

    Args:
        source: A run, or its folder; or a folder with one folder of photos per class, which is
            cleaned and split first.
        info: Size, resize mode and crop of the network.
        part: `"test"` or `"validation"`.
        run: The run that the network is of: its photos keep their parts when `source` holds them.
        detector: What finds faces, or a function that makes it when the network looks at faces;
            default: `make_detector()`.
        progress: Whether progress bars are shown.

    Returns:
        The photos of that part, and up to `CALIBRATION_PHOTOS` of the training's.

    Raises:
        FileNotFoundError: If there is no such folder, or the photos of the run are gone.
        UnreadableImageError: If a photo cannot be read any more; the message names it.
        ValueError: If the part holds no photo, or the classes are not those of the network.
    """
    if part not in PARTS[1:]:
        raise ValueError(
            f"part={part!r} should be 'test' or 'validation': on the photos that were learned "
            "from, every network looks good."
        )
    photos = _find_photos(source, info, run, progress)
    source = source.folder if isinstance(source, Run) else source
    train = photos.find_part("train")
    # Evenly over the list, so that every class is among them.
    spread = np.linspace(0, len(train) - 1, min(CALIBRATION_PHOTOS, len(train)), dtype=int)
    if info.crop == "none":
        detector = None
    cache = cache_photos(
        photos.take(np.r_[photos.find_part(part), train[spread]]),
        image_size=info.image_size,
        resize_mode=info.resize_mode,
        crop=info.crop,
        detector=detector() if callable(detector) else detector,
        progress=progress,
    )
    scored = cache.photos.part(part)
    if not len(scored):
        raise ValueError(
            f"The {part} part of {show_text(source)} holds no photo that can be scored. Name the "
            "other part, or a folder with one folder of photos per class."
        )
    return ParityPhotos(
        images=cache.images[cache.photos.find_part(part)],
        photos=scored,
        calibration=cache.images[cache.photos.find_part("train")],
        description=f"{count_noun(len(scored), f'{part} photo')} of {show_text(source)}",
    )


def _find_photos(
    source: Run | str | Path, info: ModelInfo, run: Run | None, progress: bool
) -> Photos:
    """Read the photos of a run, or split those of a folder, its own run's as they were."""
    opened = source if isinstance(source, Run) else Run(Path(source))
    if opened.is_there:
        photos = opened.find_photos()
    else:
        photos = split_photos(find_problems(opened.folder, progress=progress).kept)
        known = run.find_known(photos) if run and run.is_there else {}
        photos = photos.with_parts([known.get(row.path, row.part) for row in photos.rows])
    source = opened.folder
    if photos.class_names != info.class_names:
        raise ValueError(
            f"The photos of {show_text(source)} are {', '.join(photos.class_names)}, but the "
            f"network predicts {', '.join(info.class_names)}. Name photos of the network's classes."
        )
    return photos


class Score(NamedTuple):
    """What a network predicts for some photos, and how quickly.

    Attributes:
        probabilities: float32 `(photos, classes)`.
        accuracy: Fraction of right predictions; duplicates count once.
        milliseconds: Median time of one photo, predicted one at a time.
    """

    probabilities: np.ndarray
    accuracy: Estimate
    milliseconds: float


def score(network: Network, photos: ParityPhotos) -> Score:
    """Let a network predict photos with known labels.

    Args:
        network: A Keras model, a `JointNetwork` or an `ExportedNetwork`.
        photos: At least one photo.

    Returns:
        Its predictions, how many are right, and how long one takes.
    """
    images = photos.images
    network.predict_on_batch(images[:1])  # the first call prepares what the others use
    times = []
    for number in range(min(_TIMED_PHOTOS, len(images))):
        start = time.perf_counter()
        network.predict_on_batch(images[number : number + 1])
        times.append(1000 * (time.perf_counter() - start))
    batches = [
        np.asarray(network.predict_on_batch(images[start : start + _BATCH]), dtype=np.float32)
        for start in range(0, len(images), _BATCH)
    ]
    probabilities = np.concatenate(batches)
    is_right = probabilities.argmax(axis=1) == photos.photos.labels
    accuracy = estimate_fraction(is_right, photos.photos.groups)
    return Score(probabilities, accuracy, median(times))


@dataclass(frozen=True)
class Parity:
    """How an exported file does beside the network it was made from, on the same photos.

    Attributes:
        format: The format.
        path: The folder of the export.
        photos: Which photos, in words.
        largest_difference: The largest change of any probability, 0 to 1; a probability that is no
            number counts as 1.
        changed_predictions: Photos for which another class is predicted.
        accuracy_before: Of the network.
        accuracy_after: Of the exported file.
        size_mib: Size of the file in MiB; of a SavedModel, of all its files.
        milliseconds_before: Of the network itself: median time of one photo, one at a time.
        milliseconds: Likewise of the exported file, with what emoclf runs it with.
    """

    format: ExportFormat
    path: Path
    photos: str
    largest_difference: float
    changed_predictions: int
    accuracy_before: Estimate
    accuracy_after: Estimate
    size_mib: float
    milliseconds_before: float
    milliseconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the file predicts closely enough: what that means is in `rule`."""
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

    def describe_loss(self) -> str:
        """Say what a file that is not kept has lost, as far as the number of photos shows it."""
        count = self.accuracy_before.count
        lost = round((self.accuracy_before.value - self.accuracy_after.value) * count)
        changed = max(self.changed_predictions, lost)
        votes = (changed + lost) // 2, (changed - lost) // 2
        if not FORMATS[self.format].is_float and mcnemar_test(*votes) >= 0.05:
            return (
                f"{self.format} gets {lost:,} of {count_noun(count, 'photo')} less right, too few "
                f"to tell (n = {count:,}) whether it predicts worse than the network."
            )
        return f"{self.format} does not predict as the network does: {self.rule}."

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {**asdict(self), "path": str(self.path), "rule": self.rule, "is_kept": self.is_kept}
