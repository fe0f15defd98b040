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
from emoclf.evaluation.metrics import (
    COLLAPSE_SHARE,
    BatchModel,
    Evaluation,
    collect_predictions,
    describe_collapse,
    evaluate_predictions,
)

__all__ = [
    "COLLAPSE_SHARE",
    "BatchModel",
    "ClassScores",
    "Comparison",
    "Curves",
    "Estimate",
    "Evaluation",
    "Figures",
    "average_estimates",
    "collect_predictions",
    "compare_evaluations",
    "count_independent",
    "describe_collapse",
    "estimate_figures",
    "evaluate_predictions",
    "mcnemar_test",
    "score_classes",
    "share_right",
    "subtract_estimates",
    "wilson_interval",
]
