"""Faces and scene against the small network in small folders: numbers, and the README's figure.

Of every class 20, 50 and 100 different photos are drawn, five times; a fifth of them validates.
Both networks learn from the same photos and are tested on all others but duplicates of those. The
packaged networks must not have learned from FOLDER.

    python tests/benchmarks/bench_small_folders.py FOLDER --output small_folders.png
"""

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy.stats import t

import emoclf
from emoclf.evaluation import Evaluation
from emoclf.experiments.learners import train_and_test
from emoclf.images.faces import make_detector
from emoclf.models.joint import JointNetwork
from emoclf.plots.style import make_figure
from emoclf.training.joint import find_features, fit_head

NETWORKS = {"joint": "#2E8B57", "small": "#B0733A"}
GUESSING = "always the more frequent class"
MEASURES = ("accuracy", "balanced", "area under ROC")


def draw_photos(photos, count, seed):
    """Draw `count` photos of each class to learn from; return all that are used, and where."""
    generator = np.random.default_rng(seed)
    parts = np.full(len(photos), "test", dtype=object)
    is_used = np.ones(len(photos), dtype=bool)
    for label in range(len(photos.class_names)):
        rows = generator.permutation(np.flatnonzero(photos.labels == label))
        first = np.sort(np.unique(photos.groups[rows], return_index=True)[1])
        chosen = rows[first[:count]]
        is_used &= ~np.isin(photos.groups, photos.groups[chosen])
        parts[chosen] = "train"
        parts[chosen[: count // 5]] = "validation"
    is_used |= parts != "test"
    return photos.take(is_used).with_parts(parts[is_used]), is_used


def test_both(photos, cache, features, *, seed):
    """Let both networks learn from photos in parts; return accuracy, balanced accuracy, area."""
    is_test = photos.find_part("test")
    head = fit_head(features, photos, class_weights=True).head
    found = {"joint": Evaluation(photos.part("test"), head.predict(features[is_test]))}
    with tempfile.TemporaryDirectory() as logs:
        _, found["small"] = train_and_test(
            cache, emoclf.Settings(seed=seed), folder=Path(logs, "r")
        )
    numbers = {
        name: [each.accuracy.value, each.balanced_accuracy.value, each.curves.roc_auc]
        for name, each in found.items()
    }
    return numbers | {GUESSING: [found["small"].majority_accuracy.value, 0.5, 0.5]}


def summarise(rows):
    """Return the mean of some draws and half the width of its 95 % interval."""
    rows = np.array(rows)
    half = t.ppf(0.975, len(rows) - 1) * rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
    return rows.mean(axis=0), half


def plot(found):
    """Draw a panel per measure: its mean over the draws and the interval, by photos per class."""
    figure = make_figure(5, 3.1)
    axes = figure.subplots(1, len(MEASURES), sharey=True)
    for column, (axis, title) in enumerate(zip(axes, MEASURES, strict=True)):
        for shift, (name, colour) in zip((-0.06, 0.06), NETWORKS.items(), strict=True):
            stats = [summarise([draw[name] for draw in draws]) for draws in found.values()]
            values, halves = ([each[i][column] for each in stats] for i in (0, 1))
            axis.errorbar(
                np.arange(len(stats)) + shift,
                values,
                halves,
                color=colour,
                marker="o",
                capsize=3,
                label=f"--network {name}",
            )
        guessed = [summarise([draw[GUESSING] for draw in draws])[0] for draws in found.values()]
        guessed = [each[column] for each in guessed]
        axis.plot(range(len(found)), guessed, "--", color="grey", label=GUESSING)
        axis.set_xticks(range(len(found)), list(found))
        axis.set_title(title, fontsize=11)
        axis.grid(axis="y", alpha=0.4)
        axis.set_xlim(-0.4, len(found) - 0.6)
    axes[1].set_xlabel("photos of each class to learn from", fontsize=11)
    guessing, *networks = zip(*axes[0].get_legend_handles_labels(), strict=True)
    figure.legend(*zip(*networks, guessing, strict=True), loc="outside upper center", ncols=2)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--yunet-file", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="the figure, .png")
    arguments = parser.parse_args()
    photos = emoclf.find_problems(arguments.folder).kept
    cache = emoclf.cache_photos(photos, progress=False)
    detector = make_detector(model_path=arguments.yunet_file)
    features = find_features(photos, JointNetwork(), detector=detector)
    print(f"{len(photos)} photos. {detector.description}")
    found = {}
    for count in arguments.counts:
        found[count] = []
        for seed in range(arguments.draws):
            drawn, is_used = draw_photos(photos, count, (count, seed))
            own = replace(cache, photos=drawn, images=cache.images[is_used])
            found[count].append(test_both(drawn, own, features[is_used], seed=seed))
        for name in NETWORKS:
            mean, half = summarise([draw[name] for draw in found[count]])
            texts = [f"{m:.3f} ± {h:.3f}" for m, h in zip(mean, half, strict=True)]
            print(f"{count} per class, {name}: " + ", ".join(texts), flush=True)
        arguments.output.with_suffix(".json").write_text(json.dumps(found))
    figure = plot(found)
    figure.savefig(arguments.output, dpi=200)


if __name__ == "__main__":
    main()
