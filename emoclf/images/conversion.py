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
_SCALES = ((0, 1), (-1, 1), (0, 255), (-128, 127))
"""What stands for black and for white in arrays; the first that the values fit into is meant."""

_OVERSHOOT = 0.25
"""By what fraction of their scale values may lie outside, as resizing leaves them."""

_FEWEST_STEPS = 16
"""A picture of 0 to 255 uses more of them, or it is one of another scale."""

_DEPTHS = (10, 12, 14, 16)
"""How many bits cameras and scanners have."""

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
    if image.mode in ("I", "F"):
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
    return (
        f"array: expected dtype uint8 (0 to 255) or bool, received {array.dtype}, "
        f"shape {array.shape}{_explain_values(array)}"
    )


def _explain_values(array: np.ndarray, name: str = "array") -> str:
    """Say from where to where the values go, and give the line that turns them into uint8."""
    if array.dtype.kind not in "iuf":
        return f". Give numbers: `{name}.astype(float)`, if that is what it holds."
    is_number = np.isfinite(array)
    if not is_number.any():
        return ", without any number. Make it again."
    low, high = (float(f"{bound(array[is_number]):g}") for bound in (np.min, np.max))
    said = f", values {low:g} to {high:g}"
    lost = array.size - int(is_number.sum())
    scale = _find_scale(low, high)
    first, last = scale or ((low, high) if low < high else (min(low, 0), max(high, 0)))
    values = f"np.nan_to_num({name}, nan={first:g})" if lost else name
    line = f"`(np.interp({values}, ({first:g}, {last:g}), (0, 1)) * 255).round().astype('uint8')`"
    if lost:
        place = np.argwhere(~is_number)[0].tolist()
        said += f", {lost:,} of {array.size:,} no numbers (NaN, infinite), the first at {place}"
        line += "; NaN becomes black"
    if scale is None:
        return (
            f"{said}. No usual scale: undo what was done to the values (as subtracting a mean), or "
            f"stretch them, the smallest to black, the largest to white, with {line}."
        )
    if low < first or high > last:
        line += "; what lies outside is clipped"
    return f"{said}. Values from {first:g} to {last:g} become uint8 with {line}."


def _find_scale(low: float, high: float) -> tuple[float, float] | None:
    """Return what stands for black and for white where all lie from `low` to `high`, if known."""
    widest = max(-low, high)
    for first, last in _SCALES:
        room = _OVERSHOOT * (last if first else min(last, high))
        fits = first - room <= low and high <= last * (1 + _OVERSHOOT)
        if fits and (last == 1 or widest > _FEWEST_STEPS):
            return first, last
    if low >= -_OVERSHOOT * high and 255 < high <= _LARGEST_16_BIT * (1 + _OVERSHOOT):
        ends = (2**depth - 1 for depth in _DEPTHS)
        return 0, next((end for end in ends if high <= end), _LARGEST_16_BIT)
    return None


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
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB"), ()
        white = Image.new("RGBA", rgba.size, "white")
        composite = Image.alpha_composite(white, rgba).convert("RGB")
        return composite, ("transparency composited on white",)
    return image.convert("RGB"), (f"mode {image.mode} converted to RGB",)


def _check_16_bits(image: Image.Image) -> None:
    """Refuse floating-point values, and integers that are no 16-bit values."""
    low, high = np.ravel(image.getextrema()).tolist()
    if image.mode == "F" or low < 0 or high > _LARGEST_16_BIT:
        kind = " (floating point)" if image.mode == "F" else ""
        raise TypeError(
            f"image: expected 8-bit or 16-bit values (0 to {_LARGEST_16_BIT}), received a PIL "
            f"image of mode {image.mode!r}{kind}"
            f"{_explain_values(np.asarray(image), 'np.asarray(image)')}"
        )


def _scale_16_bits(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion cuts off at 255 and turns all white."""
    values = np.asarray(image).astype(np.uint32)
    scaled = (values * 255 + _LARGEST_16_BIT // 2) // _LARGEST_16_BIT
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
