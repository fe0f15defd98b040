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
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image

from emoclf.config import MAX_PIXELS
from emoclf.images.conversion import convert_array, convert_to_rgb, count_frames, read_orientation
from emoclf.images.costs import estimate_bytes, explain_excess
from emoclf.images.files import (
    HEIC_REASON,
    UnreadableImageError,
    explain_unknown_content,
    find_format,
    read_image_bytes,
)
from emoclf.images.headers import JpegOutline, outline_jpeg
from emoclf.images.memory import (
    MAX_BYTES,
    quiet_pillow,
    sharing_memory,
    take_pixel_memory,
    warn_if_pillow_is_old,
)
from emoclf.untrusted import show_text

MAX_LOST_FRACTION: float = 0.05
"""Largest fraction of its rows that a truncated file may lack and still be used."""

_FIRST_TURNED = 5
"""EXIF orientations from 5 on swap height and width."""

_LARGE_BOX = b"\0\0\0\1"
_JPEG_SCALES = (1, 2, 4, 8)
_CUT_OFF = "The file is cut off. Download it again."
_KEEPING_FORMATS = frozenset({"WEBP", "AVIF"})
"""Their decoders keep what they need for the next frame until the file is closed."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A picture, upright and in colour, and what was done to it on the way.

    Attributes:
        pixels: uint8 RGB `(height, width, 3)`, 0 to 255.
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


class _Request(NamedTuple):
    """What messages call a picture, and the arguments of `decode_image`."""

    source: str
    min_size: tuple[int, int] | None
    max_pixels: int
    max_bytes: int


def load_image(
    source: bytes | str | Path | Image.Image | np.ndarray,
    *,
    min_size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """Return the pixels of a picture: `decode_image` without the report, with the same arguments.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255.

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
    limits = (min_size, max_pixels, max_bytes)
    with sharing_memory():
        if isinstance(source, np.ndarray):
            pixels, notes = convert_array(source)
            return DecodedImage(pixels, "array", pixels.shape[:2], notes=notes)
        if isinstance(source, Image.Image):
            return _decode_pil(source, _Request("PIL image", *limits))
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
            return _decode_bytes(data, _Request(f"{len(data)} bytes", *limits))
        if isinstance(source, (str, os.PathLike)):
            return _decode_bytes(read_image_bytes(source), _Request(os.fspath(source), *limits))
    raise TypeError(
        "source: expected a path, bytes, a PIL image or a NumPy array, received "
        f"{type(source).__name__}. A TensorFlow tensor becomes an array with `.numpy()`."
    )


def _decode_bytes(data: bytes, request: _Request) -> DecodedImage:
    """Decode bytes, repair them if they are only cut off, refuse them with a reason otherwise."""
    if not data:
        reason = "Received 0 bytes. Read the file again."
        raise UnreadableImageError(request.source, "empty", reason)
    format_name = find_format(data)
    if format_name is None:
        raise UnreadableImageError(request.source, *explain_unknown_content(data))
    with quiet_pillow():
        try:
            return _decode_known(data, format_name, request)
        except UnreadableImageError:
            raise
        except Exception as error:  # hostile bytes raise anything: every one becomes our refusal
            kind, reason = _explain_decoder_error(error, data, format_name)
            if kind != "truncated":
                raise UnreadableImageError(request.source, kind, reason) from error
        return _decode_truncated(data, format_name, request)


