"""One image: a path, bytes, a PIL image or an array becomes uint8 RGB `(height, width, 3)`.

This is the only decoder of the project, for training and for prediction alike, because decoders
disagree: about EXIF rotation, transparency, 16 bits, truncated files. What is done to a picture on
the way is written down in `DecodedImage.notes`; what cannot be read is refused with a reason.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from emoclf.config import MAX_PIXELS, ResizeMode
from emoclf.images.conversion import convert_array, convert_to_rgb, read_orientation
from emoclf.images.files import read_image_bytes
from emoclf.images.formats import (
    UnreadableImageError,
    explain_unknown_content,
    find_format,
)
from emoclf.images.pillow_warnings import quiet_pillow, warn_if_pillow_is_old
from emoclf.images.repair import repair_truncated
from emoclf.images.resizing import resize_image
from emoclf.untrusted import show_text

MAX_LOST_SHARE: float = 0.05
"""Largest share of its rows that a truncated file may lack and still be used."""

_FIRST_TURNED: int = 5
"""EXIF orientations from 5 on swap height and width."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A picture, upright and in colour, and what was done to it on the way.

    Attributes:
        pixels: uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue.
        format: "JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"; "array" or "PIL" for those sources.
        size: `(height, width)` of the upright picture in the file. `pixels` is smaller when a
            large JPEG was decoded at a reduced scale.
        repaired: Whether the file was truncated and the missing rows were filled up.
        notes: What was done, for example "EXIF rotation applied".
    """

    pixels: np.ndarray
    format: str
    size: tuple[int, int]
    repaired: bool = False
    notes: tuple[str, ...] = ()


def load_image(
    source: bytes | str | Path | Image.Image | np.ndarray,
    *,
    min_size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Return the pixels of a picture: `decode_image` without the report.

    Args:
        source: As for `decode_image`.
        min_size: As for `decode_image`.
        max_pixels: As for `decode_image`.

    Returns:
        uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue.

    Raises:
        UnreadableImageError: If a file or bytes cannot become a picture.
        TypeError: If the source is of another type, or an array of another dtype.
        ValueError: If an array has another shape.

    Example:
        >>> load_image(np.zeros((40, 30), dtype=np.uint8)).shape
        (40, 30, 3)
    """
    return decode_image(source, min_size=min_size, max_pixels=max_pixels).pixels


