"""What a saved network describes: only what Keras itself has, or what this program registered."""

from __future__ import annotations

from typing import Any

from emoclf.untrusted import show_text

_MAX_LAYERS = 2000
_MAX_DEPTH = 200
_MAX_NAME = 80

_CODE = frozenset(
    ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
)
"""Layers that hold code, or load it from elsewhere."""

_ROOMS = frozenset(
    (
        "activations",
        "constraints",
        "dtype_policies",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "optimizers",
        "quantizers",
        "random",
        "regularizers",
        "trainers",
    )
)
"""Where in Keras the parts of networks are. Elsewhere are functions that touch files."""


class LayersRefusedError(ValueError):
    """Say what in the description of a network is not built."""


def check_layers(config: dict[str, Any]) -> bool:
    """Refuse what is no part of Keras, before Keras looks for it.

    Args:
        config: The description of a network, as Keras writes it.

    Returns:
        Whether the network has parts that this program has registered with Keras.

    Raises:
        LayersRefusedError: If it describes code, or a class that is not there, or far too much.
    """
    has_registered, layers = False, 0
    waiting: list[tuple[Any, int]] = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MAX_DEPTH or layers > _MAX_LAYERS:
            raise LayersRefusedError(
                f"it describes more than {_MAX_LAYERS:,} layers, or layers nested too deeply"
            )
        if isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
        elif isinstance(value, dict):
            if "class_name" in value and "config" in value:
                has_registered |= _check_part(value)
            inner = value.get("layers")
            layers += len(inner) if isinstance(inner, list) else 0
            waiting += [(each, depth + 1) for each in value.values()]
    return has_registered


def _check_part(value: dict[str, Any]) -> bool:
    """Refuse a part that is not of Keras; return whether this program has registered it."""
    name, module = value["class_name"], value.get("module", "keras")
    if not isinstance(name, str):
        raise LayersRefusedError(f"it names a part {_shorten(name)}, which is no name")
    if name in _CODE:
        raise LayersRefusedError(
            f"it has a layer {name!r}, which runs code that is not Keras' own. Build the network "
            "without such a layer"
        )
    if _is_registered(value):
        return True
    if not name.startswith("__") and not (isinstance(module, str) and _is_room(module)):
        raise LayersRefusedError(
            f"it has a part {_shorten(name)} of {_shorten(module)}, which is no part of networks "
            "in Keras. If you wrote it yourself, register it first "
            "(keras.saving.register_keras_serializable)"
        )
    return False


def _is_room(module: str) -> bool:
    parts = [part for part in module.split(".") if part != "src"]
    return module == "builtins" or (
        parts[0] == "keras" and (parts[1:2] == [] or parts[1] in _ROOMS)
    )


def _is_registered(value: dict[str, Any]) -> bool:
    import keras

    name = value["config"] if value["class_name"] == "function" else value.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _shorten(text: object) -> str:
    return show_text(text if len(str(text)) <= _MAX_NAME else f"{str(text)[:_MAX_NAME]}...")
