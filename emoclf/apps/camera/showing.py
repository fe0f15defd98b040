"""Show live answers in a window, and write them into a video file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.apps.camera.session import LiveAnswer
from emoclf.images.faces import import_opencv, silence_opencv
from emoclf.storage import replacing
from emoclf.untrusted import show_text

_ESCAPE = 27
_PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
"""Run in another process first, because OpenCV for Linux ends the one that has no screen."""

_INK, _EDGE = (255, 255, 255), (0, 0, 0)


class WindowUnavailableError(RuntimeError):
    """No window can be opened here; the message says why and what to do."""


def draw_frame(answer: LiveAnswer) -> np.ndarray:
    """Draw an answer and the frames per second onto its frame.

    Args:
        answer: From a `LiveSession`.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255; a new picture.
    """
    cv2 = import_opencv()
    picture = answer.draw()
    text, place = f"{answer.frames_per_second:.0f} frames/s", (8, picture.shape[0] - 10)
    for colour, thickness in ((_EDGE, 3), (_INK, 1)):
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness)
    return picture


@contextmanager
def open_window(title: str) -> Iterator[Window]:
    """Open a window, and close it at the end.

    Args:
        title: What stands above it.

    Yields:
        The window.

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
    cv2.namedWindow(title, cv2.WINDOW_NORMAL)
    try:
        yield Window(title)
    finally:
        cv2.destroyAllWindows()


class Window:
    """An open window.

    Args:
        title: Its title, which is its name for OpenCV.
    """

    def __init__(self, title: str) -> None:
        """Keep the title."""
        self.title = title

    def show(self, picture: np.ndarray) -> bool:
        """Show a picture.

        Args:
            picture: uint8 RGB `(height, width, 3)`, 0 to 255.

        Returns:
            Whether to go on: False once q or Esc was pressed, or the window was closed.
        """
        cv2 = import_opencv()
        cv2.imshow(self.title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if cv2.waitKey(1) & 0xFF in (ord("q"), _ESCAPE):
            return False
        return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1


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
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{str(path)!r} exists already: give another name.")
    with replacing(path) as temporary:
        video = _VideoFile(temporary, frames_per_second)
        try:
            yield video.write
        finally:
            video.close()
        if not temporary.exists():
            raise ValueError(f"There was no picture to write into {str(path)!r}.")


class _VideoFile:
    """OpenCV's writer, opened with the size of the first picture."""

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self._writer: Any = None

    def write(self, picture: np.ndarray) -> None:
        """Write the next picture."""
        cv2 = import_opencv()
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*("MJPG" if self.path.suffix == ".avi" else "mp4v"))
            size = (picture.shape[1], picture.shape[0])
            with silence_opencv():
                self._writer = cv2.VideoWriter(str(self.path), code, self.rate, size)
        if not self._writer.isOpened():
            raise ValueError(
                f"OpenCV {cv2.__version__} cannot write a "
                f"{show_text(self.path.suffix or 'nameless')} video: "
                "give a name that ends in .mp4 or .avi."
            )
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
