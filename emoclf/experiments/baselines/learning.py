"""Let a baseline learn and answer, once: its answers are kept and read again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from emoclf.config import FACE_SIZE, IMAGE_SIZE, PARTS, Settings
from emoclf.data.loading import PhotoCache, cache_photos
from emoclf.evaluation import Evaluation, evaluate_predictions, read_probabilities
from emoclf.experiments.baselines.baseline import FACE_BASELINES, Answers, Baseline, BaselineName
from emoclf.experiments.baselines.colours import COLOUR_NAMES, measure_colours
from emoclf.experiments.baselines.estimating import estimate_seconds
from emoclf.experiments.baselines.networks import (
    answer_test,
    choose_face_settings,
    choose_network_settings,
    train_network_baseline,
)
from emoclf.experiments.regression import RegressionFit, fit_regression
from emoclf.experiments.timing import describe_seconds
from emoclf.images import resize_image
from emoclf.images.faces import FaceDetector
from emoclf.models.packaged import PackagedNetwork
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import find_sha256, keep_work
from emoclf.untrusted import show_text

PIXEL_SIZE: tuple[int, int] = (32, 32)
"""`(height, width)` of the photos whose pixels the baseline `pixels` weighs."""


@dataclass
class BaselineTraining:
    """One call of `train_baselines`: its photos are decoded when a baseline first needs them.

    Attributes:
        photos: Which photos.
        settings: What all baselines are trained with.
        folder: The baselines's folder.
        trained: The run whose network is a baseline; None where all are trained.
        detector: What finds faces; None where no baseline looks for them.
        say: Called with a line of progress.
        verbose: As in Keras' `fit`.
        progress: Whether decoding shows progress bars.
        caches: The decoded photos so far, by size and crop.
        colours: The measured colours, once they were needed.
    """

    photos: Photos
    settings: Settings
    folder: Path
    trained: Run | None
    detector: FaceDetector | None
    say: Callable[[str], None]
    verbose: int | str
    progress: bool
    caches: dict[tuple[tuple[int, int], str], PhotoCache] = field(default_factory=dict)
    colours: np.ndarray | None = None

    def announce(self, names: list[BaselineName]) -> None:
        """Say how long the baselines will take that are not done."""
        left = [name for name in names if not self.file_of(name).is_file()]
        done = len(names) - len(left)
        if done:
            self.say(
                f"{done} of {len(names)} baselines are done already, in {show_text(self.folder)}"
            )
        ready = [name for name in left if not self.is_from_run(name)]
        if left:
            seconds = estimate_seconds(
                self.photos, self.settings, baselines=ready, detector=self.detector
            )
            self.say(
                f"{', '.join(left)}: {describe_seconds(seconds)} (measured on a few photos and "
                "steps; early stopping makes it shorter)"
            )

    def file_of(self, name: BaselineName) -> Path:
        """Return where the answers of a baseline are kept."""
        return self.folder / f"baseline-{name}.json"

    def is_from_run(self, name: BaselineName) -> bool:
        """Whether the network of the run is this baseline, so that it is not trained again."""
        own: BaselineName = "fine_tuned" if self.settings.network == "face" else "network"
        return self.trained is not None and name == own

    def reach(self, name: BaselineName) -> Baseline:
        """Read a baseline that is done, or train it and keep its answers."""
        answers = _keep_answers(
            self.file_of(name),
            lambda: self.work(name),
            facts=self.describe_facts(name),
            shape=(len(self.photos.part("test")), len(self.photos.class_names)),
        )
        evaluation = self.evaluate(answers)
        self.say(f"{self.find_title(name)}: accuracy {evaluation.accuracy}")
        return Baseline(name, self.find_title(name), evaluation, answers)

    def work(self, name: BaselineName) -> Answers:
        """Train a baseline; a look at the test is recorded before the answers are kept."""
        self.say(f"{self.find_title(name)} ...")
        answers = self.train(name)
        if self.is_from_run(name) and self.trained:
            self.trained.log_test_access(
                self.photos.part("test"), answers.probabilities, model_file=self.trained.model_file
            )
        return answers

    def evaluate(self, answers: Answers) -> Evaluation:
        """Return the numbers of answers for the test photos."""
        photos = self.photos.part("test")
        return evaluate_predictions(
            photos.labels,
            answers.probabilities,
            paths=photos.paths,
            groups=photos.groups,
            split="test",
            class_names=photos.class_names,
        )

    def describe_facts(self, name: BaselineName) -> dict[str, Any]:
        """Return what decides about a baseline beside the photos and the settings."""
        facts: dict[str, Any] = {"baseline": name}
        shows_faces = choose_network_settings(self.settings).crop == "face"
        if self.detector and (name in FACE_BASELINES or (name == "network" and shows_faces)):
            facts["detector"] = self.detector.description
        if self.is_from_run(name) and self.trained:
            facts["model"] = find_sha256(self.trained.model_file)
        return facts

    def find_title(self, name: BaselineName) -> str:
        """Return a baseline's name for readers."""
        chosen = choose_network_settings(self.settings)
        seen = "faces" if chosen.crop == "face" else "whole photos"
        counts = np.bincount(self.photos.part("train").labels)
        titles: dict[BaselineName, str] = {
            "majority": f"always {self.photos.class_names[int(counts.argmax())]}",
            "brightness": "brightness alone",
            "colours": "mean colours and their spread",
            "pixels": f"pixels, {PIXEL_SIZE[0]} x {PIXEL_SIZE[1]}",
            "network": f"{chosen.network} network, {seen}",
            "face_features": "features of the face network",
            "fine_tuned": "face network, fine-tuned",
        }
        return titles[name]

    def train(self, name: BaselineName) -> Answers:
        """Let a baseline learn and answer."""
        if name == "majority":
            labels = self.photos.part("train").labels
            shares = np.bincount(labels, minlength=len(self.photos.class_names)) / len(labels)
            return Answers(np.tile(shares, (len(self.photos.part("test")), 1)), 0.0, "")
        if name in ("network", "fine_tuned"):
            return self.train_network(name)
        features = self.find_features(name)
        start = time.perf_counter()
        fit = self.fit(features)
        seconds, note = time.perf_counter() - start, fit.note
        if name == "brightness":
            side = self.photos.class_names[-1 if fit.weights[0] > 0 else 0]
            note = f"bright photos are taken for {side}; {note}"
        return Answers(fit.probabilities, seconds, note, self.count_faceless(name))

    def train_network(self, name: BaselineName) -> Answers:
        """Train a network, or ask the one of the run."""
        choose = choose_network_settings if name == "network" else choose_face_settings
        chosen = choose(self.settings)
        cache = self.find_cache(chosen.image_size, chosen.crop)
        if self.is_from_run(name) and self.trained:
            note = f"trained before, in {show_text(self.trained.folder)}"
            answers = Answers(answer_test(cache, self.trained), None, note)
        else:
            answers = train_network_baseline(
                cache, chosen, folder=self.folder, name=name, say=self.say, verbose=self.verbose
            )
        return replace(answers, without_face=self.count_faceless(name))

    def count_faceless(self, name: BaselineName) -> int | None:
        """Count the test photos in which no face was found, for a baseline that looks at faces."""
        cache = self.caches.get((FACE_SIZE, "face"))
        if name not in FACE_BASELINES or cache is None or cache.faces is None:
            return None
        return len(cache.faces.without_face.part("test"))

    def find_features(self, name: BaselineName) -> np.ndarray:
        """Return float `(photos, features)` in the order of the photos."""
        if name == "face_features":
            return PackagedNetwork().predict_features(self.find_cache(FACE_SIZE, "face").images[:])
        if name == "pixels":
            size = self.settings.image_size if self.settings.crop == "none" else IMAGE_SIZE
            images = self.find_cache(size, "none").images
            shrunk = [resize_image(images[index], PIXEL_SIZE) for index in range(len(images))]
            return np.array(shrunk, dtype=np.float32).reshape(len(shrunk), -1)
        if self.colours is None:
            self.colours = measure_colours(self.photos.files, progress=self.progress)
        only = [COLOUR_NAMES.index("brightness")]
        return self.colours[:, only] if name == "brightness" else self.colours

    def fit(self, features: np.ndarray) -> RegressionFit:
        """Fit a regression to features of all photos, in the order of the photos."""
        labels = self.photos.labels
        train, validation, test = (self.photos.find_part(part) for part in PARTS)
        return fit_regression(
            (features[train], labels[train]),
            (features[validation], labels[validation]),
            test=features[test],
            class_count=len(self.photos.class_names),
            class_weights=self.settings.class_weights,
        )

    def find_cache(self, size: tuple[int, int], crop: Any) -> PhotoCache:
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


class _KeptAnswers(TypedDict):
    """What the file of a baseline holds beside the facts."""

    probabilities: list[list[float]]
    seconds: float | None
    note: str
    without_face: int | None


def _keep_answers(
    path: Path, work: Callable[[], Answers], *, facts: dict[str, Any], shape: tuple[int, int]
) -> Answers:
    """Read a baseline that is done, or train and keep it; `shape`: (test photos, classes)."""

    def work_for_json() -> dict[str, Any]:
        answers = work()
        return {**asdict(answers), "probabilities": answers.probabilities.tolist()}

    value: _KeptAnswers = keep_work(
        path, work_for_json, facts=facts, what="baseline of a baselines", kind=_KeptAnswers
    )
    probabilities = read_probabilities(value["probabilities"], shape, name=path)
    return Answers(probabilities, value["seconds"], value["note"], value["without_face"])
