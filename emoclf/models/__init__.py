"""Networks: layers, files, and the packaged ones. No data, no training.

Every network here takes raw uint8 RGB `(batch, height, width, 3)` with values 0 to 255 and returns
probabilities `(batch, classes)`. Rescaling and augmentation are layers of the network, so that no
caller can do them twice or forget them.

`networks` are our own and the one that the settings ask for, `transfer` builds on those of
`keras.applications` and on `efficientnet_lite0`, whose weights `torch_file` reads, `layers` says
which layers learn on. `model_file` is the saved model, which `safe_loading` checks before Keras
loads it; `formats` are files for other programs; `packaged` comes with emoclf and `joint` looks at
faces and scene, both without Keras (`joint_model` is the same in Keras): a name of Keras' kind is
looked up when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emoclf.runtime import require_part

if TYPE_CHECKING:
    from emoclf.models.joint_model import build_joint_model
    from emoclf.models.layers import (
        FineTuningStage,
        build_augmentation,
        copy_network,
        freeze_for_fine_tuning,
        synchronise_normalisation,
        uses_mixed_precision,
    )
    from emoclf.models.networks import build_cnn, build_deep_cnn, build_face_network, build_network
    from emoclf.models.transfer import (
        PretrainedWeightsError,
        build_transfer_model,
        find_backbone,
        find_features,
    )

__all__ = [
    "FineTuningStage",
    "PretrainedWeightsError",
    "build_augmentation",
    "build_cnn",
    "build_deep_cnn",
    "build_face_network",
    "build_joint_model",
    "build_network",
    "build_transfer_model",
    "copy_network",
    "find_backbone",
    "find_features",
    "freeze_for_fine_tuning",
    "synchronise_normalisation",
    "uses_mixed_precision",
]


def __getattr__(name: str) -> Any:
    """Load Keras, and the modules that need it, on first use (PEP 562)."""
    if name in __all__:
        require_part("keras")
    for module in ("layers", "networks", "transfer", "joint_model") if name in __all__ else ():
        found = importlib.import_module(f"emoclf.models.{module}")
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(f"module 'emoclf.models' has no attribute {name!r}")
