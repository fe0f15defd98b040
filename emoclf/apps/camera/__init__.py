"""Faces in motion: frames in, smoothed predictions out, in a window or into a video file.

`frames` is where pictures come from and go to, `session` tracks faces, predicts and smooths.
`snapshots` takes a few photos for a notebook, with the camera of the machine or with the browser's,
which `jupyter` reaches outside Colab.
"""

from emoclf.apps.camera.frames import (
    CameraUnavailableError,
    Frame,
    FrameSource,
    WindowUnavailableError,
    open_camera,
    open_video_file,
    open_window,
    read_video,
)
from emoclf.apps.camera.session import CONSENT, LiveSession
from emoclf.apps.camera.snapshots import take_browser_photos, take_photos
