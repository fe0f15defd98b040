"""The network, what it is told when it differs from its teacher, and its file for OpenCV.

Three grids of cells look at the picture (every 8, 16 and 32 pixels); each cell answers with a
score, a box and five landmarks (anchor-free, one stage). Names and meaning of the outputs are
YuNet's (Wu, Peng and Yu, 2023), so that `cv2.FaceDetectorYN` reads the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from emoclf.experiments.face_detector.composing import NUMBERS, STRIDES
from emoclf.storage import replacing

_BOX_WEIGHT, _MARK_WEIGHT = 2.0, 10.0
_MIN_WEIGHT = 0.2
_MAX_LOG_SIDE = 5.0
_PARTS = {"cls": slice(0, 1), "obj": slice(0, 1), "bbox": slice(1, 5), "kps": slice(5, 15)}


def build_detector(width: int = 64) -> keras.Model:
    """Build the network.

    Args:
        width: Channels of the three grids; 64 makes about 83,000 weights.

    Returns:
        From BGR `(n, height, width, 3)`, 0 to 255, sides that 32 divides, to float32
        `(n, cells, 15)`: the logit of the score, box and landmarks, as `Teacher.answer` has them.
    """
    picture = keras.Input((None, None, 3), name="input")
    hidden = _convolve(picture, width // 8, stride=2)
    hidden = _convolve(hidden, width // 2, stride=2)
    hidden = _convolve(_separate(hidden, width // 2), width, stride=2)
    grids: list[Any] = []
    for depth in (2, 3, 3):
        if grids:
            hidden = _separate(hidden, width, stride=2)
        for _ in range(depth):
            hidden = _separate(hidden, width)
        grids.append(hidden)
    seen = [_separate(grids[2], width)]
    for grid in grids[1::-1]:
        joined = layers.Add()([grid, layers.UpSampling2D(2)(seen[0])])
        seen.insert(0, _separate(joined, width))
    answers = [_answer(each, stride) for each, stride in zip(seen, STRIDES, strict=True)]
    return keras.Model(picture, layers.Concatenate(axis=1)(answers))


def _convolve(hidden: Any, channels: int, *, stride: int = 1, size: int = 3) -> Any:
    """Convolve, normalise, clip below 0."""
    if stride > 1:
        hidden = layers.ZeroPadding2D(size // 2)(hidden)
    padding = "valid" if stride > 1 else "same"
    hidden = layers.Conv2D(channels, size, stride, padding, use_bias=False)(hidden)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.98)(hidden))


def _separate(hidden: Any, channels: int, *, stride: int = 1) -> Any:
    """Convolve each channel by itself, then mix them; add the input where shapes allow it."""
    found = layers.ZeroPadding2D(1)(hidden) if stride > 1 else hidden
    padding = "valid" if stride > 1 else "same"
    found = layers.DepthwiseConv2D(3, stride, padding, use_bias=False)(found)
    found = _convolve(found, channels, size=1)
    return found if stride > 1 else layers.Add()([hidden, found])


def _answer(hidden: Any, stride: int) -> Any:
    """Answer in every cell of one grid."""
    hidden = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(hidden)
    start = np.zeros(NUMBERS, np.float32)
    start[0], start[3:5] = -4.0, 1.0
    bias = keras.initializers.Constant(start)
    hidden = layers.Conv2D(NUMBERS, 1, bias_initializer=bias, name=f"answer_{stride}")(hidden)
    return layers.Reshape((-1, NUMBERS))(hidden)


def measure_loss(taught: Any, answered: Any) -> Any:
    """Compare answers with the teacher's.

    The score's loss is the quality focal loss (Li et al., 2020); boxes are compared by generalised
    intersection over union (Rezatofighi et al., 2019), landmarks by their distance as a fraction of
    the face's size, both weighted by the teacher's score.

    Args:
        taught: float32 `(n, cells, 15)`, from `Teacher.answer`.
        answered: float32 `(n, cells, 15)`, from the network.

    Returns:
        The loss of the batch, a number per taught face cell.
    """
    score, logit = taught[..., 0], answered[..., 0]
    entropy = ops.softplus(logit) - score * logit
    focus = ops.square(score - ops.sigmoid(logit))
    weight = ops.where(score >= _MIN_WEIGHT, score, 0.0)
    total = ops.maximum(ops.sum(weight), 1.0)
    far = ops.abs(taught[..., 5:] - answered[..., 5:])
    size = ops.exp(ops.mean(taught[..., 3:5], axis=-1))
    marks = ops.mean(far, axis=-1) / size
    boxes = 1 - _compare_boxes(taught[..., 1:5], answered[..., 1:5])
    placed = weight * (_BOX_WEIGHT * boxes + _MARK_WEIGHT * marks)
    return (ops.sum(entropy * focus) * 2 + ops.sum(placed)) / total


def _compare_boxes(first: Any, second: Any) -> Any:
    """Return the generalised intersection over union of boxes (x, y, log width, log height)."""
    corners = []
    for box in (first, second):
        half = ops.exp(ops.clip(box[..., 2:], -_MAX_LOG_SIDE, _MAX_LOG_SIDE)) / 2
        corners.append((box[..., :2] - half, box[..., :2] + half))
    (low, high), (other_low, other_high) = corners
    common = ops.maximum(ops.minimum(high, other_high) - ops.maximum(low, other_low), 0.0)
    around = ops.maximum(high, other_high) - ops.minimum(low, other_low)
    common, around = ops.prod(common, axis=-1), ops.prod(around, axis=-1)
    union = ops.prod(high - low, axis=-1) + ops.prod(other_high - other_low, axis=-1) - common
    return common / union - (around - union) / around


def write_detector(network: keras.Model, path: str | Path, *, shift: float = 0.0) -> None:
    """Write the network as ONNX for `cv2.FaceDetectorYN`, its batch normalisation folded in.

    Args:
        network: From `build_detector`.
        path: The file to write.
        shift: What is added to the scores' logits, so that the threshold made for YuNet suits this
            network, too.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights = _list_nodes(network, shift)
    for part, columns in _PARTS.items():
        weights[f"shape_{part}"] = np.array([1, -1, columns.stop - columns.start], np.int64)
    weights["twice"] = np.array([1, 1, 2, 2], np.float32)
    names = [f"{part}_{stride}" for part in _PARTS for stride in STRIDES]
    describe = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, takes, [gives], **how) for kind, takes, gives, how in nodes],
        "emoclf_face_detector",
        [describe("input", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [
            describe(name, TensorProto.FLOAT, [1, "cells", weights[f"shape_{part}"].tolist()[2]])
            for name in names
            for part in [name.partition("_")[0]]
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=6, producer_name="emoclf")
    onnx.checker.check_model(model)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(model.SerializeToString())


_Node = tuple[str, list[str], str, dict[str, Any]]
_Weights = dict[str, np.ndarray]


def _list_nodes(network: keras.Model, shift: float) -> tuple[list[_Node], _Weights]:
    """Return the graph's nodes (kind, inputs, output, attributes) and its weights by name."""
    nodes: list[_Node] = []
    weights: _Weights = {}
    names = {network.input.name: "input"}
    for layer in network.layers[1:]:
        takes = [names[each.name] for each in keras.tree.flatten(layer.input)]
        name = names[layer.output.name] = layer.name
        match layer:
            case layers.ZeroPadding2D():  # the convolution after it says so
                names[layer.output.name] = takes[0]
            case layers.BatchNormalization():
                names[layer.output.name] = takes[0]
                gain = np.asarray(layer.gamma / ops.sqrt(layer.moving_variance + layer.epsilon))
                weights[f"{takes[0]}/kernel"] *= gain[:, None, None, None]
                weights[f"{takes[0]}/bias"] = np.asarray(layer.beta - layer.moving_mean * gain)
            case layers.Conv2D() if layer.use_bias:
                kernel, bias = _turn_kernel(layer), np.array(layer.bias)
                bias[0] += shift
                for part, columns in _PARTS.items():
                    output = name.replace("answer", part)
                    weights |= {
                        f"{output}/kernel": kernel[columns],
                        f"{output}/bias": bias[columns],
                    }
                    nodes += _list_answer(takes[0], output, part)
            case layers.Conv2D() | layers.DepthwiseConv2D():
                kernel = weights[f"{name}/kernel"] = _turn_kernel(layer)
                weights[f"{name}/bias"] = np.zeros(len(kernel), np.float32)
                nodes.append(_list_convolution(takes[0], name, layer))
            case layers.ReLU() | layers.Add():
                kind = "Add" if isinstance(layer, layers.Add) else "Relu"
                nodes.append((kind, takes, name, {}))
            case layers.UpSampling2D():
                nodes.append(("Resize", [*takes, "", "twice"], name, _RESIZE))
    return nodes, weights


_RESIZE = {
    "mode": "nearest",
    "nearest_mode": "floor",
    "coordinate_transformation_mode": "asymmetric",
}


def _list_convolution(source: str, name: str, layer: Any) -> _Node:
    """Return the node of a convolution, of all channels or of each by itself."""
    size = layer.kernel_size[0]
    is_separate = isinstance(layer, layers.DepthwiseConv2D)
    how = {
        "kernel_shape": [size, size],
        "strides": [*layer.strides],
        "pads": [size // 2] * 4,
        "group": layer.input.shape[-1] if is_separate else 1,
    }
    return "Conv", [source, f"{name}/kernel", f"{name}/bias"], name, how


def _list_answer(source: str, output: str, part: str) -> list[_Node]:
    """Return the nodes of one output: cells in rows, scores from 0 to 1."""
    is_score = part in ("cls", "obj")
    rows = f"{output}/rows" if is_score else output
    nodes: list[_Node] = [
        (
            "Conv",
            [source, f"{output}/kernel", f"{output}/bias"],
            f"{output}/grid",
            {"kernel_shape": [1, 1]},
        ),
        ("Transpose", [f"{output}/grid"], f"{output}/last", {"perm": [0, 2, 3, 1]}),
        ("Reshape", [f"{output}/last", f"shape_{part}"], rows, {}),
    ]
    return [*nodes, ("Sigmoid", [rows], output, {})] if is_score else nodes


def _turn_kernel(layer: Any) -> np.ndarray:
    """Return a layer's kernel as ONNX has it: `(out, in, height, width)`."""
    kernel = np.array(layer.kernel, np.float32)
    order = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (3, 2, 0, 1)
    return np.ascontiguousarray(kernel.transpose(order))
