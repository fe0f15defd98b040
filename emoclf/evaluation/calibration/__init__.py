"""Are the probabilities honest? Temperature, calibration error, thresholds, what "uncertain" costs.

NumPy and SciPy only. Temperatures and thresholds are chosen on validation photos, never on test:
`choose_temperature` and `choose_threshold` take nothing else, and what they return is applied to
the photos of the test in a second call.
"""

from emoclf.evaluation.calibration.coverage import (
    RiskCoverage,
    accuracy_at_coverage,
    measure_risk_coverage,
)
from emoclf.evaluation.calibration.reliability import (
    Reliability,
    ReliabilityBin,
    expected_calibration_error,
    measure_reliability,
)
from emoclf.evaluation.calibration.temperature import (
    Temperature,
    apply_temperature,
    choose_temperature,
    fit_temperature,
)
from emoclf.evaluation.calibration.thresholds import (
    Threshold,
    ThresholdScores,
    apply_threshold,
    choose_threshold,
)

__all__ = [
    "Reliability",
    "ReliabilityBin",
    "RiskCoverage",
    "Temperature",
    "Threshold",
    "ThresholdScores",
    "accuracy_at_coverage",
    "apply_temperature",
    "apply_threshold",
    "choose_temperature",
    "choose_threshold",
    "expected_calibration_error",
    "fit_temperature",
    "measure_reliability",
    "measure_risk_coverage",
]
