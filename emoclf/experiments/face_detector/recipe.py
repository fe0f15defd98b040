"""From photos and YuNet's file to emoclf's own face detector, and how well it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from emoclf.evaluation import wilson_interval
from emoclf.experiments.face_detector.composing import (
    CLOSE_TILES,
    NUMBERS,
    SIDE,
    STRIDES,
    TILES,
    Teacher,
    cut_close_ups,
    spoil_and_mirror,
    write_lessons,
)
from emoclf.experiments.face_detector.network import build_detector, measure_loss, write_detector
from emoclf.images.faces import Face, FaceDetector, make_detector, measure_overlap
from emoclf.training import hold_run
from emoclf.untrusted import show_text

DETECTOR_FILE_NAME = "face_detector.onnx"
MIN_OVERLAP = 0.5
"""Two detectors found the same face when their boxes share this much of their union."""


@dataclass(frozen=True)
class DetectorSettings:
    """How the detector is taught.

    Attributes:
        files: How many files of `per_file` composed pictures are written.
        per_file: Pictures in each.
        steps: Batches to learn from. The learning rate rises for 100 steps, is steady, and falls to
            nothing over the last `falling` steps.
        falling: See `steps`.
        batch_size: Pictures per batch; at most `per_file`.
        learning_rate: Of AdamW (Loshchilov and Hutter, 2019) while it is steady.
        seed: Of the network's first weights.
    """

    files: int = 120
    per_file: int = 256
    steps: int = 19_000
    falling: int = 13_000
    batch_size: int = 8
    learning_rate: float = 1.5e-3
    seed: int = 7


def train_face_detector(
    photos: Sequence[np.ndarray],
    folder: str | Path,
    *,
    teacher: str | Path,
    settings: DetectorSettings | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> keras.Model:
    """Compose pictures, ask YuNet about them, and teach a small network its answers.

    Args:
        photos: uint8 RGB photos, from `read_photos`: people and places, drawn faces among them.
        folder: Where the pictures (those already there are used again) and the file for OpenCV,
            `face_detector.onnx`, go.
        teacher: YuNet's file.
        settings: Default: those of the packaged detector.
        say: Called with a line of progress now and then, such as `print`.

    Returns:
        The network. Its scores are lower than YuNet's: `write_detector` raises them by a shift,
        which `compare_detectors` helps to choose.

    Raises:
        RunInUseError: If another process writes that folder.
    """
    folder, settings = Path(folder), settings or DetectorSettings()
    with hold_run(folder):
        paths = _write_all_lessons(photos, folder, teacher, settings)
        say(f"{len(paths) * settings.per_file:,} pictures in {show_text(folder)}")
        keras.utils.set_random_seed(settings.seed)
        network = build_detector()
        optimizer = keras.optimizers.AdamW(_Rate(settings), weight_decay=1e-4, global_clipnorm=5.0)
        network.compile(optimizer, loss=measure_loss, jit_compile=False)
        epoch = min(1000, settings.steps)
        network.fit(
            load_lessons(paths, batch_size=settings.batch_size),
            steps_per_epoch=epoch,
            epochs=settings.steps // epoch,
            shuffle=False,
            verbose=0,
            callbacks=[_say_losses(say)],
        )
        write_detector(network, folder / DETECTOR_FILE_NAME)
    return network


def _write_all_lessons(
    photos: Sequence[np.ndarray], folder: Path, teacher: str | Path, settings: DetectorSettings
) -> list[Path]:
    """Compose what is not there yet, one file in four of close-ups alone."""
    paths = [folder / f"lessons_{seed:05}.npz" for seed in range(settings.files)]
    missing = [seed for seed, path in enumerate(paths) if not path.exists()]
    if missing:
        asked = Teacher(teacher)
        close_ups = cut_close_ups(photos, make_detector("yunet", model_path=teacher)) or photos
    for seed in missing:
        of, tiles = (close_ups, CLOSE_TILES) if seed % 4 == 3 else (photos, TILES)
        count = settings.per_file
        write_lessons(of, paths[seed], teacher=asked, count=count, seed=seed, tiles=tiles)
    return paths


class _Rate(keras.optimizers.schedules.LearningRateSchedule):
    """Rises, is steady, falls."""

    def __init__(self, settings: DetectorSettings) -> None:
        self._settings = settings

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step."""
        step = tf.cast(step, tf.float32)
        left = (self._settings.steps - step) / max(1, self._settings.falling)
        shares = tf.minimum((step + 1) / 100, tf.clip_by_value(left, 0.0, 1.0))
        return self._settings.learning_rate * shares

    def get_config(self) -> dict[str, Any]:
        """Return what it was made with."""
        return asdict(self._settings)


