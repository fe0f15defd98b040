"""Train the baselines one by one; each one that is done is kept and read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from emoclf.config import FACE_SIZE, IMAGE_SIZE, PARTS, Crop, Settings
from emoclf.data.loading import PhotoCache, cache_photos
from emoclf.evaluation import read_evaluation
from emoclf.experiments.baselines.colours import COLOUR_NAMES, measure_colours
from emoclf.experiments.baselines.result import (
    BASELINE_NAMES,
    FACE_BASELINES,
    Baseline,
    BaselineComparison,
    BaselineName,
    compare_baselines,
)
from emoclf.experiments.learners import (
    check_networks,
    describe_seconds,
    predict_test,
    predict_test_joint,
    time_calls,
    time_training,
    train_and_test,
    train_and_test_joint,
)
from emoclf.images import load_image, resize_image
from emoclf.images.faces import FaceDetector, make_detector
from emoclf.models.packaged import PackagedNetwork
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import find_sha256, keep_work, write_json
from emoclf.training.regression import fit_regression
from emoclf.untrusted import show_text

FOLDER_NAME = "baselines"
"""Name of the baselines' folder inside the folder of a run."""

PIXEL_SIZE: tuple[int, int] = (32, 32)
"""`(height, width)` of the photos whose pixels the baseline `pixels` weighs."""

_SAMPLE = 6


def train_baselines(
    photos: Photos | None = None,
    settings: Settings | None = None,
    *,
    run: Run | str | Path | None = None,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    skip: Collection[BaselineName] = (),
    detector: FaceDetector | None = None,
    say: Callable[[str], None] = lambda _: None,
    verbose: int | str = 0,
    progress: bool = False,
) -> BaselineComparison:
    """Train and test every baseline, from always guessing to the fine-tuned face network.

    All are trained on the same photos, leave choices (regularisation strength, epoch) to the same
    validation photos, and predict the same test photos once. Where no face is found, the baselines
    of face crops are given the whole photo, so that they predict all photos, too. What is done is
    kept: called again with `resume`, the comparison goes on.

    Args:
        photos: Photos in parts; left out with `run`.
        settings: Image size, epochs, class weights and so on of all baselines; likewise.
        run: A run with a trained network, whose photos and settings are taken and whose
            network is a baseline, not trained again. The comparison is kept in `baselines` in it,
            and a second call goes on.
        logs: The folder that holds all runs.
        name: Name of the baselines' folder; default: the time.
        resume: Go on with the baselines of this name, where there are any.
        skip: Baselines to leave out, of `BASELINE_NAMES`.
        detector: What finds faces; default: `make_detector()`, if a baseline needs it.
        say: Called with the estimate of the time and a line per baseline, such as `print`.
        verbose: As in Keras' `fit`.
        progress: Whether decoding shows progress bars.

    Returns:
        The baselines; also written to `baselines.json` in their folder.

    Raises:
        UnreadableImageError: If a photo cannot be read.
        FaceDetectorUnavailableError: If there is no face detector; skip the face baselines then.
        ResumeRefusedError: If the baselines to go on with have other photos or settings.
        RunInUseError: If another process trains them.
        ValueError: If the arguments do not fit together, or there is no baseline.

    Example:
        >>> print(train_baselines(photos, name="baselines"))  # doctest: +SKIP
    """
    from emoclf.training import hold_run, start_run

    trained = None if run is None else Run.open(run)
    names = choose_baselines(skip, run=trained)
    if trained is not None:
        photos, settings = _read_run(trained, photos, settings)
        logs, name, resume = trained.folder, FOLDER_NAME, True
    if photos is None:
        raise ValueError("train_baselines: give photos in parts, or a run.")
    settings = settings or Settings()
    if set(names) & {*FACE_BASELINES} or settings.crop != "none":
        detector = detector or make_detector()
    own = None if trained is None else _find_own(settings)
    to_train = [name for name in names if name in _SETTINGS_OF and name != own]
    check_networks(photos.class_names, *(_SETTINGS_OF[name](settings) for name in to_train))
    folder = start_run(settings, photos, logs=logs, name=name, resume=resume).folder
    training = _Training(photos, settings, folder, trained, detector, say, verbose, progress)
    with hold_run(folder):
        training.announce(names)
        baselines = tuple(map(training.find_baseline, names))
        comparison = BaselineComparison(
            folder, baselines, photos.count(), compare_baselines(baselines)
        )
        write_json(folder / "baselines.json", comparison.to_dict())
    return comparison


