"""Wrong labels: found, looked at by a person, put right, and what it brought.

`confident_learning` estimates from out-of-fold answers which labels are wrong, `suspects` makes a
list of photos with reasons, `sheet` shows it on a page, `decisions` is the table of what was
decided, `applying` moves the photos, `comparing` trains before and after.
"""

from emoclf.experiments.label_errors.applying import DecisionsResult, apply_decisions
from emoclf.experiments.label_errors.comparing import (
    RepairComparison,
    RepairedSplit,
    compare_repair,
    describe_difference,
    repair_split,
)
from emoclf.experiments.label_errors.confident_learning import (
    count_confident_joint,
    estimate_joint,
    find_label_errors,
    find_thresholds,
)
from emoclf.experiments.label_errors.decisions import Decision, load_decisions, save_decisions
from emoclf.experiments.label_errors.sheet import ReviewSheet, save_review_sheet
from emoclf.experiments.label_errors.suspects import (
    SUSPECT_KINDS,
    LabelReview,
    Suspect,
    find_suspect_labels,
)

__all__ = [
    "SUSPECT_KINDS",
    "Decision",
    "DecisionsResult",
    "LabelReview",
    "RepairComparison",
    "RepairedSplit",
    "ReviewSheet",
    "Suspect",
    "apply_decisions",
    "compare_repair",
    "count_confident_joint",
    "describe_difference",
    "estimate_joint",
    "find_label_errors",
    "find_suspect_labels",
    "find_thresholds",
    "load_decisions",
    "repair_split",
    "save_decisions",
    "save_review_sheet",
]
