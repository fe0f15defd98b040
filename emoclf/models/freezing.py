"""Which layers of a trained network learn on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import keras
from keras import layers

FineTuningStage = Literal["head", "all"]
"""What learns: the last layer alone, or the whole network."""


def freeze_for_fine_tuning(
    model: keras.Model, stage: FineTuningStage = "head", *, head: str = "logits"
) -> keras.Model:
    """Choose which layers of a trained network learn on from new photos.

    First the head, because its large first corrections would spoil what the layers before it
    know; then all of it, at a small rate. Batch normalisation never learns here and keeps the means
    and variances of the large data set: those of a few small batches are noise.

    Compile the model again afterwards. Keras looks at what is frozen when it compiles.

    Args:
        model: A trained network, for example `load_face_network()`; changed in place.
        stage: `"head"` lets only the layer `head` learn, `"all"` everything but batch
            normalisation.
        head: Name of the layer that decides.

    Returns:
        The same model.

    Raises:
        ValueError: If there is no such stage or no such layer.
    """
    if stage not in get_args(FineTuningStage):
        raise ValueError(f"stage={stage!r} should be one of {get_args(FineTuningStage)}.")
    names = [layer.name for layer in model.layers]
    if head not in names:
        raise ValueError(
            f"head={head!r} should name a layer of the model. Received: a model with the layers "
            f"{', '.join(names)}."
        )
    model.trainable = True
    for layer in _walk_layers(model):
        is_fixed = isinstance(layer, layers.BatchNormalization)
        layer.trainable = layer.name == head if stage == "head" else not is_fixed
    return model


def synchronise_normalisation(model: keras.Model) -> keras.Model:
    """Let batch normalisation look at the photos of all devices, not at its own device's share.

    Only then is a training on several devices the same as on one. Compile the model afterwards.

    Args:
        model: Any model; changed in place. Trained on one device it learns as before.

    Returns:
        The same model.
    """
    for layer in _walk_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = True
    return model


def _walk_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield every layer that has no layers of its own, those of models inside models as well."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _walk_layers(layer)
        else:
            yield layer