def _say_losses(say: Callable[[str], None]) -> keras.callbacks.Callback:
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: say(f"part {epoch + 1}: loss {logs['loss']:.4f}")
    )


def load_lessons(paths: Sequence[Path], *, batch_size: int) -> tf.data.Dataset:
    """Read files of `write_lessons`, again and again, as batches in ever new order and light."""
    chance = np.random.default_rng()

    def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            with np.load(paths[int(chance.integers(len(paths)))]) as file:
                pictures, answers = file["pictures"], file["answers"]
            rows = chance.permutation(len(pictures))
            for start in range(0, len(rows) - batch_size + 1, batch_size):
                chosen = rows[start : start + batch_size]
                yield pictures[chosen], answers[chosen]

    cells = sum((SIDE // stride) ** 2 for stride in STRIDES)
    signature = (
        tf.TensorSpec((batch_size, SIDE, SIDE, 3), tf.uint8),
        tf.TensorSpec((batch_size, cells, NUMBERS), tf.float16),
    )
    return (
        tf.data.Dataset.from_generator(read, output_signature=signature)
        .map(spoil_and_mirror)
        .prefetch(2)
    )


def compare_detectors(
    own: FaceDetector, other: FaceDetector, photos: Sequence[np.ndarray], *, min_side: float = 40
) -> dict[str, Any]:
    """Measure how many of another detector's faces a detector finds, and what it adds.

    Args:
        own: Whom to examine.
        other: Whose faces count as all there are, with landmarks.
        photos: uint8 RGB photos that `own` was not taught with.
        min_side: Smaller faces of the other, in pixels (root of the box's area), do not count.

    Returns:
        `photos`; of the other's faces how many were `found` and of the photos' largest ones
        `largest_found` (`value`, `low`, `high`, `count`); `extra_boxes` per photo; `eyes`: how
        many eyes lie within 10 % of the face's width.
    """
    found, largest, eyes, extra = [], [], [], 0
    for photo in photos:
        faces, wanted = own.find(photo), other.find(photo)
        pairs = match_faces(wanted, faces)
        extra += len(faces) - len(pairs)
        largest += [0 in pairs] if wanted else []
        for number, face in enumerate(wanted):
            if face.box[2] * face.box[3] < min_side**2:
                continue
            found.append(number in pairs)
            if found[-1]:
                eyes += _compare_eyes(face, faces[pairs[number]])
    fractions = {"found": found, "largest_found": largest, "eyes": eyes}
    return {
        "photos": len(photos),
        "extra_boxes": extra / max(1, len(photos)),
        **{name: asdict(wilson_interval(sum(of), len(of))) for name, of in fractions.items()},
    }


def _compare_eyes(face: Face, other: Face) -> list[bool]:
    """Tell of each eye whether another detector sees it in the same place."""
    if face.landmarks is None or other.landmarks is None:
        return []
    apart = np.linalg.norm(other.landmarks[:2] - face.landmarks[:2], axis=1)
    return (apart <= 0.1 * face.box[2]).tolist()


def match_faces(first: Sequence[Face], second: Sequence[Face]) -> dict[int, int]:
    """Pair the faces that two detectors found, the best overlap first, each face once at most."""
    overlaps = [
        (measure_overlap(one.box, other.box), row, column)
        for row, one in enumerate(first)
        for column, other in enumerate(second)
    ]
    pairs: dict[int, int] = {}
    for overlap, row, column in sorted(overlaps, reverse=True):
        if overlap >= MIN_OVERLAP and row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs
