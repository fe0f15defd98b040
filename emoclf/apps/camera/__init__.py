"""Faces in motion: frames in, smoothed predictions out, in a window or into a video file.

`frames` is where pictures come from, `session` tracks faces, predicts and smooths, `showing` draws
and shows. `snapshots` takes a few photos for a notebook, with the camera of the machine or with
the browser's, which `jupyter` reaches outside Colab.
"""

from emoclf.apps.camera.frames import (
    CameraUnavailableError,
    Frame,
    FrameSource,
    open_camera,
    read_video,
)
from emoclf.apps.camera.session import CONSENT, LivePrediction, LiveSession
from emoclf.apps.camera.showing import (
    WindowUnavailableError,
    draw_frame,
    open_video_file,
    open_window,
)
from emoclf.apps.camera.snapshots import take_browser_photos, take_photos

__all__ = [
    "CONSENT",
    "CameraUnavailableError",
    "Frame",
    "FrameSource",
    "LivePrediction",
    "LiveSession",
    "WindowUnavailableError",
    "draw_frame",
    "open_camera",
    "open_video_file",
    "open_window",
    "read_video",
    "take_browser_photos",
    "take_photos",
]
