"""The camera in the browser: JavaScript takes the photos, Python gets them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.apps.camera.frames import CameraUnavailableError
from emoclf.apps.camera.session import CONSENT
from emoclf.images import load_image
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


def _read_photos(answer: Any, count: int) -> list[np.ndarray]:
    """Turn what came from the browser into photos; nothing about it is taken for granted."""
    given = answer if isinstance(answer, dict) else {"detail": answer}
    photos, reason, detail = (given.get(name) for name in ("photos", "reason", "detail"))
    if not photos:
        reason = reason if isinstance(reason, str) and reason in _REASONS else "error"
        told = f" ({show_text(detail)[:_SHOWN_LETTERS]})" if detail and reason == "error" else ""
        raise CameraUnavailableError(f"{_REASONS[reason]}{told}", reason=reason)
    if not isinstance(photos, list) or len(photos) > count:
        sent = f"{len(photos)} photos" if isinstance(photos, list) else "no list of photos"
        raise CameraUnavailableError(
            f"The browser sent {sent}, where {count} at most were asked for. Run the cell again.",
            reason="error",
        )
    return [_decode(url) for url in photos]


def _decode(url: Any) -> np.ndarray:
    """Turn a data URL into pixels, with the decoder that reads all photos."""
    head, _, content = url.partition(",") if isinstance(url, str) else (repr(url), "", "")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise CameraUnavailableError(
            f"The browser sent no photo but {head[:40]!r}.", reason="error"
        )
    try:
        return load_image(base64.b64decode(content, validate=True), max_pixels=_MAX_PIXELS)
    except ValueError as error:  # no base64, or no picture
        raise CameraUnavailableError(
            f"The browser sent a damaged photo ({show_text(error)}).", reason="error"
        ) from error
