"""Networks: layers, files, and the packaged ones. No data, no training.

Every network here takes raw uint8 RGB `(batch, height, width, 3)` with values 0 to 255 and returns
probabilities `(batch, classes)`. Rescaling and augmentation are layers of the network, so that no
caller can do them twice or forget them.

`networks` are our own and the one that the settings ask for, `transfer` builds on
`keras.applications`, `layers` says which layers learn on. `model_file` is the saved model, which
`safe_loading` checks before Keras loads it; `formats` are files for other programs; `packaged`
comes with emoclf and needs no Keras: a name of Keras' kind is looked up when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoclf.models.layers import (
        FineTuningStage,
        build_augmentation,
        copy_network,
        freeze_for_fine_tuning,
        synchronise_normalisation,
        uses_mixed_precision,
    )
    from emoclf.models.networks import (
        build_cnn,
        build_deep_cnn,
        build_face_network,
        build_network,
    )
    from emoclf.models.transfer import (
        BACKBONE,
        PretrainedWeightsError,
        build_transfer_model,
        find_backbone,
    )

_MODULE_OF_NAME = {
    name: module
    for module, names in {
        "layers": (
            "FineTuningStage",
            "build_augmentation",
            "copy_network",
            "freeze_for_fine_tuning",
            "synchronise_normalisation",
            "uses_mixed_precision",
        ),
        "networks": ("build_cnn", "build_deep_cnn", "build_face_network", "build_network"),
        "transfer": (
            "BACKBONE",
            "PretrainedWeightsError",
            "build_transfer_model",
            "find_backbone",
        ),
    }.items()
    for name in names
}

__all__ = [
    "BACKBONE",
    "FineTuningStage",
    "PretrainedWeightsError",
    "build_augmentation",
    "build_cnn",
    "build_deep_cnn",
    "build_face_network",
    "build_network",
    "build_transfer_model",
    "copy_network",
    "find_backbone",
    "freeze_for_fine_tuning",
    "synchronise_normalisation",
    "uses_mixed_precision",
]


def __getattr__(name: str) -> Any:
    """Load a name's module on first use (PEP 562)."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'emoclf.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"emoclf.models.{_MODULE_OF_NAME[name]}"), name)
