"""A few photos for a notebook: from the browser's camera or the machine's, else from files."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emoclf.apps.camera.frames import CameraUnavailableError, Frame, open_camera
from emoclf.apps.camera.jupyter import evaluate_in_jupyter, in_jupyter
from emoclf.apps.camera.session import CONSENT
from emoclf.images import UnreadableImageError, load_image
from emoclf.runtime import in_colab
from emoclf.untrusted import show_text

Evaluate = Callable[[str], Any]
"""Runs JavaScript in the browser and returns what its promise resolves to, as Colab's `eval_js`."""

_SCRIPT = Path(__file__).with_name("camera.js")
_MAX_PHOTOS = 100
_MAX_PIXELS = 25_000_000
"""Larger pictures come from no camera of a browser."""

_SHOWN_LETTERS = 300
_REASONS = {
    "unsupported": (
        "This browser shows no camera to the notebook. Firefox does so in Colab, and VS Code, "
        "because the output of a cell is a frame of another site: use Chrome or Edge."
    ),
    "denied": (
        "The camera was not allowed. Click the camera sign in the address bar, allow it, and run "
        "the cell again."
    ),
    "no-camera": "This computer has no camera that the browser knows.",
    "busy": "The camera is in use by another program. Close it there and run the cell again.",
    "cancelled": "No photo was taken.",
    "timeout": "Nobody allowed the camera or pressed the button in time. Run the cell again.",
    "error": "The browser's camera failed.",
}

_WARM_UP_FRAMES = 5
"""The first pictures of a camera are often dark: it is still measuring the light."""

_SPARE_SECONDS = 30
"""How much longer than its own timeout the browser gets to answer."""

_NO_BROWSER_CAMERA = ("no-browser", "unsupported", "no-camera")
"""Why a browser has no camera to offer, so that OpenCV may open one; a denial is not among them."""


class Snapshots(NamedTuple):
    """Photos that were taken, or why there are none.

    Attributes:
        photos: uint8 RGB `(height, width, 3)`, 0 to 255 each.
        note: What the user should know: why there was no camera, and what was used instead.
    """

    photos: tuple[np.ndarray, ...]
    note: str = ""


def take_photos(
    *,
    count: int = 1,
    interval_seconds: float = 0.5,
    timeout_seconds: float = 60,
    say: Callable[[str], Any] = print,
) -> Snapshots:
    """Take photos with the camera at hand, or let the user choose files instead.

    In Colab the camera is the one of the browser, and files can be uploaded where there is none.
    In a Jupyter on this machine it is the browser's too, and where the browser has none to offer,
    as anywhere else, OpenCV opens the camera of this machine.

    Args:
        count: How many photos, 1 to 100.
        interval_seconds: Time between two photos.
        timeout_seconds: After this long without permission or a press of the button in the browser,
            give up.
        say: Called with the words of consent before OpenCV opens a camera. (The browser shows them
            above its picture.)

    Returns:
        The photos; none, and a note that says what to do, where there is no camera and no file.

    Raises:
        ValueError: If a number is out of range.
    """
    take = functools.partial(
        take_browser_photos,
        count=count,
        interval_seconds=interval_seconds,
        timeout_seconds=timeout_seconds,
    )
    wait_seconds = timeout_seconds + _SPARE_SECONDS
    try:
        if in_colab():
            return Snapshots(tuple(take(_find_bridge(wait_seconds))))
        photos = _take_in_jupyter(take, wait_seconds) if in_jupyter() else None
        if photos is not None:
            return Snapshots(tuple(photos))
        say(CONSENT)
        with closing(open_camera()) as camera:
            frames = _space(islice(camera, _WARM_UP_FRAMES, None), interval_seconds)
            return Snapshots(tuple(frame.pixels for frame in islice(frames, count)))
    except CameraUnavailableError as error:
        if in_colab():
            return _upload(str(error))
        return Snapshots((), f"{show_text(error)} Or name files: packaged.predict('photo.jpg').")


