"""Confident learning against the paper's worked example and against labels that were turned."""

import numpy as np
import pytest

from emoclf.experiments.label_errors.finding import (
    compute_confident_joint,
    estimate_joint,
    find_confident_thresholds,
    find_label_errors,
)


def two(happy):
    happy = np.array(happy, dtype=np.float64)
    return np.stack([1 - happy, happy], axis=1)


def test_the_joint_of_the_papers_first_figure():
    """Figure 1 of Northcutt, Jiang and Chuang (2021): dogs, foxes and cows."""
    counted = np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]])
    joint = estimate_joint(counted, counted.sum(axis=1))
    expected = [[0.25, 0.1, 0.05], [0.14, 0.15, 0], [0.08, 0.03, 0.2]]
    np.testing.assert_allclose(joint, expected)


def test_the_joint_keeps_the_share_of_each_given_label():
    joint = estimate_joint(np.array([[8, 2], [0, 5]]), np.array([30, 70]))
    np.testing.assert_allclose(joint, [[0.24, 0.06], [0, 0.7]])
    without_evidence = estimate_joint(np.array([[0, 0], [1, 3]]), np.array([10, 10]))
    np.testing.assert_allclose(without_evidence, [[0.5, 0], [0.125, 0.375]])


def test_thresholds_are_the_mean_self_confidence_of_each_class():
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = two([0.1, 0.2, 0.9, 0.8, 0.6])
    np.testing.assert_allclose(find_confident_thresholds(labels, probabilities), [0.6, 0.7])
    # The third Sad photo reaches Happy's threshold; the last Happy one reaches neither.
    joint = compute_confident_joint(labels, probabilities)
    assert joint.tolist() == [[2, 1], [0, 1]]
    # 3 Sad photos, a third of the sure ones looks Happy: one label, the least sure of itself.
    assert find_label_errors(labels, probabilities).tolist() == [False, False, True, False, False]


def test_a_photo_above_two_thresholds_counts_for_the_more_probable_class():
    labels = np.array([0, 1, 0, 1])
    probabilities = two([0.45, 0.48, 0.6, 0.4])
    thresholds = np.array([0.4, 0.4])
    joint = compute_confident_joint(labels, probabilities, thresholds=thresholds)
    assert joint.tolist() == [[1, 1], [2, 0]]


def test_three_classes_where_the_two_ways_of_pruning_differ():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 3000)
    labels = truth.copy()
    turned = random.random(3000) < 0.1
    labels[turned] = (truth[turned] + random.integers(1, 3, turned.sum())) % 3
    logits = random.normal(size=(3000, 3)) + 4 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = {
        way: find_label_errors(labels, probabilities, filter_by=way)
        for way in ("prune_by_class", "prune_by_noise_rate", "both")
    }
    assert np.array_equal(found["both"], found["prune_by_class"] & found["prune_by_noise_rate"])
    assert (found["prune_by_class"] != found["prune_by_noise_rate"]).any()
    for chosen in found.values():
        assert (chosen & turned).sum() / turned.sum() > 0.85
        assert (chosen & turned).sum() / chosen.sum() > 0.85


def turn(truth, random):
    """Turn 2 % of the Sad labels and 10 % of the Happy ones."""
    turned = random.random(len(truth)) < np.where(truth == 0, 0.02, 0.1)
    return np.where(turned, 1 - truth, truth), turned


def test_with_ideal_probabilities_every_wrong_label_is_found_and_no_other():
    """Theorem 1 of the paper: for p(given | photo) = p(given | true class), it is exact."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 4000)
    labels, turned = turn(truth, random)
    happy = two(np.where(truth, 0.9, 0.02))
    joint = estimate_joint(compute_confident_joint(labels, happy), np.bincount(labels))
    for given in range(2):
        for true in range(2):
            share = ((labels == given) & (truth == true)).mean()
            assert joint[given, true] == pytest.approx(share, abs=1e-12)
    assert np.array_equal(find_label_errors(labels, happy), turned)


def test_with_noisy_probabilities_most_wrong_labels_are_found():
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 4000)
    labels, turned = turn(truth, random)
    probabilities = two(1 / (1 + np.exp(-random.normal(np.where(truth, 4, -4), 1.5))))
    chosen = find_label_errors(labels, probabilities)
    assert (chosen & turned).sum() / turned.sum() > 0.85
    assert (chosen & turned).sum() / chosen.sum() > 0.95


def test_with_two_classes_all_ways_agree_and_clean_labels_stay():
    labels = np.array([0, 0, 1, 1])
    clean = two([0.1, 0.2, 0.9, 0.8])
    wrong = two([0.1, 0.9, 0.9, 0.8])
    for way in ("prune_by_class", "prune_by_noise_rate", "both"):
        assert not find_label_errors(labels, clean, filter_by=way).any()
        assert (
            find_label_errors(labels, wrong, filter_by=way).tolist() == [False, True] + [False] * 2
        )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="each of 2 classes"):
        find_confident_thresholds(np.array([0, 0]), two([0.1, 0.2]))
    with pytest.raises(ValueError, match="Received"):
        find_confident_thresholds(np.array([0]), two([0.1, 0.2]))
    with pytest.raises(ValueError, match="filter_by='all'"):
        find_label_errors(np.array([0, 1]), two([0.1, 0.9]), filter_by="all")
