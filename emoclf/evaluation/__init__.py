"""Photos and predicted probabilities in, numbers with intervals out.

Every figure carries its interval and its number of photos: 17 right of 17 is not 100 %, it is
82 to 100 %. `Evaluation(photos, probabilities)` has all numbers of one network, `evaluate_model`
makes one, `compare_evaluations` compares two, `slice_evaluation` and `measure_robustness` look for
weaknesses. `estimates` holds Wilson's interval, `bootstrap` the one for areas and F1.
"""

from emoclf.evaluation.comparing import Comparison, compare_evaluations
from emoclf.evaluation.estimates import (
    ESTIMATE_HEADERS,
    Estimate,
    describe_collapse,
    estimate_fraction,
    wilson_interval,
)
from emoclf.evaluation.evaluation import (
    Evaluation,
    collect_predictions,
    evaluate_model,
    read_evaluation,
)
from emoclf.evaluation.robustness import (
    CorruptedPhoto,
    CorruptionCurve,
    PredictCorrupted,
    RobustnessReport,
    measure_robustness,
)
from emoclf.evaluation.slices import SliceReport, slice_evaluation

__all__ = [
    "ESTIMATE_HEADERS",
    "Comparison",
    "CorruptedPhoto",
    "CorruptionCurve",
    "Estimate",
    "Evaluation",
    "PredictCorrupted",
    "RobustnessReport",
    "SliceReport",
    "collect_predictions",
    "compare_evaluations",
    "describe_collapse",
    "estimate_fraction",
    "evaluate_model",
    "measure_robustness",
    "read_evaluation",
    "slice_evaluation",
    "wilson_interval",
]
