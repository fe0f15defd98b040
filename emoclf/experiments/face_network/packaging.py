"""Make a trained face network small, calibrate it, measure it, and write the packaged files."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.config import CLASS_NAMES, FACE_SIZE
from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet
from emoclf.evaluation import Evaluation, wilson_interval
from emoclf.evaluation.calibration import fit_temperature
from emoclf.evaluation.reliability import accuracy_at_coverage, expected_calibration_error
from emoclf.experiments.face_network.faces import (
    HAPPINESS,
    SADNESS,
    RecipeFaces,
    is_happy_or_sad,
    raters_agree,
    raters_confirm_label,
)
from emoclf.experiments.face_network.learning import predict_emotions
from emoclf.experiments.face_network.recipe import RecipeSettings
from emoclf.models import build_face_network
from emoclf.models.formats.writers import write_onnx
from emoclf.models.packaged import (
    CARD_FILE_NAME,
    NETWORK_FILE_NAME,
    WEIGHTS_FILE_NAME,
    FaceProbabilities,
    ModelCard,
    calibrate_logits,
)
from emoclf.photos import Photos
from emoclf.storage import find_sha256, replacing, write_json

_MIN_HALVED_SIZE = 256
"""Smaller arrays stay in single precision inside the ONNX file."""


def package_student(
    student: keras.Model,
    faces: RecipeFaces,
    folder: str | Path,
    *,
    settings: RecipeSettings | None = None,
) -> ModelCard:
    """Make the student compact, calibrate it, measure it and write the packaged files.

    Writing the ONNX file needs TensorFlow and the extra `export` (onnx, tf2onnx).

    Args:
        student: From `train_packaged_network`.
        faces: From `prepare_faces`, with votes.
        folder: Where the three files go.
        settings: The recipe that was followed.

    Returns:
        The card with all figures.
    """
    settings = settings or RecipeSettings()
    card = ModelCard(
        emotions=EMOTIONS,
        image_size=FACE_SIZE,
        temperature=1.0,
        mirror=settings.mirror,
        uncertain_below=settings.uncertain_below,
        neither_above=settings.neither_above,
        filters=settings.rounds[-1].filters,
        blocks=settings.rounds[-1].blocks,
        sha256={},
        figures={},
    )
    compact = compact_network(student, card)
    chosen = faces.tuning.take(is_happy_or_sad(faces.tuning))
    logits = predict_emotions(compact, chosen.pixels, flip=card.mirror)[:, [SADNESS, HAPPINESS]]
    happy = (chosen.labels == HAPPINESS).astype(np.int64)
    card = replace(card, temperature=round(fit_temperature(logits, happy), 4))
    leakage = faces.leakage
    figures: dict[str, Any] = {
        "training_faces": len(faces.training),
        "duplicates_left_out": {"exact": leakage.exact, "near": leakage.near},
    }
    for name, part in (("tuning", faces.tuning), ("confirmation", faces.confirmation)):
        logits = predict_emotions(compact, part.pixels, flip=card.mirror)
        figures[name] = judge(calibrate_logits(logits, card), part, card)
    return _save_package(compact, folder, card=replace(card, figures=figures))


def judge(predicted: FaceProbabilities, faces: FaceSet, card: ModelCard) -> dict[str, Any]:
    """Measure a network on validation faces.

    Args:
        predicted: Its calibrated probabilities for the faces.
        faces: The same faces, of all emotions, with votes.
        card: When a prediction is "uncertain".

    Returns:
        Figures by name; fractions are dictionaries with `value`, `low`, `high` (95 %) and `count`.
    """
    from sklearn.metrics import roc_auc_score

    confidence, chosen = predicted.classes.max(axis=1), is_happy_or_sad(faces)
    certain = (confidence >= card.uncertain_below) & (predicted.neither <= card.neither_above)
    photos = Photos.make(np.flatnonzero(chosen), faces.labels[chosen] == HAPPINESS)
    evaluation = Evaluation(photos, predicted.classes[chosen])
    right, area = evaluation.is_right, evaluation.estimates.roc_auc
    clear, confirmed = raters_agree(faces)[chosen], raters_confirm_label(faces)[chosen]
    fractions = {
        "accuracy": right,
        "accuracy_where_raters_agree": right[clear],
        "accuracy_where_raters_confirm_label": right[confirmed],
        "accuracy_where_raters_do_not_agree": right[~clear],
        "accuracy_when_certain": right[certain[chosen]],
        "certain_of_happy_or_sad": certain[chosen],
        "certain_of_other_emotions": certain[~chosen],
        "above_0.9_of_happy_or_sad": confidence[chosen] > 0.9,
        "above_0.9_of_other_emotions": confidence[~chosen] > 0.9,
        **{
            f"recall_of_{name}": right[photos.labels == label]
            for label, name in enumerate(CLASS_NAMES)
        },
    }
    return {
        "area_under_roc": None if area is None else asdict(area),
        "calibration_error": expected_calibration_error(evaluation),
        "accuracy_at_90_percent_coverage": asdict(accuracy_at_coverage(evaluation)),
        "area_under_roc_of_neither": float(roc_auc_score(~chosen, predicted.neither)),
        **{
            name: asdict(wilson_interval(int(hits.sum()), len(hits)))
            for name, hits in fractions.items()
        },
    }


def compact_network(network: keras.Model, card: ModelCard) -> keras.Model:
    """Fold the batch normalisation into the convolutions and round to half precision.

    A trained normalisation is a multiplication and an addition per feature, which the convolution
    before it can do as well (Jacob et al., 2018, section 3.2).

    Args:
        network: From `emoclf.models.build_face_network`, with normalisation.
        card: What it was built with.

    Returns:
        A network without normalisation that predicts the same but for rounding. Its weights are
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


def _save_package(network: keras.Model, folder: str | Path, *, card: ModelCard) -> ModelCard:
    """Write a compact network for OpenCV and for Keras, in half precision, and its card."""
    folder = Path(folder)
    with replacing(folder / WEIGHTS_FILE_NAME) as temporary:
        values = {v.path: np.asarray(v, dtype=np.float16) for v in network.weights}
        np.savez_compressed(temporary, allow_pickle=False, **values)
    with replacing(folder / NETWORK_FILE_NAME) as temporary:
        _export_onnx(network, temporary)
    names = (NETWORK_FILE_NAME, WEIGHTS_FILE_NAME)
    complete = replace(card, sha256={name: find_sha256(folder / name) for name in names})
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
