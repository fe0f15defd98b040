"""Wrong labels: found, looked at by a person, put right, and what it brought.

`confident_learning` estimates from out-of-fold answers which labels are wrong, `suspects` makes a
list of photos with reasons, `sheet` shows it on a page, `decisions` is the table of what was
decided, `applying` moves the photos, `comparing` trains before and after.
"""

from emoclf.experiments.label_errors.applying import apply_decisions
from emoclf.experiments.label_errors.comparing import (
    CorrectedSplit,
    CorrectionComparison,
    compare_corrections,
    correct_labels,
    describe_difference,
)
from emoclf.experiments.label_errors.confident_learning import (
    count_confident_joint,
    estimate_joint,
    find_label_errors,
    find_thresholds,
)
from emoclf.experiments.label_errors.decisions import Decision, load_decisions, save_decisions
from emoclf.experiments.label_errors.finding import (
    LABEL_ERROR_KINDS,
    LabelError,
    LabelReview,
    rank_label_errors,
)
from emoclf.experiments.label_errors.sheet import ReviewSheet, save_review_sheet

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
    "count_confident_joint",
    "describe_difference",
    "estimate_joint",
    "find_label_errors",
    "find_thresholds",
    "load_decisions",
    "rank_label_errors",
    "save_decisions",
    "save_review_sheet",
]