def choose_baselines(
    skip: Collection[BaselineName], *, run: Run | None = None
) -> list[BaselineName]:
    """Return the baselines that are left, for photos or for a finished run.

    Raises:
        ValueError: If a name to skip is unknown, or none is left.
        FileNotFoundError: If the run is not finished.
    """
    if run is not None and not run.model_file.is_file():
        raise FileNotFoundError(
            f"{show_text(run.model_file)} does not exist: the run is not finished, or no run. "
            "Finish it (train --resume), or train baselines of their own."
        )
    unknown = sorted(set(skip) - set(BASELINE_NAMES))
    names = [name for name in BASELINE_NAMES if name not in skip]
    if unknown or not names:
        raise ValueError(
            f"skip: expected some of {', '.join(BASELINE_NAMES)}, not all. Received: "
            f"{', '.join(sorted(skip))}."
        )
    return names


def _read_run(
    run: Run, photos: Photos | None, settings: Settings | None
) -> tuple[Photos, Settings]:
    """Read the photos and the settings of a finished run."""
    if photos is not None or settings is not None:
        raise ValueError(
            "run: the run decides about photos and settings. Leave out photos and "
            "settings, or leave out run."
        )
    return run.find_photos(), run.settings


def _choose_network_settings(settings: Settings) -> Settings:
    """Return the settings of the baseline `network`; beside a face network, the small one."""
    if settings.network != "face":
        return settings
    return replace(settings, network="small", crop="none", image_size=IMAGE_SIZE)


def _choose_face_settings(settings: Settings) -> Settings:
    """Return the settings of the baseline `fine_tuned`: the packaged face network on faces."""
    return replace(settings, network="face", crop="face", image_size=FACE_SIZE)


_SETTINGS_OF: dict[BaselineName, Callable[[Settings], Settings]] = {
    "network": _choose_network_settings,
    "fine_tuned": _choose_face_settings,
}
"""The baselines that are networks to train."""


_SHOWN: dict[Crop, str] = {"none": "whole photos", "face": "faces", "both": "faces and scene"}
"""What a network is shown, for readers."""


def _find_own(settings: Settings) -> BaselineName:
    """Return which baseline the network of a run is."""
    return "fine_tuned" if settings.network == "face" else "network"


class KeptBaseline(TypedDict):
    """What the file of a baseline holds beside the facts."""

    probabilities: list[list[float]]
    seconds: float | None
    note: str
    without_face: int | None


def keep_baseline(
    path: Path,
    work: Callable[[], Mapping[str, Any]],
    *,
    facts: Mapping[str, Any],
    name: BaselineName,
    title: str,
    photos: Photos,
) -> Baseline:
    """Read a baseline that is done, or train it and keep it; `photos` are those of the test."""
    value: KeptBaseline = keep_work(path, work, facts=facts, what="baseline", kind=KeptBaseline)
    evaluation = read_evaluation(value["probabilities"], photos, name=path)
    return Baseline(name, title, evaluation, value["seconds"], value["note"], value["without_face"])


