"""From a folder to a report of what is wrong with its files, and why. Nothing is changed.

Every file is read exactly once, decoded small and measured; what is wrong between files is found
by `duplicates`. What the report rejects is moved aside, never deleted, by `emoclf.quarantine()`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.config import CLASS_NAMES
from emoclf.data.cleaning.duplicates import Signature, make_signature, mark_duplicates
from emoclf.data.cleaning.moving import find_unfinished
from emoclf.data.cleaning.report import UNFINISHED_KIND, CleaningReport, FileRecord, Problem
from emoclf.data.folders import find_class_folders, list_files
from emoclf.images import (
    FORMAT_EXTENSIONS,
    DecodedImage,
    UnreadableImageError,
    decode_image,
    quiet_pillow,
    read_image_bytes,
    sharing_memory,
    warn_if_pillow_is_old,
    work_ahead,
)
from emoclf.untrusted import normalise_name, show_text

_MEASURED_SIDE = 128  # the short side at which brightness, contrast and sharpness are measured
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


def find_problems(
    folder: str | Path,
    *,
    class_names: tuple[str, ...] = CLASS_NAMES,
    class_map: Mapping[str, str] | None = None,
    workers: int | None = None,
    progress: bool = True,
    thresholds: CleaningThresholds | None = None,
) -> CleaningReport:
    """Examine every file of the class folders.

    What an interrupted `quarantine`, `apply_decisions` or `restore` has not finished is rejected,
    so that nothing is learned from half a state.

    Args:
        folder: The data set's folder, which holds one folder or more for each class.
        class_names: The classes in label order.
        class_map: Which folder belongs to which class, as for `find_class_folders`.
        workers: How many files are examined at the same time; None takes one per processor,
            8 at most. The report does not depend on it.
        progress: Whether to show a progress bar.
        thresholds: Where each check draws its line; None takes the defaults.

    Returns:
        One record per file, whatever its state, sorted by path.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If a class has no folder, or `workers` is no positive number.

    Example:
        >>> print(find_problems("data"))  # doctest: +SKIP
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected 1 or more, received {workers}.")
    thresholds = thresholds or CleaningThresholds()
    found = find_class_folders(folder, class_names=class_names, class_map=class_map)

    def name(path: Path) -> str:
        return path.relative_to(found.root).as_posix()

    paths: list[tuple[Path, FileRecord]] = []
    skipped: list[tuple[str, str]] = []
    for each in found.folders:
        listing = list_files(each.path)
        paths += [(p, FileRecord(name(p), each.class_name, each.label)) for p in listing.files]
        skipped += [(name(path), reason) for path, reason in listing.skipped]
    paths.sort(key=lambda pair: pair[1].path)
    examined = _examine_files(paths, thresholds, workers=workers, progress=progress)
    unfinished, unread = find_unfinished(found.root)
    records = mark_duplicates(
        [_reject_unfinished(record, unfinished) for record, _ in examined],
        [signature for _, signature in examined],
        max_distance=thresholds.max_hash_distance,
        min_similarity=thresholds.min_similarity,
    )
    unassigned = [(name(path), reason) for path, reason in found.unassigned]
    return CleaningReport(
        str(found.root), tuple(class_names), records, (*unassigned, *unread), tuple(sorted(skipped))
    )


def _examine_files(
    paths: list[tuple[Path, FileRecord]],
    thresholds: CleaningThresholds,
    *,
    workers: int | None,
    progress: bool,
) -> list[tuple[FileRecord, Signature | None]]:
    """Examine files in several threads and return them in the order given."""
    from tqdm import tqdm

    warn_if_pillow_is_old()
    with quiet_pillow():
        results = work_ahead(
            lambda pair: examine_file(*pair, thresholds=thresholds), paths, workers=workers
        )
        bar = tqdm(results, total=len(paths), desc="Examining", unit=" files", disable=not progress)
        return list(bar)


