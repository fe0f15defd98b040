"""Which layers of a trained network learn on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import keras
from keras import layers

FineTuningStage = Literal["head", "top", "all"]
"""What learns: the last layer alone, it and the layers next to it, or the whole network."""

TOP_SHARE = 0.3
"""Share of the layers with weights that count as the top of a network."""


def freeze_for_fine_tuning(
    model: keras.Model,
    stage: FineTuningStage = "head",
    *,
    head: str | None = None,
    top_share: float = TOP_SHARE,
) -> keras.Model:
    """Choose which layers of a trained network learn on from new photos.

    First the head, because its large first corrections would spoil what the layers before it
    know; then the top, which sees whole shapes, or all of it, at a small rate. The first layers
    see edges and colours, which are the same in all photos. Batch normalisation never learns
    here and keeps the means and variances of the large data set: those of a few small batches are
    noise.

    Compile the model again afterwards. Keras looks at what is frozen when it compiles.

    Args:
        model: A trained network, for example `load_face_network()` or `build_transfer_model()`;
            changed in place. Layers of networks inside it count like its own.
        stage: `"head"` lets only the layer `head` learn, `"top"` it and the last layers before
            it, `"all"` everything; but never batch normalisation.
        head: Name of the layer that decides; default: the last one with weights.
        top_share: Share of the layers that can learn, counted from the head, that belong to the
            top, 0 to 1.

    Returns:
        The same model.

    Raises:
        ValueError: If there is no such stage or no such layer, or the share is out of its range.
    """
    if stage not in get_args(FineTuningStage):
        raise ValueError(f"stage={stage!r} should be one of {get_args(FineTuningStage)}.")
    if not 0 < top_share <= 1:
        raise ValueError(f"top_share={top_share} should be above 0 and at most 1, such as 0.3.")
    _unfreeze_models(model)
    learners = [layer for layer in walk_layers(model) if _can_learn(layer)]
    decider = _find_head(model, learners, head)
    body = [layer for layer in learners if layer is not decider]
    top = body[len(body) - round(top_share * len(body)) :]
    chosen = {"head": [], "top": top, "all": body}[stage]
    for layer in walk_layers(model):
        layer.trainable = layer is decider or any(layer is one for one in chosen)
    return model


def freeze_normalisation(model: keras.Model) -> keras.Model:
    """Make every batch normalisation of a network keep what it has learned.

    A frozen batch normalisation also runs in inference mode while the network trains: it
    normalises with its means and variances and does not move them.

    Args:
        model: Any network; changed in place.

    Returns:
        The same model.
    """
    for layer in walk_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model


def synchronise_normalisation(model: keras.Model) -> keras.Model:
    """Let batch normalisation look at the photos of all devices, not at its own device's share.

    Only then is a training on several devices the same as on one. Compile the model afterwards.

    Args:
        model: Any model; changed in place. Trained on one device it learns as before.

    Returns:
        The same model.
    """
    for layer in walk_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = True
    return model


def walk_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield every layer that has no layers of its own, those of models inside models as well.

    Args:
        model: Any network.

    Yields:
        Its layers, from the photo to the answer.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from walk_layers(layer)
        else:
            yield layer


def _unfreeze_models(model: keras.Model) -> None:
    """Unfreeze a model and those inside it: a frozen one hides layers that are not."""
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _unfreeze_models(layer)


def _can_learn(layer: keras.layers.Layer) -> bool:
    return bool(layer.weights) and not isinstance(layer, layers.BatchNormalization)


def _find_head(
    model: keras.Model, learners: list[keras.layers.Layer], head: str | None
) -> keras.layers.Layer:
    found = [layer for layer in learners if head in (None, layer.name)]
    if not found:
        raise ValueError(
            f"head={head!r} should name a layer with weights. Received: a model with the layers "
            f"{', '.join(layer.name for layer in model.layers)}."
        )
    return found[-1]
