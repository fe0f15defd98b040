"""Slices: what adds up, what is a difference, and what is only the worst of many."""

import json

import numpy as np
import pytest
from scipy.stats import fisher_exact

from emoclf.display import Table
from emoclf.evaluation import slice_evaluation, slices
from emoclf.evaluation.slices import SMALL_SLICE, correct_for_many
from tests.evaluations import make_evaluation


def answer(is_right, labels=None):
    """An evaluation that is right where it is told to be."""
    is_right = np.asarray(is_right, dtype=bool)
    labels = np.arange(len(is_right)) % 2 if labels is None else np.asarray(labels)
    answers = np.where(is_right, labels, 1 - labels)
    return make_evaluation(labels, np.eye(2)[answers])


def test_slices_of_a_measure_add_up():
    random = np.random.default_rng(0)
    is_right, values = random.random(200) < 0.7, random.normal(size=200)
    words = random.choice(["no face", "face"], 200)
    report = slice_evaluation(answer(is_right), {"light": values, "face": words})
    for measure in ("light", "face"):
        own = [each.accuracy for each in report.slices if each.measure == measure]
        assert sum(each.count for each in own) == 200
        assert sum(round(each.value * each.count) for each in own) == is_right.sum()
    assert [each.accuracy.count for each in report.slices][:3] == [67, 66, 67]
    assert report.overall.count == 200


def test_stated_cuts_decide_and_a_value_belongs_to_the_slice_it_begins():
    report = slice_evaluation(
        answer([1, 1, 0, 1, 0]), {"people": [0, 1, 1, 2, 7]}, cuts={"people": (1, 2)}
    )
    assert [(each.name, each.accuracy.count) for each in report.slices] == [
        ("below 1", 1),
        ("1 to 2", 2),
        ("2 or more", 2),
    ]


def test_what_was_not_measured_is_in_no_slice():
    report = slice_evaluation(
        answer([1, 1, 0, 1]), {"size": [1.0, np.nan, 5.0, np.inf], "kind": ["a", "", "b", "a"]}
    )
    counts = dict.fromkeys(("size", "kind"), 0)
    for each in report.slices:
        counts[each.measure] += each.accuracy.count
    assert counts == {"size": 2, "kind": 3}


def test_equal_values_make_one_slice_and_no_test():
    report = slice_evaluation(answer([1, 0] * 20), {"light": np.full(40, 7.0)})
    assert len(report.slices) == 1
    assert report.tests == ()
    assert "none can be compared" in str(report)


def test_small_slices_are_marked_and_are_not_the_worst():
    values = np.array(["few"] * (SMALL_SLICE - 1) + ["many"] * 60)
    is_right = np.array([False] * (SMALL_SLICE - 1) + [True] * 50 + [False] * 10)
    report = slice_evaluation(answer(is_right), {"kind": values})
    assert {each.name: each.is_small for each in report.slices} == {"few": True, "many": False}
    assert report.worst.name == "many"
    assert "few photos" in str(report)


def test_ten_photos_conclude_nothing():
    report = slice_evaluation(answer([1, 0] * 5), {"light": np.arange(10.0)})
    assert report.worst is None
    assert report.expected_worst is None
    assert "nothing can be concluded" in str(report)


def test_a_measure_that_decides_is_found_and_one_that_does_not_is_not():
    random = np.random.default_rng(1)
    light, noise = random.random(300), random.random(300)
    is_right = random.random(300) < np.where(light < 1 / 3, 0.4, 0.9)
    report = slice_evaluation(answer(is_right), {"light": light, "noise": noise})
    differs = {test.measure: test.differs for test in report.tests}
    assert differs == {"light": True, "noise": False}
    assert report.worst.measure == "light"
    assert report.worst_p_value < 0.01
    assert "differs with light" in str(report)


