import csv
import json
import math

import numpy as np
import pytest
from sklearn import metrics

from emoclf.display import Table
from emoclf.evaluation import (
    Estimate,
    collect_predictions,
    describe_collapse,
    evaluate_model,
    read_evaluation,
    wilson_interval,
)
from emoclf.evaluation.estimates import average_estimates
from emoclf.photos import Photos
from tests.evaluations import make_evaluation


def make_answers(count=300, seed=0, skew=0.3):
    generator = np.random.default_rng(seed)
    labels = (generator.random(count) < skew).astype(int)
    score = np.clip(0.5 + 0.25 * (2 * labels - 1) + 0.3 * generator.normal(size=count), 0, 1)
    return labels, np.stack([1 - score, score], axis=1)


# Worked examples: Newcombe (1998), Statistics in Medicine 17, 857-872, table I (method 3).
@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_matches_published_examples(successes, count, low, high):
    estimate = wilson_interval(successes, count)
    assert estimate.value == successes / count
    assert estimate.low == pytest.approx(low, abs=5e-5)
    assert estimate.high == pytest.approx(high, abs=5e-5)


def test_wilson_interval_at_the_edges():
    assert wilson_interval(17, 17).low == pytest.approx(0.816, abs=5e-4)
    assert wilson_interval(17, 17).high == 1.0
    nothing = wilson_interval(0, 0)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="successes=3"):
        wilson_interval(3, 2)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_wilson_interval_covers_in_95_percent_of_draws(share):
    generator = np.random.default_rng(0)
    draws = generator.binomial(200, share, size=2000)
    estimates = [wilson_interval(int(successes), 200) for successes in draws]
    covered = np.mean([estimate.low <= share <= estimate.high for estimate in estimates])
    assert 0.93 <= covered <= 0.97


def test_balanced_accuracy_interval_covers_in_95_percent_of_draws():
    generator = np.random.default_rng(0)
    first, second = generator.binomial(150, 0.9, 2000), generator.binomial(50, 0.6, 2000)
    estimates = [
        average_estimates([wilson_interval(int(a), 150), wilson_interval(int(b), 50)])
        for a, b in zip(first, second, strict=True)
    ]
    assert 0.93 <= np.mean([e.low <= 0.75 <= e.high for e in estimates]) <= 0.97


def test_numbers_match_scikit_learn():
    labels, probabilities = make_answers()
    result = make_evaluation(labels, probabilities)
    answers = probabilities.argmax(axis=1)
    assert result.accuracy.value == metrics.accuracy_score(labels, answers)
    assert result.balanced_accuracy.value == pytest.approx(
        metrics.balanced_accuracy_score(labels, answers)
    )
    assert result.confusion.tolist() == metrics.confusion_matrix(labels, answers).tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, answers)
    for scores, *expected in zip(result.per_class, precision, recall, f1, support, strict=True):
        received = (scores.precision.value, scores.recall.value, scores.f1, scores.recall.count)
        assert received == pytest.approx(tuple(expected))
    assert result.curves.roc_auc == metrics.roc_auc_score(labels, probabilities[:, 1])
    assert result.curves.average_precision == metrics.average_precision_score(
        labels, probabilities[:, 1]
    )


def test_majority_baseline_is_what_always_guessing_gets():
    labels, probabilities = make_answers(skew=0.2)
    result = make_evaluation(labels, probabilities)
    assert result.majority_class == "Sad"
    assert result.majority_accuracy.value == np.mean(labels == 0)
    flipped = make_evaluation(1 - labels, probabilities)
    assert flipped.majority_class == "Happy"


def test_mistakes_are_sorted_by_confidence():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.01, 0.99]])
    result = make_evaluation([1, 1, 1, 0], probabilities)
    assert result.mistakes().tolist() == [3, 0, 1]
    assert result.accuracy.value == 0.25


def test_one_class_only_has_no_curves_but_all_other_numbers():
    result = make_evaluation([0, 0, 0], np.tile([0.7, 0.3], (3, 1)))
    assert result.curves is None
    assert result.accuracy.value == 1
    assert result.balanced_accuracy.value == 1
    assert math.isnan(result.per_class[1].recall.value)
    assert "accuracy" in str(result)


def test_collapse_is_noticed_and_said():
    _, probabilities = make_answers()
    assert describe_collapse(probabilities) is None
    collapsed = np.tile([0.3, 0.7], (50, 1))
    result = make_evaluation(np.arange(50) % 2, collapsed)
    assert "50 of 50 predictions are Happy" in result.collapse
    assert result.collapse in str(result)
    assert describe_collapse(np.empty((0, 2))) is None


@pytest.mark.parametrize(
    ("happy", "sad", "is_said"), [(30, 0, 0), (12, 3, 0), (1, 0, 0), (8, 8, 1)]
)
def test_a_collapse_is_said_only_where_the_other_class_is_there_to_show_it(happy, sad, is_said):
    result = make_evaluation([1] * happy + [0] * sad, np.tile([0.1, 0.9], (happy + sad, 1)))
    assert bool(result.collapse) == bool(is_said)


@pytest.mark.parametrize(
    ("right", "count", "expected"), [(1, 2, 0), (9, 15, 0), (95, 200, 0), (90, 100, 1)]
)
def test_what_is_above_chance_depends_on_the_number_of_photos(right, count, expected):
    labels = np.arange(count) % 2
    own = np.where(np.arange(count) < right, 0.9, 0.1)
    result = make_evaluation(
        labels, np.where(np.eye(2)[labels] > 0, own[:, None], 1 - own[:, None])
    )
    assert result.is_above_chance == bool(expected)
    assert not make_evaluation([1] * 30, np.tile([0.1, 0.9], (30, 1))).is_above_chance


