"""Where a network is weak: its test photos measured one by one, and corrupted.

`slices` measures how bright, sharp and large a photo is and how many faces it shows, and gives the
accuracy by that; `robustness` lets a network predict corrupted photos.
"""

from emoclf.experiments.error_analysis.robustness import (
    evaluate_robustness,
    make_corrupted_prediction,
)
from emoclf.experiments.error_analysis.slices import evaluate_slices, measure_photos

__all__ = [
    "evaluate_robustness",
    "evaluate_slices",
    "make_corrupted_prediction",
    "measure_photos",
]
