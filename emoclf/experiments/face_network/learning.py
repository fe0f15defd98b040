"""Train one face network: from scratch on votes, or taught by others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from emoclf.config import FACE_SIZE, MODEL_FILE_NAME
from emoclf.data.sources.fer2013 import EMOTIONS
from emoclf.experiments.face_network.batches import Augmentation, FaceBatches, grey_to_rgb
from emoclf.images import ModelInfo
from emoclf.models import build_face_network
from emoclf.models.model_file import save_model
from emoclf.storage import write_json
from emoclf.training import HistoryFile, make_learning_rate

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
    trained.compile(
        optimizer=_make_optimizer(settings, len(batches)),
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


def _make_optimizer(settings: LearningSettings, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.AdamW(
        make_learning_rate(
            steps_per_epoch, epochs=settings.epochs, learning_rate=settings.learning_rate
        ),
        weight_decay=settings.weight_decay,
        use_ema=settings.ema_momentum is not None,
        ema_momentum=settings.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class _AfterEpoch(keras.callbacks.Callback):
    """Save the network after every epoch, and add the watch's numbers to the log's row."""

    def __init__(self, network: keras.Model, folder: Path, watch: Watch | None) -> None:
        super().__init__()
        self.network, self.folder, self.watch = network, folder, watch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        save_model(self.network, self.folder / MODEL_FILE_NAME, info=FACE_INFO)
        if self.watch is not None and logs is not None:
            logs.update(self.watch(self.network))
