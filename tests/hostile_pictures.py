"""Small files that ask for much memory or time: a large canvas, many scans, many frames.

Most are written by hand, because an encoder would need the memory that the file asks for.
"""

import io
import struct
import zlib

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KINDS = {
    "1-bit": (1, 0),
    "2-bit": (2, 0),
    "4-bit palette": (4, 3),
    "8-bit grey": (8, 0),
    "8-bit palette": (8, 3),
    "16-bit grey": (16, 0),
    "8-bit RGB": (8, 2),
    "16-bit RGB": (16, 2),
    "8-bit grey and alpha": (8, 4),
    "16-bit grey and alpha": (16, 4),
    "8-bit RGBA": (8, 6),
    "16-bit RGBA": (16, 6),
}
"""Name -> bits per channel and PNG's colour type."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((8, 8), (8, 8), (4, 8), (4, 4), (2, 4), (2, 2), (1, 2))


def pack_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def make_png(kind, side, *, interlaced=False, transparent=False, chunks=b"", value=0):
    """A PNG of one value: `side` rows of `side` pixels."""
    depth, colour = PNG_KINDS[kind]
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, interlaced)
    body = pack_chunk(b"IHDR", header) + chunks
    if colour == 3:
        body += pack_chunk(b"PLTE", bytes((10, 200, 30, 40, 50, 60)))
    if transparent:
        body += pack_chunk(b"tRNS", {0: b"\0\0", 2: bytes(6), 3: b"\x80"}[colour])
    packer = zlib.compressobj(9)
    packed = []
    for step_y, step_x in _ADAM7 if interlaced else ((1, 1),):
        rows = -(-side // step_y)
        length = (-(-side // step_x) * depth * _CHANNELS[colour] + 7) // 8
        row = b"\0" + bytes([value]) * length
        packed += [packer.compress(row) for _ in range(rows)]
    packed.append(packer.flush())
    return PNG_SIGNATURE + body + pack_chunk(b"IDAT", b"".join(packed)) + pack_chunk(b"IEND", b"")


def make_gif(side, *, frames=1, transparent=False, comment_blocks=0):
    """A GIF whose first frame fills the canvas; the others have one pixel."""
    parts = [b"GIF89a", struct.pack("<HHBBB", side, side, 0x80, 0, 0), bytes((9, 99, 199, 1, 2, 3))]
    if comment_blocks:
        parts.append(b"!\xfe" + b"\x01x" * comment_blocks + b"\0")
    if transparent:
        parts.append(b"!\xf9\x04\x01\0\0\0\0")
    data = _pack_lzw(side * side)
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    parts.append(struct.pack("<BHHHHBB", 0x2C, 0, 0, side, side, 0, 8))
    parts += [bytes([len(block)]) + block for block in blocks] + [b"\0"]
    pixel = struct.pack("<BHHHHBB", 0x2C, 0, 0, 1, 1, 0, 2) + b"\x02\x44\x01\0"
    return b"".join([*parts, pixel * (frames - 1), b";"])


def _pack_lzw(count):
    """GIF's LZW of `count` zeros, with ever longer runs."""
    codes, left = [], count
    while left:
        codes.append(256)
        run = 1
        for number in range(3837):
            step = min(run, left)
            codes.append(0 if step == 1 else 256 + step)
            left -= step
            run += 1
            if not left or number == 3836:
                break
    codes.append(257)
    bits = pending = 0
    out, width, size = bytearray(), 9, 258
    for code in codes:
        pending |= code << bits
        bits += width
        while bits >= 8:
            out.append(pending & 255)
            pending >>= 8
            bits -= 8
        if code == 256:
            width, size = 9, 257
        else:
            size += 1
            if size > (1 << width) - 1 and width < 12:
                width += 1
    out.append(pending & 255)
    return bytes(out)


def make_jpeg(height, width, *, mode="RGB", scans=0, progressive=False, **options):
    """A JPEG that ends soon after its header: the decoder fills up the rest."""
    buffer = io.BytesIO()
    Image.new(mode, (64, 64), 128).save(
        buffer, "JPEG", progressive=progressive or bool(scans), **options
    )
    data = buffer.getvalue()
    frame = data.index(b"\xff\xc2" if progressive or scans else b"\xff\xc0")
    data = data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]
    first = data.index(b"\xff\xda")
    scan = data[first : data.find(b"\xff", first + 4)]
    return data[:-2] + scan * scans + data[-2:]


def make_bmp(height, width, *, kind="24-bit"):
    """A BMP: RLE8 whose rows are one pixel and an end of line, or rows of zeros."""
    bits, compression = {"RLE8": (8, 1), "RLE4": (4, 2), "1-bit": (1, 0)}.get(kind, (24, 0))
    colours = 4 << bits if bits <= 8 else 0
    offset = 54 + colours
    if compression:
        body = b"\x01\x05\x00\x00" * height + b"\0\1"
    else:
        body = bytes((width * bits + 31) // 32 * 4 * height)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0, 0, 0
    )
    palette = bytes(range(256)) * (colours // 256) + bytes(colours % 256)
    return struct.pack("<2sIII", b"BM", offset + len(body), 0, offset) + info + palette + body


def make_webp(side, *, frames=1, lossless=True, alpha=False):
    """A WebP of one colour, made by the encoder."""
    mode, colour = ("RGBA", (9, 99, 199, 128)) if alpha else ("RGB", (9, 99, 199))
    first = Image.new(mode, (side, side), colour)
    others = [Image.new(mode, (side, side), (number, 2, 3)) for number in range(frames - 1)]
    buffer = io.BytesIO()
    extra = {"save_all": True, "append_images": others} if others else {}
    first.save(buffer, "WEBP", lossless=lossless, method=0, **extra)
    return buffer.getvalue()


def make_avif(side, **options):
    """An AVIF of one colour, made by the encoder."""
    buffer = io.BytesIO()
    Image.new(options.pop("mode", "RGB"), (side, side), 99).save(
        buffer, "AVIF", speed=10, **options
    )
    return buffer.getvalue()
