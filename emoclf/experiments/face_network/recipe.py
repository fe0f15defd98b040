"""From FER2013 to the packaged face network: the whole recipe as one function.

Teachers learn the raters' votes on all emotions; a smaller network, the student, is then taught by
them and by the votes, in rounds. Everything goes into one folder, finished networks are not trained
again, so that a recipe that was stopped goes on where it was (at the last finished network).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.config import FACE_SIZE, MODEL_FILE_NAME
from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet
from emoclf.evaluation.calibration import fit_temperature
from emoclf.experiments.face_network.augmentation import Augmentation
from emoclf.experiments.face_network.copies import Crossings, find_crossings
from emoclf.experiments.face_network.judging import (
    HAPPINESS,
    SADNESS,
    is_happy_or_sad,
    judge,
    measure_area,
)
from emoclf.experiments.face_network.learning import (
    LearningSettings,
    Watch,
    precision,
    predict_emotions,
    train_face_network,
)
from emoclf.experiments.face_network.packaging import compact_network, save_package
from emoclf.experiments.face_network.targets import LABEL_WEIGHT, find_teachable, make_targets
from emoclf.models import build_face_network
from emoclf.models.model_file import load_model
from emoclf.models.packaged import ModelCard, calibrate_logits, softmax
from emoclf.storage import keep_work
from emoclf.training import hold_run
from emoclf.untrusted import show_text

FINISHED_FILE_NAME = "finished.json"
"""Lies in the folder of a network whose training is complete."""


@dataclass(frozen=True)
class StudentRound:
    """One round of the student's training.

    Attributes:
        learning: How the student is trained; filters and blocks are the same in every round.
        teacher_weight: Share of the teachers' answer in the targets; the rest are votes and label.
    """

    learning: LearningSettings
    teacher_weight: float


_STUDENT = LearningSettings(filters=(24, 48, 96, 136), dropout=0.2)


@dataclass(frozen=True)
class RecipeSettings:
    """How the packaged network is made.

    Attributes:
        teachers: How each network that learns from the votes alone is trained.
        rounds: How the student is trained, at least one round. A round goes on from the weights of
            the one before (a warm restart, Loshchilov and Hutter, 2017), and the student as it was
            then joins its teachers (Furlanello et al., 2018).
        label_weight: Share of FER2013's own label in the targets; the rest are the votes.
        mirror: See `ModelCard`.
        uncertain_below: See `ModelCard`.
        neither_above: See `ModelCard`.
    """

    teachers: tuple[LearningSettings, ...] = (LearningSettings(epochs=22, seed=1),)
    rounds: tuple[StudentRound, ...] = (
        StudentRound(replace(_STUDENT, epochs=36, seed=11), teacher_weight=0.5),
        StudentRound(
            replace(
                _STUDENT,
                epochs=48,
                batch_size=64,
                learning_rate=1e-3,
                ema_momentum=0.999,
                augmentation=Augmentation(shift=0.08, rotate_degrees=20, zoom=0.12, erase=0.2),
                seed=12,
            ),
            teacher_weight=0.6,
        ),
    )
    label_weight: float = LABEL_WEIGHT
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
    lesson: Lesson,
    folder: str | Path,
    *,
    settings: RecipeSettings | None = None,
    policy: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> keras.Model:
    """Train teachers and student.

    Needs no TensorFlow: any Keras backend will do (`KERAS_BACKEND=jax`).

    Args:
        lesson: From `prepare_faces`, best with FER+ votes (`load_fer2013`).
        folder: Where every network gets a folder of its own, with its log.
        settings: The recipe; default: that of the packaged network.
        policy: Keras dtype policy for the training; `"auto"` is half precision where it is quick.
        say: Called with a line of progress now and then, such as `print`.

    Returns:
        The student, in float32, from uint8 RGB to probabilities of the emotions.

    Raises:
        ResumeRefusedError: If a network in it was made from other faces or settings.
        RunInUseError: If another process writes that folder.
        ValueError: If `settings` has no round for the student.
    """
    folder, settings = Path(folder), settings or RecipeSettings()
    if not settings.rounds:
        raise ValueError("RecipeSettings.rounds is empty: give the student at least one round.")
    with hold_run(folder):
        return _train_all(lesson, folder, settings, policy, say)


def _train_all(
    lesson: Lesson,
    folder: Path,
    settings: RecipeSettings,
    policy: str,
    say: Callable[[str], None],
) -> keras.Model:
    say(f"{len(lesson.training):,} faces to learn from. {lesson.crossings}")
    targets = make_targets(lesson.training, label_weight=settings.label_weight)
    watch = make_watch(lesson.tuning, settings.label_weight)
    facts = {"label_weight": settings.label_weight, "faces": _name_faces(lesson.training, targets)}
    work = _Work(lesson, watch, policy, say, facts)
    teachers = [
        work.train(targets, folder / f"teacher_{number}", teacher)
        for number, teacher in enumerate(settings.teachers, start=1)
    ]
    student = None
    for number, one in enumerate(settings.rounds, start=1):
        mixed, name = targets, folder / f"student_{number}"
        if teachers and not is_finished(name):
            taught = softmax(predict_emotions(teachers, lesson.training.pixels))
            mixed = one.teacher_weight * taught + (1 - one.teacher_weight) * targets
        student = work.train(
            mixed, name, one.learning, start=student, teacher_weight=one.teacher_weight
        )
        teachers.append(student)
    return student


def _name_faces(faces: FaceSet, targets: np.ndarray) -> str:
    """Return a name for faces and what they are taught: sixteen hexadecimal digits."""
    name = hashlib.blake2b(np.ascontiguousarray(faces.pixels).tobytes(), digest_size=8)
    name.update(np.ascontiguousarray(targets).tobytes())
    return name.hexdigest()


def is_finished(folder: Path) -> bool:
    """Return whether the training of the network in a folder is complete."""
    return (folder / FINISHED_FILE_NAME).is_file()


@dataclass(frozen=True)
class _Work:
    """What the training of all networks of a recipe has in common."""

    lesson: Lesson
    watch: Watch
    policy: str
    say: Callable[[str], None]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def train(
        self,
        targets: np.ndarray,
        folder: Path,
        settings: LearningSettings,
        *,
        start: keras.Model | None = None,
        teacher_weight: float = 0.0,
    ) -> keras.Model:
        """Train a network unless it is finished, and return it in single precision."""

        def work() -> Mapping[str, float | str]:
            self.say(
                f"{show_text(folder.name)}: {settings.epochs} epochs, log in "
                f"{show_text(folder / 'history.csv')}"
            )
            (folder / "history.csv").unlink(missing_ok=True)
            with precision(self.policy) as used:
                network = train_face_network(
                    self.lesson.training.pixels,
                    targets,
                    folder=folder,
                    settings=settings,
                    start=start,
                    watch=self.watch,
                )
            return {**self.watch(network), "precision": used}

        numbers: dict[str, float | str] = keep_work(
            folder / FINISHED_FILE_NAME,
            work,
            facts={**self.facts, **asdict(settings), "teacher_weight": teacher_weight},
            what="result of a finished network",
            kind=dict[str, float | str],
        )
        self.say(
            f"{show_text(folder.name)}: "
            + ", ".join(f"{name} {number}" for name, number in numbers.items())
        )
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
            "tuning_area_under_roc": round(measure_area(happy, lead, resamples=0).value, 4),
        }

    return watch


def package_student(
    student: keras.Model,
    lesson: Lesson,
    folder: str | Path,
    *,
    settings: RecipeSettings | None = None,
) -> ModelCard:
    """Make the student compact, calibrate it, measure it and write the packaged files.

    Args:
        student: From `train_packaged_network`.
        lesson: From `prepare_faces`, with votes.
        folder: Where the three files go.
        settings: The recipe that was followed.

    Returns:
        The card with all figures.
    """
    settings = settings or RecipeSettings()
    learning = settings.rounds[-1].learning
    card = ModelCard(
        emotions=EMOTIONS,
        image_size=FACE_SIZE,
        temperature=1.0,
        mirror=settings.mirror,
        uncertain_below=settings.uncertain_below,
        neither_above=settings.neither_above,
        filters=learning.filters,
        blocks=learning.blocks,
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
    return replace(card, temperature=round(fit_temperature(logits, happy), 4))


def _judge_compact(network: keras.Model, faces: FaceSet, card: ModelCard) -> dict[str, Any]:
    answers = calibrate_logits(predict_emotions(network, faces.pixels, flip=card.mirror), card)
    confidence = answers.classes.max(axis=1)
    certain = (confidence >= card.uncertain_below) & (answers.neither <= card.neither_above)
    return judge(answers.classes, answers.neither, faces, certain=certain)
