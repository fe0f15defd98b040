"""The packaged network as a Keras model, to look into it or to build on it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.models.packaged.card import (
    CARD_FILE_NAME,
    EMOTION_OF_CLASS,
    FACE_MODEL_FOLDER,
    REMEDY,
    WEIGHTS_FILE_NAME,
    DamagedModelError,
    ModelCard,
    read_checked,
)
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras


def load_face_network(
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    folder: str | Path = FACE_MODEL_FOLDER,
    dropout: float = 0.2,
    augment: bool = False,
) -> keras.Model:
    """Load the packaged network into Keras, to look into it or to build on it.

    Args:
        class_names: Names of the outputs. For Sad and Happy, or for the card's emotions, the last
            layer is the packaged one, so the model answers at once; for other names it is new and
            has to be trained.
        folder: Where the packaged files are.
        dropout: Share of the averaged features switched off at random while training, 0 to 1.
        augment: Whether faces are flipped, moved, turned and re-lit at random while training.

    Returns:
        A model from uint8 RGB `(batch, 48, 48, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)`, for the face as it is, without its mirror image. Its convolutions do
        what batch normalisation did while it was trained, so it has none.

    Raises:
        DamagedModelError: If a file is missing, damaged or swapped.
    """
    card = ModelCard.load(folder)
    content = read_checked(card, WEIGHTS_FILE_NAME, folder=folder)
    from emoclf.models import build_face_network

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            weights = {name: file[name].astype(np.float32) for name in file.files}
        network = build_face_network(
            card.image_size,
            class_names,
            filters=card.filters,
            blocks=card.blocks,
            normalise=False,
            dropout=dropout,
            augment=augment,
        )
        head = _choose_outputs(weights, card, class_names)
        for variable in network.weights:
            if variable.path in head:
                variable.assign(head[variable.path])
            elif not variable.path.startswith("logits/"):
                variable.assign(weights[variable.path])
    except (KeyError, IndexError, zipfile.BadZipFile) as error:
        raise _explain_misfit(folder, error) from error
    except ValueError as error:
        if card == ModelCard.load():
            raise  # the arguments are at fault
        raise _explain_misfit(folder, error) from error
    return network


def _explain_misfit(folder: str | Path, error: Exception) -> DamagedModelError:
    return DamagedModelError(
        f"{show_text(Path(folder) / WEIGHTS_FILE_NAME)} does not fit {CARD_FILE_NAME} "
        f"({show_text(error)}). {REMEDY}"
    )


def _choose_outputs(
    weights: dict[str, np.ndarray], card: ModelCard, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    emotions = [EMOTION_OF_CLASS.get(name, name) for name in class_names]
    if not set(emotions) <= set(card.emotions):
        return {}
    columns = [card.emotions.index(emotion) for emotion in emotions]
    kernel, bias = weights["logits/kernel"][:, columns], weights["logits/bias"][columns]
    if set(class_names) <= set(EMOTION_OF_CLASS):
        kernel, bias = kernel / card.temperature, bias / card.temperature
    return {"logits/kernel": kernel, "logits/bias": bias}