@dataclass
class _Training:
    """One call of `train_baselines`; photos are decoded when a baseline first needs them."""

    photos: Photos
    settings: Settings
    folder: Path
    trained: Run | None
    detector: FaceDetector | None
    say: Callable[[str], None]
    verbose: int | str
    progress: bool
    caches: dict[tuple[tuple[int, int], Crop], PhotoCache] = field(default_factory=dict)

    @cached_property
    def test(self) -> Photos:
        return self.photos.part("test")

    @cached_property
    def colours(self) -> np.ndarray:
        return measure_colours(self.photos.files, progress=self.progress)

    def announce(self, names: Sequence[BaselineName]) -> None:
        """Say how long the baselines will take that are not done."""
        left = [name for name in names if not self.find_file(name).is_file()]
        if len(left) < len(names):
            self.say(
                f"{len(names) - len(left)} of {len(names)} baselines are done already, in "
                f"{show_text(self.folder)}"
            )
        if left:
            waiting = [name for name in left if not self.find_run(name)]
            seconds = estimate_seconds(
                self.photos, self.settings, baselines=waiting, detector=self.detector
            )
            self.say(
                f"{', '.join(left)}: {describe_seconds(seconds)} (measured on a few photos and "
                "steps; early stopping makes it shorter)"
            )

    def find_file(self, name: BaselineName) -> Path:
        return self.folder / f"baseline-{name}.json"

    def find_run(self, name: BaselineName) -> Run | None:
        """Return the run whose network is this baseline, so that it is not trained again."""
        return self.trained if name == _find_own(self.settings) else None

    def find_baseline(self, name: BaselineName) -> Baseline:
        """Read a baseline that is done, or train and keep it."""
        title = self.find_title(name)
        baseline = keep_baseline(
            self.find_file(name),
            lambda: self.work(name),
            facts=self.find_facts(name),
            name=name,
            title=title,
            photos=self.test,
        )
        self.say(f"{title}: accuracy {baseline.evaluation.accuracy}")
        return baseline

    def work(self, name: BaselineName) -> Mapping[str, Any]:
        """Train a baseline; a test access of the run is logged before anything is kept."""
        self.say(f"{self.find_title(name)} ...")
        probabilities, seconds, note = self.train(name)
        if run := self.find_run(name):
            run.log_test_access(self.test, probabilities, model_file=run.model_file)
        return {
            "probabilities": probabilities.tolist(),
            "seconds": seconds,
            "note": note,
            "without_face": self.count_faceless(name),
        }

    def find_facts(self, name: BaselineName) -> dict[str, Any]:
        """Return what decides about a baseline beside the photos and the settings."""
        facts: dict[str, Any] = {"baseline": name}
        has_faces = _choose_network_settings(self.settings).crop != "none"
        if self.detector and (name in FACE_BASELINES or (name == "network" and has_faces)):
            facts["detector"] = self.detector.description
        if run := self.find_run(name):
            facts["model"] = find_sha256(run.model_file)
        return facts

    def find_title(self, name: BaselineName) -> str:
        """Return a baseline's name for readers."""
        chosen = _choose_network_settings(self.settings)
        counts = np.bincount(self.photos.part("train").labels)
        titles: dict[BaselineName, str] = {
            "majority": f"always {self.photos.class_names[int(counts.argmax())]}",
            "brightness": "brightness alone",
            "colours": "mean colours and their spread",
            "pixels": f"pixels, {PIXEL_SIZE[0]} x {PIXEL_SIZE[1]}",
            "network": f"{chosen.network} network, {_SHOWN[chosen.crop]}",
            "face_features": "features of the face network",
            "fine_tuned": "face network, fine-tuned",
        }
        return titles[name]

    def train(self, name: BaselineName) -> tuple[np.ndarray, float | None, str]:
        """Train a baseline; return its probabilities, float64 `(test, classes)`, seconds, note."""
        if name == "majority":
            labels = self.photos.part("train").labels
            fractions = np.bincount(labels, minlength=len(self.photos.class_names)) / len(labels)
            return np.tile(fractions, (len(self.test), 1)), 0.0, ""
        if name in _SETTINGS_OF:
            return self.train_network(name)
        return self.fit(name)

    def train_network(self, name: BaselineName) -> tuple[np.ndarray, float | None, str]:
        """Train a network, or take the one of the run."""
        chosen = _SETTINGS_OF[name](self.settings)
        is_joint, folder, options = chosen.network == "joint", self.folder / name, self.find_kept()
        cache = None if is_joint else self.find_cache(chosen.image_size, chosen.crop)
        if run := self.find_run(name):
            evaluation = (
                predict_test(cache, run)
                if cache
                else predict_test_joint(self.photos, run, **options)
            )
            return evaluation.probabilities, None, f"trained before, in {show_text(run.folder)}"
        is_new, start = not folder.exists(), time.perf_counter()
        if cache:
            result, evaluation = train_and_test(
                cache, chosen, folder=folder, say=self.say, verbose=self.verbose
            )
        else:
            result, evaluation = train_and_test_joint(
                self.photos, chosen, folder=folder, say=self.say, **options
            )
        seconds = time.perf_counter() - start
        note = result.head or f"epoch {result.best_epoch} of {len(result.history['loss'])}"
        note = note if result.head else f"{note}, by validation"
        if is_new:
            return evaluation.probabilities, seconds, note
        return evaluation.probabilities, None, f"{note}; went on with an earlier training"

    def fit(self, name: BaselineName) -> tuple[np.ndarray, float, str]:
        """Fit a regression to features of all photos."""
        features, labels = self.find_features(name), self.photos.labels
        train, validation, test = map(self.photos.find_part, PARTS)
        start = time.perf_counter()
        fit = fit_regression(
            (features[train], labels[train]),
            (features[validation], labels[validation]),
            test=features[test],
            class_count=len(self.photos.class_names),
            class_weights=self.settings.class_weights,
        )
        note = fit.note
        if name == "brightness":
            bright = self.photos.class_names[-1 if fit.weights[0] > 0 else 0]
            note = f"bright photos are taken for {bright}; {note}"
        return fit.probabilities, time.perf_counter() - start, note

    def find_features(self, name: BaselineName) -> np.ndarray:
        """Return float `(photos, features)` in the order of the photos."""
        if name == "face_features":
            return PackagedNetwork().predict_features(self.find_cache(FACE_SIZE, "face").images[:])
        if name == "pixels":
            size = self.settings.image_size if self.settings.crop == "none" else IMAGE_SIZE
            images = self.find_cache(size, "none").images
            small = [resize_image(images[index], PIXEL_SIZE) for index in range(len(images))]
            return np.array(small, dtype=np.float32).reshape(len(small), -1)
        only = COLOUR_NAMES.index("brightness")
        return self.colours[:, [only]] if name == "brightness" else self.colours

    def count_faceless(self, name: BaselineName) -> int | None:
        """Count the test photos in which no face was found, for a baseline of faces."""
        cache = self.caches.get((FACE_SIZE, "face"))
        if name not in FACE_BASELINES or cache is None or cache.faces is None:
            return None
        return len(cache.faces.without_face.part("test"))

    def find_kept(self) -> dict[str, Any]:
        """Return what finds the features of faces and scene, which lie where `train` keeps them."""
        beside = self.folder if self.trained is None else self.trained.folder
        kept = beside.parent / "cache"
        return {"detector": self.detector, "kept": kept, "progress": self.progress}

    def find_cache(self, size: tuple[int, int], crop: Crop) -> PhotoCache:
        """Decode all photos once for every size and crop; a photo without a face is whole."""
        if (size, crop) not in self.caches:
            self.caches[size, crop] = cache_photos(
                self.photos,
                image_size=size,
                resize_mode=self.settings.resize_mode,
                crop=crop,
                detector=self.detector,
                without_face="whole_photo",
                cache_folder=self.folder / "cache",
                progress=self.progress,
            )
        return self.caches[size, crop]


