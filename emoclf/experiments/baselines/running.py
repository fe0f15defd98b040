"""Train the baselines one by one, and keep each one that is done."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from emoclf.config import Settings
from emoclf.experiments.baselines.baseline import BASELINE_NAMES, FACE_BASELINES, BaselineName
from emoclf.experiments.baselines.learning import BaselineTraining
from emoclf.experiments.baselines.result import BaselineComparison, compare_baselines
from emoclf.images.faces import FaceDetector, make_detector
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import write_json
from emoclf.untrusted import show_text

FOLDER_NAME = "baselines"
"""Name of the baselines' folder inside the folder of a run."""


def train_baselines(
    photos: Photos | None = None,
    settings: Settings | None = None,
    *,
    run_folder: str | Path | None = None,
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

    All learn from the same training photos, leave choices (strictness, epoch) to the same
    validation photos, and are asked once about the same test photos. Where no face is found, the
    baselines that look at faces are shown the whole photo, so that they answer all photos, too.
    What is done is kept: called again with `resume`, the comparison goes on.

    Args:
        photos: Which photos; left out with `run_folder`.
        settings: Image size, epochs, class weights and so on of all baselines; likewise.
        run_folder: A run with a trained network, whose split and settings are taken and whose
            network is its baseline, not trained again. The comparison is kept in `baselines` in it,
            and a second call goes on.
        logs: The folder that holds all runs.
        name: Name of the baselines' folder; default: the time.
        resume: Go on with the baselines of this name, where there is one.
        skip: Baselines to leave out, of `BASELINE_NAMES`.
        detector: What finds faces; default: `make_detector()`, if a baseline needs it.
        say: Called with the estimate of the time and a line per baseline, such as `print`.
        verbose: As in Keras' `fit`.
        progress: Whether decoding shows progress bars.

    Returns:
        The baselines; also written to `baselines.json` in its folder.

    Raises:
        UnreadableImageError: If a photo cannot be read.
        FaceDetectorUnavailableError: If there is no face detector; skip the face baselines then.
        ResumeRefusedError: If the comparison to go on with has other photos or settings.
        RunInUseError: If another process trains them.
        ValueError: If the arguments do not fit together, or there is no baseline.

    Example:
        >>> baselines = emoclf.train_baselines(split, name="baselines")  # doctest: +SKIP
        >>> print(baselines.describe())  # doctest: +SKIP
    """
    from emoclf.training import hold_run, start_run

    names = _choose_baselines(skip)
    trained = None if run_folder is None else Run(Path(run_folder))
    if trained is not None:
        photos, settings = _read_run(trained, photos, settings)
        logs, name, resume = trained.folder, FOLDER_NAME, True
    if photos is None:
        raise ValueError("train_baselines needs photos: give photos, or the run_folder of a run.")
    settings = settings or Settings()
    if set(names) & {*FACE_BASELINES} or settings.crop == "face":
        detector = detector or make_detector()
    folder = start_run(settings, photos, logs=logs, name=name, resume=resume).folder
    training = BaselineTraining(photos, settings, folder, trained, detector, say, verbose, progress)
    with hold_run(folder):
        training.announce(names)
        reached = [training.reach(each) for each in names]
        comparison = BaselineComparison(
            folder, tuple(reached), photos.count(), compare_baselines(reached)
        )
        write_json(folder / "baselines.json", comparison.to_dict())
    return comparison


def _choose_baselines(skip: Collection[BaselineName]) -> list[BaselineName]:
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
    """Read the split and the settings of a finished run."""
    if photos is not None or settings is not None:
        raise ValueError(
            "run_folder: the run decides about photos and settings. Leave out photos and "
            "settings, or leave out run_folder."
        )
    if not run.model_file.is_file():
        raise FileNotFoundError(
            f"{show_text(run.model_file)} does not exist: the run is not finished, or no run. "
            "Finish it (train --resume), or train baselines of their own."
        )
    return run.find_photos(), run.settings
