"""How many photos of a folder are predicted per second, on one core, two, and all of them.

    python tests/benchmarks/bench_prediction.py FOLDER [--photos 150] [--faces-only]

Of the folder's files every n-th is taken. Processor time is that of all threads. Linux only: each
number of cores is a process that may use no more.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

from emoclf import Predictor
from emoclf.data.folders import list_files

_COUNT, _MIB = 150, 1024


def measure(folder, count, faces_only):
    files = list_files(folder).files
    photos = files[:: max(len(files) // count, 1)][:count]
    predictor = Predictor.packaged(faces_only=faces_only)
    predictor.predict(photos[:2])  # loads what is needed
    start, used = time.perf_counter(), sum(os.times()[:2])
    predictor.predict(photos)
    seconds, used = time.perf_counter() - start, sum(os.times()[:2]) - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
    cores = len(os.sched_getaffinity(0))
    print(
        f"cores: {cores}; {len(photos) / seconds:.1f} photos per second, "
        f"{1000 * used / len(photos):.0f} ms of processor time each, {peak:.0f} MiB at most"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--photos", type=int, default=_COUNT)
    parser.add_argument("--faces-only", action="store_true")
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    every = sorted(os.sched_getaffinity(0))
    if options.cores:
        os.sched_setaffinity(0, every[: options.cores])
        measure(options.folder, options.photos, options.faces_only)
        return
    for cores in sorted({1, min(2, len(every)), len(every)}):
        subprocess.run([sys.executable, *sys.argv, f"--cores={cores}"], check=True)


if __name__ == "__main__":
    main()
