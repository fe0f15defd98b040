"""Networks: layers only, pure Keras. No data, no training, no file.

Every network here takes raw uint8 RGB `(batch, height, width, 3)` with values 0 to 255 and returns
probabilities `(batch, classes)`. Rescaling and augmentation are layers of the network, so that no
caller can do them twice or forget them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import keras
from keras import layers

from emoclf.config import CLASS_NAMES, IMAGE_SIZE

FineTuningStage = Literal["head", "all"]
"""What learns: the last layer alone, or the whole network."""


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


def build_face_network(
    image_size: tuple[int, int] = (48, 48),
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    filters: Sequence[int] = (24, 48, 96, 160),
    blocks: Sequence[int] = (1, 2, 2),
    normalise: bool = True,
    normalise_up_to_px: int = 12,
    dropout: float = 0.3,
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
        seed: Seed of the dropout; default: Keras' global seed.

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


def _walk_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield every layer that has no layers of its own, those of models inside models as well."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _walk_layers(layer)
        else:
            yield layer
