"""Fetch a YuNet model file over https: the first of several that is delivered whole and unchanged.

What comes back is read up to the size that is expected, within a deadline, and compared with a
pinned SHA-256. When one file cannot be had, the next is tried, but not when no server answered:
then the next would only keep the user waiting once more.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emoclf.images.faces.face import FaceDetectorUnavailableError

_TIMEOUT_SECONDS = 10.0
_DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class PinnedModel:
    """A model file that may be fetched, and how to tell that it is the right one.

    Attributes:
        name: What the file is called, there and in the cache.
        url: Where it is, over https.
        bytes: Its size.
        sha256: Its SHA-256, 64 hexadecimal digits in lower case.
    """

    name: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Download:
    """A file that was delivered.

    Attributes:
        model: Which one.
        content: Its bytes, checked.
        failures: Why those before it were not delivered, in sentences, or nothing.
    """

    model: PinnedModel
    content: bytes
    failures: str = ""


class _DownloadError(Exception):
    """A file was not delivered; `is_offline` tells that no server answered in time."""

    def __init__(self, said: str, *, is_offline: bool = False) -> None:
        super().__init__(said)
        self.is_offline = is_offline


def download_first(models: Sequence[PinnedModel]) -> Download:
    """Fetch the first of several files that can be had.

    Args:
        models: The files, the preferred one first.

    Returns:
        That file, and what went wrong before.

    Raises:
        FaceDetectorUnavailableError: If there is none; the message says what happened with each.
    """
    deadline = time.monotonic() + _DEADLINE_SECONDS
    failures: list[str] = []
    for model in models:
        try:
            return Download(model, _download(model, deadline), " ".join(failures))
        except _DownloadError as error:
            failures.append(str(error))
            if error.is_offline:
                break
    untried = models[len(failures) :]
    failures += [f"{each.name} comes from the same place and was not tried." for each in untried]
    raise FaceDetectorUnavailableError(" ".join(failures))


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
    said = str(error if is_answer else getattr(error, "reason", None) or error)
    return said or type(error).__name__