def test_two_slices_are_tested_as_fisher_would():
    is_right = np.array([1] * 18 + [0] * 12 + [1] * 24 + [0] * 6, dtype=bool)
    groups = np.array(["a"] * 30 + ["b"] * 30)
    report = slice_evaluation(answer(is_right), {"group": groups})
    expected = fisher_exact([[18, 12], [24, 6]]).pvalue
    assert report.tests[0].p_value == pytest.approx(expected, abs=0.02)


def test_among_many_slices_of_nothing_the_worst_is_said_to_be_chance(monkeypatch):
    """Of 60 data sets in which nothing matters, at most about one in twenty is called a find."""
    monkeypatch.setattr(slices, "RANDOM_ORDERS", 499)
    random = np.random.default_rng(2)
    finds = 0
    for seed in range(60):
        measures = {f"measure {number}": random.random(120) for number in range(6)}
        is_right = random.random(120) < 0.75
        report = slice_evaluation(answer(is_right), measures, seed=seed)
        assert report.worst.accuracy.value < report.overall.value
        finds += report.worst_p_value < 0.05
    assert finds <= 8  # 3 expected; more than 8 in one of 200 tries


def test_duplicates_are_no_further_photos():
    """Five photos in twelve copies each: what looks like 60 answers is five."""
    right = np.repeat([True, True, True, False, False], 12)
    light = np.repeat([5.0, 4.0, 3.0, 1.0, 2.0], 12)
    labels, groups = np.zeros(60, dtype=int), np.repeat(np.arange(5), 12)
    rows = np.eye(2)[np.where(right, 0, 1)]
    found = {
        name: slice_evaluation(
            make_evaluation(labels, rows, groups=given), {"light": light}, cuts={"light": [3]}
        )
        for name, given in (("photos", None), ("groups", groups))
    }
    p_value = {name: report.tests[0].p_value for name, report in found.items()}
    assert p_value["photos"] < 0.001
    assert p_value["groups"] == pytest.approx(1 / 10, abs=0.02)  # one of the ten ways to choose two
    width = {
        name: report.slices[1].accuracy.high - report.slices[1].accuracy.low
        for name, report in found.items()
    }
    assert width["groups"] > 2 * width["photos"]


def test_holm_corrects_by_hand():
    corrected = correct_for_many({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


def test_always_right_and_always_wrong_have_no_worst_by_chance():
    for value in (True, False):
        report = slice_evaluation(answer([value] * 60), {"light": np.arange(60.0)})
        assert report.expected_worst is None
        assert report.tests[0].p_value == 1


def test_json_holds_the_report():
    report = slice_evaluation(answer([1, 0] * 30), {"light": np.arange(60.0)})
    numbers = json.loads(json.dumps(report.to_dict()))
    assert len(numbers["slices"]) == 3
    assert numbers["text"] == report.conclusion


@pytest.mark.parametrize(
    ("measures", "cuts", "message"),
    [
        ({}, None, "at least one"),
        ({"light": [1.0]}, None, "expected 2 values"),
        ({"light": [1.0, 2.0]}, {"light": (3, 1)}, "rising"),
    ],
)
def test_bad_arguments_are_named(measures, cuts, message):
    with pytest.raises(ValueError, match=message):
        slice_evaluation(answer([1, 0]), measures, cuts=cuts)


def test_a_slice_of_a_few_photos_gives_counts_and_no_fraction():
    values = np.array(["one"] + ["nine"] * 9 + ["ten"] * 10 + ["many"] * 40)
    report = slice_evaluation(answer([True] * 5 + [False] * 5 + [True] * 50), {"kind": values})
    table = next(block for block in report.blocks() if isinstance(block, Table))
    cells = {row[0].partition(": ")[2]: row[1] for row in table.rows}
    assert cells == {"one": "1 of 1", "nine": "4 of 9", "ten": 1.0, "many": 1.0}
    always = {row[0].partition(": ")[2]: row[4] for row in table.rows}
    assert always["one"] is None
    assert always["many"] is not None
