"""From a folder to a report of what is wrong with its files; and moving rejects aside and back.

`problems` reads the folder, `checks` judges one file, `duplicates` compares files, `report` holds
what was found, `quarantining` moves what the report rejects, `restoring` brings it back, and
`finishing` does the rest of either when it was interrupted; `manifests`, `marks` and `moving` are
how. No file is deleted or rewritten.
"""

from emoclf.data.cleaning.checks import CleaningThresholds
from emoclf.data.cleaning.finishing import FinishedMoves, describe_finished, finish_moves
from emoclf.data.cleaning.problems import find_problems
from emoclf.data.cleaning.quarantining import QuarantineResult, quarantine
from emoclf.data.cleaning.report import (
    PROBLEM_KINDS,
    CleaningReport,
    FileRecord,
    Problem,
)
from emoclf.data.cleaning.restoring import RestoreResult, restore

__all__ = [
    "PROBLEM_KINDS",
    "CleaningReport",
    "CleaningThresholds",
    "FileRecord",
    "FinishedMoves",
    "Problem",
    "QuarantineResult",
    "RestoreResult",
    "describe_finished",
    "find_problems",
    "finish_moves",
    "quarantine",
    "restore",
]
