"""Batches of faces for Keras, on any backend: NumPy arrays, augmented anew every epoch."""

from __future__ import annotations

import keras
import numpy as np

from emoclf.experiments.face_network.augmentation import Augmentation, augment_faces


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
