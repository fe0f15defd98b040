"""Find the faces in a photo and cut them out: with YuNet, or a packaged detector.

`detecting` chooses one, `yunet` is how both look and `yunet_file` YuNet's model file, `cropping`
cuts a face out as a network expects it, `face` holds what all share.
"""

from emoclf.images.faces.cropping import crop_face, measure_roll
from emoclf.images.faces.detecting import find_faces, make_detector
from emoclf.images.faces.face import (
    Face,
    FaceDetector,
    FaceDetectorUnavailableError,
    FaceModelError,
    import_opencv,
    measure_overlap,
    silence_opencv,
)
from emoclf.images.faces.yunet import YuNetDetector
from emoclf.images.faces.yunet_file import YuNetFile, find_cache_folder, load_yunet_file
