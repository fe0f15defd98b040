"""The one door through which a saved network gets to Keras, and why one is refused."""

from __future__ import annotations

import io
import math
import re
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclf.models.safe_loading.archive import KerasArchive, read_keras_archive
from emoclf.models.safe_loading.layers import LayersRefusedError, check_layers
from emoclf.models.safe_loading.weights import WeightsRefusedError, check_weights
from emoclf.storage import parse_json
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras

_SHOWN_CHARACTERS = 300


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

    archive = read_keras_archive(path)
    config = parse_json(archive.config, name=path, what="a network of Keras", kind=dict[str, Any])
    try:
        check_weights(io.BytesIO(archive.weights))
        has_registered = check_layers(config)
        # What is registered, is so in this thread, perhaps; and who registers code trusts it.
        count = 0 if has_registered else _count_weights(config, archive, path)
    except (LayersRefusedError, WeightsRefusedError) as error:
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


def _count_weights(config: dict[str, Any], archive: KerasArchive, path: str | Path) -> int:
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
                    raise LayersRefusedError("it describes no network")
                found.append(sum(math.prod(each.shape) for each in model.variables))
        except Exception as error:  # noqa: BLE001 - Keras raises whatever its layers raise
            found.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again when it is built
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    (result,) = found
    if isinstance(result, LayersRefusedError):
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
    elif _read_numbers(written) > _read_numbers(here):
        who = (
            f"was written by Keras {written} and cannot be built by the older Keras {here}, which "
            f"is here ({said})."
        )
        step = "Update Keras: pip install --upgrade keras"
    else:
        who = (
            f"was written by Keras {written} and cannot be built by the newer Keras {here}, which "
            f"is here ({said})."
        )
        step = "Save it again with emoclf.save_model where it was trained, or train again."
    return ValueError(f"{show_text(path)} {who} {step}")


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
