"""Photos per second of every step of a training, on one device and on two.

    python tests/benchmarks/bench_pipeline.py

Decoding, the cache, augmentation and training of drawn faces at 96 px. The two devices are halves
of the processor, which shows what sharing a batch costs; what it gains shows on GPUs.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import tensorflow as tf

from emoclf import Settings, cache_photos, find_problems, make_dataset, set_seeds
from emoclf.data.splitting import split_photos
from emoclf.data.synthetic import make_drawn_faces
from emoclf.models import build_augmentation, build_cnn, build_deep_cnn, synchronise_normalisation
from emoclf.training import compile_model, use_devices

SIZE = (96, 96)
BATCH = 32


def count_per_second(batches, count, *, act=lambda _: None):
    """Go through an epoch and return photos per second."""
    start = time.perf_counter()
    for photos, _ in batches:
        act(photos)
    return count / (time.perf_counter() - start)


def train_per_second(cache, build, names):
    """Train for two epochs, the first of which warms up, and return photos per second."""
    train = make_dataset(cache, "train", batch_size=BATCH, shuffle=True)
    with use_devices("one", names=names):
        set_seeds(1)
        model = build(SIZE)
        compile_model(synchronise_normalisation(model) if names else model)
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            model.fit(train, epochs=1, shuffle=False, verbose=0)
            seconds.append(time.perf_counter() - start)
    return len(cache.photos.find_part("train")) / seconds[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=500)
    arguments = parser.parse_args()
    (processor,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, halves)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        make_drawn_faces(data, photos_per_class=arguments.per_class, progress=False)
        split = split_photos(find_problems(data, progress=False).kept, Settings())
        start = time.perf_counter()
        cache = cache_photos(split, image_size=SIZE, progress=False)
        rows = {"decode and resize": len(cache.photos) / (time.perf_counter() - start)}
        stored = cache_photos(
            split,
            image_size=SIZE,
            cache_folder=data / "cache",
            memory_limit_mib=0,
            progress=False,
        )
        count = len(cache.photos.find_part("train"))
        for name, each in (("cache in memory", cache), ("cache on disk", stored)):
            batches = make_dataset(each, "train", batch_size=BATCH, shuffle=True)
            rows[name] = count_per_second(batches, count)
        augment = build_augmentation(seed=1)

        @tf.function
        def change(photos):
            return augment(tf.cast(photos, tf.float32) / 127.5 - 1, training=True)

        batches = make_dataset(cache, "train", batch_size=BATCH, shuffle=True)
        count_per_second(batches, count, act=change)  # traced here
        rows["augment"] = count_per_second(batches, count, act=change)
        for name, build in (("small", build_cnn), ("deep", build_deep_cnn)):
            rows[f"train the {name} network"] = train_per_second(cache, build, None)
        rows["the small one on two devices"] = train_per_second(
            cache, build_cnn, ["CPU:0", "CPU:1"]
        )
    print("| step | photos per second |\n| --- | --- |")
    for name, value in rows.items():
        print(f"| {name} | {value:,.0f} |")


if __name__ == "__main__":
    main()
