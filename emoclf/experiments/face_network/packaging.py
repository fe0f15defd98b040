"""Make a trained face network small and quick, and write the three packaged files."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np

from emoclf.experiments.exporting import write_onnx
from emoclf.models import build_face_network
from emoclf.models.packaged import CARD_FILE_NAME, NETWORK_FILE_NAME, WEIGHTS_FILE_NAME, ModelCard
from emoclf.storage import replacing, write_json

_MIN_HALVED_SIZE = 256
"""Smaller arrays stay in single precision inside the ONNX file."""


def compact_network(network: keras.Model, card: ModelCard) -> keras.Model:
    """Fold the batch normalisation into the convolutions and round to half precision.

    A trained normalisation is a multiplication and an addition per feature, which the convolution
    before it can do as well (Jacob et al., 2018, section 3.2).

    Args:
        network: From `emoclf.models.build_face_network`, with normalisation.
        card: What it was built with.

    Returns:
        A network without normalisation that answers the same but for rounding. Its weights are
        float32 with values that half precision can hold.
    """
    compact = build_face_network(
        card.image_size,
        card.emotions,
        filters=card.filters,
        blocks=card.blocks,
        normalise=False,
        dropout=0,
    )
    names = {layer.name for layer in network.layers}
    for layer in compact.layers:
        if not layer.weights:
            continue
        trained = network.get_layer(layer.name)
        partner = layer.name.replace("_convolution", "_normalise")
        if partner != layer.name and partner in names:
            values = _fold(trained, network.get_layer(partner))
        else:
            values = trained.get_weights()
        layer.set_weights([value.astype(np.float16).astype(np.float32) for value in values])
    return compact


def _fold(
    convolution: keras.layers.Conv2D, normalisation: keras.layers.BatchNormalization
) -> list[np.ndarray]:
    """Return kernel and bias of a convolution that also does what the normalisation does."""
    (kernel,) = convolution.get_weights()
    gamma, beta, mean, variance = normalisation.get_weights()
    scale = gamma / np.sqrt(variance + normalisation.epsilon)
    return [kernel * scale, beta - mean * scale]


def save_package(network: keras.Model, folder: str | Path, *, card: ModelCard) -> ModelCard:
    """Write a compact network for OpenCV and for Keras, and its card.

    Both files hold the same weights in half precision. Writing the ONNX file needs TensorFlow and
    the packages of the extra `train` (onnx, tf2onnx).

    Args:
        network: From `compact_network`.
        folder: Where the three files go.
        card: All but the SHA-256 of the files.

    Returns:
        The complete card.
    """
    folder = Path(folder)
    with replacing(folder / WEIGHTS_FILE_NAME) as temporary:
        values = {v.path: np.asarray(v, dtype=np.float16) for v in network.weights}
        np.savez_compressed(temporary, allow_pickle=False, **values)
    with replacing(folder / NETWORK_FILE_NAME) as temporary:
        _export_onnx(network, temporary)
    names = (NETWORK_FILE_NAME, WEIGHTS_FILE_NAME)
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    complete = replace(card, sha256=hashes)
    write_json(folder / CARD_FILE_NAME, {"format_version": 1, **asdict(complete)})
    return ModelCard.load(folder)


def _export_onnx(network: keras.Model, path: Path) -> None:
    """Write the network up to its logits, for one face uint8 `(1, height, width, 3)`."""
    import onnx

    logits = keras.Model(network.input, network.get_layer("logits").output)
    graph = onnx.load(write_onnx(logits, path, input_name="face"))
    _store_in_half_precision(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _store_in_half_precision(model: object) -> None:
    """Store large arrays as float16 with a node that casts them back when they are loaded."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph  # type: ignore[attr-defined]
    arrays, casts = [], []
    for array in graph.initializer:
        values = numpy_helper.to_array(array)
        if array.data_type != TensorProto.FLOAT or values.size < _MIN_HALVED_SIZE:
            arrays.append(array)
            continue
        name = f"{array.name}_half"
        arrays.append(numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(helper.make_node("Cast", [name], [array.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(arrays)
    graph.node.extend(nodes)
