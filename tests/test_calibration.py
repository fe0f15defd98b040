import numpy as np
import pytest

from emoclf.evaluation.calibration import fit_temperature
from emoclf.evaluation.reliability import accuracy_at_coverage, expected_calibration_error
from tests.evaluations import make_evaluation


def draw_answers(temperature, count=20_000, seed=0):
    """Labels of calibrated probabilities, and logits that are too large by `temperature`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 2))
    calibrated = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (random.random(count) < calibrated[:, 1]).astype(int)
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(temperature):
    logits, labels = draw_answers(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_calibrated_probabilities_have_nearly_no_error_and_boasting_ones_do():
    logits, labels = draw_answers(1.0)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert expected_calibration_error(make_evaluation(labels, softmax)) < 0.01
    boasting = np.where(softmax > 0.5, 0.999, 0.001)
    expected = 0.999 - (softmax.argmax(axis=1) == labels).mean()
    assert expected_calibration_error(make_evaluation(labels, boasting)) == pytest.approx(
        expected, abs=1e-9
    )


def test_calibration_error_of_a_worked_example():
    probabilities = np.array([[0.1, 0.9], [0.1, 0.9], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([1, 0, 1, 1])  # 0.9 is right half of the time, 0.6 always
    assert expected_calibration_error(make_evaluation(labels, probabilities)) == pytest.approx(
        0.5 * 0.4 + 0.5 * 0.4
    )


def test_the_most_confident_predictions_are_the_ones_that_count():
    probabilities = np.array([[0.01, 0.99]] * 9 + [[0.45, 0.55]])
    labels = np.array([1] * 9 + [0])
    assert accuracy_at_coverage(make_evaluation(labels, probabilities), coverage=0.9).value == 1
    whole = accuracy_at_coverage(make_evaluation(labels, probabilities), coverage=1)
    assert (whole.value, whole.count) == (0.9, 10)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="coverage=0"):
        accuracy_at_coverage(make_evaluation([0, 0], np.ones((2, 2)) / 2), coverage=0)
    with pytest.raises(ValueError, match="one label per photo"):
        fit_temperature(np.zeros((3, 2)), np.zeros(2, int))
