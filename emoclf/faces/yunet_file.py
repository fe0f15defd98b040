"""Where the YuNet model file comes from: named by the user, in the cache, or downloaded once.

The file is `face_detection_yunet_2026may.onnx` of OpenCV's model zoo (MIT licence), fetched at one
fixed commit and pinned by size and SHA-256. It holds the weights of the file of March 2023 and, for
OpenCV 5, takes pictures of any size. The zoo keeps it in git-lfs: `media.githubusercontent.com`
serves the file itself, where a "raw" address may serve a text that stands for it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoclf.faces.face import FaceDetectorUnavailableError, FaceModelError
from emoclf.storage import read_json, replacing, write_json

MODEL_NAME: str = "face_detection_yunet_2026may.onnx"
MODEL_URL: str = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/"
    "26cc381e4d2594bb9f47a26eb8fd96c94a13660d/models/face_detection_yunet/" + MODEL_NAME
)
MODEL_BYTES: int = 229_738
MODEL_SHA256: str = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"

MODEL_VARIABLE: str = "EMOCLF_YUNET"
"""Environment variable that names a YuNet file to use."""

RETRY_SECONDS: float = 24 * 3600
"""How long a failed download is remembered before the next start tries again."""

_MAX_MODEL_BYTES = 20_000_000
_TIMEOUT_SECONDS = 10.0
_DEADLINE_SECONDS = 60.0
_FAILURE_NAME = "yunet_download_failed.json"
_download_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class YuNetFile:
    """A YuNet model file in memory.

    Attributes:
        path: Where the file is, or where it would be if the cache could be written.
        content: The bytes of the file.
        note: What happened on the way that the user should know, or nothing.
    """

    path: Path
    content: bytes
    note: str = ""


def find_cache_folder() -> Path:
    r"""Return the folder where emoclf keeps what it downloads; it need not exist.

    Returns:
        `$XDG_CACHE_HOME/emoclf` where that is set, else the system's own place:
        `%LOCALAPPDATA%\emoclf\Cache`, `~/Library/Caches/emoclf` or `~/.cache/emoclf`.
    """
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "emoclf"
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
        model_path: A file to use instead of the pinned one. None: the file that the environment
            variable `EMOCLF_YUNET` names, else the pinned one from the cache or the model zoo.
        download: Whether the network may be used when the cache has no intact file.
        retry: Whether to download even if a download failed within the last day.

    Returns:
        The file, read whole. The pinned one has been checked against its SHA-256.

    Raises:
        FileNotFoundError: If there is no file where `model_path` or `EMOCLF_YUNET` says.
        FaceModelError: If that file is far too large, or cannot be read.
        FaceDetectorUnavailableError: If the pinned file is not in the cache and was not
            downloaded.
    """
    if model_path is not None:
        return _read_named_file(Path(model_path).expanduser(), "model_path")
    if os.environ.get(MODEL_VARIABLE):
        return _read_named_file(Path(os.environ[MODEL_VARIABLE]).expanduser(), MODEL_VARIABLE)
    path = find_cache_folder() / MODEL_NAME
    with _download_lock:
        content, damage = _read_cached_file(path)
        if content is not None:
            return YuNetFile(path, content)
        if not download:
            raise FaceDetectorUnavailableError(
                f"{damage or f'There is no {MODEL_NAME} in {str(path.parent)!r}'}, and "
                f"`download=False` keeps from fetching it. {explain_remedy()}"
            )
        return _fetch(path, damage, retry=retry)


def explain_remedy() -> str:
    """Say how a user gets the YuNet file by hand."""
    return (
        f"Download {MODEL_URL} in a browser and put it into {str(find_cache_folder())!r}, or pass "
        f"the file as `model_path` (or name it in the environment variable {MODEL_VARIABLE})."
    )


