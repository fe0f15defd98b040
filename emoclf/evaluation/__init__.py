"""True labels and probabilities in, numbers with intervals out. NumPy and scikit-learn only.

Every accuracy carries its interval and its number of photos: 17 right of 17 is not 100 %, it is
82 to 100 %.
"""

from emoclf.evaluation.metrics import (
    COLLAPSE_SHARE,
    BatchModel,
    ClassScores,
    Curves,
    Estimate,
    Evaluation,
    average_estimates,
    collect_predictions,
    describe_collapse,
    evaluate_predictions,
    wilson_interval,
)

__all__ = [
    "COLLAPSE_SHARE",
    "BatchModel",
    "ClassScores",
    "Curves",
    "Estimate",
    "Evaluation",
    "average_estimates",
    "collect_predictions",
    "describe_collapse",
    "evaluate_predictions",
    "wilson_interval",
]
