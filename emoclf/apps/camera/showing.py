"""Show live predictions in a window, and write them into a video file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from emoclf.apps.camera.session import LivePrediction
from emoclf.images.faces import import_opencv, silence_opencv
from emoclf.storage import replacing
from emoclf.untrusted import show_text

_ESCAPE = 27
_PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
"""Run in another process first, because OpenCV for Linux ends the one that has no screen."""

_INK, _EDGE = (255, 255, 255), (0, 0, 0)


class WindowUnavailableError(RuntimeError):
    """No window can be opened here; the message says why and what to do."""


def draw_frame(predicted: LivePrediction) -> np.ndarray:
    """Draw a prediction and the frames per second onto a copy of its frame.

    Args:
        predicted: From a `LiveSession`.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255.
    """
    cv2, picture = import_opencv(), predicted.draw()
    text, place = f"{predicted.frames_per_second:.0f} frames/s", (8, picture.shape[0] - 10)
    for colour, thickness in ((_EDGE, 3), (_INK, 1)):
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness)
    return picture


@contextmanager
def open_window(title: str) -> Iterator[Callable[[np.ndarray], bool]]:
    """Open a window, and close it at the end.

    Args:
        title: What stands above it.

    Yields:
        A function that shows a picture, uint8 RGB `(height, width, 3)`, 0 to 255, and returns
        whether to go on: False once q or Esc was pressed, or the window was closed.

    Raises:
        WindowUnavailableError: If there is no screen, or this OpenCV has no windows.
    """
    cv2 = import_opencv()
    tried = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, check=False)
    if tried.returncode:
        raise WindowUnavailableError(
            "No window can be opened here: there is no screen, or this is OpenCV without windows "
            "(opencv-python-headless). Write a file instead: --output film.mp4 --no-window"
        )

    def show(picture: np.ndarray) -> bool:
        cv2.imshow(title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if cv2.waitKey(1) & 0xFF in (ord("q"), _ESCAPE):
            return False
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1

    cv2.namedWindow(title, cv2.WINDOW_NORMAL)
    try:
        yield show
    finally:
        cv2.destroyAllWindows()


@contextmanager
def open_video_file(
    path: str | Path, *, frames_per_second: float
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a video file, picture by picture; it is there once the block ends well.

    Args:
        path: A new file, `.mp4` or `.avi`.
        frames_per_second: The rate at which it will play.

    Yields:
        A function that takes the next picture, uint8 RGB `(height, width, 3)`, 0 to 255, all of
        one size.

    Raises:
        FileExistsError: If the file exists.
        ValueError: If OpenCV cannot write such a file, or no picture came.
    """
    path, cv2 = Path(path), import_opencv()
    if path.exists():
        raise FileExistsError(f"{str(path)!r} exists already: give another name.")
    code = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    video = cv2.VideoWriter()

    def write(picture: np.ndarray) -> None:
        if not video.isOpened():
            size = (picture.shape[1], picture.shape[0])
            with silence_opencv():
                video.open(str(temporary), code, frames_per_second, size)
        if not video.isOpened():
            raise ValueError(
                f"OpenCV {cv2.__version__} cannot write a {show_text(path.suffix or 'nameless')} "
                "video: give a name that ends in .mp4 or .avi."
            )
        video.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    with replacing(path) as temporary:
        try:
            yield write
        finally:
            video.release()
        if not temporary.exists():
            raise ValueError(f"There was no picture to write into {str(path)!r}.")
