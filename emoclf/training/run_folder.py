"""The folder that keeps everything of a run: begun, copied to a second place, finished."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.config import Settings
from emoclf.display import Displayed, count_noun
from emoclf.evaluation import (
    Estimate,
    Evaluation,
    collect_predictions,
    describe_collapse,
    wilson_interval,
)
from emoclf.evaluation.estimates import count_independent, subtract_estimates
from emoclf.evaluation.evaluation import FEW_PHOTOS
from emoclf.models.model_file import load_model, save_model
from emoclf.photos import Photos
from emoclf.run import SETTINGS_FILE_NAME, Run, check_run_name, make_run_folder
from emoclf.runtime import find_versions
from emoclf.storage import (
    ResumeRefusedError,
    building_folder,
    check_kind,
    find_sha256,
    read_json,
    refuse_another,
    replacing,
    write_json,
)
from emoclf.training.state import STATE_FOLDER_NAME, find_newest_state
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

CROSS_VALIDATED = "cross_validation"
"""Under this name a run keeps the evaluation of photos predicted by networks of other folds."""

OVERFITTING_GAP = 0.08
"""A larger lead of the training accuracy over the validation accuracy is called overfitting, if the
photos show that there is one."""

OVERFITTING_RISE = 1.2
"""A validation loss that stays this many times larger after the best epoch shows overfitting."""

_NEAR = 2
_FEWEST_EPOCHS = 3


def start_run(
    settings: Settings,
    photos: Photos,
    *,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    copies: str | Path | None = None,
    detector: str | None = None,
) -> Run:
    """Make the folder of a run and write down what it is made from, all of it or nothing.

    Args:
        settings: The run's settings, written to `settings.json`.
        photos: Its photos in their parts, written to `split.json`: `cache.photos` where photos
            without a face were left out, so that the run tells what was learned from.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Go on with the run of this name, where there is one (`KeepState`).
        copies: The folder that holds copies of all runs (`CopyRun`), from where a run that this
            machine does not have is brought back.
        detector: The description of what found the faces, for `versions.json`.

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
        if copy is not None and copy.is_there:
            fetch_run(run, copy.folder.parent)
        if (run.folder / SETTINGS_FILE_NAME).is_file():
            _refuse_another_run(run, settings, photos)
            if copy is not None:
                _refuse_another_copy(copy, run, settings, photos)
            return run
    else:
        run = Run(make_run_folder(logs, name=name, copies=copies))
    with building_folder(run.folder) as unfinished:
        Run(unfinished).save(settings, photos)
        found = {} if detector is None else {"face detector": detector}
        write_json(unfinished / "versions.json", find_versions() | found)
    return run


def _refuse_another_copy(copy: Run, run: Run, settings: Settings, photos: Photos) -> None:
    """Raise where going on would overwrite the copy of another run, or one that is further."""
    if copy.is_there:  # the split is copied after the settings
        _refuse_another_run(copy, settings, photos)
    there, here = find_newest_state(copy), find_newest_state(run)
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


def copy_run(
    run: Run, folder: str | Path, *, known: dict[str, tuple[int, int]] | None = None
) -> list[Path]:
    """Copy a run folder to a second place, file by file, each verified before it counts.

    Args:
        run: The run; the copy has its name.
        folder: The folder that holds the copies of all runs.
        known: What was copied before, file to size and time, which is then left out; brought up to
            date.

    Returns:
        The copies that were made.

    Raises:
        OSError: If a file cannot be copied, or does not read back as it was written.
    """
    known = {} if known is None else known
    target, made = Path(folder) / run.folder.name, []
    for path in _list_files(run.folder):
        name = path.relative_to(run.folder).as_posix()
        facts = (path.stat().st_size, path.stat().st_mtime_ns)
        if known.get(name) != facts:
            made.append(_copy_verified(path, target / name))
            known[name] = facts
    for copy in (target / STATE_FOLDER_NAME).rglob("epoch-*.npz"):
        if not (run.folder / copy.relative_to(target)).exists():
            copy.unlink()  # an older state, whose successor lies beside it
    return made


