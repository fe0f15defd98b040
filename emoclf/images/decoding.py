"""One image: a path, bytes, a PIL image or an array becomes uint8 RGB `(height, width, 3)`.

This is the only decoder of the project, for training and for prediction alike, because decoders
disagree: about EXIF rotation, transparency, 16 bits, truncated files. What is done to a picture on
the way is written down in `DecodedImage.notes`; what cannot be read is refused with a reason.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from emoclf.config import MAX_PIXELS, ResizeMode
from emoclf.images.conversion import (
    convert_array,
    convert_to_rgb,
    count_frames,
    read_orientation,
)
from emoclf.images.costs import explain_excess
from emoclf.images.files import read_image_bytes
from emoclf.images.formats import (
    UnreadableImageError,
    explain_unknown_content,
    find_format,
)
from emoclf.images.jpeg import outline_jpeg
from emoclf.images.loading import FIRST_TURNED, Content, Wish, fit_into_memory, load_content
from emoclf.images.memory import MAX_BYTES, sharing_memory
from emoclf.images.pillow_warnings import quiet_pillow, warn_if_pillow_is_old
from emoclf.images.repair import repair_truncated
from emoclf.images.resizing import resize_image
from emoclf.untrusted import show_text

MAX_LOST_SHARE: float = 0.05
"""Largest share of its rows that a truncated file may lack and still be used."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A picture, upright and in colour, and what was done to it on the way.

    Attributes:
        pixels: uint8 array of shape (height, width, 3), values 0 to 255, channels red-green-blue.
        format: "JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"; "array" or "PIL" for those sources.
        size: `(height, width)` of the upright picture when it is decoded without `min_size`: that
            of the file, or a part of it if a JPEG would not fit into memory. `pixels` is smaller
            when a large JPEG was decoded at a reduced scale.
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
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """Return the pixels of a picture: `decode_image` without the report.

    Args:
        source: As for `decode_image`.
        min_size: As for `decode_image`.
        max_pixels: As for `decode_image`.
        max_bytes: As for `decode_image`.

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
    return decode_image(
        source, min_size=min_size, max_pixels=max_pixels, max_bytes=max_bytes
    ).pixels


def decode_image(
    source: bytes | str | Path | Image.Image | np.ndarray,
    *,
    min_size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> DecodedImage:
    """Decode a picture to upright uint8 RGB and report what was done.

    Files are judged by their content, never by their extension. EXIF rotation is applied,
    transparency composited on white, 16 bits scaled to 8, the first frame of an animation taken.
    A truncated JPEG or PNG is repaired when at most 5 % of its rows are lost (in a progressive
    JPEG a row is lost when it lacks any of its detail); other truncated files are refused.

    Memory is bounded before anything is decoded: a JPEG that would take more than `max_bytes` is
    decoded at 1/2, 1/4 or 1/8 of its size, any other picture is refused. Pictures that several
    threads decode at once wait for each other when they are large; see `sharing_memory`.

    Args:
        source: Path of a file; the bytes of a file; a PIL image; or an array: uint8 of shape
            (height, width, 3) RGB, (height, width, 4) RGBA, (height, width) or
            (height, width, 1) grey, or bool with True for white.
        min_size: `(height, width)` that suffices. Large JPEGs are then decoded faster at 1/2, 1/4
            or 1/8 of their size, never smaller than `min_size`. None decodes in full.
        max_pixels: Largest height times width that is decoded, checked before decoding.
        max_bytes: Most memory that decoding may take, the file and the result included. Arrays
            are not measured.

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
    wish = Wish(min_size, max_pixels, max_bytes)
    with sharing_memory():
        if isinstance(source, np.ndarray):
            pixels, notes = convert_array(source)
            return DecodedImage(pixels, "array", pixels.shape[:2], notes=notes)
        if isinstance(source, Image.Image):
            return _decode_pil(source, wish)
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
            return _decode_bytes(data, f"{len(data)} bytes", wish)
        if isinstance(source, (str, os.PathLike)):
            return _decode_bytes(read_image_bytes(source), os.fspath(source), wish)
    raise TypeError(
        "source: expected a path, bytes, a PIL image or a NumPy array, received "
        f"{type(source).__name__}. A TensorFlow tensor becomes an array with `.numpy()`."
    )


