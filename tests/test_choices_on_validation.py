"""Reliability, temperature, threshold, risk and coverage: known values, and never on the test."""

import numpy as np
import pytest

from emoclf.evaluation import wilson_interval
from emoclf.evaluation.calibration import (
    apply_temperature,
    apply_threshold,
    choose_temperature,
    choose_threshold,
)
from emoclf.evaluation.reliability import (
    expected_calibration_error,
    measure_reliability,
    measure_risk_coverage,
)
from tests.evaluations import make_evaluation


def evaluate(labels, happy, **options):
    happy = np.asarray(happy, float)
    return make_evaluation(labels, np.stack([1 - happy, happy], 1), **options)


def draw(count, *, boast=1.0, seed=0, **options):
    """Calibrated probabilities, whose logits are then multiplied by `boast`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, count)
    labels = (generator.random(count) < 1 / (1 + np.exp(-logits))).astype(int)
    return evaluate(labels, 1 / (1 + np.exp(-boast * logits)), **options)


SCORES = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
TRUTH = [0, 0, 0, 1, 0, 1, 1, 1]


def test_reliability_of_a_worked_example():
    happy = np.repeat([0.9, 0.9, 0.6, 0.62, 0.1], 10)
    result = evaluate(np.repeat([1, 0, 1, 1, 1], 10), happy)
    found = measure_reliability(result, bins=5)
    middle, last = found.bins
    assert (middle.low, middle.high) == pytest.approx((0.6, 0.8))
    assert middle.confidence == pytest.approx(0.61)
    assert middle.accuracy == wilson_interval(20, 20)
    assert last.accuracy == wilson_interval(10, 30)
    expected = expected_calibration_error(result)
    assert found.error.value == pytest.approx(expected)
    with pytest.raises(ValueError, match="bins=0"):
        measure_reliability(result, bins=0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((12, 0, 0, 15, 30), [(0.5, 0.6, 12), (0.8, 0.9, 15), (0.9, 1.0, 30)]),
        ((2, 3, 4, 1, 30), [(0.5, 0.9, 10), (0.9, 1.0, 30)]),
        ((20, 0, 0, 9, 9), [(0.5, 0.6, 20), (0.8, 1.0, 18)]),
        ((20, 0, 0, 9, 0), [(0.5, 0.9, 29)]),
        ((0, 2, 0, 1, 0), [(0.6, 0.9, 3)]),
    ],
)
def test_bins_of_a_few_photos_are_merged(counts, expected):
    happy = np.repeat([0.55, 0.65, 0.75, 0.85, 0.95], counts)
    found = measure_reliability(evaluate(np.ones(len(happy), int), happy), bins=10)
    merged = [(each.low, each.high, each.accuracy.count) for each in found.bins]
    np.testing.assert_allclose(merged, expected)
    assert ("3 of 3" in str(found)) == (sum(counts) == 3)


def test_reliability_says_who_is_overconfident():
    assert "overconfident" in str(measure_reliability(draw(1000, boast=3)))
    assert "underconfident" in str(measure_reliability(draw(1000, boast=0.2)))
    calibrated = str(measure_reliability(draw(1000)))
    assert "do not show that the probabilities are not calibrated" in calibrated


@pytest.mark.parametrize("boast", [0.5, 3.0])
def test_the_temperature_is_found_on_validation_and_helps_on_test(boast):
    temperature = choose_temperature(draw(1500, boast=boast, part="validation"))
    assert temperature.low < boast < temperature.high
    assert temperature.value == pytest.approx(boast, rel=0.15)
    assert str(temperature).endswith("overconfident." if boast > 1 else "underconfident.")
    test = draw(1500, boast=boast, seed=1, part="test", groups=np.arange(1500))
    after = apply_temperature(temperature, test)
    assert after.accuracy == test.accuracy
    assert after.photos is test.photos
    assert after.estimates.calibration_error.value < test.estimates.calibration_error.value


def test_a_temperature_that_photos_cannot_tell_is_said():
    few = choose_temperature(draw(40, part="validation"))
    assert few.low < 1 < few.high
    assert "do not show that the network needs one" in str(few)
    perfect = choose_temperature(evaluate([0, 1], [0.2, 0.9], part="validation"))
    assert perfect.value == 1
    assert "No prediction for 2 validation photos is wrong" in str(perfect)
    certain = evaluate([0, 1, 0], [0.0, 1.0, 1.0], part="validation")
    assert np.isfinite(choose_temperature(certain).value)


def test_duplicates_widen_the_interval_of_the_temperature():
    alone = draw(100, boast=2, part="validation")
    copies = evaluate(
        np.tile(alone.labels, 4),
        np.tile(alone.probabilities[:, 1], 4),
        groups=np.tile(np.arange(100), 4),
        part="validation",
    )
    one, other = choose_temperature(alone), choose_temperature(copies)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-4)


def test_the_best_balanced_accuracy_of_a_worked_example():
    threshold = choose_threshold(evaluate(TRUTH, SCORES, part="validation"))
    # 0.35 and 0.65 are right 7 times of 8, both 0.15 from one half: the first is taken
    assert threshold.value == pytest.approx(0.35)
    assert threshold.on_validation.balanced_accuracy.value == pytest.approx(7 / 8)
    assert threshold.on_validation.per_class[1].recall == wilson_interval(4, 4)
    assert "best balanced accuracy" in str(threshold)
    assert "too good" in str(threshold)


def test_wishes_for_recall_and_precision():
    validation = evaluate(TRUTH, SCORES, part="validation")
    assert choose_threshold(validation, recall=1.0).value == pytest.approx(0.35)
    assert choose_threshold(validation, recall=0.75).value == pytest.approx(0.65)
    precise = choose_threshold(validation, precision=1.0)
    assert precise.value == pytest.approx(0.65)
    assert precise.on_validation.per_class[1].precision == wilson_interval(3, 3)
    assert choose_threshold(validation, precision=0.8).value == pytest.approx(0.35)


def test_a_threshold_is_tested_on_other_photos():
    threshold = choose_threshold(evaluate(TRUTH, SCORES, part="validation"), precision=1.0)
    test = evaluate([0, 1, 1, 0], [0.64, 0.66, 0.2, 0.9], part="test")
    scores = apply_threshold(threshold, test)
    assert scores.accuracy == wilson_interval(2, 4)
    assert scores.per_class[1].recall == wilson_interval(1, 2)
    assert "Happy from 0.650 on, test photos" in str(scores)
    with pytest.raises(ValueError, match="on_validation"):
        apply_threshold(threshold, evaluate(TRUTH, SCORES, part="validation"))
    others = evaluate([0, 1], [0.1, 0.9], class_names=("No", "Yes"))
    with pytest.raises(ValueError, match="photos of No, Yes"):
        apply_threshold(threshold, others)


@pytest.mark.parametrize("choose", [choose_threshold, choose_temperature])
@pytest.mark.parametrize(
    ("part", "said"), [("test", "test photos"), ("train", "train photos"), ("", "no single part")]
)
def test_nothing_is_chosen_on_other_photos_than_validation(choose, part, said):
    with pytest.raises(ValueError, match=said):
        choose(evaluate(TRUTH, SCORES, part=part))


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"recall": 0.0}, "recall=0.0"),
        ({"precision": 1.5}, "precision=1.5"),
        ({"recall": 0.9, "precision": 0.9}, "not both"),
    ],
)
def test_wishes_that_cannot_be_meant(wishes, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold(evaluate(TRUTH, SCORES, part="validation"), **wishes)


def test_a_precision_out_of_reach_is_said():
    upside_down = evaluate([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], part="validation")
    with pytest.raises(ValueError, match=r"the best is 0\.500"):
        choose_threshold(upside_down, precision=0.9)
    with pytest.raises(ValueError, match="two classes"):
        choose_threshold(evaluate([1, 1], [0.1, 0.2], part="validation"))


def test_risk_and_coverage_of_a_worked_example():
    result = evaluate([1, 0, 1, 0], [0.95, 0.9, 0.8, 0.7])  # right, wrong, right, wrong
    curve = measure_risk_coverage(result)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area.value == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert curve.best_area == pytest.approx((1 / 3 + 2 / 4) / 4)
    assert curve.whole_risk.value == 0.5
    assert "do not show that the wrong predictions are the unsure ones" in str(curve)


def test_unsure_predictions_are_the_wrong_ones_of_a_calibrated_network():
    curve = measure_risk_coverage(draw(1000))
    assert curve.best_area < curve.area.low < curve.area.high < curve.whole_risk.value
    assert "leaves out the wrong predictions first" in str(curve)
    tied = measure_risk_coverage(evaluate([1, 0], [0.8, 0.8]))
    assert tied.coverage.tolist() == [1]
    assert tied.area.value == 0.5
