"""Manifest in, batches out: every photo is decoded and resized once, then only copied.

The decoded photos are a plain uint8 array, in memory when it fits and else in a file on disk that
is read piece by piece. TensorFlow gets numbers from that array and never sees a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from emoclf.config import IMAGE_SIZE, SEED, SPLIT_NAMES, ResizeMode
from emoclf.images import load_resized
from emoclf.splits import SplitFile, SplitManifest
from emoclf.storage import replacing

if TYPE_CHECKING:
    import tensorflow as tf

MEMORY_LIMIT_MIB = 1024
"""Decoded photos up to this size stay in memory; more than that goes to disk."""


@dataclass(frozen=True)
class PhotoCache:
    """All photos of a data set, decoded and resized.

    Attributes:
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255; in memory or a memory map.
        files: The manifest's entry of every photo, in the same order.
        class_names: Names in label order.
        resize_mode: How the photos were brought to one size.
        location: `"memory"`, or the path of the file on disk.
    """

    images: np.ndarray
    files: tuple[SplitFile, ...]
    class_names: tuple[str, ...]
    resize_mode: ResizeMode
    location: str

    def indices(self, split: str) -> np.ndarray:
        """Return the positions of one split's photos, int64 `(photos of the split,)`."""
        if split not in SPLIT_NAMES:
            raise ValueError(f"split={split!r} should be one of {', '.join(SPLIT_NAMES)}.")
        return np.flatnonzero([file.split == split for file in self.files])

    def labels(self, split: str) -> np.ndarray:
        """Return the labels of one split, int64 `(photos of the split,)`."""
        return np.array([self.files[index].label for index in self.indices(split)], dtype=np.int64)

    def paths(self, split: str) -> list[str]:
        """Return the relative paths of one split's photos."""
        return [self.files[index].path for index in self.indices(split)]

    def describe(self) -> str:
        """Say how many photos there are, how large, and where they lie."""
        count, height, width, _ = self.images.shape
        size = self.images.nbytes / 2**20
        place = "in memory" if self.location == "memory" else f"on disk, in {self.location}"
        return f"{count:,} photos of {height} x {width} pixels, {size:,.0f} MiB, kept {place}"


def cache_photos(
    manifest: SplitManifest,
    *,
    image_size: tuple[int, int] = IMAGE_SIZE,
    resize_mode: ResizeMode = "pad",
    cache_folder: str | Path = "logs/cache",
    memory_limit_mib: int = MEMORY_LIMIT_MIB,
    workers: int | None = None,
    progress: bool = True,
) -> PhotoCache:
    """Decode and resize every photo of a manifest once.

    Args:
        manifest: Which photos, and where they lie.
        image_size: `(height, width)` in pixels.
        resize_mode: `"pad"` keeps the whole photo, `"crop"` its centre.
        cache_folder: Where the array goes when it does not fit into memory. It is used again
            when the same photos, unchanged, are asked for in the same size.
        memory_limit_mib: Largest array, in MiB, that is kept in memory.
        workers: Threads that decode; default: one per core.
        progress: Whether a progress bar is shown.

    Returns:
        The decoded photos.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it. Clean the data set
            first, then split it.
    """
    shape = (len(manifest.files), *image_size, 3)
    fits = np.prod(shape, dtype=np.int64) <= memory_limit_mib * 2**20
    if fits:
        images = np.empty(shape, dtype=np.uint8)
        _decode_all(manifest, images, resize_mode, workers, progress)
        location = "memory"
    else:
        path = Path(cache_folder) / f"{_fingerprint(manifest, image_size, resize_mode)}.npy"
        if not path.is_file():
            _decode_to_disk(manifest, path, shape, resize_mode, workers, progress)
        images = np.load(path, mmap_mode="r")
        location = str(path)
    return PhotoCache(images, manifest.files, manifest.class_names, resize_mode, location)


def _decode_all(
    manifest: SplitManifest,
    images: np.ndarray,
    resize_mode: ResizeMode,
    workers: int | None,
    progress: bool,
) -> None:
    root, size = Path(manifest.root), (images.shape[1], images.shape[2])

    def decode(index: int) -> None:
        images[index] = load_resized(root / manifest.files[index].path, size, mode=resize_mode)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = pool.map(decode, range(len(images)))
        for _ in tqdm(jobs, "decoding", len(images), unit="photo", disable=not progress):
            pass


def _decode_to_disk(
    manifest: SplitManifest,
    path: Path,
    shape: tuple[int, ...],
    resize_mode: ResizeMode,
    workers: int | None,
    progress: bool,
) -> None:
    with replacing(path) as temporary:
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _decode_all(manifest, images, resize_mode, workers, progress)
        images.flush()
        del images  # Windows cannot move a file that is still mapped.


def _fingerprint(
    manifest: SplitManifest, image_size: tuple[int, int], resize_mode: ResizeMode
) -> str:
    root = Path(manifest.root)
    stats = [(file.path, (root / file.path).stat()) for file in manifest.files]
    facts = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    text = json.dumps([str(root.resolve()), image_size, resize_mode, facts])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_dataset(
    cache: PhotoCache,
    split: str,
    *,
    batch_size: int = 16,
    shuffle: bool = False,
    seed: int = SEED,
) -> tf.data.Dataset:
    """Make batches of one split.

    Only the order changes from epoch to epoch (when `shuffle` is set); which photos belong to the
    split never does. Without `shuffle` the order is that of `cache.paths(split)`.

    Args:
        cache: The decoded photos.
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Photos per batch; the last batch may be smaller.
        shuffle: Whether each epoch has a new order, drawn from `seed`.
        seed: Seed of the order.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: uint8 RGB `(batch, height, width, 3)`, 0 to 255,
        and int64 `(batch,)`.

    Raises:
        ValueError: If the split is unknown or empty.
    """
    import tensorflow as tf

    indices = cache.indices(split)
    if not len(indices):
        raise ValueError(
            f"The split {split!r} holds no photo. Split the data set with a larger share for it."
        )
    labels = cache.labels(split)
    dataset = tf.data.Dataset.from_tensor_slices((indices, labels))
    if shuffle:
        dataset = dataset.shuffle(len(indices), seed=seed, reshuffle_each_iteration=True)
    dataset = dataset.batch(batch_size)

    def fetch(batch: tf.Tensor, batch_labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        photos = tf.numpy_function(cache.images.__getitem__, [batch], tf.uint8, stateful=False)
        return tf.ensure_shape(photos, (None, *cache.images.shape[1:])), batch_labels

    return dataset.map(fetch, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE)


def balanced_class_weights(
    labels: Sequence[int] | np.ndarray, class_count: int
) -> dict[int, float]:
    """Weigh the classes so that each counts the same in training, however rare.

    Args:
        labels: Labels of the training photos, integers `(photos,)`.
        class_count: Number of classes.

    Returns:
        Label to weight: `photos / (classes * photos of the class)`, 1.0 when all are equally
        frequent. King and Zeng (2001), as in scikit-learn's `class_weight="balanced"`.

    Raises:
        ValueError: If a class has no photo.
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=class_count)
    if len(counts) != class_count or not counts.all():
        raise ValueError(
            f"Expected photos of each of {class_count} classes, received {counts.tolist()} per "
            "label. A class without photos cannot be learned."
        )
    return {label: len(labels) / (class_count * int(n)) for label, n in enumerate(counts)}
