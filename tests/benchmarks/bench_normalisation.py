"""What batch normalisation costs a CPU per epoch, and what it buys: all maps against small ones.

    python tests/benchmarks/bench_normalisation.py FOLDER --epochs 6

FOLDER holds one folder of photos per class, `data/drawn_faces/...` for example.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import emoclf
from emoclf.training import compile_model, make_learning_rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    settings = emoclf.Settings(epochs=arguments.epochs)
    split = emoclf.split_photos(emoclf.find_problems(arguments.folder).kept, settings)
    cache = emoclf.cache_photos(split, image_size=settings.image_size, progress=False)
    for name, limit in {"every map": None, "maps up to 24 px": 24}.items():
        emoclf.set_seeds(settings.seed)
        model = emoclf.build_cnn(settings.image_size, normalise_up_to_px=limit)
        train = emoclf.make_dataset(cache, "train", batch_size=settings.batch_size, shuffle=True)
        rate = make_learning_rate(
            len(train), epochs=settings.epochs, learning_rate=settings.learning_rate
        )
        compile_model(model, learning_rate=rate)
        start = time.perf_counter()
        history = model.fit(
            train,
            validation_data=emoclf.make_dataset(cache, "validation"),
            epochs=settings.epochs,
            shuffle=False,
            verbose=0,
        ).history
        seconds = (time.perf_counter() - start) / settings.epochs
        accuracies = " ".join(f"{value:.2f}" for value in history["val_accuracy"])
        print(f"{name:18} {seconds:5.1f} s per epoch, validation accuracy {accuracies}", flush=True)


if __name__ == "__main__":
    main()
