"""What a file would cost to decode, from its headers alone: bytes, and what takes time.

The bytes per pixel were measured with Pillow 13 on pictures of 36 megapixels.
"""

from __future__ import annotations

import re
import struct

from PIL import Image

from emoclf.images.headers import MAX_SEGMENTS, JpegOutline, find_coded_pixels, has_deep_colours

PIXEL_BYTES = 7
"""Once decoded, 4 bytes of a pixel are Pillow's and 3 are ours; resizing needs as many."""

_WIDE_BYTES = 4
_NARROW_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes per pixel in Pillow's modes; all others have 4."""
_WEBP_BYTES = 16
_RLE_BYTES = 3
_AVIF_BYTES = 10
_CODED_AVIF_BYTES, _DEEP_AVIF_BYTES = 3, 6
_FILE_COPIES = {"WEBP": 3, "AVIF": 2}
"""How often these decoders keep the file."""

_EXIF_BYTES = 2 * 2**20
"""Entries of an EXIF block may all point to the same bytes; Pillow copies them for each."""
_EXIF_VALUE_BYTES = 8
_EXIF_ENTRY_BYTES = 12

_SCANNED_PIXELS = 2_500_000_000
_HEADER_BYTES = 32 * 2**20
_JUNK_BYTES = 2**20
_PARTS = 500_000
_BYTES_WITHOUT_MANY_PARTS = 4 * 2**20
"""No file of this size has so many parts that going through them takes long."""
_RLE_PIXELS = 16_000_000
_RLE_FILE_BYTES = 8 * 2**20


def explain_excess(data: bytes, format_name: str, outline: JpegOutline | None = None) -> str | None:
    """Say what makes a file take too long, or too much before its size is known; else None.

    `outline` is what `outline_jpeg` says of a JPEG.
    """
    if outline is not None:
        return _explain_jpeg(outline)
    if format_name == "BMP":
        return _explain_bmp(data)
    count = {"PNG": _count_png_parts, "GIF": _count_gif_parts}.get(format_name)
    if count and len(data) > _BYTES_WITHOUT_MANY_PARTS and count(data) > _PARTS:
        return f"The file consists of more than {_PARTS:,} pieces. Save the picture again as JPEG."
    return None


def estimate_bytes(
    image: Image.Image, data: bytes = b"", *, scale: int = 1, outline: JpegOutline | None = None
) -> int:
    """Estimate the most memory that decoding takes: file, Pillow's picture, decoder, result.

    The picture is opened and not loaded; `data` is its file's content, in memory too; `scale`
    divides the size that a JPEG is decoded at, of which `outline_jpeg` gives the `outline`.
    """
    pixels = -(-image.width // scale) * -(-image.height // scale)
    loading = pixels * _NARROW_BYTES.get(image.mode, _WIDE_BYTES)
    kept = len(data) * _FILE_COPIES.get(str(image.format), 1)
    if outline is not None:
        loading += outline.coefficient_bytes
        kept += 2 * outline.header_bytes
    elif image.format == "WEBP":
        loading = pixels * _WEBP_BYTES
    elif image.format == "AVIF":
        coded = _DEEP_AVIF_BYTES if has_deep_colours(data) else _CODED_AVIF_BYTES
        loading = pixels * _AVIF_BYTES + max(find_coded_pixels(data), pixels) * coded
    elif image.format == "BMP":
        loading = pixels * _RLE_BYTES
    return kept + max(loading, pixels * PIXEL_BYTES)


def has_excessive_exif(block: bytes) -> bool:
    """Tell whether reading an EXIF block's main directory would copy far more than it holds.

    The block may begin with `Exif`; damaged ones are Pillow's to refuse.
    """
    if not block:
        return False
    block = re.sub(rb"^(Exif\x00\x00){1,2}", b"", block)
    order = "<" if block.startswith(b"II") else ">"
    try:
        (offset,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, offset)
    except struct.error:
        return False
    entries = block[offset + 2 : offset + 2 + _EXIF_ENTRY_BYTES * count]
    whole = entries[: len(entries) // _EXIF_ENTRY_BYTES * _EXIF_ENTRY_BYTES]
    lengths = (length for _, _, length, _ in struct.iter_unpack(f"{order}HHII", whole))
    copied = sum(min(length * _EXIF_VALUE_BYTES, len(block)) for length in lengths)
    return copied > _EXIF_BYTES


def _explain_jpeg(outline: JpegOutline) -> str | None:
    """Say what makes a JPEG take too long."""
    if outline.scans * outline.pixels > _SCANNED_PIXELS:
        stored = f"{outline.pixels:,} pixels in {outline.scans:,} scans"
        return f"The picture stores its {stored}. Save it again as a plain JPEG."
    if has_excessive_exif(outline.exif):
        return "Its EXIF block would fill the memory. Save the picture without its metadata."
    if outline.header_bytes > _HEADER_BYTES or outline.junk_bytes > _JUNK_BYTES:
        size = f"{outline.header_bytes:,} bytes"
        return f"Before the picture come {size}. Save it without its metadata."
    if outline.segments >= MAX_SEGMENTS:
        return f"The file consists of {MAX_SEGMENTS:,} pieces and more. Save the picture again."
    return None


def _explain_bmp(data: bytes) -> str | None:
    """Say what makes a compressed BMP take too long: Pillow undoes it pixel by pixel."""
    if len(data) < 34 or data[14] == 12 or data[30:34] not in (b"\1\0\0\0", b"\2\0\0\0"):
        return None
    width, height = struct.unpack_from("<Ii", data, 18)
    if width * abs(height) <= _RLE_PIXELS and len(data) <= _RLE_FILE_BYTES:
        return None
    return (
        f"A compressed BMP of {abs(height)} x {width} pixels and {len(data):,} bytes is slow to "
        "undo. Save it as PNG."
    )


def _count_png_parts(data: bytes) -> int:
    """Count the chunks of a PNG, one more than `_PARTS` at most."""
    position, count = 8, 0
    while position + 8 <= len(data) and count <= _PARTS:
        position += 12 + int.from_bytes(data[position : position + 4])
        count += 1
    return count


def _count_gif_parts(data: bytes) -> int:
    """Count the blocks of a GIF, one more than `_PARTS` at most, as Pillow goes through them."""
    position = 13 + _find_table_bytes(data[10])
    count, is_first, in_blocks = 0, True, False
    while position < len(data) - 10 and count <= _PARTS:
        count, kind = count + 1, data[position]
        if in_blocks:
            in_blocks = kind != 0
            position += 1 + kind
        elif kind == 0x21:
            in_blocks, label = True, data[position + 1]
            position += 2
            if label != 0xFE:  # the first block of the others may be empty
                is_loop = is_first and data[position + 1 : position + 12] == b"NETSCAPE2.0"
                position += 1 + data[position]
                position += 1 + data[position] if is_loop and position < len(data) else 0
        elif kind == 0x2C:
            in_blocks, is_first = True, False
            position += 11 + _find_table_bytes(data[position + 9])
        elif kind == 0x3B:
            break
        else:
            position += 1
    return count


def _find_table_bytes(flags: int) -> int:
    """Return the length of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
