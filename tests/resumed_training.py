"""Trains a tiny network on drawn faces in a process of its own, to be killed and started again.

    python tests/resumed_training.py DATA LOGS NAME [--epochs 6]

Early stopping and a plateau cut are both at work, with dropout, augmentation and averaged weights.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import emoclf
import emoclf.storage
from emoclf.data.loading import cache_photos, make_dataset
from emoclf.data.splitting import split_photos
from emoclf.models import build_cnn
from emoclf.runtime import set_seeds
from emoclf.training import KeepState, make_callbacks, start_run

SIZE = (32, 32)


def build(settings):
    set_seeds(settings.seed)
    model = build_cnn(SIZE, filters=(8, 8), dropout=0.3)
    model.compile(
        keras.optimizers.Adam(settings.learning_rate, use_ema=True, ema_momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def train(data, logs, name, *, epochs=6, patience=3, extra=()):
    """Train, or go on, and return the model and the history."""
    settings = emoclf.Settings(image_size=SIZE, epochs=epochs, ema_momentum=0.9, patience=patience)
    split = split_photos(emoclf.find_problems(data, progress=False).kept, settings)
    run = start_run(settings, split, logs=logs, name=name, resume=True)
    cache = cache_photos(split, image_size=SIZE, progress=False)
    batches = make_dataset(cache, "train", shuffle=True)
    callbacks = make_callbacks(run, tensorboard=False)
    callbacks.insert(1, keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=0.1))
    model = build(settings)
    keep = KeepState(run, batches, callbacks=callbacks)
    history = model.fit(
        batches,
        validation_data=make_dataset(cache, "validation"),
        epochs=epochs,
        initial_epoch=keep.initial_epoch,
        callbacks=[*callbacks, *extra, keep],
        shuffle=False,
        verbose=0,
    )
    return model, history.history, keep


def collect(model, history):
    """Return everything that has to be the same to the bit."""
    variables = [*model.variables, *model.optimizer.variables]
    arrays = {f"{number:03}": np.asarray(each) for number, each in enumerate(variables)}
    return arrays | {name: np.array(values) for name, values in history.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("logs", type=Path)
    parser.add_argument("name")
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    model, history, _ = train(
        arguments.data, arguments.logs, arguments.name, epochs=arguments.epochs
    )
    with emoclf.storage.replacing(arguments.logs / f"{arguments.name}.npz") as temporary:
        np.savez(temporary, **collect(model, history))


if __name__ == "__main__":
    main()
