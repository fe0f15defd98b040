"""Layers that show the network a slightly different photo every epoch."""

from __future__ import annotations

import keras
from keras import layers


def build_augmentation(*, seed: int | None = None) -> keras.Sequential:
    """Build the layers that show the network a slightly different photo every epoch.

    They act while training and do nothing when the network predicts. All of them keep a happy
    face happy: mirrored, moved by up to 6 %, turned by up to 11 degrees, zoomed by up to 10 %,
    a little darker or lighter, with more or less contrast.

    Args:
        seed: Seed of the random choices; default: Keras' global seed.

    Returns:
        Layers from float32 RGB in -1 to 1 to the same shape and range.
    """
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal", seed=seed),
            layers.RandomTranslation(0.06, 0.06, fill_mode="nearest", seed=seed),
            layers.RandomRotation(0.03, fill_mode="nearest", seed=seed),
            layers.RandomZoom(0.1, fill_mode="nearest", seed=seed),
            layers.RandomBrightness(0.1, value_range=(-1, 1), seed=seed),
            layers.RandomContrast(0.2, value_range=(-1, 1), seed=seed),
        ],
        name="augmentation",
    )
