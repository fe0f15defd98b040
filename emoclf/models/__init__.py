"""Networks: layers, files, and the packaged ones. No data, no training.

Every network here takes raw uint8 RGB `(batch, height, width, 3)` with values 0 to 255 and returns
probabilities `(batch, classes)`. Rescaling and augmentation are layers of the network, so that no
caller can do them twice or forget them.

`small` and `deep` learn from scratch, `face` is built for face crops, `transfer` builds on
`keras.applications`, `freezing` says which layers learn on, `networks` builds what the settings ask
for. `model_file` is the saved model, which `safe_loading` looks at before Keras sees it; `formats`
are files for other programs; `packaged` comes with emoclf and needs no Keras: a name of Keras'
kind is looked up when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoclf.models.augmentation import build_augmentation
    from emoclf.models.copying import copy_network, uses_mixed_precision
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
    "copy_network",
    "find_backbone",
    "freeze_for_fine_tuning",
    "synchronise_normalisation",
    "uses_mixed_precision",
]

_MODULE_OF_NAME = {
    "BACKBONE": "transfer",
    "FineTuningStage": "freezing",
    "PretrainedWeightsError": "pretrained",
    "build_augmentation": "augmentation",
    "build_cnn": "small",
    "build_deep_cnn": "deep",
    "build_face_network": "face",
    "build_transfer_model": "transfer",
    "uses_mixed_precision": "copying",
    "copy_network": "copying",
    "find_backbone": "transfer",
    "freeze_for_fine_tuning": "freezing",
    "synchronise_normalisation": "freezing",
}


def __getattr__(name: str) -> Any:
    """Load a name's module on first use (PEP 562)."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'emoclf.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"emoclf.models.{_MODULE_OF_NAME[name]}"), name)
