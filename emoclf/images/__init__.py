"""One image: a path, bytes, a PIL image or an array becomes uint8 RGB `(height, width, 3)`.

The only room of the project that decodes pictures. `decoding` is the way through, `formats` judges
bytes by their content, `files` reads them, `conversion` turns every colour mode into upright RGB,
`repair` salvages truncated files, `resizing` brings a photo to one size. `costs` tells from headers
what decoding would take (`jpeg` and `avif` know these files' parts), `memory` shares it out, and
`loading` keeps to it.
"""

from emoclf.images.decoding import (
    MAX_LOST_SHARE,
    DecodedImage,
    decode_image,
    load_image,
    load_resized,
)
from emoclf.images.files import MAX_FILE_BYTES, read_image_bytes
from emoclf.images.formats import (
    FORMAT_EXTENSIONS,
    IMAGE_EXTENSIONS,
    UnreadableImageError,
    explain_unknown_content,
    find_format,
)
from emoclf.images.memory import MAX_BYTES, sharing_memory
from emoclf.images.pillow_warnings import OldPillowWarning, quiet_pillow, warn_if_pillow_is_old
from emoclf.images.resizing import PADDING_GREY, Placement, find_placement, resize_image

__all__ = [
    "FORMAT_EXTENSIONS",
    "IMAGE_EXTENSIONS",
    "MAX_BYTES",
    "MAX_FILE_BYTES",
    "MAX_LOST_SHARE",
    "PADDING_GREY",
    "DecodedImage",
    "OldPillowWarning",
    "Placement",
    "UnreadableImageError",
    "decode_image",
    "explain_unknown_content",
    "find_format",
    "find_placement",
    "load_image",
    "load_resized",
    "quiet_pillow",
    "read_image_bytes",
    "resize_image",
    "sharing_memory",
    "warn_if_pillow_is_old",
]
