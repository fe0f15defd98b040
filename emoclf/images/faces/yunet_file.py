"""Where the YuNet model file comes from: named by the user, in the cache, or downloaded once.

Two files of OpenCV's model zoo (MIT licence) will do, each pinned at a fixed commit by size and
SHA-256. They hold the same weights. That of May 2026 takes pictures of any size; that of March 2023
says 640 by 640, which OpenCV overrides, except an OpenCV 5 that was built to run networks with ONNX
Runtime (opencv/opencv#28769). The zoo keeps both in git-lfs: `media.githubusercontent.com` serves
the files themselves, where a "raw" address may serve a text that stands for them.

What comes back is read up to the size that is expected, within a deadline, and compared with the
pinned SHA-256. When one file cannot be had, the next is tried, but not when no server answered:
then the next would only keep the user waiting once more.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emoclf.images.faces.face import (
    FaceDetectorUnavailableError,
    FaceModelError,
    FaceModelNotFoundError,
)
from emoclf.storage import describe_irregular, open_regular, read_json, replacing, write_json
from emoclf.untrusted import show_text


@dataclass(frozen=True)
class PinnedModel:
    """A model file: what it is called there and in the cache, its https address, size and hash."""

    name: str
    url: str
    bytes: int
    sha256: str


_ZOO = "https://media.githubusercontent.com/media/opencv/opencv_zoo"

PINNED_MODELS: tuple[PinnedModel, ...] = (
    PinnedModel(
        name="face_detection_yunet_2026may.onnx",
        url=f"{_ZOO}/26cc381e4d2594bb9f47a26eb8fd96c94a13660d/models/face_detection_yunet/"
        "face_detection_yunet_2026may.onnx",
        bytes=229_738,
        sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
    ),
    PinnedModel(
        name="face_detection_yunet_2023mar.onnx",
        url=f"{_ZOO}/f12e12798e8314f7c074a6656816c048dcc95b7a/models/face_detection_yunet/"
        "face_detection_yunet_2023mar.onnx",
        bytes=232_589,
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    ),
)
"""The files that are looked for and fetched, the preferred one first."""

PACKAGED_SHA256: str = "356e8d15d3ee3d1724d208aecebb99ae692aa0cd81b053fa512358c1effab3d4"
"""SHA-256 of emoclf's own detector."""

MODEL_VARIABLE: str = "EMOCLF_YUNET"
"""Environment variable that names a YuNet file to use."""

RETRY_SECONDS: float = 24 * 3600
"""How long a failed download is remembered before the next start tries again."""

_TIMEOUT_SECONDS, _DEADLINE_SECONDS = 10.0, 60.0
_MAX_MODEL_BYTES = 20_000_000
_MAX_FAILURE_BYTES = 64 * 2**10
_FAILURE_NAME = "yunet_download_failed.json"
_download_lock = threading.Lock()


class _DownloadError(Exception):
    """A file was not delivered; `is_offline` tells that no server answered in time."""

    def __init__(self, said: str, *, is_offline: bool = False) -> None:
        super().__init__(said)
        self.is_offline = is_offline


@dataclass(frozen=True)
class _Failure:
    """What is remembered of a download that failed."""

    time: float
    reason: str


@dataclass(frozen=True, eq=False)
class YuNetFile:
    """A YuNet model file in memory.

    Attributes:
        path: Where the file is, or where it would be if the cache could be written.
        content: The bytes of the file.
        note: What happened on the way that the user should know, or nothing.
        is_named: Whether the user named the file, so that nothing else may stand in for it.
        is_packaged: Whether it is no YuNet file but emoclf's own detector, which has its form.
    """

    path: Path
    content: bytes
    note: str = ""
    is_named: bool = False
    is_packaged: bool = False


def find_cache_folder() -> Path:
    r"""Return the folder where emoclf keeps what it downloads; it need not exist.

    It is `$XDG_CACHE_HOME/emoclf` where that is set, else the system's own place:
    `%LOCALAPPDATA%\emoclf\Cache`, `~/Library/Caches/emoclf` or `~/.cache/emoclf`.
    """
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen) / "emoclf"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "emoclf" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "emoclf"
    return Path.home() / ".cache" / "emoclf"


