"""Compare `find_problems` with CleanVision on one folder of photos, both in the same run.

    python tests/benchmarks/bench_cleaning.py DATA --cleanvision OTHER_ENVIRONMENT/bin/python

CleanVision has other dependencies than emoclf, so it may live in another environment. It stops at
files that are not RGB or grey pictures; both tools get the files it can read, in a temporary
folder of copies that keeps the classes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from emoclf.data.cleaning import find_problems
from emoclf.data.folders import find_class_folders, list_files
from emoclf.images import UnreadableImageError, decode_image

CLEANVISION_EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}
CLEANVISION_PROGRAM = """
import sys, time
try:
    from cleanvision import Imagelab
except ImportError:
    sys.exit(3)
started = time.perf_counter()
lab = Imagelab(data_path=sys.argv[1])
lab.find_issues(n_jobs=int(sys.argv[2]), verbose=False)
print("SECONDS", time.perf_counter() - started)
"""


def is_common_picture(path: Path) -> bool:
    """Tell whether CleanVision can work with a file too."""
    if path.suffix.lower() not in CLEANVISION_EXTENSIONS:
        return False
    try:
        decode_image(path)
    except UnreadableImageError:
        return False
    with Image.open(path) as image:
        return image.mode in ("RGB", "L")


def copy_common_pictures(data: Path, target: Path) -> int:
    """Copy the files that both tools can read, class by class, and return how many."""
    count = 0
    for class_folder in find_class_folders(data).folders:
        (target / class_folder.path.name).mkdir(parents=True)
        for path in list_files(class_folder.path).files:
            if is_common_picture(path):
                name = f"{count:06d}{path.suffix.lower()}"
                shutil.copyfile(path, target / class_folder.path.name / name)
                count += 1
    return count


def time_cleaning(folder: Path, workers: int) -> float:
    """Return the seconds that `find_problems` takes."""
    started = time.perf_counter()
    find_problems(folder, workers=workers, progress=False)
    return time.perf_counter() - started


def time_cleanvision(python: str, folder: Path, workers: int) -> float | None:
    """Return the seconds that CleanVision takes, or None where it is not installed."""
    command = [python, "-c", CLEANVISION_PROGRAM, str(folder), str(workers)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode == 3:
        return None
    if run.returncode != 0:
        raise RuntimeError(f"CleanVision failed:\n{run.stdout}\n{run.stderr}")
    lines = [line for line in run.stdout.splitlines() if line.startswith("SECONDS")]
    return float(lines[-1].split()[1])


def main() -> int:
    """Run both tools in turn and print photos per second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("EMOCLF_DATA", "../shared/data")
    parser.add_argument("data", nargs="?", type=Path, default=Path(default) / "web_photos")
    parser.add_argument("--cleanvision", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        count = copy_common_pictures(arguments.data, folder)
        own, other = [], []
        for _ in range(arguments.repeats):
            own.append(time_cleaning(folder, arguments.workers))
            seconds = time_cleanvision(arguments.cleanvision, folder, arguments.workers)
            if seconds is None:
                print(f"comparison skipped: no cleanvision in {arguments.cleanvision}")
                break
            other.append(seconds)
    print(f"{count} photos, {arguments.workers} workers, best of {len(own)}")
    print(f"emoclf       {min(own):6.2f} s  {count / min(own):7.1f} photos/s")
    if other:
        print(f"cleanvision  {min(other):6.2f} s  {count / min(other):7.1f} photos/s")
        print(f"ratio        {min(other) / min(own):6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
