"""Train one face network: on faces changed anew every epoch, from scratch on votes or taught.

Faces as another camera would have caught them: one affine warp, light, a hidden patch. Keras'
augmentation layers cost as much CPU time as the network at this size; one warp by OpenCV costs
about a hundredth of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import keras
import numpy as np

from emoclf.config import FACE_SIZE, MODEL_FILE_NAME
from emoclf.data.sources.fer2013 import EMOTIONS
from emoclf.images import ModelInfo
from emoclf.models import build_face_network
from emoclf.models.model_file import save_model
from emoclf.storage import write_json
from emoclf.training import make_learning_rate
from emoclf.training.callbacks import HistoryFile


@dataclass(frozen=True)
class Augmentation:
    """How far a face may be changed.

    Attributes:
        flip: Whether half of the faces are mirrored.
        shift: Largest shift as a fraction of the side.
        rotate_degrees: Largest turn either way.
        zoom: Largest change of size as a fraction.
        light: Largest change of brightness and of contrast, as a fraction of their range.
        erase: Fraction of the faces that get a patch hidden by noise (Zhong et al., 2017).
        blur: Fraction of the faces that lose detail, as small faces in photos do.
    """

    flip: bool = True
    shift: float = 0.1
    rotate_degrees: float = 15.0
    zoom: float = 0.15
    light: float = 0.25
    erase: float = 0.3
    blur: float = 0.1


def augment_faces(
    pixels: np.ndarray, *, random: np.random.Generator, augmentation: Augmentation
) -> np.ndarray:
    """Change every face at random.

    Args:
        pixels: uint8 `(faces, height, width)`, grey.
        random: Where the choices come from.
        augmentation: How far they may go.

    Returns:
        uint8 of the same shape.
    """
    return np.stack([_augment_face(face, random, augmentation) for face in pixels])


def _augment_face(
    face: np.ndarray, random: np.random.Generator, augmentation: Augmentation
) -> np.ndarray:
    height, width = face.shape
    matrix = _draw_warp((height, width), random, augmentation)
    changed = cv2.warpAffine(
        face, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if random.random() < augmentation.blur:
        small = cv2.resize(changed, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        changed = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    contrast, brightness = 1 + augmentation.light * random.uniform(-1, 1, size=2)
    values = (changed.astype(np.float32) - 128) * contrast + 128 * brightness
    changed = np.clip(values, 0, 255).astype(np.uint8)
    if random.random() < augmentation.erase:
        _hide_patch(changed, random)
    return changed


def _draw_warp(
    size: tuple[int, int], random: np.random.Generator, augmentation: Augmentation
) -> np.ndarray:
    """Draw one affine map float64 `(2, 3)`: mirror, turn and zoom about the centre, shift."""
    height, width = size
    degrees = augmentation.rotate_degrees * random.uniform(-1, 1)
    scale = 1 + augmentation.zoom * random.uniform(-1, 1)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    matrix[:, 2] += augmentation.shift * random.uniform(-1, 1, size=2) * (width, height)
    if augmentation.flip and random.random() < 0.5:
        matrix[:, 2] += matrix[:, 0] * (width - 1)
        matrix[:, 0] *= -1
    return matrix


def _hide_patch(face: np.ndarray, random: np.random.Generator) -> None:
    """Fill a patch of 2 to 20 % of the face with noise, in place."""
    height, width = face.shape
    area = height * width * random.uniform(0.02, 0.2)
    aspect = np.exp(random.uniform(np.log(0.4), np.log(2.5)))
    tall = int(min(height - 1, max(1, round(np.sqrt(area * aspect)))))
    wide = int(min(width - 1, max(1, round(np.sqrt(area / aspect)))))
    top, left = random.integers(height - tall), random.integers(width - wide)
    face[top : top + tall, left : left + wide] = random.integers(0, 256, (tall, wide), np.uint8)


class FaceBatches(keras.utils.PyDataset):
    """Shuffled and augmented batches; their order and changes depend on seed and epoch alone.

    Args:
        pixels: uint8 `(faces, height, width)`, grey.
        targets: float32 `(faces, classes)`, rows sum to 1.
        batch_size: Faces per batch; the last, smaller batch of an epoch is left out.
        augmentation: How far faces are changed; None leaves them as they are.
        seed: Seed of order and changes.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        targets: np.ndarray,
        *,
        batch_size: int,
        augmentation: Augmentation | None,
        seed: int,
    ) -> None:
        """Keep the arrays; nothing is copied."""
        super().__init__()
        if not len(pixels) == len(targets) >= batch_size:
            raise ValueError(
                f"Expected as many faces as targets and at least batch_size={batch_size} of them. "
                f"Received: {len(pixels)} faces, {len(targets)} targets."
            )
        self.pixels, self.targets = pixels, targets
        self.batch_size, self.augmentation, self.seed = batch_size, augmentation, seed
        self.epoch = 0
        self._order = self._shuffle()

    def __len__(self) -> int:
        """Return the batches per epoch."""
        return len(self.pixels) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one batch: uint8 RGB `(batch, height, width, 3)` and its targets."""
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        faces = self.pixels[chosen]
        if self.augmentation is not None:
            random = np.random.default_rng((self.seed, self.epoch, index))
            faces = augment_faces(faces, random=random, augmentation=self.augmentation)
        return grey_to_rgb(faces), self.targets[chosen]

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.epoch += 1
        self._order = self._shuffle()

    def _shuffle(self) -> np.ndarray:
        return np.random.default_rng((self.seed, self.epoch)).permutation(len(self.pixels))


def grey_to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Repeat grey three times.

    Args:
        pixels: uint8 `(faces, height, width)`.

    Returns:
        uint8 `(faces, height, width, 3)`.
    """
    return np.repeat(pixels[..., np.newaxis], 3, axis=-1)


