"""The recipe of emoclf's own face detector: photos and YuNet's answers in, a small ONNX file out.

`composing` puts photos together and asks YuNet about them, `network` is what learns the answers and
its file for OpenCV, `recipe.train_face_detector` does it all and `recipe.compare_detectors`
measures what came of it.
"""

from emoclf.runtime import require_part

require_part("keras")  # before a module loads it
require_part("onnx")
