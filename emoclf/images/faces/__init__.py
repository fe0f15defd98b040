"""Find the faces in a photo and cut them out: with YuNet where its file is there, else with Haar.

`detecting` chooses the detector and finds faces, `yunet` and `haar` are the two detectors,
`yunet_file` keeps YuNet's model file, `yunet_download` fetches it, `cropping` cuts a face out as
the network expects it, `squares` cuts turned squares out of photos, `face` holds what all share,
`opencv` loads OpenCV when it is needed.
"""

from emoclf.images.faces.cropping import Square, crop_face, find_square, measure_roll
from emoclf.images.faces.detecting import DetectorKind, find_faces, make_detector
from emoclf.images.faces.face import (
    Face,
    FaceDetector,
    FaceDetectorUnavailableError,
    FaceModelError,
    FaceModelNotFoundError,
    measure_overlap,
)
from emoclf.images.faces.haar import HaarDetector
from emoclf.images.faces.opencv import import_opencv, silence_opencv
from emoclf.images.faces.squares import map_square
from emoclf.images.faces.yunet import YuNetDetector
from emoclf.images.faces.yunet_file import YuNetFile, find_cache_folder, load_yunet_file

__all__ = [
    "DetectorKind",
    "Face",
    "FaceDetector",
    "FaceDetectorUnavailableError",
    "FaceModelError",
    "FaceModelNotFoundError",
    "HaarDetector",
    "Square",
    "YuNetDetector",
    "YuNetFile",
    "crop_face",
    "find_cache_folder",
    "find_faces",
    "find_square",
    "import_opencv",
    "load_yunet_file",
    "make_detector",
    "map_square",
    "measure_overlap",
    "measure_roll",
    "silence_opencv",
]
