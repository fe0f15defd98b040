"""One image: every source, every kind of strange file, and the resizing of all photos."""

import io
import os
import socket
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, features

from emoclf.images import (
    FORMAT_EXTENSIONS,
    IMAGE_EXTENSIONS,
    MAX_FILE_BYTES,
    MAX_LOST_FRACTION,
    PADDING_GREY,
    DecodedImage,
    OldPillowWarning,
    UnreadableImageError,
    decode_image,
    files,
    load_image,
    memory,
    quiet_pillow,
    resize_image,
    warn_if_pillow_is_old,
)
from tests.calls import PATIENCE_SECONDS

ODD_IMAGES = (
    Path(os.environ.get("EMOCLF_DATA", Path(__file__).parents[2] / "shared" / "data"))
    / "odd_images"
)
ORIENTATION_TAG = 0x0112


def draw_photo(height: int, width: int, *, seed: int = 0) -> Image.Image:
    """Draw a picture with texture in every row, so that lost rows can be counted."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth.astype(np.int64) + random.integers(-10, 11, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, format_name: str, **options: object) -> bytes:
    """Return the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format=format_name, **options)
    return buffer.getvalue()


def refusal_of(source: object, **options: object) -> UnreadableImageError:
    """Return the refusal that a source must meet."""
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(source, **options)
    return caught.value


