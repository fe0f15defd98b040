"""Does what a network learned from one task help with another, when photos are few?

    python tests/benchmarks/bench_transfer.py FER2013 --folder logs/transfer

The deeper network learns FER2013's five other emotions first: no happy and no sad face is in it.
Then it learns happy and sad from 100 Training faces, in stages; the same network learns the same
faces from scratch, for a third more epochs, at the same rate. Both choose their best epoch on the
same 100 further faces and are tested on the happy and sad faces of PublicTest. Training faces that
are duplicates of those are out. Stages and rate were chosen on sample 101, which is not reported.
Finished parts are kept in the folder and not made again.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from emoclf.config import FACE_SIZE, Settings
from emoclf.data.sources.fer2013 import EMOTIONS, load_fer2013
from emoclf.evaluation import wilson_interval
from emoclf.experiments.face_network.faces import (
    HAPPINESS,
    SADNESS,
    find_leakage,
    is_happy_or_sad,
)
from emoclf.experiments.face_network.learning import (
    Augmentation,
    FaceBatches,
    find_quick_precision,
    grey_to_rgb,
)
from emoclf.images import ModelInfo
from emoclf.models import build_deep_cnn
from emoclf.models.model_file import load_model, save_model
from emoclf.photos import Photos
from emoclf.runtime import set_seeds
from emoclf.storage import write_json
from emoclf.training import Stage, make_learning_rate, start_run, train_model, use_precision

OTHERS = tuple(name for name in EMOTIONS if name not in ("happiness", "sadness", "contempt"))
SETTINGS = Settings(image_size=FACE_SIZE, crop="face", network="deep", patience=1000, epochs=60)


def split_faces(path):
    """Other emotions and happy or sad faces to learn from, happy or sad faces to be tested on."""
    faces = load_fer2013(path)
    test = faces.take((faces.usages == "PublicTest") & is_happy_or_sad(faces))
    shown = faces.take(faces.usages == "Training")
    leakage = find_leakage(shown, test)
    print(leakage)
    shown = shown.take(~leakage.is_duplicate)
    return shown.take(~is_happy_or_sad(shown)), shown.take(is_happy_or_sad(shown)), test


def pretrain(faces, *, folder, epochs):
    """Learn the five other emotions; return the network."""
    path = folder / "pretrained.keras"
    if path.is_file():
        return load_model(path)[0]
    names = [EMOTIONS[label] for label in faces.labels]
    faces = faces.take(np.isin(names, OTHERS))
    targets = np.eye(len(OTHERS), dtype=np.float32)[
        [OTHERS.index(EMOTIONS[label]) for label in faces.labels]
    ]
    begun = time.perf_counter()
    set_seeds(1)
    batches = FaceBatches(
        faces.pixels, targets, batch_size=64, augmentation=Augmentation(erase=0), seed=1
    )
    with use_precision(find_quick_precision()):
        network = build_deep_cnn(FACE_SIZE, OTHERS, augment=False)
    rate = make_learning_rate(len(batches), epochs=epochs, learning_rate=2e-3)
    network.compile(
        keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    history = network.fit(batches, epochs=epochs, shuffle=False, verbose=2).history
    plain = build_deep_cnn(FACE_SIZE, OTHERS, augment=False)
    plain.set_weights(network.get_weights())
    save_model(plain, path, info=ModelInfo(OTHERS, FACE_SIZE, crop="face"))
    numbers = {"faces": len(faces), "epochs": epochs, "seconds": time.perf_counter() - begun}
    write_json(folder / "pretrained.json", {**numbers, "accuracy": history["accuracy"][-1]})
    return plain


def build_on(pretrained):
    """The same network with a new head for two classes."""
    model = build_deep_cnn(FACE_SIZE)
    for layer in model.layers:
        if layer.weights and layer.name != "probabilities":
            layer.set_weights(pretrained.get_layer(layer.name).get_weights())
    return model


def draw_sample(faces, *, seed, count):
    """As many sad as happy faces to learn from, and as many again to choose the epoch."""
    random = np.random.default_rng(seed)
    chosen = [
        random.permutation(np.flatnonzero(faces.labels == label))[:count]
        for label in (SADNESS, HAPPINESS)
    ]
    halves = [np.concatenate([part[: count // 2] for part in chosen])]
    halves.append(np.concatenate([part[count // 2 :] for part in chosen]))
    return [faces.take(random.permutation(half)) for half in halves]


def make_batches(faces, *, seed=None):
    labels = (faces.labels == HAPPINESS).astype(np.int64)
    data = tf.data.Dataset.from_tensor_slices((grey_to_rgb(faces.pixels), labels))
    return (data if seed is None else data.shuffle(len(faces), seed=seed)).batch(16)


def learn(kind, sample, *, pretrained, folder, seed):
    """Train one network on one sample; return its model."""
    train, validation = sample
    names = [str(name) for name in train.names]
    photos = Photos.make(names, [0] * len(names), parts=["train"] * len(names), seed=seed)
    settings = replace(SETTINGS, seed=seed, class_weights=False)
    rate, stages = settings.learning_rate, None
    if kind == "from scratch":
        settings = replace(settings, epochs=settings.epochs * 4 // 3)
    else:
        stages = [Stage("head", 4, rate), Stage("all", settings.epochs - 4, rate)]
    run = start_run(settings, photos, logs=folder)
    set_seeds(seed)
    batches, others = make_batches(train, seed=seed), make_batches(validation)
    model = build_deep_cnn(FACE_SIZE) if stages is None else build_on(pretrained)
    train_model(model, batches, validation=others, run=run, stages=stages, verbose=0)
    return model


def answer(kind, sample, test, **options):
    """Whether each test face was predicted rightly; kept in a file."""
    folder, seed = options["folder"], options["seed"]
    path = folder / f"{kind.replace(' ', '_')}_{seed}.json"
    if not path.is_file():
        begun = time.perf_counter()
        model = learn(kind, sample, **options)
        happy = model.predict(grey_to_rgb(test.pixels), batch_size=128, verbose=0).argmax(axis=1)
        right = (happy == (test.labels == HAPPINESS)).astype(int).tolist()
        write_json(path, {"right": right, "seconds": time.perf_counter() - begun})
    return np.array(json.loads(path.read_text())["right"])


def report(rights, kinds):
    """The table, and the paired comparison over samples and over faces."""
    print("\n| sample | " + " | ".join(kinds) + " |\n| --- |" + " --- |" * len(kinds))
    for row, answers in enumerate(zip(*(rights[kind] for kind in kinds), strict=True), start=1):
        shares = [wilson_interval(int(one.sum()), len(one)) for one in answers]
        cells = [f"{s.value:.3f} ({s.low:.3f} to {s.high:.3f}, n = {s.count})" for s in shares]
        print(f"| {row} | {' | '.join(cells)} |")
    for kind in kinds[1:]:
        mine, base = np.array(rights[kind]), np.array(rights[kinds[0]])
        gains = (mine - base).mean(axis=1)
        half = stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains)
        worst = max(
            stats.binomtest(int(((m == 1) & (b == 0)).sum()), int((m != b).sum())).pvalue
            for m, b in zip(mine, base, strict=True)
        )
        print(
            f"\n{kind} less {kinds[0]}: {gains.mean():+.3f} ({gains.mean() - half:+.3f} to "
            f"{gains.mean() + half:+.3f}, t over {len(gains)} samples); by sample "
            f"{', '.join(f'{gain:+.3f}' for gain in gains)}; largest p of McNemar's exact test "
            f"in a sample: {worst:.2g}. Mean accuracy {mine.mean():.3f} against {base.mean():.3f}."
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fer2013", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("logs/transfer"))
    parser.add_argument("--epochs", type=int, default=8, help="of the first task")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--count", type=int, default=100, help="faces to learn from")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    others, pool, test = split_faces(arguments.fer2013)
    print(f"{len(others):,} other faces, {len(pool):,} to draw from, {len(test):,} to be tested on")
    pretrained = pretrain(others, folder=arguments.folder, epochs=arguments.epochs)
    kinds = ("from scratch", "pre-trained")
    rights = {kind: [] for kind in kinds}
    for seed in range(1, arguments.samples + 1):
        sample = draw_sample(pool, seed=seed, count=arguments.count)
        for kind in kinds:
            options = {"pretrained": pretrained, "folder": arguments.folder, "seed": seed}
            rights[kind].append(answer(kind, sample, test, **options))
            print(f"sample {seed}, {kind}: {rights[kind][-1].mean():.3f}", flush=True)
    report(rights, kinds)


if __name__ == "__main__":
    main()
