"""Find the faces in a photo and cut them out: with YuNet where its file is there, else with Haar.

`detecting` chooses the detector, `yunet` is one and `yunet_file` its model file, `cropping` cuts a
face out as a network expects it, `face` holds what all share.
"""

from emoclf.images.faces.cropping import crop_face, map_face, measure_roll
from emoclf.images.faces.detecting import DetectorKind, HaarDetector, find_faces, make_detector
from emoclf.images.faces.face import (
    Face,
    FaceDetector,
    FaceDetectorUnavailableError,
    FaceModelError,
    FaceModelNotFoundError,
    import_opencv,
    measure_overlap,
    silence_opencv,
)
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
    "YuNetDetector",
    "YuNetFile",
    "crop_face",
    "find_cache_folder",
    "find_faces",
    "import_opencv",
    "load_yunet_file",
    "make_detector",
    "map_face",
    "measure_overlap",
    "measure_roll",
    "silence_opencv",
]
