"""A network and all it needs to predict: classes, size, preprocessing, a face detector."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emoclf.config import CLASS_NAMES, FACE_SIZE, JOINT_FILE_NAME, SHEET_SIZE
from emoclf.data.folders import list_files
from emoclf.images import (
    DecodedImage,
    ModelInfo,
    Network,
    Photo,
    Prepared,
    UnreadableImageError,
    decode_for,
    load_image,
    prepare,
    sharing_memory,
    work_ahead,
)
from emoclf.images.faces import FaceDetector, FaceDetectorUnavailableError, make_detector
from emoclf.inference.predictions import (
    UNCERTAIN,
    FacePrediction,
    Prediction,
    UncertaintyRule,
    find_most_probable,
)
from emoclf.models.packaged import (
    FACE_MODEL_FOLDER,
    NETWORK_FILE_NAME,
    JointCard,
    PackagedNetwork,
)
from emoclf.run import Run
from emoclf.storage import is_folder

MakeDetector = Callable[[], FaceDetector]
"""Makes a face detector when one is first needed."""

NO_FACE_NOTE = (
    "No face was found. Take a photo in which the face is larger, sharper and seen from the "
    "front, or ask for the whole photo instead: whole_photo=True (--whole-photo)."
)
NO_SEARCH_NOTE = "The prediction is for the whole photo, because no face can be searched for:"
SCENE_NOTE = "No face was found, so the prediction is by the scene alone."
SCENE_ONLY_NOTE = "The prediction is by the scene alone, because no face can be searched for:"
WHOLE_PHOTO_NOTE = (
    "No face was found, so the prediction is for the whole photo. The network learnt from faces "
    "alone: unless the photo is a face that was cut out, this is no more than a guess."
)

_MOST_WAITING_BYTES = 8_000_000
"""A photo with more pixels is decoded again where they are asked for: many may wait their turn."""

_packaged_lock = threading.Lock()
_packaged: dict[bool, Predictor] = {}


class _Search(NamedTuple):
    """How one call searches for faces: with what, and why there is no detector."""

    detector: FaceDetector | None
    whole_photo: bool
    problem: str = ""


class Predictor:
    """A network and all it needs to predict, for photos of any size and format.

    A network of faces (`info.crop` is "face") gets every face of a photo, cut out as in
    training; a network of whole photos gets the whole photo. Several threads may share one
    predictor: they take turns at a network that is not `is_thread_safe`.

    Of many photos, several are decoded and searched for faces at the same time, on all cores, and
    their predictions come in the order of the photos.

    Args:
        model: A Keras model from raw uint8 RGB to probabilities, or the packaged network.
        info: Its classes, and what it takes.
        detector: What finds faces, or a function that makes it when it is first needed; None stands
            for `emoclf.make_detector`.
        rule: When the prediction for a photo, or of a network of faces for a face, is "uncertain";
            None names a class always.
        file: The file that the network was loaded from; None when it comes from elsewhere, or was
            taught in the browser: it is of no run, wherever its file lies.

    Attributes:
        model: As given.
        info: As given.
        file: As given.
        rule: As given; see also `face_rule` and `describe_rules()`.

    Example:
        >>> predictor = Predictor.load("logs/first-run")  # doctest: +SKIP
        >>> print(predictor.predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 4%, Happy 96%)
    """

    def __init__(
        self,
        model: Network,
        info: ModelInfo,
        *,
        detector: FaceDetector | MakeDetector | None = None,
        rule: UncertaintyRule | None = None,
        file: Path | None = None,
    ) -> None:
        """Keep the network; nothing is read or written."""
        self.model, self.info, self.rule, self.file = model, info, rule, file
        self._detector, self._lock = detector, threading.Lock()
        self._is_shared = getattr(model, "is_thread_safe", False)
        self._turns: AbstractContextManager[Any] = nullcontext() if self._is_shared else self._lock

    @classmethod
    def load(
        cls, path: str | Path, *, detector: FaceDetector | MakeDetector | None = None
    ) -> Predictor:
        """Load the model of a run, or a head that was taught in the browser.

        Args:
            path: A run folder, a `.keras` or `.zip` file that emoclf saved, or the `.json` file of
                a head that the page of `emoclf page` saved. Only load files you trust.
            detector: As for the class. A model of whole photos needs none.

        Returns:
            The predictor.

        Raises:
            FileNotFoundError: If there is no model at `path`.
            ValueError: If the file is damaged or was not saved by emoclf.
        """
        from emoclf.models.model_file import (  # the packaged network needs none of it
            load_info,
            load_model,
        )

        path = Path(path)
        path = Run(path).model_file if path.is_dir() else path
        if path.suffix.lower() == ".json":
            from emoclf.models.head_file import load_head

            network, info, uncertain_below = load_head(path)
            rule = UncertaintyRule(uncertain_below)
            return cls(network, info, detector=detector, rule=rule)
        if path.suffix == Path(JOINT_FILE_NAME).suffix:
            from emoclf.models.joint import JointNetwork

            return cls(JointNetwork.load(path), load_info(path), detector=detector, file=path)
        model, info = load_model(path, compiled=False)
        return cls(model, info, detector=detector, file=path)

    @classmethod
    def packaged(
        cls,
        *,
        faces_only: bool = False,
        detector: FaceDetector | MakeDetector | None = None,
        folder: str | Path = FACE_MODEL_FOLDER,
    ) -> Predictor:
        """Load the networks that come with emoclf; TensorFlow is not needed.

        They answer for every face, and for the photo as a whole, by its faces and its scene. An
        answer is "uncertain" where the networks' cards say so: see `describe_rules()`.

        Args:
            faces_only: Whether faces alone are answered for, and a photo without a face is not.
            detector: As for the class.
            folder: Where the packaged files of the face network are.

        Returns:
            The predictor.

        Raises:
            DamagedModelError: If a packaged file is missing, damaged or swapped.
        """
        file = Path(folder) / NETWORK_FILE_NAME
        if not faces_only:
            from emoclf.models.joint import JointNetwork

            info = ModelInfo(CLASS_NAMES, SHEET_SIZE, "pad", "both")
            rule = UncertaintyRule(JointCard.load().uncertain_below)
            joint = JointNetwork.packaged(folder)
            return cls(joint, info, detector=detector, rule=rule, file=file)
        network = PackagedNetwork(folder)
        info = ModelInfo(CLASS_NAMES, network.card.image_size, "pad", "face")
        return cls(network, info, detector=detector, rule=_make_rule(network), file=file)

    @property
    def face_rule(self) -> UncertaintyRule | None:
        """When the prediction for a face is "uncertain"; None names a class always."""
        face = getattr(self.model, "face", None)
        return self.rule if face is None else _make_rule(face)

    def describe_rules(self) -> str:
        """Say in a sentence when a prediction is "uncertain"; empty where none ever is."""
        whole, face = self.rule, self.face_rule
        if whole is None and face is None:
            return ""
        if whole is face and whole is not None:
            return f'"{UNCERTAIN}": {whole.describe()}.'
        of_photo = f"of the photo as a whole, when {whole.describe()}; " if whole else ""
        return f'"{UNCERTAIN}": {of_photo}of a face, when {face.describe() if face else "never"}.'

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
        self, photos: Photo | Sequence[Photo], *, whole_photo: bool = False, batch_size: int = 32
    ) -> Prediction | list[Prediction]:
        """Say Sad or Happy of one photo, of a list of photos, or of all photos in a folder.

        Args:
            photos: A path, the bytes of a file, a PIL image, or an array (uint8 RGB
                `(height, width, 3)`, 0 to 255); a list of these; or a folder, which is searched
                with its sub-folders.
            whole_photo: Whether a photo without a face is predicted as a whole, marked
                `is_whole_photo`, instead of not at all. Then no face detector is needed either.
            batch_size: Photos that a network which is not `is_thread_safe` predicts at a time.

        Returns:
            One `Prediction` for one photo, else a list in the given order. In a list or a folder
            what cannot be read, such as a file, a locked sub-folder or an array of another dtype,
            gets a `Prediction` whose `problem` says why. A photo without a face gets one without
            `faces`, whose `note` says what to do.

        Raises:
            UnreadableImageError: If a single photo cannot be read.
            FileNotFoundError: If a folder holds no file.
            FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        """
        if isinstance(photos, (str, Path)) and is_folder(photos):
            found = list_files(photos)
            if not (found.files or found.refused):
                raise FileNotFoundError(
                    f"The folder {str(photos)!r} holds no file: put photos into it, or give "
                    "another folder."
                )
            refused = [Prediction(str(path), f"{reason}.") for path, reason in found.refused]
            return self._predict_many(found.files, whole_photo, batch_size) + refused
        if isinstance(photos, Sequence) and not isinstance(photos, (str, bytes, bytearray)):
            return self._predict_many(photos, whole_photo, batch_size)
        return self.predict_prepared(photos, whole_photo=whole_photo)[0]

    def predict_prepared(
        self, photo: Photo, *, whole_photo: bool = False
    ) -> tuple[Prediction, Prepared]:
        """Predict one photo, and hand out what the network got of it.

        Args:
            photo: One photo, as for `predict`.
            whole_photo: As for `predict`.

        Returns:
            The prediction, and the crops in the order of its `faces`.

        Raises:
            UnreadableImageError: If the photo cannot be read.
            FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        """
        with sharing_memory():
            decoded = decode_for(photo, self.info)
            begun, prepared = self._begin(photo, decoded, self._make_search(whole_photo))
        return self._finish([(begun, prepared)])[0], prepared

    def predict_each(
        self,
        photos: Iterable[Photo],
        *,
        whole_photo: bool = False,
        keep_pixels: bool = False,
        batch_size: int = 8,
    ) -> Iterator[tuple[Prediction, np.ndarray | None]]:
        """Predict photo by photo, so that predictions can be shown as they come.

        Args:
            photos: As in the lists that `predict` takes; a few are taken ahead.
            whole_photo: As for `predict`.
            keep_pixels: Whether to hand out the decoded photos too, to draw on.
            batch_size: As for `predict`: then the predictions come so many at a time.

        Yields:
            The prediction and the upright photo, uint8 RGB `(height, width, 3)`, 0 to 255. None
            instead of the photo when it was not asked for or could not be read; in the second
            case the prediction's `problem` says why.

        Raises:
            FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        """
        search = self._make_search(whole_photo)

        def begin(photo: Photo) -> tuple[Photo, Prediction, Prepared | None, np.ndarray | None]:
            begun, prepared, decoded = self._try_to_begin(photo, search)
            if self._is_shared:
                begun, prepared = self._finish([(begun, prepared)])[0], None
            pixels = _keep_small(decoded) if keep_pixels and decoded else None
            return photo, begun, prepared, pixels

        with closing(work_ahead(begin, photos)) as waiting:
            while batch := list(islice(waiting, 1 if self._is_shared else batch_size)):
                done = [begun for _, begun, _, _ in batch]
                if not self._is_shared:
                    done = self._finish([(begun, prepared) for _, begun, prepared, _ in batch])
                for (photo, _, _, pixels), prediction in zip(batch, done, strict=True):
                    try:
                        if keep_pixels and pixels is None and not prediction.problem:
                            pixels = load_image(photo)
                    except UnreadableImageError as error:  # gone meanwhile
                        prediction = Prediction(_name_file(photo), problem=str(error))
                    yield prediction, pixels

    def predict_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Run the network on photos, face crops or sheets that already have its size.

        Args:
            images: uint8 RGB `(photos, height, width, 3)`, 0 to 255. A network of faces and scene
                takes sheets (`prepare`), or face crops, `(faces, 48, 48, 3)`, for its face network.

        Returns:
            float32 `(photos, classes)`, in the order of `info.class_names`.
        """
        return self._run(images)[0]

    def _run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return float32 probabilities (n, classes), and (n,) of neither where it is known."""
        model: Any = self.model
        if self.info.crop == "both" and images.shape[1:3] == FACE_SIZE:
            model = model.face
        with_neither: Any = getattr(model, "predict_with_neither", None)
        with self._turns:
            if with_neither is not None:
                return with_neither(images)
            return np.asarray(model.predict_on_batch(images)), None

    def _predict_many(
        self, photos: Sequence[Photo], whole_photo: bool, batch_size: int
    ) -> list[Prediction]:
        if not len(photos):
            return []  # and no detector is needed
        found = self.predict_each(photos, whole_photo=whole_photo, batch_size=batch_size)
        return [prediction for prediction, _ in found]

    def _make_search(self, whole_photo: bool) -> _Search:
        """Get the detector ready, once per call: to look for one may take a while."""
        if self.info.crop == "none":
            return _Search(None, whole_photo)
        whole_photo = whole_photo or self.info.crop == "both"
        try:
            return _Search(self.detector, whole_photo)
        except FaceDetectorUnavailableError as error:
            if not whole_photo:
                raise
            return _Search(None, whole_photo, str(error))

    def _try_to_begin(
        self, photo: Photo, search: _Search
    ) -> tuple[Prediction, Prepared | None, DecodedImage | None]:
        """Do the same as `_begin`, or say in the prediction why the photo cannot be read."""
        with sharing_memory():
            try:
                decoded = decode_for(photo, self.info)
            except (UnreadableImageError, TypeError, ValueError) as error:  # or no such array
                return Prediction(_name_file(photo), problem=str(error)), None, None
            return *self._begin(photo, decoded, search), decoded

    def _begin(
        self, photo: Photo, decoded: DecodedImage, search: _Search
    ) -> tuple[Prediction, Prepared]:
        """Prepare a photo; the prediction lacks what the network has to say."""
        prepared = prepare(
            decoded, self.info, detector=search.detector, whole_photo=search.whole_photo
        )
        note, is_sheet = None, self.info.crop == "both"
        if search.problem:
            note = f"{SCENE_ONLY_NOTE if is_sheet else NO_SEARCH_NOTE} {search.problem}"
        elif search.detector and not prepared.faces:
            note = WHOLE_PHOTO_NOTE if search.whole_photo else NO_FACE_NOTE
            note = SCENE_NOTE if is_sheet else note
        detector = search.detector.description if search.detector else None
        return Prediction(_name_file(photo), note=note, detector=detector), prepared

    def _finish(self, begun: list[tuple[Prediction, Prepared | None]]) -> list[Prediction]:
        """Run the network on all crops at once and give each photo its predictions."""
        shown = [prepared for _, prepared in begun if prepared and len(prepared.crops)]
        rows: Iterator[tuple[np.ndarray, float | None]] = iter(())
        if shown and not hasattr(self.model, "predict_with_faces"):
            classes, neither = self._run(np.concatenate([each.crops for each in shown]))
            others = [None] * len(classes) if neither is None else neither.tolist()
            rows = zip(classes, others, strict=True)
        if self.info.crop == "both":
            return [self._name_sheet(each, prepared, rows) for each, prepared in begun]
        return [replace(each, faces=tuple(self._name_faces(crops, rows))) for each, crops in begun]

    def _name_sheet(
        self,
        begun: Prediction,
        prepared: Prepared | None,
        rows: Iterator[tuple[np.ndarray, float | None]],
    ) -> Prediction:
        """Give a photo the answer for the whole of it, and one for each of its faces."""
        if prepared is None or prepared.face_crops is None:
            return begun
        with_faces: Any = getattr(self.model, "predict_with_faces", None)
        found: tuple[FacePrediction, ...] = ()
        if with_faces is not None:
            whole, (classes, neither) = with_faces(prepared.crops, prepared.face_crops)
            rows = iter([(whole[0], None)])
            own = iter(zip(classes, neither.tolist(), strict=True))
            faces = replace(prepared, crops=prepared.face_crops)
            found = tuple(self._name_faces(faces, own, names=CLASS_NAMES, rule=self.face_rule))
        (photo,) = self._name_faces(replace(prepared, faces=()), rows)
        return replace(begun, photo=photo, faces=found)

    def _name_faces(
        self,
        prepared: Prepared | None,
        rows: Iterator[tuple[np.ndarray, float | None]],
        *,
        names: Sequence[str] = (),
        rule: UncertaintyRule | None = None,
    ) -> Iterator[FacePrediction]:
        """Yield a prediction for each crop, from as many of the network's rows."""
        if prepared is None:
            return
        names, rule = names or self.info.class_names, rule or self.rule
        height, width = prepared.size
        whole = (0.0, 0.0, float(width), float(height))
        for face in prepared.faces or [None] * len(prepared.crops):
            row, neither = next(rows)
            shares = dict(zip(names, map(float, row), strict=True))
            answer = rule.decide(shares, neither) if rule else find_most_probable(shares)
            if face is None:
                yield FacePrediction(whole, shares, answer, neither, is_whole_photo=True)
            else:
                yield FacePrediction(face.box, shares, answer, neither, face.score)


