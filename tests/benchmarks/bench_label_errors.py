"""How many wrong labels are found, when one in twenty is turned at random?

    python tests/benchmarks/bench_label_errors.py drawn
    python tests/benchmarks/bench_label_errors.py FER2013 --per-class 1000 --epochs 15

The faces are split into folds, the lesson's small network predicts each fold after it has learned
from the others with the wrong labels among them, and `rank_label_errors` makes its list. Reported
are which fraction of the turned labels is on the list (recall), which fraction of the list was
turned (precision), and the same for the top of the list that is as long as there are turned labels;
each with its Wilson interval. FER2013's own wrong labels count against the precision: there, the
raters of FER+ tell how many of the others on it they would not call as they are labelled either.
The packaged network has learned from FER2013's labels and is not used.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.config import CLASS_NAMES, FACE_SIZE, Settings
from emoclf.data.cleaning import find_problems
from emoclf.data.sources.fer2013 import EMOTIONS, load_fer2013
from emoclf.data.synthetic import make_drawn_faces
from emoclf.evaluation import wilson_interval
from emoclf.experiments.cross_validation import cross_validate
from emoclf.experiments.label_errors import rank_label_errors

HAPPINESS, SADNESS = EMOTIONS.index("happiness"), EMOTIONS.index("sadness")


def draw(folder, per_class):
    """Draw faces; no votes."""
    make_drawn_faces(folder, photos_per_class=per_class, seed=5)
    return {}


def take_fer2013(path, folder, per_class, seed):
    """Write a sample of happy and sad Training faces as files; return the raters' votes by name."""
    faces = load_fer2013(path)
    votes = {}
    for name, label in zip(CLASS_NAMES, (SADNESS, HAPPINESS), strict=True):
        (folder / name.lower()).mkdir(parents=True)
        own = np.flatnonzero((faces.usages == "Training") & (faces.labels == label))
        for index in np.random.default_rng(seed).permutation(own)[:per_class]:
            file = folder / name.lower() / f"{index}.png"
            Image.fromarray(faces.pixels[index]).save(file)
            votes[str(index)] = faces.votes[index]
    return votes


def turn_labels(folder, share, seed):
    """Move a fraction of the files of each class to the other one; return their new paths."""
    turned = set()
    random = np.random.default_rng(seed)
    files = {name: sorted((folder / name.lower()).iterdir()) for name in CLASS_NAMES}
    for name, other in (CLASS_NAMES, CLASS_NAMES[::-1]):
        for file in random.permutation(files[name])[: round(share * len(files[name]))]:
            new = folder / other.lower() / f"turned_{file.name}"
            file.rename(new)
            turned.add(new.relative_to(folder).as_posix())
    return turned


def doubted(paths, votes):
    """How many of some photos most raters who saw happiness or sadness call differently, or tie."""
    wanted = {"sad": (SADNESS, HAPPINESS), "happy": (HAPPINESS, SADNESS)}
    count = 0
    for path in paths:
        folder, _, name = path.partition("/")
        own, other = wanted[folder]
        count += votes[Path(name).stem][own] <= votes[Path(name).stem][other]
    return count


def report(review, turned, votes, total):
    listed = [each.path for each in review.label_errors]
    print(f"{total} photos, {len(turned)} turned; {len(listed)} listed")
    print(Counter(each.kinds[0] for each in review.label_errors), review.noise_rates)
    chosen = [e.path for e in review.label_errors if "confident_learning" in e.kinds]
    lists = (
        ("confident learning", chosen),
        ("whole list", listed),
        (f"first {len(turned)}", listed[: len(turned)]),
    )
    for name, paths in lists:
        hits = len(turned.intersection(paths))
        print(f"{name:20} recall    {wilson_interval(hits, len(turned))}")
        print(f"{'':20} precision {wilson_interval(hits, len(paths))}")
        if votes:
            others = [path for path in paths if path not in turned]
            share = wilson_interval(doubted(others, votes), len(others))
            print(f"{'':20} of the others, not called so by the raters: {share}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", help="'drawn', or FER2013 in any form")
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        drawn = arguments.faces == "drawn"
        if drawn:
            votes = draw(folder, arguments.per_class)
        else:
            votes = take_fer2013(arguments.faces, folder, arguments.per_class, arguments.seed)
        turned = turn_labels(folder, arguments.share, arguments.seed)
        found = find_problems(folder, progress=False)
        photos = found.kept.with_parts(["train"] * len(found.kept), seed=arguments.seed)
        size = (64, 64) if drawn else FACE_SIZE
        result = cross_validate(
            photos,
            Settings(image_size=size, epochs=arguments.epochs),
            fold_count=arguments.folds,
            logs=Path(temporary) / "logs",
            say=lambda line: print(line, flush=True),
        )
        print(result)
        review = rank_label_errors(result.evaluation, found)
        report(review, turned, votes, len(photos))


if __name__ == "__main__":
    main()
