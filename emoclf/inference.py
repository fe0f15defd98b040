"""The saved model answers: a photo in, Sad or Happy out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoclf.artefacts import MODEL_FILE_NAME, ModelInfo, load_model
from emoclf.folders import list_files
from emoclf.images import UnreadableImageError, load_resized

if TYPE_CHECKING:
    import keras
    from PIL import Image

    Photo = str | Path | bytes | np.ndarray | Image.Image


@dataclass(frozen=True)
class Prediction:
    """The answer for one photo.

    Attributes:
        class_name: `"Sad"` or `"Happy"`; None when the photo could not be read.
        probabilities: Class name to probability, 0 to 1; empty when it could not be read.
        file: The path that was asked about; None for a picture without one.
        problem: Why the photo could not be read, else None.
    """

    class_name: str | None
    probabilities: dict[str, float]
    file: str | None = None
    problem: str | None = None

    def __str__(self) -> str:
        """Return for example `sunny.jpg: Happy (Sad 4 %, Happy 96 %)`."""
        name = f"{self.file}: " if self.file else ""
        if self.problem:
            return f"{name}not read. {self.problem}"
        shares = ", ".join(f"{key} {value:.0%}" for key, value in self.probabilities.items())
        return f"{name}{self.class_name} ({shares})"


class Predictor:
    """A saved model and all it needs to answer: class order, size, preprocessing.

    Args:
        model: A model from raw uint8 RGB to probabilities.
        info: Its classes, size and resize mode.

    Example:
        >>> predictor = Predictor.load("logs/first-run")  # doctest: +SKIP
        >>> print(predictor.predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 4 %, Happy 96 %)
    """

    def __init__(self, model: keras.Model, info: ModelInfo) -> None:
        """Keep the model; nothing is read or written."""
        self.model = model
        self.info = info

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Load the model of a run.

        Args:
            path: A run folder, or a `.keras` file that emoclf saved. Only load files you trust.

        Returns:
            The predictor.

        Raises:
            FileNotFoundError: If there is no model at `path`.
            ValueError: If the file is damaged or was not saved by emoclf.
        """
        path = Path(path)
        return cls(*load_model(path / MODEL_FILE_NAME if path.is_dir() else path))

    def predict(
        self, photos: Photo | Sequence[Photo], *, batch_size: int = 32
    ) -> Prediction | list[Prediction]:
        """Say Sad or Happy of one photo, of a list of photos, or of all photos in a folder.

        Args:
            photos: A path, the bytes of a file, a PIL image, or an array (uint8 RGB
                `(height, width, 3)`, 0 to 255); a list of these; or a folder, which is searched
                with its sub-folders.
            batch_size: Photos that are decoded and answered at a time.

        Returns:
            One `Prediction` for one photo, else a list in the given order. In a list or a folder a
            file that cannot be read gets a `Prediction` whose `problem` says why.

        Raises:
            UnreadableImageError: If a single photo cannot be read.
            FileNotFoundError: If a folder holds no file.
        """
        if isinstance(photos, (str, Path)) and Path(photos).is_dir():
            found = list_files(photos).files
            if not found:
                raise FileNotFoundError(
                    f"The folder {str(photos)!r} holds no file: put photos into it, or give "
                    "another folder."
                )
            return self._predict_many(found, batch_size)
        if isinstance(photos, Sequence) and not isinstance(photos, (str, bytes, bytearray)):
            return self._predict_many(photos, batch_size)
        pixels = load_resized(photos, self.info.image_size, mode=self.info.resize_mode)
        return self._answer([photos], self.predict_probabilities(pixels[np.newaxis]))[0]

    def predict_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Run the model on photos that already have its size.

        Args:
            images: uint8 RGB `(photos, height, width, 3)`, 0 to 255.

        Returns:
            float32 `(photos, classes)`, in the order of `info.class_names`.
        """
        return np.asarray(self.model.predict_on_batch(images))

    def _predict_many(self, photos: Sequence[Photo], batch_size: int) -> list[Prediction]:
        answers: list[Prediction] = []
        for start in range(0, len(photos), batch_size):
            answers += self._predict_batch(photos[start : start + batch_size])
        return answers

    def _predict_batch(self, photos: Sequence[Photo]) -> list[Prediction]:
        readable, pixels = [], []
        answers: list[Prediction | None] = [None] * len(photos)
        for position, photo in enumerate(photos):
            try:
                pixels.append(load_resized(photo, self.info.image_size, mode=self.info.resize_mode))
                readable.append(position)
            except UnreadableImageError as error:
                answers[position] = Prediction(None, {}, _file_name(photo), str(error))
        if readable:
            probabilities = self.predict_probabilities(np.stack(pixels))
            batch = self._answer([photos[i] for i in readable], probabilities)
            for position, answer in zip(readable, batch, strict=True):
                answers[position] = answer
        return [answer for answer in answers if answer is not None]

    def _answer(self, photos: Sequence[Photo], probabilities: np.ndarray) -> list[Prediction]:
        names = self.info.class_names
        return [
            Prediction(
                class_name=names[int(row.argmax())],
                probabilities={name: float(p) for name, p in zip(names, row, strict=True)},
                file=_file_name(photo),
            )
            for photo, row in zip(photos, probabilities, strict=True)
        ]


def _file_name(photo: Photo) -> str | None:
    return str(photo) if isinstance(photo, (str, Path)) else None
