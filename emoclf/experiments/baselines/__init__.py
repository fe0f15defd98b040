"""Baselines: from always guessing to the fine-tuned face network, on the same photos.

`train_baselines` trains and keeps them, `BaselineComparison` compares them and says what the
differences mean, `measure_colours` is what the simplest ones know of a photo.
"""

from emoclf.experiments.baselines.colours import COLOUR_NAMES, measure_colours
from emoclf.experiments.baselines.result import (
    BASELINE_NAMES,
    Baseline,
    BaselineComparison,
    BaselineName,
    compare_baselines,
)
from emoclf.experiments.baselines.training import train_baselines

__all__ = [
    "BASELINE_NAMES",
    "COLOUR_NAMES",
    "Baseline",
    "BaselineComparison",
    "BaselineName",
    "compare_baselines",
    "measure_colours",
    "train_baselines",
]
