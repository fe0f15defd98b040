"""From what Pillow or NumPy holds to upright uint8 RGB, with a note of every step taken."""

from __future__ import annotations

import struct

import numpy as np
from PIL import ExifTags, Image

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

_LARGEST_16_BIT = 65535


def convert_to_rgb(image: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode a PIL image's current frame into an upright picture.

    Args:
        image: A PIL image of any mode but floating point; it is loaded, else left unchanged.

    Returns:
        uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue; and
        what was done, for example `("EXIF rotation applied",)`.

    Raises:
        TypeError: If the image holds floating-point values or integers beyond 16 bits.
    """
    image.load()
    frame_notes = _count_frames(image)
    orientation, exif_notes = read_orientation(image)
    rgb, colour_notes = _convert_colours(image)
    if orientation in _TRANSPOSITIONS:
        rgb = rgb.transpose(_TRANSPOSITIONS[orientation])
        exif_notes = ("EXIF rotation applied",)
    return np.array(rgb), frame_notes + exif_notes + colour_notes


def read_orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """Read how the camera was held.

    Args:
        image: A PIL image, opened or loaded.

    Returns:
        The EXIF orientation, 1 (upright) to 8; 1 when there is none or it is none of these. And
        a note if the EXIF block is damaged.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _METADATA_ERRORS:
        return 1, ("EXIF block unreadable, taken as upright",)
    return (orientation if orientation in _TRANSPOSITIONS else 1), ()


def convert_array(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Check an array and bring it to RGB.

    Args:
        array: uint8 of shape (height, width, 3) RGB, (height, width, 4) RGBA, (height, width) or
            (height, width, 1) grey; or bool of one of these shapes, True is 255.

    Returns:
        A new uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue;
        and what was done.

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
    values = array.astype(np.uint8) * np.uint8(255) if array.dtype == np.bool_ else array
    if values.shape[2:] == (1,):
        values = values[:, :, 0]
    rgb, notes = _convert_colours(Image.fromarray(np.ascontiguousarray(values)))
    return np.array(rgb), notes


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


def _scale_16_bits(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion cuts off at 255 and turns all white."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _LARGEST_16_BIT:
        raise TypeError(
            f"image: expected 16-bit values (0 to {_LARGEST_16_BIT}), received a PIL image of mode "
            f"{image.mode!r} with values {values.min()} to {values.max()}."
        )
    scaled = (values * 255 + _LARGEST_16_BIT // 2) // _LARGEST_16_BIT
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def _count_frames(image: Image.Image) -> tuple[str, ...]:
    """Note that only the current frame of several is used."""
    try:
        frames = getattr(image, "n_frames", 1)
    except _METADATA_ERRORS:
        return ("first frame, the others are damaged",)
    return (f"first frame of {frames}",) if frames > 1 else ()
