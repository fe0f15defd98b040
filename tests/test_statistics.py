"""Known values of the figures, the bootstrap and the comparison of two networks."""

import math

import numpy as np
import pytest
from sklearn import metrics

from emoclf.evaluation import Estimate, compare_evaluations, figures, wilson_interval
from emoclf.evaluation.bootstrap import find_interval, resample_weights
from emoclf.evaluation.comparing import mcnemar_test
from emoclf.evaluation.estimates import count_independent, subtract_estimates
from emoclf.evaluation.figures import estimate_figures, resample_calibrated_errors
from emoclf.photos import Photos
from tests.evaluations import make_evaluation


def make_answers(count=120, seed=0, lead=1.0):
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3 % 2
    score = np.round(1 / (1 + np.exp(-generator.normal(lead * (2 * labels - 1)))), 2)
    return labels, np.stack([1 - score, score], axis=1)


def make_photos(labels, groups=None):
    return Photos.make(map(str, range(len(labels))), labels, groups=groups)


def evaluate_rights(rights, *, groups=None, labels=None, **options):
    """An evaluation that is right where `rights` says so."""
    labels = np.arange(len(rights)) % 2 if labels is None else np.asarray(labels)
    answers = np.where(rights, labels, 1 - labels)
    return make_evaluation(labels, np.eye(2)[answers] * 0.8 + 0.1, groups=groups, **options)


def test_weighted_figures_are_those_of_scikit_learn():
    labels, probabilities = make_answers()
    scores, answers = probabilities[:, 1], probabilities.argmax(axis=1)
    assert len(np.unique(scores)) < len(scores), "some scores should be equal"
    weights = np.random.default_rng(1).integers(0, 4, (5, len(labels))).astype(float)
    weights[0] = 1
    is_last = labels == 1
    found = (
        figures.measure_roc_auc(is_last, scores, weights),
        figures.measure_average_precision(is_last, scores, weights),
        figures.measure_f1(is_last, answers == 1, weights),
    )
    for draw, weight in enumerate(weights):
        expected = (
            metrics.roc_auc_score(labels, scores, sample_weight=weight),
            metrics.average_precision_score(labels, scores, sample_weight=weight),
            metrics.f1_score(labels, answers, sample_weight=weight),
        )
        assert [each[draw] for each in found] == pytest.approx(expected)


def test_risk_area_of_a_worked_example():
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    is_right = np.array([True, False, True, False])
    # one answered: 0 wrong, two: 1/2, three: 1/3, four: 1/2
    area = figures.measure_risk_area(confidence, is_right, np.ones((1, 4)))
    assert area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    equal = figures.measure_risk_area(np.full(4, 0.6), is_right, np.ones((1, 4)))
    assert equal == pytest.approx(0.5)


def test_resampled_photos_keep_classes_and_duplicates_together():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 0])
    groups = np.array([7, 7, 8, 9, 5, 4, 6, 6])  # group 6 holds both classes
    photos = make_photos(labels, groups)
    (weights,) = resample_weights(photos, resamples=500, seed=0)
    assert weights.shape == (500, 8)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 6:], 1)  # alone of its kind: always there
    for inside, count in (([0, 2, 3], 3), ([4, 5], 2)):
        np.testing.assert_allclose(weights[:, inside].sum(axis=1), count)
    again = next(resample_weights(photos, resamples=500, seed=0))
    np.testing.assert_array_equal(weights, again)


def test_the_bootstrap_moves_a_mean_as_much_as_theory_says():
    """Rao and Wu's resample has the unbiased variance of a mean, s^2 / n, even for five photos."""
    values, labels = np.array([0.1, 0.2, 0.6, 0.7, 0.9]), np.zeros(5, int)
    (weights,) = resample_weights(make_photos(labels), resamples=40_000, seed=0)
    drawn = weights @ values / 5
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.002)
    assert drawn.var() == pytest.approx(values.var(ddof=1) / 5, rel=0.03)


