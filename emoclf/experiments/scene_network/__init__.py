"""The recipe of the packaged answer for whole photos: photos, emoticons and FER2013's faces in.

`emoticons` draws what photos do not teach, `examples` turns everything into what is learned from,
`learning` teaches the last blocks of EfficientNet-Lite0 and the head, leaves whole sources out to
measure that, and writes the packaged files.
"""

from emoclf.runtime import require_part

require_part("keras")  # before a module loads it
require_part("onnx")
