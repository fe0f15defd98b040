"""The photos of the test are opened once: when, and by which model, is written down.

Whoever looks at the test, changes something and looks again chooses by the test, and the best of
several figures is better than the truth. A second look is allowed, and it is said.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from emoclf.config import MODEL_FILE_NAME
from emoclf.evaluation import Evaluation
from emoclf.storage import find_sha256, read_json, write_json
from emoclf.untrusted import show_text

LOOKS_FILE_NAME = "test_looks.json"
"""Name of the record inside a run folder. Runs of older versions have none."""


@dataclass(frozen=True)
class TestLook:
    """One look at the photos of a test.

    Attributes:
        time: When, in UTC: `2026-09-01T12:00:00+00:00`.
        model_sha256: SHA-256 of the file of the model that answered; None when it has no file.
        answers_sha256: SHA-256 of its probabilities.
        photos_sha256: SHA-256 of the names and classes of the photos.
        photos: Number of photos that were answered.
    """

    __test__ = False  # its name makes pytest look for tests in it

    time: str
    model_sha256: str | None
    answers_sha256: str
    photos_sha256: str
    photos: int


@dataclass(frozen=True)
class TestLooks:
    """All looks at the photos of a run's test, the oldest first.

    Attributes:
        looks: Those that the run's folder records.
        elsewhere: Other runs beside it that were tested on the same photos.
    """

    __test__ = False

    looks: tuple[TestLook, ...]
    elsewhere: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say in words how fresh the test still is."""
        text = self._describe_own()
        if self.elsewhere:
            count = len(self.elsewhere)
            others = "1 other run beside it was" if count == 1 else f"{count} others beside it were"
            text += (
                f" {others} tested on the same photos "
                f"({', '.join(map(show_text, self.elsewhere[:3]))}): the best of several looks "
                "better than it is."
            )
        return text

    def _describe_own(self) -> str:
        if not self.looks:
            return "No look at the test photos is recorded."
        if len(self.looks) == 1:
            return f"First recorded look at the {self.looks[0].photos:,} test photos."
        models = {look.model_sha256 or look.answers_sha256 for look in self.looks}
        text = (
            f"Look {len(self.looks)} at the test photos (the first: "
            f"{show_text(self.looks[0].time)})"
        )
        if len(models) == 1:
            return f"{text}, by the same model: nothing was chosen by them, the figures stand."
        return (
            f"{text}, by {len(models)} different models. Careful: choosing among them by these "
            "figures makes the chosen one look better than it is. A fresh figure needs photos that "
            "nobody has looked at; choose by the validation photos."
        )


def find_test_looks(run_folder: str | Path) -> TestLooks:
    """Read who has looked at the photos of a run's test.

    Args:
        run_folder: The run's folder; the folders beside it are searched for the same photos.

    Returns:
        The looks; none for a run of an older version.

    Raises:
        ValueError: If a record is damaged.
    """
    folder = Path(run_folder).resolve()
    looks = _read_looks(folder)
    seen = {look.photos_sha256 for look in looks}
    beside = sorted(folder.parent.glob(f"*/{LOOKS_FILE_NAME}")) if seen else []
    elsewhere = [
        file.parent.name
        for file in beside
        if file.parent != folder
        and seen & {look.photos_sha256 for look in _read_looks(file.parent)}
    ]
    return TestLooks(looks, tuple(elsewhere))


def save_test_look(
    evaluation: Evaluation, run_folder: str | Path, *, model_file: Path | None = None
) -> TestLooks:
    """Write down that a model was asked about the photos of the test.

    Args:
        evaluation: What it answered.
        run_folder: The run's folder; the record is `test_looks.json` in it.
        model_file: The file of the model; None when it has none.

    Returns:
        All looks, with this one.

    Raises:
        ValueError: If the record is damaged.
    """
    folder = Path(run_folder)
    looks = (*_read_looks(folder), make_look(evaluation, model_file=model_file))
    write_json(folder / LOOKS_FILE_NAME, [asdict(look) for look in looks])
    return find_test_looks(folder)


def save_look_once(evaluation: Evaluation, run_folder: str | Path) -> TestLooks:
    """Write a look down, unless the last one saw these very answers of the same photos.

    Args:
        evaluation: What the run's own model answered.
        run_folder: The run's folder.

    Returns:
        All looks, with this one.

    Raises:
        ValueError: If the record is damaged.
    """
    folder, looks = Path(run_folder), _read_looks(Path(run_folder))
    model_file = folder / MODEL_FILE_NAME
    own = model_file if model_file.is_file() else None
    new = make_look(evaluation, model_file=None)
    if looks and _name_answers(looks[-1]) == _name_answers(new):
        return find_test_looks(folder)
    return save_test_look(evaluation, folder, model_file=own)


def _name_answers(look: TestLook) -> tuple[str, str]:
    return look.answers_sha256, look.photos_sha256


def make_look(evaluation: Evaluation, *, model_file: Path | None) -> TestLook:
    """Describe a look that is made now.

    Args:
        evaluation: What was answered.
        model_file: The file of the model; None when it has none.

    Returns:
        The look.
    """
    photos = sorted(zip(evaluation.paths, evaluation.labels.tolist(), strict=True))
    return TestLook(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        model_sha256=find_sha256(model_file) if model_file else None,
        answers_sha256=hashlib.sha256(evaluation.probabilities.tobytes()).hexdigest(),
        photos_sha256=hashlib.sha256(json.dumps(photos).encode()).hexdigest(),
        photos=len(evaluation.labels),
    )


def _read_looks(folder: Path) -> tuple[TestLook, ...]:
    path = folder / LOOKS_FILE_NAME
    if not path.is_file():
        return ()
    try:
        looks: tuple[TestLook, ...] = read_json(
            path, what="the looks at the test of a run", kind=tuple[TestLook, ...]
        )
    except ValueError as error:
        raise ValueError(
            f"{show_text(error)} Moved away, the next look begins a new one."
        ) from error
    return looks