def test_resamples_in_portions_are_all_there(monkeypatch):
    for module in ("bootstrap", "figures"):
        monkeypatch.setattr(f"emoclf.evaluation.{module}.CELLS", 50)
    photos = make_photos(np.arange(10) % 2)
    portions = list(resample_weights(photos, resamples=23, seed=0))
    assert [len(each) for each in portions] == [5, 5, 5, 5, 3]
    errors = resample_calibrated_errors(np.full(10, 0.75), np.arange(10), resamples=23)
    assert errors.shape == (23,)


def test_a_share_gets_wilsons_interval_back():
    """The recall of a class, resampled, is worth as many photos as there are."""
    photos = make_photos(np.repeat([0, 1], 200))
    is_right = np.r_[np.ones(200), np.arange(200) < 150].astype(float)
    (weights,) = resample_weights(photos, resamples=4000, seed=1)
    drawn = (weights * is_right)[:, 200:].sum(axis=1) / 200
    estimate, expected = find_interval(0.75, drawn, photos), wilson_interval(150, 200)
    assert estimate.low == pytest.approx(expected.low, abs=0.003)
    assert estimate.high == pytest.approx(expected.high, abs=0.003)


def test_duplicates_do_not_narrow_an_interval():
    labels, probabilities = make_answers(60)
    once = make_evaluation(labels, probabilities)
    twice = make_evaluation(
        np.tile(labels, 3), np.tile(probabilities, (3, 1)), groups=np.tile(np.arange(60), 3)
    )
    for name in ("accuracy", "balanced_accuracy"):
        one, other = getattr(once, name), getattr(twice, name)
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
        assert other.count == 180
    one, other = once.estimates.roc_auc, twice.estimates.roc_auc
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-9)
    assert count_independent(np.array([1, 1, 2, 3])) == pytest.approx(16 / 6)
    assert count_independent(np.array([], dtype=int)) == 0


def test_few_and_perfect_photos_get_no_perfect_interval():
    labels = np.repeat([0, 1], 10)
    score = np.linspace(0.05, 0.95, 20)
    result = make_evaluation(labels, np.stack([1 - score, score], 1))
    area = result.estimates.roc_auc
    assert (area.value, area.high) == (1, 1)
    assert area.low == pytest.approx(wilson_interval(10, 10).low)
    text = str(result)
    assert "Only 10 different photos of Sad: each is worth 10 points" in text
    assert "known to within" in text
    assert area.interval in text


def test_one_photo_of_a_class_or_none_is_said():
    alone = make_evaluation([0, 0, 0, 1], np.tile([0.7, 0.3], (4, 1)))
    assert (alone.estimates.roc_auc.low, alone.estimates.roc_auc.high) == (0, 1)
    assert "One different photo of Happy only" in str(alone)
    assert "do not show that the accuracy is above that of always Sad" in str(alone)
    copies = make_evaluation(
        [0, 1, 1, 0], np.tile([0.7, 0.3], (4, 1)), groups=np.array([0, 1, 1, 2])
    )
    assert "One different photo of Happy only" in str(copies)
    none = make_evaluation([0, 0], np.tile([0.7, 0.3], (2, 1)))
    assert none.estimates.roc_auc is None
    assert math.isnan(none.estimates.f1[1].value)
    assert "No photo of Happy" in str(none)
    many = evaluate_rights(np.arange(2000) % 20 > 0)
    assert many.find_limits() == []


def test_a_calibrated_network_is_not_called_overconfident():
    generator = np.random.default_rng(0)
    happy = generator.random(400)
    photos = make_photos((generator.random(400) < happy).astype(int))
    found = estimate_figures(photos, np.stack([1 - happy, happy], 1))
    assert found.calibration_error.low == 0
    assert found.error_by_chance == pytest.approx(found.calibration_error.value, abs=0.03)
    boasting = np.where(happy > 0.5, 0.99, 0.01)
    error = estimate_figures(photos, np.stack([1 - boasting, boasting], 1)).calibration_error
    assert 0.1 < error.low < error.value < error.high
    coin = np.repeat([0.5], 100)
    drawn = resample_calibrated_errors(coin, np.arange(100), resamples=4000)
    assert drawn.mean() == pytest.approx(math.sqrt(0.25 / 100 * 2 / math.pi), rel=0.05)


