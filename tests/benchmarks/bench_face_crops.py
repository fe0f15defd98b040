"""Whole photos, face crops, the packaged network, fine-tuning: the same test photos for all.

For each seed the cleaned photos of a folder are split anew, duplicates kept together. The lesson's
network learns from whole photos and from face crops, the packaged network predicts as it is and
after fine-tuning (two epochs of the head, then all of it at a small rate, the best epoch by
validation loss). All predict the same test photos: those in which the detector finds a
face. Over several seeds a photo may be tested more than once, so the pooled intervals are a little
too narrow. The table goes to the standard output, what happens on the way to the error stream.

    python tests/benchmarks/bench_face_crops.py FOLDER --seeds 42 1 2
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from emoclf.config import CLASS_NAMES, FACE_SIZE, PARTS, Settings
from emoclf.data.cleaning import find_problems
from emoclf.data.loading import balanced_class_weights, cache_photos, make_dataset
from emoclf.data.splitting import split_photos
from emoclf.evaluation import Evaluation, evaluate_model
from emoclf.images.faces import make_detector
from emoclf.models import build_cnn, freeze_for_fine_tuning
from emoclf.models.model_file import load_model
from emoclf.models.packaged import PackagedNetwork, load_face_network
from emoclf.photos import Photos
from emoclf.runtime import set_seeds
from emoclf.training import make_callbacks, start_run, train_model

NETWORKS = (
    "lesson's network, whole photos",
    "lesson's network, face crops",
    "packaged, as it is",
    "packaged, fine-tuned",
)
HEAD_EPOCHS = 2


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def make_batches(cache, settings):
    return {
        name: make_dataset(
            cache,
            name,
            batch_size=settings.batch_size,
            shuffle=name == "train",
            seed=settings.seed,
        )
        for name in PARTS
    }


def answer(model, cache, batches):
    """Return path -> probabilities of the test photos."""
    found = evaluate_model(model, batches["test"], cache.photos.part("test"))
    return dict(zip(found.photos.paths, found.probabilities, strict=True))


def run_lesson(cache, settings, logs):
    """Train the lesson's network as the lesson does."""
    batches = make_batches(cache, settings)
    settings = replace(settings, crop=cache.crop)
    model = build_cnn(settings.image_size, dropout=settings.dropout)
    start = time.perf_counter()
    result = train_model(
        model,
        batches["train"],
        validation=batches["validation"],
        run=start_run(settings, cache.photos, logs=logs),
        verbose=0,
    )
    seconds = time.perf_counter() - start
    say(f"  best epoch {result.best_epoch} of {len(result.history['loss'])}")
    return answer(model, cache, batches), seconds


def run_packaged(cache, *_):
    """Ask the packaged network as it comes; it is not trained here."""
    crops = cache.images[cache.photos.find_part("test")]
    start = time.perf_counter()
    probabilities = PackagedNetwork().predict_on_batch(crops)
    seconds = time.perf_counter() - start
    return dict(zip(cache.photos.part("test").paths, probabilities, strict=True)), seconds


