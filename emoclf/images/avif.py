"""How large the coded pictures in an AVIF file are, whatever size its container announces.

The decoder unfolds a picture in its coded size and scales it to the announced one afterwards. A
coded picture begins with a sequence header (AV1 specification, 5.5), which tells the largest size
of its frames; where one begins is written in the boxes `iloc` and `stco` (ISO/IEC 14496-12).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator

_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"meta"}
_DEPTH = 8
_HEAD_BYTES = 256
"""A sequence header ends long before."""
_MAX_PLACES = 10_000
_MAX_EXTENTS = 64
_ENDLESS = 1 << 62
_SEQUENCE_HEADER = 1
_SKIPPED_UNITS = frozenset({2, 5, 15})


def find_coded_pixels(data: bytes) -> int:
    """Add up the pixels of all coded pictures that decoding the first frame may unfold.

    Args:
        data: The content of an AVIF file, whole or damaged.

    Returns:
        The sum of their heights times widths: photo, transparency, tiles, previews; without an
        end where there are too many. What cannot be understood counts nothing.
    """
    heads = list(itertools.islice(_find_heads(data), _MAX_PLACES + 1))
    return _ENDLESS if len(heads) > _MAX_PLACES else sum(map(_read_size, heads))


def has_deep_colours(data: bytes) -> bool:
    """Tell whether a coded picture is announced with more than 8 bits per channel.

    Args:
        data: The content of an AVIF file.
    """
    place = data.find(b"av1C")
    while place >= 0:
        if data[place + 6 : place + 7] and data[place + 6] & 0x40:
            return True
        place = data.find(b"av1C", place + 4)
    return False


def _find_heads(data: bytes) -> Iterator[bytes]:
    """Yield the first bytes of every item, and of the first frame of every track."""
    boxes = list(_iterate_boxes(data, 0, len(data)))
    stored = next((data[start:end] for name, start, end in boxes if name == b"idat"), b"")
    for name, start, end in boxes:
        if name in (b"stco", b"co64"):
            place = int.from_bytes(data[start + 8 : start + (12 if name == b"stco" else 16)])
            yield data[place : place + _HEAD_BYTES]
        elif name == b"iloc":
            try:
                yield from _find_items(data, start, end, stored)
            except (IndexError, struct.error):  # cut off
                return


def _iterate_boxes(
    data: bytes, position: int, end: int, depth: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of every box, and where its content begins and ends."""
    while position + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1 and start + 8 <= end:
            size, start = int.from_bytes(data[start : start + 8]), start + 8
        stop = min(position + size, end) if size else end
        if stop < start:
            return
        yield name, start, stop
        if name in _CONTAINERS and depth < _DEPTH:
            yield from _iterate_boxes(data, start + 4 * (name == b"meta"), stop, depth + 1)
        position = stop


def _find_items(data: bytes, start: int, end: int, stored: bytes) -> Iterator[bytes]:
    """Yield the first bytes of the items that a box `iloc` tells the places of."""
    version = data[start]
    sizes = struct.unpack_from(">BB", data, start + 4)
    offset_size, length_size, base_size, index_size = (
        part for each in sizes for part in (each >> 4, each & 15)
    )
    wide = 4 if version == 2 else 2
    count = int.from_bytes(data[start + 6 : start + 6 + wide])
    position = start + 6 + wide

    def read(size: int) -> int:
        nonlocal position
        if position + size > end:
            raise struct.error
        position += size
        return int.from_bytes(data[position - size : position])

    for _ in range(count):
        read(wide)
        source = stored if version and read(2) & 15 == 1 else data
        read(2)
        base, head = read(base_size), b""
        extents = read(2)
        for _ in range(min(extents, _MAX_EXTENTS)):
            read(index_size if version else 0)
            place, length = base + read(offset_size), read(length_size) or _HEAD_BYTES
            head += source[place : place + min(length, _HEAD_BYTES - len(head))]
        rest = max(extents - _MAX_EXTENTS, 0)
        position += rest * ((index_size if version else 0) + offset_size + length_size)
        yield head


def _read_size(head: bytes) -> int:
    """Return height times width from the sequence header at the beginning of an item."""
    position = 0
    while position < len(head):
        unit = head[position]
        kind, has_length = unit >> 3 & 15, unit & 2
        position += 2 if unit & 4 else 1
        length, shift = 0, 0
        while has_length and position < len(head):
            length |= (head[position] & 127) << shift
            position, shift = position + 1, shift + 7
            if not head[position - 1] & 128:
                break
        if kind == _SEQUENCE_HEADER:
            return _read_sequence_header(head[position:])
        if kind not in _SKIPPED_UNITS or not has_length:
            return 0
        position += length
    return 0


def _read_sequence_header(header: bytes) -> int:
    """Return the largest height times the largest width that the frames may have."""
    bits, left = int.from_bytes(header), 8 * len(header)

    def read(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & (1 << count) - 1 if left >= 0 else 0

    read(4)  # profile, still picture
    if read(1):  # reduced header
        read(5)
    else:
        _skip_operating_points(read)
    width_bits, height_bits = read(4) + 1, read(4) + 1
    width, height = read(width_bits) + 1, read(height_bits) + 1
    return width * height if left >= 0 else 0


def _skip_operating_points(read: Callable[[int], int]) -> None:
    """Go through what stands between the profile and the size in a full sequence header."""
    delay_bits = 0
    if read(1):  # timing
        read(64)
        if read(1):
            zeros = 0
            while zeros < 32 and not read(1):
                zeros += 1
            read(zeros)
        if read(1):  # decoder model
            delay_bits = read(5) + 1
            read(42)
    has_delays = read(1)
    for _ in range(read(5) + 1):
        read(12)
        if read(5) > 7:
            read(1)
        if delay_bits and read(1):
            read(2 * delay_bits + 1)
        if has_delays and read(1):
            read(4)