def load_yunet_file(
    model_path: str | Path | None = None, *, download: bool = True, retry: bool = True
) -> YuNetFile:
    """Read the YuNet model file, from wherever it is.

    Args:
        model_path: A file to use instead of the pinned ones. None: the file that the environment
            variable `EMOCLF_YUNET` names, else the first of `PINNED_MODELS` that is intact in the
            cache, else the first that the model zoo delivers.
        download: Whether the network may be used when the cache has no intact file.
        retry: Whether to download even if a download failed within the last day.

    Returns:
        The file, read whole. A pinned one has been checked against its SHA-256.

    Raises:
        FaceModelNotFoundError: If there is no file where `model_path` or `EMOCLF_YUNET` says.
        FaceModelError: If that file is far too large, or cannot be read.
        FaceDetectorUnavailableError: If no pinned file is in the cache and none was downloaded.
    """
    if model_path is not None:
        return _read_named_file(Path(model_path).expanduser(), "The face detector's file")
    if named := os.environ.get(MODEL_VARIABLE):
        return _read_named_file(Path(named).expanduser(), MODEL_VARIABLE)
    folder = find_cache_folder()
    with _download_lock:
        cached, damage = _find_in_cache(folder)
        if cached is not None:
            return cached
        if not download:
            raise FaceDetectorUnavailableError(
                f"{damage or 'YuNet has no file yet'}, and downloading is switched "
                f"off. {explain_remedy()}"
            )
        return _fetch(folder, damage, retry=retry)


def explain_remedy() -> str:
    """Say how a user gets the YuNet file by hand."""
    return f"Put this file into {show_text(find_cache_folder())!r}: {PINNED_MODELS[0].url}"


