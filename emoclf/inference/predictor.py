"""A network and all it needs to answer: classes, size, preprocessing, a face detector."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoclf.config import CLASS_NAMES, MODEL_FILE_NAME
from emoclf.data.folders import list_files
from emoclf.images import DecodedImage, UnreadableImageError, sharing_memory
from emoclf.images.faces import FaceDetector, FaceDetectorUnavailableError, make_detector
from emoclf.inference.answers import (
    FacePrediction,
    Prediction,
    UncertaintyRule,
    find_most_probable,
)
from emoclf.inference.views import (
    FaceSearch,
    Photo,
    View,
    decode_for,
    load_full_pixels,
    view_nothing,
    view_photo,
)
from emoclf.models.model_file import ModelInfo, load_model
from emoclf.models.packaged import FACE_MODEL_FOLDER, NETWORK_FILE_NAME, PackagedNetwork

if TYPE_CHECKING:
    import keras

MakeDetector = Callable[[], FaceDetector]
"""Makes a face detector when one is first needed."""


class Predictor:
    """A network and all it needs to answer, for photos of any size and format.

    A network that learnt from faces (`info.crop` is "face") is shown every face of a photo, cut
    out as in training; a network that learnt from whole photos is shown the whole photo. Several
    threads may share one predictor: they take turns at the network.

    Args:
        model: A Keras model from raw uint8 RGB to probabilities, or the packaged network.
        info: Its classes, size and resize mode, and what it looks at.
        detector: What finds faces, or a function that makes it when it is first needed; None stands
            for `emoclf.make_detector`.
        rule: When an answer is "uncertain"; None answers with a class always.
        file: The file that the network was loaded from; None when it comes from elsewhere.

    Attributes:
        model: As given.
        info: As given.
        file: As given.
        rule: As given. `rule.describe()` says it in a sentence.

    Example:
        >>> predictor = Predictor.load("logs/first-run")  # doctest: +SKIP
        >>> print(predictor.predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 4%, Happy 96%)
    """

    def __init__(
        self,
        model: keras.Model | PackagedNetwork,
        info: ModelInfo,
        *,
        detector: FaceDetector | MakeDetector | None = None,
        rule: UncertaintyRule | None = None,
        file: Path | None = None,
    ) -> None:
        """Keep the network; nothing is read or written."""
        self.model = model
        self.file = file
        self.info = info
        self.rule = rule
        self._detector = detector
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls, path: str | Path, *, detector: FaceDetector | MakeDetector | None = None
    ) -> Predictor:
        """Load the model of a run.

        Args:
            path: A run folder, or a `.keras` file that emoclf saved. Only load files you trust.
            detector: As for the class. A model of whole photos needs none.

        Returns:
            The predictor.

        Raises:
            FileNotFoundError: If there is no model at `path`.
            ValueError: If the file is damaged or was not saved by emoclf.
        """
        path = Path(path)
        path = path / MODEL_FILE_NAME if path.is_dir() else path
        model, info = load_model(path)
        return cls(model, info, detector=detector, file=path)

    @classmethod
    def packaged(
        cls,
        *,
        detector: FaceDetector | MakeDetector | None = None,
        folder: str | Path = FACE_MODEL_FOLDER,
    ) -> Predictor:
        """Load the face network that comes with emoclf; TensorFlow is not needed.

        It answers "uncertain" where its card says that it should: when the larger of the two
        probabilities is below `rule.uncertain_below`, or the probability that the face is neither
        sad nor happy is above `rule.neither_above`.

        Args:
            detector: As for the class.
            folder: Where the packaged files are.

        Returns:
            The predictor.

        Raises:
            DamagedModelError: If a packaged file is missing, damaged or swapped.
        """
        network = PackagedNetwork(folder)
        card = network.card
        info = ModelInfo(CLASS_NAMES, card.image_size, "pad", "face")
        rule = UncertaintyRule(card.uncertain_below, card.neither_above)
        file = Path(folder) / NETWORK_FILE_NAME
        return cls(network, info, detector=detector, rule=rule, file=file)

    @property
    def detector(self) -> FaceDetector:
        """What finds faces, made when it is first needed.

        Raises:
            FaceDetectorUnavailableError: If there is no detector here.
        """
        with self._lock:
            if self._detector is None:
                self._detector = make_detector()
            elif callable(self._detector):
                self._detector = self._detector()
            return self._detector

    def predict(
        self,
        photos: Photo | Sequence[Photo],
        *,
        whole_photo: bool = False,
        batch_size: int = 32,
    ) -> Prediction | list[Prediction]:
        """Say Sad or Happy of one photo, of a list of photos, or of all photos in a folder.

        Args:
            photos: A path, the bytes of a file, a PIL image, or an array (uint8 RGB
                `(height, width, 3)`, 0 to 255); a list of these; or a folder, which is searched
                with its sub-folders.
            whole_photo: Whether a photo without a face is answered as a whole, marked
                `is_whole_photo`, instead of not at all. Then no face detector is needed either.
            batch_size: Photos that are decoded and answered at a time.

        Returns:
            One `Prediction` for one photo, else a list in the given order. In a list or a folder a
            file that cannot be read gets a `Prediction` whose `problem` says why. A photo without
            a face gets one without `faces`, whose `note` says what to do.

        Raises:
            UnreadableImageError: If a single photo cannot be read.
            FileNotFoundError: If a folder holds no file.
            FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        """
        if isinstance(photos, (str, Path)) and Path(photos).is_dir():
            found = list_files(photos).files
            if not found:
                raise FileNotFoundError(
                    f"The folder {str(photos)!r} holds no file: put photos into it, or give "
                    "another folder."
                )
            return self._predict_many(found, whole_photo, batch_size)
        if isinstance(photos, Sequence) and not isinstance(photos, (str, bytes, bytearray)):
            return self._predict_many(photos, whole_photo, batch_size)
        return self.answer(self.view(photos, whole_photo=whole_photo))

    def predict_each(
        self, photos: Iterable[Photo], *, whole_photo: bool = False, keep_pixels: bool = False
    ) -> Iterator[tuple[Prediction, np.ndarray | None]]:
        """Answer photo by photo, so that answers can be shown as they come.

        Args:
            photos: As in the lists that `predict` takes; read one by one.
            whole_photo: As for `predict`.
            keep_pixels: Whether to hand out the decoded photos too, to draw on.

        Yields:
            The answer and the upright photo, uint8 RGB `(height, width, 3)`, 0 to 255. None
            instead of the photo when it was not asked for or could not be read; in the second
            case the answer's `problem` says why.

        Raises:
            FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        """
        search = self._prepare_search(whole_photo)
        for photo in photos:
            view, decoded = self._look(photo, search)
            pixels = load_full_pixels(photo, decoded) if keep_pixels and decoded else None
            yield self._answer([view])[0], pixels

    def view(self, photo: Photo, *, whole_photo: bool = False) -> View:
        """Cut out what the network is shown of a photo.

        Args:
            photo: One photo, as for `predict`.
            whole_photo: As for `predict`.

        Returns:
            The whole photo or its faces at the network's size, and where they lie in the photo.

        Raises:
            UnreadableImageError: If the photo cannot be read.
            FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        """
        with sharing_memory():
            decoded, search = decode_for(photo, self.info), self._prepare_search(whole_photo)
            return view_photo(photo, decoded, info=self.info, search=search)

    def answer(self, view: View) -> Prediction:
        """Answer for what `view` cut out of a photo."""
        return self._answer([view])[0]

    def predict_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Run the network on photos or face crops that already have its size.

        Args:
            images: uint8 RGB `(photos, height, width, 3)`, 0 to 255.

        Returns:
            float32 `(photos, classes)`, in the order of `info.class_names`.
        """
        return self._ask(images)[0]

    def _ask(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return float32 probabilities (n, classes), and (n,) of neither where it is known."""
        with self._lock:
            if isinstance(self.model, PackagedNetwork):
                found = self.model.predict(images)
                return found.classes, found.neither
            return np.asarray(self.model.predict_on_batch(images)), None

    def _predict_many(
        self, photos: Sequence[Photo], whole_photo: bool, batch_size: int
    ) -> list[Prediction]:
        answers: list[Prediction] = []
        search = self._prepare_search(whole_photo) if len(photos) else None
        for start in range(0, len(photos), batch_size):
            batch = photos[start : start + batch_size]
            answers += self._answer([self._look(photo, search)[0] for photo in batch])
        return answers

    def _prepare_search(self, whole_photo: bool) -> FaceSearch | None:
        """Get the detector ready, once per call: to look for one may take a while."""
        if self.info.crop == "none":
            return None
        try:
            return FaceSearch(self.detector, whole_photo)
        except FaceDetectorUnavailableError as error:
            if not whole_photo:
                raise
            return FaceSearch(None, whole_photo, str(error))

    def _look(self, photo: Photo, search: FaceSearch | None) -> tuple[View, DecodedImage | None]:
        with sharing_memory():
            try:
                decoded = decode_for(photo, self.info)
            except UnreadableImageError as error:
                return view_nothing(photo, str(error), info=self.info), None
            return view_photo(photo, decoded, info=self.info, search=search), decoded

    def _answer(self, views: list[View]) -> list[Prediction]:
        """Ask the network about all crops at once and give each photo its answers."""
        crops = np.concatenate([view.crops for view in views])
        faces: list[FacePrediction] = []
        if len(crops):
            faces = self._name_faces(views, *self._ask(crops))
        answers = []
        for view in views:
            own, faces = tuple(faces[: len(view.crops)]), faces[len(view.crops) :]
            answers.append(
                Prediction(
                    class_name=own[0].class_name if own else None,
                    probabilities=own[0].probabilities if own else {},
                    file=view.file,
                    problem=view.problem,
                    faces=own,
                    note=view.note,
                    detector=view.detector,
                )
            )
        return answers

    def _name_faces(
        self, views: list[View], classes: np.ndarray, neither: np.ndarray | None
    ) -> list[FacePrediction]:
        """Turn rows of probabilities into answers, one for each crop of the views in turn."""
        places = [
            (box, score, view.is_whole_photo)
            for view in views
            for box, score in zip(view.boxes, view.scores, strict=True)
        ]
        found = []
        for number, (box, score, is_whole_photo) in enumerate(places):
            row = [float(value) for value in classes[number]]
            shares = dict(zip(self.info.class_names, row, strict=True))
            other = None if neither is None else float(neither[number])
            answer = self.rule.decide(shares, other) if self.rule else find_most_probable(shares)
            found.append(FacePrediction(box, shares, answer, other, score, is_whole_photo))
        return found
