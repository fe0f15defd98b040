"""One image: a path, bytes, a PIL image or an array becomes uint8 RGB, and a network's input.

The only room of the project that decodes pictures, and `prepare` the one way from a photo to
a network's input. `decoding` is the way through, `files` reads bytes and judges them by their
content, `conversion` turns every colour mode into upright RGB, `repair` salvages truncated files,
`preparing` resizes a photo or cuts its faces out. `costs` tells from `headers` what decoding would
take, `memory` shares it out among `threads`; `corruptions` blurs and darkens; `faces` finds faces.
"""

from emoclf.images.decoding import MAX_LOST_FRACTION, DecodedImage, decode_image, load_image
from emoclf.images.files import (
    FORMAT_EXTENSIONS,
    IMAGE_EXTENSIONS,
    MAX_FILE_BYTES,
    UnreadableImageError,
    explain_unknown_content,
    find_format,
    read_image_bytes,
)
from emoclf.images.memory import (
    OldPillowWarning,
    quiet_pillow,
    sharing_memory,
    warn_if_pillow_is_old,
)
from emoclf.images.preparing import (
    PADDING_GREY,
    ModelInfo,
    Network,
    Photo,
    Prepared,
    decode_for,
    prepare,
    resize_image,
)
from emoclf.images.threads import Spares, work_ahead