def test_table_and_dictionary_hold_every_photo_and_number(tmp_path):
    labels, probabilities = make_answers(20)
    paths = [f"odd\n{i}\udce9.jpg" for i in range(20)]
    result = make_evaluation(labels, probabilities, paths=paths)
    with result.save_table(tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert sum(int(row["correct"]) for row in rows) == result.confusion.trace()
    assert float(rows[3]["probability_Happy"]) == probabilities[3, 1]
    numbers = json.loads(json.dumps(result.to_dict()))
    assert numbers["accuracy"]["count"] == 20
    assert numbers["confusion"] == result.confusion.tolist()


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.empty((0, 2)), "no photo"),
        ([0, 1], np.ones((3, 2)) / 2, r"\(2, 2\)"),
        ([0, 2], np.ones((2, 2)) / 2, "label below 2"),
        ([0, 1], np.array([[2.0, -1.0], [0.5, 0.5]]), "softmax"),
        ([0, 1], np.array([[0.2, 0.2], [0.5, 0.5]]), "softmax"),
    ],
)
def test_bad_arguments_are_named(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        make_evaluation(labels, probabilities)


def test_one_pass_keeps_labels_and_predictions_side_by_side():
    class Brightness:
        def predict_on_batch(self, x):
            share = np.asarray(x).mean(axis=(1, 2, 3)) / 255
            return np.stack([1 - share, share], axis=1)

    generator = np.random.default_rng(0)
    passes = []

    def reshuffling():
        passes.append(1)
        for _ in range(3):
            labels = generator.integers(0, 2, 5)
            yield np.broadcast_to(labels[:, None, None, None] * 255, (5, 2, 2, 3)), labels

    labels, probabilities = collect_predictions(Brightness(), reshuffling())
    assert len(passes) == 1
    assert labels.shape == (15,)
    assert labels.tolist() == probabilities.argmax(axis=1).tolist()


class FirstPixel:
    """Calls a photo Happy as surely as its first pixel is bright."""

    def predict_on_batch(self, x):
        happy = np.asarray(x)[:, 0] / 255
        return np.stack([1 - happy, happy], axis=1)


def test_a_model_is_evaluated_on_the_photos_of_the_data_set_in_their_order():
    photos = Photos.make(["a.jpg", "b.jpg", "c.jpg"], [0, 1, 1], parts=["test"] * 3)
    images = np.array([[0, 9], [255, 9], [51, 9]])
    batches = [(images[:2], photos.labels[:2]), (images[2:], photos.labels[2:])]
    result = evaluate_model(FirstPixel(), batches, photos)
    assert result.photos is photos
    assert result.probabilities[:, 1].tolist() == [0, 1, 0.2]
    for wrong in (batches[::-1], batches[:1]):
        with pytest.raises(ValueError, match="without shuffle"):
            evaluate_model(FirstPixel(), wrong, photos)


def test_some_of_the_photos_have_the_numbers_of_these_photos():
    labels, probabilities = make_answers(40)
    groups = np.arange(40) // 2
    whole = make_evaluation(labels, probabilities, groups=groups, part="validation")
    chosen = np.flatnonzero(np.arange(40) % 4 < 2)
    some = whole.take(chosen)
    alone = make_evaluation(labels[chosen], probabilities[chosen], groups=groups[chosen])
    assert some.photos.paths == tuple(str(row) for row in chosen)
    assert some.photos.only_part == "validation"
    assert some.accuracy == alone.accuracy
    assert some.estimates == alone.estimates
    assert whole.take(np.arange(40) % 4 < 2).accuracy == some.accuracy
    assert whole.take([3, 1]).labels.tolist() == [labels[3], labels[1]]
    with pytest.raises(ValueError, match="no photo"):
        whole.take([])


def test_kept_probabilities_are_checked_and_their_file_is_named():
    photos = Photos.make(["a.jpg", "b.jpg"], [0, 1])
    found = read_evaluation([[0.9, 0.1], [0.4, 0.6]], photos, name="kept.json")
    assert found.accuracy.value == 1
    for wrong in ([[0.9, 0.1]], [[0.9, 0.1], [1.0]], [[9.0, 1.0], [0.5, 0.5]], []):
        with pytest.raises(ValueError, match=r"kept\.json .* Move it away"):
            read_evaluation(wrong, photos, name="kept.json")


def test_an_evaluation_shows_itself_as_text_and_as_html():
    labels, probabilities = make_answers()
    result = make_evaluation(labels, probabilities)
    text, page = str(result), result._repr_html_()
    assert max(map(len, text.splitlines())) <= 80
    for shown in (result.accuracy.interval, result.estimates.roc_auc.interval, "recall"):
        assert shown in text
        assert shown in page
    assert page.count("<table ") == 2


def test_estimate_reads_as_a_sentence():
    assert str(Estimate(0.5, 0.25, 0.75, 12)) == "0.500 (95 % interval 0.250 to 0.750, n = 12)"


def test_fractions_of_a_few_photos_are_counts():
    one_happy = make_evaluation([0] * 40 + [1], np.eye(2)[[0] * 38 + [1, 1, 1]])
    numbers, classes = (each for each in one_happy.blocks() if isinstance(each, Table))
    assert numbers.rows[0][1] == pytest.approx(39 / 41)
    assert classes.rows[0][1:] == (1.0, 0.95, pytest.approx(76 / 78), 40)
    assert classes.rows[1][1:] == ("1 of 3", "1 of 1", None, 1)
    few, _ = (each for each in one_happy.take([0, 38, 40]).blocks() if isinstance(each, Table))
    assert [row[1] for row in few.rows if row[0] in ("accuracy", "always Sad")] == ["2 of 3"] * 2
