"""What a picture may cost: memory and time are bounded before anything is decoded."""

import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, features

from emoclf.data.cleaning import CleaningThresholds, FileRecord
from emoclf.data.cleaning.problems import examine_file
from emoclf.images import (
    UnreadableImageError,
    conversion,
    decode_image,
    load_image,
    memory,
    sharing_memory,
)
from emoclf.images.costs import explain_excess
from emoclf.images.headers import find_coded_pixels, outline_jpeg
from tests.calls import PATIENCE_SECONDS
from tests.hostile_pictures import (
    make_avif,
    make_bmp,
    make_gif,
    make_jpeg,
    make_png,
    make_webp,
    pack_chunk,
)
from tests.test_images import ORIENTATION_TAG, draw_photo, encode, refusal_of

MEASURE_PEAK = """
import json, re, sys

def find_peak():  # of this program: what `getrusage` tells begins with its parent's
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1])
"""
MEASURE_FILES = """
from emoclf.images import UnreadableImageError, decode_image

for path in sys.argv[1:]:
    try:
        outcome = list(decode_image(path).pixels.shape)
    except UnreadableImageError as error:
        outcome = error.kind
    print(json.dumps([path, outcome, find_peak()]))
"""
MEASURE_FOLDER = """
from emoclf.data.cleaning import find_problems

report = find_problems(sys.argv[1], workers=8, progress=False)
print(len(report.records), find_peak())
"""
HAS_AVIF = features.check("avif")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's measure of memory")