def open_https(url: str, *, timeout_seconds: float) -> Any:
    """Open an address over https; a redirection to anything else is refused as well.

    Args:
        url: The address.
        timeout_seconds: How long each step of the connection may take.

    Returns:
        A context manager whose `read1(count)` returns the next bytes, as soon as there are any.

    Raises:
        OSError: If the address cannot be opened or is not https.
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


def _read_named_file(path: Path, named_by: str) -> YuNetFile:
    """Read the file that the user named."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{named_by}: expected a YuNet model file, but there is no file {str(path)!r}. "
            f"Check the path, or leave it out: the file is then downloaded once."
        )
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MAX_MODEL_BYTES else b""
    except OSError as error:
        raise FaceModelError(
            f"{named_by}: {str(path)!r} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    if size > _MAX_MODEL_BYTES:
        raise FaceModelError(
            f"{named_by}: expected a YuNet model file of about {MODEL_BYTES:,} bytes, but "
            f"{str(path)!r} has {size:,}. {explain_remedy()}"
        )
    return YuNetFile(path, content)


def _read_cached_file(path: Path) -> tuple[bytes | None, str]:
    """Return the cached file if it is intact, else None and what is wrong with it."""
    try:
        if path.stat().st_size != MODEL_BYTES:
            return None, f"{str(path)!r} is damaged ({path.stat().st_size:,} bytes)"
        content = path.read_bytes()
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{str(path)!r} cannot be read ({error.strerror})"
    received = hashlib.sha256(content).hexdigest()
    if received != MODEL_SHA256:
        return None, f"{str(path)!r} is damaged (SHA-256 {received})"
    return content, ""


def _fetch(path: Path, damage: str, *, retry: bool) -> YuNetFile:
    """Download the file into the cache, or say why there is none and remember it."""
    failure_path = path.with_name(_FAILURE_NAME)
    said = f"{damage}. " if damage else ""
    remembered = None if retry else _recall_failure(failure_path)
    if remembered:
        raise FaceDetectorUnavailableError(f"{said}{remembered} {explain_remedy()}")
    try:
        content = _download()
    except FaceDetectorUnavailableError as error:
        kept = _remember_failure(failure_path, str(error))
        raise FaceDetectorUnavailableError(f"{said}{error}{kept} {explain_remedy()}") from error
    note = f"{said}It was downloaded again." if damage else ""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        failure_path.unlink(missing_ok=True)
    except OSError as error:
        unkept = f"{MODEL_NAME} is not kept in {str(path.parent)!r} ({error.strerror})."
        note = " ".join(part for part in (note, unkept) if part)
    return YuNetFile(path, content, note)


def _download() -> bytes:
    """Return the pinned file from the model zoo, checked."""
    from http.client import HTTPException

    try:
        content = _read_address()
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise FaceDetectorUnavailableError(
            f"{MODEL_NAME} could not be downloaded ({reason or type(error).__name__})."
        ) from error
    received = hashlib.sha256(content).hexdigest()
    if received != MODEL_SHA256:
        raise FaceDetectorUnavailableError(
            f"{MODEL_URL} was downloaded but is not the file that was expected, so it was not "
            f"kept: expected {MODEL_BYTES:,} bytes with SHA-256 {MODEL_SHA256}, received "
            f"{'more' if len(content) > MODEL_BYTES else f'{len(content):,}'} with {received}."
        )
    return content


def _read_address() -> bytes:
    """Read the address, one byte more than the file has at most."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    content = b""
    with open_https(MODEL_URL, timeout_seconds=_TIMEOUT_SECONDS) as response:
        while len(content) <= MODEL_BYTES:
            part = response.read1(MODEL_BYTES + 1 - len(content))
            if not part:
                break
            content += part
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished after {_DEADLINE_SECONDS:.0f} seconds")
    return content


def _remember_failure(path: Path, reason: str) -> str:
    """Write down a failed download; return a remark where that is impossible."""
    try:
        write_json(path, {"time": time.time(), "reason": reason})
    except OSError as error:
        return f" (The next start tries again: {str(path)!r} cannot be written, {error.strerror}.)"
    return ""


def _recall_failure(path: Path) -> str | None:
    """Return what is known of a download that failed within the last day, or None."""
    try:
        failure = read_json(path, what="the last failed download")
        age = time.time() - float(failure["time"])
        reason = str(failure["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not 0 <= age < RETRY_SECONDS:
        return None
    return f"{reason} The next try is a day later; delete {str(path)!r} to try at the next start."
