"""The lesson's network."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from emoclf.config import CLASS_NAMES, IMAGE_SIZE
from emoclf.models.augmentation import build_augmentation


def build_cnn(
    image_size: tuple[int, int] = IMAGE_SIZE,
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    filters: Sequence[int] = (24, 48, 64, 96, 128),
    normalise_up_to_px: int | None = None,
    dropout: float = 0.3,
    augment: bool = True,
    seed: int | None = None,
) -> keras.Model:
    """Build the lesson's convolutional network, about 0.2 million weights.

    Each block convolves, normalises, keeps the positive part and, but for the last block, halves
    the map. Global average pooling then asks of every feature "how much of it is in the photo?",
    and a fully connected layer decides.

    Normalising the large early maps is what a CPU spends most time on beside the convolutions.
    It is worth it: the network starts to learn after half as many epochs
    (`tests/benchmarks/bench_normalisation.py` measures both).

    Args:
        image_size: `(height, width)` in pixels; each is halved once per block but the last.
        class_names: Names of the outputs, in label order.
        filters: Features per block; one block for each.
        normalise_up_to_px: Leave out the batch normalisation of maps with a larger side than
            this; None normalises every map.
        dropout: Share of features switched off at random while training, 0 to 1.
        augment: Whether augmentation layers stand after the rescaling.
        seed: Seed of augmentation and dropout; default: Keras' global seed.

    Returns:
        A model from uint8 RGB `(batch, height, width, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)` that sum to 1.

    Raises:
        ValueError: If the photo is too small for the number of blocks.
    """
    smallest = 2 ** len(filters)
    if min(image_size) < smallest:
        raise ValueError(
            f"image_size={tuple(image_size)} is too small for {len(filters)} blocks: give at "
            f"least ({smallest}, {smallest}), or fewer filters."
        )
    photo = keras.Input((*image_size, 3), dtype="uint8", name="photo")
    features = layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(photo)
    if augment:
        features = build_augmentation(seed=seed)(features)
    for number, count in enumerate(filters, start=1):
        features = layers.Conv2D(count, 3, padding="same", name=f"convolution_{number}")(features)
        if normalise_up_to_px is None or max(features.shape[1:3]) <= normalise_up_to_px:
            features = layers.BatchNormalization(momentum=0.9, name=f"normalise_{number}")(features)
        features = layers.ReLU(name=f"relu_{number}")(features)
        if number < len(filters):
            features = layers.MaxPooling2D(name=f"halve_{number}")(features)
    features = layers.GlobalAveragePooling2D(name="average_over_photo")(features)
    features = layers.Dropout(dropout, seed=seed, name="dropout")(features)
    answer = layers.Dense(
        len(class_names), activation="softmax", dtype="float32", name="probabilities"
    )(features)
    return keras.Model(photo, answer, name="small_cnn")