def run_measured(code, repository, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", MEASURE_PEAK + code, *map(str, arguments)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


# Memory


def make_hostile_files():
    """Name -> content: what took more than 600 MB, in as few pixels as that takes."""
    files = {
        "16-bit grey.png": make_png("16-bit grey", 6000),
        "16-bit RGBA.png": make_png("16-bit RGBA", 5500),
        "98 megapixels.png": make_png("16-bit RGB", 9900),
        "transparent.gif": make_gif(6000, transparent=True),
        "comment.gif": make_gif(16, comment_blocks=10_000_000),
        "lossless.webp": make_webp(5800),
        "transparent.webp": make_webp(5000, alpha=True),
        "cmyk.jpg": make_jpeg(9900, 9900, mode="CMYK"),
        "progressive.jpg": make_jpeg(9900, 9900, progressive=True, subsampling=0),
        "one bit.bmp": make_bmp(6000, 6000, kind="1-bit"),
        "cut off.png": make_png("16-bit RGBA", 4400)[:-200],
    }
    if HAS_AVIF:
        files["transparent.avif"] = make_avif(5500, mode="RGBA")
    return files


@on_linux
def test_no_file_takes_more_than_600_megabytes(repository, tmp_path):
    for name, content in make_hostile_files().items():
        (tmp_path / name).write_bytes(content)
    printed = run_measured(MEASURE_FILES, repository, *sorted(tmp_path.iterdir()))
    rows = [json.loads(line) for line in printed.splitlines()]
    assert len(rows) == len(make_hostile_files())
    assert [row for row in rows if row[2] > 600e6] == []
    decoded = [path for path, outcome, _ in rows if isinstance(outcome, list)]
    assert len(decoded) >= 7


@on_linux
def test_a_folder_of_such_files_stays_below_1500_megabytes(repository, tmp_path):
    kinds = ("8-bit RGBA", "8-bit grey and alpha")
    for number in range(8):
        path = tmp_path / ("happy", "sad")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(make_png(kinds[number // 4], 5500 + number))
    count, peak = map(int, run_measured(MEASURE_FOLDER, repository, tmp_path).split())
    assert count == 8
    assert peak < 1500e6


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (lambda: make_png("8-bit RGB", 8800), "542 MB"),
        (lambda: make_png("1-bit", 8800), "542 MB"),
        (lambda: make_webp(5900), "557 MB"),
        (lambda: make_gif(8800), "542 MB"),
        (lambda: make_jpeg(9900, 9900, mode="CMYK", progressive=True), "MB"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_estimate(content, word, monkeypatch):
    monkeypatch.setattr(Image.Image, "crop", None)  # nothing is converted
    error = refusal_of(content())
    assert error.kind == "too_large"
    assert word in error.reason
    assert "Make it smaller" in error.reason


def test_a_smaller_limit_can_be_passed_everywhere(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encode(draw_photo(100, 100), "PNG"))
    needed = 7 * 100 * 100 + path.stat().st_size
    assert load_image(path, max_bytes=needed).shape == (100, 100, 3)
    assert refusal_of(path, max_bytes=needed - 1).kind == "too_large"
    with pytest.raises(UnreadableImageError, match="limit is 0 MB"):
        load_image(path, min_size=(9, 9), max_bytes=needed - 1)
    assert refusal_of(draw_photo(100, 100), max_bytes=60_000).kind == "too_large"


def test_a_jpeg_that_does_not_fit_is_read_smaller_and_every_caller_sees_the_same():
    photo = draw_photo(403, 202)
    data = encode(photo, "JPEG")
    whole = decode_image(data)
    assert whole.pixels.shape == (403, 202, 3)
    assert not any("read at" in note for note in whole.notes)
    limit = 7 * 202 * 101 + 2 * len(data)
    half = decode_image(data, max_bytes=limit)
    assert half.pixels.shape == (202, 101, 3)
    assert half.size == (202, 101)
    assert "read at 1/2 of its size, which is very large" in half.notes
    small = decode_image(data, max_bytes=limit, min_size=(51, 26))
    assert small.size == (202, 101)
    assert small.pixels.shape == (101, 51, 3)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    turned = decode_image(encode(photo, "JPEG", exif=exif), max_bytes=limit + 100)
    assert (turned.pixels.shape, turned.size) == ((101, 202, 3), (101, 202))
    assert refusal_of(data, max_bytes=10_000).kind == "too_large"


def test_a_photo_of_108_megapixels_is_read():
    decoded = decode_image(make_jpeg(9000, 12_000), min_size=(96, 96))
    assert decoded.size == (4500, 6000)
    assert decoded.pixels.shape == (1125, 1500, 3)


def test_ordinary_large_pictures_are_read_in_full():
    assert decode_image(make_jpeg(7000, 7000), min_size=(96, 96)).size == (7000, 7000)
    assert decode_image(make_png("1-bit", 7000)).pixels.shape == (7000, 7000, 3)


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow writes no AVIF")
def test_an_avif_is_measured_by_what_is_coded_in_it():
    data = make_avif(1000)
    assert find_coded_pixels(data) == 1_000_000
    place = data.index(b"ispe") + 8
    lie = data[:place] + struct.pack(">II", 10, 10) + data[place + 8 :]
    assert refusal_of(lie, max_bytes=2_000_000).kind == "too_large"
    assert load_image(make_avif(10), max_bytes=2_000_000).shape == (10, 10, 3)


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow writes no AVIF")
def test_a_damaged_avif_is_measured_without_an_error():
    data = make_avif(30, mode="RGBA")
    random = np.random.default_rng(0)
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(random.choice([1, 3, 20])):
            damaged[random.integers(0, len(data))] = random.integers(0, 256)
        assert find_coded_pixels(bytes(damaged[: random.integers(1, len(data))])) >= 0


def test_a_cut_off_file_is_repaired_within_the_same_limit():
    for format_name in ("JPEG", "PNG"):
        data = encode(draw_photo(800, 120), format_name)
        cut = data[: int(len(data) * 0.98)]
        limit = 7 * 800 * 120 + 5 * len(data)
        assert decode_image(cut, max_bytes=limit).repaired
        assert refusal_of(cut, max_bytes=7 * 800 * 120 + len(data) + 1000).kind == "truncated"


def test_a_thread_of_pixels_can_be_examined(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(encode(Image.new("RGB", (120_000, 2), (99, 99, 99)), "PNG"))
    record = FileRecord(path.name, "", -1)
    found, _ = examine_file(path, record, thresholds=CleaningThresholds())
    assert (found.height, found.width, found.brightness) == (2, 120_000, 99.0)


# Time


def make_exif(entries, length):
    """An EXIF block whose entries all ask for the same bytes."""
    body = b"".join(struct.pack(">HHII", tag, 7, length, 0) for tag in range(1, entries + 1))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", entries) + body + bytes(4)


def add_segments(data, *segments):
    packed = b"".join(b"\xff" + mark + struct.pack(">H", len(b) + 2) + b for mark, b in segments)
    return data[:2] + packed + data[2:]


def test_a_jpeg_of_many_scans_is_refused():
    assert load_image(make_jpeg(500, 500, scans=90)).shape == (500, 500, 3)
    error = refusal_of(make_jpeg(4000, 4000, scans=200))
    assert error.kind == "too_large"
    assert "210 scans" in error.reason
    assert refusal_of(make_jpeg(1000, 1000, scans=4000)[:-2]).kind == "too_large"


def test_scans_and_coefficients_are_counted():
    plain = encode(draw_photo(160, 160), "JPEG", subsampling=0)
    assert (outline_jpeg(plain).scans, outline_jpeg(plain).coefficient_bytes) == (1, 0)
    progressive = outline_jpeg(encode(draw_photo(160, 160), "JPEG", progressive=True))
    assert progressive.scans == 10
    assert progressive.coefficient_bytes == 2 * 160 * 160 * 3 // 2
    assert progressive.pixels == 160 * 160


@pytest.mark.parametrize(
    "segments",
    [
        [(b"\xe1", b"Exif\0\0" + make_exif(4000, 50_000))],
        [(b"\xe1", b"Exif\0\0" + make_exif(200, 900_000) + bytes(50_000))] * 2,
        [(b"\xfe", b"")] * 500_000,
        [(b"\xed", bytes(65_000))] * 600,
    ],
)
def test_a_jpeg_whose_metadata_would_take_long_is_refused(segments):
    data = add_segments(encode(draw_photo(16, 16), "JPEG"), *segments)
    assert refusal_of(data).kind == "too_large"


def test_a_jpeg_behind_junk_is_refused():
    data = encode(draw_photo(16, 16), "JPEG")
    assert load_image(data[:20] + bytes(1000) + data[20:]).shape == (16, 16, 3)
    assert refusal_of(data[:20] + bytes(2_000_000) + data[20:]).kind == "too_large"


def test_an_exif_block_that_would_fill_the_memory_is_left_unread():
    block = pack_chunk(b"eXIf", make_exif(20_000, 200_000))
    decoded = decode_image(make_png("8-bit RGB", 16, chunks=block))
    assert "EXIF block unreadable, taken as upright" in decoded.notes
    text = "\n".join(["", "exif", "9", make_exif(20_000, 200_000).hex()]).encode()
    raw = pack_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    decoded = decode_image(make_png("8-bit RGB", 16, chunks=raw))
    assert "EXIF block unreadable, taken as upright" in decoded.notes


def test_many_pieces_are_refused_before_they_are_gone_through():
    chunks = pack_chunk(b"teXt", b"") * 600_000
    assert refusal_of(make_png("8-bit grey", 8, chunks=chunks)).kind == "too_large"
    assert refusal_of(make_gif(8, frames=600_000)).kind == "too_large"
    assert "first frame of 3000" in decode_image(make_gif(8, frames=3000)).notes


@pytest.mark.parametrize("kind", ["RLE8", "RLE4"])
def test_a_large_compressed_bmp_is_refused(kind):
    assert load_image(make_bmp(60, 60, kind=kind)).shape == (60, 60, 3)
    assert "Save it as PNG" in refusal_of(make_bmp(4100, 4100, kind=kind)).reason
    assert explain_excess(make_bmp(60, 60, kind=kind) + bytes(9 << 20), "BMP")
    assert explain_excess(make_bmp(60, 60), "BMP") is None


# Strips


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "CMYK", "I;16", "I"])
def test_strips_change_nothing(mode, orientation, monkeypatch):
    random = np.random.default_rng(1)
    if mode in ("I;16", "I"):
        values = random.integers(0, 65536, (37, 23)).astype(np.uint16)
        image = Image.fromarray(values.astype(np.int32) if mode == "I" else values)
    else:
        rgba = random.integers(0, 256, (37, 23, 4), dtype=np.uint8)
        rgba[:30, :, 3] = 255  # the first strips are opaque
        image = Image.fromarray(rgba).convert("RGB" if mode in ("P", "1", "CMYK") else "RGBA")
        image = image.convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    image.info["exif"] = exif.tobytes()
    assert image.mode == mode
    whole, notes = conversion.convert_to_rgb(image)
    for pixels in (1, 23 * 4, 23 * 36):
        monkeypatch.setattr(conversion, "_STRIP_PIXELS", pixels)
        strips, same_notes = conversion.convert_to_rgb(image)
        np.testing.assert_array_equal(strips, whole)
        assert same_notes == notes
        assert strips.flags.c_contiguous


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_strips_of_arrays_change_nothing(channels, dtype, monkeypatch):
    array = np.random.default_rng(2).integers(0, 256, (37, 23, *channels)).astype(dtype)
    whole = conversion.convert_array(array)
    monkeypatch.setattr(conversion, "_STRIP_PIXELS", 50)
    strips = conversion.convert_array(array)
    np.testing.assert_array_equal(strips[0], whole[0])
    assert strips[1] == whole[1]


# One budget for all threads


def run_all(*tasks):
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [job.result(30) for job in [pool.submit(task) for task in tasks]]


def test_pictures_that_do_not_fit_together_are_decoded_in_turn(monkeypatch):
    data = encode(draw_photo(40, 40), "PNG")
    needed = 7 * 40 * 40 + len(data)
    monkeypatch.setattr(memory, "_pixels", memory.MemoryShare(2 * needed))
    inside, most = [], []
    lock, barrier = threading.Lock(), threading.Event()

    def convert(image):
        with lock:
            inside.append(1)
            most.append(len(inside))
        barrier.wait(0.02)
        with lock:
            inside.pop()
        return convert_to_rgb(image)

    convert_to_rgb = conversion.convert_to_rgb
    monkeypatch.setattr("emoclf.images.decoding.convert_to_rgb", convert)
    run_all(*[lambda: load_image(data)] * 8)
    assert max(most) <= 2
    assert memory._pixels.taken == 0


def test_what_is_decoded_in_a_block_counts_until_its_end(monkeypatch):
    monkeypatch.setattr(memory, "_pixels", memory.MemoryShare(1000))
    data = encode(draw_photo(10, 10), "PNG")
    with sharing_memory():
        load_image(data)
        first = memory._pixels.taken
        with sharing_memory():
            load_image(data)  # one that holds some never waits, whatever the limit
        assert memory._pixels.taken == 2 * first > 1000
    assert memory._pixels.taken == 0
    with pytest.raises(UnreadableImageError), sharing_memory():
        load_image(data)
        load_image(b"no picture")
    assert memory._pixels.taken == 0


def test_one_that_exceeds_the_share_waits_until_it_is_alone():
    share, order = memory.MemoryShare(100), []
    share.take(60)
    started = threading.Event()

    def take(name, amount):
        started.set()
        share.take(amount)
        order.append((name, share.taken))
        share.give_back()

    large = threading.Thread(target=take, args=("large", 500))
    large.start()
    started.wait(PATIENCE_SECONDS)
    while not share._queue:  # until it waits
        pass
    small = threading.Thread(target=take, args=("small", 10))
    small.start()
    assert order == []
    share.give_back()
    large.join(PATIENCE_SECONDS)
    small.join(PATIENCE_SECONDS)
    assert order[0] == ("large", 500)  # nobody overtakes it
    assert share.taken == 0


def test_files_and_pixels_never_wait_for_each_other(monkeypatch, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encode(draw_photo(30, 30), "PNG"))
    monkeypatch.setattr(memory, "_pixels", memory.MemoryShare(1))
    monkeypatch.setattr(memory, "_files", memory.MemoryShare(1))

    def read_twice():
        with sharing_memory():
            return load_image(path).shape, load_image(path).shape

    assert len(run_all(*[read_twice] * 8)) == 8
    assert memory._pixels.taken == memory._files.taken == 0


def test_a_wait_that_is_interrupted_leaves_nothing_behind(monkeypatch):
    share = memory.MemoryShare(10)
    holder = threading.Thread(target=share.take, args=(10,))
    holder.start()
    holder.join()

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(share._turn, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        share.take(5)
    assert share.taken == 10
    assert not share._queue
