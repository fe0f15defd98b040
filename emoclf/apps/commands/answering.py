"""From the options of `predict` to a stream of answers; everything heavy is imported in here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emoclf.apps.commands.options import DetectorChoice, clear_errors
from emoclf.apps.commands.terminal import echo
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import numpy as np

    from emoclf.inference import Prediction, Predictor


@dataclass
class Answering:
    """What to answer, and what has been answered so far.

    Attributes:
        predictor: Who answers.
        photos: The files, in order.
        whole_photo: Whether a photo without a face is answered as a whole.
        annotated_folder: Where annotated pictures go; None for none.
        predictions: The answers so far; problems of folders come first.
        annotated: The annotated picture of each, or None.
    """

    predictor: Predictor
    photos: Sequence[Path]
    whole_photo: bool = False
    annotated_folder: Path | None = None
    predictions: list[Prediction] = field(default_factory=list)
    annotated: list[Path | None] = field(default_factory=list)

    def answer_each(self) -> Iterator[Prediction]:
        """Yield the answers, photo by photo, and write the annotated pictures.

        Raises:
            click.ClickException: If no answer or no picture is possible here.
        """
        from emoclf.images.faces import FaceDetectorUnavailableError, FaceModelError

        found = self.predictor.predict_each(
            self.photos,
            whole_photo=self.whole_photo,
            keep_pixels=self.annotated_folder is not None,
        )
        try:
            for prediction, pixels in found:
                self.annotated.append(self._annotate(prediction, pixels))
                self.predictions.append(prediction)
                yield prediction
        except (FaceDetectorUnavailableError, FaceModelError) as error:
            raise click.ClickException(str(error)) from error

    def _annotate(self, prediction: Prediction, pixels: np.ndarray | None) -> Path | None:
        """Write the annotated picture, if one is asked for and the photo was read."""
        if self.annotated_folder is None or pixels is None:
            return None
        from emoclf.inference.annotation import save_annotated

        try:
            return save_annotated(pixels, prediction, folder=self.annotated_folder)
        except OSError as error:
            raise click.ClickException(
                f"No picture can be written into {str(self.annotated_folder)!r} "
                f"({show_text(error.strerror or error)}). Give another folder to --save-annotated."
            ) from error


def load_predictor(model: Path | None, choice: DetectorChoice) -> Predictor:
    """Load the packaged network or a model of the user's own.

    Args:
        model: A run folder or a `.keras` file; None for the packaged network.
        choice: What finds faces.

    Returns:
        The predictor; only a model of the user's own loads TensorFlow.

    Raises:
        click.ClickException: If the model is missing or damaged, or a package that it needs is.
    """
    from emoclf.inference import Predictor

    with clear_errors():
        if model is None:
            return Predictor.packaged(detector=choice)
        from emoclf.runtime import quiet_start

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quiet_start():
            return Predictor.load(model, detector=choice)


def list_photos(paths: Sequence[Path]) -> tuple[list[Path], list[Prediction]]:
    """Find the files that are meant.

    Args:
        paths: Files and folders; folders are searched with their sub-folders.

    Returns:
        The files, in the order of the arguments, whether they exist or not; and an answer that
        states the problem for every folder without a file.
    """
    from emoclf.data.folders import list_files
    from emoclf.inference import Prediction

    photos: list[Path] = []
    problems: list[Prediction] = []
    for path in paths:
        if not path.is_dir():
            photos.append(path)
            continue
        found = list_files(path)
        photos += found.files
        skipped = sorted({reason for _, reason in found.skipped})
        if not found.files:
            held = f"only what is skipped ({'; '.join(skipped)})" if skipped else "no file"
            problem = f"The folder holds {held}. Put photos into it, or give another."
            problems.append(Prediction(str(path), problem))
        elif set(skipped) - {"hidden"}:
            echo(f"Skipped in {str(path)!r}: {'; '.join(skipped)}.", err=True)
    return photos, problems
