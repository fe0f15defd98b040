"""The parts of a JPEG file: its segments, and what its decoder has to keep and to go through."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class JpegOutline:
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


@dataclass(frozen=True)
class _Frame:
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
    """Read the headers of a JPEG, and of its scans where there are several.

    Args:
        data: The content of the file, whole or damaged.

    Returns:
        What was found up to the end mark.
    """
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
    """Yield the parts of a JPEG.

    Args:
        data: The content of the file, whole or damaged.

    Yields:
        The marker, its position, and its segment with the length field first.
    """
    position = _MARKER_BYTES
    while match := _MARKER.search(data, position):
        body = match.end()
        length = int.from_bytes(data[body : body + 2])
        yield match[1][0], match.start(), data[body : body + max(length, 2)]
        position = body + max(length, 2)