def estimate_seconds(
    photos: Photos,
    settings: Settings,
    *,
    baselines: Collection[BaselineName],
    detector: FaceDetector | None,
) -> float:
    """Estimate how long baselines will take: decoding, face search, and the training of networks.

    Six photos are decoded and searched, and a few steps of each network are timed. A training that
    early stopping ends is shorter; the regressions, which take seconds, are left out.

    Args:
        photos: Which photos.
        settings: What is to be trained.
        baselines: Those that are not done yet.
        detector: What will find faces.

    Returns:
        Seconds.
    """
    count = len(photos)
    some = photos.take(np.linspace(0, count - 1, min(_SAMPLE, count), dtype=int)).files
    seconds = _time_each(load_image, some) * count if set(baselines) - {"majority"} else 0.0
    has_faces = _choose_network_settings(settings).crop != "none"
    searches = bool(set(baselines) & {*FACE_BASELINES}) + ("network" in baselines and has_faces)
    if detector is not None and searches:
        find = detector.find
        seconds += _time_each(lambda path: find(load_image(path)), some) * count * searches
    for name, choose in _SETTINGS_OF.items():
        chosen = choose(settings)
        if name in baselines and chosen.network != "joint":
            start, epoch = time_training(
                chosen,
                photos.class_names,
                photos=len(photos.part("train")),
                validation_photos=len(photos.part("validation")),
            )
            seconds += start + chosen.epochs * epoch
    return seconds


def _time_each(function: Callable[[Path], Any], files: Sequence[Path]) -> float:
    """Return the mean seconds per photo, the first one left out where there are more."""
    return time_calls(partial(function, path) for path in files)[1]
