"""Every photo of a small folder answered by a network that has not seen it.

`running` trains the folds and keeps each one as soon as it is finished, `learners` is what is
trained in a fold, `estimating` says before the start how long all of them will take, `result` holds
the answers and says what they do and do not show.
"""

from emoclf.config import Learner
from emoclf.experiments.cross_validation.estimating import TimeEstimate, estimate_time
from emoclf.experiments.cross_validation.result import (
    CrossValidation,
    FoldScore,
    load_cross_validation,
)
from emoclf.experiments.cross_validation.running import cross_validate

__all__ = [
    "CrossValidation",
    "FoldScore",
    "Learner",
    "TimeEstimate",
    "cross_validate",
    "estimate_time",
    "load_cross_validation",
]
