"""Every photo of a small folder predicted by a network not trained on it.

`cross_validate` trains the folds and keeps each one as soon as it is finished, `CrossValidation`
holds the predictions and says what they do and do not show.
"""

from emoclf.experiments.cross_validation.result import (
    CrossValidation,
    FoldScore,
    Learner,
    load_cross_validation,
)
from emoclf.experiments.cross_validation.training import cross_validate

__all__ = [
    "CrossValidation",
    "FoldScore",
    "Learner",
    "cross_validate",
    "load_cross_validation",
]
