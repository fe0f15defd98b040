"""Where moving pictures come from: a camera, a video file, or any iterable of arrays."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.images.faces import import_opencv, silence_opencv
from emoclf.storage import open_regular

_DEFAULT_RATE = 25.0
"""Frames per second of a video that does not say."""

_HIGHEST_RATE = 1000.0


class CameraUnavailableError(RuntimeError):
    """No camera can be used here; the message says why and what to do.

    Args:
        message: For people.
        reason: For programs, in a word: `"denied"`, `"no-camera"`, `"timeout"`...

    Attributes:
        reason: As given.
    """

    def __init__(self, message: str, *, reason: str = "error") -> None:
        """Keep the reason beside the message."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a moving one.

    Attributes:
        pixels: uint8 RGB `(height, width, 3)`, 0 to 255.
        seconds: When it was taken, since any fixed moment.
    """

    pixels: np.ndarray
    seconds: float


class FrameSource:
    """Frames of a camera or a video file, to be iterated once.

    Args:
        video: OpenCV's `VideoCapture`.
        is_live: Whether frames get the time at which they came, instead of their time in the film.

    Attributes:
        frames_per_second: The rate at which the frames were taken, as far as it is known.
        first: The first picture, uint8 RGB; None where there is none.
    """

    def __init__(self, video: Any, *, is_live: bool) -> None:
        """Keep the camera or file, and read the first picture."""
        rate = video.get(import_opencv().CAP_PROP_FPS)  # what a file says may be any number
        self.frames_per_second = rate if 0 < rate <= _HIGHEST_RATE else _DEFAULT_RATE
        self._video, self._is_live = video, is_live
        self.first = self._read()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; at the end the camera or file is closed."""
        pixels, number = self.first, 0
        try:
            while pixels is not None:
                film_time = number / self.frames_per_second
                yield Frame(pixels, time.monotonic() if self._is_live else film_time)
                number, pixels = number + 1, self._read()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the camera or the file."""
        self._video.release()

    def _read(self) -> np.ndarray | None:
        cv2 = import_opencv()
        is_there, pixels = self._video.read()
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if is_there else None


def read_video(path: str | Path) -> FrameSource:
    """Read a video file, frame by frame.

    Args:
        path: A file of a format that OpenCV knows, such as MP4, AVI or WebM.

    Returns:
        The frames, with their time in the film.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, or no video that OpenCV can read.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no video file {str(path)!r}.")
    open_regular(path, what="a video file").close()  # OpenCV would wait for a pipe
    cv2 = import_opencv()
    with silence_opencv(), contextlib.suppress(cv2.error):
        film = FrameSource(cv2.VideoCapture(str(path)), is_live=False)
        if film.first is not None:
            return film
    raise ValueError(
        f"{str(path)!r} is no video that OpenCV {cv2.__version__} can read. Give an MP4, "
        "AVI or WebM file; for a photo use `python -m emoclf predict`."
    )


def open_camera(index: int = 0, *, size: tuple[int, int] = (480, 640)) -> FrameSource:
    """Open a camera of this machine.

    Args:
        index: Which camera, 0 for the first.
        size: Wanted `(height, width)` in pixels; the camera may give another.

    Returns:
        Frames as they come, until the camera stops or the source is closed.

    Raises:
        CameraUnavailableError: If there is no such camera, or it may not be used.
    """
    # Without it Windows takes many seconds to open some cameras (opencv/opencv#17687).
    os.environ.setdefault("OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS", "0")
    cv2 = import_opencv()
    with silence_opencv():
        video = cv2.VideoCapture(index)
        video.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
        video.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        video.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        camera = FrameSource(video, is_live=True)
    if camera.first is None:
        camera.close()
        raise CameraUnavailableError(
            f"Camera {index} gives no picture. Is it plugged in, free (no other program uses it) "
            "and allowed for this program (on a Mac the first attempt only asks: allow it and "
            "try again)? Try --camera 1, or a file: --video film.mp4. In Colab, in WSL and in "
            "Docker a program cannot see your camera.",
            reason="no-camera",
        )
    return camera