def _decode_bytes(data: bytes, source: str, wish: Wish) -> DecodedImage:
    """Decode bytes, repair them if they are only cut off, refuse them with a reason otherwise."""
    if not data:
        raise UnreadableImageError(source, "empty", "Received 0 bytes. Read the file again.")
    format_name = find_format(data)
    if format_name is None:
        raise UnreadableImageError(source, *explain_unknown_content(data))
    with quiet_pillow():
        try:
            return _decode_known(data, format_name, source, wish)
        except UnreadableImageError:
            raise
        except Exception as error:  # hostile bytes raise anything: every one becomes our refusal
            kind, reason = _explain_decoder_error(error, data, format_name)
            if kind != "truncated":
                raise UnreadableImageError(source, kind, reason) from error
        return _decode_truncated(data, format_name, source, wish)


def _decode_known(data: bytes, format_name: str, source: str, wish: Wish) -> DecodedImage:
    """Decode bytes of a known format; whatever Pillow raises is passed on."""
    outline = outline_jpeg(data) if format_name == "JPEG" else None
    if reason := explain_excess(data, format_name, outline):
        raise UnreadableImageError(source, "too_large", reason)
    image, (width, height), notes = load_content(Content(data, format_name, source, outline), wish)
    pixels, colour_notes = convert_to_rgb(image)
    is_turned = read_orientation(image)[0] >= FIRST_TURNED
    size = (width, height) if is_turned else (height, width)
    return DecodedImage(pixels, format_name, size, notes=notes + colour_notes)


def _decode_truncated(data: bytes, format_name: str, source: str, wish: Wish) -> DecodedImage:
    """Decode what is left of a truncated file if it lacks few enough rows."""
    reason = "The file is cut off. Download it again."
    try:
        repair = repair_truncated(
            data, format_name, max_pixels=wish.max_pixels, max_bytes=wish.max_bytes
        )
        if repair is not None and repair.lost_share <= MAX_LOST_SHARE:
            decoded = _decode_known(repair.data, format_name, source, wish)
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


def _decode_pil(image: Image.Image, wish: Wish) -> DecodedImage:
    """Convert a PIL image, which may be a file that is not decoded yet."""
    source = "PIL image"
    fit_into_memory(image, Content(b"", str(image.format), source), wish)
    with quiet_pillow():
        try:
            image.load()
            notes = count_frames(image)
            pixels, colour_notes = convert_to_rgb(image)
        except TypeError:
            raise
        except Exception as error:  # the file behind it raises anything, as above
            raise UnreadableImageError(
                source, "damaged", f"Pillow says: {show_text(error)}."
            ) from error
    return DecodedImage(pixels, "PIL", pixels.shape[:2], notes=notes + colour_notes)


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


def load_resized(
    source: bytes | str | Path | Image.Image | np.ndarray,
    size: tuple[int, int],
    *,
    mode: ResizeMode = "pad",
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """Decode a picture and bring it to one size: the whole way from a photo to a network.

    Training and prediction both come through here. A large JPEG is decoded at a reduced scale
    that is still at least twice `size`, so that the final shrinking averages over real pixels.

    Args:
        source: As for `decode_image`.
        size: `(height, width)` of the result in pixels.
        mode: As for `resize_image`.
        max_pixels: As for `decode_image`.
        max_bytes: As for `decode_image`.

    Returns:
        uint8 array of shape (height, width, 3) in `size`, values 0 to 255, channels red-green-blue.

    Raises:
        UnreadableImageError: If a file or bytes cannot become a picture.
        TypeError: If the source is of another type, or an array of another dtype.
        ValueError: If an array has another shape, or `size` or `mode` is out of range.
    """
    min_size = (2 * size[0], 2 * size[1])
    with sharing_memory():
        photo = load_image(source, min_size=min_size, max_pixels=max_pixels, max_bytes=max_bytes)
        return resize_image(photo, size, mode=mode)
