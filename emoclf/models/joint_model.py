"""Faces and scene together as one network of Keras: the form in which it is exported."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
from keras import layers, ops

from emoclf.config import SCENE_SIZE, SHEET_SIZE
from emoclf.images.sheet import MAX_FACES, cut_sheets
from emoclf.models.efficientnet_lite0 import build_efficientnet_lite0
from emoclf.models.joint import Head, JointNetwork, summarise_faces
from emoclf.models.layers import predict_classes
from emoclf.models.packaged import NETWORK_FILE_NAME, PackagedNetwork, load_face_network
from emoclf.runtime import require_part

_LARGEST_DIFFERENCE = 1e-2
"""A feature, from 0 to 6, may be so much another in Keras than in OpenCV; usual is 0.00001."""


def build_joint_model(network: JointNetwork) -> keras.Model:
    """Build the same network in Keras: it cuts the sheet, looks at photo and faces, and decides.

    Every place for a face is looked at, also an empty one, whose values then count for nothing.

    Args:
        network: With a head.

    Returns:
        A model from uint8 RGB sheets `(batch, 320, 224, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)`, of Keras' own layers alone.

    Raises:
        ValueError: If there is no head yet, or one of the networks inside is not as emoclf writes
            it.
        MissingPartError: If onnx is not installed (the extra `export`).
    """
    head = Head(*(each.astype(np.float32) for each in network.find_head()))
    sheets = keras.Input((*SHEET_SIZE, 3), dtype="uint8", name="sheet")
    scenes, faces, sizes = cut_sheets(sheets, ops)
    logits = _find_logits(network.face, faces)
    found = [_build_scene(network.scene.content)(scenes), summarise_faces(logits, sizes, ops)]
    features = ops.concatenate(found, axis=1)
    _check_features(keras.Model(sheets, features), network)
    values = (features - head.mean) / head.scale
    model = keras.Model(sheets, predict_classes(values, len(head.bias)), name="joint")
    model.get_layer("probabilities").set_weights([head.weights, head.bias])
    return model


def _check_features(model: keras.Model, network: JointNetwork) -> None:
    """Refuse a network that has the weights of an EfficientNet-Lite0, but computes otherwise."""
    noise = np.random.default_rng(0).integers(0, 256, (1, *SHEET_SIZE, 3), dtype=np.uint8)
    received = ops.convert_to_numpy(model(noise, training=False))
    difference = np.abs(received - network.predict_features(noise)).max()
    if not difference <= _LARGEST_DIFFERENCE:
        raise _make_strange(f"a feature differs by {difference:.1g}")


def _find_logits(face: PackagedNetwork, faces: keras.KerasTensor) -> keras.KerasTensor:
    """Return the logits `(sheets, faces, emotions)` of all faces, as `predict_logits` does."""
    if hashlib.sha256(face.content).hexdigest() != face.card.sha256.get(NETWORK_FILE_NAME):
        raise ValueError(
            "The network of faces in this file is not the one that comes with this emoclf, whose "
            "weights Keras takes. Train again (network='joint'), which takes a minute."
        )
    whole = load_face_network(face.card.emotions, dropout=0)
    model = keras.Model(whole.input, whole.get_layer("logits").output, name="faces")
    views = (faces, faces[:, :, :, ::-1]) if face.card.mirror else (faces,)
    found = [model(ops.reshape(view, (-1, *view.shape[2:]))) for view in views]
    logits = found[0] if len(found) == 1 else layers.Average()(found)
    return ops.reshape(logits, (-1, MAX_FACES, len(face.card.emotions)))


def _build_scene(content: bytes) -> keras.Model:
    """Build EfficientNet-Lite0 up to its features, with the weights of an ONNX file."""
    network = build_efficientnet_lite0((*SCENE_SIZE, 3), normalise=False)
    weights = _read_convolutions(content)
    for number, variable in enumerate(network.weights[: len(weights)]):
        if weights[number].ndim == 4:
            order = (2, 3, 0, 1) if "depthwise" in variable.path else (2, 3, 1, 0)
            weights[number] = weights[number].transpose(order)
    try:
        network.set_weights(weights)
    except ValueError as error:
        raise _make_strange(error) from error
    photo = keras.Input((*SCENE_SIZE, 3), dtype="uint8", name="scene")
    values = layers.Rescaling(1 / 128, offset=-127 / 128, dtype="float32")(photo)
    return keras.Model(photo, layers.GlobalAveragePooling2D()(network(values)), name="scene")


def _read_convolutions(content: bytes) -> list[np.ndarray]:
    """Return kernel and bias of every convolution, with what is multiplied and added after it."""
    require_part("onnx")
    import onnx

    graph = onnx.load_from_string(content).graph
    known = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    found: list[np.ndarray] = []
    last = None
    for node in graph.node:
        constants = [known[name] for name in node.input if name in known]
        if node.op_type == "DequantizeLinear" and len(constants) == 3:
            whole, scales, zeros = (each.astype(np.float32).T for each in constants)
            known[node.output[0]] = ((whole - zeros) * scales).T  # a scale for every output
        elif node.op_type == "Conv" and constants:
            kernel, *bias = constants
            found += [kernel, *(bias or [np.zeros(len(kernel), np.float32)])]
            last = node.output[0]
        elif last in node.input and constants and node.op_type in ("Mul", "Add"):
            values, last = constants[0].reshape(-1), node.output[0]
            if node.op_type == "Mul":
                found[-2:] = (found[-2].T * values).T, found[-1] * values
            else:
                found[-1] = found[-1] + values
    return found


def _make_strange(reason: object) -> ValueError:
    return ValueError(
        "The network of scenes in this file is not EfficientNet-Lite0 as emoclf writes it, so it "
        f"cannot be brought to Keras ({reason}). Train again (network='joint')."
    )
