"""From a folder to a report of what is wrong with its files; and moving rejects aside and back.

`problems` reads the folder and judges each file, `duplicates` compares files, `report` holds what
was found, `quarantining` moves what the report rejects and brings it back, by way of `moving` and
its `manifests`. No file is deleted or rewritten.
"""

from emoclf.data.cleaning.moving import MoveResult, finish_moves
from emoclf.data.cleaning.problems import CleaningThresholds, find_problems
from emoclf.data.cleaning.quarantining import quarantine, restore
from emoclf.data.cleaning.report import PROBLEM_KINDS, CleaningReport, FileRecord, Problem
