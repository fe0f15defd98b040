"""Compare ways to bring many small files from a slow mount, as Google Drive is in Colab.

    python tests/benchmarks/bench_staging.py --files 2000 --open-ms 5

The mount is pretended: every opening of a file below it takes some milliseconds longer. The same
photos lie there as a folder, as a .zip and as a .tar.gz. Each is staged once (copied, verified,
recorded) and then asked for again; copying the folder file by file is what `cp -r` does.
"""

from __future__ import annotations

import argparse
import builtins
import io
import os
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from emoclf.data.sources import stage_data


def write_photos(folder: Path, count: int) -> int:
    """Write JPEG files of noise and return their size together."""
    random = np.random.default_rng(1)
    total = 0
    for number in range(count):
        path = folder / ("happy" if number % 2 else "sad") / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(small).resize((128, 128)).save(path, quality=90)
        total += path.stat().st_size
    return total


def pack(folder: Path) -> tuple[Path, Path]:
    """Write the photos as a .zip and a .tar.gz beside them."""
    zipped, tarred = folder.with_suffix(".zip"), folder.with_suffix(".tar.gz")
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.write(path, path.relative_to(folder))
    with tarfile.open(tarred, "w:gz") as tar:
        tar.add(folder, "")
    return zipped, tarred


@contextmanager
def slow_opening(mount: Path, seconds: float) -> Iterator[list[int]]:
    """Let every opening below a folder take longer; yields a list with the number of openings."""
    real_open, io_open = open, io.open
    opened = [0]

    def slow_open(file: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(file, int) and os.fspath(file).startswith(str(mount)):
            opened[0] += 1
            time.sleep(seconds)
        return real_open(file, *arguments, **options)

    builtins.open = io.open = slow_open
    try:
        yield opened
    finally:
        builtins.open, io.open = real_open, io_open


def copy_one_by_one(source: Path, target: Path) -> None:
    """Copy a folder as `cp -r` does."""
    shutil.copytree(source, target)


def stage(source: Path, target: Path) -> None:
    """Stage without a progress bar."""
    stage_data(source, target, progress=False)


def time_call(call: Callable[[Path, Path], None], source: Path, target: Path) -> float:
    """Return how many seconds a call takes."""
    started = time.perf_counter()
    call(source, target)
    return time.perf_counter() - started


def main() -> int:
    """Time each way a few times in turn and print the best."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--open-ms", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        mount = Path(temporary) / "drive"
        total = write_photos(mount / "photos", arguments.files)
        zipped, tarred = pack(mount / "photos")
        ways = {
            "folder, file by file": (copy_one_by_one, mount / "photos"),
            "folder, staged": (stage, mount / "photos"),
            ".zip, staged": (stage, zipped),
            ".tar.gz, staged": (stage, tarred),
        }
        first: dict[str, list[float]] = {name: [] for name in ways}
        again: dict[str, list[float]] = {name: [] for name in ways}
        openings = {}
        for repeat in range(arguments.repeats):
            for number, (name, (call, source)) in enumerate(ways.items()):
                target = Path(temporary) / f"local_{repeat}_{number}"
                with slow_opening(mount, arguments.open_ms / 1000) as opened:
                    first[name].append(time_call(call, source, target))
                    openings[name] = opened[0]
                    if call is stage:
                        again[name].append(time_call(call, source, target))
                shutil.rmtree(target)
    print(f"{arguments.files:,} files, {total / 2**20:.1f} MiB, {arguments.open_ms} ms per opening")
    print(f"best of {arguments.repeats}:   first call   times as fast   openings   second call")
    slowest = min(first["folder, file by file"])
    for name, seconds in first.items():
        factor = slowest / min(seconds)
        second = f"{min(again[name]):9.3f} s" if again[name] else ""
        print(f"{name:22}{min(seconds):8.2f} s{factor:14.1f}{openings[name]:13,}   {second}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
