"""The lesson's network against the best-known tutorial's, on the same splits, in one run.

The tutorial's network sees photos stretched to 256 x 256 pixels: Conv 16, Conv 32, Conv 16, each
followed by pooling, Dense 256, one sigmoid; Adam, 20 epochs, no augmentation. Both are trained on
the same cleaned photos of the same grouped splits and tested on the same test photos.

    python tests/benchmarks/bench_tutorial_network.py FOLDER --seeds 42 1 2
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from PIL import Image

import emoclf
from emoclf.photos import Photos


def build_tutorial_network():
    return keras.Sequential(
        [
            keras.Input((256, 256, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def run_tutorial(split):
    """Train the tutorial's network; return test probabilities of Happy and seconds of training."""

    def load(name):
        paths = [Path(split.root) / file.path for file in split.part(name).rows]
        photos = [Image.fromarray(emoclf.load_image(path)) for path in paths]
        return np.stack([np.asarray(p.resize((256, 256), Image.BILINEAR)) for p in photos])

    images, validation, test = load("train"), load("validation"), load("test")
    model = build_tutorial_network()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(
        images,
        split.part("train").labels,
        validation_data=(validation, split.part("validation").labels),
        epochs=20,
        verbose=0,
    )
    seconds = time.perf_counter() - start
    happy = model.predict(test, verbose=0)[:, 0].astype(float)
    return np.stack([1 - happy, happy], axis=1), seconds


def run_lesson(split, settings):
    """Train the lesson's network; return test probabilities and seconds of training."""
    cache = emoclf.cache_photos(
        split, image_size=settings.image_size, resize_mode=settings.resize_mode, progress=False
    )
    train = emoclf.make_dataset(
        cache, "train", batch_size=settings.batch_size, shuffle=True, seed=settings.seed
    )
    model = emoclf.build_cnn(settings.image_size, dropout=settings.dropout)
    with tempfile.TemporaryDirectory() as logs:
        start = time.perf_counter()
        result = emoclf.train_model(
            model,
            train,
            validation=emoclf.make_dataset(cache, "validation"),
            run=emoclf.start_run(settings, split, logs=logs),
            verbose=0,
        )
        seconds = time.perf_counter() - start
    print(f"  best epoch {result.best_epoch} of {len(result.history['loss'])}")
    test = emoclf.make_dataset(cache, "test")
    return emoclf.evaluate_model(model, test, cache.photos.part("test")).probabilities, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2], help="one split each")
    arguments = parser.parse_args()
    kept = emoclf.find_problems(arguments.folder).kept
    answers = {"tutorial": [], "lesson": []}
    seconds = {"tutorial": [], "lesson": []}
    truth = []
    for seed in arguments.seeds:
        settings = emoclf.Settings(seed=seed)
        split = emoclf.split_photos(kept, settings)
        truth.append(split.part("test").labels)
        runs = {"tutorial": run_tutorial, "lesson": lambda s, v=settings: run_lesson(s, v)}
        for name, function in runs.items():
            emoclf.set_seeds(seed)
            probabilities, elapsed = function(split)
            answers[name].append(probabilities)
            seconds[name].append(elapsed)
            result = emoclf.Evaluation(split.part("test"), probabilities)
            print(f"split {seed}, {name}: trained {elapsed:.0f} s\n{result}", flush=True)
    print(f"\nall {len(arguments.seeds)} splits together")
    labels = np.concatenate(truth)
    photos = Photos.make(map(str, range(len(labels))), labels)
    for name, probabilities in answers.items():
        result = emoclf.Evaluation(photos, np.concatenate(probabilities))
        print(f"\n{name}: trained {np.mean(seconds[name]):.0f} s on average\n{result}")
    factor = np.sum(seconds["tutorial"]) / np.sum(seconds["lesson"])
    print(f"\nthe lesson's network trains {factor:.2f} times as fast as the tutorial's")


if __name__ == "__main__":
    main()
