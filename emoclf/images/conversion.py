"""From what Pillow or NumPy holds to upright uint8 RGB, with a note of every step taken.

A picture is converted strip by strip, so that beside it and the result there is no third one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import ExifTags, Image

from emoclf.images.costs import has_excessive_exif

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the step that turns the stored picture upright."""

_METADATA_ERRORS = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
"""What Pillow raises on damaged metadata, which is no reason to lose the picture."""

_MIRRORED, _TURNED = frozenset({3, 4, 6, 7}), frozenset({5, 6, 7, 8})
"""Orientations whose first row comes out last, and those whose rows come out as columns."""

_LARGEST_16_BIT = 65535
_STRIP_PIXELS = 1 << 17
_DAMAGED_EXIF = "EXIF block unreadable, taken as upright"


def convert_to_rgb(image: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode a PIL image's current frame, of any mode but floating point, into an upright picture.

    Returns uint8 RGB `(height, width, 3)`, 0 to 255, and what was done, such as `("EXIF rotation
    applied",)`. Raises TypeError for floating-point values or integers beyond 16 bits.
    """
    image.load()
    orientation, exif_notes = read_orientation(image)
    if orientation in _TRANSPOSITIONS:
        exif_notes = ("EXIF rotation applied",)
    if image.mode == "I":
        _check_16_bits(image)
    pixels, colour_notes = _assemble(image.size, _cut_image(image), orientation)
    return pixels, exif_notes + colour_notes


def count_frames(image: Image.Image) -> tuple[str, ...]:
    """Note that only the current frame of several is used, as `("first frame of 3",)`."""
    try:
        frames = getattr(image, "n_frames", 1)
    except _METADATA_ERRORS:
        return ("first frame, the others are damaged",)
    return (f"first frame of {frames}",) if frames > 1 else ()


def read_orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """Read how the camera was held: the EXIF orientation, 1 (upright, or unknown) to 8.

    And a note if the EXIF block is damaged, or would fill the memory.
    """
    try:
        if has_excessive_exif(_find_exif(image)):
            return 1, (_DAMAGED_EXIF,)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _METADATA_ERRORS:
        return 1, (_DAMAGED_EXIF,)
    return (orientation if orientation in _TRANSPOSITIONS else 1), ()


def convert_array(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Check an array and bring it to RGB.

    Args:
        array: uint8 `(height, width, 3)` RGB, `(height, width, 4)` RGBA, `(height, width)` or
            `(height, width, 1)` grey; or bool of one of these shapes, True is 255.

    Returns:
        A new uint8 RGB `(height, width, 3)`, 0 to 255; and what was done.

    Raises:
        TypeError: If the dtype is neither uint8 nor bool.
        ValueError: If the shape is none of the above or has no pixels.
    """
    if array.dtype not in (np.uint8, np.bool_):
        raise TypeError(_explain_dtype(array))
    if array.ndim not in (2, 3) or array.size == 0 or array.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            "array: expected shape (height, width, 3) RGB, (height, width, 4) RGBA, "
            f"(height, width) or (height, width, 1) grey, received {array.shape}. "
            "Pass one picture at a time, channels last."
        )
    if array.shape[2:] == (3,) and array.dtype == np.uint8:
        return np.array(array, order="C"), ()
    height, width = array.shape[:2]
    return _assemble((width, height), _cut_array(array), 1)


def _explain_dtype(array: np.ndarray) -> str:
    """Say what an array of another dtype holds and how to turn it into uint8."""
    numeric = array.size and array.dtype.kind in "iuf"
    span = f", values {array.min():g} to {array.max():g}" if numeric else ""
    hint = "Values from 0 to 255 become uint8 with `array.round().astype('uint8')`"
    if numeric and array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
        hint = "Values from 0 to 1 become uint8 with `(array * 255).round().astype('uint8')`"
    return (
        f"array: expected dtype uint8 (0 to 255) or bool, received {array.dtype}, "
        f"shape {array.shape}{span}. {hint}."
    )


def _find_exif(image: Image.Image) -> bytes:
    """Return the EXIF block as Pillow will read it, from its own place or from a PNG's text."""
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:
        block = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return block if isinstance(block, bytes) else b""


def _cut_image(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the first row of every strip, and the strip; a small picture is one strip."""
    width, height = image.size
    rows = max(_STRIP_PIXELS // width, 1)
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _cut_array(array: np.ndarray) -> Iterator[tuple[int, Image.Image]]:
    """Yield the same for uint8 or bool `(height, width[, channels])`."""
    height, width = array.shape[:2]
    rows = max(_STRIP_PIXELS // width, 1)
    for top in range(0, height, rows):
        strip = array[top : top + rows]
        strip = strip.astype(np.uint8) * np.uint8(255) if strip.dtype == np.bool_ else strip
        strip = strip[:, :, 0] if strip.shape[2:] == (1,) else strip
        yield top, Image.fromarray(np.ascontiguousarray(strip))


def _assemble(
    size: tuple[int, int], strips: Iterable[tuple[int, Image.Image]], orientation: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert strips of a picture of `size` (width, height) and put them together upright."""
    width, height = size
    is_turned = orientation in _TURNED
    pixels = np.empty((width, height, 3) if is_turned else (height, width, 3), dtype=np.uint8)
    rows = pixels.swapaxes(0, 1) if is_turned else pixels
    notes: dict[str, None] = {}
    for top, strip in strips:
        rgb, own_notes = _convert_colours(strip)
        notes.update(dict.fromkeys(own_notes))
        if orientation in _TRANSPOSITIONS:
            rgb = rgb.transpose(_TRANSPOSITIONS[orientation])
        if strip.height == height:
            return np.array(rgb), own_notes
        first = height - top - strip.height if orientation in _MIRRORED else top
        values = np.asarray(rgb)
        rows[first : first + strip.height] = values.swapaxes(0, 1) if is_turned else values
    return pixels, tuple(notes)


def _convert_colours(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Bring any mode to RGB: 16 bits scaled, transparency on white, the rest converted."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image, ()
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _scale_16_bits(image), ("16 bits scaled to 8",)
    if image.mode == "F":
        raise TypeError(
            "image: expected 8-bit or 16-bit values, received a PIL image of mode 'F' (floating "
            "point). Scale the values to 0 to 255 and convert the image to mode 'L'."
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB"), ()
        white = Image.new("RGBA", rgba.size, "white")
        composite = Image.alpha_composite(white, rgba).convert("RGB")
        return composite, ("transparency composited on white",)
    return image.convert("RGB"), (f"mode {image.mode} converted to RGB",)


def _check_16_bits(image: Image.Image) -> None:
    """Refuse integers that are no 16-bit values."""
    low, high = np.ravel(image.getextrema()).tolist()
    if low < 0 or high > _LARGEST_16_BIT:
        raise TypeError(
            f"image: expected 16-bit values (0 to {_LARGEST_16_BIT}), received a PIL image of mode "
            f"{image.mode!r} with values {low} to {high}."
        )


def _scale_16_bits(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion cuts off at 255 and turns all white."""
    values = np.asarray(image).astype(np.uint32)
    scaled = (values * 255 + _LARGEST_16_BIT // 2) // _LARGEST_16_BIT
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
