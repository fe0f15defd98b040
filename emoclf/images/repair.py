"""Cut-off downloads: how much of the picture is missing, and bytes that decode without an error.

A download that stopped early leaves a JPEG or PNG whose first rows are good. The questions are
which rows are, and whether enough of them. The two formats answer differently:

- **PNG** stores compressed rows one after the other, so unpacking what is there counts the whole
  rows exactly. The interlaced kind stores the picture in seven passes: a cut blurs all of it.
- **JPEG** stores Huffman codes that only the decoder can follow. The file is decoded ended
  properly and again continued with noise. Rows that come out equal were decided by the bytes
  that are there; the first row that differs is the first one that lacks data.
- A **progressive JPEG** stores the picture several times over, coarse to fine, so a cut loses
  detail and not rows. A row counts as whole only when all of its detail arrived: the cut must lie
  in the last of the scans, and the rows are counted as above. A file that lacks a whole scan
  looks sharp enough at a glance and is not: it counts as lost entirely.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from emoclf.config import MAX_PIXELS
from emoclf.images.costs import estimate_bytes
from emoclf.images.headers import (
    FRAME_MARKERS,
    START_OF_SCAN,
    JpegOutline,
    iterate_segments,
    outline_jpeg,
)
from emoclf.images.memory import MAX_BYTES

_END_OF_IMAGE = b"\xff\xd9"
_NOISE = np.random.default_rng(0).integers(1, 255, (16, 512), dtype=np.uint8)
"""Bytes 1 to 254: free of 0xFF, so that none reads as a marker, even when all bits are flipped."""

_MAX_SCANNED_PIXELS = 600_000_000
"""A JPEG is decoded four times to be repaired."""
_JPEG_COPIES = 3
_STRIP_ROWS = 64

_MAX_PNG_BYTES = 160_000_000
_PNG_COPIES = 4
_PIECE_BYTES = 1 << 14
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"gAMA", b"sRGB"})
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def repair_truncated(
    data: bytes, format_name: str, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> tuple[bytes, float] | None:
    """Close a truncated JPEG or PNG and measure how many rows it lacks.

    Returns bytes that decode, and the fraction of the rows that lack data, 0.0 (only the end mark
    was missing) to 1.0; None for another format, when nothing useful is left, or when to find out
    would take too much memory or time. Raises whatever Pillow or zlib raise when even the closed
    bytes cannot be decoded, or the picture has too many pixels.
    """
    if format_name == "JPEG":
        return _repair_jpeg(data, max_pixels, max_bytes)
    if format_name == "PNG":
        return _repair_png(data, max_pixels, max_bytes)
    return None


def _repair_jpeg(data: bytes, max_pixels: int, max_bytes: int) -> tuple[bytes, float] | None:
    """Close a JPEG and compare two endings to find the first row that lacks data."""
    kept = _cut_to_complete_scans(data)
    if kept is None:
        return None
    outline = outline_jpeg(kept)
    if outline.scans * outline.pixels > _MAX_SCANNED_PIXELS:
        return None
    limits = (max_pixels, max_bytes - _JPEG_COPIES * len(data), outline)
    closed = _digest_rows(kept + _END_OF_IMAGE, *limits)
    if closed is None:
        return None
    whole_rows = len(closed)
    for noise, restart in ((_NOISE, 0), (~_NOISE, 4)):  # one of them may hit the missing bits
        continued = _digest_rows(kept + _end_with_noise(noise, restart), *limits)
        pairs = enumerate(zip(closed, continued or (), strict=True))
        first = next((row for row, (one, other) in pairs if one != other), len(closed))
        whole_rows = min(whole_rows, first)
    return kept + _END_OF_IMAGE, 1 - whole_rows / len(closed)


def _end_with_noise(noise: np.ndarray, first_restart: int) -> bytes:
    """Return noise for wherever the decoder stands: in a row of codes or at a restart marker.

    A decoder that waits for restart marker k ignores k + 1 and k + 2, hence the two beginnings.
    """
    restarts = [bytes([0xFF, 0xD0 + (first_restart + row) % 8]) for row in range(len(noise))]
    rows = [row.tobytes() + mark for row, mark in zip(noise, restarts, strict=True)]
    return b"".join(rows) + _END_OF_IMAGE


def _digest_rows(
    data: bytes, max_pixels: int, max_bytes: int, outline: JpegOutline
) -> list[bytes] | None:
    """Return a digest of every row in the file's own colour mode, or None for want of memory."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        _check_pixels(image.width, image.height, max_pixels)
        if estimate_bytes(image, data, outline=outline) > max_bytes:
            return None
        image.load()
        strips = (
            np.asarray(image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height))))
            for top in range(0, image.height, _STRIP_ROWS)
        )
        return [hashlib.blake2b(row, digest_size=16).digest() for strip in strips for row in strip]


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture whose header announces too many pixels."""
    if width * height > max_pixels:
        raise Image.DecompressionBombError(f"{height} x {width} pixels")


def _cut_to_complete_scans(data: bytes) -> bytes | None:
    """Return the JPEG up to its cut if every scan has at least begun, else None.

    A scan brings some coefficients (0 to 63) of some colour components down to a bit position.
    All have begun once every coefficient of every component has reached bit 0.
    """
    lowest_bit: dict[int, list[int]] = {}
    for marker, start, segment in iterate_segments(data):
        if len(segment) < 2 or len(segment) < int.from_bytes(segment[:2]):
            data = data[:start]
            break
        if marker in FRAME_MARKERS:
            lowest_bit = {component: [99] * 64 for component in segment[8 : 8 + 3 * segment[7] : 3]}
        elif marker == START_OF_SCAN:
            _note_scan(segment, lowest_bit)
    begun = bool(lowest_bit) and not any(any(bits) for bits in lowest_bit.values())
    return data.rstrip(b"\xff") if begun else None


def _note_scan(segment: bytes, lowest_bit: dict[int, list[int]]) -> None:
    """Record which coefficients of which components a scan header announces."""
    count = segment[2]
    first, last, bits = segment[3 + 2 * count : 6 + 2 * count]
    for component in segment[3 : 3 + 2 * count : 2]:
        if component in lowest_bit:
            for coefficient in range(first, min(last, 63) + 1):
                lowest_bit[component][coefficient] = bits & 0x0F


def _repair_png(data: bytes, max_pixels: int, max_bytes: int) -> tuple[bytes, float] | None:
    """Unpack the rows that are there, fill up with zeros and pack them again."""
    chunks = list(_iterate_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        return None
    width, height = struct.unpack(">II", chunks[0][1][:8])
    _check_pixels(width, height, max_pixels)
    row_lengths, interlaced = _png_row_lengths(chunks[0][1])
    expected = sum(row_lengths)
    if expected > _MAX_PNG_BYTES or _PNG_COPIES * len(data) + expected > max_bytes:
        return None
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    packed, count = _pack_again(packed, expected, 1 if interlaced else row_lengths[0])
    if not count or (interlaced and count < expected):
        return None
    whole_rows = len(row_lengths) if interlaced else count // row_lengths[0]
    kept = [(name, body) for name, body in chunks if name in _PNG_KEPT_CHUNKS]
    closed = [*kept, (b"IDAT", packed), (b"IEND", b"")]
    content = b"".join(_pack_chunk(name, body) for name, body in closed)
    return _PNG_SIGNATURE + content, 1 - whole_rows / len(row_lengths)


def _pack_again(packed: bytes, expected: int, row_length: int) -> tuple[bytes, int]:
    """Unpack up to `expected` bytes, fill whole rows up with zeros and pack them, bit by bit.

    Returns:
        The packed bytes, and how many unpacked ones there were.
    """
    unpacker, packer = zlib.decompressobj(), zlib.compressobj(1)
    parts, rest, count = [], b"", 0
    for start in range(0, len(packed), _PIECE_BYTES):
        if count == expected:
            break
        piece = unpacker.decompress(packed[start : start + _PIECE_BYTES], expected - count)
        count += len(piece)
        rest += piece
        whole = len(rest) // row_length * row_length
        parts.append(packer.compress(rest[:whole]))
        rest = rest[whole:]
    missing = expected - (count - len(rest))
    zeros = bytes(min(missing, 1 << 20))
    while missing > 0:
        parts.append(packer.compress(zeros[:missing]))
        missing -= len(zeros)
    return b"".join([*parts, packer.flush()]), count


def _iterate_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of a PNG's chunks; the last one may be cut off."""
    position = len(_PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if len(body) == length or name == b"IDAT":
            yield name, body
        position += 12 + length


def _png_row_lengths(header: bytes) -> tuple[list[int], bool]:
    """Return the bytes of every stored row, filter byte included, and whether it is interlaced."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    bits = depth * _PNG_CHANNELS.get(colour, 4)
    if not interlace:
        return [1 + (width * bits + 7) // 8] * height, False
    rows: list[int] = []
    for left, top, step_x, step_y in _ADAM7:
        columns = -(-(width - left) // step_x)
        if columns > 0:
            rows += [1 + (columns * bits + 7) // 8] * max(-(-(height - top) // step_y), 0)
    return rows, True


def _pack_chunk(name: bytes, body: bytes) -> bytes:
    """Return a PNG chunk: length, name, content, checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
