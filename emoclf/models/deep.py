"""A deeper network that learns from nothing but your photos."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from emoclf.config import CLASS_NAMES, IMAGE_SIZE
from emoclf.models.augmentation import build_augmentation


def build_deep_cnn(
    image_size: tuple[int, int] = IMAGE_SIZE,
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    filters: Sequence[int] = (24, 48, 96, 160, 256),
    dropout: float = 0.3,
    augment: bool = True,
    seed: int | None = None,
) -> keras.Model:
    """Build a residual network, about 1.5 million weights (He et al., 2016).

    A convolution at full size, then for every further entry of `filters` half the size and a
    residual block: two convolutions that learn what to change about their input. A block starts as
    "change nothing" (Goyal et al., 2017), so depth does not get in the way of learning from
    scratch. Colour is kept.

    Args:
        image_size: `(height, width)` in pixels; each is halved once per block.
        class_names: Names of the outputs, in label order.
        filters: Features of the first convolution and of each block.
        dropout: Share of the averaged features switched off at random while training, 0 to 1.
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
            f"image_size={tuple(image_size)} is too small for {len(filters) - 1} blocks: give at "
            f"least ({smallest}, {smallest}), or fewer filters."
        )
    photo = keras.Input((*image_size, 3), dtype="uint8", name="photo")
    maps = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="rescaling")(photo)
    if augment:
        maps = build_augmentation(seed=seed)(maps)
    maps = _convolve(maps, filters[0], 3, name="stem")
    maps = layers.ReLU(name="stem_relu")(maps)
    for number, count in enumerate(filters[1:], start=1):
        maps = layers.MaxPooling2D(name=f"halve_{number}")(maps)
        maps = _add_block(maps, count, name=f"block_{number}")
    features = layers.GlobalAveragePooling2D(name="average_over_photo")(maps)
    features = layers.Dropout(dropout, seed=seed, name="dropout")(features)
    answer = layers.Dense(
        len(class_names), activation="softmax", dtype="float32", name="probabilities"
    )(features)
    return keras.Model(photo, answer, name="deep_cnn")


def _add_block(maps: keras.KerasTensor, count: int, *, name: str) -> keras.KerasTensor:
    """Add what two convolutions make of the maps to the maps."""
    change = _convolve(maps, count, 3, name=f"{name}_a")
    change = layers.ReLU(name=f"{name}_a_relu")(change)
    change = _convolve(change, count, 3, name=f"{name}_b", first_scale="zeros")
    if maps.shape[-1] != count:
        maps = _convolve(maps, count, 1, name=f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([maps, change]))


def _convolve(
    maps: keras.KerasTensor, count: int, kernel: int, *, name: str, first_scale: str = "ones"
) -> keras.KerasTensor:
    maps = layers.Conv2D(
        count,
        kernel,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(maps)
    return layers.BatchNormalization(
        momentum=0.9, gamma_initializer=first_scale, name=f"{name}_normalise"
    )(maps)
