"""Faces and scene together as one network of Keras: the form in which it is exported."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
from keras import layers, ops

from emoclf.config import SCENE_SIZE, SHEET_SIZE
from emoclf.images.sheet import MAX_FACES, cut_sheets
from emoclf.models.efficientnet_lite0 import build_efficientnet_lite0
from emoclf.models.joint import JointNetwork, summarise_faces
from emoclf.models.layers import predict_classes
from emoclf.models.packaged import PackagedNetwork, load_face_network


def build_joint_model(network):
    sheets = keras.Input((*SHEET_SIZE, 3), dtype="uint8", name="photo")
    scenes, faces, sizes = cut_sheets(sheets, ops)
    faces = ops.reshape(faces, (-1, *faces.shape[2:]))
    logits = _build_face(network.face)(faces)
    logits = ops.reshape(logits, (-1, MAX_FACES, logits.shape[-1]))
    features = [_build_scene(network.scene.content)(scenes), summarise_faces(logits, sizes, ops)]
    probabilities = predict_classes(ops.concatenate(features, axis=1), len(network.head.bias))
    model = keras.Model(sheets, probabilities, name="joint")
    head = network.head
    kernel = head.weights.astype(np.float64) / head.scale[:, np.newaxis]
    model.get_layer("probabilities").set_weights([kernel, head.bias - head.mean @ kernel])
    return model


def _build_face(face):
    whole = load_face_network(face.card.emotions, dropout=0)
    view = keras.Model(whole.input, whole.get_layer("logits").output, name="faces")
    return view


def _build_scene(content):
    inner = build_efficientnet_lite0((*SCENE_SIZE, 3), normalise=False)
    photo = keras.Input((*SCENE_SIZE, 3), dtype="uint8", name="scene")
    values = layers.Rescaling(1 / 128, offset=-127 / 128, dtype="float32")(photo)
    maps = inner(values)
    weights = read_convolutions(content)
    found = []
    for variable, values in zip(inner.weights, weights, strict=True):
        if values.ndim == 4:
            values = values.transpose((2, 3, 0, 1) if "depthwise" in variable.path else (2, 3, 1, 0))
        found.append(values)
    inner.set_weights(found)
    return keras.Model(photo, layers.GlobalAveragePooling2D()(maps), name="scene")


def read_convolutions(content):
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load_from_string(content).graph
    values = {each.name: to_array(each) for each in graph.initializer}
    found, last = [], ""
    for node in graph.node:
        constants = [values[name] for name in node.input if name in values]
        if node.op_type == "DequantizeLinear":
            whole, scale, zero = constants
            shape = (-1, *[1] * (whole.ndim - 1))
            values[node.output[0]] = (whole.astype(np.float32) - zero.reshape(shape)) * scale.reshape(shape)
        elif node.op_type == "Conv":
            kernel, *bias = constants
            found += [kernel, bias[0] if bias else np.zeros(len(kernel), np.float32)]
            last = node.output[0]
        elif node.op_type in ("Mul", "Add") and last in node.input and constants:
            factor = constants[0].reshape(-1)
            if node.op_type == "Mul":
                found[-2] = found[-2] * factor.reshape(-1, 1, 1, 1)
                found[-1] = found[-1] * factor
            else:
                found[-1] = found[-1] + factor
            last = node.output[0]
    return found
