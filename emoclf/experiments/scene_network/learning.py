"""Teach the last blocks of the network of scenes together with the head, measure, and package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from emoclf.evaluation import Evaluation, wilson_interval
from emoclf.evaluation.calibration import fit_temperature
from emoclf.evaluation.reliability import accuracy_at_coverage, expected_calibration_error
from emoclf.experiments.scene_network.examples import (
    Examples,
    compute_maps,
    split_backbone,
    weigh_sources,
)
from emoclf.models import find_features
from emoclf.models.formats.writers import shrink_onnx, write_onnx
from emoclf.models.joint import FACE_FEATURES, SCENE_FEATURES, Head
from emoclf.models.packaged import CARD_FILE_NAME, HEAD_FILE_NAME, SCENE_FILE_NAME
from emoclf.photos import Photos
from emoclf.storage import find_sha256, replacing, write_json
from emoclf.training.joint import cross_validate_head, fit_head

_LARGEST = 3
"""Which of a photo's face numbers says how much happier than sadder its largest face looks."""


@dataclass(frozen=True)
class SceneSettings:
    """How the network of scenes is taught.

    Attributes:
        epochs: Passes over the photos.
        batch_size: Photos in a batch.
        drawn: Drawings that are added to every batch.
        faces: Faces of FER2013 that are added.
        learning_rate: The largest, of AdamW (Loshchilov and Hutter, 2019), after 50 steps; it
            falls to nothing along a cosine.
        weight_decay: Of AdamW.
        dropout: Fraction of the features that is switched off while learning.
        trust: How much of a photo's target is its label, which is a search word; the rest is what a
            head on ImageNet's features and the faces says that has not learned from the photo
            (Reed et al., 2015, call it bootstrapping).
        mixing: Parameter of mixup's beta distribution (Zhang et al., 2018).
        boost: How much of what the face network says of the largest face, its logit of happiness
            less that of sadness, is added to the logit that was learned.
        uncertain_below: For the card.
        seed: Of order, views and mixing.
    """

    epochs: int = 7
    batch_size: int = 32
    drawn: int = 10
    faces: int = 16
    learning_rate: float = 2e-4
    weight_decay: float = 1e-3
    dropout: float = 0.3
    trust: float = 0.4
    mixing: float = 0.2
    boost: float = 0.25
    uncertain_below: float = 0.65
    seed: int = 1


class Taught(NamedTuple):
    """What was taught.

    Attributes:
        network: EfficientNet-Lite0 from photos on; `find_features` leads to its features.
        end: Its last blocks with the head: maps and face numbers to a logit of Happy.
        boost: What is added to it, see `SceneSettings`.
    """

    network: keras.Model
    end: keras.Model
    boost: float

    def predict_logits(self, examples: Examples) -> np.ndarray:
        """Return float64 `(pictures,)`: logits of Happy, by the first view."""
        parts = range(0, len(examples.faces), 64)
        found = [
            self.end.predict_on_batch([examples.maps[0][n : n + 64], examples.faces[n : n + 64]])
            for n in parts
        ]
        logits = np.concatenate(found)[:, 0].astype(np.float64)
        return logits + self.boost * examples.faces[:, _LARGEST]


def make_photo_examples(
    photos: Photos, sources: Sequence[str], sheets: np.ndarray, features: np.ndarray
) -> Examples:
    """Turn photos into examples, seen as they are and mirrored; the targets come with `teach`.

    Args:
        photos: Photos of Sad and Happy.
        sources: The collection of each.
        sheets: Their sheets.
        features: What `JointNetwork.predict_features` finds in them, with ImageNet's weights.

    Returns:
        The examples; the targets are the labels.
    """
    _, start, _ = split_backbone()
    maps = tuple(compute_maps(start, sheets, mirror=mirror) for mirror in (False, True))
    weights = weigh_sources(sources, photos.labels)
    faces = features[:, -FACE_FEATURES:].astype(np.float32)
    return Examples(maps, faces, photos.labels.astype(np.float32), weights)


