"""From FER2013 to the packaged face network: which networks are trained, one after the other.

Teachers learn the raters' votes on all emotions; a smaller network, the student, is then taught by
them and by the votes, in rounds. Everything goes into one folder; a finished network is not trained
again, so that a recipe that was stopped goes on after the last finished network.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoclf.config import MODEL_FILE_NAME
from emoclf.data.sources.fer2013 import FaceSet
from emoclf.experiments.face_network.faces import (
    HAPPINESS,
    LABEL_WEIGHT,
    SADNESS,
    RecipeFaces,
    is_happy_or_sad,
    make_targets,
)
from emoclf.experiments.face_network.learning import (
    Augmentation,
    LearningSettings,
    Watch,
    find_quick_precision,
    predict_emotions,
    train_face_network,
)
from emoclf.experiments.learners import describe_seconds
from emoclf.models.model_file import load_model
from emoclf.models.packaged import softmax
from emoclf.storage import keep_work
from emoclf.training import hold_run, use_precision
from emoclf.untrusted import show_text

FINISHED_FILE_NAME = "finished.json"
"""Lies in the folder of a network whose training is complete."""

_STUDENT = LearningSettings(filters=(24, 48, 96, 136), dropout=0.2)


@dataclass(frozen=True)
class RecipeSettings:
    """How the packaged network is made.

    Attributes:
        teachers: How each network that learns from the votes alone is trained.
        rounds: How the student is trained, at least one round, all with the same filters and
            blocks. A round goes on from the weights of the one before (a warm restart, Loshchilov
            and Hutter, 2017), and the student as it was then joins its teachers (Furlanello et al.,
            2018).
        label_weight: Weight of FER2013's own label in the targets; the rest are the votes.
        mirror: See `ModelCard`.
        uncertain_below: See `ModelCard`.
        neither_above: See `ModelCard`.
    """

    teachers: tuple[LearningSettings, ...] = (LearningSettings(epochs=22, seed=1),)
    rounds: tuple[LearningSettings, ...] = (
        replace(_STUDENT, epochs=36, seed=11, teacher_weight=0.5),
        replace(
            _STUDENT,
            epochs=48,
            batch_size=64,
            learning_rate=1e-3,
            ema_momentum=0.999,
            augmentation=Augmentation(shift=0.08, rotate_degrees=20, zoom=0.12, erase=0.2),
            seed=12,
            teacher_weight=0.6,
        ),
    )
    label_weight: float = LABEL_WEIGHT
    mirror: bool = False
    uncertain_below: float = 0.75
    neither_above: float = 0.75


def train_packaged_network(
    faces: RecipeFaces,
    folder: str | Path,
    *,
    settings: RecipeSettings | None = None,
    policy: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> keras.Model:
    """Train teachers and student.

    Needs no TensorFlow: any Keras backend will do (`KERAS_BACKEND=jax`).

    Args:
        faces: From `prepare_faces`, best with FER+ votes (`load_fer2013`).
        folder: Where every network gets a folder of its own, with its log.
        settings: The recipe; default: that of the packaged network.
        policy: Keras dtype policy for the training; `"auto"` is mixed precision where it is quick.
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
        say(f"{len(faces.training):,} faces to learn from. {faces.leakage}")
        targets = make_targets(faces.training, label_weight=settings.label_weight)
        hashed = hashlib.blake2b(faces.training.pixels.tobytes(), digest_size=8)
        hashed.update(targets.tobytes())
        train = partial(
            _train_once,
            faces.training,
            targets,
            facts={"label_weight": settings.label_weight, "faces": hashed.hexdigest()},
            watch=_make_watch(faces.tuning, settings.label_weight),
            policy=policy,
            say=say,
        )
        teachers = [
            train(folder / f"teacher_{number}", learning)
            for number, learning in enumerate(settings.teachers, start=1)
        ]
        student = None
        for number, learning in enumerate(settings.rounds, start=1):
            student = train(
                folder / f"student_{number}", learning, teachers=teachers, start=student
            )
            teachers.append(student)
    return student


def _train_once(
    faces: FaceSet,
    targets: np.ndarray,
    folder: Path,
    learning: LearningSettings,
    *,
    facts: Mapping[str, Any],
    watch: Watch,
    policy: str,
    say: Callable[[str], None],
    teachers: Sequence[keras.Model] = (),
    start: keras.Model | None = None,
) -> keras.Model:
    """Train a network unless it is finished, and return it in single precision."""

    def work() -> Mapping[str, float | str]:
        log = folder / "history.csv"
        say(f"{show_text(folder.name)}: {learning.epochs} epochs, log in {show_text(log)}")
        log.unlink(missing_ok=True)
        mixed, weight = targets, learning.teacher_weight
        if teachers:
            taught = softmax(predict_emotions(teachers, faces.pixels))
            mixed = weight * taught + (1 - weight) * targets
        begun, epochs = time.monotonic(), itertools.count(1)

        def tell(network: keras.Model) -> Mapping[str, float]:
            numbers, epoch = watch(network), next(epochs)
            left = (time.monotonic() - begun) / epoch * (learning.epochs - epoch)
            say(
                f"{show_text(folder.name)}: epoch {epoch} of {learning.epochs}, accuracy "
                f"{numbers['tuning_accuracy']:.1%}; {describe_seconds(left)} left"
            )
            return numbers

        with use_precision(find_quick_precision() if policy == "auto" else policy) as used:
            network = train_face_network(
                faces.pixels, mixed, folder=folder, settings=learning, start=start, watch=tell
            )
        return {**watch(network), "precision": used}

    numbers: dict[str, float | str] = keep_work(
        folder / FINISHED_FILE_NAME,
        work,
        facts={**facts, **asdict(learning)},
        what="result of a finished network",
        kind=dict[str, float | str],
    )
    told = ", ".join(f"{name} {number}" for name, number in numbers.items())
    say(f"{show_text(folder.name)}: {told}")
    model, _ = load_model(folder / MODEL_FILE_NAME, compiled=False)  # saved in float32
    return model


def _make_watch(tuning: FaceSet, label_weight: float = LABEL_WEIGHT) -> Watch:
    """Make the function that measures cross-entropy, accuracy and area under ROC after an epoch."""
    from sklearn.metrics import roc_auc_score

    targets, chosen = make_targets(tuning, label_weight=label_weight), is_happy_or_sad(tuning)
    happy = (tuning.labels[chosen] == HAPPINESS).astype(np.int64)

    def watch(network: keras.Model) -> Mapping[str, float]:
        logits = predict_emotions(network, tuning.pixels)
        lead = logits[chosen, HAPPINESS] - logits[chosen, SADNESS]
        cross_entropy = -(targets * np.log(np.maximum(softmax(logits), 1e-9))).sum(axis=1)
        return {
            "tuning_cross_entropy": round(float(cross_entropy.mean()), 4),
            "tuning_accuracy": round(float(((lead > 0) == happy).mean()), 4),
            "tuning_area_under_roc": round(float(roc_auc_score(happy, lead)), 4),
        }

    return watch