def run_fine_tuned(cache, settings, logs, *, epochs, learning_rate):
    """Fine-tune as the lesson does: the head first, then all of it."""
    settings = replace(settings, image_size=FACE_SIZE, crop="face", epochs=HEAD_EPOCHS + epochs)
    run = start_run(settings, cache.photos, logs=logs)
    callbacks = make_callbacks(run, tensorboard=False)
    batches = make_batches(cache, settings)
    weights = balanced_class_weights(cache.photos.part("train").labels, len(CLASS_NAMES))
    model, start = load_face_network(), time.perf_counter()
    stages = (("head", 10 * learning_rate, 0, HEAD_EPOCHS), ("all", learning_rate, HEAD_EPOCHS, 0))
    for stage, rate, first, last in stages:
        freeze_for_fine_tuning(model, stage)
        model.compile(
            keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        history = model.fit(
            batches["train"],
            validation_data=batches["validation"],
            initial_epoch=first,
            epochs=last or settings.epochs,
            class_weight=weights if settings.class_weights else None,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        ).history
        say(f"  {stage}: validation loss", np.round(history["val_loss"], 3).tolist())
    seconds = time.perf_counter() - start
    best, _ = load_model(run.folder / "best.keras")
    return answer(best, cache, batches), seconds


def run_seed(report, settings, arguments, detector):
    """Return labels, paths and name -> (probabilities, seconds) of one split's test faces."""
    split = split_photos(report.kept, settings)
    quiet = {"progress": False, "detector": detector}
    faces = cache_photos(split, image_size=FACE_SIZE, crop="face", **quiet)
    say(faces)
    caches = {
        NETWORKS[0]: lambda: cache_photos(split, image_size=settings.image_size, **quiet),
        NETWORKS[1]: lambda: cache_photos(
            split, image_size=settings.image_size, crop="face", **quiet
        ),
    }
    tuning = {"epochs": arguments.fine_tune_epochs, "learning_rate": arguments.learning_rate}
    functions = {
        NETWORKS[0]: run_lesson,
        NETWORKS[1]: run_lesson,
        NETWORKS[2]: run_packaged,
        NETWORKS[3]: lambda *given: run_fine_tuned(*given, **tuning),
    }
    results = {}
    for name in arguments.networks:
        set_seeds(settings.seed)
        say(f"split {settings.seed}: {name}")
        with tempfile.TemporaryDirectory() as logs:
            cache = caches[name]() if name in caches else faces
            answers, seconds = functions[name](cache, settings, logs)
        rows = np.stack([answers[path] for path in faces.paths("test")])
        results[name] = (rows, seconds)
    return faces.labels("test"), results


def format_row(split, name, result, seconds):
    share, balanced = result.accuracy, result.balanced_accuracy.value
    area = f"{result.curves.roc_auc:.3f}" if result.curves else "-"
    return (
        f"| {split} | {name} | {share.value:.3f} ({share.low:.3f} to {share.high:.3f}, "
        f"n = {share.count}) | {balanced:.3f} | {area} | {seconds} |"
    )


def format_majority(split, result):
    share = result.majority_accuracy
    return (
        f"| {split} | always {result.majority_class} | {share.value:.3f} ({share.low:.3f} to "
        f"{share.high:.3f}, n = {share.count}) | 0.500 | 0.500 | none |"
    )


def format_seed(split, labels, results):
    photos = Photos.make(map(str, range(len(labels))), labels)
    rows = [format_majority(split, Evaluation(photos, next(iter(results.values()))[0]))]
    for name, (probabilities, seconds) in results.items():
        result = Evaluation(photos, probabilities)
        rows.append(format_row(split, name, result, f"{seconds:.1f}"))
    return rows


def format_pooled(all_labels, all_results):
    """All splits together; the area is that of the pooled predictions, the seconds are a mean."""
    labels = np.concatenate(all_labels)
    pooled = {
        name: (
            np.concatenate([results[name][0] for results in all_results]),
            float(np.mean([results[name][1] for results in all_results])),
        )
        for name in all_results[0]
    }
    return format_seed("all", labels, pooled)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="one folder of photos per class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2], help="one split each")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--epochs", type=int, default=Settings().epochs, help="of the lesson's")
    parser.add_argument("--image-size", type=int, default=Settings().image_size[0])
    parser.add_argument("--fine-tune-epochs", type=int, default=4, help="after the head's two")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="of fine-tuning it all")
    parser.add_argument("--detector", choices=("auto", "yunet", "packaged"), default="auto")
    parser.add_argument("--yunet-file", type=Path, help="a YuNet model file to use")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    detector = make_detector(arguments.detector, model_path=arguments.yunet_file)
    say(detector.description, detector.note)
    report = find_problems(arguments.folder)
    side = (arguments.image_size, arguments.image_size)
    all_labels, all_results, rows = [], [], []
    for seed in arguments.seeds:
        settings = Settings(seed=seed, epochs=arguments.epochs, image_size=side)
        labels, results = run_seed(report, settings, arguments, detector)
        all_labels.append(labels)
        all_results.append(results)
        rows += format_seed(seed, labels, results)
    print(f"{detector.description} Test photos with a face; 95 % intervals (Wilson).\n")
    print("| split | network | accuracy | balanced accuracy | area under ROC | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows + format_pooled(all_labels, all_results)))


if __name__ == "__main__":
    main()
