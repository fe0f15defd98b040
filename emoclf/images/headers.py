"""What the headers of JPEG and AVIF files tell before anything is decoded.

Of a JPEG: its segments, and what its decoder has to keep and to go through. Of a file of the family
of MP4 (ISO/IEC 14496-12): what it is, by all the brands that it names and by what is coded in it.
Of an AVIF: how large its coded pictures are, whatever size its container announces, because the
decoder unfolds a picture in its coded size and scales it to the announced one afterwards. A coded
picture begins with a sequence header (AV1 specification, 5.5), which tells the largest size of its
frames; where one begins is written in the boxes `iloc` and `stco`.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

START_OF_SCAN = 0xDA
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

MAX_SEGMENTS = 500_000
"""A file with so many is not looked at any further."""

_END_OF_IMAGE = 0xD9
_EXIF_MARKER = 0xE1
_MARKER = re.compile(rb"\xff\xff*([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""Python finds a plain first byte much faster than a repeated one."""
_SEQUENTIAL_MARKERS = frozenset({0xC0, 0xC1, 0xC9})
_ARITHMETIC_MARKERS = frozenset(range(0xC9, 0xD0)) - {0xCC}
_ARITHMETIC_SCANS = 8
_SEGMENT_MARKERS = frozenset(range(0xC0, 0xF0)) - {0xC8, *range(0xD0, 0xDA)} | {0xFE}
"""What Pillow skips as a whole; anything else it goes through byte by byte."""
_COEFFICIENT_BYTES = 2
_MARKER_BYTES = 2

_MAX_BRANDS_BYTES = 1024
_AVIF_BRANDS = re.compile(rb"avi[fso]|MA1[AB]")
_HEIC_BRANDS = re.compile(rb"he(ic|ix|im|is|vc|vx|vm|vs)")
_OTHER_PHOTO_BRANDS = {
    "an HEIF photo": re.compile(
        rb"mi[afh][f0-9e]|msf1|pict|unif|avc[is]|vvi[cs]|evb[is]|jpgs|jpeg"
    ),
    "a JPEG 2000 picture": re.compile(rb"jp[2xmh] |j2k[1i]|j2is"),
    "a JPEG XL picture": re.compile(rb"jxl "),
    "a raw photo of a Canon camera": re.compile(rb"crx "),
}
_FILM_BRANDS = re.compile(rb"iso[2-9a-m]|mp[47]|avc1|qt  |3g|M4[AV]|f4v|dash|mmp4|MSNV|XAVC|mjp2")

_CODEC = re.compile(rb"av1C(?=..(.))", re.DOTALL)
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"meta"}
_DEPTH = 8
_HEAD_BYTES = 256
"""A sequence header ends long before."""
_MAX_PLACES = 10_000
_MAX_EXTENTS = 64
_ENDLESS = 1 << 62
_SEQUENCE_HEADER = 1
_SKIPPED_UNITS = frozenset({2, 5, 15})


class JpegOutline(NamedTuple):
    """What a JPEG asks of its decoder, read without decoding.

    Attributes:
        pixels: Height times width of the stored picture; 0 when it is not told.
        scans: How often the decoder goes through the whole picture; a slow arithmetic scan
            counts as eight.
        coefficient_bytes: What it keeps while it does; 0 when it can work row by row.
        header_bytes: Everything before the picture itself: EXIF, profiles, previews.
        junk_bytes: How much of that belongs to no segment.
        segments: How many segments were looked at, `MAX_SEGMENTS` at most.
        exif: The EXIF blocks, joined; empty when there are none.
    """

    pixels: int
    scans: int
    coefficient_bytes: int
    header_bytes: int
    junk_bytes: int
    segments: int
    exif: bytes