def _decode_known(data: bytes, format_name: str, request: _Request) -> DecodedImage:
    """Decode bytes of a known format; whatever Pillow raises is passed on."""
    outline = outline_jpeg(data) if format_name == "JPEG" else None
    if reason := explain_excess(data, format_name, outline):
        raise UnreadableImageError(request.source, "too_large", reason)
    with _open(data, format_name) as image:
        scale = _fit_into_memory(image, request, data=data, outline=outline)
        width, height = (-(-side // scale) for side in image.size)
        if outline is not None and (scale > 1 or request.min_size is not None):
            _draft(image, scale, request.min_size)
        image.load()
        notes = count_frames(image)
        if scale > 1:
            notes += (f"read at 1/{scale} of its size, which is very large",)
        image.load()  # to count a GIF's frames unloads it
        loaded = image.copy() if format_name in _KEEPING_FORMATS else image
    pixels, colour_notes = convert_to_rgb(loaded)
    size = (width, height) if _is_turned(loaded) else (height, width)
    return DecodedImage(pixels, format_name, size, notes=notes + colour_notes)


def _open(data: bytes, format_name: str) -> Image.Image:
    """Open a picture of a known format; an AVIF also where its brands say less, or too much."""
    try:
        return Image.open(io.BytesIO(data), formats=[format_name])
    except PIL.UnidentifiedImageError:
        if format_name != "AVIF" or data[:4] == _LARGE_BOX:
            raise
        size = min(int.from_bytes(data[:4]), len(data))
        brands = b"avif\0\0\0\0" + b"avif" * ((size - 16) // 4)
        told = data[:8] + brands + data[8 + len(brands) :]
        return Image.open(io.BytesIO(told), formats=[format_name])


def _fit_into_memory(
    image: Image.Image, request: _Request, *, data: bytes = b"", outline: JpegOutline | None = None
) -> int:
    """Take the memory for a picture that is opened and not loaded, or refuse it.

    Returns:
        The divisor of its size at which it fits: 1, or 2, 4 or 8 for a JPEG.
    """
    said = f"The picture has {image.height} x {image.width} pixels"
    if image.width * image.height > request.max_pixels:
        reason = f"{said}; the limit is {request.max_pixels:,}. Make it smaller."
        raise UnreadableImageError(request.source, "too_large", reason)
    for scale in (1,) if outline is None else _JPEG_SCALES:
        needed = estimate_bytes(image, data, scale=scale, outline=outline)
        if needed <= request.max_bytes:
            take_pixel_memory(needed)
            return scale
    raise UnreadableImageError(
        request.source,
        "too_large",
        f"{said} and takes {needed / 1e6:,.0f} MB to decode; the limit is "
        f"{request.max_bytes / 1e6:,.0f} MB. Make it smaller, or save it as a plain JPEG.",
    )


def _draft(image: Image.Image, scale: int, min_size: tuple[int, int] | None) -> None:
    """Let Pillow decode a JPEG at 1/`scale` of its size, or smaller still if that suffices."""
    height, width = image.height // scale, image.width // scale
    if min_size is not None:
        wanted = min_size[::-1] if _is_turned(image) else min_size
        height, width = min(height, wanted[0]), min(width, wanted[1])
    image.draft(None, (width, height))


def _is_turned(image: Image.Image) -> bool:
    return read_orientation(image)[0] >= _FIRST_TURNED


def _decode_truncated(data: bytes, format_name: str, request: _Request) -> DecodedImage:
    """Decode what is left of a truncated file if it lacks few enough rows."""
    from emoclf.images.repair import repair_truncated  # few photos need it

    reason = _CUT_OFF
    try:
        limits = {"max_pixels": request.max_pixels, "max_bytes": request.max_bytes}
        repair = repair_truncated(data, format_name, **limits)
        if repair is not None and repair[1] <= MAX_LOST_FRACTION:
            decoded = _decode_known(repair[0], format_name, request)
            note = f"truncated: {repair[1]:.1%} of the rows lost"
            return replace(decoded, repaired=True, notes=(*decoded.notes, note))
    except UnreadableImageError:
        raise
    except Exception as error:  # hostile bytes raise anything: every one becomes our refusal
        raise UnreadableImageError(request.source, "truncated", reason) from error
    if repair is not None:
        lost = f"{repair[1]:.0%} of its rows lack data"
        reason = f"The file is cut off and {lost}. Download it again."
    raise UnreadableImageError(request.source, "truncated", reason)


def _decode_pil(image: Image.Image, request: _Request) -> DecodedImage:
    """Convert a PIL image, which may be a file that is not decoded yet."""
    _fit_into_memory(image, request)
    with quiet_pillow():
        try:
            image.load()
            notes = count_frames(image)
            pixels, colour_notes = convert_to_rgb(image)
        except TypeError:
            raise
        except Exception as error:  # the file behind it raises anything, as above
            said = f"Pillow says: {show_text(error)}."
            raise UnreadableImageError(request.source, "damaged", said) from error
    return DecodedImage(pixels, "PIL", pixels.shape[:2], notes=notes + colour_notes)


def _explain_decoder_error(error: Exception, data: bytes, format_name: str) -> tuple[str, str]:
    """Turn what Pillow raised into a kind and a reason."""
    if isinstance(error, Image.DecompressionBombError):
        return "too_large", "The picture has more pixels than Pillow decodes. Make it smaller."
    if isinstance(error, MemoryError):
        return "too_large", "The picture does not fit into memory. Make it smaller first."
    if format_name == "AVIF" and "AVIF" not in Image.OPEN:
        return "unsupported_format", "This Pillow reads no AVIF. Install Pillow 13 or newer."
    if format_name == "AVIF" and b"hvcC" in data:  # it holds both, and HEIC comes first
        return "unsupported_format", HEIC_REASON
    if _is_cut_off(data, format_name) or "truncated" in str(error).lower():
        return "truncated", _CUT_OFF
    detail = str(error) if str(error) and not isinstance(error, PIL.UnidentifiedImageError) else ""
    said = f" (Pillow says: {show_text(detail)})" if detail else ""
    return "damaged", f"The {format_name} file is damaged or cut off{said}. Download it again."


def _is_cut_off(data: bytes, format_name: str) -> bool:
    """Tell whether the file's own length field announces more bytes than there are."""
    if format_name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return format_name == "BMP" and int.from_bytes(data[2:6], "little") > len(data)