FACE_INFO = ModelInfo(EMOTIONS, FACE_SIZE, crop="face")
"""What every network of the recipe says of itself when it is saved."""

Watch = Callable[[keras.Model], Mapping[str, float]]
"""Looks at a network after an epoch and returns numbers for the log."""


@dataclass(frozen=True)
class LearningSettings:
    """How one face network is trained.

    Attributes:
        filters: Features of the first convolution and of each stage.
        blocks: Residual blocks of each stage.
        epochs: Passes over the training faces.
        batch_size: Faces per step.
        learning_rate: The largest, reached after a tenth of the training.
        weight_decay: Decoupled weight decay (Loshchilov and Hutter, 2019).
        ema_momentum: Momentum of the average of the weights (Polyak and Juditsky, 1992); None for
            the last weights.
        dropout: Fraction of the averaged features switched off while training.
        augmentation: How far faces are changed; None not at all.
        seed: Seed of the first weights, the order, the changes and the dropout.
        teacher_weight: Weight of the teachers' predictions in the targets, 0 to 1; the rest are
            votes and label.
    """

    filters: tuple[int, ...] = (24, 48, 96, 160)
    blocks: tuple[int, ...] = (1, 2, 2)
    epochs: int = 24
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    ema_momentum: float | None = 0.998
    dropout: float = 0.3
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    seed: int = 1
    teacher_weight: float = 0.0


def train_face_network(
    pixels: np.ndarray,
    targets: np.ndarray,
    *,
    folder: str | Path,
    settings: LearningSettings,
    start: keras.Model | None = None,
    watch: Watch | None = None,
) -> keras.Model:
    """Train one network and keep its log and its weights.

    Args:
        pixels: uint8 `(faces, 48, 48)`, grey.
        targets: float32 `(faces, 8)`, one column per emotion, rows sum to 1.
        folder: Where `settings.json`, `history.csv` (a row per epoch) and `model.keras` (after
            every epoch, and with the averaged weights at the end) go.
        settings: How to train.
        start: A network of the same filters and blocks whose weights to go on from; default: new
            weights.
        watch: Called with the network after every epoch; its numbers go into the log.

    Returns:
        The trained network, from uint8 RGB to probabilities of the emotions.
    """
    folder = Path(folder)
    write_json(folder / "settings.json", asdict(settings))
    keras.utils.set_random_seed(settings.seed)
    network = build_face_network(
        FACE_SIZE,
        EMOTIONS,
        filters=settings.filters,
        blocks=settings.blocks,
        dropout=settings.dropout,
        seed=settings.seed,
    )
    if start is not None:
        network.set_weights(start.get_weights())
    batches = FaceBatches(
        pixels,
        targets,
        batch_size=settings.batch_size,
        augmentation=settings.augmentation,
        seed=settings.seed,
    )
    trained = keras.Model(network.input, network.get_layer("logits").output)
    rate = make_learning_rate(
        len(batches), epochs=settings.epochs, learning_rate=settings.learning_rate
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=settings.weight_decay,
        use_ema=settings.ema_momentum is not None,
        ema_momentum=settings.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    trained.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    callbacks = [_AfterEpoch(network, folder, watch), HistoryFile(folder / "history.csv")]
    trained.fit(batches, epochs=settings.epochs, callbacks=callbacks, shuffle=False, verbose=0)
    save_model(network, folder / MODEL_FILE_NAME, info=FACE_INFO)
    return network


def predict_emotions(
    networks: keras.Model | Sequence[keras.Model],
    pixels: np.ndarray,
    *,
    flip: bool = True,
    batch_size: int = 256,
) -> np.ndarray:
    """Average the logits of networks for faces and for their mirror images.

    Args:
        networks: One or several from `train_face_network`.
        pixels: uint8 `(faces, 48, 48)`, grey.
        flip: Whether the mirror image counts, too.
        batch_size: Faces at a time.

    Returns:
        float32 `(faces, 8)`: logarithms of probabilities, up to a constant per face.
    """
    chosen = [networks] if isinstance(networks, keras.Model) else list(networks)
    views = (pixels, pixels[:, :, ::-1]) if flip else (pixels,)
    logits = np.zeros((len(pixels), len(EMOTIONS)), dtype=np.float32)
    for network in chosen:
        for view in views:
            for start in range(0, len(pixels), batch_size):
                part = slice(start, start + batch_size)
                probabilities = network.predict_on_batch(grey_to_rgb(view[part]))
                logits[part] += np.log(np.maximum(probabilities, 1e-12))
    return logits / (len(chosen) * len(views))


def find_quick_precision() -> str:
    """Return the dtype policy that trains quickest here.

    Returns:
        `"mixed_bfloat16"` on accelerators and on processors with instructions for it, else
        `"float32"`.
    """
    devices = keras.distribution.list_devices()
    if any(not device.lower().startswith("cpu") for device in devices):
        return "mixed_bfloat16"
    flags = Path("/proc/cpuinfo")
    has_bfloat16 = flags.is_file() and any(
        flag in flags.read_text() for flag in ("avx512_bf16", "amx_bf16")
    )
    return "mixed_bfloat16" if has_bfloat16 else "float32"


class _AfterEpoch(keras.callbacks.Callback):
    """Save the network after every epoch, and add the watch's numbers to the log's row."""

    def __init__(self, network: keras.Model, folder: Path, watch: Watch | None) -> None:
        super().__init__()
        self.network, self.folder, self.watch = network, folder, watch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        save_model(self.network, self.folder / MODEL_FILE_NAME, info=FACE_INFO)
        if self.watch is not None and logs is not None:
            logs.update(self.watch(self.network))
