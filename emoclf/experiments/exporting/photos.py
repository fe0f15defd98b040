"""The photos that an exported network is scored on, and those that int8 is calibrated with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoclf.config import PARTS
from emoclf.data.cleaning import find_problems
from emoclf.data.loading import cache_photos
from emoclf.data.splitting import split_photos
from emoclf.images.faces import FaceDetector
from emoclf.inference.predictor import MakeDetector
from emoclf.models.model_file import ModelInfo
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.untrusted import show_text

CALIBRATION_PHOTOS = 200
"""Training photos that show the int8 format how large the numbers inside the network become."""


@dataclass(frozen=True, eq=False)
class ParityPhotos:
    """Photos of a network's size.

    Attributes:
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255: what is scored.
        labels: Their true labels, int64 `(photos,)`.
        groups: One number per photo, equal for copies, int64 `(photos,)`.
        calibration: uint8 RGB `(others, height, width, 3)`, 0 to 255: training photos, none of
            which is scored.
        description: Which photos are scored, in words.
    """

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    calibration: np.ndarray
    description: str


def gather_photos(
    source: str | Path,
    info: ModelInfo,
    *,
    part: str = "test",
    detector: FaceDetector | MakeDetector | None = None,
    progress: bool = False,
) -> ParityPhotos:
    """Decode the photos that an exported network is scored on, as they were for the training.

    Args:
        source: A run folder, whose split says which photos; or a folder with one folder of photos
            per class, which is cleaned and split first.
        info: Size, resize mode and crop of the network.
        part: `"test"` or `"validation"`.
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
    photos = _find_photos(Path(source), info, progress)
    if info.crop == "none":
        detector = None
    cache = cache_photos(
        photos.take(np.r_[photos.find_part(part), _choose_calibration(photos)]),
        image_size=info.image_size,
        resize_mode=info.resize_mode,
        crop=info.crop,
        detector=detector() if callable(detector) else detector,
        progress=progress,
    )
    scored, photos = cache.photos.find_part(part), cache.photos.part(part)
    if not len(scored):
        raise ValueError(
            f"The {part} part of {show_text(source)} holds no photo that can be scored. Name the "
            "other part, or a folder with one folder of photos per class."
        )
    return ParityPhotos(
        images=cache.images[scored],
        labels=photos.labels,
        groups=photos.groups,
        calibration=cache.images[cache.photos.find_part("train")],
        description=f"{len(scored):,} {part} photos of {show_text(source)}",
    )


def _find_photos(source: Path, info: ModelInfo, progress: bool) -> Photos:
    """Read the split of a run, or split a folder of photos."""
    if Run(source).is_there:
        photos = Run(source).find_photos()
    else:
        photos = split_photos(find_problems(source, progress=progress).kept)
    if photos.class_names != info.class_names:
        raise ValueError(
            f"The photos of {show_text(source)} are {', '.join(photos.class_names)}, but the "
            f"network answers {', '.join(info.class_names)}. Name photos of the network's classes."
        )
    return photos


def _choose_calibration(photos: Photos) -> np.ndarray:
    """Choose training photos evenly over the list, so that every class is among them."""
    train = photos.find_part("train")
    count = min(CALIBRATION_PHOTOS, len(train))
    return train[np.linspace(0, len(train) - 1, count, dtype=int)]
