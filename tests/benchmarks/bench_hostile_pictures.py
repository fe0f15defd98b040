"""Measure what hostile pictures cost to decode: the peak of memory and the processor's time.

    python tests/benchmarks/bench_hostile_pictures.py --side 6000

Every file is decoded in a process of its own. Linux only: the peak comes from `/proc`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import features

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.hostile_pictures import (
    PNG_KINDS,
    make_avif,
    make_bmp,
    make_gif,
    make_jpeg,
    make_png,
    make_webp,
)

PROGRAM = """
import re, sys, time
from emoclf.images import UnreadableImageError, decode_image
started = time.process_time()
try:
    outcome = str(decode_image(sys.argv[1]).pixels.shape)
except UnreadableImageError as error:
    outcome = error.kind
seconds = time.process_time() - started
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1000
print(f"{peak:7.0f} MB {seconds:7.2f} s  {outcome}")
"""


def make_files(side: int) -> dict[str, bytes]:
    """Return name and content of one file for each format and mode."""
    files = {f"{kind}.png": make_png(kind, side) for kind in PNG_KINDS}
    files["interlaced.png"] = make_png("16-bit RGBA", side, interlaced=True)
    files["palette, transparent.png"] = make_png("8-bit palette", side, transparent=True)
    files["transparent.gif"] = make_gif(side, transparent=True)
    files["100,000 frames.gif"] = make_gif(side, frames=100_000)
    files["comment.gif"] = make_gif(16, comment_blocks=10_000_000)
    for mode in ("RGB", "L", "CMYK"):
        files[f"{mode}.jpg"] = make_jpeg(side, side, mode=mode)
        files[f"{mode}, progressive.jpg"] = make_jpeg(side, side, mode=mode, progressive=True)
    files["300 scans.jpg"] = make_jpeg(side, side, scans=300)
    files["RLE8.bmp"] = make_bmp(side, side, kind="RLE8")
    files["1-bit.bmp"] = make_bmp(side, side, kind="1-bit")
    files["lossless.webp"] = make_webp(side)
    files["transparent.webp"] = make_webp(side, alpha=True)
    if features.check("avif"):
        files["RGB.avif"] = make_avif(side)
        files["transparent.avif"] = make_avif(side, mode="RGBA")
    return files


def main() -> int:
    """Print one row for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=6000)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in make_files(parser.parse_args().side).items():
            path = Path(folder) / name
            path.write_bytes(content)
            command = [sys.executable, "-c", PROGRAM, str(path)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{name:28} {len(content) / 1000:9.1f} kB {run.stdout.strip()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
