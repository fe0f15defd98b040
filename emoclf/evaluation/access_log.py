"""The photos of the test are opened once: when, and by which model, is written down.

Whoever looks at the test, changes something and looks again chooses by the test, and the best of
several figures is better than the truth. A second access is allowed, and it is said.
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

ACCESS_LOG_FILE_NAME = "test_access_log.json"
"""Name of the record inside a run folder. Runs of older versions have none."""


@dataclass(frozen=True)
class TestAccess:
    """One access to the photos of a test.

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
class TestAccessLog:
    """All accesses to the photos of a run's test, the oldest first.

    Attributes:
        accesses: Those that the run's folder records.
        elsewhere: Other runs beside it that were tested on the same photos.
    """

    __test__ = False

    accesses: tuple[TestAccess, ...]
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
        if not self.accesses:
            return "No access to the test photos is recorded."
        if len(self.accesses) == 1:
            return f"First recorded access to the {self.accesses[0].photos:,} test photos."
        models = {access.model_sha256 or access.answers_sha256 for access in self.accesses}
        text = (
            f"Access {len(self.accesses)} at the test photos (the first: "
            f"{show_text(self.accesses[0].time)})"
        )
        if len(models) == 1:
            return f"{text}, by the same model: nothing was chosen by them, the figures stand."
        return (
            f"{text}, by {len(models)} different models. Careful: choosing among them by these "
            "figures makes the chosen one look better than it is. A fresh figure needs photos that "
            "nobody has looked at; choose by the validation photos."
        )


def load_test_access_log(run_folder: str | Path) -> TestAccessLog:
    """Read who has looked at the photos of a run's test.

    Args:
        run_folder: The run's folder; the folders beside it are searched for the same photos.

    Returns:
        The accesses; none for a run of an older version.

    Raises:
        ValueError: If a record is damaged.
    """
    folder = Path(run_folder).resolve()
    accesses = _read_log(folder)
    seen = {access.photos_sha256 for access in accesses}
    beside = sorted(folder.parent.glob(f"*/{ACCESS_LOG_FILE_NAME}")) if seen else []
    elsewhere = [
        file.parent.name
        for file in beside
        if file.parent != folder
        and seen & {access.photos_sha256 for access in _read_log(file.parent)}
    ]
    return TestAccessLog(accesses, tuple(elsewhere))


def log_test_access(
    evaluation: Evaluation, run_folder: str | Path, *, model_file: Path | None = None
) -> TestAccessLog:
    """Write down that a model was asked about the photos of the test.

    Args:
        evaluation: What it answered.
        run_folder: The run's folder; the record is `test_access_log.json` in it.
        model_file: The file of the model; None when it has none.

    Returns:
        All accesses, with this one.

    Raises:
        ValueError: If the record is damaged.
    """
    folder = Path(run_folder)
    accesses = (*_read_log(folder), make_test_access(evaluation, model_file=model_file))
    write_json(folder / ACCESS_LOG_FILE_NAME, [asdict(access) for access in accesses])
    return load_test_access_log(folder)


def log_test_access_once(evaluation: Evaluation, run_folder: str | Path) -> TestAccessLog:
    """Write an access down, unless the last one saw these very answers of the same photos.

    Args:
        evaluation: What the run's own model answered.
        run_folder: The run's folder.

    Returns:
        All accesses, with this one.

    Raises:
        ValueError: If the record is damaged.
    """
    folder, accesses = Path(run_folder), _read_log(Path(run_folder))
    model_file = folder / MODEL_FILE_NAME
    own = model_file if model_file.is_file() else None
    new = make_test_access(evaluation, model_file=None)
    if accesses and _name_answers(accesses[-1]) == _name_answers(new):
        return load_test_access_log(folder)
    return log_test_access(evaluation, folder, model_file=own)


def _name_answers(access: TestAccess) -> tuple[str, str]:
    return access.answers_sha256, access.photos_sha256


def make_test_access(evaluation: Evaluation, *, model_file: Path | None) -> TestAccess:
    """Describe an access that is made now.

    Args:
        evaluation: What was answered.
        model_file: The file of the model; None when it has none.

    Returns:
        The access.
    """
    photos = sorted(zip(evaluation.paths, evaluation.labels.tolist(), strict=True))
    return TestAccess(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        model_sha256=find_sha256(model_file) if model_file else None,
        answers_sha256=hashlib.sha256(evaluation.probabilities.tobytes()).hexdigest(),
        photos_sha256=hashlib.sha256(json.dumps(photos).encode()).hexdigest(),
        photos=len(evaluation.labels),
    )


def _read_log(folder: Path) -> tuple[TestAccess, ...]:
    path = folder / ACCESS_LOG_FILE_NAME
    if not path.is_file():
        return ()
    try:
        accesses: tuple[TestAccess, ...] = read_json(
            path, what="the accesses to the test of a run", kind=tuple[TestAccess, ...]
        )
    except ValueError as error:
        raise ValueError(
            f"{show_text(error)} Moved away, the next access begins a new one."
        ) from error
    return accesses
