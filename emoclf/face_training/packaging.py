"""Write the three packaged files of a trained face network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.packaged import CARD_FILE_NAME, NETWORK_FILE_NAME, WEIGHTS_FILE_NAME, ModelCard
from emoclf.storage import replacing, write_json


def package_network(
    network: keras.Model,
    folder: str | Path,
    *,
    emotions: Sequence[str],
    filters: Sequence[int],
    blocks: Sequence[int],
    temperature: float,
    uncertain_below: float,
    neither_above: float,
    figures: Mapping[str, Any],
) -> ModelCard:
    """Round the weights to half precision and write them for OpenCV and for Keras.

    Both files hold the same rounded weights, so that they agree to the last digits. The ONNX
    file is written by Keras, which needs the packages `onnx` and `tf2onnx` for it (extra `train`).

    Args:
        network: From `emoclf.models.build_face_network`, in float32.
        folder: Where the three files go.
        emotions: Names of its outputs.
        filters: What it was built with.
        blocks: What it was built with.
        temperature: See `ModelCard`.
        uncertain_below: See `ModelCard`.
        neither_above: See `ModelCard`.
        figures: What was measured.

    Returns:
        The card.
    """
    folder = Path(folder)
    for variable in network.weights:
        variable.assign(np.asarray(variable, dtype=np.float16).astype(np.float32))
    with replacing(folder / WEIGHTS_FILE_NAME) as temporary:
        values = {v.path: np.asarray(v, dtype=np.float16) for v in network.weights}
        np.savez_compressed(temporary, allow_pickle=False, **values)
    _export_onnx(network, folder / NETWORK_FILE_NAME)
    card = {
        "format_version": 1,
        "emotions": list(emotions),
        "image_size": list(network.input_shape[1:3]),
        "temperature": temperature,
        "uncertain_below": uncertain_below,
        "neither_above": neither_above,
        "filters": list(filters),
        "blocks": list(blocks),
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (NETWORK_FILE_NAME, WEIGHTS_FILE_NAME)
        },
        "figures": dict(figures),
    }
    write_json(folder / CARD_FILE_NAME, card)
    return ModelCard.load(folder)


def _export_onnx(network: keras.Model, path: Path) -> None:
    logits = keras.Model(network.input, network.get_layer("logits").output)
    logits(np.zeros((1, *network.input_shape[1:]), dtype=np.uint8))
    signature = [keras.InputSpec(shape=(1, *network.input_shape[1:]), dtype="uint8", name="face")]
    with replacing(path) as temporary:
        logits.export(str(temporary), format="onnx", input_signature=signature, verbose=False)
