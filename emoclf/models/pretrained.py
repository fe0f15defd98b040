"""Weights that others have learned: downloaded by Keras, or from a file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.models.safe_loading import check_weights, load_keras_file
from emoclf.storage import open_regular
from emoclf.untrusted import show_text

_MAX_BYTES = 4 * 2**30
_SUFFIXES = (".keras", ".h5")
_WAYS_OUT = (
    "Give weights='none' for random weights, which need many more photos; or weights='<path>' of a "
    "file of this backbone's weights (.weights.h5, or .h5 without the top layers)"
)


class PretrainedWeightsError(ValueError):
    """The weights of a backbone could not be downloaded or read."""


def load_weights_of_imagenet(
    build: Callable[..., keras.Model], options: dict[str, Any], *, name: str
) -> keras.Model:
    """Build a network of `keras.applications` with the weights it learned from ImageNet.

    Args:
        build: The function of `keras.applications`.
        options: What to call it with, beside the weights.
        name: What the backbone is called here.

    Returns:
        The network.

    Raises:
        PretrainedWeightsError: If the weights are not on this machine and cannot be downloaded.
    """
    try:
        return build(weights="imagenet", **options)
    except Exception as error:  # Keras raises a plain Exception when a download fails.
        raise PretrainedWeightsError(
            f"The ImageNet weights of {name!r} are not on this machine and could not be downloaded "
            f"({show_text(error)}). {_WAYS_OUT}; or run this once with a network: Keras keeps the "
            "file in ~/.keras/models, and a copy of it there works on other machines too."
        ) from error


def load_weights_file(backbone: keras.Model, path: str | Path, *, name: str) -> None:
    """Give a backbone the weights of a file.

    Args:
        backbone: The network; changed in place.
        path: `.weights.h5` or `.h5`, or a `.keras` file of a network that holds this backbone.
        name: What the backbone is called, for the error.

    Raises:
        PretrainedWeightsError: If there is no such file, or it holds other weights.
    """
    path = Path(path)
    if not path.is_file() or path.suffix not in _SUFFIXES:
        raise PretrainedWeightsError(
            f"weights={str(path)!r} should be 'imagenet', 'none' or an existing file that ends in "
            f"{' or '.join(_SUFFIXES)}. {_WAYS_OUT}."
        )
    try:
        if path.suffix == ".keras":
            trained = load_keras_file(path)
            backbone.set_weights(trained.get_layer(backbone.name).get_weights())
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