def _reject_unfinished(record: FileRecord, unfinished: Mapping[tuple[str, str], str]) -> FileRecord:
    """Reject a file that an interrupted call was to move, or has brought back without others."""
    why = unfinished.get((normalise_name(record.path), record.sha256))
    if why is None:
        return record
    reason = (
        "It belongs to an interrupted move or restore, which `clean --move` finishes. "
        f"It is moved for this reason: {show_text(why)}"
    )
    return replace(record, problems=(*record.problems, Problem(UNFINISHED_KIND, "reject", reason)))


def examine_file(
    path: Path, record: FileRecord, *, thresholds: CleaningThresholds
) -> tuple[FileRecord, Signature | None]:
    """Read a file once, complete its record, and make its signature if near-duplicates are sought.

    Whatever is wrong, nothing is raised: a file that vanished or cannot be read has the problem
    "unreadable".
    """
    with sharing_memory():
        try:
            data = read_image_bytes(path)
        except UnreadableImageError as error:
            digest = hashlib.sha256(b"").hexdigest() if error.kind == "empty" else ""
            return _reject(replace(record, sha256=digest), error), None
        record = replace(record, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        try:
            image = decode_image(data, min_size=(_MEASURED_SIDE, _MEASURED_SIDE))
        except UnreadableImageError as error:
            return _reject(record, error), None
        return _examine_image(image, record, thresholds)


def _reject(record: FileRecord, error: UnreadableImageError) -> FileRecord:
    """Return the record of a file that is not or cannot become a picture."""
    is_unread = error.kind == "damaged" and not record.sha256  # the disk did not deliver
    kind = "unreadable" if is_unread or error.kind in _UNREADABLE_KINDS else error.kind
    return replace(record, problems=(Problem(kind, "reject", error.reason),))


def _examine_image(
    image: DecodedImage, record: FileRecord, thresholds: CleaningThresholds
) -> tuple[FileRecord, Signature | None]:
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
    is_compared = contrast >= thresholds.compared_contrast
    return replace(record, problems=problems), signature if is_compared else None


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
    """Return the standard deviation of the Laplacian, relative to the contrast."""
    if min(grey.shape) < 3 or contrast == 0:
        return 0.0
    values = grey.astype(np.float32)
    middle, above, below = values[1:-1, 1:-1], values[:-2, 1:-1], values[2:, 1:-1]
    laplacian = above + below + values[1:-1, :-2] + values[1:-1, 2:] - 4 * middle
    return float(laplacian.std()) / contrast


def _check_file(image: DecodedImage, record: FileRecord) -> Iterator[Problem]:
    """Find what is wrong with the file around a picture that can be used."""
    if image.repaired:
        reason = f"The end is missing and was filled up ({image.notes[-1]})."
        yield Problem("truncated", "advice", reason)
    extension = Path(record.path).suffix.lower()
    if extension not in FORMAT_EXTENSIONS[image.format]:
        named = f"{extension!a}" if extension else "no extension"
        reason = f"The content is {image.format}, the name says {named}; read by its content."
        yield Problem("wrong_extension", "advice", reason)


def _check_values(record: FileRecord, thresholds: CleaningThresholds) -> Iterator[Problem]:
    """Hold a picture's size and measures against the thresholds."""
    size = f"{record.height} x {record.width} pixels"
    short, long = sorted((record.height, record.width))
    if short < thresholds.min_side_px:
        limit = f"the short side has fewer than {thresholds.min_side_px}"
        yield Problem("too_small", "reject", f"{size}: {limit}.")
        return
    if (record.contrast or 0) < thresholds.blank_contrast:
        yield Problem("blank", "reject", f"One colour only (contrast {record.contrast}).")
        return
    if long > thresholds.max_aspect * short:
        yield Problem("extreme_aspect", "advice", f"{size}: very long; a strip or a banner?")
    if (record.brightness or 0) < thresholds.dark_brightness:
        reason = f"Very dark (brightness {record.brightness} of 255): is the face visible?"
        yield Problem("very_dark", "advice", reason)
    if (record.sharpness or 0) < thresholds.blurred_sharpness:
        reason = f"Very blurred (sharpness {record.sharpness}): is the expression visible?"
        yield Problem("very_blurred", "advice", reason)