def decode_image(
    source: bytes | str | Path | Image.Image | np.ndarray,
    *,
    min_size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> DecodedImage:
    """Decode a picture to upright uint8 RGB and report what was done.

    Files are judged by their content, never by their extension. EXIF rotation is applied,
    transparency composited on white, 16 bits scaled to 8, the first frame of an animation taken.
    A truncated JPEG or PNG is repaired when at most 5 % of its rows are lost (in a progressive
    JPEG a row is lost when it lacks any of its detail); other truncated files are refused.

    Args:
        source: Path of a file; the bytes of a file; a PIL image; or an array: uint8 of shape
            (height, width, 3) RGB, (height, width, 4) RGBA, (height, width) or
            (height, width, 1) grey, or bool with True for white.
        min_size: `(height, width)` that suffices. Large JPEGs are then decoded faster at 1/2, 1/4
            or 1/8 of their size, never smaller than `min_size`. None decodes in full.
        max_pixels: Largest height times width that is decoded, checked before decoding.

    Returns:
        The pixels, the format, the full size and the notes.

    Raises:
        UnreadableImageError: If a file or bytes cannot become a picture. Its `kind` and `reason`
            say why.
        TypeError: If the source is of another type, or an array of another dtype.
        ValueError: If an array has another shape.

    Example:
        >>> decode_image(np.zeros((40, 30, 3), dtype=np.uint8)).size
        (40, 30)
    """
    warn_if_pillow_is_old()
    if isinstance(source, np.ndarray):
        pixels, notes = convert_array(source)
        return DecodedImage(pixels, "array", pixels.shape[:2], notes=notes)
    if isinstance(source, Image.Image):
        return _decode_pil(source, max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return _decode_bytes(data, f"{len(data)} bytes", min_size, max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _decode_bytes(read_image_bytes(source), os.fspath(source), min_size, max_pixels)
    raise TypeError(
        "source: expected a path, bytes, a PIL image or a NumPy array, received "
        f"{type(source).__name__}. A TensorFlow tensor becomes an array with `.numpy()`."
    )


def _decode_bytes(
    data: bytes, source: str, min_size: tuple[int, int] | None, max_pixels: int
) -> DecodedImage:
    """Decode bytes, repair them if they are only cut off, refuse them with a reason otherwise."""
    if not data:
        raise UnreadableImageError(source, "empty", "Received 0 bytes. Read the file again.")
    format_name = find_format(data)
    if format_name is None:
        raise UnreadableImageError(source, *explain_unknown_content(data))
    with quiet_pillow():
        try:
            return _decode_known(data, format_name, source, min_size, max_pixels)
        except UnreadableImageError:
            raise
        except Exception as error:  # hostile bytes raise anything: every one becomes our refusal
            kind, reason = _explain_decoder_error(error, data, format_name)
            if kind != "truncated":
                raise UnreadableImageError(source, kind, reason) from error
        return _decode_truncated(data, format_name, source, min_size, max_pixels)


def _decode_known(
    data: bytes,
    format_name: str,
    source: str,
    min_size: tuple[int, int] | None,
    max_pixels: int,
) -> DecodedImage:
    """Decode bytes of a known format; whatever Pillow raises is passed on."""
    with Image.open(io.BytesIO(data), formats=[format_name]) as image:
        width, height = image.size
        if width * height > max_pixels:
            reason = _explain_pixels(height, width, max_pixels)
            raise UnreadableImageError(source, "too_large", reason)
        if min_size is not None and format_name == "JPEG":
            turned = read_orientation(image)[0] >= _FIRST_TURNED
            image.draft(None, min_size if turned else min_size[::-1])
        pixels, notes = convert_to_rgb(image)
        turned = read_orientation(image)[0] >= _FIRST_TURNED
    return DecodedImage(
        pixels, format_name, (width, height) if turned else (height, width), notes=notes
    )


def _decode_truncated(
    data: bytes,
    format_name: str,
    source: str,
    min_size: tuple[int, int] | None,
    max_pixels: int,
) -> DecodedImage:
    """Decode what is left of a truncated file if it lacks few enough rows."""
    reason = "The file is cut off. Download it again."
    try:
        repair = repair_truncated(data, format_name, max_pixels=max_pixels)
        if repair is not None and repair.lost_share <= MAX_LOST_SHARE:
            decoded = _decode_known(repair.data, format_name, source, min_size, max_pixels)
            note = f"truncated: {repair.lost_share:.1%} of the rows lost"
            return replace(decoded, repaired=True, notes=(*decoded.notes, note))
    except UnreadableImageError:
        raise
    except Exception as error:  # hostile bytes raise anything: every one becomes our refusal
        raise UnreadableImageError(source, "truncated", reason) from error
    if repair is not None:
        lost = f"{repair.lost_share:.0%} of its rows lack data"
        reason = f"The file is cut off and {lost}. Download it again."
    raise UnreadableImageError(source, "truncated", reason)


def _decode_pil(image: Image.Image, max_pixels: int) -> DecodedImage:
    """Convert a PIL image, which may be a file that is not decoded yet."""
    source = "PIL image"
    if image.width * image.height > max_pixels:
        reason = _explain_pixels(image.height, image.width, max_pixels)
        raise UnreadableImageError(source, "too_large", reason)
    with quiet_pillow():
        try:
            pixels, notes = convert_to_rgb(image)
        except TypeError:
            raise
        except Exception as error:  # the file behind it raises anything, as above
            raise UnreadableImageError(
                source, "damaged", f"Pillow says: {show_text(error)}."
            ) from error
    return DecodedImage(pixels, "PIL", pixels.shape[:2], notes=notes)


def _explain_decoder_error(error: Exception, data: bytes, format_name: str) -> tuple[str, str]:
    """Turn what Pillow raised into a kind and a reason."""
    if isinstance(error, Image.DecompressionBombError):
        return (
            "too_large",
            "The picture has more pixels than Pillow decodes. Make it smaller first.",
        )
    if isinstance(error, MemoryError):
        return "too_large", "The picture does not fit into memory. Make it smaller first."
    if format_name == "AVIF" and "AVIF" not in Image.OPEN:
        return "unsupported_format", "This Pillow reads no AVIF. Install Pillow 13 or newer."
    if _is_cut_off(data, format_name) or "truncated" in str(error).lower():
        return "truncated", "The file is cut off. Download it again."
    detail = str(error) if str(error) and not isinstance(error, PIL.UnidentifiedImageError) else ""
    said = f" (Pillow says: {show_text(detail)})" if detail else ""
    return "damaged", f"The {format_name} file is damaged or cut off{said}. Download it again."


def _is_cut_off(data: bytes, format_name: str) -> bool:
    """Tell whether the file's own length field announces more bytes than there are."""
    if format_name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if format_name == "BMP":
        return int.from_bytes(data[2:6], "little") > len(data)
    return False


def _explain_pixels(height: int, width: int, max_pixels: int) -> str:
    """Say that a picture is over the pixel limit."""
    return (
        f"The picture has {height} x {width} pixels; the limit is {max_pixels:,}. Make it smaller."
    )


def load_resized(
    source: bytes | str | Path | Image.Image | np.ndarray,
    size: tuple[int, int],
    *,
    mode: ResizeMode = "pad",
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Decode a picture and bring it to one size: the whole way from a photo to a network.

    Training and prediction both come through here. A large JPEG is decoded at a reduced scale
    that is still at least twice `size`, so that the final shrinking averages over real pixels.

    Args:
        source: As for `decode_image`.
        size: `(height, width)` of the result in pixels.
        mode: As for `resize_image`.
        max_pixels: As for `decode_image`.

    Returns:
        uint8 array of shape (height, width, 3) in `size`, values 0 to 255, channels red-green-blue.

    Raises:
        UnreadableImageError: If a file or bytes cannot become a picture.
        TypeError: If the source is of another type, or an array of another dtype.
        ValueError: If an array has another shape, or `size` or `mode` is out of range.
    """
    photo = load_image(source, min_size=(2 * size[0], 2 * size[1]), max_pixels=max_pixels)
    return resize_image(photo, size, mode=mode)
