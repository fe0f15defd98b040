"""Faces and scene together: two networks find features in them, a head decides.

`SceneNetwork` finds features in the photo, `PackagedNetwork` says what its faces express; both
stay as they are. What learns is the `Head`, a logistic regression on what they found. So the
features of a photo are computed once, and learning takes a second. All of it runs in OpenCV.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import read_array

from emoclf.config import CLASS_NAMES, SCENE_SIZE, SHEET_SIZE
from emoclf.images import ModelInfo, Spares
from emoclf.images.sheet import MAX_FACES, cut_sheets
from emoclf.models.packaged import (
    FACE_MODEL_FOLDER,
    HEAD_FILE_NAME,
    JOINT_MODEL_FOLDER,
    SCENE_FILE_NAME,
    DamagedModelError,
    FaceProbabilities,
    JointCard,
    PackagedNetwork,
    calibrate_logits,
    read_checked,
    softmax,
)
from emoclf.models.packaged.card import REMEDY
from emoclf.models.packaged.network import read_onnx
from emoclf.storage import open_regular, replacing
from emoclf.untrusted import show_text

SCENE_FEATURES = 1280
"""How many features `SceneNetwork` finds in a photo."""

FACE_FEATURES = 23
"""How many numbers `summarise_faces` makes of the faces of a photo."""

HAPPINESS, SADNESS = 1, 3
"""Where these two are among the emotions of the packaged face network."""


_SCENE, _FACE = "scene.onnx", "face.onnx"
_MAX_FILE_BYTES, _MAX_MEMBERS, _MAX_RATIO = 2**27, 20, 100
_BLANK = np.zeros((1, *SCENE_SIZE, 3), dtype=np.uint8)


class Head(NamedTuple):
    """A logistic regression on standardised features, for any number of classes.

    Attributes:
        mean: float32 `(features,)`: what is subtracted from each feature.
        scale: float32 `(features,)`: what it is then divided by.
        weights: float32 `(features, classes)`.
        bias: float32 `(classes,)`.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return float32 probabilities `(photos, classes)` for features `(photos, features)`."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        return softmax(logits).astype(np.float32)

    def check(self, classes: int | None = None) -> Head:
        """Return the head if its parts fit together and are finite; raise ValueError if not."""
        count = SCENE_FEATURES + FACE_FEATURES
        classes = self.bias.size if classes is None else classes
        shapes = ((count,), (count,), (count, classes), (classes,))
        is_of_numbers = all(each.dtype.kind == "f" and np.isfinite(each).all() for each in self)
        if tuple(each.shape for each in self) != shapes or not (
            is_of_numbers and (self.scale > 0).all()
        ):
            raise ValueError("its head is not of this network")
        return self


def summarise_faces(logits: Any, sizes: Any, xp: Any = np) -> Any:
    """Say in a few numbers what the faces of a photo look like, however many there are.

    They are: whether there is a face, the logarithm of their number, the size of the largest; how
    much happier than sadder the largest looks, all of them on average by size, the happiest and the
    saddest; the probability of every emotion, averaged by size; the logits of the largest face less
    their mean. All are 0 without a face.

    Args:
        logits: float32 `(photos, faces, emotions)` of the packaged face network, the largest face
            first; or a tensor of Keras.
        sizes: float32 `(photos, faces)`: root of each face's fraction of the photo; 0 where there
            is no face.
        xp: `numpy`, or `keras.ops` for tensors.

    Returns:
        float32 `(photos, 23)`.
    """
    is_there = xp.where(sizes > 0, 1.0, 0.0)
    any_face = is_there[:, :1]
    shares = sizes / xp.maximum(xp.sum(sizes, axis=1, keepdims=True), 1e-6)
    values = xp.exp(logits - xp.max(logits, axis=2, keepdims=True))
    emotions = values / xp.sum(values, axis=2, keepdims=True)
    happier = logits[:, :, HAPPINESS] - logits[:, :, SADNESS]
    far = 1e6 * (1 - is_there)
    largest = logits[:, 0] - xp.mean(logits[:, 0], axis=1, keepdims=True)
    return xp.concatenate(
        [
            any_face,
            xp.log(xp.maximum(xp.sum(is_there, axis=1, keepdims=True), 1)),
            sizes[:, :1],
            any_face * happier[:, :1],
            xp.sum(shares * happier, axis=1, keepdims=True),
            any_face * xp.max(happier - far, axis=1, keepdims=True),
            -any_face * xp.max(-happier - far, axis=1, keepdims=True),
            xp.sum(shares[:, :, None] * emotions, axis=1),
            any_face * largest,
        ],
        axis=1,
    )