# Newcombe (1998), Statistics in Medicine 17, 2635-2650: 36 pairs positive twice, 12 and 2 once.
def test_the_paired_difference_of_a_published_example():
    first = np.r_[np.ones(36), np.zeros(12), np.ones(2)].astype(bool)
    second = np.r_[np.ones(48), np.zeros(2)].astype(bool)
    found = compare_evaluations(evaluate_rights(first), evaluate_rights(second), resamples=50)
    difference = found.differences["accuracy"]
    assert difference.value == pytest.approx(0.2)
    assert (difference.low, difference.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert (found.only_first, found.only_second) == (2, 12)
    assert found.p_value == pytest.approx(2 * (1 + 14 + 91) / 2**14)
    assert found.better == "second"


def test_mcnemar_of_worked_examples():
    assert mcnemar_test(0, 5) == pytest.approx(2 / 32)
    assert mcnemar_test(1, 8) == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar_test(4, 4) == 1
    assert mcnemar_test(0, 0) == 1


def test_differences_add_as_squares():
    first, second = Estimate(0.5, 0.4, 0.6, 90), Estimate(0.7, 0.6, 0.8, 90)
    free = subtract_estimates(second, first)
    assert (free.low, free.high) == pytest.approx((0.2 - 0.02**0.5, 0.2 + 0.02**0.5))
    bound = subtract_estimates(second, first, correlation=1)
    assert (bound.low, bound.high) == pytest.approx((0.2, 0.2))


def test_the_comparison_says_which_is_better_or_that_it_is_open():
    labels, good = make_answers(400, seed=3, lead=2.0)
    _, poor = make_answers(400, seed=4, lead=0.3)
    first, second = (make_evaluation(labels, each) for each in (poor, good))
    found = compare_evaluations(first, second, names=("small", "face"))
    area = found.differences["roc_auc"]
    expected = metrics.roc_auc_score(labels, good[:, 1]) - metrics.roc_auc_score(labels, poor[:, 1])
    assert area.value == pytest.approx(expected)
    assert "face is right more often" in str(found)
    assert "face ranks the photos better" in str(found)
    back = compare_evaluations(second, first, names=("face", "small"))
    assert back.differences["roc_auc"].high == pytest.approx(-area.low)
    assert back.better == "face"
    same = compare_evaluations(first, first, resamples=200)
    assert same.differences["roc_auc"].low == pytest.approx(0, abs=0.01)
    assert "do not tell which of the two is right more often" in str(same)
    assert same.to_dict()["better"] is None
    one_class = evaluate_rights([True, False, True], labels=[0, 0, 0])
    assert "areas cannot be compared" in str(compare_evaluations(one_class, one_class))


def test_two_perfect_networks_are_not_shown_to_be_equal():
    labels = np.repeat([0, 1], 10)
    perfect = make_evaluation(labels, np.eye(2)[labels] * 0.8 + 0.1)
    area = compare_evaluations(perfect, perfect, resamples=100).differences["roc_auc"]
    assert area.value == 0
    assert area.low < -0.2
    assert area.high > 0.2


def test_duplicates_have_one_vote():
    rights = np.array([True] * 6 + [False, True])
    groups = np.array([0, 0, 0, 0, 1, 2, 3, 4])
    first = evaluate_rights(~rights, groups=groups, labels=[0, 0, 0, 0, 1, 1, 0, 1])
    second = evaluate_rights(rights, groups=groups, labels=[0, 0, 0, 0, 1, 1, 0, 1])
    found = compare_evaluations(first, second, resamples=50)
    assert (found.only_first, found.only_second) == (1, 4)


def test_different_photos_are_not_compared():
    one, other = evaluate_rights([True] * 4), evaluate_rights([True] * 6)
    with pytest.raises(ValueError, match="4 photos, and second, 6 photos"):
        compare_evaluations(one, other)
    grouped = evaluate_rights([True] * 4, groups=[1, 1, 2, 3], labels=[0, 0, 1, 1])
    plain = evaluate_rights([True] * 4, labels=[0, 0, 1, 1])
    with pytest.raises(ValueError, match="same `photos`"):
        compare_evaluations(grouped, plain)


def test_every_photo_needs_a_group():
    with pytest.raises(ValueError, match="4 paths, 4 labels, 2 groups"):
        evaluate_rights([True] * 4, groups=[1, 2])
