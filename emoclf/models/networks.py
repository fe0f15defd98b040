"""The network that the settings ask for: one door for the lesson, the commands and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emoclf.config import CLASS_NAMES, FACE_SIZE, Settings

if TYPE_CHECKING:
    import keras


def build_network(settings: Settings, class_names: Sequence[str] = CLASS_NAMES) -> keras.Model:
    """Build the network that the settings ask for.

    Args:
        settings: Which network, its size, weights, dropout and augmentation.
        class_names: Names of the outputs, in label order.

    Returns:
        A model from uint8 RGB `(batch, height, width, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)`. When `settings.is_pretrained`, it is to be trained in stages.

    Raises:
        ValueError: If the network cannot be built for this size.
        PretrainedWeightsError: If its weights cannot be downloaded or read; says what to do.

    Example:
        >>> build_network(Settings(network="deep")).name  # doctest: +SKIP
        'deep_cnn'
    """
    from emoclf.models import build_cnn, build_deep_cnn, build_transfer_model

    size, dropout, augment = settings.image_size, settings.dropout, settings.augment
    if settings.network == "small":
        return build_cnn(size, class_names, dropout=dropout, augment=augment)
    if settings.network == "deep":
        return build_deep_cnn(size, class_names, dropout=dropout, augment=augment)
    if settings.network == "face":
        return _build_face_network(settings, class_names)
    return build_transfer_model(
        settings.network,
        size,
        class_names,
        weights=settings.weights,
        dropout=dropout,
        augment=augment,
    )


def _build_face_network(settings: Settings, class_names: Sequence[str]) -> keras.Model:
    from emoclf.models.packaged import load_face_network

    if settings.image_size != FACE_SIZE:
        raise ValueError(
            f"network='face' looks at {FACE_SIZE[0]} x {FACE_SIZE[1]} pixels. Received: "
            f"image_size={settings.image_size}. Set image_size={FACE_SIZE}, and crop='face' to "
            "show it faces instead of whole photos."
        )
    return load_face_network(class_names, dropout=settings.dropout, augment=settings.augment)
