"""Where a network is weak: its test photos measured one by one, and corrupted.

`measuring` says of a photo how bright, sharp and large it is and how many faces it shows;
`answering` lets a predictor answer corrupted photos; `reports` puts both together with the
statistics of `evaluation`.
"""

from emoclf.experiments.error_analysis.answering import make_corrupted_prediction
from emoclf.experiments.error_analysis.measuring import PhotoMeasures, measure_photos
from emoclf.experiments.error_analysis.reports import evaluate_robustness, evaluate_slices

__all__ = [
    "PhotoMeasures",
    "evaluate_robustness",
    "evaluate_slices",
    "make_corrupted_prediction",
    "measure_photos",
]
