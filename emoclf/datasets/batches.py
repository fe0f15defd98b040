"""Decoded photos in, batches out: TensorFlow gets numbers and never sees a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emoclf.config import SEED
from emoclf.datasets.photo_cache import PhotoCache

if TYPE_CHECKING:
    import tensorflow as tf


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
