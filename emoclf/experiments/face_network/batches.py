"""Batches of faces for Keras, on any backend, augmented anew every epoch.

Faces as another camera would have caught them: one affine warp, light, a hidden patch. Keras'
augmentation layers cost as much CPU time as the network at this size; one warp by OpenCV costs
about a hundredth of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import keras
import numpy as np


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
