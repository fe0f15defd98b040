"""Decoded photos in, batches out: TensorFlow gets numbers and never sees a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emoclf.config import SEED
from emoclf.data.loading.photo_cache import PhotoCache
from emoclf.runtime import require_part

if TYPE_CHECKING:
    import tensorflow as tf

_ORDER_NAME = "emoclf_order"


class EpochOrder:
    """The order of the training photos: a pure function of seed and epoch.

    Each epoch that begins takes the next order, unless `epoch` is set to another one first, as a
    training that goes on where it was stopped does.

    Args:
        indices: Positions of the photos in the cache, int64 `(photos,)`.
        labels: Their labels, int64 `(photos,)`.
        seed: Seed of all orders.
        fingerprint: Stands for the photos, their labels and their order in the cache.

    Attributes:
        epoch: The epoch whose order is taken next, counted from 0.
        seed: As given.
        fingerprint: As given.
    """

    def __init__(
        self, indices: np.ndarray, labels: np.ndarray, *, seed: int, fingerprint: str
    ) -> None:
        """Start before the first epoch."""
        self.epoch, self.seed, self.fingerprint = 0, seed, fingerprint
        self._indices, self._labels = indices, labels

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self._indices)

    def begin_epoch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return this epoch's indices and labels, int64 `(photos,)` each, and go to the next."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self._indices))
        self.epoch += 1
        return self._indices[order], self._labels[order]


def take_order(cache: PhotoCache, part: str, *, seed: int = SEED) -> EpochOrder:
    """Make the order in which the photos of a part are learned from, before its first epoch."""
    indices, labels = cache.photos.find_part(part), cache.photos.part(part).labels
    return EpochOrder(indices, labels, seed=seed, fingerprint=_fingerprint(cache, part))


def find_order(dataset: tf.data.Dataset) -> EpochOrder | None:
    """Return the order of a data set that `make_dataset` shuffles; None for any other."""
    return getattr(dataset, _ORDER_NAME, None)


def make_dataset(
    cache: PhotoCache, part: str, *, batch_size: int = 16, shuffle: bool = False, seed: int = SEED
) -> tf.data.Dataset:
    """Make batches of one part.

    Only the order changes from epoch to epoch (when `shuffle` is set); which photos belong to the
    part never does. Without `shuffle` the order is that of `cache.photos.part(part)`.

    Args:
        cache: The decoded photos.
        part: `"train"`, `"validation"` or `"test"`.
        batch_size: Photos per batch; the last batch may be smaller.
        shuffle: Whether each epoch has a new order, which seed and epoch alone decide
            (`EpochOrder`).
        seed: Seed of the order.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: uint8 RGB `(batch, height, width, 3)`, 0 to 255,
        and int64 `(batch,)`.

    Raises:
        ValueError: If the part is unknown or empty.
        MissingPartError: If TensorFlow is not installed.
    """
    require_part("tensorflow")
    import tensorflow as tf

    indices = cache.photos.find_part(part)
    if not len(indices):
        raise ValueError(
            f"The part {part!r} holds no photo. Split the data set with a larger fraction for it."
        )
    order = take_order(cache, part, seed=seed) if shuffle else None
    rows = (indices, cache.photos.part(part).labels)
    dataset = _shuffle(order) if order else tf.data.Dataset.from_tensor_slices(rows)

    def fetch(batch: tf.Tensor, batch_labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        photos = tf.numpy_function(cache.images.__getitem__, [batch], tf.uint8, stateful=False)
        return tf.ensure_shape(photos, (None, *cache.images.shape[1:])), batch_labels

    dataset = dataset.batch(batch_size).map(fetch, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE)
    if order is not None:
        setattr(dataset, _ORDER_NAME, order)
    return dataset


def _shuffle(order: EpochOrder) -> tf.data.Dataset:
    """Yield indices and labels in the order of the epoch that begins."""
    import tensorflow as tf

    def begin_epoch(_: tf.Tensor) -> tf.data.Dataset:
        chosen = tf.numpy_function(order.begin_epoch, [], [tf.int64, tf.int64])
        chosen = tuple(tf.ensure_shape(each, (len(order),)) for each in chosen)
        return tf.data.Dataset.from_tensor_slices(chosen)

    dataset = tf.data.Dataset.from_tensors(0).flat_map(begin_epoch)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(order)))


def _fingerprint(cache: PhotoCache, part: str) -> str:
    """Return a name for exactly these pixels with these labels, in this order."""
    digest = hashlib.blake2b(cache.photos.part(part).labels.tobytes(), digest_size=16)
    for index in cache.photos.find_part(part):
        digest.update(cache.images[index].tobytes())
    return digest.hexdigest()


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