class SceneNetwork:
    """Features of whole photos: EfficientNet-Lite0 without its last layer, run by OpenCV.

    Args:
        content: Its ONNX file; default: the packaged one.

    Raises:
        ValueError: If OpenCV cannot read it, or it finds other features.
    """

    def __init__(self, content: bytes | None = None) -> None:
        """Load the network, and try it if its digest is not pinned."""
        import cv2

        self.content = _read_packaged(SCENE_FILE_NAME) if content is None else content
        try:
            self._networks = Spares(partial(read_onnx, self.content))
            received = self._run(_BLANK).shape if content else (SCENE_FEATURES,)
        except cv2.error as error:
            raise ValueError(
                f"OpenCV {cv2.__version__} cannot read the network of scenes "
                f"({show_text(str(error).strip()[:300])})."
            ) from error
        if received != (SCENE_FEATURES,):
            raise ValueError(
                f"The network of scenes finds {received} features; expected {SCENE_FEATURES}."
            )

    def _run(self, scene: np.ndarray) -> np.ndarray:
        with self._networks.borrow() as network:
            network.setInput(np.ascontiguousarray(scene))
            return network.forward().reshape(-1).copy()  # OpenCV uses the memory again

    def predict_features(self, scenes: np.ndarray) -> np.ndarray:
        """Compute the features of some photos.

        Args:
            scenes: uint8 RGB `(photos, 224, 224, 3)`, 0 to 255.

        Returns:
            float32 `(photos, 1280)`, 0 to 6: the average of every map over the photo.
        """
        rows = [self._run(scenes[i : i + 1]) for i in range(len(scenes))]
        return np.array(rows, dtype=np.float32).reshape(-1, SCENE_FEATURES)


