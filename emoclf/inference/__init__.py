"""The network answers: a photo in, Sad or Happy out, for each face or for the photo as a whole.

`views` cuts out what the network is shown, `predictor` asks it, `answers` is what comes out,
`asking` is the one call that does it all.
"""

from emoclf.inference.answers import (
    UNCERTAIN,
    FacePrediction,
    Prediction,
    UncertaintyRule,
    find_most_probable,
)
from emoclf.inference.asking import predict
from emoclf.inference.predictor import Predictor
from emoclf.inference.views import Photo, View

__all__ = [
    "UNCERTAIN",
    "FacePrediction",
    "Photo",
    "Prediction",
    "Predictor",
    "UncertaintyRule",
    "View",
    "find_most_probable",
    "predict",
]
