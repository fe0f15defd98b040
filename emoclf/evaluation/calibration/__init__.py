"""Are the probabilities calibrated? Reliability, temperature, thresholds, what "uncertain" costs.

NumPy and SciPy only. Temperatures and thresholds are chosen on validation photos, never on test:
`choose_temperature` and `choose_threshold` take nothing else, and what they return is applied to
the photos of the test in a second call.
"""

from emoclf.evaluation.calibration.choices import (
    Temperature,
    Threshold,
    ThresholdScores,
    apply_temperature,
    apply_threshold,
    choose_temperature,
    choose_threshold,
    fit_temperature,
)
from emoclf.evaluation.calibration.reliability import (
    Reliability,
    ReliabilityBin,
    RiskCoverage,
    accuracy_at_coverage,
    expected_calibration_error,
    measure_reliability,
    measure_risk_coverage,
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
