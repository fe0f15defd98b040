"""What the network of scenes learns from: photos, drawings, and faces of FER2013.

The lower blocks of EfficientNet-Lite0 stay as they are. So what they make of every picture is
computed once, and learning begins there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from emoclf.config import CLASS_NAMES, SCENE_SIZE, SHEET_SIZE
from emoclf.data.sources.fer2013 import FaceSet
from emoclf.data.synthetic import draw_face
from emoclf.experiments.face_network.faces import HAPPINESS, SADNESS, prepare_faces
from emoclf.experiments.scene_network.emoticons import SIDE, draw_emoticons
from emoclf.images import ModelInfo, Photo, prepare
from emoclf.images.faces import FaceDetector
from emoclf.models import build_transfer_model, find_backbone
from emoclf.models.joint import FACE_FEATURES, JointNetwork

CUT = "block_11_add"
"""The last layer that stays as it is: 14 x 14 places, 112 maps."""

SMOOTHING = 0.05
"""What a drawing's label keeps from certainty, half of it on each side (label smoothing)."""

_SHEETS = ModelInfo(image_size=SHEET_SIZE, crop="both")
_BATCH = 32


class Examples(NamedTuple):
    """Pictures to learn from.

    Attributes:
        maps: Views of the pictures, each float16 `(pictures, 14, 14, 112)`, from `compute_maps`.
        faces: float32 `(pictures, 23)`, what the face network says (`summarise_faces`).
        targets: float32 `(pictures,)`: how probably Happy, 0 to 1.
        weights: float32 `(pictures,)`: how much each counts, about 1.
    """

    maps: tuple[np.ndarray, ...]
    faces: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def take(self, chosen: np.ndarray) -> Examples:
        """Return some of them, by bool `(pictures,)` or indices."""
        return Examples(tuple(each[chosen] for each in self.maps), *(x[chosen] for x in self[1:]))


def make_sheets(photos: Iterable[Photo], detector: FaceDetector | None) -> np.ndarray:
    """Return the sheets of photos, uint8 `(photos, 320, 224, 3)`; no face without a detector."""
    known = () if detector is None else None
    found = (prepare(each, _SHEETS, detector=detector, faces=known).crops[0] for each in photos)
    return np.stack(list(found))


def draw_sheets(
    emoticons: int, people: int, detector: FaceDetector
) -> tuple[np.ndarray, np.ndarray]:
    """Draw emoticons, and people alone or four together; every second picture is happy.

    Args:
        emoticons: How many pictures of emoticons, in which no face is searched for.
        people: How many pictures of drawn people, in which faces are.
        detector: What finds them.

    Returns:
        Their sheets, and bool `(pictures,)`, whether they are happy.
    """
    is_happy = np.arange(emoticons + people) % 2 == 1
    first = (draw_emoticons(n, is_happy=bool(is_happy[n])) for n in range(emoticons))
    second = (_draw_people(n, bool(is_happy[n])) for n in range(emoticons, emoticons + people))
    parts = [make_sheets(first, None), make_sheets(second, detector)]
    return np.concatenate(parts), is_happy


def _draw_people(seed: int, is_happy: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = int(rng.choice([1, 2]))
    side, canvas = SIDE // rows, np.empty((SIDE, SIDE, 3), dtype=np.uint8)
    for place in range(rows * rows):
        top, left = place // rows * side, place % rows * side
        canvas[top : top + side, left : left + side] = draw_face(
            CLASS_NAMES[is_happy],
            seed=int(rng.integers(2**30)),
            size=(side, side),
            strength=float(rng.uniform(0.5, 1)),
        )
    is_grey = rng.random() < 0.3
    return np.asarray(Image.fromarray(canvas).convert("L").convert("RGB")) if is_grey else canvas


def split_backbone() -> tuple[keras.Model, keras.Model, keras.Model]:
    """Build EfficientNet-Lite0 with ImageNet's weights; return it whole, its start and its end.

    The start goes from uint8 photos to the maps of `CUT`, the end from there to the last maps. All
    three share their weights.
    """
    network = build_transfer_model("efficientnetlite0", SCENE_SIZE, augment=False, dropout=0)
    backbone = find_backbone(network)
    start = keras.Model(backbone.input, backbone.get_layer(CUT).output)
    end = keras.Model(backbone.get_layer(CUT).output, backbone.output)
    before = keras.Model(network.input, network.get_layer("preprocessing").output)
    whole = keras.Model(network.input, start(before(network.input), training=False))
    return network, whole, end


def compute_maps(start: keras.Model, sheets: np.ndarray, *, mirror: bool = False) -> np.ndarray:
    """Compute what the frozen blocks make of the scenes on sheets.

    Args:
        start: From `split_backbone`.
        sheets: uint8 RGB `(pictures, 320, 224, 3)`.
        mirror: Whether the scenes are mirrored.

    Returns:
        float16 `(pictures, 14, 14, 112)`.
    """
    scenes = sheets[:, : SCENE_SIZE[0], :: -1 if mirror else 1]
    parts = [
        np.asarray(start.predict_on_batch(scenes[place : place + _BATCH]), dtype=np.float16)
        for place in range(0, len(scenes), _BATCH)
    ]
    return np.concatenate(parts)


def make_drawn_examples(
    start: keras.Model, sheets: np.ndarray, is_happy: np.ndarray, network: JointNetwork
) -> Examples:
    """Turn drawings into examples, seen as they are and mirrored."""
    maps = tuple(compute_maps(start, sheets, mirror=mirror) for mirror in (False, True))
    faces = network.predict_features(sheets)[:, -FACE_FEATURES:]
    targets = np.where(is_happy, 1 - SMOOTHING, SMOOTHING).astype(np.float32)
    return Examples(maps, faces, targets, np.ones(len(sheets), dtype=np.float32))


def make_face_examples(start: keras.Model, faces: FaceSet) -> Examples:
    """Turn FER2013's happy and sad training faces into examples: scenes that are all face.

    The target is the mean of the label and of what the raters say who saw one of the two. Faces
    that are duplicates of validation faces are left out. Every second one is mirrored.

    Args:
        start: From `split_backbone`.
        faces: FER2013, with FER+'s votes.

    Returns:
        The examples; no face is said to be found in them, so that the scene has to answer.
    """
    chosen = prepare_faces(faces).training
    chosen = chosen.take(np.isin(chosen.labels, (HAPPINESS, SADNESS)))
    pixels = np.repeat(chosen.pixels[..., np.newaxis], 3, axis=3)
    pixels[1::2] = pixels[1::2, :, ::-1]
    votes = chosen.votes.astype(np.float64)
    happy, sad = votes[:, HAPPINESS], votes[:, SADNESS]
    label = np.where(chosen.labels == HAPPINESS, 1 - SMOOTHING, SMOOTHING)
    targets = (label + (happy + 0.5) / (happy + sad + 1)) / 2
    parts = [
        compute_maps(start, make_sheets(pixels[place : place + 512], None))
        for place in range(0, len(pixels), 512)
    ]
    count = len(pixels)
    return Examples(
        (np.concatenate(parts),),
        np.zeros((count, FACE_FEATURES), dtype=np.float32),
        targets.astype(np.float32),
        np.ones(count, dtype=np.float32),
    )


def weigh_sources(sources: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Return float32 weights with which a source counts for the root of its size in each class."""
    _, numbers = np.unique(np.array(sources), return_inverse=True)
    pairs = np.stack([numbers, labels], axis=1)
    _, places, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[places])
    return (weights / weights.mean()).astype(np.float32)
