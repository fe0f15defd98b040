"""The baseline baselines: from always guessing to the fine-tuned face network, on the same photos.

`baselines` names the baselines, `colours` and the regression beside it make the simple ones,
`networks` the others, `estimating` says how long it will take, `baselines` climbs and keeps what is
done, `result` compares.
"""

from emoclf.experiments.baselines.baseline import BASELINE_NAMES, Baseline, BaselineName
from emoclf.experiments.baselines.colours import COLOUR_NAMES, measure_colours
from emoclf.experiments.baselines.result import BaselineComparison, compare_baselines
from emoclf.experiments.baselines.running import train_baselines
from emoclf.experiments.regression import RegressionFit, fit_regression

__all__ = [
    "BASELINE_NAMES",
    "COLOUR_NAMES",
    "Baseline",
    "BaselineComparison",
    "BaselineName",
    "RegressionFit",
    "compare_baselines",
    "fit_regression",
    "measure_colours",
    "train_baselines",
]
