"""The network for small face crops: the packaged one, and its teacher."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from emoclf.config import CLASS_NAMES
from emoclf.models.augmentation import build_augmentation


def build_face_network(
    image_size: tuple[int, int] = (48, 48),
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    filters: Sequence[int] = (24, 48, 96, 160),
    blocks: Sequence[int] = (1, 2, 2),
    normalise: bool = True,
    normalise_up_to_px: int = 12,
    dropout: float = 0.3,
    augment: bool = False,
    seed: int | None = None,
) -> keras.Model:
    """Build a residual network for small face crops (He et al., 2016).

    A convolution at full size, then stages of residual blocks at half, a quarter and an eighth of
    it, then the average over the face. Colour is dropped first: expressions do not need it, and the
    faces it learns from are grey.

    Args:
        image_size: `(height, width)` in pixels of the crop, at least 16 each.
        class_names: Names of the outputs, in label order.
        filters: Features of the first convolution and of each stage.
        blocks: Residual blocks of each stage, one fewer entries than `filters`.
        normalise: Whether there is batch normalisation. Off for a trained network whose
            normalisation was folded into the convolutions (`compact_network`).
        normalise_up_to_px: Maps with a larger side are normalised once per residual block instead
            of after every convolution, because that is what a CPU spends most time on there.
        dropout: Share of the averaged features switched off at random while training, 0 to 1.
        augment: Whether augmentation layers stand after the rescaling. The recipe of the packaged
            network changes faces before they come here.
        seed: Seed of augmentation and dropout; default: Keras' global seed.

    Returns:
        A model from uint8 RGB `(batch, height, width, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)`. The layer `logits` holds the values before the softmax, the layer
        `average_over_face` the features.

    Raises:
        ValueError: If the sizes do not fit together.
    """
    if len(filters) != len(blocks) + 1 or min(image_size) < 2 ** len(filters):
        raise ValueError(
            f"filters={tuple(filters)}, blocks={tuple(blocks)} and image_size={tuple(image_size)} "
            "do not fit: give one more entry in filters than in blocks, and at least "
            f"{2 ** len(filters)} pixels per side."
        )

    def convolve(
        maps: keras.KerasTensor, count: int, kernel: int, *, name: str, normalise: bool
    ) -> keras.KerasTensor:
        maps = layers.Conv2D(
            count,
            kernel,
            padding="same",
            use_bias=not normalise,
            kernel_initializer="he_normal",
            name=f"{name}_convolution",
        )(maps)
        if normalise:
            maps = layers.BatchNormalization(momentum=0.95, name=f"{name}_normalise")(maps)
        return maps

    photo = keras.Input((*image_size, 3), dtype="uint8", name="face")
    maps = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="rescaling")(photo)
    if augment:
        maps = build_augmentation(seed=seed)(maps)
    maps = keras.ops.image.rgb_to_grayscale(maps, data_format="channels_last")
    maps = convolve(maps, filters[0], 3, name="stem", normalise=False)
    maps = layers.ReLU(name="stem_relu")(maps)
    for stage, (count, repeats) in enumerate(zip(filters[1:], blocks, strict=True), start=1):
        maps = layers.MaxPooling2D(name=f"halve_{stage}")(maps)
        is_small = normalise and max(maps.shape[1:3]) <= normalise_up_to_px
        for number in range(1, repeats + 1):
            name = f"block_{stage}_{number}"
            change = convolve(maps, count, 3, name=f"{name}_a", normalise=is_small)
            change = layers.ReLU(name=f"{name}_a_relu")(change)
            change = convolve(change, count, 3, name=f"{name}_b", normalise=normalise)
            if maps.shape[-1] != count:
                maps = convolve(maps, count, 1, name=f"{name}_shortcut", normalise=False)
            maps = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([maps, change]))
    features = layers.GlobalAveragePooling2D(name="average_over_face")(maps)
    features = layers.Dropout(dropout, seed=seed, name="dropout")(features)
    logits = layers.Dense(len(class_names), dtype="float32", name="logits")(features)
    answer = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(photo, answer, name="face_network")