def copy_or_warn(
    run: Run, folder: str | Path, *, known: dict[str, tuple[int, int]] | None = None, otherwise: str
) -> None:
    """Copy a run as `copy_run` does; a copy that fails is a warning, which says what is done then.

    The training does not depend on the second place.
    """
    try:
        copy_run(run, folder, known=known)
    except OSError as error:
        warnings.warn(
            f"The run was not copied to {show_text(folder)} ({show_text(error)}). It is whole in "
            f"{show_text(run.folder)}, and {otherwise}.",
            stacklevel=3,
        )


def fetch_run(run: Run, folder: str | Path) -> bool:
    """Bring a run back from its second place, where this machine does not have it.

    Args:
        run: Where the run belongs; left alone where its folder exists.
        folder: The folder that holds the copies of all runs.

    Returns:
        Whether it was brought back.

    Raises:
        OSError: If a file does not read back as it was written.
    """
    source = Path(folder) / run.folder.name
    if run.folder.exists() or not source.is_dir():
        return False
    with building_folder(run.folder) as unfinished:
        for path in _list_files(source):
            _copy_verified(path, unfinished / path.relative_to(source))
    return True


def _list_files(folder: Path) -> list[Path]:
    """Return the files of a folder, without those that are hidden: not there for good."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _copy_verified(source: Path, target: Path) -> Path:
    """Copy a file under another name, read it back, and only then give it its name."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
        if find_sha256(temporary) != find_sha256(source):
            raise OSError(
                f"the copy of {show_text(source)} to {show_text(target)} does not read "
                "back as it was written"
            )
    return target


