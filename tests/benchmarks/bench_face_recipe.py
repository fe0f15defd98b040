"""What each ingredient of the face recipe brings, on a small network and in few epochs.

    python tests/benchmarks/bench_face_recipe.py FER2013 --folder logs/ingredients

Every row adds one ingredient to the row above. Validation is FER2013's PublicTest, happy and sad.
Finished rows are kept in the folder and not trained again.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from emoclf.config import MODEL_FILE_NAME
from emoclf.data.sources.fer2013 import join_face_sets, load_fer2013
from emoclf.evaluation import Evaluation
from emoclf.experiments.face_network.faces import (
    HAPPINESS,
    SADNESS,
    is_happy_or_sad,
    make_targets,
    prepare_faces,
)
from emoclf.experiments.face_network.learning import (
    LearningSettings,
    find_quick_precision,
    predict_emotions,
    train_face_network,
)
from emoclf.experiments.face_network.recipe import RecipeSettings
from emoclf.models.model_file import load_model
from emoclf.models.packaged import softmax
from emoclf.photos import Photos
from emoclf.training import use_precision


def describe(network, validation, *, flip):
    chosen = validation.take(is_happy_or_sad(validation))
    photos = Photos.make(chosen.names.tolist(), chosen.labels == HAPPINESS)
    logits = predict_emotions(network, chosen.pixels, flip=flip)
    found = Evaluation(photos, softmax(logits[:, [SADNESS, HAPPINESS]]))
    right, area = found.accuracy, found.estimates.roc_auc
    return (
        f"{right.value:.3f} ({right.low:.3f} to {right.high:.3f}) "
        f"| {area.value:.4f} ({area.low:.4f} to {area.high:.4f})"
    )


def train(name, faces, targets, *, folder, settings):
    folder = folder / name
    if not (folder / "finished").is_file():
        (folder / "history.csv").unlink(missing_ok=True)
        with use_precision(find_quick_precision()):
            train_face_network(faces.pixels, targets, folder=folder, settings=settings)
        (folder / "finished").touch()
    return load_model(folder / MODEL_FILE_NAME, compiled=False)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fer2013", type=Path)
    parser.add_argument("--votes", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("logs/ingredients"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--recipe", type=Path, help="folder of the finished recipe, for its rows")
    arguments = parser.parse_args()
    roles = prepare_faces(load_fer2013(arguments.fer2013, votes=arguments.votes))
    validation = join_face_sets(roles.tuning, roles.confirmation)
    shown = roles.training
    two = shown.take(is_happy_or_sad(shown))
    full = LearningSettings(
        filters=(24, 32, 64, 128), blocks=(1, 1, 2), epochs=arguments.epochs, dropout=0.2, seed=1
    )
    plain = replace(full, augmentation=None, ema_momentum=None)
    rows = [
        ("labels of happy and sad faces", two, make_targets(two, label_weight=1), plain),
        ("+ the raters' votes", two, make_targets(two, label_weight=0), plain),
        ("+ the other emotions", shown, make_targets(shown, label_weight=0), plain),
        ("+ the label beside the votes", shown, make_targets(shown), plain),
        (
            "+ augmentation",
            shown,
            make_targets(shown),
            replace(plain, augmentation=full.augmentation),
        ),
        ("+ EMA of the weights", shown, make_targets(shown), full),
    ]
    print(f"{len(validation)} faces, {int(is_happy_or_sad(validation).sum())} happy or sad\n")
    print("| ingredient | accuracy (95 %) | area under ROC (95 %) |\n| --- | --- | --- |")
    for number, (name, faces, targets, settings) in enumerate(rows, start=1):
        network = train(f"row_{number}", faces, targets, folder=arguments.folder, settings=settings)
        print(f"| {name} | {describe(network, validation, flip=False)} |", flush=True)
    print(f"| + mirror image at prediction | {describe(network, validation, flip=True)} |")
    if arguments.recipe:
        print_recipe(arguments.recipe, validation)


def print_recipe(folder, validation):
    settings = RecipeSettings()
    steps = [(f"teacher_{n}", one) for n, one in enumerate(settings.teachers, start=1)]
    steps += [(f"student_{n}", one) for n, one in enumerate(settings.rounds, start=1)]
    networks = []
    for name, learning in steps:
        networks.append(load_model(folder / name / MODEL_FILE_NAME, compiled=False)[0])
        title = f"{name.replace('_', ' ')}, {learning.epochs} epochs"
        print(f"| {title} | {describe(networks[-1], validation, flip=False)} |", flush=True)
    print(f"| all of them, mirror image | {describe(networks, validation, flip=True)} |")


if __name__ == "__main__":
    main()
