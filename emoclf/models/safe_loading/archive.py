"""The members of a `.keras` file, read with a limit for each."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emoclf.storage import open_regular, parse_json
from emoclf.storage.archives import (
    ZIP_ERRORS,
    ArchiveRefusedError,
    check_small_zip,
    open_zip,
    read_member,
)
from emoclf.untrusted import is_version, show_text

MAX_MODEL_BYTES = 4 * 2**30
"""Largest file of a network, packed and unpacked: VGG16 with its optimizer has 0.2 GiB."""

_MAX_MEMBERS = 1000
_MAX_RATIO = 50
_MAX_CONFIG_BYTES = 8 * 2**20  # that of EfficientNetV2B0 has 0.3
_MAX_METADATA_BYTES = 64 * 2**10
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


@dataclass(frozen=True)
class _Metadata:
    keras_version: str = ""


@dataclass(frozen=True)
class KerasArchive:
    """What a `.keras` file holds.

    Attributes:
        config: The layers, as JSON.
        keras_version: Of the Keras that wrote it; None where that is not said, or is no version.
        weights: An HDF5 file.
    """

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


def read_keras_archive(path: str | Path) -> KerasArchive:
    """Read what Keras has written into a `.keras` file.

    Args:
        path: The file.

    Returns:
        Its parts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.keras` file, damaged, or something in it is too large.
    """
    with _opening(path) as archive:
        missing = {_CONFIG, _WEIGHTS} - set(archive.namelist())
        if missing:
            raise ArchiveRefusedError(f"there is no {min(missing)} in it")
        return KerasArchive(
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
    if metadata is None:
        return None
    try:
        found = parse_json(metadata, name=_METADATA, what="a version", kind=_Metadata)
    except ValueError:
        return None
    return found.keras_version if is_version(found.keras_version) else None