@dataclass(frozen=True)
class TrainingResult(Displayed):
    """What one training came to.

    Attributes:
        run: The run, with everything of it in its folder.
        history: Metric name to one float per epoch, as Keras' `History.history`.
        collapse: A sentence when the model is shown to predict one class for all validation photos,
            else None.
        head: How the last layer was found, where nothing else learned; else None.
    """

    run: Run
    history: dict[str, list[float]]
    collapse: str | None
    head: str | None = None

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, counted from 1."""
        losses = self.history["val_loss"]
        return losses.index(min(losses)) + 1

    def blocks(self) -> Iterable[str]:
        """Say which epoch is kept, and whether overfitting or a collapse is shown."""
        losses, best = self.history["val_loss"], self.best_epoch - 1
        trained, validated = self.history["accuracy"][best], self.history["val_accuracy"][best]
        if self.head is not None:
            yield (
                f"The last layer is a logistic regression ({self.head}). The accuracy is "
                f"{trained:.1%} on the training photos, {validated:.1%} on those of validation."
            )
            yield from [self.collapse] if self.collapse else []
            return
        yield (
            f"Epoch {self.best_epoch} of {len(losses)} is kept: its validation loss, "
            f"{losses[best]:.3f}, is the lowest. The accuracy is {trained:.1%} on the (augmented) "
            f"training photos and {validated:.1%} on the validation photos."
        )
        if len(losses) < _FEWEST_EPOCHS:
            epochs = count_noun(len(losses), "epoch")
            yield f"Whether it overfits cannot be said after {epochs}."
        else:
            yield self._judge_gap()
            yield from self._judge_end()
        if self.best_epoch == len(losses):
            yield "The last epoch is the best one, so more epochs may help."
        yield from [self.collapse] if self.collapse else []

    @property
    def _near(self) -> slice:
        """The epochs about the best one, three at least, so that no single one decides."""
        best, count = self.best_epoch - 1, len(self.history["val_loss"])
        start = max(0, min(best - _NEAR, count - _FEWEST_EPOCHS))
        return slice(start, max(best + _NEAR + 1, _FEWEST_EPOCHS))

    def _judge_gap(self) -> str:
        """Say whether the network overfits, as far as the number of photos allows."""
        trained, validated = (
            median(self.history[name][self._near]) for name in ("accuracy", "val_accuracy")
        )
        parts = {part: self.run.photos.part(part) for part in ("train", "validation")}
        worth = {part: count_independent(photos.groups) for part, photos in parts.items()}
        first, second = (
            wilson_interval(
                round(value * len(parts[part])), len(parts[part]), effective_count=worth[part]
            )
            for part, value in (("train", trained), ("validation", validated))
        )
        gap, count = subtract_estimates(first, second), len(parts["validation"])
        if worth["validation"] < FEW_PHOTOS:
            return (
                f"Whether it overfits cannot be said: {count} validation photos are too few to "
                f"tell (n = {count})."
            )
        points = f"{100 * gap.low:.0f} to {100 * gap.high:.0f}, n = {count:,}"
        points += f"; the median of {len(self.history['val_loss'][self._near])} epochs"
        if gap.value > OVERFITTING_GAP and gap.low > 0:
            return (
                f"The gap of {100 * gap.value:.0f} points ({points}) means overfitting: the "
                "network memorises training photos. More photos, more dropout or a smaller network "
                "help."
            )
        if gap.high <= OVERFITTING_GAP:
            return f"Validation keeps up with training: no sign of overfitting (n = {count:,})."
        return (
            f"Training leads validation by {100 * gap.value:.0f} points ({points}): these photos "
            "do not tell whether the network overfits."
        )

    def _judge_end(self) -> Iterable[str]:
        """Say so where the last epochs memorise: every one of them, for a spike shows nothing."""
        end = slice(-_FEWEST_EPOCHS, None)
        if len(self.history["val_loss"]) < self.best_epoch + _FEWEST_EPOCHS:
            return
        (before, after), (first, last) = (
            (median(self.history[name][self._near]), median(self.history[name][end]))
            for name in ("val_loss", "loss")
        )
        is_higher = min(self.history["val_loss"][end]) > OVERFITTING_RISE * before
        if is_higher and last < first:
            yield (
                f"After epoch {self.best_epoch} the validation loss rises, from {before:.3f} to "
                f"{after:.3f}, and the training loss falls, from {first:.3f} to {last:.3f} "
                "(medians of neighbouring epochs): trained longer, it overfits."
            )


def finish_run(
    model: keras.Model, history: Mapping[str, list[float]], validation: tf.data.Dataset, *, run: Run
) -> TrainingResult:
    """Save the finished model and test whether it has collapsed to one class.

    The file of a run that had ended before stays as it is, so that what was made from it (exports,
    baselines, accesses to the test) still knows it.

    Args:
        model: The trained model.
        history: Metric name to one value per epoch, with `val_loss`.
        validation: Batches of the validation photos.
        run: The run; the model goes to `model.keras` in its folder.

    Returns:
        The history, the best epoch and whether the model collapsed.
    """
    if not _is_saved(model, run.model_file):
        save_model(model, run.model_file, info=run.info)
    labels, probabilities = collect_predictions(model, validation)
    numbers = {name: [float(value) for value in values] for name, values in history.items()}
    names = run.info.class_names
    return TrainingResult(
        run, numbers, describe_collapse(probabilities, class_names=names, labels=labels)
    )


def _is_saved(model: keras.Model, path: Path) -> bool:
    """Return whether a file holds the weights that the model has."""
    if not path.is_file():
        return False
    saved, own = load_model(path, compiled=False)[0].get_weights(), model.get_weights()
    return len(saved) == len(own) and all(map(np.array_equal, saved, own))


def load_cross_validated(run: Run) -> Estimate | None:
    """Return the accuracy that a training cross-validated because its photos are few, if it did.

    Raises:
        ValueError: If the file is damaged.
    """
    path, what = run.folder / f"{CROSS_VALIDATED}_metrics.json", "the numbers of a cross-validation"
    if not path.is_file():
        return None
    numbers: dict[str, Any] = read_json(path, what=what, kind=dict[str, Any])
    found: Estimate = check_kind(numbers.get("accuracy"), Estimate, name=path, what=what)
    return found


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
