"""The folder that keeps everything of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.config import Settings
from emoclf.evaluation import Evaluation, collect_predictions, describe_collapse
from emoclf.images import ModelInfo
from emoclf.models.model_file import load_model, save_model
from emoclf.photos import Photos
from emoclf.run import SETTINGS_FILE_NAME, Run, check_run_name, make_run_folder
from emoclf.runtime import find_versions
from emoclf.storage import ResumeRefusedError, building_folder, refuse_another, write_json
from emoclf.training.copying import fetch_run
from emoclf.training.state import find_newest_state
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class TrainingResult:
    """What one training came to.

    Attributes:
        run: The run, with everything of it in its folder.
        history: Metric name to one float per epoch, as Keras' `History.history`.
        best_epoch: The epoch with the lowest validation loss, counted from 1.
        collapse: A sentence when the model gives one answer to all validation photos, else None.
    """

    run: Run
    history: dict[str, list[float]]
    best_epoch: int
    collapse: str | None


def start_run(
    settings: Settings,
    photos: Photos,
    *,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    copies: str | Path | None = None,
) -> Run:
    """Make the folder of a run and write down what it is made from, all of it or nothing.

    Args:
        settings: The run's settings, written to `settings.json`.
        photos: Its split, written to `split.json`: `cache.photos` where photos without a face
            were left out, so that the run tells what was learned from.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Go on with the run of this name, where there is one (`KeepState`).
        copies: The folder that holds copies of all runs (`CopyRun`), from where a run that this
            machine does not have is brought back.

    Returns:
        The run; its folder holds `settings.json`, `split.json` and `versions.json`.

    Raises:
        ResumeRefusedError: If that run or its copy has other settings or another split, or the copy
            is further.
        FileExistsError: If it is to go on and the folder of its name holds something else.
        ValueError: If it is to go on and has no name, or the name is no plain folder name.
    """
    if resume:
        if name is None:
            raise ValueError("resume=True needs the name of the run: name='first'.")
        check_run_name(name)
        run = Run(Path(logs) / name)
        copy = None if copies is None else Run(Path(copies) / name)
        if copies is not None and copy is not None and copy.is_there:
            fetch_run(copies, run.folder)
        if (run.folder / SETTINGS_FILE_NAME).is_file():
            _refuse_another_run(run, settings, photos)
            if copy is not None:
                _refuse_another_copy(copy, run, settings, photos)
            return run
    else:
        run = Run(make_run_folder(logs, name=name, copies=copies))
    with building_folder(run.folder) as unfinished:
        Run(unfinished).save(settings, photos)
        write_json(unfinished / "versions.json", find_versions())
    return run


def _refuse_another_copy(copy: Run, run: Run, settings: Settings, photos: Photos) -> None:
    """Raise where going on would overwrite the copy of another run, or one that is further."""
    if copy.is_there:  # the split is copied after the settings
        _refuse_another_run(copy, settings, photos)
    there, here = find_newest_state(copy.folder), find_newest_state(run.folder)
    if there > here:
        raise ResumeRefusedError(
            f"The copy {show_text(copy.folder)} is further ({there}) than {show_text(run.folder)} "
            f"({here or 'no state'}), and would be overwritten. Move {show_text(run.folder)} away: "
            "the same call then goes on with the copy."
        )


def _refuse_another_run(run: Run, settings: Settings, photos: Photos) -> None:
    """Raise where a run was started with other settings or other photos."""
    refuse_another(run.settings.to_dict(), settings.to_dict(), run.folder)
    before, now = (
        {
            f"{show_text(row.path)} ({row.part}, {photos.class_names[row.label]})"
            for row in each.rows
        }
        for each in (run.photos, photos)
    )
    facts = {
        "photos that were in the split": sorted(before - now)[:3],
        "photos that were not": sorted(now - before)[:3],
    }
    refuse_another({name: [] for name in facts}, facts, run.folder)


def finish_run(
    model: keras.Model,
    history: Mapping[str, list[float]],
    validation: tf.data.Dataset,
    *,
    run: Run,
    info: ModelInfo,
) -> TrainingResult:
    """Save the finished model and look whether it has collapsed to one class.

    The file of a run that had ended before stays as it is, so that what was made from it (exports,
    a baselines, looks at the test) still knows it.

    Args:
        model: The trained model.
        history: Metric name to one value per epoch, with `val_loss`.
        validation: Batches of the validation photos.
        run: The run; the model goes to `model.keras` in its folder.
        info: Classes, size, resize mode and crop of the model.

    Returns:
        The best epoch and whether the model collapsed.
    """
    if not _is_saved(model, run.model_file):
        save_model(model, run.model_file, info=info)
    _, probabilities = collect_predictions(model, validation)
    numbers = {name: [float(value) for value in values] for name, values in history.items()}
    losses = numbers["val_loss"]
    return TrainingResult(
        run=run,
        history=numbers,
        best_epoch=losses.index(min(losses)) + 1,
        collapse=describe_collapse(probabilities, class_names=info.class_names),
    )


def _is_saved(model: keras.Model, path: Path) -> bool:
    """Return whether a file holds the weights that the model has."""
    if not path.is_file():
        return False
    saved = load_model(path, compiled=False)[0].get_weights()
    own = model.get_weights()
    return len(saved) == len(own) and all(map(np.array_equal, saved, own))


def save_evaluation(
    evaluation: Evaluation, run: Run | str | Path, *, part: str | None = None
) -> Path:
    """Keep an evaluation in the run's folder: the numbers and one row per photo.

    An access to the test is logged in `test_access_log.json` (`Run.load_access_log`).

    Args:
        evaluation: The numbers of one part.
        run: The run, or its folder.
        part: Name of the part; the test's numbers go to `metrics.json`. Default: the one that the
            evaluation names, else `"test"`.

    Returns:
        The path of the JSON file; the table lies beside it, in `predictions.csv`.

    Raises:
        ValueError: If the evaluation is of another part, or the access log is damaged.
    """
    run, name = Run.open(run), part or evaluation.photos.only_part or "test"
    own = evaluation.photos.only_part
    if own not in (None, name):
        raise ValueError(
            f"part={part!r}, but these are the numbers of the {own} photos. Leave part out."
        )
    prefix = "" if name == "test" else f"{name}_"
    numbers: dict[str, Any] = {"part": name, **evaluation.to_dict()}
    if name == "test":
        log = run.log_test_access_once(evaluation.photos, evaluation.probabilities)
        numbers["test_accesses"] = len(log.accesses)
    evaluation.save_table(run.folder / f"{prefix}predictions.csv")
    return write_json(run.folder / f"{prefix}metrics.json", numbers)
