"""The folder that keeps everything of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.config import MODEL_FILE_NAME, Settings
from emoclf.data.splitting import SplitManifest, load_manifest, save_manifest
from emoclf.evaluation import Evaluation, collect_predictions, describe_collapse
from emoclf.evaluation.access_log import log_test_access_once
from emoclf.models.model_file import ModelInfo, load_model, save_model
from emoclf.runtime import check_run_name, find_versions, make_run_folder
from emoclf.storage import (
    ResumeRefusedError,
    building_folder,
    check_keys,
    check_kind,
    read_json,
    refuse_another,
    write_json,
)
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
        run_folder: The folder with everything of the run.
        history: Metric name to one float per epoch, as Keras' `History.history`.
        best_epoch: The epoch with the lowest validation loss, counted from 1.
        collapse: A sentence when the model gives one answer to all validation photos, else None.
    """

    run_folder: Path
    history: dict[str, list[float]]
    best_epoch: int
    collapse: str | None


def start_run(
    settings: Settings,
    manifest: SplitManifest,
    *,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    copies: str | Path | None = None,
) -> Path:
    """Make the folder of a run and write down what it is made from, all of it or nothing.

    Args:
        settings: The run's settings, written to `settings.json`.
        manifest: Its split, written to `split.json`: `cache.manifest` where photos without a face
            were left out, so that the run tells what was learned from.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Go on with the run of this name, where there is one (`KeepState`).
        copies: The folder that holds copies of all runs (`CopyRun`), from where a run that this
            machine does not have is brought back.

    Returns:
        The run folder, with `settings.json`, `split.json` and `versions.json`.

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
        folder = Path(logs) / name
        if copies is not None and (Path(copies) / name / "split.json").is_file():
            fetch_run(copies, folder)
        if (folder / "settings.json").is_file():
            _refuse_another_run(folder, settings, manifest)
            if copies is not None:
                _refuse_another_copy(Path(copies) / name, folder, settings, manifest)
            return folder
    else:
        folder = make_run_folder(logs, name=name, copies=copies)
    with building_folder(folder) as unfinished:
        write_json(unfinished / "settings.json", settings.to_dict())
        write_json(unfinished / "versions.json", find_versions())
        save_manifest(manifest, unfinished / "split.json")
    return folder


def _refuse_another_copy(
    copy: Path, folder: Path, settings: Settings, manifest: SplitManifest
) -> None:
    """Raise where going on would overwrite the copy of another run, or one that is further."""
    if (copy / "split.json").is_file():  # it is copied after the settings
        _refuse_another_run(copy, settings, manifest)
    there, here = find_newest_state(copy), find_newest_state(folder)
    if there > here:
        raise ResumeRefusedError(
            f"The copy {show_text(copy)} is further ({there}) than {show_text(folder)} "
            f"({here or 'no state'}), and would be overwritten. Move {show_text(folder)} away: the "
            "same call then goes on with the copy."
        )


def _refuse_another_run(folder: Path, settings: Settings, manifest: SplitManifest) -> None:
    """Raise where a run was started with other settings or other photos."""
    refuse_another(load_settings(folder).to_dict(), settings.to_dict(), folder)
    saved = load_manifest(folder / "split.json")
    parts = [
        {
            f"{show_text(each.path)} ({each.split}, {manifest.class_names[each.label]})"
            for each in files.files
        }
        for files in (saved, manifest)
    ]
    gone, new = sorted(parts[0] - parts[1]), sorted(parts[1] - parts[0])
    facts = {"photos that were in the split": gone[:3], "photos that were not": new[:3]}
    refuse_another({name: [] for name in facts}, facts, folder)


def load_settings(run_folder: str | Path) -> Settings:
    """Read the settings of a run.

    Args:
        run_folder: The run's folder.

    Returns:
        What `settings.json` in it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or a setting is missing, unknown, of another type or out of
            range; the message names it.
    """
    path, what = Path(run_folder) / "settings.json", "the settings of a run"
    value = read_json(path, what=what)
    check_keys(value, [each.name for each in fields(Settings)], name=path, what=what)
    settings: Settings = check_kind(value, Settings, name=path, what=what)
    return settings


def finish_run(
    model: keras.Model,
    history: Mapping[str, list[float]],
    validation: tf.data.Dataset,
    *,
    run_folder: str | Path,
    info: ModelInfo,
) -> TrainingResult:
    """Save the finished model and look whether it has collapsed to one class.

    The file of a run that had ended before stays as it is, so that what was made from it (exports,
    a baselines, looks at the test) still knows it.

    Args:
        model: The trained model.
        history: Metric name to one value per epoch, with `val_loss`.
        validation: Batches of the validation photos.
        run_folder: The run's folder; the model goes to `model.keras` in it.
        info: Classes, size, resize mode and crop of the model.

    Returns:
        The best epoch and whether the model collapsed.
    """
    folder = Path(run_folder)
    if not _is_saved(model, folder / MODEL_FILE_NAME):
        save_model(model, folder / MODEL_FILE_NAME, info=info)
    _, probabilities = collect_predictions(model, validation)
    numbers = {name: [float(value) for value in values] for name, values in history.items()}
    losses = numbers["val_loss"]
    return TrainingResult(
        run_folder=folder,
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
    evaluation: Evaluation, run_folder: str | Path, *, split: str | None = None
) -> Path:
    """Keep an evaluation in the run folder: the numbers and one row per photo.

    A look at the test is recorded in `test_access_log.json` (`load_test_access_log` says what it
    means).

    Args:
        evaluation: The numbers of one split.
        run_folder: The run's folder.
        split: Name of the split; the test's numbers go to `metrics.json`. Default: the one that
            the evaluation names, else `"test"`.

    Returns:
        The path of the JSON file; the table lies beside it, in `predictions.csv`.

    Raises:
        ValueError: If the evaluation is of another split, or the record of looks is damaged.
    """
    folder, name = Path(run_folder), split or evaluation.split or "test"
    if evaluation.split not in (None, name):
        raise ValueError(
            f"split={split!r}, but these are the numbers of the {evaluation.split} photos. Leave "
            "split out."
        )
    prefix = "" if name == "test" else f"{name}_"
    numbers: dict[str, Any] = {"split": name, **evaluation.to_dict()}
    if name == "test":
        numbers["test_accesses"] = len(log_test_access_once(evaluation, folder).accesses)
    evaluation.save_table(folder / f"{prefix}predictions.csv")
    return write_json(folder / f"{prefix}metrics.json", numbers)
