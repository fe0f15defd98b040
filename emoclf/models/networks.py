"""Our own networks, and the network that the settings ask for.

All take uint8 RGB `(batch, height, width, 3)`, 0 to 255, and return float32 probabilities
`(batch, classes)` that sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from emoclf.config import CLASS_NAMES, FACE_SIZE, IMAGE_SIZE, Settings
from emoclf.models.layers import average_maps, begin_network, predict_classes
from emoclf.models.packaged import load_face_network
from emoclf.models.transfer import build_transfer_model


def build_network(settings: Settings, class_names: Sequence[str] = CLASS_NAMES) -> keras.Model:
    """Build the network that the settings ask for.

    Args:
        settings: Which network, its size, weights, dropout and augmentation.
        class_names: Names of the outputs, in label order.

    Returns:
        The network. When `settings.is_pretrained`, it is to be trained in stages.

    Raises:
        ValueError: If the network cannot be built for this size.
        PretrainedWeightsError: If its weights cannot be downloaded or read; says what to do.

    Example:
        >>> build_network(Settings(network="deep")).name  # doctest: +SKIP
        'deep_cnn'
    """
    size = settings.image_size
    options: dict[str, Any] = {"dropout": settings.dropout, "augment": settings.augment}
    if settings.network == "joint":
        raise ValueError(
            "network='joint' is no network of Keras: train it with emoclf.train, which finds its "
            "last layer."
        )
    if settings.network == "small":
        return build_cnn(size, class_names, **options)
    if settings.network == "deep":
        return build_deep_cnn(size, class_names, **options)
    if settings.network == "face":
        return load_face_network(class_names, **options)
    return build_transfer_model(
        settings.network, size, class_names, weights=settings.weights, **options
    )


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
    the map. Global average pooling then measures how much of every feature is in the photo, and a
    fully connected layer decides.

    Normalising the large early maps is what a CPU spends most time on beside the convolutions.
    It is worth it: the network starts to learn after half as many epochs
    (`tests/benchmarks/bench_normalisation.py` measures both).

    Args:
        image_size: `(height, width)` in pixels; each is halved once per block but the last.
        class_names: Names of the outputs, in label order.
        filters: Features per block; one block for each.
        normalise_up_to_px: Leave out the batch normalisation of maps with a larger side than
            this; None normalises every map.
        dropout: Fraction of the features switched off at random while training, 0 to 1.
        augment: Whether augmentation layers stand after the rescaling.
        seed: Seed of augmentation and dropout; default: Keras' global seed.

    Returns:
        The network.

    Raises:
        ValueError: If the photo is too small for the number of blocks.
    """
    _check_size(image_size, filters, blocks=len(filters))
    photo, maps = begin_network(image_size, augment=augment, seed=seed)
    for number, count in enumerate(filters, start=1):
        maps = layers.Conv2D(count, 3, padding="same", name=f"convolution_{number}")(maps)
        if normalise_up_to_px is None or max(maps.shape[1:3]) <= normalise_up_to_px:
            maps = layers.BatchNormalization(momentum=0.9, name=f"normalise_{number}")(maps)
        maps = layers.ReLU(name=f"relu_{number}")(maps)
        if number < len(filters):
            maps = layers.MaxPooling2D(name=f"halve_{number}")(maps)
    features = average_maps(maps, dropout, seed=seed)
    return keras.Model(photo, predict_classes(features, len(class_names)), name="small_cnn")


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
        dropout: Fraction of the averaged features switched off at random while training, 0 to 1.
        augment: Whether augmentation layers stand after the rescaling.
        seed: Seed of augmentation and dropout; default: Keras' global seed.

    Returns:
        The network.

    Raises:
        ValueError: If the photo is too small for the number of blocks.
    """
    _check_size(image_size, filters, blocks=len(filters) - 1)
    photo, maps = begin_network(image_size, augment=augment, seed=seed)
    maps = _convolve(maps, filters[0], 3, name="stem", momentum=0.9)
    maps = layers.ReLU(name="stem_relu")(maps)
    for number, count in enumerate(filters[1:], start=1):
        maps = layers.MaxPooling2D(name=f"halve_{number}")(maps)
        name = f"block_{number}"
        change = _convolve(maps, count, 3, name=f"{name}_a", momentum=0.9)
        change = layers.ReLU(name=f"{name}_a_relu")(change)
        change = _convolve(change, count, 3, name=f"{name}_b", momentum=0.9, first_scale="zeros")
        if maps.shape[-1] != count:
            maps = _convolve(maps, count, 1, name=f"{name}_shortcut", momentum=0.9)
        maps = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([maps, change]))
    features = average_maps(maps, dropout, seed=seed)
    return keras.Model(photo, predict_classes(features, len(class_names)), name="deep_cnn")


def build_face_network(
    image_size: tuple[int, int] = FACE_SIZE,
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
    """Build the residual network for small face crops: the packaged one, and its teacher.

    A convolution at full size, then stages of residual blocks (He et al., 2016) at half, a quarter
    and an eighth of it, then the average over the face. Colour is dropped first: expressions do not
    need it, and the faces it learns from are grey.

    Args:
        image_size: `(height, width)` in pixels of the crop, at least 16 each.
        class_names: Names of the outputs, in label order.
        filters: Features of the first convolution and of each stage.
        blocks: Residual blocks of each stage, one fewer entries than `filters`.
        normalise: Whether there is batch normalisation. Off for a trained network whose
            normalisation was folded into the convolutions (`compact_network`).
        normalise_up_to_px: Maps with a larger side are normalised once per residual block instead
            of after every convolution, because that is what a CPU spends most time on there.
        dropout: Fraction of the averaged features switched off at random while training, 0 to 1.
        augment: Whether augmentation layers stand after the rescaling. The recipe of the packaged
            network changes faces before they come here.
        seed: Seed of augmentation and dropout; default: Keras' global seed.

    Returns:
        The network. Its layer `logits` holds the values before the softmax, the layer
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
    momentum = 0.95 if normalise else 0
    photo, maps = begin_network(image_size, augment=augment, seed=seed, name="face")
    maps = keras.ops.image.rgb_to_grayscale(maps, data_format="channels_last")
    maps = _convolve(maps, filters[0], 3, name="stem")
    maps = layers.ReLU(name="stem_relu")(maps)
    for stage, (count, repeats) in enumerate(zip(filters[1:], blocks, strict=True), start=1):
        maps = layers.MaxPooling2D(name=f"halve_{stage}")(maps)
        first_momentum = momentum if max(maps.shape[1:3]) <= normalise_up_to_px else 0
        for number in range(1, repeats + 1):
            name = f"block_{stage}_{number}"
            change = _convolve(maps, count, 3, name=f"{name}_a", momentum=first_momentum)
            change = layers.ReLU(name=f"{name}_a_relu")(change)
            change = _convolve(change, count, 3, name=f"{name}_b", momentum=momentum)
            if maps.shape[-1] != count:
                maps = _convolve(maps, count, 1, name=f"{name}_shortcut")
            maps = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([maps, change]))
    features = average_maps(maps, dropout, seed=seed, name="average_over_face")
    logits = layers.Dense(len(class_names), dtype="float32", name="logits")(features)
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(photo, probabilities, name="face_network")


def _check_size(image_size: tuple[int, int], filters: Sequence[int], *, blocks: int) -> None:
    smallest = 2 ** len(filters)
    if min(image_size) < smallest:
        raise ValueError(
            f"image_size={tuple(image_size)} is too small for {blocks} blocks: give at least "
            f"({smallest}, {smallest}), or fewer filters."
        )


def _convolve(
    maps: keras.KerasTensor,
    count: int,
    kernel: int,
    *,
    name: str,
    momentum: float = 0,
    first_scale: str = "ones",
) -> keras.KerasTensor:
    """Convolve, and normalise the batch if there is a momentum, above 0, for it."""
    maps = layers.Conv2D(
        count,
        kernel,
        padding="same",
        use_bias=not momentum,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(maps)
    if momentum:
        maps = layers.BatchNormalization(
            momentum=momentum, gamma_initializer=first_scale, name=f"{name}_normalise"
        )(maps)
    return maps
