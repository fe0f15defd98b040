"""Label errors: found, looked at by a person, corrected, and what that brought.

`finding` lists likely label errors with reasons, `sheet` shows them on a page and keeps the table
of decisions, `applying` moves the photos, `comparing` trains before and after.
"""

from emoclf.experiments.label_errors.applying import apply_decisions
from emoclf.experiments.label_errors.comparing import (
    CorrectedSplit,
    CorrectionComparison,
    compare_corrections,
    correct_labels,
    describe_difference,
)
from emoclf.experiments.label_errors.finding import (
    LABEL_ERROR_KINDS,
    LabelError,
    LabelReview,
    find_label_errors,
    rank_label_errors,
)
from emoclf.experiments.label_errors.sheet import (
    Decision,
    ReviewSheet,
    load_decisions,
    save_decisions,
    save_review_sheet,
)

__all__ = [
    "LABEL_ERROR_KINDS",
    "CorrectedSplit",
    "CorrectionComparison",
    "Decision",
    "LabelError",
    "LabelReview",
    "ReviewSheet",
    "apply_decisions",
    "compare_corrections",
    "correct_labels",
    "describe_difference",
    "find_label_errors",
    "load_decisions",
    "rank_label_errors",
    "save_decisions",
    "save_review_sheet",
]
