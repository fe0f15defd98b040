"""From FER2013 to the packaged face network: the whole recipe as one function.

Several networks learn the raters' votes on all emotions; a smaller one is then taught by them and
by the votes. Everything goes into one folder, finished networks are not trained again, so that a
recipe that was stopped goes on where it was (at the last finished network).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.artefacts import MODEL_FILE_NAME, load_model
from emoclf.calibration import fit_temperature_and_bias
from emoclf.config import FACE_SIZE
from emoclf.face_training.copies import Crossings, find_crossings
from emoclf.face_training.judging import HAPPINESS, SADNESS, is_happy_or_sad, judge, measure_area
from emoclf.face_training.learning import (
    LearningSettings,
    Watch,
    precision,
    predict_emotions,
    train_face_network,
)
from emoclf.face_training.packaging import compact_network, save_package
from emoclf.face_training.targets import LABEL_WEIGHT, find_teachable, make_targets
from emoclf.fer2013 import EMOTIONS, FaceSet
from emoclf.models import build_face_network
from emoclf.packaged import ModelCard, calibrate_logits, softmax
from emoclf.storage import read_json, write_json

FINISHED_FILE_NAME = "finished.json"
"""Lies in the folder of a network whose training is complete."""


@dataclass(frozen=True)
class RecipeSettings:
    """How the packaged network is made.

    Attributes:
        teachers: How each network that learns from the votes alone is trained.
        student: How the small network is trained.
        label_weight: Share of FER2013's own label in the targets; the rest are the votes.
        teacher_weight: Share of the teachers' answer in the student's targets.
        mirror: See `ModelCard`.
        uncertain_below: See `ModelCard`.
        neither_above: See `ModelCard`.
    """

    teachers: tuple[LearningSettings, ...] = (LearningSettings(epochs=22, seed=1),)
    student: LearningSettings = field(
        default_factory=lambda: LearningSettings(
            filters=(24, 48, 96, 136), epochs=36, dropout=0.2, seed=11
        )
    )
    label_weight: float = LABEL_WEIGHT
    teacher_weight: float = 0.5
    mirror: bool = False
    uncertain_below: float = 0.75
    neither_above: float = 0.75


@dataclass(frozen=True)
class Lesson:
    """The faces of the recipe, each in its role.

    Attributes:
        training: Faces to learn from, without copies of the others.
        tuning: Validation faces that settings and temperature are chosen on.
        confirmation: Validation faces that are looked at once, at the end; none is a copy of a
            tuning face.
        crossings: The training faces that were left out as copies.
    """

    training: FaceSet
    tuning: FaceSet
    confirmation: FaceSet
    crossings: Crossings


def prepare_faces(faces: FaceSet) -> Lesson:
    """Give every face its role.

    Training faces are FER2013's "Training" without copies of validation faces and without pictures
    that the raters call no face. Validation faces are FER2013's "PublicTest": those with an even
    number in their name tune, the others confirm. "PrivateTest" is not looked at.

    Args:
        faces: FER2013.

    Returns:
        The faces by role.

    Raises:
        ValueError: If there are no training or no validation faces.
    """
    training = faces.take(faces.usages == "Training")
    validation = faces.take(faces.usages == "PublicTest")
    if not len(training) or not len(validation):
        raise ValueError(
            "Expected faces with the usages 'Training' and 'PublicTest'. "
            f"Received: {sorted(set(faces.usages.tolist()))}."
        )
    crossings = find_crossings(training, validation)
    is_even = np.arange(len(validation)) % 2 == 0
    tuning, confirmation = validation.take(is_even), validation.take(~is_even)
    confirmation = confirmation.take(~find_crossings(confirmation, tuning).is_copy)
    return Lesson(
        training=training.take(~crossings.is_copy & find_teachable(training)),
        tuning=tuning,
        confirmation=confirmation,
        crossings=crossings,
    )


def train_packaged_network(
    faces: FaceSet,
    folder: str | Path,
    *,
    settings: RecipeSettings | None = None,
    policy: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> keras.Model:
    """Train teachers and student.

    Needs no TensorFlow: any Keras backend will do (`KERAS_BACKEND=jax`).

    Args:
        faces: FER2013, best with FER+ votes (`load_fer2013`).
        folder: Where every network gets a folder of its own, with its log.
        settings: The recipe; default: that of the packaged network.
        policy: Keras dtype policy for the training; `"auto"` is half precision where it is quick.
        say: Called with a line of progress now and then, such as `print`.

    Returns:
        The student, in float32, from uint8 RGB to probabilities of the emotions.
    """
    folder, settings = Path(folder), settings or RecipeSettings()
    lesson = prepare_faces(faces)
    say(f"{len(lesson.training):,} faces to learn from. {lesson.crossings}")
    targets = make_targets(lesson.training, label_weight=settings.label_weight)
    watch = make_watch(lesson.tuning, settings.label_weight)
    teachers = []
    for number, teacher in enumerate(settings.teachers, start=1):
        name = folder / f"teacher_{number}"
        teachers.append(_train_once(lesson, targets, name, teacher, watch, policy, say))
    if teachers:
        taught = softmax(predict_emotions(teachers, lesson.training.pixels))
        targets = settings.teacher_weight * taught + (1 - settings.teacher_weight) * targets
    return _train_once(lesson, targets, folder / "student", settings.student, watch, policy, say)


def _train_once(
    lesson: Lesson,
    targets: np.ndarray,
    folder: Path,
    settings: LearningSettings,
    watch: Watch,
    policy: str,
    say: Callable[[str], None],
) -> keras.Model:
    if not (folder / FINISHED_FILE_NAME).is_file():
        say(f"{folder.name}: {settings.epochs} epochs, log in {folder / 'history.csv'}")
        (folder / "history.csv").unlink(missing_ok=True)
        with precision(policy) as used:
            network = train_face_network(
                lesson.training.pixels, targets, folder=folder, settings=settings, watch=watch
            )
        write_json(folder / FINISHED_FILE_NAME, {**watch(network), "precision": used})
    numbers = read_json(folder / FINISHED_FILE_NAME, what="the result of a finished network")
    say(f"{folder.name}: " + ", ".join(f"{name} {value}" for name, value in numbers.items()))
    return load_float32(folder / MODEL_FILE_NAME, settings)


def load_float32(path: str | Path, settings: LearningSettings) -> keras.Model:
    """Load a network of the recipe to compute in single precision, however it was trained.

    Args:
        path: Its `.keras` file.
        settings: What it was trained with.

    Returns:
        The network.
    """
    trained, _ = load_model(path)
    with precision("float32"):
        network = build_face_network(
            trained.input_shape[1:3], EMOTIONS, filters=settings.filters, blocks=settings.blocks
        )
    network.set_weights(trained.get_weights())
    return network


def make_watch(tuning: FaceSet, label_weight: float = LABEL_WEIGHT) -> Watch:
    """Make the function that looks at a network after every epoch.

    Args:
        tuning: Faces to look at.
        label_weight: As in `make_targets`.

    Returns:
        From a network to its cross-entropy on all emotions, and its accuracy and area under ROC on
        happy against sad.
    """
    targets, chosen = make_targets(tuning, label_weight=label_weight), is_happy_or_sad(tuning)
    happy = (tuning.labels[chosen] == HAPPINESS).astype(np.int64)

    def watch(network: keras.Model) -> Mapping[str, float]:
        logits = predict_emotions(network, tuning.pixels)
        lead = logits[chosen, HAPPINESS] - logits[chosen, SADNESS]
        cross_entropy = -(targets * np.log(np.maximum(softmax(logits), 1e-9))).sum(axis=1)
        return {
            "tuning_cross_entropy": round(float(cross_entropy.mean()), 4),
            "tuning_accuracy": round(float(((lead > 0) == happy).mean()), 4),
            "tuning_area_under_roc": round(measure_area(happy, lead, draws=0).value, 4),
        }

    return watch


def package_student(
    student: keras.Model,
    faces: FaceSet,
    folder: str | Path,
    *,
    settings: RecipeSettings | None = None,
) -> ModelCard:
    """Make the student compact, calibrate it, measure it and write the packaged files.

    Args:
        student: From `train_packaged_network`.
        faces: FER2013, with votes.
        folder: Where the three files go.
        settings: The recipe that was followed.

    Returns:
        The card with all figures.
    """
    settings, lesson = settings or RecipeSettings(), prepare_faces(faces)
    card = ModelCard(
        emotions=EMOTIONS,
        image_size=FACE_SIZE,
        temperature=1.0,
        bias=0.0,
        mirror=settings.mirror,
        uncertain_below=settings.uncertain_below,
        neither_above=settings.neither_above,
        filters=settings.student.filters,
        blocks=settings.student.blocks,
        sha256={},
        figures={},
    )
    compact = compact_network(student, card)
    card = _calibrate(compact, lesson.tuning, card)
    figures: dict[str, Any] = {
        "training_faces": len(lesson.training),
        "copies_left_out": {"exact": lesson.crossings.exact, "near": lesson.crossings.near},
    }
    for name, part in (("tuning", lesson.tuning), ("confirmation", lesson.confirmation)):
        figures[name] = _judge_compact(compact, part, card)
    return save_package(compact, folder, card=replace(card, figures=figures))


def _calibrate(network: keras.Model, tuning: FaceSet, card: ModelCard) -> ModelCard:
    chosen = tuning.take(is_happy_or_sad(tuning))
    logits = predict_emotions(network, chosen.pixels, flip=card.mirror)[:, [SADNESS, HAPPINESS]]
    happy = (chosen.labels == HAPPINESS).astype(np.int64)
    temperature, bias = fit_temperature_and_bias(logits, happy)
    return replace(card, temperature=round(temperature, 4), bias=round(bias, 4))


def _judge_compact(network: keras.Model, faces: FaceSet, card: ModelCard) -> dict[str, Any]:
    answers = calibrate_logits(predict_emotions(network, faces.pixels, flip=card.mirror), card)
    confidence = answers.classes.max(axis=1)
    certain = (confidence >= card.uncertain_below) & (answers.neither <= card.neither_above)
    return judge(answers.classes, answers.neither, faces, certain=certain)
