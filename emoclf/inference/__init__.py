"""A photo in, Sad or Happy out, for each face or for the photo as a whole.

`predictor` prepares a photo for its network and runs it, `predictions` is what comes out,
`annotation` draws that onto the photo, `explanations` shows what speaks for it, `testing` predicts
photos with known classes.
"""

from emoclf.inference.predictions import (
    UNCERTAIN,
    FacePrediction,
    Prediction,
    UncertaintyRule,
    find_most_probable,
)
from emoclf.inference.predictor import MakeDetector, Predictor, predict
