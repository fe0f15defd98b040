"""From the bytes of a file to a loaded PIL image, within the limits of memory."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from emoclf.images.conversion import count_frames, read_orientation
from emoclf.images.costs import estimate_bytes
from emoclf.images.formats import UnreadableImageError
from emoclf.images.jpeg import JpegOutline
from emoclf.images.memory import take_pixel_memory

FIRST_TURNED: int = 5
"""EXIF orientations from 5 on swap height and width."""

_JPEG_SCALES = (1, 2, 4, 8)
_KEEPING_FORMATS = frozenset({"WEBP", "AVIF"})
"""Their decoders keep what they need for the next frame until the file is closed."""


@dataclass(frozen=True)
class Content:
    """The content of a file of a known format.

    Attributes:
        data: Its bytes; empty when they are behind a PIL image.
        format_name: A key of `FORMAT_EXTENSIONS`.
        source: What messages call it.
        outline: What `outline_jpeg` says of a JPEG.
    """

    data: bytes
    format_name: str
    source: str
    outline: JpegOutline | None = None


@dataclass(frozen=True)
class Wish:
    """What a caller wants of every picture; the attributes are arguments of `decode_image`."""

    min_size: tuple[int, int] | None
    max_pixels: int
    max_bytes: int


def load_content(
    content: Content, wish: Wish
) -> tuple[Image.Image, tuple[int, int], tuple[str, ...]]:
    """Load a picture, a JPEG at the size that fits and suffices.

    Args:
        content: The file.
        wish: What size suffices, and the limits.

    Returns:
        A PIL image that is loaded; `(width, height)` that it has without `wish.min_size`; notes.

    Raises:
        UnreadableImageError: If it is over a limit. Whatever Pillow raises is passed on.
    """
    with Image.open(io.BytesIO(content.data), formats=[content.format_name]) as image:
        scale = fit_into_memory(image, content, wish)
        width, height = (-(-side // scale) for side in image.size)
        if content.outline is not None and (scale > 1 or wish.min_size is not None):
            _draft(image, scale, wish.min_size)
        image.load()
        notes = count_frames(image)
        if scale > 1:
            notes += (f"read at 1/{scale} of its size, which is very large",)
        image.load()  # to count a GIF's frames unloads it
        loaded = image.copy() if content.format_name in _KEEPING_FORMATS else image
        return loaded, (width, height), notes


def fit_into_memory(image: Image.Image, content: Content, wish: Wish) -> int:
    """Take the memory that decoding a picture needs, or refuse it.

    Args:
        image: The picture, opened and not loaded.
        content: Its file.
        wish: The limits.

    Returns:
        The divisor of its size at which it fits: 1, or 2, 4 or 8 for a JPEG.

    Raises:
        UnreadableImageError: If it is over a limit.
    """
    if image.width * image.height > wish.max_pixels:
        reason = _explain_pixels(image.height, image.width, wish.max_pixels)
        raise UnreadableImageError(content.source, "too_large", reason)
    for scale in (1,) if content.outline is None else _JPEG_SCALES:
        needed = estimate_bytes(image, content.data, scale=scale, outline=content.outline)
        if needed <= wish.max_bytes:
            take_pixel_memory(needed)
            return scale
    raise UnreadableImageError(
        content.source,
        "too_large",
        f"The picture has {image.height} x {image.width} pixels and takes {needed / 1e6:,.0f} MB "
        f"to decode; the limit is {wish.max_bytes / 1e6:,.0f} MB. Make it smaller, or save it as "
        "a plain JPEG.",
    )


def _draft(image: Image.Image, scale: int, min_size: tuple[int, int] | None) -> None:
    """Let Pillow decode a JPEG at 1/`scale` of its size, or smaller still if that suffices."""
    height, width = image.height // scale, image.width // scale
    if min_size is not None:
        is_turned = read_orientation(image)[0] >= FIRST_TURNED
        wanted = min_size[::-1] if is_turned else min_size
        height, width = min(height, wanted[0]), min(width, wanted[1])
    image.draft(None, (width, height))


def _explain_pixels(height: int, width: int, max_pixels: int) -> str:
    """Say that a picture is over the pixel limit."""
    return (
        f"The picture has {height} x {width} pixels; the limit is {max_pixels:,}. Make it smaller."
    )
