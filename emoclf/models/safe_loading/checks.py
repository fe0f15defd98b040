"""What a saved network may describe and hold: Keras' own layers, and as many weights as it says."""

from __future__ import annotations

import math
from typing import IO, Any

from emoclf.untrusted import show_text

_MAX_LAYERS = 2000
_MAX_DEPTH = 200
_MAX_NAME = 80
_MAX_RATIO = 4
_SPARE_BYTES = 2**20
_MAX_OBJECTS = 100_000

_CODE = frozenset(
    ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
)
"""Layers that hold code, or load it from elsewhere."""

_MODULES = (
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers", "trainers"),
)
"""Where in Keras the parts of networks are. Elsewhere are functions that touch files."""


class NetworkRefusedError(ValueError):
    """Say what in a saved network is not built or not read."""


def check_layers(config: dict[str, Any]) -> bool:
    """Refuse what is no part of Keras, before Keras looks for it.

    Args:
        config: The description of a network, as Keras writes it.

    Returns:
        Whether the network has parts that this program has registered with Keras.

    Raises:
        NetworkRefusedError: If it describes code, or a class that is not there, or far too much.
    """
    has_registered, layers = False, 0
    waiting: list[tuple[Any, int]] = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MAX_DEPTH or layers > _MAX_LAYERS:
            raise NetworkRefusedError(
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
        raise NetworkRefusedError(f"it names a part {_shorten(name)}, which is no name")
    if name in _CODE:
        raise NetworkRefusedError(
            f"it has a layer {name!r}, which runs code that is not Keras' own. Build the network "
            "without such a layer"
        )
    if _is_registered(value):
        return True
    if not name.startswith("__") and not (isinstance(module, str) and _is_of_networks(module)):
        raise NetworkRefusedError(
            f"it has a part {_shorten(name)} of {_shorten(module)}, which is no part of networks "
            "in Keras. If you wrote it yourself, register it first "
            "(keras.saving.register_keras_serializable)"
        )
    return False


def _is_of_networks(module: str) -> bool:
    parts = [part for part in module.split(".") if part != "src"]
    return module == "builtins" or (
        parts[0] == "keras" and (parts[1:2] == [] or parts[1] in _MODULES)
    )


def _is_registered(value: dict[str, Any]) -> bool:
    import keras

    name = value["config"] if value["class_name"] == "function" else value.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _shorten(text: object) -> str:
    return show_text(text if len(str(text)) <= _MAX_NAME else f"{str(text)[:_MAX_NAME]}...")


def check_weights(file: IO[bytes]) -> None:
    """Refuse a file of weights that leads elsewhere, or claims to hold far more than it does.

    Args:
        file: An open HDF5 file.

    Raises:
        NetworkRefusedError: If it is damaged, links to other places, or is a bomb.
    """
    import h5py

    file_bytes = file.seek(0, 2)
    file.seek(0)
    try:
        with h5py.File(file, "r") as content:
            declared = _measure(content)
    except NetworkRefusedError:
        raise
    except Exception as error:  # of many types: what the library in C says
        raise NetworkRefusedError(f"its weights are damaged ({show_text(error)})") from error
    if declared > _MAX_RATIO * file_bytes + _SPARE_BYTES:
        raise NetworkRefusedError(
            f"its weights claim to have {declared:,} bytes in a file of {file_bytes:,}: a bomb"
        )


def _measure(content: Any) -> int:
    """Return how many bytes all arrays in an HDF5 file have, without reading one."""
    import h5py

    declared, seen, waiting = 0, {_find_address(content)}, [content]
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise NetworkRefusedError("its weights are links to other places")
            each = group[name]
            if _find_address(each) in seen or len(seen) > _MAX_OBJECTS:
                raise NetworkRefusedError("its weights lead in circles, or are far too many")
            seen.add(_find_address(each))
            if isinstance(each, h5py.Group):
                waiting.append(each)
            elif isinstance(each, h5py.Dataset):
                if each.external or each.is_virtual:
                    raise NetworkRefusedError("its weights lie in other files")
                declared += math.prod(each.shape or ()) * each.dtype.itemsize
    return declared


def _find_address(content: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(content.id).addr)
