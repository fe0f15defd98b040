"""The layers of a network: its first and last ones, which of them learn, and copies of all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal, get_args

import keras
from keras import layers

FineTuningStage = Literal["head", "top", "all"]
"""What learns: the last layer alone, it and the layers next to it, or the whole network."""

TOP_FRACTION = 0.3
"""Fraction of the layers with weights that counts as the top of a network."""

_MIXED_PRECISION = ("mixed_float16", "mixed_bfloat16")


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


def begin_network(
    image_size: tuple[int, int], *, augment: bool, seed: int | None, name: str = "photo"
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input of a network, uint8 RGB, and its values from -1 to 1, perhaps augmented."""
    photo = keras.Input((*image_size, 3), dtype="uint8", name=name)
    values = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="rescaling")(photo)
    return photo, build_augmentation(seed=seed)(values) if augment else values


def average_maps(
    maps: keras.KerasTensor, dropout: float, *, seed: int | None, name: str = "average_over_photo"
) -> keras.KerasTensor:
    """Return the average of every map over the photo, some of them switched off in training."""
    features = layers.GlobalAveragePooling2D(name=name)(maps)
    return layers.Dropout(dropout, seed=seed, name="dropout")(features)


def predict_classes(features: keras.KerasTensor, count: int) -> keras.KerasTensor:
    """Return float32 probabilities of so many classes, from a new last layer."""
    return layers.Dense(count, activation="softmax", dtype="float32", name="probabilities")(
        features
    )


def freeze_for_fine_tuning(
    model: keras.Model,
    stage: FineTuningStage = "head",
    *,
    head: str | None = None,
    top_fraction: float = TOP_FRACTION,
) -> keras.Model:
    """Choose which layers of a trained network learn on from new photos.

    First the head, because its large first updates would spoil what the layers before it have
    learned; then the top, whose features are whole shapes, or all of it, at a small learning rate.
    The features of the first layers are edges and colours, which are the same in all photos. Batch
    normalisation never learns here and keeps the means and variances of the large data set: those
    of a few small batches are noise.

    Compile the model again afterwards. Keras looks at what is frozen when it compiles.

    Args:
        model: A trained network, for example `load_face_network()` or `build_transfer_model()`;
            changed in place. Layers of networks inside it count like its own.
        stage: `"head"` lets only the layer `head` learn, `"top"` it and the last layers before
            it, `"all"` everything; but never batch normalisation.
        head: Name of the layer that decides; default: the last one with weights.
        top_fraction: Fraction of the layers that can learn, counted from the head, that belongs to
            the top, above 0 to 1.

    Returns:
        The same model.

    Raises:
        ValueError: If there is no such stage or no such layer, or the fraction is out of range.
    """
    if stage not in get_args(FineTuningStage):
        raise ValueError(f"stage={stage!r} should be one of {get_args(FineTuningStage)}.")
    if not 0 < top_fraction <= 1:
        raise ValueError(
            f"top_fraction={top_fraction} should be above 0 and at most 1, such as 0.3."
        )
    _unfreeze_models(model)
    learners = [
        layer
        for layer in walk_layers(model)
        if layer.weights and not isinstance(layer, layers.BatchNormalization)
    ]
    decider = _find_head(model, learners, head)
    body = [layer for layer in learners if layer is not decider]
    top = body[len(body) - round(top_fraction * len(body)) :]
    chosen = {"head": [], "top": top, "all": body}[stage]
    for layer in walk_layers(model):
        layer.trainable = layer is decider or any(layer is one for one in chosen)
    return model


def _unfreeze_models(model: keras.Model) -> None:
    """Unfreeze a model and those inside it: a frozen one hides layers that are not."""
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _unfreeze_models(layer)


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


def freeze_normalisation(model: keras.Model) -> keras.Model:
    """Make every batch normalisation of a network keep what it has learned, in place.

    A frozen one also runs in inference mode while the network trains: it normalises with its means
    and variances and does not move them.
    """
    for layer in walk_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model


def synchronise_normalisation(model: keras.Model) -> keras.Model:
    """Let batch normalisation see the photos of all devices, not those of its own device alone.

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
    """Yield every layer that has no layers of its own, those of models inside models as well."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from walk_layers(layer)
        else:
            yield layer


def copy_network(model: keras.Model, *, as_float32: bool = False) -> keras.Model:
    """Copy a network: the same layers and weights, frozen alike, not compiled.

    Args:
        model: Any network of `emoclf.models`.
        as_float32: Whether the copy computes in float32 where the network was built to compute in
            mixed precision.

    Returns:
        A network of its own; nothing that happens to it happens to `model`.
    """
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    if as_float32:
        text = json.dumps(config)
        for policy in _MIXED_PRECISION:
            text = text.replace(f'"{policy}"', '"float32"')
        config = json.loads(text)
    copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
    copy.set_weights(model.get_weights())
    return copy


def uses_mixed_precision(model: keras.Model) -> bool:
    """Say whether any layer of a network was built under a policy such as `mixed_float16`."""
    return any(layer.dtype_policy.name in _MIXED_PRECISION for layer in walk_layers(model))
