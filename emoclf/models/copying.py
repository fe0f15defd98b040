"""A network once more: the same layers and weights, nothing shared."""

from __future__ import annotations

import json

import keras

from emoclf.models.freezing import walk_layers

_HALF_PRECISION = ("mixed_float16", "mixed_bfloat16")


def copy_network(model: keras.Model, *, as_float32: bool = False) -> keras.Model:
    """Copy a network: the same layers and weights, frozen alike, not compiled.

    Args:
        model: Any network of `emoclf.models`.
        as_float32: Whether the copy computes in float32 where the network was built to compute in
            half precision.

    Returns:
        A network of its own; nothing that happens to it happens to `model`.
    """
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    if as_float32:
        text = json.dumps(config)
        for policy in _HALF_PRECISION:
            text = text.replace(f'"{policy}"', '"float32"')
        config = json.loads(text)
    copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
    copy.set_weights(model.get_weights())
    return copy


def uses_mixed_precision(model: keras.Model) -> bool:
    """Say whether any layer of a network computes in half precision.

    Args:
        model: Any network.

    Returns:
        True after it was built under a policy such as `mixed_float16`.
    """
    return any(layer.dtype_policy.name in _HALF_PRECISION for layer in walk_layers(model))
