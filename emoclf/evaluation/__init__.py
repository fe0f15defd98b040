"""True labels and probabilities in, numbers with intervals out. NumPy and scikit-learn; no network.

Every accuracy carries its interval and its number of photos: 17 right of 17 is not 100 %, it is
82 to 100 %.
"""

from emoclf.evaluation.harming import (
    HARMS,
    WORKING_SIDE,
    Harm,
    HarmName,
    harm_photo,
    load_at_working_size,
)
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
from emoclf.evaluation.robustness import (
    HarmCurve,
    HarmedPhoto,
    RobustnessReport,
    measure_harmed,
    measure_robustness,
)
from emoclf.evaluation.slices import (
    SMALL_SLICE,
    Slice,
    SliceReport,
    SliceTest,
    slice_evaluation,
)

__all__ = [
    "COLLAPSE_SHARE",
    "HARMS",
    "SMALL_SLICE",
    "WORKING_SIDE",
    "BatchModel",
    "ClassScores",
    "Curves",
    "Estimate",
    "Evaluation",
    "Harm",
    "HarmCurve",
    "HarmName",
    "HarmedPhoto",
    "RobustnessReport",
    "Slice",
    "SliceReport",
    "SliceTest",
    "average_estimates",
    "collect_predictions",
    "describe_collapse",
    "evaluate_predictions",
    "harm_photo",
    "load_at_working_size",
    "measure_harmed",
    "measure_robustness",
    "slice_evaluation",
    "wilson_interval",
]
