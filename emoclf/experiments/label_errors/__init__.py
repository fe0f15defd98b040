"""Label errors: found, looked at by a person, corrected, and what that brought.

`finding` lists likely label errors with reasons, `sheet` shows them on a page and keeps the table
of decisions, `applying` moves the photos, `comparing` trains before and after.
"""

from emoclf.experiments.label_errors.applying import apply_decisions
from emoclf.experiments.label_errors.comparing import compare_corrections, correct_labels
from emoclf.experiments.label_errors.finding import rank_label_errors
from emoclf.experiments.label_errors.sheet import Decision, load_decisions, save_review_sheet

__all__ = [
    "Decision",
    "apply_decisions",
    "compare_corrections",
    "correct_labels",
    "load_decisions",
    "rank_label_errors",
    "save_review_sheet",
]
