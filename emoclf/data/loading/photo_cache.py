"""All photos of a data set as one uint8 array, each decoded once.

The array is in memory when it fits, else in a file on disk that is read piece by piece.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from tqdm import tqdm

from emoclf.config import IMAGE_SIZE, SHEET_SIZE, Crop, ResizeMode, Settings, WithoutFace
from emoclf.data.loading.stored import StoredPhotos
from emoclf.display import Displayed, Table
from emoclf.images import ModelInfo, prepare, sharing_memory, work_ahead
from emoclf.images.faces import FaceDetector, make_detector
from emoclf.photos import Photos
from emoclf.storage import read_json, remove_leftovers, replacing, write_json
from emoclf.untrusted import show_text

MEMORY_LIMIT_MIB = 1024
"""Decoded photos up to this size stay in memory; more than that goes to disk."""

_CROP_FORMAT = 2
"""Raise it when the same face comes out of `prepare` otherwise: old caches are then made anew."""


@dataclass(frozen=True)
class FaceSearchReport(Displayed):
    """Which detector looked for faces, and in which photos it found none.

    Attributes:
        detector: The detector's description: which one, which file, which OpenCV.
        note: What the user should know about this choice; may be empty.
        photo_count: Photos that were looked at.
        without_face: The photos without a face.
        treatment: What became of them: `"leave_out"` or `"whole_photo"`.
    """

    detector: str
    note: str
    photo_count: int
    without_face: Photos
    treatment: WithoutFace

    def blocks(self) -> Iterable[str | Table]:
        """Return which detector searched, and how many photos of each part have no face."""
        fate = "left out" if self.treatment == "leave_out" else "taken whole"
        yield self.detector
        found = self.photo_count - len(self.without_face)
        yield f"It found a face in {found:,} of {self.photo_count:,} photos."
        if len(self.without_face):
            rows = [(part, *counts.values()) for part, counts in self.without_face.count().items()]
            yield Table((f"no face, {fate}", *self.without_face.class_names), rows)


@dataclass(frozen=True)
class PhotoCache(Displayed):
    """All photos of a data set, decoded and resized, or the faces cut out of them.

    Attributes:
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255; in memory, or `StoredPhotos` that
            are read from disk.
        photos: These photos, in the same order; those that were left out for want of a face are
            not among them.
        resize_mode: How whole photos were brought to one size.
        location: `"memory"`, or the path of the file on disk.
        faces: How faces were looked for; None when the photos are whole.
    """

    images: np.ndarray | StoredPhotos
    photos: Photos
    resize_mode: ResizeMode
    location: str
    faces: FaceSearchReport | None = None

    @property
    def crop(self) -> Crop:
        """What the images show: whole photos, faces, or sheets with both."""
        if self.faces is None:
            return "none"
        return "both" if tuple(self.images.shape[1:3]) == SHEET_SIZE else "face"

    def blocks(self) -> Iterable[str | Table]:
        """Return how many photos there are, how large, where they lie, and who has no face."""
        count, height, width, _ = self.images.shape
        size = self.images.nbytes / 2**20
        place = f"on disk, in {show_text(self.location)}"
        place = "in memory" if self.location == "memory" else place
        is_mixed = self.faces and self.faces.treatment == "whole_photo"
        noun = "faces or whole photos" if is_mixed else "faces" if self.faces else "photos"
        yield f"{count:,} {noun} of {height} x {width} pixels, {size:,.0f} MiB, kept {place}"
        if self.faces is not None:
            yield from self.faces.blocks()


def cache_photos(
    photos: Photos,
    *,
    image_size: tuple[int, int] = IMAGE_SIZE,
    resize_mode: ResizeMode = "pad",
    crop: Crop = "none",
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    cache_folder: str | Path = "logs/cache",
    memory_limit_mib: int = MEMORY_LIMIT_MIB,
    workers: int | None = None,
    progress: bool = True,
) -> PhotoCache:
    """Decode every photo once, and resize it or cut out its largest face.

    Args:
        photos: Which photos.
        image_size: `(height, width)` in pixels.
        resize_mode: `"pad"` keeps the whole photo, `"crop"` its centre.
        crop: `"none"` takes whole photos; `"face"` finds the faces in each photo and cuts out
            the largest one with `crop_face`; `"both"` makes sheets with the photo and its faces.
        detector: What finds the faces. Default: `make_detector()`. Without a meaning for whole
            photos.
        without_face: What becomes of a photo without a face: `"leave_out"`, or `"whole_photo"`,
            which takes it as `crop="none"` would. The cache tells which they are.
        cache_folder: Where the array goes when it does not fit into memory. It is used again
            when the same photos, unchanged, are asked for in the same size, and faces by the same
            detector.
        memory_limit_mib: Largest array, in MiB, that is kept in memory.
        workers: Threads that decode and find faces; default: one per core, 8 at most.
        progress: Whether a progress bar is shown.

    Returns:
        The decoded photos, or faces.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it. Clean the data set
            first, then split it.
        FaceDetectorUnavailableError: If faces are asked for and there is no detector.
        ValueError: If no photo has a face and such photos are left out, or `crop` or
            `without_face` is unknown.

    Example:
        >>> faces = cache_photos(  # doctest: +SKIP
        ...     split, image_size=(48, 48), crop="face"
        ... )
        >>> print(faces)  # doctest: +SKIP
    """
    for name, value, choices in (("crop", crop, Crop), ("without_face", without_face, WithoutFace)):
        if value not in get_args(choices):
            raise ValueError(f"{name}={value!r} should be one of {get_args(choices)}.")
    info = ModelInfo(photos.class_names, image_size, resize_mode, crop)
    finder = None if crop == "none" else detector or make_detector()
    without_face = "whole_photo" if crop == "both" else without_face
    preparation = _Preparation(info, finder, without_face)
    remove_leftovers(cache_folder)
    shape = (len(photos), *image_size, 3)
    images: np.ndarray | StoredPhotos
    if np.prod(shape, dtype=np.int64) <= memory_limit_mib * 2**20:
        images, location = np.empty(shape, dtype=np.uint8), "memory"
        found = _prepare_all(photos, images, preparation, workers, progress)
    else:
        path = Path(cache_folder) / f"{_fingerprint(photos, preparation)}.npy"
        found = _prepare_on_disk(photos, path, preparation, workers, progress)
        images, location = StoredPhotos(path), str(path)
    return _describe_search(photos, images, preparation, found, location)


def cache_for(
    settings: Settings, photos: Photos, *, logs: str | Path, **options: Any
) -> PhotoCache:
    """Decode photos as the settings say, into the cache that a folder of runs has."""
    return cache_photos(
        photos,
        image_size=settings.image_size,
        resize_mode=settings.resize_mode,
        crop=settings.crop,
        cache_folder=Path(logs) / "cache",
        **options,
    )


class _Preparation(NamedTuple):
    """How every photo is prepared; without a detector for whole photos."""

    info: ModelInfo
    detector: FaceDetector | None
    without_face: WithoutFace


def _describe_search(
    photos: Photos,
    images: np.ndarray | StoredPhotos,
    preparation: _Preparation,
    found: np.ndarray,
    location: str,
) -> PhotoCache:
    """Put together what is kept and what is known of it; `found` is bool `(photos,)`."""
    detector = preparation.detector
    if detector is None:
        return PhotoCache(images, photos, preparation.info.resize_mode, location)
    without = photos.take(~found)
    search = FaceSearchReport(
        detector.description, detector.note, len(photos), without, preparation.without_face
    )
    if preparation.without_face == "leave_out":
        photos = photos.take(found)
        count = len(photos)
        images = images[:count] if isinstance(images, np.ndarray) else images.first(count)
    if not photos.rows:
        raise ValueError(
            f"No face was found in any of the {search.photo_count:,} photos "
            f"({detector.description}) Look at some of them; take whole photos with crop='none' or "
            "without_face='whole_photo'."
        )
    return PhotoCache(images, photos, preparation.info.resize_mode, location, search)


def _prepare_all(
    photos: Photos,
    images: np.ndarray | StoredPhotos,
    preparation: _Preparation,
    workers: int | None,
    progress: bool,
) -> np.ndarray:
    """Fill `images`; return bool `(photos,)`: where a face was found, or whole photos suffice.

    When photos without a face are left out, the others move up to the front of `images`.
    """
    files, (info, detector, without_face) = photos.files, preparation

    def fill(index: int) -> bool:
        with sharing_memory():
            is_kept = without_face == "whole_photo"
            found = prepare(files[index], info, detector=detector, whole_photo=is_kept)
            if len(found.crops):
                images[index] = found.crops[0]
        return bool(found.faces) or detector is None

    task = "decoding" if detector is None else "finding faces"
    jobs = work_ahead(fill, range(len(images)), workers=workers)
    bar = tqdm(jobs, task, len(images), unit="photo", disable=not progress)
    found = np.fromiter(bar, dtype=bool)
    if without_face == "leave_out":
        for position, index in enumerate(np.flatnonzero(found).tolist()):
            images[position] = images[index]
    return found


def _prepare_on_disk(
    photos: Photos, path: Path, preparation: _Preparation, workers: int | None, progress: bool
) -> np.ndarray:
    """Make the file at `path`, unless it is there; return the same as `_prepare_all`.

    Beside the array lies a list of 0 and 1: in which photos a face was found.
    """
    list_path = path.with_suffix(".json")
    shape = (len(photos), *preparation.info.image_size, 3)
    if path.is_file() and list_path.is_file():
        found: list[Literal[0, 1]] = read_json(
            list_path, what="the list of photos with a face", kind=list[Literal[0, 1]]
        )
        if len(found) != shape[0] or StoredPhotos(path).shape != shape:
            raise ValueError(
                f"{show_text(path)} and {list_path.name} beside it do not hold {shape[0]:,} photos "
                f"of {shape[1]} x {shape[2]} pixels. Delete both: they are made anew."
            )
        return np.array(found, dtype=bool)
    with replacing(path) as temporary:
        images = StoredPhotos.create(temporary, shape)
        has_face = _prepare_all(photos, images, preparation, workers, progress)
    write_json(list_path, has_face.astype(int).tolist())
    return has_face


def _fingerprint(photos: Photos, preparation: _Preparation) -> str:
    """Return a name for exactly these pixels: of these files, unchanged, prepared in this way."""
    info, detector, without_face = preparation
    facts: list[Any] = [str(Path(photos.root).resolve()), info.image_size, info.resize_mode]
    if detector is not None:
        facts += ["face", _CROP_FORMAT, detector.description, without_face]
    stats = zip(photos.paths, (file.stat() for file in photos.files), strict=True)
    facts.append([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