def teach(
    photos: Photos,
    features: np.ndarray,
    examples: Examples,
    others: Sequence[tuple[int, Examples]],
    settings: SceneSettings,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Taught:
    """Teach the last blocks and the head, which begins as a regression on ImageNet's features.

    Args:
        photos: What to learn from.
        features: With ImageNet's weights (see `write_scene`), in the order of the photos.
        examples: The photos' examples, from `make_photo_examples`.
        others: What is added to every batch: how many, and of what.
        settings: How.
        say: Called with a line for every epoch.
    """
    crossed = cross_validate_head(features, photos, class_weights=True, repeats=1)
    targets = settings.trust * examples.targets
    targets = targets + (1 - settings.trust) * crossed.probabilities[:, 1]
    examples = examples._replace(targets=targets.astype(np.float32))
    keras.utils.set_random_seed(settings.seed)
    network, _, end = split_backbone()
    joined = _join(end, _begin_head(photos, features), settings)
    batches = _Batches(examples, others, settings)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-6,
        settings.epochs * len(batches),
        warmup_target=settings.learning_rate,
        warmup_steps=50,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, global_clipnorm=1)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    joined.compile(optimizer, loss, jit_compile=False)
    tell = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: say(f"epoch {epoch + 1}: loss {logs['loss']:.4f}")
    )
    joined.fit(batches, epochs=settings.epochs, shuffle=False, verbose=0, callbacks=[tell])
    return Taught(network, joined, settings.boost)


