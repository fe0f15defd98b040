"""Networks: layers only, pure Keras. No data, no training, no file but of learned weights.

Every network here takes raw uint8 RGB `(batch, height, width, 3)` with values 0 to 255 and returns
probabilities `(batch, classes)`. Rescaling and augmentation are layers of the network, so that no
caller can do them twice or forget them.

`small` and `deep` learn from scratch, `face` is built for face crops, `transfer` builds on
`keras.applications`; `freezing` says which layers learn on.
"""

from emoclf.models.augmentation import build_augmentation
from emoclf.models.copying import computes_in_half_precision, copy_network
from emoclf.models.deep import build_deep_cnn
from emoclf.models.face import build_face_network
from emoclf.models.freezing import (
    FineTuningStage,
    freeze_for_fine_tuning,
    synchronise_normalisation,
)
from emoclf.models.pretrained import PretrainedWeightsError
from emoclf.models.small import build_cnn
from emoclf.models.transfer import BACKBONE, build_transfer_model, find_backbone

__all__ = [
    "BACKBONE",
    "FineTuningStage",
    "PretrainedWeightsError",
    "build_augmentation",
    "build_cnn",
    "build_deep_cnn",
    "build_face_network",
    "build_transfer_model",
    "computes_in_half_precision",
    "copy_network",
    "find_backbone",
    "freeze_for_fine_tuning",
    "synchronise_normalisation",
]
