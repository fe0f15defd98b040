"""The face network that comes with emoclf: checked, loaded without TensorFlow, ready to build on.

Three files lie in `face_model/`: `network.onnx`, which OpenCV runs in about a millisecond per face,
`weights.npz`, the same weights for Keras, and `card.json`, which names both files' SHA-256 and says
what it was trained on, how its predictions are meant and how well it does.
"""

from emoclf.models.packaged.card import (
    CARD_FILE_NAME,
    FACE_MODEL_FOLDER,
    HEAD_FILE_NAME,
    JOINT_MODEL_FOLDER,
    NETWORK_FILE_NAME,
    SCENE_FILE_NAME,
    WEIGHTS_FILE_NAME,
    DamagedModelError,
    JointCard,
    ModelCard,
    read_checked,
)
from emoclf.models.packaged.network import (
    FaceProbabilities,
    PackagedNetwork,
    calibrate_logits,
    load_face_network,
    softmax,
)

__all__ = [
    "CARD_FILE_NAME",
    "FACE_MODEL_FOLDER",
    "HEAD_FILE_NAME",
    "JOINT_MODEL_FOLDER",
    "NETWORK_FILE_NAME",
    "SCENE_FILE_NAME",
    "WEIGHTS_FILE_NAME",
    "DamagedModelError",
    "FaceProbabilities",
    "JointCard",
    "ModelCard",
    "PackagedNetwork",
    "calibrate_logits",
    "load_face_network",
    "read_checked",
    "softmax",
]
