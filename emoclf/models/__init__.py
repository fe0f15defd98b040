"""Networks: layers only, pure Keras. No data, no training, no file.

Every network here takes raw uint8 RGB `(batch, height, width, 3)` with values 0 to 255 and returns
probabilities `(batch, classes)`. Rescaling and augmentation are layers of the network, so that no
caller can do them twice or forget them.
"""

from emoclf.models.augmentation import build_augmentation
from emoclf.models.deep import build_deep_cnn
from emoclf.models.face import build_face_network
from emoclf.models.freezing import FineTuningStage, freeze_for_fine_tuning
from emoclf.models.small import build_cnn

__all__ = [
    "FineTuningStage",
    "build_augmentation",
    "build_cnn",
    "build_deep_cnn",
    "build_face_network",
    "freeze_for_fine_tuning",
]
