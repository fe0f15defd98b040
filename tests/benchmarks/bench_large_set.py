"""Memory and time of training on a set that is larger than the memory it may use.

    python tests/benchmarks/bench_large_set.py
    python tests/benchmarks/bench_large_set.py --photos 6000 60000 --keep /tmp/large

Draws 3,000 faces, writes as many moved and re-lit variants of them as are wanted, decodes them
into the cache on disk, and trains the lesson's network for one epoch, each size in a process of its
own. The time of each stage is that of reading batches only, then of training with them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 96)
DRAWN = 3000
BATCH = 32


def draw_files(folder, count):
    """Write `count` photos, half of each class, unless they are there."""
    from emoclf import CLASS_NAMES
    from emoclf.data.synthetic import draw_face

    random = np.random.default_rng(0)
    for number in range(min(DRAWN, count)):
        name = CLASS_NAMES[number % 2]
        place = folder / name.lower()
        place.mkdir(parents=True, exist_ok=True)
        drawn = draw_face(name, seed=number, size=SIZE)
        for variant in range(number, count, DRAWN):
            path = place / f"{variant:06}.png"
            if not path.exists():
                moved = np.roll(drawn, random.integers(-9, 10, 2), axis=(0, 1))
                light = np.clip(moved * random.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
                Image.fromarray(light).save(path, compress_level=1)


def measure(data, work, count):
    """Cache, read and train; return the figures of this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import emoclf
    from emoclf.models import build_cnn
    from emoclf.training import compile_model

    files = sorted(data.rglob("*.png"), key=lambda path: path.name)[:count]
    names = [path.relative_to(data).as_posix() for path in files]
    labels = [int(name.startswith("happy")) for name in names]
    split = emoclf.split_photos(emoclf.Photos.make(names, labels, root=data))
    start = time.perf_counter()
    cache = emoclf.cache_photos(
        split, image_size=SIZE, cache_folder=work, memory_limit_mib=0, progress=False
    )
    decoding = time.perf_counter() - start
    train = emoclf.make_dataset(cache, "train", batch_size=BATCH, shuffle=True)
    learned = len(cache.photos.find_part("train"))
    start = time.perf_counter()
    for _ in train:
        pass
    reading = time.perf_counter() - start
    model = compile_model(build_cnn(SIZE))
    start = time.perf_counter()
    model.fit(train, epochs=1, shuffle=False, verbose=0)
    training = time.perf_counter() - start
    return {
        "photos": count,
        "cache_mib": cache.images.nbytes / 2**20,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "decoded_per_second": count / decoding,
        "read_per_second": learned / reading,
        "trained_per_second": learned / training,
        "epoch_seconds": training,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[6000, 60000])
    parser.add_argument("--keep", type=Path, help="keep the photos here and use them again")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure, arguments.photos[0])))
        return
    with tempfile.TemporaryDirectory() as temporary:
        data = arguments.keep or Path(temporary) / "data"
        draw_files(data, max(arguments.photos))
        print("| photos | cache on disk, MiB | peak memory, MiB | decoded per second |", end="")
        print(" read per second | trained per second | seconds per epoch |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for count in arguments.photos:
            work = Path(temporary) / f"cache-{count}"
            command = [sys.executable, __file__, "--measure", str(data), str(work)]
            output = subprocess.run(
                [*command, "--photos", str(count)], stdout=subprocess.PIPE, check=True
            ).stdout
            numbers = json.loads(output.splitlines()[-1])
            cells = " | ".join(f"{value:,.0f}" for value in numbers.values())
            print(f"| {cells} |", flush=True)


if __name__ == "__main__":
    main()
