"""The networks that come with emoclf: checked, loaded without TensorFlow, ready to build on.

In `face_model/` lie `network.onnx`, which OpenCV runs in about a millisecond per face, and
`weights.npz`, the same weights for Keras. In `joint_model/` lie `scene.onnx`, which looks at whole
photos, and `head.npz`, which decides by both. A `card.json` in each names the files' SHA-256 and
says how the predictions are meant and how good they are.
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