def _begin_head(photos: Photos, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights `(features, 1)` and bias of a logit of Happy, on ImageNet's features."""
    parts = np.where(photos.groups % 7, "train", "validation").tolist()  # duplicates together
    head = fit_head(features, photos.with_parts(parts), class_weights=True).head
    weights = (head.weights[:, 1] - head.weights[:, 0]) / head.scale
    return weights[:, np.newaxis], head.bias[1:] - head.bias[:1] - head.mean @ weights


def _join(
    end: keras.Model, head: tuple[np.ndarray, np.ndarray], settings: SceneSettings
) -> keras.Model:
    """Put the head on the last blocks; their batch normalisation stays as it is."""
    for layer in end.layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    maps, faces = keras.Input(end.input_shape[1:]), keras.Input((FACE_FEATURES,))
    scene = layers.GlobalAveragePooling2D()(end(maps, training=False))
    scene = layers.Dropout(settings.dropout, seed=settings.seed)(scene)
    decide = layers.Dense(1, name="head")
    logit = decide(layers.Concatenate()([scene, faces]))
    decide.set_weights(head)
    return keras.Model([maps, faces], logit)


class _Batches(keras.utils.PyDataset):
    """Photos in a new order every epoch, each in one of its views, with the others beside them."""

    def __init__(
        self, photos: Examples, others: Sequence[tuple[int, Examples]], settings: SceneSettings
    ) -> None:
        """Begin."""
        super().__init__()
        self._photos, self._others, self._settings = photos, others, settings
        self._rng = np.random.default_rng(settings.seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._photos.faces) // self._settings.batch_size

    def on_epoch_end(self) -> None:
        """Choose a new order."""
        self._order = self._rng.permutation(len(self._photos.faces))

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """Return maps and face numbers, targets and weights, mixed in pairs."""
        size = self._settings.batch_size
        parts = [self._see(self._photos, self._order[index * size : (index + 1) * size])]
        for count, examples in self._others:
            parts.append(self._see(examples, self._rng.integers(len(examples.faces), size=count)))
        columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
        drawn = self._rng.beta(self._settings.mixing, self._settings.mixing)
        share, partner = np.float32(max(drawn, 1 - drawn)), self._rng.permutation(len(columns[0]))
        maps, faces, targets, weights = columns
        maps, faces, targets = (
            share * each + (1 - share) * each[partner] for each in (maps, faces, targets)
        )
        return (maps, faces), targets[:, np.newaxis], weights

    def _see(self, examples: Examples, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return maps float32, face numbers, targets and weights of some pictures."""
        views = self._rng.integers(len(examples.maps), size=len(chosen))
        maps = [examples.maps[view][row] for view, row in zip(views, chosen, strict=True)]
        rest = (each[chosen] for each in examples[1:])
        return np.stack(maps).astype(np.float32), *rest


def leave_sources_out(
    photos: Photos,
    sources: Sequence[str],
    features: np.ndarray,
    examples: Examples,
    others: Sequence[tuple[int, Examples]],
    settings: SceneSettings,
    *,
    folds: Sequence[Sequence[str]],
    say: Callable[[str], None] = lambda _: None,
) -> np.ndarray:
    """Predict every photo with a network that has seen no photo of its source.

    Args:
        photos: As for `teach`.
        sources: The collection of each photo.
        features: As for `teach`.
        examples: As for `teach`.
        others: As for `teach`.
        settings: As for `teach`.
        folds: Which sources are left out together.
        say: Called with lines of progress.

    Returns:
        float64 `(photos,)`: logits of Happy.
    """
    logits = np.zeros(len(photos))
    for left_out in folds:
        tested = np.isin(sources, left_out)
        learned = photos.take(~tested)
        taught = teach(
            learned, features[~tested], examples.take(~tested), others, settings, say=say
        )
        logits[tested] = taught.predict_logits(examples.take(tested))
        right = (logits[tested] > 0) == photos.labels[tested]
        say(f"without {', '.join(left_out)}: {right.mean():.3f} of {tested.sum()} right")
    return logits


def write_scene(network: keras.Model, folder: str | Path) -> Path:
    """Write a network up to its features for OpenCV, its weights as int8, and return the path.

    Of `split_backbone` it is the one with ImageNet's weights, whose features `teach` begins with:
    `JointNetwork(SceneNetwork(path.read_bytes()))`. The packaged one has learned from the photos.
    """
    return shrink_onnx(write_onnx(find_features(network), Path(folder) / SCENE_FILE_NAME))


def write_packaged_answer(
    taught: Taught,
    folder: str | Path,
    *,
    temperature: float,
    figures: Mapping[str, Any],
    settings: SceneSettings,
) -> None:
    """Write `scene.onnx` (its weights as int8), `head.npz` and `card.json`.

    Args:
        taught: From `teach`, with all photos.
        folder: Where they belong.
        temperature: Divisor of the logits, from photos that the network had not seen.
        figures: For the card.
        settings: As it was taught.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_scene(taught.network, folder)
    weights, bias = (each / temperature for each in taught.end.get_layer("head").get_weights())
    weights[SCENE_FEATURES + _LARGEST] += taught.boost / temperature
    count = SCENE_FEATURES + FACE_FEATURES
    head = Head(
        np.zeros(count, np.float32),
        np.ones(count, np.float32),
        np.concatenate([-weights / 2, weights / 2], axis=1, dtype=np.float32),
        np.concatenate([-bias / 2, bias / 2], dtype=np.float32),
    ).check()
    with replacing(folder / HEAD_FILE_NAME) as temporary, temporary.open("wb") as file:
        np.savez(file, **head._asdict())
    names = (SCENE_FILE_NAME, HEAD_FILE_NAME)
    card = {
        "uncertain_below": settings.uncertain_below,
        "sha256": {name: find_sha256(folder / name) for name in names},
        "figures": dict(figures),
    }
    write_json(folder / CARD_FILE_NAME, card)


def measure(
    photos: Photos,
    sources: Sequence[str],
    logits: np.ndarray,
    has_face: np.ndarray,
    *,
    uncertain_below: float,
) -> dict[str, Any]:
    """Say how well photos of unseen sources were answered, calibrated on those of other sources.

    Args:
        photos: All photos.
        sources: The collection of each.
        logits: From `leave_sources_out`.
        has_face: bool `(photos,)`.
        uncertain_below: When an answer is "uncertain".

    Returns:
        Figures by name, with n and interval.
    """
    scaled = np.zeros(len(photos))
    for source in set(sources):
        own = np.array([each == source for each in sources])
        scaled[own] = logits[own] / find_temperature(logits[~own], photos.labels[~own])
    happy = 1 / (1 + np.exp(-scaled))
    found = Evaluation(photos, np.stack([1 - happy, happy], axis=1))
    certain = found.confidence >= uncertain_below
    right, names = found.is_right, sorted(set(sources))
    parts = {
        "accuracy": np.ones(len(photos), bool),
        "accuracy_with_a_face": has_face,
        "accuracy_without_a_face": ~has_face,
        "accuracy_when_certain": certain,
        **{f"accuracy_on_{each}": np.array(sources) == each for each in names},
    }
    area = found.estimates.roc_auc
    return {
        "area_under_roc": None if area is None else asdict(area),
        "balanced_accuracy": asdict(found.balanced_accuracy),
        "calibration_error": expected_calibration_error(found),
        "accuracy_at_90_percent_coverage": asdict(accuracy_at_coverage(found)),
        "certain": asdict(wilson_interval(int(certain.sum()), len(certain))),
        **{
            name: asdict(wilson_interval(int(right[part].sum()), int(part.sum())))
            for name, part in parts.items()
        },
    }


def find_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the divisor that calibrates logits of Happy, float `(photos,)`."""
    return fit_temperature(np.stack([-logits / 2, logits / 2], axis=1), labels)
