"""Moving pictures: in from a camera or a video file, out into a window or another file."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emoclf.images.faces import import_opencv, silence_opencv
from emoclf.storage import open_regular, replacing
from emoclf.untrusted import show_text

_DEFAULT_RATE = 30.0
"""Frames per second of a video that does not say."""

_HIGHEST_RATE = 240.0
"""What claims more tells no rate: the films of browsers say 1,000."""

_MOST_FRAMES = 10**8
"""What claims more does not tell how long it is."""

_LONGEST_GAP_SECONDS = 60.0
"""A longer time between two frames is a broken clock."""

_ESCAPE = 27
_PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
"""Run in another process first, because OpenCV for Linux ends the one that has no screen."""


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


class WindowUnavailableError(RuntimeError):
    """No window can be opened here; the message says why and what to do."""


class Frame(NamedTuple):
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
        frames_per_second: The rate that the camera or file claims, where it can be believed. The
            frames themselves may come at another, which may change.
        first: The first picture, uint8 RGB; None where there is none.
        count: How many frames the file claims to have; None for a camera, or where it does not say.
    """

    def __init__(self, video: Any, *, is_live: bool) -> None:
        """Keep the camera or file, and read the first picture."""
        rate = video.get(import_opencv().CAP_PROP_FPS)  # what a file says may be any number
        self.frames_per_second = rate if 0 < rate <= _HIGHEST_RATE else _DEFAULT_RATE
        self._video, self._is_live = video, is_live
        self._clock = _FilmClock(1 / self.frames_per_second)
        claimed = 0 if is_live else video.get(import_opencv().CAP_PROP_FRAME_COUNT)
        self.count = int(claimed) if 0 < claimed < _MOST_FRAMES else None
        self.first = self._read()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; at the end the camera or file is closed."""
        pixels = self.first
        try:
            while pixels is not None:
                yield Frame(pixels, time.monotonic() if self._is_live else self._clock.seconds)
                pixels = self._read()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the camera or the file."""
        self._video.release()

    def _read(self) -> np.ndarray | None:
        cv2 = import_opencv()
        is_there, pixels = self._video.read()
        if not is_there:
            return None
        self._clock.advance(self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


class _FilmClock:
    """The time in a film, from what its frames are stamped with; it never runs back.

    Where the stamps stand still, fall, leap or are no numbers, a frame takes one step.

    Attributes:
        seconds: The time of the last frame.
    """

    def __init__(self, step_seconds: float) -> None:
        """Start before the first frame."""
        self.seconds = -step_seconds
        self._step_seconds = step_seconds
        self._stamp = self._at_stamp = 0.0

    def advance(self, stamp: float) -> None:
        """Go on to the next frame, stamped with so many seconds."""
        gap = stamp - self._stamp
        if 0 < gap <= _LONGEST_GAP_SECONDS:
            self._at_stamp += gap
            self.seconds = max(self.seconds, self._at_stamp)
        else:
            self.seconds += self._step_seconds
        if gap and math.isfinite(gap):
            self._stamp = stamp
            self._at_stamp = self._at_stamp if 0 < gap <= _LONGEST_GAP_SECONDS else self.seconds


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
            "(opencv-python-headless). Write a new file only: --output NEW.mp4 --no-window"
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
def open_video_file(path: str | Path, *, frames_per_second: float) -> Iterator[Callable[..., None]]:
    """Write a video file, picture by picture; it is there once the block ends well.

    Args:
        path: A new file, `.mp4` or `.avi`.
        frames_per_second: The rate at which it will play.

    Yields:
        A function that takes the next picture, uint8 RGB `(height, width, 3)`, 0 to 255, all of
        one size; and `seconds`, when it was taken, which may not fall. Pictures are repeated or
        left out so that the film lasts as long as what it shows; without times, each comes once.

    Raises:
        FileExistsError: If the file exists.
        OSError: If it does not hold what was written, as on a full disk.
        ValueError: If OpenCV cannot write such a file, or no picture came.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{str(path)!r} exists already: give another name.")
    with replacing(path) as temporary:
        film = _FilmWriter(temporary, frames_per_second)
        try:
            yield film.add
        finally:
            film.close()
        if not film.count:
            raise ValueError(f"There was no picture to write into {str(path)!r}.")
        with silence_opencv():
            is_whole = _has_frames(temporary, film.count)
        if not is_whole:
            raise OSError(
                f"{str(path)!r} could not be written: not all of its {film.count:,} frames can be "
                "read. Make room on that disk, or choose another place, and give the command again."
            )


class _FilmWriter:
    """Pictures with their times in, a film of constant rate out.

    Attributes:
        count: How many frames were written; a picture is written when the next one comes.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        """Write nothing yet: the size of the pictures is not known."""
        self.count = 0
        self._path, self._rate = path, frames_per_second
        self._video = import_opencv().VideoWriter()
        self._waiting: np.ndarray | None = None
        self._start = 0.0

    def add(self, picture: np.ndarray, seconds: float | None = None) -> None:
        """Take the next picture, uint8 RGB, and when it was taken."""
        if self._waiting is None:
            self._open(picture)
            self._start = seconds or 0.0
        else:
            due = self.count + 1 if seconds is None else round((seconds - self._start) * self._rate)
            self._write_until(due)
        self._waiting = import_opencv().cvtColor(picture, import_opencv().COLOR_RGB2BGR)

    def close(self) -> None:
        """Write the last picture, and let go of the file."""
        self._write_until(self.count + 1)
        self._video.release()

    def _open(self, picture: np.ndarray) -> None:
        cv2 = import_opencv()
        code = cv2.VideoWriter.fourcc(*("MJPG" if self._path.suffix == ".avi" else "mp4v"))
        with silence_opencv():
            self._video.open(str(self._path), code, self._rate, picture.shape[1::-1])
        if not self._video.isOpened():
            raise ValueError(
                f"OpenCV {cv2.__version__} cannot write a "
                f"{show_text(self._path.suffix or 'nameless')} video there: give a name "
                "that ends in .mp4 or .avi, in a folder with room."
            )

    def _write_until(self, count: int) -> None:
        while self._waiting is not None and self.count < count:
            self._video.write(self._waiting)
            self.count += 1


def _has_frames(path: Path, count: int) -> bool:
    """Tell whether a film has so many frames: the last can be read, or else all of them."""
    cv2 = import_opencv()
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
    is_there = video.get(cv2.CAP_PROP_FRAME_COUNT) >= count and video.read()[0]
    if not is_there:
        video.release()
        video = cv2.VideoCapture(str(path))
        is_there = all(video.grab() for _ in range(count))
    video.release()
    return is_there
