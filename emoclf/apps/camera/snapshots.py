"""A few photos for a notebook: with the camera at hand, else from files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from emoclf.apps.camera.browser import take_browser_photos
from emoclf.apps.camera.frames import CameraUnavailableError, Frame, open_camera
from emoclf.apps.camera.jupyter import evaluate_in_jupyter, in_jupyter
from emoclf.apps.camera.session import CONSENT
from emoclf.images import UnreadableImageError, load_image
from emoclf.runtime import in_colab
from emoclf.untrusted import show_text

_EYES_ADJUST_FRAMES = 5
"""The first pictures of a camera are often dark: it is still measuring the light."""

_SPARE_SECONDS = 30
"""How much longer than its own timeout the browser gets to answer."""

_NO_BROWSER_CAMERA = ("no-browser", "unsupported", "no-camera")
"""Why a browser has no camera to offer, so that OpenCV may open one; a denial is not among them."""


@dataclass(frozen=True, eq=False)
class Snapshots:
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
            the camera is given up.
        say: Called with the words of consent before OpenCV opens a camera. (The browser shows them
            above its picture.)

    Returns:
        The photos; none, and a note that says what to do, where there is no camera and no file.

    Raises:
        ValueError: If a number is out of range.
    """
    options = {
        "count": count,
        "interval_seconds": interval_seconds,
        "timeout_seconds": timeout_seconds,
    }
    if in_colab():
        return _take_in_colab(options)
    try:
        return Snapshots(tuple(_take_here(options, say)))
    except CameraUnavailableError as error:
        return Snapshots((), f"{show_text(error)} Or name files: packaged.predict('photo.jpg').")


def _take_in_colab(options: dict[str, Any]) -> Snapshots:
    evaluate = _find_bridge(options["timeout_seconds"] + _SPARE_SECONDS)
    try:
        return Snapshots(tuple(take_browser_photos(evaluate, **options)))
    except CameraUnavailableError as error:
        return _upload(str(error))


def _take_here(options: dict[str, Any], say: Callable[[str], Any]) -> list[np.ndarray]:
    if in_jupyter():
        evaluate = functools.partial(
            evaluate_in_jupyter, timeout_seconds=options["timeout_seconds"] + _SPARE_SECONDS
        )
        try:
            return take_browser_photos(evaluate, **options, parent="element")
        except CameraUnavailableError as error:
            if error.reason not in _NO_BROWSER_CAMERA:
                raise
    say(CONSENT)
    return _take_local_photos(options["count"], options["interval_seconds"])


def _find_bridge(timeout_seconds: float) -> Callable[[str], Any]:
    from google.colab import output  # type: ignore[import-not-found]

    return lambda script: output.eval_js(script, timeout_sec=timeout_seconds)


def _take_local_photos(count: int, interval_seconds: float) -> list[np.ndarray]:
    with closing(open_camera()) as camera:
        frames = islice(camera, _EYES_ADJUST_FRAMES, None)
        return [frame.pixels for frame in islice(_space(frames, interval_seconds), count)]


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