def make_png(
    values: bytes, *, width: int, height: int, depth: int, colour: int, chunks: bytes = b""
) -> bytes:
    """Write a PNG that Pillow cannot: raw rows, each with its filter byte."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(values))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + packed + chunk(b"IEND", b"")


# Sources


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, str, Path, Image.Image, np.ndarray])
def test_every_kind_of_source_gives_the_same_pixels(kind, tmp_path):
    photo = draw_photo(30, 50)
    data = encode(photo, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    sources = {str: str(path), Path: path, Image.Image: photo, np.ndarray: np.asarray(photo)}
    source = sources.get(kind) or kind(data) if kind not in (np.ndarray,) else sources[kind]
    decoded = decode_image(source)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (30, 50, 3)
    assert decoded.size == (30, 50)
    assert not decoded.repaired
    np.testing.assert_array_equal(decoded.pixels, np.asarray(photo))
    expected = {Image.Image: "PIL", np.ndarray: "array"}.get(kind, "PNG")
    assert decoded.format == expected


def test_load_image_returns_the_pixels_and_they_belong_to_the_caller():
    array = np.zeros((4, 5, 3), dtype=np.uint8)
    pixels = load_image(array)
    pixels[:] = 7
    assert array.max() == 0
    from_file = load_image(encode(draw_photo(8, 9), "PNG"))
    from_file[:] = 0


def test_a_red_picture_keeps_channel_0():
    red = Image.new("RGB", (40, 20), (200, 10, 30))
    for format_name in ("PNG", "WEBP", "BMP"):
        options = {"lossless": True} if format_name == "WEBP" else {}
        pixels = load_image(encode(red, format_name, **options))
        assert pixels.shape == (20, 40, 3)
        assert (pixels == (200, 10, 30)).all()
    pixels = load_image(encode(red, "JPEG", quality=95)).astype(int)
    assert abs(pixels - (200, 10, 30)).max() <= 3


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 3), (6, 7, 4)])
def test_array_shapes(shape):
    array = np.full(shape, 100, dtype=np.uint8)
    if shape[2:] == (4,):
        array[..., 3] = 255
    pixels = load_image(array)
    assert pixels.shape == (6, 7, 3)
    assert (pixels == 100).all()


def test_bool_array_is_black_and_white():
    array = np.array([[True, False]])
    np.testing.assert_array_equal(load_image(array)[0], [[255] * 3, [0] * 3])


def test_non_contiguous_array():
    array = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)[::-2, ::2]
    np.testing.assert_array_equal(load_image(array), array)


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError, ["float32", "(4, 4, 3)", "* 255"]),
        (np.full((4, 4, 3), 9.5), TypeError, ["float64", "9.5", "round()"]),
        (np.full((4, 4, 3), np.nan), TypeError, ["float64", "without any number"]),
        (np.zeros((4, 4, 3), object), TypeError, ["object", "astype(float)"]),
        (np.full((4, 4), 300, np.int64), TypeError, ["int64", "300"]),
        (np.zeros((2, 4, 4, 3), np.uint8), ValueError, ["(2, 4, 4, 3)", "one picture"]),
        (np.zeros((4, 4, 2), np.uint8), ValueError, ["(4, 4, 2)"]),
        (np.zeros((3, 4, 0), np.uint8), ValueError, ["(3, 4, 0)"]),
        (np.zeros((0, 4, 3), np.uint8), ValueError, ["(0, 4, 3)"]),
        (np.zeros(4, np.uint8), ValueError, ["(4,)"]),
        (np.array([["a", "b"]]), TypeError, ["<U1"]),
    ],
)
def test_other_arrays_are_refused_by_name(array, error, words):
    with pytest.raises(error) as caught:
        decode_image(array)
    for word in ["array: expected", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("source", [None, 7, [[1, 2]], object()])
def test_other_types_are_refused(source):
    with pytest.raises(TypeError, match=r"source: expected a path, bytes, a PIL image or"):
        decode_image(source)


# Colours


def test_transparency_is_composited_on_white():
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    image.paste((0, 0, 255, 128), (0, 0, 5, 10))
    decoded = decode_image(encode(image, "PNG"))
    assert "transparency composited on white" in decoded.notes
    assert tuple(decoded.pixels[0, 9]) == (255, 255, 255)
    assert abs(decoded.pixels[0, 0].astype(int) - (127, 127, 255)).max() <= 1


def test_opaque_alpha_is_no_transparency():
    decoded = decode_image(encode(Image.new("RGBA", (10, 10), (9, 8, 7, 255)), "PNG"))
    assert decoded.notes == ()
    assert (decoded.pixels == (9, 8, 7)).all()


@pytest.mark.parametrize("mode", ["LA", "PA", "P", "L", "RGB"])
def test_every_kind_of_transparency_shows_white(mode):
    if mode in ("LA", "PA"):
        source: object = Image.new(mode, (4, 4), (0, 0))
    elif mode == "P":
        palette = Image.new("P", (4, 4), 1)
        palette.putpalette([0, 0, 0, 10, 20, 30])
        source = encode(palette, "PNG", transparency=1)
    elif mode == "L":
        source = encode(Image.new("L", (4, 4), 5), "PNG", transparency=5)
    else:
        source = encode(Image.new("RGB", (4, 4), (5, 6, 7)), "PNG", transparency=(5, 6, 7))
    decoded = decode_image(source)
    assert (decoded.pixels == 255).all()
    assert "transparency composited on white" in decoded.notes


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_become_rgb(mode):
    image = Image.new("RGB", (8, 6), "white").convert(mode)
    decoded = decode_image(image)
    assert decoded.pixels.shape == (6, 8, 3)
    assert decoded.pixels.min() >= 253
    assert f"mode {mode} converted to RGB" in decoded.notes


def test_cmyk_jpeg_is_not_inverted():
    photo = Image.new("RGB", (32, 32), (220, 40, 60))
    pixels = load_image(encode(photo.convert("CMYK"), "JPEG", quality=95)).astype(int)
    assert abs(pixels - (220, 40, 60)).max() <= 6


def test_16_bit_grey_is_scaled_and_not_cut_off():
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    decoded = decode_image(encode(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(decoded.pixels[0, :, 0], [0, 1, 128, 255])
    assert "16 bits scaled to 8" in decoded.notes
    wide = Image.fromarray(values.astype(np.int32))
    assert wide.mode == "I"
    np.testing.assert_array_equal(load_image(wide), decoded.pixels)


def test_16_bit_rgb_png():
    row = b"\x00" + struct.pack(">6H", 65535, 0, 32896, 257, 514, 65535)
    pixels = load_image(make_png(row, width=2, height=1, depth=16, colour=2))
    np.testing.assert_array_equal(pixels, [[[255, 0, 128], [1, 2, 255]]])


def test_16_bit_rgb_png_with_a_transparent_colour_is_readable():
    body = struct.pack(">3H", 65535, 0, 32896)
    chunk = struct.pack(">I", 6) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))
    row = b"\x00" + struct.pack(">6H", 65535, 0, 32896, 257, 514, 65535)
    data = make_png(row, width=2, height=1, depth=16, colour=2, chunks=chunk)
    assert load_image(data).shape == (1, 2, 3)


@pytest.mark.parametrize("value", [70000, -1])
def test_integers_beyond_16_bits_are_refused(value):
    with pytest.raises(TypeError, match="16-bit"):
        decode_image(Image.fromarray(np.full((2, 2), value, dtype=np.int32)))


RAMP = np.linspace(0, 1, 256).reshape(16, 16)


def obey(error, **names):
    """Run the line of code that a message proposes, and return the picture."""
    line = str(error).split("`")[1]
    return load_image(eval(line, {"np": np, **names}))[..., 0]


@pytest.mark.parametrize(
    "array",
    [
        RAMP,
        RAMP.astype(np.float16),
        RAMP * 2 - 1,
        RAMP * 255,
        RAMP * 255 - 127.5,
        (RAMP * 255).astype(np.int64),
        (RAMP * 255 - 128).astype(np.int8),
        (RAMP * 1023).astype(np.uint16),
        (RAMP * 4095).astype(np.int16),
        (RAMP * 16383).astype(np.int16),
        (RAMP * 65535).astype(np.uint16),
        (RAMP * 65535).astype(np.float32),
        (RAMP - 0.45) / 0.225,
        RAMP * 1e6 - 3e5,
    ],
    ids=lambda array: f"{array.dtype} {array.min():g} to {array.max():g}",
)
def test_obeying_the_hint_gives_the_picture(array):
    with pytest.raises(TypeError) as caught:
        load_image(array)
    assert obey(caught.value, array=array) == pytest.approx(RAMP * 255, abs=1.01)


@pytest.mark.parametrize("scale", [(0, 1), (-1, 1), (0, 255), (-128, 127), (0, 65535)])
def test_values_slightly_outside_and_no_numbers_are_clipped(scale):
    low, high = scale
    array = low + RAMP * (high - low)
    array[0, 0], array[-1, -1] = low - 0.1 * high, high * 1.1
    array[3, 4:7] = np.nan, np.inf, -np.inf
    with pytest.raises(
        TypeError, match=r"3 of 256 no numbers.*first at \[3, 4\].*clipped"
    ) as caught:
        load_image(array)
    expected = RAMP * 255
    expected[3, 4:7] = 0, 255, 0
    assert obey(caught.value, array=array) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float16])
def test_a_mask_of_zeros_and_ones_does_not_become_black(dtype):
    mask = np.array([[0, 1], [1, 0]], dtype=dtype)
    with pytest.raises(TypeError) as caught:
        load_image(mask)
    assert obey(caught.value, array=mask).tolist() == [[0, 255], [255, 0]]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 70_000)])
def test_obeying_the_hint_for_a_pil_image_gives_the_picture(low, high):
    values = (low + RAMP * (high - low)).astype(np.int32 if high > 1 else np.float32)
    image = Image.fromarray(values)
    with pytest.raises(TypeError) as caught:
        load_image(image)
    shown = obey(caught.value, image=image)
    assert shown == pytest.approx(np.clip(RAMP * max(high / 65535, 1), 0, 1) * 255, abs=1)


def test_floating_point_pil_image_is_refused():
    with pytest.raises(TypeError, match="floating"):
        decode_image(Image.new("F", (4, 4)))


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (12, 10), colour) for colour in ("red", "lime", "blue")]
    for format_name, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encode(frames[0], format_name, save_all=True, append_images=frames[1:], **options)
        decoded = decode_image(data)
        assert tuple(decoded.pixels[0, 0]) == (255, 0, 0), format_name
        assert "first frame of 3" in decoded.notes, format_name


# Orientation and size


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_exif_rotation_is_applied(orientation, format_name):
    upright = draw_photo(24, 40)
    stored = upright
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that the camera applied
    if orientation in undo:
        stored = upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options = {"lossless": True} if format_name == "WEBP" else {"quality": 95}
    decoded = decode_image(encode(stored, format_name, exif=exif, **options))
    assert decoded.pixels.shape == (24, 40, 3)
    assert decoded.size == (24, 40)
    assert abs(decoded.pixels.astype(int) - np.asarray(upright)).mean() < 12
    assert ("EXIF rotation applied" in decoded.notes) == (orientation in undo)


def test_damaged_exif_does_not_lose_the_picture():
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    data = encode(draw_photo(24, 40), "JPEG", exif=exif)
    position = data.index(b"MM\x00*") if b"MM\x00*" in data else data.index(b"II*\x00")
    for count in range(1, 26):  # the EXIF block has 26 bytes
        damaged = data[:position] + b"\xff" * count + data[position + count :]
        assert load_image(damaged).shape in ((24, 40, 3), (40, 24, 3))


def test_large_jpeg_is_decoded_small_but_not_too_small():
    data = encode(draw_photo(480, 800), "JPEG")
    for wanted in ((60, 100), (100, 60), (1, 1), (479, 799), (480, 800), (4000, 4000)):
        decoded = decode_image(data, min_size=wanted)
        assert decoded.size == (480, 800)
        height, width = decoded.pixels.shape[:2]
        assert height >= min(wanted[0], 480)
        assert width >= min(wanted[1], 800)
    assert decode_image(data, min_size=(60, 100)).pixels.shape == (60, 100, 3)


def test_min_size_counts_in_the_upright_picture():
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    data = encode(draw_photo(480, 800), "JPEG", exif=exif)  # upright: 800 high, 480 wide
    decoded = decode_image(data, min_size=(400, 240))
    assert decoded.size == (800, 480)
    assert decoded.pixels.shape == (400, 240, 3)
    assert decode_image(data, min_size=(240, 400)).pixels.shape == (800, 480, 3)


# Truncated files

TRUNCATED = {
    "baseline": ("JPEG", {"quality": 85}),
    "restart markers": ("JPEG", {"quality": 85, "restart_marker_rows": 1}),
    "progressive": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
}


@pytest.mark.parametrize("kind", TRUNCATED)
@pytest.mark.parametrize("flat_bottom", [False, True])
def test_truncated_files_never_lose_more_rows_than_they_say(kind, flat_bottom):
    photo = draw_photo(400, 120)
    if flat_bottom:
        photo.paste((128, 128, 128), (0, 240, 120, 400))
    format_name, options = TRUNCATED[kind]
    data = encode(photo, format_name, **options)
    whole = load_image(data)
    accepted = 0
    lengths = {len(data) * share // 1000 for share in [*range(0, 900, 45), *range(900, 1000, 5)]}
    for length in sorted(lengths | {len(data) - missing for missing in range(1, 12)}):
        try:
            decoded = decode_image(data[:length])
        except UnreadableImageError as error:
            assert error.kind in ("truncated", "damaged", "not_an_image", "empty")
            continue
        accepted += 1
        damaged = (decoded.pixels != whole).any(axis=(1, 2)).mean()
        if decoded.repaired:
            told = float(decoded.notes[-1].split()[1].rstrip("%")) / 100
            assert told <= MAX_LOST_FRACTION
            assert damaged <= told + 0.001, length
        else:
            assert damaged == 0, length
    if format_name in ("JPEG", "PNG"):
        assert accepted > 0
    assert len(lengths) > accepted


def test_half_a_jpeg_is_refused_with_the_share():
    for progressive in (False, True):
        data = encode(draw_photo(400, 120), "JPEG", progressive=progressive)
        error = refusal_of(data[: len(data) // 2])
        assert error.kind == "truncated"
        assert "Download it again" in error.reason
    data = encode(draw_photo(400, 120), "JPEG")
    assert "of its rows lack data" in refusal_of(data[: len(data) // 2]).reason


def test_a_missing_end_mark_costs_no_row():
    for progressive in (False, True):
        data = encode(draw_photo(80, 60), "JPEG", progressive=progressive)
        decoded = decode_image(data[:-2])
        assert decoded.repaired
        assert "truncated: 0.0% of the rows lost" in decoded.notes
        np.testing.assert_array_equal(decoded.pixels, load_image(data))


def test_repair_keeps_the_orientation_and_the_size():
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    for format_name in ("JPEG", "PNG"):
        data = encode(draw_photo(800, 120), format_name, exif=exif)
        decoded = decode_image(data[: int(len(data) * 0.98)])
        assert decoded.repaired
        assert decoded.size == (120, 800)
        assert "EXIF rotation applied" in decoded.notes


def test_interlaced_png_is_repaired_only_when_all_passes_are_there():
    # Pillow writes no interlaced PNG: seven passes of a 5 x 5 grey picture by hand.
    passes = [(1, 1), (1, 1), (1, 2), (2, 1), (1, 3), (3, 2), (2, 5)]  # rows, columns
    raw = b"".join((b"\x00" + b"\x64" * columns) * rows for rows, columns in passes)
    data = bytearray(make_png(raw, width=5, height=5, depth=8, colour=0))
    data[28] = 1  # interlaced
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    whole = bytes(data)
    assert (load_image(whole) == 100).all()
    assert refusal_of(whole[:-24]).kind == "truncated"


def test_truncation_is_found_when_decoding_small():
    data = encode(draw_photo(800, 800), "JPEG")
    assert refusal_of(data[: len(data) // 2], min_size=(100, 100)).kind == "truncated"


# Hostile and foreign content


def make_media(major, *brands, content=b""):
    """The beginning of a file of the family of MP4."""
    size = (16 + 4 * len(brands)).to_bytes(4)
    return size + b"ftyp" + major + bytes(4) + b"".join(brands) + content


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(
    "brands",
    [
        (b"avif", b"mif1"),
        (b"avis", b"msf1"),
        (b"avis", b"avif", b"mif1"),
        (b"mif1", b"avif"),
        (b"msf1", b"avis", b"avif"),
        (b"MA1B", b"avif", b"miaf"),
        (b"miaf", b"MA1A"),
        (b"mif1", b"miaf"),
        (b"mif1", b"heic"),
        (b"isom", b"avif", b"mif1"),
        (b"new1", b"avif"),
    ],
    ids=lambda brands: b"+".join(brands).decode(),
)
def test_an_avif_is_read_whatever_brand_stands_first(brands, frames, tmp_path):
    buffer = io.BytesIO()
    picture = Image.new("RGB", (40, 30), (200, 10, 10))
    others = [Image.new("RGB", (40, 30))] * (frames - 1)
    picture.save(buffer, "AVIF", save_all=frames > 1, append_images=others)
    data = buffer.getvalue()
    size = int.from_bytes(data[:4])
    named = (brands + (brands[-1],) * 20)[: (size - 12) // 4]  # nothing else may move
    data = make_media(named[0], *named[1:]) + data[size:]
    path = tmp_path / "photo.avif"
    path.write_bytes(data)
    decoded = decode_image(path)
    assert decoded.format == "AVIF"
    assert decoded.pixels.shape == (30, 40, 3)
    assert decoded.pixels[10, 10].tolist() == pytest.approx([200, 10, 10], abs=6)


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (b"", "empty", "0 bytes"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x">', "unsupported_format", "SVG"),
        (b"<svg width='3'/>", "unsupported_format", "SVG"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html><svg ></svg>", "not_an_image", "web page"),
        (b"<HTML><head>", "not_an_image", "web page"),
        (b"II*\x00" + bytes(20), "unsupported_format", "TIFF"),
        (b"MM\x00*" + bytes(20), "unsupported_format", "TIFF"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), "unsupported_format", "HEIC"),
        (b"\x00\x00\x01\x00\x01\x00" + bytes(20), "unsupported_format", "ICO"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(20), "not_an_image", "video"),
        (make_media(b"mp42", b"isom"), "not_an_image", "video"),
        (make_media(b"qt  "), "not_an_image", "video"),
        (make_media(b"isom", b"av01"), "not_an_image", "video"),
        (make_media(b"mif1", b"heic"), "unsupported_format", "HEIC"),
        (make_media(b"mif1", b"miaf", content=b"hvcC"), "unsupported_format", "HEIC"),
        (make_media(b"avif", b"mif1", content=b"hvcC"), "unsupported_format", "HEIC"),
        (make_media(b"avif", b"heic", content=b"hvcC, av1C"), "unsupported_format", "HEIC"),
        (
            make_media(b"heix", *[b"abcd"] * 60),
            "unsupported_format",
            "HEIC",
        ),  # as long as an icon's
        (make_media(b"isom", b"hevc", b"msf1"), "unsupported_format", "HEIC"),
        (b"\0\0\0\1ftyp" + (28).to_bytes(8) + b"mif1\0\0\0\0heic", "unsupported_format", "HEIC"),
        (make_media(b"mif1", b"miaf"), "unsupported_format", "HEIF"),
        (make_media(b"avci", b"mif1"), "unsupported_format", "HEIF"),
        (make_media(b"crx ", b"isom"), "unsupported_format", "raw photo"),
        (make_media(b"jp2 "), "unsupported_format", "JPEG 2000"),
        (make_media(b"jxl "), "unsupported_format", "JPEG XL"),
        (make_media(b"new1", b"new2"), "unsupported_format", "a photo or a film"),
        (b"%PDF-1.7", "not_an_image", "PDF"),
        (b"PK\x03\x04" + bytes(20), "not_an_image", "`stage` unpacks"),
        (b"happy people\n", "not_an_image", "Expected one of"),
        (b"BMW is a car maker from Munich", "not_an_image", "Expected one of"),
        (bytes(1000), "not_an_image", "Expected one of"),
        (b"\xff\xd8\xff\xe0", "damaged", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "damaged", "PNG"),
        (b"GIF89a", "damaged", "GIF"),
        (b"RIFF\x04\x00\x00\x00WEBP", "damaged", "WEBP"),
    ],
)
def test_foreign_content_is_named(content, kind, word, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    error = refusal_of(path)
    assert error.kind == kind
    assert word in error.reason
    assert error.source == str(path)
    assert "photo.jpg" in str(error)
    assert refusal_of(content).kind == kind


def test_content_decides_and_not_the_extension(tmp_path):
    path = tmp_path / "photo.gif"
    path.write_bytes(encode(draw_photo(10, 10), "WEBP"))
    assert decode_image(path).format == "WEBP"


def test_pixel_limit_is_checked_before_decoding(monkeypatch):
    huge = make_png(b"", width=60_000, height=60_000, depth=8, colour=2)
    assert refusal_of(huge).kind == "too_large"
    limit = Image.MAX_IMAGE_PIXELS
    error = refusal_of(encode(draw_photo(100, 100), "PNG"), max_pixels=9_999)
    assert error.kind == "too_large"
    assert "100 x 100" in error.reason
    assert "9,999" in error.reason
    assert load_image(encode(draw_photo(100, 100), "PNG"), max_pixels=10_000).shape == (100, 100, 3)
    assert refusal_of(draw_photo(100, 100), max_pixels=9_999).kind == "too_large"
    assert limit == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6_000)  # 10,000 is in Pillow's warning zone
    assert load_image(encode(draw_photo(100, 100), "PNG")).shape == (100, 100, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # and now beyond its error
    assert refusal_of(encode(draw_photo(100, 100), "PNG")).kind == "too_large"


def test_a_cut_header_of_a_huge_png_costs_no_memory():
    huge = make_png(b"", width=2**31 - 1, height=2**31 - 1, depth=8, colour=2)
    text = struct.pack(">I", 5000) + b"tEXt" + b"abc"
    error = refusal_of(huge[:33] + text)
    assert error.kind in ("too_large", "truncated", "damaged")


def test_random_damage_ends_in_a_picture_or_a_refusal():
    photo = draw_photo(60, 44)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    files = [encode(photo, name, exif=exif) for name in ("JPEG", "PNG", "WEBP")]
    files += [encode(photo, name) for name in ("GIF", "BMP")]
    files.append(encode(photo, "JPEG", progressive=True))
    random = np.random.default_rng(7)
    outcomes = set()
    for turn in range(1200):
        data = bytearray(files[turn % len(files)])
        for _ in range(random.choice([1, 3, 20])):
            end = len(data) if random.random() < 0.4 else 150
            data[random.integers(0, end)] = random.integers(0, 256)
        try:
            outcomes.add(type(decode_image(bytes(data), max_pixels=1_000_000)))
        except UnreadableImageError as error:
            outcomes.add(error.kind)
    assert {DecodedImage, "damaged"} <= outcomes


@pytest.mark.parametrize(
    "error", [MemoryError(), struct.error("x"), ZeroDivisionError(), OSError()]
)
def test_whatever_pillow_raises_becomes_a_refusal(error, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    refused = refusal_of(encode(draw_photo(8, 8), "PNG"))
    assert refused.kind == ("too_large" if isinstance(error, MemoryError) else "damaged")
    assert refused.__cause__ is error


# What is at a path


def test_other_things_at_a_path_are_refused_unopened(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    assert refusal_of(pipe).kind == "not_a_file"
    assert "pipe" in refusal_of(pipe).reason
    assert refusal_of(tmp_path).kind == "not_a_file"
    assert refusal_of(Path("/dev/zero")).kind == "not_a_file"
    address = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        assert refusal_of(address).kind == "not_a_file"


def test_missing_files(tmp_path):
    assert refusal_of(tmp_path / "no.jpg").kind == "missing"
    assert refusal_of(str(tmp_path / "no.jpg")).source == str(tmp_path / "no.jpg")
    assert refusal_of(tmp_path / ("x" * 300)).kind == "missing"
    assert refusal_of("a\0b.jpg").kind == "missing"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refusal_of(loop).kind == "missing"
    assert refusal_of(tmp_path / "no" / "no.jpg").kind == "missing"


def test_a_file_without_permission(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"x")

    def refuse(*_arguments, **_keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "open_regular", refuse)
    error = refusal_of(path)
    assert error.kind == "no_permission"
    assert "permissions" in error.reason


def test_a_disk_that_does_not_deliver(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x")

    def fail(*_arguments, **_keywords):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "open_regular", fail)
    assert "Input/output error" in refusal_of(path).reason


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room on the disk
    assert refusal_of(path).kind == "too_large"


def test_strange_names_do_not_break_the_message(tmp_path):
    path = tmp_path / "a\nb\u202e\udcff.jpg"
    path.write_bytes(b"x")
    message = str(refusal_of(path))
    assert "\n" not in message
    message.encode("utf-8")


def test_the_refusal_survives_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(UnreadableImageError("a.jpg", "empty", "Nothing in it.")))
    assert (error.source, error.kind, error.reason) == ("a.jpg", "empty", "Nothing in it.")
    assert str(error) == "'a.jpg': Nothing in it."


# Warnings


def test_no_warning_of_pillow_leaks_from_any_thread(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    palette = Image.new("P", (25, 40))
    data = encode(palette, "PNG", transparency=b"\x00\x10")
    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=OldPillowWarning)
        before = list(warnings.filters)
        results = list(pool.map(load_image, [data] * 200))
        assert warnings.filters == before
    assert len(results) == 200


def test_quiet_pillow_can_be_nested_and_is_undone_by_the_last():
    before = list(warnings.filters)
    inside = threading.Event()
    leave = threading.Event()

    def stay() -> None:
        with quiet_pillow():
            inside.set()
            leave.wait(PATIENCE_SECONDS)

    with quiet_pillow():
        thread = threading.Thread(target=stay)
        thread.start()
        inside.wait(PATIENCE_SECONDS)
    assert warnings.filters != before
    leave.set()
    thread.join()
    assert warnings.filters == before


def test_an_old_pillow_is_named_once(monkeypatch):
    monkeypatch.setattr(PIL, "__version__", "11.3.0")
    monkeypatch.setattr(memory, "_old_pillow_warned", threading.Event())
    with pytest.warns(OldPillowWarning, match=r"pillow 11\.3\.0 .*closed in 13\.0\.0"):
        decode_image(np.zeros((2, 2), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_image(np.zeros((2, 2), np.uint8))


def test_a_new_pillow_is_not_named(monkeypatch):
    monkeypatch.setattr(PIL, "__version__", "13.0.0")
    monkeypatch.setattr(memory, "_old_pillow_warned", threading.Event())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_pillow_is_old()


# Resizing


@pytest.mark.parametrize("mode", ["pad", "crop"])
@pytest.mark.parametrize(
    "shape", [(300, 200), (200, 300), (96, 96), (1, 1), (1, 2000), (2000, 1), (95, 97), (48, 48)]
)
def test_resize_gives_the_size(mode, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for size in ((96, 96), (64, 128), (128, 64), (1, 1)):
        resized = resize_image(image, size, mode=mode)
        assert resized.shape == (*size, 3)
        assert resized.dtype == np.uint8
        np.testing.assert_array_equal(resized, resize_image(image, size, mode=mode))


def test_exactly_sized_input_comes_back_unchanged_and_unshared():
    image = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    for mode in ("pad", "crop"):
        resized = resize_image(image, (96, 64), mode=mode)
        np.testing.assert_array_equal(resized, image)
        assert not np.shares_memory(resized, image)


def test_pad_shows_the_whole_photo_on_grey():
    image = np.full((100, 200, 3), (250, 10, 20), dtype=np.uint8)
    resized = resize_image(image, (80, 80))
    assert (resized[20:60] == (250, 10, 20)).all()
    assert (resized[:20] == PADDING_GREY).all()
    assert (resized[60:] == PADDING_GREY).all()


def test_crop_takes_the_centre():
    image = np.zeros((100, 300, 3), dtype=np.uint8)
    image[:, 100:200] = (250, 10, 20)
    assert (resize_image(image, (50, 50), mode="crop")[:, 2:-2] == (250, 10, 20)).all()


def test_shrinking_does_not_alias():
    stripes = np.zeros((960, 960, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    resized = resize_image(stripes, (96, 96)).astype(int)
    assert abs(resized - 127.5).max() < 5


@pytest.mark.parametrize(
    ("image", "size", "mode", "error", "words"),
    [
        (np.zeros((4, 4, 3)), (8, 8), "pad", TypeError, ["image", "uint8", "float64"]),
        ([[1]], (8, 8), "pad", TypeError, ["image", "list"]),
        (np.zeros((4, 4), np.uint8), (8, 8), "pad", ValueError, ["image", "(4, 4)"]),
        (np.zeros((4, 4, 4), np.uint8), (8, 8), "pad", ValueError, ["image", "(4, 4, 4)"]),
        (np.zeros((0, 4, 3), np.uint8), (8, 8), "pad", ValueError, ["image", "(0, 4, 3)"]),
        (np.zeros((4, 4, 3), np.uint8), (0, 8), "pad", ValueError, ["size", "(0, 8)"]),
        (np.zeros((4, 4, 3), np.uint8), (8, 8, 3), "pad", ValueError, ["size"]),
        (np.zeros((4, 4, 3), np.uint8), (8, 8), "squash", ValueError, ["mode", "squash"]),
    ],
)
def test_resize_refuses_by_name(image, size, mode, error, words):
    with pytest.raises(error) as caught:
        resize_image(image, size, mode=mode)
    for word in words:
        assert word in str(caught.value)


# Tables, examples, real files


def test_extensions_are_lower_case_and_belong_to_one_format():
    assert len(IMAGE_EXTENSIONS) == len(set(IMAGE_EXTENSIONS))
    assert all(each.startswith(".") and each == each.lower() for each in IMAGE_EXTENSIONS)
    assert set(FORMAT_EXTENSIONS) == {"JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"}


@pytest.mark.skipif(not ODD_IMAGES.is_dir(), reason="no folder with unusual image files")
def test_odd_images_end_in_a_picture_or_a_refusal():
    kinds = set()
    for path in sorted(ODD_IMAGES.iterdir()):
        try:
            decoded = decode_image(path, min_size=(64, 64))
            kinds.add(decoded.format)
        except UnreadableImageError as error:
            assert error.reason.endswith(".")
            kinds.add(error.kind)
    assert {"JPEG", "WEBP", "PNG", "BMP", "unsupported_format", "too_large", "damaged"} <= kinds


@pytest.mark.skipif(not ODD_IMAGES.is_dir(), reason="no folder with unusual image files")
@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_photos_of_every_orientation_come_out_upright(name):
    reference = load_image(ODD_IMAGES / f"{name}_1.jpg", min_size=(200, 200)).astype(int)
    for orientation in range(9):
        pixels = load_image(ODD_IMAGES / f"{name}_{orientation}.jpg", min_size=(200, 200))
        assert pixels.shape == reference.shape
        assert abs(pixels - reference).mean() < 6