class _Frame(NamedTuple):
    """The header that tells the size and the colour components; its length field comes first."""

    marker: int = 0
    segment: bytes = b""

    def count_pixels(self) -> int:
        """Return height times width."""
        height, width = self._find_size()
        return height * width

    def has_one_pass(self, scan: bytes) -> bool:
        """Tell whether this first scan holds all there is, from top to bottom."""
        is_sequential = self.marker in _SEQUENTIAL_MARKERS
        return is_sequential and self.segment[7:8] == scan[2:3]

    def count_coefficient_bytes(self) -> int:
        """Return what keeping the coefficients of all components takes."""
        height, width = self._find_size()
        factors = [(each >> 4 or 1, each & 15 or 1) for each in self.segment[9::3]]
        if not factors:
            return 0
        across, down = (max(each) for each in zip(*factors, strict=True))
        padded = (-(-height // (8 * down)) * 8 * down) * (-(-width // (8 * across)) * 8 * across)
        samples = sum(own[0] * own[1] for own in factors) * padded // (across * down)
        return _COEFFICIENT_BYTES * samples

    def _find_size(self) -> tuple[int, int]:
        return int.from_bytes(self.segment[3:5]), int.from_bytes(self.segment[5:7])


def outline_jpeg(data: bytes) -> JpegOutline:
    """Read the headers of a JPEG, whole or damaged, and of its scans where there are several."""
    frame = _Frame()
    exif: list[bytes] = []
    scans = segments = junk = header = 0
    is_streamed, place = False, _MARKER_BYTES
    for marker, start, segment in itertools.islice(iterate_segments(data), MAX_SEGMENTS):
        if marker == _END_OF_IMAGE:
            break
        segments += 1
        if marker == START_OF_SCAN:
            scans, header = scans + 1, header or start
            is_streamed = scans == 1 and frame.has_one_pass(segment)
            if is_streamed:  # what follows is long, and tells nothing
                break
        elif marker in FRAME_MARKERS:
            frame = max(frame, _Frame(marker, segment), key=_Frame.count_pixels)
        elif marker == _EXIF_MARKER and segment[2:8] == b"Exif\0\0":
            exif.append(segment[8 if exif else 2 :])
        if not header:
            end = start + _MARKER_BYTES + len(segment)
            junk += start - place if marker in _SEGMENT_MARKERS else end - place
            place = end
    return JpegOutline(
        pixels=frame.count_pixels(),
        scans=scans * (_ARITHMETIC_SCANS if frame.marker in _ARITHMETIC_MARKERS else 1),
        coefficient_bytes=0 if is_streamed else frame.count_coefficient_bytes(),
        header_bytes=header or place,
        junk_bytes=junk,
        segments=segments,
        exif=b"".join(exif),
    )


def iterate_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield marker, position and segment (the length field first) of a JPEG, whole or damaged."""
    position = _MARKER_BYTES
    while match := _MARKER.search(data, position):
        body = match.end()
        length = int.from_bytes(data[body : body + 2])
        yield match[1][0], match.start(), data[body : body + max(length, 2)]
        position = body + max(length, 2)


def name_media(data: bytes) -> str | None:
    """Return what a file of the family of MP4 is: "AVIF", words for another kind, or None.

    Cameras and converters put the telling brand first or anywhere behind, and a general one may be
    all there is: then what is coded in the file decides.

    Args:
        data: The file, or as much of its beginning as there is.

    Returns:
        "AVIF", "HEIC", "a video", or for example "a JPEG 2000 picture"; None if it is of another
        family.
    """
    brands = _read_brands(data)
    if not brands:
        return None
    is_avif, is_heic = (any(map(each.match, brands)) for each in (_AVIF_BRANDS, _HEIC_BRANDS))
    others = (n for n, known in _OTHER_PHOTO_BRANDS.items() if any(map(known.match, brands)))
    other = next(others, None)
    if is_avif or is_heic or other == "an HEIF photo":
        has_av1, has_hevc = b"av1C" in data, b"hvcC" in data
        if has_av1 != has_hevc:
            return "AVIF" if has_av1 else "HEIC"
    if is_avif or is_heic:
        return "AVIF" if is_avif else "HEIC"
    is_film = any(map(_FILM_BRANDS.match, brands))
    return other or ("a video" if is_film else "a photo or a film of a kind that we do not know")


def _read_brands(data: bytes) -> list[bytes]:
    """Return the brands that a file of the family of MP4 names, the major one first."""
    if data[4:8] != b"ftyp":
        return []
    size, start = int.from_bytes(data[:4]), 8
    if size == 1:
        size, start = int.from_bytes(data[8:16]), 16
    end = min(size or len(data), len(data), start + _MAX_BRANDS_BYTES)
    places = (start, *range(start + 8, end - 3, 4))
    return [data[place : place + 4] for place in places]


def find_coded_pixels(data: bytes) -> int:
    """Add up height times width of all coded pictures that an AVIF's first frame may unfold.

    Photo, transparency, tiles, previews; without an end where there are too many. What cannot be
    understood counts nothing.
    """
    heads = list(itertools.islice(_find_heads(data), _MAX_PLACES + 1))
    return _ENDLESS if len(heads) > _MAX_PLACES else sum(map(_read_size, heads))


def has_deep_colours(data: bytes) -> bool:
    """Tell whether a coded picture of an AVIF is announced with over 8 bits per channel."""
    return any(found[1][0] & 0x40 for found in _CODEC.finditer(data))


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
    nibbles = (part for each in sizes for part in (each >> 4, each & 15))
    offset_size, length_size, base_size, index_size = nibbles
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
