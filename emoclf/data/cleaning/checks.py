"""What is wrong with one file by itself: read once, decoded small, measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.data.cleaning.duplicates import Signature, make_signature
from emoclf.data.cleaning.report import FileRecord, Problem
from emoclf.images import (
    FORMAT_EXTENSIONS,
    DecodedImage,
    UnreadableImageError,
    decode_image,
    read_image_bytes,
    sharing_memory,
)

_MEASURED_SIDE = 128
"""Brightness, contrast and sharpness are measured at this short side, in pixels."""

_MEASURED_LENGTH = 32_000
_STRIP_PIXELS = 1 << 17

_UNREADABLE_KINDS = frozenset({"missing", "not_a_file", "no_permission"})


@dataclass(frozen=True)
class CleaningThresholds:
    """Where each check draws its line; the defaults were measured on scraped photos.

    Attributes:
        min_side_px: A picture with a shorter side is rejected: no face can be seen in it.
        max_aspect: Advice when the long side is more than this many times the short one.
        blank_contrast: Reject below this contrast: one colour, or noise around it.
        dark_brightness: Advice below this brightness.
        blurred_sharpness: Advice below this sharpness.
        compared_contrast: Below this contrast two pictures are compared byte by byte only,
            because empty pictures all look the same.
        max_hash_distance: Largest number of differing hash bits of near-duplicates, 0 to 64.
        min_similarity: Smallest thumbnail correlation of near-duplicates.
    """

    min_side_px: int = 32
    max_aspect: float = 3.0
    blank_contrast: float = 3.0
    dark_brightness: float = 20.0
    blurred_sharpness: float = 0.12
    compared_contrast: float = 8.0
    max_hash_distance: int = 12
    min_similarity: float = 0.9


@dataclass(frozen=True)
class ExaminedFile:
    """A file's record, and its signature if it takes part in the search for near-duplicates."""

    record: FileRecord
    signature: Signature | None = None


def examine_file(path: Path, record: FileRecord, *, thresholds: CleaningThresholds) -> ExaminedFile:
    """Read a file once and find what is wrong with it by itself.

    Args:
        path: The file.
        record: Its record with path, class name and label filled in.
        thresholds: Where each check draws its line.

    Returns:
        The completed record and the signature. Whatever is wrong, nothing is raised: a file
        that vanished or cannot be read has the problem "unreadable".
    """
    with sharing_memory():
        try:
            data = read_image_bytes(path)
        except UnreadableImageError as error:
            digest = hashlib.sha256(b"").hexdigest() if error.kind == "empty" else ""
            return ExaminedFile(_reject(replace(record, sha256=digest), error))
        record = replace(record, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        try:
            image = decode_image(data, min_size=(_MEASURED_SIDE, _MEASURED_SIDE))
        except UnreadableImageError as error:
            return ExaminedFile(_reject(record, error))
        return _examine_image(image, record, thresholds)


def _reject(record: FileRecord, error: UnreadableImageError) -> FileRecord:
    """Return the record of a file that is not or cannot become a picture."""
    kind = "unreadable" if error.kind in _UNREADABLE_KINDS else error.kind
    return replace(record, problems=(Problem(kind, "reject", error.reason),))


def _examine_image(
    image: DecodedImage, record: FileRecord, thresholds: CleaningThresholds
) -> ExaminedFile:
    """Measure a decoded picture and hold the values against the thresholds."""
    grey = _shrink(_find_grey(image.pixels))
    signature = make_signature(grey)
    contrast = float(grey.std())
    record = replace(
        record,
        format=image.format,
        height=image.size[0],
        width=image.size[1],
        perceptual_hash=f"{signature.own:016x}",
        brightness=round(float(grey.mean()), 2),
        contrast=round(contrast, 2),
        sharpness=round(_measure_sharpness(grey, contrast), 4),
    )
    problems = (*_check_file(image, record), *_check_values(record, thresholds))
    compared = contrast >= thresholds.compared_contrast
    return ExaminedFile(replace(record, problems=problems), signature if compared else None)


def _find_grey(pixels: np.ndarray) -> Image.Image:
    """Return a grey picture; strip by strip, because a large one exists once already."""
    height, width = pixels.shape[:2]
    rows = max(_STRIP_PIXELS // width, 1)
    grey = np.empty((height, width), dtype=np.uint8)
    for top in range(0, height, rows):
        strip = Image.fromarray(pixels[top : top + rows])
        grey[top : top + rows] = np.asarray(strip.convert("L"))
    return Image.fromarray(grey)


def _shrink(grey: Image.Image) -> np.ndarray:
    """Return grey values 0 to 255, uint8 (height, width), with a short side of at most 128."""
    scale = _MEASURED_SIDE / min(grey.size)
    if max(grey.size) > _MEASURED_LENGTH:  # a thread of pixels that would not get small otherwise
        scale = min(scale, _MEASURED_LENGTH / max(grey.size))
    if scale < 1:
        size = (max(round(grey.width * scale), 1), max(round(grey.height * scale), 1))
        grey = grey.resize(size, Image.Resampling.BOX)
    return np.asarray(grey)


def _measure_sharpness(grey: np.ndarray, contrast: float) -> float:
    """Return how much neighbouring pixels differ, relative to the contrast."""
    if min(grey.shape) < 3 or contrast == 0:
        return 0.0
    values = grey.astype(np.float32)
    laplacian = (
        values[:-2, 1:-1]
        + values[2:, 1:-1]
        + values[1:-1, :-2]
        + values[1:-1, 2:]
        - 4 * values[1:-1, 1:-1]
    )
    return float(laplacian.std()) / contrast


def _check_file(image: DecodedImage, record: FileRecord) -> list[Problem]:
    """Find what is wrong with the file around a picture that can be used."""
    problems = []
    if image.repaired:
        reason = f"The end is missing and was filled up ({image.notes[-1]})."
        problems.append(Problem("truncated", "advice", reason))
    extension = Path(record.path).suffix.lower()
    if extension not in FORMAT_EXTENSIONS[image.format]:
        named = f"{extension!a}" if extension else "no extension"
        reason = f"The content is {image.format}, the name says {named}; read by its content."
        problems.append(Problem("wrong_extension", "advice", reason))
    return problems


def _check_values(record: FileRecord, thresholds: CleaningThresholds) -> list[Problem]:
    """Hold a picture's size and measures against the thresholds."""
    short, long = sorted((record.height, record.width))
    if short < thresholds.min_side_px:
        limit = f"the short side has fewer than {thresholds.min_side_px}"
        return [
            Problem("too_small", "reject", f"{record.height} x {record.width} pixels: {limit}.")
        ]
    if (record.contrast or 0) < thresholds.blank_contrast:
        return [Problem("blank", "reject", f"One colour only (contrast {record.contrast}).")]
    problems = []
    if long > thresholds.max_aspect * short:
        reason = f"{record.height} x {record.width} pixels: very long; a strip or a banner?"
        problems.append(Problem("extreme_aspect", "advice", reason))
    if (record.brightness or 0) < thresholds.dark_brightness:
        reason = f"Very dark (brightness {record.brightness} of 255): is the face visible?"
        problems.append(Problem("very_dark", "advice", reason))
    if (record.sharpness or 0) < thresholds.blurred_sharpness:
        reason = f"Very blurred (sharpness {record.sharpness}): is the expression visible?"
        problems.append(Problem("very_blurred", "advice", reason))
    return problems
