"""Baselines: from always guessing to the fine-tuned face network, on the same photos.

`train_baselines` trains and keeps them, `BaselineComparison` compares them and says what the
differences mean; `colours` is what the simplest ones know of a photo.
"""

from emoclf.experiments.baselines.result import BASELINE_NAMES, BaselineComparison
from emoclf.experiments.baselines.training import choose_baselines, train_baselines

__all__ = ["BASELINE_NAMES", "BaselineComparison", "choose_baselines", "train_baselines"]
