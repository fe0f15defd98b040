"""How much faster a last layer on faces and scene is trained than a network from scratch.

All learn from the same split, from pixels that are decoded already: the tutorial's network (see
`bench_tutorial_network`) and the lesson's from photos in their size, `joint` from photos as they
are, so that it finds the faces and computes the features first, and then again with those kept.

    python tests/benchmarks/bench_joint.py FOLDER
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench_tutorial_network import build_tutorial_network

import emoclf
from emoclf.experiments.learners import train_and_test
from emoclf.images import ModelInfo, load_image, prepare, resize_image
from emoclf.images.faces import make_detector
from emoclf.training import joint

JOINT = emoclf.Settings(network="joint")


def prepare_tutorial(photos, epochs):
    """Return what trains the tutorial's network."""
    parts = [photos.part(part) for part in ("train", "validation")]
    shown = [np.stack([resize_image(load_image(f), (256, 256)) for f in p.files]) for p in parts]
    model = build_tutorial_network()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    data = {"validation_data": (shown[1], parts[1].labels)}
    return lambda: model.fit(shown[0], parts[0].labels, epochs=epochs, verbose=0, **data)


def prepare_small(photos, logs, epochs):
    """Return what trains the lesson's network."""
    cache = emoclf.cache_photos(photos, progress=False)
    return lambda: train_and_test(cache, emoclf.Settings(epochs=epochs), folder=logs / "small")


def prepare_joint(photos, logs, detector):
    """Return what trains a head, from photos that are decoded already."""
    info = ModelInfo(image_size=JOINT.image_size, crop="both")
    decoded = {file: load_image(file) for file in photos.files}
    joint.prepare = lambda file, _, **options: prepare(decoded[file], info, **options)
    return lambda: emoclf.train(photos, JOINT, logs=logs, detector=detector)


def measure(function):
    """Return the seconds that a call takes, and those of all processors' work on it."""
    start = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20, help="of the tutorial's network")
    parser.add_argument("--small-epochs", type=int, default=emoclf.Settings().epochs)
    parser.add_argument("--yunet-file", type=Path)
    arguments = parser.parse_args()
    photos = emoclf.split_photos(emoclf.find_problems(arguments.folder, progress=False).kept)
    detector = make_detector(model_path=arguments.yunet_file)
    print(f"{len(photos)} photos, load {os.getloadavg()[0]:.1f}. {detector.description}")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        head = prepare_joint(photos, logs, detector)
        calls = {
            "joint": head,
            "joint again, features kept": head,
            f"tutorial's network, {arguments.epochs} epochs": prepare_tutorial(
                photos, arguments.epochs
            ),
            f"small, {arguments.small_epochs} epochs": prepare_small(
                photos, logs, arguments.small_epochs
            ),
        }
        first = None
        for name, call in calls.items():
            found = measure(call)
            first = first or found
            times = ", ".join(
                f"{value:.1f} s {what} ({value / joint_value:.1f} x)"
                for value, joint_value, what in zip(found, first, ("", "of work"), strict=True)
            )
            print(f"{name}: {times}, load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
