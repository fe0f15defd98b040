"""What of emoclf or of a run is put into the page: the networks' files, and what they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

import emoclf
from emoclf.images.faces import FaceDetector, YuNetDetector
from emoclf.inference import MakeDetector, Predictor
from emoclf.models.formats import choose_formats
from emoclf.models.joint import Head, JointNetwork
from emoclf.models.packaged import NETWORK_FILE_NAME, ModelCard, PackagedNetwork
from emoclf.run import Run
from emoclf.storage import temporary_folder
from emoclf.untrusted import show_text

OPERATORS = frozenset(
    (
        *("Add", "BatchNormalization", "Cast", "Clip", "Constant", "Conv", "DequantizeLinear"),
        *("Div", "Flatten", "Gemm", "GlobalAveragePool", "Identity", "MatMul", "MaxPool", "Mul"),
        *("Pad", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid", "Softmax", "Squeeze", "Sub"),
        *("Transpose", "Unsqueeze"),
    )
)
"""The operators of ONNX that the page's engine runs."""


def gather_networks(
    model: str | Path | None,
    *,
    scene: bool = False,
    detector: FaceDetector | MakeDetector | None = None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Gather the files that the page needs, and what it has to know of them.

    Args:
        model: As for `build_page`.
        scene: As for `build_page`.
        detector: As for `build_page`.

    Returns:
        What the page is told, as JSON can hold it, and files by the name of their element.

    Raises:
        FileNotFoundError: If there is no model at `model`.
        FormatUnavailableError: If a network of Keras needs a package that is missing.
        ValueError: If the model is damaged, or the page cannot run it.
    """
    if model is not None and scene:
        raise ValueError("scene: expected False beside a model, which looks at what it learnt.")
    predictor = _load(model, scene, detector)
    network, info = predictor.model, predictor.info
    blocks: dict[str, bytes] = {}
    told: dict[str, Any] = {
        "version": emoclf.__version__,
        "kind": "packaged" if model is None else "run",
        "title": "" if model is None else _name_run(predictor),
        "classNames": list(info.class_names),
        "input": {"crop": info.crop, "size": list(info.image_size), "resize": info.resize_mode},
        "detector": None,
        "face": None,
        "joint": None,
    }
    if info.crop != "none":
        told["detector"], blocks["detector"] = _describe_detector(predictor.detector)
    if isinstance(network, JointNetwork):
        rule = predictor.rule
        below = rule.uncertain_below if rule else None
        told["joint"] = {"uncertainBelow": below, "sha256": network.sha256}
        blocks |= {"scene": network.scene.content, "head": _pack(network.find_head())}
    face = getattr(network, "face", network)
    if isinstance(face, PackagedNetwork):
        told["face"], blocks["face"] = _describe_face(face)
    else:
        blocks["network"] = _write_network(network)
    own = ModelCard.load().sha256[NETWORK_FILE_NAME]
    told["canTeach"] = bool(told["face"]) and told["face"]["sha256"] == own
    return told, blocks


def _load(
    model: str | Path | None, scene: bool, detector: FaceDetector | MakeDetector | None
) -> Predictor:
    """Load what answers, and say before that takes long what is missing."""
    if model is None:
        return Predictor.packaged(faces_only=not scene, detector=detector)
    path = Path(model)
    if path.suffix.lower() == ".json":
        raise ValueError(
            f"{show_text(path)}: expected a run folder, or a .keras or .zip file. If it is a head "
            "that a page has saved, make a page without a model and open the head there."
        )
    file = Run(path).model_file if path.is_dir() else path
    if file.suffix == ".keras" and file.is_file():
        choose_formats(["onnx"])
    return Predictor.load(path, detector=detector)


def _name_run(predictor: Predictor) -> str:
    """Return the name of the run, or of the file where that lies in none."""
    file = predictor.file
    if file is None:
        return ""
    is_in_run = Run(file.parent).is_there
    return show_text(file.resolve().parent.name if is_in_run else file.stem)


def _describe_detector(detector: FaceDetector) -> tuple[dict[str, Any], bytes]:
    if not isinstance(detector, YuNetDetector):
        raise ValueError(
            "detector: expected one of emoclf.images.faces.make_detector, whose file the page can "
            f"hold, received {type(detector).__name__}."
        )
    file = detector.file
    return {"name": detector.name, "isPackaged": file.is_packaged}, file.content


def _describe_face(network: PackagedNetwork) -> tuple[dict[str, Any], bytes]:
    card = network.card
    told = {
        "emotions": list(card.emotions),
        "temperature": card.temperature,
        "uncertainBelow": card.uncertain_below,
        "neitherAbove": card.neither_above,
        "sha256": hashlib.sha256(network.content).hexdigest(),
    }
    return told, network.content


def _pack(head: Head) -> bytes:
    """Return mean, scale, weights row by row and bias as float32, the least byte first."""
    return np.concatenate([np.ravel(each) for each in head]).astype("<f4").tobytes()


def _write_network(network: Any) -> bytes:
    """Return a network of Keras as ONNX, or say why the page cannot run it."""
    import onnx

    from emoclf.models.formats.writers import write_onnx

    with temporary_folder() as folder:
        content = write_onnx(network, folder / "network.onnx").read_bytes()
    used = {_name_operator(node) for node in onnx.load_from_string(content).graph.node}
    if unknown := used - OPERATORS:
        raise ValueError(
            f"The page cannot run this network: its ONNX file has {', '.join(sorted(unknown))}, "
            "which its engine does not run. Train small, deep, face or joint (--network)."
        )
    return content


def _name_operator(node: Any) -> str:
    """Return a node's operator; a MaxPool of another window than 2 x 2 is one of its own."""
    window = [list(each.ints) for each in node.attribute if each.name == "kernel_shape"]
    is_other = node.op_type == "MaxPool" and window != [[2, 2]]
    return f"MaxPool {window[0][0]} x {window[0][1]}" if is_other else node.op_type
