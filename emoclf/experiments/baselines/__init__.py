"""The baseline ladder: from always guessing to the fine-tuned face network, on the same photos.

`rungs` names the rungs, `colours` and the regression beside it make the simple ones, `networks` the
others, `estimating` says how long it will take, `ladder` climbs and keeps what is done, `result`
compares.
"""

from emoclf.experiments.baselines.colours import COLOUR_NAMES, measure_colours
from emoclf.experiments.baselines.ladder import train_ladder
from emoclf.experiments.baselines.result import Ladder, compare_rungs
from emoclf.experiments.baselines.rungs import RUNG_NAMES, Rung, RungName
from emoclf.experiments.regression import RegressionFit, fit_regression

__all__ = [
    "COLOUR_NAMES",
    "RUNG_NAMES",
    "Ladder",
    "RegressionFit",
    "Rung",
    "RungName",
    "compare_rungs",
    "fit_regression",
    "measure_colours",
    "train_ladder",
]
