"""Folds: duplicates together, classes in their fractions, every photo tested once a repeat."""

import numpy as np
import pytest

from emoclf.data.folds import make_folds
from emoclf.photos import Photos


def make_photos(labels, groups=None, seed=3):
    paths = [f"{number}.jpg" for number in range(len(labels))]
    return Photos.make(paths, labels, groups=groups, parts=["train"] * len(labels), seed=seed)


def test_each_photo_is_tested_once_in_each_repeat_and_classes_keep_their_share():
    photos = make_photos([0] * 60 + [1] * 40)
    folds = make_folds(photos, fold_count=5, repeats=3)
    assert folds.numbers.shape == (3, 100)
    for repeat in range(3):
        for fold in range(5):
            tested = folds.find_tested(repeat, fold)
            assert photos.take(tested).labels.tolist().count(0) == 12
            assert len(tested) == 20
    assert (folds.numbers[0] != folds.numbers[1]).mean() > 0.5


def test_duplicates_stay_together():
    labels = [0, 1] * 30
    groups = [number // 3 for number in range(60)]
    folds = make_folds(make_photos(labels, groups), fold_count=4, repeats=2)
    for row in folds.numbers:
        for group in range(20):
            assert len(set(row[group * 3 : group * 3 + 3])) == 1
    for fold in range(4):
        split = folds.make_split(1, fold, validation_fraction=0.25)
        assert len({(row.group, row.part) for row in split.rows}) == 20


def test_the_split_of_a_fold_learns_from_all_others_and_keeps_the_order():
    photos = make_photos([0] * 10 + [1] * 10)
    folds = make_folds(photos, fold_count=5)
    split = folds.make_split(0, 2, validation_fraction=0.25)
    assert split.paths == photos.paths
    assert split.count() == {
        "train": {"Sad": 6, "Happy": 6},
        "validation": {"Sad": 2, "Happy": 2},
        "test": {"Sad": 2, "Happy": 2},
    }
    assert split.find_part("test").tolist() == folds.find_tested(0, 2).tolist()
    assert split.seed == photos.seed


def test_the_draw_depends_on_the_seed_alone():
    photos = make_photos([0, 1] * 20)
    first, again = (make_folds(photos, repeats=2) for _ in range(2))
    other = make_folds(make_photos([0, 1] * 20, seed=4), repeats=2)
    assert np.array_equal(first.numbers, again.numbers)
    assert not np.array_equal(first.numbers, other.numbers)


def test_ten_photos_of_each_class_are_enough():
    folds = make_folds(make_photos([0] * 10 + [1] * 10), fold_count=5, repeats=10)
    for repeat in range(10):
        for fold in range(5):
            counts = folds.make_split(repeat, fold, validation_fraction=0.15).count()
            assert all(count >= 1 for part in counts.values() for count in part.values())


@pytest.mark.parametrize(
    ("labels", "fold_count", "hint"),
    [
        ([0] * 20 + [1] * 3, 5, "class Happy has 3 .*Make 3 folds"),
        ([0] * 2 + [1] * 20, 2, "class Sad has 2 .*Add photos of Sad"),
        ([0] * 20, 5, "class Happy has 0"),
    ],
)
def test_too_few_photos_are_refused_with_the_next_step(labels, fold_count, hint):
    with pytest.raises(ValueError, match=hint):
        make_folds(make_photos(labels), fold_count=fold_count)


def test_numbers_out_of_range_are_refused():
    photos = make_photos([0, 1] * 5)
    for options in ({"fold_count": 1}, {"repeats": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            make_folds(photos, **options)