def take_browser_photos(
    evaluate: Evaluate,
    *,
    count: int = 1,
    interval_seconds: float = 0.5,
    timeout_seconds: float = 60,
    parent: str = "document.body",
) -> list[np.ndarray]:
    """Take photos with the camera of the browser that shows the notebook.

    The photos come here, to the machine that runs the notebook, and are not kept.

    Args:
        evaluate: Runs JavaScript in the browser and waits for the promise that it returns.
        count: How many photos, 1 to 100.
        interval_seconds: Time between two photos.
        timeout_seconds: After this long without permission or without a press of the button, give
            up.
        parent: JavaScript for the element that the camera's picture is shown in.

    Returns:
        The photos, uint8 RGB `(height, width, 3)`, 0 to 255.

    Raises:
        CameraUnavailableError: If there is no photo; the message says why and what to do.
        ValueError: If a number is out of range.
    """
    if not 1 <= count <= _MAX_PHOTOS or interval_seconds < 0 or timeout_seconds <= 0:
        raise ValueError(
            f"count={count}, interval_seconds={interval_seconds}, timeout_seconds="
            f"{timeout_seconds}: expected 1 to {_MAX_PHOTOS} photos, no negative interval and a "
            "positive timeout."
        )
    options = {
        "count": count,
        "intervalMs": round(1000 * interval_seconds),
        "timeoutMs": round(1000 * timeout_seconds),
        "consent": CONSENT,
    }
    script = _SCRIPT.read_text(encoding="utf-8")
    answer = evaluate(f"{script}\ntakeEmoclfPhotos({json.dumps(options)}, {parent})")
    return _read_photos(answer, count)


def _take_in_jupyter(
    take: Callable[..., list[np.ndarray]], timeout_seconds: float
) -> list[np.ndarray] | None:
    """Take photos in the browser; None where it has no camera to offer, and OpenCV may look."""
    evaluate = functools.partial(evaluate_in_jupyter, timeout_seconds=timeout_seconds)
    try:
        return take(evaluate, parent="element")
    except CameraUnavailableError as error:
        if error.reason not in _NO_BROWSER_CAMERA:
            raise
    return None


def _find_bridge(timeout_seconds: float) -> Callable[[str], Any]:
    from google.colab import output  # type: ignore[import-not-found]

    return lambda script: output.eval_js(script, timeout_sec=timeout_seconds)


def _space(frames: Iterator[Frame], interval_seconds: float) -> Iterator[Frame]:
    """Leave out frames that follow the one before too soon."""
    last = float("-inf")
    for frame in frames:
        if frame.seconds - last >= interval_seconds:
            last = frame.seconds
            yield frame


def _upload(problem: str) -> Snapshots:
    """Let the user of Colab choose files; what is no photo is named."""
    from google.colab import files

    photos, notes = [], [problem]
    for name, content in files.upload().items():
        try:
            photos.append(load_image(content))
        except UnreadableImageError as error:
            notes.append(f"{name!r} was not read: {show_text(error)}")
    if not photos:
        notes.append("No file was chosen either.")
    return Snapshots(tuple(photos), " ".join(notes))


def _read_photos(answer: Any, count: int) -> list[np.ndarray]:
    """Turn what came from the browser into photos; nothing about it is taken for granted."""
    given = answer if isinstance(answer, dict) else {"detail": answer}
    photos, reason, detail = map(given.get, ("photos", "reason", "detail"))
    if not photos:
        reason = reason if isinstance(reason, str) and reason in _REASONS else "error"
        told = f" ({show_text(detail)[:_SHOWN_LETTERS]})" if detail and reason == "error" else ""
        raise CameraUnavailableError(f"{_REASONS[reason]}{told}", reason=reason)
    if not isinstance(photos, list) or len(photos) > count:
        sent = f"{len(photos)} photos" if isinstance(photos, list) else "no list of photos"
        said = f"The browser sent {sent}, where {count} at most were asked for. Run the cell again."
        raise CameraUnavailableError(said)
    return [_decode(url) for url in photos]


def _decode(url: Any) -> np.ndarray:
    """Turn a data URL into pixels, with the decoder that reads all photos."""
    head, _, content = url.partition(",") if isinstance(url, str) else (repr(url), "", "")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise CameraUnavailableError(f"The browser sent no photo but {head[:40]!r}.")
    try:
        return load_image(base64.b64decode(content, validate=True), max_pixels=_MAX_PIXELS)
    except ValueError as error:  # no base64, or no picture
        said = f"The browser sent a damaged photo ({show_text(error)})."
        raise CameraUnavailableError(said) from error
