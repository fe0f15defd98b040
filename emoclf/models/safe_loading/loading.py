"""The one door through which a saved network gets to Keras, and why one is refused.

Every member of a `.keras` file is read with a limit, and checked before Keras sees it.
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclf.models.safe_loading.checks import NetworkRefusedError, check_layers, check_weights
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

MAX_MODEL_BYTES = 4 * 2**30
"""Largest file of a network, packed and unpacked: VGG16 with its optimizer has 0.2 GiB."""

_MAX_MEMBERS = 1000
_MAX_RATIO = 50
_MAX_CONFIG_BYTES = 8 * 2**20  # that of EfficientNetV2B0 has 0.3
_MAX_METADATA_BYTES = 64 * 2**10
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class _Archive:
    """What Keras has written into a `.keras` file: its layers, its version, its weights (HDF5)."""

    config: bytes
    keras_version: str | None
    weights: bytes


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
    """
    import keras

    archive = _read_archive(path)
    config = parse_json(archive.config, name=path, what="a network of Keras", kind=dict[str, Any])
    try:
        check_weights(io.BytesIO(archive.weights))
        has_registered = check_layers(config)
        # What is registered, is so in this thread, perhaps; and who registers code trusts it.
        count = 0 if has_registered else _count_weights(config, archive, path)
    except NetworkRefusedError as error:
        raise _refuse(path, error, "Take a file that emoclf has saved, or train again.") from error
    if count > len(archive.weights):
        raise _refuse(
            path,
            f"it describes {count:,} weights, but has {len(archive.weights):,} bytes of them",
            "Copy it again, or train again.",
        )
    try:
        model = keras.models.load_model(path, compile=compiled, safe_mode=True)
    except Exception as error:  # Keras raises whatever its layers raise
        if has_registered:
            raise _explain_layers(path, error, archive.keras_version) from error
        step = "It is damaged or was changed: copy it again, or train again."
        raise _refuse(path, f"its weights do not fit its layers ({_quote(error)})", step) from error
    return model


def _read_archive(path: str | Path) -> _Archive:
    with _opening(path) as archive:
        missing = {_CONFIG, _WEIGHTS} - set(archive.namelist())
        if missing:
            raise ArchiveRefusedError(f"there is no {min(missing)} in it")
        return _Archive(
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


def _count_weights(config: dict[str, Any], archive: _Archive, path: str | Path) -> int:
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
        raise _explain_layers(path, result, archive.keras_version) from result
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
