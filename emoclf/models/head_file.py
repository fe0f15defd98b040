"""A head that was taught in the page of `emoclf page`, read from the file that the page saves.

It decides by what the packaged networks find in a face, or in a photo with its faces. The page
(`emoclf/apps/browser/teaching/head.mjs`) writes the file and checks the same when it reads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from emoclf.config import FACE_SIZE, SHEET_SIZE
from emoclf.images import ModelInfo, Network
from emoclf.models.joint import FACE_FEATURES, SCENE_FEATURES, Head, JointNetwork
from emoclf.models.packaged import NETWORK_FILE_NAME, PackagedNetwork
from emoclf.storage import check_keys, check_kind, read_json
from emoclf.untrusted import check_class_names, normalise_name, show_text

HEAD_FORMAT, HEAD_VERSION = "emoclf head", 1

_WHAT = "a head that was taught in the browser"
_COUNTS = {"face": 136, "joint": SCENE_FEATURES + FACE_FEATURES}
_MAX_HEAD_BYTES = 5 * 2**20
_FEWEST_CLASSES, _MOST_CLASSES, _LONGEST_NAME = 2, 6, 40
_LARGEST_NUMBER = 1e9
"""Numbers up to this, and scales from its inverse, cannot make a probability overflow."""


class TaughtHead(NamedTuple):
    """A network with a head that was taught, and how its predictions are meant.

    Attributes:
        network: Answers for faces, or for sheets with a photo and its faces.
        info: Its classes, and what it is shown.
        uncertain_below: The prediction is "uncertain" when the largest probability is smaller.
    """

    network: Network
    info: ModelInfo
    uncertain_below: float


class TaughtFaceNetwork:
    """The packaged network of faces with another head. Several threads may share it.

    Args:
        features: Finds features in a face.
        head: Decides by them.
    """

    is_thread_safe = True

    def __init__(self, features: PackagedNetwork, head: Head) -> None:
        """Keep both."""
        self.features, self.head = features, head

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        """Return float32 probabilities `(faces, classes)` for uint8 RGB `(faces, 48, 48, 3)`."""
        return self.head.predict(self.features.predict_features(x))


def load_head(path: str | Path) -> TaughtHead:
    """Load a head that was taught, and the packaged networks that it decides by.

    Args:
        path: The `.json` file that the page saved. It holds numbers and names, and nothing that
            runs.

    Returns:
        What predicts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, no head, or of other networks than this emoclf's.
    """
    found = _read(path)
    head = Head(*(np.array(each, np.float32) for each in found.arrays))
    if found.features == "face":
        face = PackagedNetwork()
        _check_digest(path, found.network, face.card.sha256[NETWORK_FILE_NAME])
        info = ModelInfo(found.class_names, FACE_SIZE, "pad", "face")
        return TaughtHead(TaughtFaceNetwork(face, head), info, found.uncertain_below)
    joint = JointNetwork(head=head)
    _check_digest(path, found.network, joint.sha256)
    info = ModelInfo(found.class_names, SHEET_SIZE, "pad", "both")
    return TaughtHead(joint, info, found.uncertain_below)


def _check_digest(path: str | Path, received: str, expected: str) -> None:
    import emoclf

    if received != expected:
        raise ValueError(
            f"{show_text(path)} was taught on other networks than those of emoclf "
            f"{emoclf.__version__}: expected the digest {expected[:12]}, received "
            f"{show_text(received[:12])}. Use the version of emoclf that made the page in which it "
            "was taught, or teach it again in a page of this one."
        )


def _read(path: str | Path) -> _HeadFile:
    """Read the file and check everything in it, but for whose networks it was taught on."""
    value: Any = read_json(path, what=_WHAT, max_bytes=_MAX_HEAD_BYTES)
    if not isinstance(value, dict) or value.get("format") != HEAD_FORMAT:
        raise ValueError(
            f"{show_text(path)} is no head: expected the file that the page of `emoclf page` "
            "saves. For a network of a run, name the run's folder."
        )
    if value.get("version") != HEAD_VERSION:
        raise ValueError(
            f"{show_text(path)} is of another version of emoclf: expected format {HEAD_VERSION}, "
            f"received {show_text(str(value.get('version'))[:20])}. Update emoclf."
        )
    check_keys(value, list(_HeadFile.__dataclass_fields__), name=path, what=_WHAT)
    found: _HeadFile = check_kind(value, _HeadFile, name=path, what=_WHAT)
    return found


@dataclass(frozen=True)
class _Accuracy:
    """How often it was right on examples that were held out, as the page says."""

    value: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.value <= self.high <= 1 and self.n >= 0):
            raise ValueError("accuracy is out of range")


@dataclass(frozen=True)
class _HeadFile:
    """The file as it is written."""

    format: str
    version: int
    features: Literal["face", "joint"]
    network: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    uncertain_below: float
    accuracy: _Accuracy | None
    examples: tuple[int, ...]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What a `Head` is made of."""
        return self.mean, self.scale, self.weights, self.bias

    def __post_init__(self) -> None:
        """Refuse what the page would not have written."""
        object.__setattr__(self, "class_names", _check_names(self.class_names))
        classes, count = len(self.class_names), _COUNTS[self.features]
        sizes = {"mean": count, "scale": count, "weights": count, "bias": classes}
        sizes["examples"] = classes
        for name, size in sizes.items():
            if len(getattr(self, name)) != size:
                raise ValueError(f"{name} should have {size}, has {len(getattr(self, name))}")
        if any(len(row) != classes for row in self.weights):
            raise ValueError(f"weights should have {classes} per feature")
        numbers = np.concatenate([np.ravel(each) for each in self.arrays])
        if not (np.abs(numbers) <= _LARGEST_NUMBER).all():  # nor is any of them nan
            raise ValueError("a number is too large or none")
        if min(map(np.float32, self.scale)) < np.float32(1 / _LARGEST_NUMBER):
            raise ValueError("scale should be above 0")
        if not 0 <= self.uncertain_below <= 1:
            raise ValueError("uncertain_below should be from 0 to 1")
        if min(self.examples) < 0:
            raise ValueError("examples should be counts")


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names without blanks around them; ValueError if no classes are called so."""
    check_class_names(names)
    kept = tuple(name.strip() for name in names)
    if not _FEWEST_CLASSES <= len(kept) <= _MOST_CLASSES:
        raise ValueError(f"class_names should be 2 to 6, are {len(kept)}")
    if not all(1 <= len(name) <= _LONGEST_NAME for name in kept):
        raise ValueError(f"class_names should have 1 to {_LONGEST_NAME} characters")
    if len(set(map(normalise_name, kept))) < len(kept):
        raise ValueError("class_names should be different names")
    if "uncertain" in map(str.lower, kept):
        raise ValueError('class_names: "uncertain" is the answer where no class is sure enough')
    return kept
