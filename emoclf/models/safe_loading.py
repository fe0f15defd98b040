"""What Keras has saved, checked before Keras sees it: sizes, members, layers, weights.

Keras builds whatever a file describes. A stranger's file may describe a layer that is Python code,
a class of another package, or ten billion weights, and its words end up in the errors. `check`
functions look at what a file describes and holds; `load_keras_file` is the one door to Keras, where
each cause gets its own sentence. Every member of a `.keras` file is read with a limit first.
"""

from __future__ import annotations

import io
import math
import re
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from emoclf.runtime import require_part
from emoclf.storage import open_regular, parse_json
from emoclf.storage.archives import (
    ZIP_ERRORS,
    ArchiveRefusedError,
    check_small_zip,
    open_zip,
    read_member,
)
from emoclf.untrusted import is_version, show_text

if TYPE_CHECKING:
    import keras

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


MAX_MODEL_BYTES = 4 * 2**30
"""Largest file of a network, packed and unpacked: VGG16 with its optimizer has 0.2 GiB."""

_MAX_MEMBERS = 1000
_MAX_RATIO = 50
_MAX_CONFIG_BYTES = 8 * 2**20  # that of EfficientNetV2B0 has 0.3
_MAX_METADATA_BYTES = 64 * 2**10
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_SHOWN_CHARACTERS = 300


def read_extra(path: str | Path, name: str, *, max_bytes: int) -> bytes | None:
    """Read a member that is not Keras' own, without loading Keras.

    Args:
        path: A `.keras` file.
        name: Name of the member.
        max_bytes: How large it may be.

    Returns:
        Its content; None if there is no such member.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.keras` file, damaged, or something in it is too large.
    """
    with _opening(path) as archive:
        return _read_optional(archive, name, max_bytes)


def load_keras_file(path: str | Path, *, compiled: bool = False) -> keras.Model:
    """Load a `.keras` file: only layers of Keras, and no more weights than the file holds.

    Args:
        path: The file.
        compiled: Whether the optimizer and its state are loaded, too.

    Returns:
        The network.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, too large, describes what is not built here, or is of another
            version of Keras; the message tells these apart. Nothing that the file says stands in
            a command.
        MissingPartError: If Keras, or the TensorFlow that it runs on, is not installed.
    """
    require_part("keras")
    import keras

    content, version, weights = _read_archive(path)
    config = parse_json(content, name=path, what="a network of Keras", kind=dict[str, Any])
    try:
        check_weights(io.BytesIO(weights))
        has_registered = check_layers(config)
        # What is registered, is so in this thread, perhaps; and who registers code trusts it.
        count = 0 if has_registered else _count_weights(config, version, path)
    except NetworkRefusedError as error:
        raise _refuse(path, error, "Take a file that emoclf has saved, or train again.") from error
    if count > len(weights):
        raise _refuse(
            path,
            f"it describes {count:,} weights, but has {len(weights):,} bytes of them",
            "Copy it again, or train again.",
        )
    try:
        model = keras.models.load_model(path, compile=compiled, safe_mode=True)
    except Exception as error:  # Keras raises whatever its layers raise
        if has_registered:
            raise _explain_layers(path, error, version) from error
        step = "It is damaged or was changed: copy it again, or train again."
        raise _refuse(path, f"its weights do not fit its layers ({_quote(error)})", step) from error
    return model


def _read_archive(path: str | Path) -> tuple[bytes, str | None, bytes]:
    """Return what Keras has written: its layers, its version, its weights (HDF5)."""
    with _opening(path) as archive:
        missing = {_CONFIG, _WEIGHTS} - set(archive.namelist())
        if missing:
            raise ArchiveRefusedError(f"there is no {min(missing)} in it")
        return (
            read_member(archive, _CONFIG, max_bytes=_MAX_CONFIG_BYTES),
            _read_version(_read_optional(archive, _METADATA, _MAX_METADATA_BYTES)),
            read_member(archive, _WEIGHTS, max_bytes=MAX_MODEL_BYTES),
        )


@contextmanager
def _opening(path: str | Path) -> Iterator[zipfile.ZipFile]:
    try:
        with (
            open_regular(path, what="a saved network", max_bytes=MAX_MODEL_BYTES) as file,
            open_zip(file, max_entries=_MAX_MEMBERS) as archive,
        ):
            check_small_zip(archive, max_bytes=MAX_MODEL_BYTES, max_ratio=_MAX_RATIO)
            yield archive
    except (*ZIP_ERRORS, ArchiveRefusedError) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{show_text(path)} is damaged or is no .keras file ({show_text(reason)}). Copy it "
            "again, or train again."
        ) from error


def _read_optional(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes | None:
    if name not in archive.namelist():
        return None
    return read_member(archive, name, max_bytes=max_bytes)


def _read_version(metadata: bytes | None) -> str | None:
    """Return the version in the metadata if it is one: it is only needed to explain an error."""
    try:
        found = parse_json(metadata or b"", name=_METADATA, what="a version", kind=dict[str, Any])
    except ValueError:
        return None
    version = found.get("keras_version")
    return version if is_version(version) else None


def _count_weights(config: dict[str, Any], version: str | None, path: str | Path) -> int:
    """Build the layers without any weights, and return how many weights they would have.

    In a thread of its own: there, what Keras keeps for later about such layers goes with it.
    """
    import keras

    found: list[int | Exception] = []

    def build() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                plan = {**config, "compile_config": None}
                model = keras.saving.deserialize_keras_object(plan, safe_mode=True)
                if not isinstance(model, keras.Model):
                    raise NetworkRefusedError("it describes no network")
                found.append(sum(math.prod(each.shape) for each in model.variables))
        except Exception as error:  # noqa: BLE001 - Keras raises whatever its layers raise
            found.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again when it is built
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    (result,) = found
    if isinstance(result, NetworkRefusedError):
        raise result
    if isinstance(result, Exception):
        raise _explain_layers(path, result, version) from result
    return result


def _explain_layers(path: str | Path, error: Exception, written: str | None) -> ValueError:
    """Say why Keras cannot build the layers: the versions differ, or the file was changed."""
    import keras

    here, said = keras.__version__, _quote(error)
    if written is None or _read_numbers(written) == _read_numbers(here):
        who = f"cannot be built by Keras {here}, which is here ({said})."
        step = "It is damaged or was changed: copy it again, or train again."
        return ValueError(f"{show_text(path)} {who} {step}")
    if _read_numbers(written) > _read_numbers(here):
        age, step = "older", "Update Keras: pip install --upgrade keras"
    else:
        age = "newer"
        step = "Save it again with emoclf.models.model_file.save_model where it was trained."
    return ValueError(
        f"{show_text(path)} was written by Keras {written} and cannot be built by the {age} Keras "
        f"{here}, which is here ({said}). {step}"
    )


def _refuse(path: str | Path, reason: object, step: str) -> ValueError:
    return ValueError(f"{show_text(path)} is not loaded: {show_text(reason)}. {step}")


def _quote(error: Exception) -> str:
    """Return what Keras says, in quotation marks and on one line: it may hold words of the file."""
    said = str(error).rpartition("Exception encountered:")[2]
    words = " ".join(said.split()) or type(error).__name__
    shown = words if len(words) <= _SHOWN_CHARACTERS else f"{words[:_SHOWN_CHARACTERS]}..."
    return f"Keras says {shown!r}"


def _read_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
