"""A network asked about photos with known classes: those of its test, or a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from emoclf.data.cleaning import find_problems
from emoclf.data.splitting import load_manifest
from emoclf.evaluation import Evaluation, evaluate_predictions
from emoclf.inference import Predictor
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.evaluation.access_log import TestAccessLog


@dataclass(frozen=True, eq=False)
class PhotoTest:
    """How a network did on photos with known classes.

    Attributes:
        evaluation: The numbers, over the photos that it answered.
        left_out: The photos that it did not answer, each with the reason.
        access_log: Who has looked at these photos, with this look; None for photos of no test.
    """

    evaluation: Evaluation
    left_out: tuple[tuple[str, str], ...]
    access_log: TestAccessLog | None = None

    def describe(self) -> str:
        """Return the numbers as a readable text, and how many photos they leave out."""
        text = self.evaluation.describe()
        text += f"\n\n{self.access_log.describe()}" if self.access_log else ""
        if not self.left_out:
            return text
        name, reason = self.left_out[0]
        first = f"{show_text(name)}: {reason}"
        return f"{text}\n\n{len(self.left_out):,} photos have no answer, such as {first}"


def evaluate_run(
    run_folder: str | Path,
    *,
    split: str = "test",
    predictor: Predictor | None = None,
    progress: bool = True,
) -> PhotoTest:
    """Ask the network of a run about the photos that its split kept for the test.

    A look at the test is written into `test_access_log.json` of the run folder: when, and by which
    model. A second look is allowed; `describe()` says what it is worth.

    Args:
        run_folder: A folder made by `train_classifier` or by the lesson.
        split: `"test"`, `"validation"` or `"train"`.
        predictor: Who answers; default: `Predictor.load(run_folder)`.
        progress: Whether a progress bar is shown.

    Returns:
        The numbers; `save_evaluation` keeps them in the run folder.

    Raises:
        FileNotFoundError: If the folder holds no run, or its photos are gone.
        ValueError: If the run's files are damaged, or no photo could be answered.
    """
    manifest = load_manifest(Path(run_folder) / "split.json")
    files, root = manifest.select(split), Path(manifest.root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"The photos of {show_text(run_folder)} were in {str(root)!r}, which is not there. "
            "Work in the folder that the training was started from, or test on another folder of "
            "photos."
        )
    predictor = predictor or Predictor.load(run_folder)
    test = _evaluate_files(
        predictor,
        [root / file.path for file in files],
        [file.label for file in files],
        root=root,
        groups=[file.group for file in files],
        split=split,
        progress=progress,
    )
    if split != "test":
        return test
    from emoclf.evaluation.access_log import log_test_access

    access_log = log_test_access(test.evaluation, run_folder, model_file=predictor.file)
    return replace(test, access_log=access_log)


def evaluate_folder(
    predictor: Predictor,
    folder: str | Path,
    *,
    class_map: Mapping[str, str] | None = None,
    progress: bool = True,
) -> PhotoTest:
    """Ask a network about all photos of a folder with one folder per class.

    The answer is honest for photos that the network has not learned from; whether these are such,
    only you know. Copies of a photo, which are looked for first, count once in the intervals.

    Args:
        predictor: From `Predictor.load` or `Predictor.packaged`.
        folder: Holds one folder per class of the network.
        class_map: Which folder belongs to which class, as for `find_class_folders`.
        progress: Whether a progress bar is shown.

    Returns:
        The numbers.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it does not hold one folder per class, or no photo could be answered.
    """
    report = find_problems(
        folder, class_names=predictor.info.class_names, class_map=class_map, progress=progress
    )
    return _evaluate_files(
        predictor,
        [report.root / record.path for record in report.records],
        [record.label for record in report.records],
        root=report.root,
        groups=[record.duplicate_group for record in report.records],
        progress=progress,
    )


def _evaluate_files(
    predictor: Predictor,
    files: Sequence[Path],
    labels: Sequence[int],
    *,
    root: Path,
    progress: bool,
    groups: Sequence[int],
    split: str | None = None,
) -> PhotoTest:
    names, answers, answered = [], [], []
    left_out: list[tuple[str, str]] = []
    found = tqdm(
        predictor.predict_each(files), total=len(files), desc="Testing", disable=not progress
    )
    for position, (path, (prediction, _)) in enumerate(zip(files, found, strict=True)):
        name = path.relative_to(root).as_posix()
        if not prediction.probabilities:
            left_out.append((name, prediction.problem or prediction.note or "no answer"))
            continue
        names.append(name)
        answered.append(position)
        answers.append([prediction.probabilities[each] for each in predictor.info.class_names])
    if not answers:
        reason = f" The first: {left_out[0][1]}" if left_out else ""
        raise ValueError(
            f"None of the {len(files)} photos in {show_text(root)} has an answer.{reason}"
        )
    evaluation = evaluate_predictions(
        np.asarray(labels)[answered],
        np.array(answers),
        paths=names,
        class_names=predictor.info.class_names,
        groups=np.asarray(groups)[answered],
        split=split,
    )
    return PhotoTest(evaluation, tuple(left_out))