def _read_named_file(path: Path, named_by: str) -> YuNetFile:
    """Read the file that the user named."""
    shown = show_text(path)
    if not os.path.isfile(path):  # noqa: PTH113 - says no for impossible names, too
        kind = describe_irregular(path.stat().st_mode) if os.path.exists(path) else None  # noqa: PTH110
        raise FaceModelNotFoundError(
            f"{named_by}: expected a YuNet model file, but "
            f"{f'{shown!r} is {kind}' if kind else f'there is no file {shown!r}'}. "
            f"Check the path, or leave it out: the file is then downloaded once."
        )
    try:
        with open_regular(path, what="a YuNet model file", max_bytes=_MAX_MODEL_BYTES) as file:
            content = file.read(_MAX_MODEL_BYTES)
    except OSError as error:
        raise FaceModelError(
            f"{named_by}: {shown!r} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except ValueError as error:
        raise FaceModelError(f"{named_by}: {show_text(error)} {explain_remedy()}") from error
    return YuNetFile(path, content, is_named=True)


def _find_in_cache(folder: Path) -> tuple[YuNetFile | None, str]:
    """Return the first intact file, else None and what is wrong with those that are there."""
    damages: list[str] = []
    for model in PINNED_MODELS:
        path = folder / model.name
        content, damage = _read_cached_file(path, model)
        if content is not None:
            note = f"{' and '.join(damages)}; {model.name} is used instead." if damages else ""
            return YuNetFile(path, content, note), ""
        damages += [damage] if damage else []
    return None, " and ".join(damages)


def _read_cached_file(path: Path, model: PinnedModel) -> tuple[bytes | None, str]:
    """Return a cached file if it is intact, else None and what is wrong with it."""
    try:
        with open_regular(path, what=model.name, max_bytes=_MAX_MODEL_BYTES) as file:
            content = file.read(_MAX_MODEL_BYTES)
    except FileNotFoundError:
        return None, ""
    except ValueError:
        return None, f"{str(path)!r} is damaged (no file of {model.bytes:,} bytes)"
    except OSError as error:
        return None, f"{str(path)!r} cannot be read ({error.strerror})"
    if len(content) != model.bytes:
        return None, f"{str(path)!r} is damaged ({len(content):,} bytes)"
    received = hashlib.sha256(content).hexdigest()
    if received != model.sha256:
        return None, f"{str(path)!r} is damaged (SHA-256 {received})"
    return content, ""


def _fetch(folder: Path, damage: str, *, retry: bool) -> YuNetFile:
    """Download a file into the cache, or say why there is none and remember it."""
    failure_path = folder / _FAILURE_NAME
    said = f"{damage}. " if damage else ""
    remembered = None if retry else _recall_failure(failure_path)
    if remembered:
        raise FaceDetectorUnavailableError(f"{said}{remembered} {explain_remedy()}")
    try:
        model, content, failures = download_first(PINNED_MODELS)
    except FaceDetectorUnavailableError as error:
        kept = _remember_failure(failure_path, str(error))
        said += f"{show_text(error)}{kept} {explain_remedy()}"
        raise FaceDetectorUnavailableError(said) from error
    if said or failures:
        said += f"{failures} Downloaded: {model.name}.".lstrip()
    unkept = _keep(folder / model.name, content, failure_path)
    return YuNetFile(folder / model.name, content, f"{said} {unkept}".strip())


def _keep(path: Path, content: bytes, failure_path: Path) -> str:
    """Put a file into the cache; return a remark where that is impossible."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        failure_path.unlink(missing_ok=True)
    except OSError as error:
        return f"{path.name} is not kept in {str(path.parent)!r} ({error.strerror})."
    return ""


def _remember_failure(path: Path, reason: str) -> str:
    """Write down a failed download; return a remark where that is impossible."""
    try:
        write_json(path, asdict(_Failure(time.time(), reason)))
    except OSError as error:
        return f" (The next start tries again: {str(path)!r} cannot be written, {error.strerror}.)"
    return ""


def _recall_failure(path: Path) -> str | None:
    """Return what is known of a download that failed within the last day, or None."""
    try:
        failure: _Failure = read_json(
            path, what="the last failed download", kind=_Failure, max_bytes=_MAX_FAILURE_BYTES
        )
    except (OSError, ValueError):
        return None
    age, reason = time.time() - failure.time, show_text(failure.reason)
    if not 0 <= age < RETRY_SECONDS:
        return None
    return f"{reason} The next try is a day later; delete {str(path)!r} to try at the next start."


def download_first(models: Sequence[PinnedModel]) -> tuple[PinnedModel, bytes, str]:
    """Fetch the first of several files that can be had, the preferred one first.

    Returns it, its content, checked, and in sentences why those before it were not delivered.
    Raises FaceDetectorUnavailableError if there is none, and says what happened with each.
    """
    deadline = time.monotonic() + _DEADLINE_SECONDS
    failures: list[str] = []
    for model in models:
        try:
            return model, _download(model, deadline), " ".join(failures)
        except _DownloadError as error:
            failures.append(str(error))
            if error.is_offline:
                break
    raise FaceDetectorUnavailableError(" ".join(failures))


def open_https(url: str, *, timeout_seconds: float) -> Any:
    """Open an address over https; OSError for anything else, a redirection included.

    `read1(count)` of what is returned gives the next bytes, as soon as there are any.
    """
    from urllib import request  # costs 0.1 s, and most starts find the file in the cache

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPSHandler,
        request.HTTPRedirectHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener.open(url, timeout=timeout_seconds)


def _download(model: PinnedModel, deadline: float) -> bytes:
    """Return one file, checked."""
    from http.client import HTTPException

    try:
        content = _read_address(model, deadline)
    except (OSError, HTTPException, ValueError) as error:
        raise _DownloadError(
            f"{model.name} could not be downloaded ({_describe(error)}).",
            is_offline=_is_offline(error),
        ) from error
    received = hashlib.sha256(content).hexdigest()
    if received != model.sha256:
        raise _DownloadError(
            f"{model.name} was downloaded but is not the file that was expected, so it was not "
            f"kept: expected {model.bytes:,} bytes with SHA-256 {model.sha256}, received "
            f"{'more' if len(content) > model.bytes else f'{len(content):,}'} with {received}."
        )
    return content


def _read_address(model: PinnedModel, deadline: float) -> bytes:
    """Read the address, one byte more than the file has at most."""
    content = b""
    with open_https(model.url, timeout_seconds=_TIMEOUT_SECONDS) as response:
        while len(content) <= model.bytes:
            part = response.read1(model.bytes + 1 - len(content))
            if not part:
                break
            content += part
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished after {_DEADLINE_SECONDS:.0f} seconds")
    return content


def _is_offline(error: Exception) -> bool:
    """Tell whether no server answered in time: urllib wraps what fails before an answer."""
    return isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), OSError)


def _describe(error: Exception) -> str:
    """Return what an error says, in a few words."""
    is_answer = hasattr(error, "code")  # "HTTP Error 404: Not Found", whose reason lacks the number
    reason = error if is_answer else getattr(error, "reason", None) or error
    said = str(error) if is_answer else getattr(reason, "strerror", None) or str(reason)
    return said or type(error).__name__
