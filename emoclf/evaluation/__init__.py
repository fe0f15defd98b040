"""True labels and probabilities in, numbers with intervals out.

Every figure carries its interval and its number of photos: 17 right of 17 is not 100 %, it is
82 to 100 %. `estimates` holds Wilson's interval, `bootstrap` the one for areas and F1, `metrics`
all numbers of one look at a split, `comparing` two networks on the same photos.
"""

from emoclf.evaluation.classes import ClassScores, score_classes, share_right
from emoclf.evaluation.comparing import Comparison, compare_evaluations, mcnemar_test
from emoclf.evaluation.curves import Curves
from emoclf.evaluation.estimates import (
    Estimate,
    average_estimates,
    count_independent,
    subtract_estimates,
    wilson_interval,
)
from emoclf.evaluation.figures import Figures, estimate_figures
from emoclf.evaluation.kept import read_probabilities
from emoclf.evaluation.metrics import (
    COLLAPSE_SHARE,
    BatchModel,
    Evaluation,
    collect_predictions,
    describe_collapse,
    evaluate_predictions,
)
from emoclf.evaluation.robustness import (
    CorruptedPhoto,
    CorruptionCurve,
    RobustnessReport,
    measure_corrupted,
    measure_robustness,
)
from emoclf.evaluation.slices import (
    SMALL_SLICE,
    Slice,
    SliceReport,
    SliceTest,
    slice_evaluation,
)
from emoclf.images.corruptions import (
    CORRUPTIONS,
    WORKING_SIDE,
    Corruption,
    CorruptionName,
    corrupt_photo,
    load_at_working_size,
)

__all__ = [
    "COLLAPSE_SHARE",
    "CORRUPTIONS",
    "SMALL_SLICE",
    "WORKING_SIDE",
    "BatchModel",
    "ClassScores",
    "Comparison",
    "CorruptedPhoto",
    "Corruption",
    "CorruptionCurve",
    "CorruptionName",
    "Curves",
    "Estimate",
    "Evaluation",
    "Figures",
    "RobustnessReport",
    "Slice",
    "SliceReport",
    "SliceTest",
    "average_estimates",
    "collect_predictions",
    "compare_evaluations",
    "corrupt_photo",
    "count_independent",
    "describe_collapse",
    "estimate_figures",
    "evaluate_predictions",
    "load_at_working_size",
    "mcnemar_test",
    "measure_corrupted",
    "measure_robustness",
    "read_probabilities",
    "score_classes",
    "share_right",
    "slice_evaluation",
    "subtract_estimates",
    "wilson_interval",
]