class JointNetwork:
    """Looks at a photo and at its faces, which lie together on a sheet (`make_sheet`).

    Several threads may share it.

    Args:
        scene: Finds features in the whole photo; default: the packaged one.
        face: Says what each face expresses; default: the packaged one.
        head: What decides; None before it has learned.

    Attributes:
        scene: As given.
        face: As given.
        head: As given.
    """

    is_thread_safe = True

    def __init__(
        self,
        scene: SceneNetwork | None = None,
        face: PackagedNetwork | None = None,
        head: Head | None = None,
    ) -> None:
        """Keep or load the networks."""
        self.scene, self.face, self.head = scene or SceneNetwork(), face or PackagedNetwork(), head

    @classmethod
    def packaged(cls, folder: str | Path = FACE_MODEL_FOLDER) -> JointNetwork:
        """Load the networks that come with emoclf, and their head.

        Args:
            folder: Where the packaged files of the face network are.

        Raises:
            DamagedModelError: If a packaged file is missing, damaged or swapped.
        """
        name = SCENE_FILE_NAME
        try:
            with ThreadPoolExecutor(1) as pool:  # OpenCV reads one while we read the others
                reading = pool.submit(SceneNetwork)
                face = PackagedNetwork(folder)
            scene = reading.result()
            name = HEAD_FILE_NAME
            with np.load(io.BytesIO(_read_packaged(name)), allow_pickle=False) as arrays:
                head = Head(*(arrays[each] for each in Head._fields)).check(len(CLASS_NAMES))
        except DamagedModelError:
            raise
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DamagedModelError(
                f"{show_text(JOINT_MODEL_FOLDER / name)} cannot be used ({show_text(error)}). "
                f"{REMEDY}"
            ) from error
        return cls(scene, face, head)

    @property
    def sha256(self) -> str:
        """What the features depend on: the digest of both networks."""
        own = hashlib.sha256(self.scene.content)
        own.update(self.face.content)
        return own.hexdigest()

    def predict_features(
        self, sheets: np.ndarray, *, logits: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute what the head decides by.

        Args:
            sheets: uint8 RGB `(sheets, 320, 224, 3)`, 0 to 255.
            logits: float32 `(faces, emotions)`: what the face network finds in all faces on the
                sheets, in their order, where it is known.

        Returns:
            float32 `(sheets, 1303)`: 1,280 features of the scene, then 23 of the faces.
        """
        scenes, faces, sizes = cut_sheets(sheets)
        is_there = sizes > 0
        every = np.zeros((*sizes.shape, len(self.face.card.emotions)), dtype=np.float32)
        if logits is None:
            logits = _find_once(self.face.predict_logits, faces[is_there])
        every[is_there] = logits
        found = (_find_once(self.scene.predict_features, scenes), summarise_faces(every, sizes))
        return np.concatenate(found, axis=1).astype(np.float32)

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        """Return float32 probabilities `(sheets, classes)`, so that this is a `Network`."""
        return self.find_head().predict(self.predict_features(x))

    def predict_with_faces(
        self, sheet: np.ndarray, faces: np.ndarray
    ) -> tuple[np.ndarray, FaceProbabilities]:
        """Predict one photo and each of its faces, at each of which the network looks once.

        Args:
            sheet: uint8 RGB `(1, 320, 224, 3)`, 0 to 255.
            faces: uint8 RGB `(faces, 48, 48, 3)`, 0 to 255: all of them, the first on the sheet.

        Returns:
            What `predict_on_batch` says of the sheet, and `face.predict_with_neither` of the faces.
        """
        logits = self.face.predict_logits(faces)
        features = self.predict_features(sheet, logits=logits[:MAX_FACES])
        return self.find_head().predict(features), calibrate_logits(logits, self.face.card)

    def find_head(self) -> Head:
        """Return the head; raise ValueError if there is none yet."""
        if self.head is None:
            raise ValueError("The network has no head yet: train one (network='joint').")
        return self.head

    def save(self, path: str | Path, *, info: ModelInfo) -> Path:
        """Write all of it into one file, a zip: both networks, the head, and what it takes.

        Args:
            path: Where the `.zip` file belongs.
            info: Its classes, and that it is shown sheets.

        Returns:
            The path.

        Raises:
            ValueError: If there is no head yet.
        """
        from emoclf.models.model_file import MEMBER_NAME, write_info  # no prediction needs it

        head = self.find_head()
        members = {MEMBER_NAME: write_info(info).encode()}
        members |= {_SCENE: self.scene.content, _FACE: self.face.content}
        members |= {f"{name}.npy": _to_bytes(each) for name, each in head._asdict().items()}
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # no time: same network, same file
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> JointNetwork:
        """Load what `save` wrote. Only load files you trust.

        Args:
            path: The `.zip` file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or was not saved by emoclf.
        """
        from emoclf.models.model_file import MEMBER_NAME, read_info  # no prediction needs it
        from emoclf.storage.archives import ZIP_ERRORS, check_small_zip, open_zip, read_member

        names = [MEMBER_NAME, _SCENE, _FACE, *(f"{name}.npy" for name in Head._fields)]
        try:
            with (
                open_regular(path, what="a network", max_bytes=_MAX_FILE_BYTES) as file,
                open_zip(file, max_entries=_MAX_MEMBERS) as archive,
            ):
                check_small_zip(archive, max_bytes=_MAX_FILE_BYTES, max_ratio=_MAX_RATIO)
                found = [read_member(archive, name, max_bytes=_MAX_FILE_BYTES) for name in names]
            info, scene = read_info(found[0], path=Path(path)), SceneNetwork(found[1])
            head = Head(*(read_array(io.BytesIO(each)) for each in found[3:]))
            head = head.check(len(info.class_names))
            if (info.crop, info.image_size) != ("both", SHEET_SIZE):
                raise ValueError("it says that it is not shown a photo and its faces")
            return cls(scene, PackagedNetwork(content=found[2]), head)
        except (KeyError, ValueError, MemoryError, *ZIP_ERRORS) as error:
            raise ValueError(
                f"{show_text(path)} is damaged or was not saved by emoclf ({show_text(error)}). "
                "Train it again."
            ) from error


def _find_once(find: Callable[[np.ndarray], np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """Find something in every picture, but only once in those that are alike.

    A map hides one place of a sheet after the other, and leaves the rest as it is.
    """
    firsts: dict[bytes, int] = {}
    rows = [firsts.setdefault(each.tobytes(), len(firsts)) for each in pictures]
    _, chosen = np.unique(np.array(rows, dtype=int), return_index=True)
    return find(pictures[chosen])[rows] if rows else find(pictures)


def _to_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _read_packaged(name: str) -> bytes:
    """Return a file that comes with emoclf, checked."""
    return read_checked(JointCard.load(JOINT_MODEL_FOLDER), name, folder=JOINT_MODEL_FOLDER)