def predict(
    photos: Photo | Sequence[Photo],
    *,
    model: str | Path | Predictor | None = None,
    faces_only: bool = False,
    whole_photo: bool = False,
    detector: FaceDetector | None = None,
) -> Prediction | list[Prediction]:
    """Predict Sad, Happy or uncertain for a photo, and for every face in it.

    The answer for the photo as a whole comes from its faces and its scene, so a photo without a
    face has one, too. The packaged networks are loaded at the first call and kept, and so is the
    face detector. `Predictor.describe_rules` says when an answer is "uncertain".

    Args:
        photos: One photo, a list of photos or a folder, as for `Predictor.predict`.
        model: None for the packaged networks; a run folder or a file that emoclf saved, which is
            loaded at every call; or a `Predictor` that you keep.
        faces_only: Whether the packaged networks answer for faces alone.
        whole_photo: Whether a photo without a face is predicted as a whole by a network of faces,
            and marked.
        detector: What finds faces; None for the best that is there. With a `Predictor` as `model`,
            give the detector to that instead.

    Returns:
        One `Prediction` for one photo, else a list in the given order, as of `Predictor.predict`.

    Raises:
        UnreadableImageError: If a single photo cannot be read.
        FileNotFoundError: If a folder holds no file, or there is no model at `model`.
        ValueError: If the model file is damaged or was not saved by emoclf, or a `detector` is
            given beside a `Predictor`.
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.

    Example:
        >>> print(emoclf.predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 3%, Happy 97%) | Happy (Sad 4%, Happy 96%, neither 1%)
    """
    if faces_only and model is not None:
        raise ValueError(
            "faces_only: expected False beside a model, which looks at what it learnt."
        )
    if isinstance(model, Predictor):
        if detector is not None:
            raise ValueError(
                "detector: expected None beside a Predictor, which has its own. Give it to "
                "Predictor.load(..., detector=...) or Predictor.packaged(detector=...)."
            )
        predictor = model
    elif model is not None:
        predictor = Predictor.load(model, detector=detector)
    elif detector is not None:
        predictor = Predictor.packaged(faces_only=faces_only, detector=detector)
    else:
        predictor = _keep_packaged(faces_only)
    return predictor.predict(photos, whole_photo=whole_photo)


def _keep_packaged(faces_only: bool) -> Predictor:
    with _packaged_lock:
        if faces_only not in _packaged:
            _packaged[faces_only] = Predictor.packaged(faces_only=faces_only)
        return _packaged[faces_only]


def _make_rule(network: PackagedNetwork) -> UncertaintyRule:
    return UncertaintyRule(network.card.uncertain_below, network.card.neither_above)


def _name_file(photo: Photo) -> str | None:
    return str(photo) if isinstance(photo, (str, Path)) else None


def _keep_small(decoded: DecodedImage) -> np.ndarray | None:
    """Return the pixels of a photo that was decoded in full and may wait for its turn."""
    is_full = decoded.pixels.shape[:2] == decoded.size
    return decoded.pixels if is_full and decoded.pixels.nbytes <= _MOST_WAITING_BYTES else None
