"""Faces in motion: frames in, smoothed answers out, in a window or into a video file.

`frames` is where pictures come from, `following` keeps hold of faces between two full searches,
`smoothing` steadies the answers, `session` puts them together, `showing` draws and shows.
"""

from emoclf.live.following import FaceFollower
from emoclf.live.frames import CameraUnavailableError, Frame, FrameSource, open_camera, read_video
from emoclf.live.session import CONSENT, LiveAnswer, LiveSession
from emoclf.live.showing import (
    WindowUnavailableError,
    draw_frame,
    open_video_file,
    open_window,
)
from emoclf.live.smoothing import AnswerSmoother

__all__ = [
    "CONSENT",
    "AnswerSmoother",
    "CameraUnavailableError",
    "FaceFollower",
    "Frame",
    "FrameSource",
    "LiveAnswer",
    "LiveSession",
    "WindowUnavailableError",
    "draw_frame",
    "open_camera",
    "open_video_file",
    "open_window",
    "read_video",
]
