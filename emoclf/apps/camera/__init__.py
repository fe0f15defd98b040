"""Faces in motion: frames in, smoothed answers out, in a window or into a video file.

`frames` is where pictures come from, `following` keeps hold of faces between two full searches,
`smoothing` steadies the answers, `session` puts them together, `showing` draws and shows.
`browser` takes photos with the camera of a browser, `snapshots` with whichever camera is at hand.
"""

from emoclf.apps.camera.browser import take_browser_photos
from emoclf.apps.camera.following import FaceFollower
from emoclf.apps.camera.frames import (
    CameraUnavailableError,
    Frame,
    FrameSource,
    open_camera,
    read_video,
)
from emoclf.apps.camera.session import CONSENT, LiveAnswer, LiveSession
from emoclf.apps.camera.showing import (
    WindowUnavailableError,
    draw_frame,
    open_video_file,
    open_window,
)
from emoclf.apps.camera.smoothing import AnswerSmoother
from emoclf.apps.camera.snapshots import Snapshots, take_photos

__all__ = [
    "CONSENT",
    "AnswerSmoother",
    "CameraUnavailableError",
    "FaceFollower",
    "Frame",
    "FrameSource",
    "LiveAnswer",
    "LiveSession",
    "Snapshots",
    "WindowUnavailableError",
    "draw_frame",
    "open_camera",
    "open_video_file",
    "open_window",
    "read_video",
    "take_browser_photos",
    "take_photos",
]
