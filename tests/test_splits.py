"""The draw: fractions met, duplicates together, the seed alone decides."""

import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.splitting import split_photos
from emoclf.photos import Photos


def make_folder(sad=120, happy=60, copies=20, **options):
    """Photos with `copies` pairs of duplicates in each class."""
    paths, labels, groups = [], [], []
    for label, count in enumerate((sad, happy)):
        for number in range(count):
            paths.append(f"{'sad' if label == 0 else 'happy'}/{number}.jpg")
            labels.append(label)
            groups.append(1000 * label + number // 2 if number < 2 * copies else -1)
    return Photos.make(paths, labels, groups=groups, **options)


def find_part_of(photos):
    return {row.path: row.part for row in photos.rows}


def test_fractions_are_met_and_stratified():
    counts = split_photos(make_folder()).count()
    assert counts["test"] == {"Sad": 18, "Happy": 9}
    assert counts["validation"] == {"Sad": 18, "Happy": 9}
    assert counts["train"] == {"Sad": 84, "Happy": 42}


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_together_and_every_photo_is_used_once(seed):
    before = make_folder()
    photos = split_photos(before, Settings(seed=seed))
    assert photos.paths == before.paths
    part_of = find_part_of(photos)
    for label in ("sad", "happy"):
        for number in range(0, 40, 2):
            assert part_of[f"{label}/{number}.jpg"] == part_of[f"{label}/{number + 1}.jpg"]


def test_the_seed_decides_and_the_order_does_not():
    photos = make_folder()
    first = split_photos(photos, Settings(seed=1))
    shuffled = photos.take(np.random.default_rng(0).permutation(len(photos)))
    again = split_photos(shuffled, Settings(seed=1))
    other = split_photos(photos, Settings(seed=2))
    assert find_part_of(first) == find_part_of(again)
    assert find_part_of(first) != find_part_of(other)
    assert (first.seed, other.seed) == (1, 2)


def test_the_parts_and_the_numbers_of_the_groups_from_before_do_not_matter():
    photos = make_folder()
    once = split_photos(photos, Settings(seed=1))
    assert split_photos(split_photos(photos, Settings(seed=2)), Settings(seed=1)) == once
    renamed = Photos.make(photos.paths, photos.labels, groups=5000 - photos.groups)
    assert split_photos(renamed, Settings(seed=1)) == once


def test_folder_and_classes_are_kept(tmp_path):
    photos = make_folder(root=tmp_path, class_names=("No", "Yes"))
    split = split_photos(photos)
    assert (split.root, split.class_names) == (str(tmp_path), ("No", "Yes"))
    assert split.labels.tolist() == photos.labels.tolist()


def test_one_giant_group_does_not_break_the_split():
    alone = make_folder(sad=50, happy=50, copies=0)
    groups = [0 if number < 30 else -1 for number in range(100)]
    photos = split_photos(Photos.make(alone.paths, alone.labels, groups=groups))
    assert len({row.part for row in photos.rows[:30]}) == 1
    assert all(count > 0 for counts in photos.count().values() for count in counts.values())


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 1, 1], None, "Class Happy has 2 different"),
        ([0, 0, 0, 0, 0, 1, 1, 1, 1], [0] * 9, "Class Sad has 1 different"),
    ],
)
def test_too_few_different_photos_are_named(labels, groups, message):
    with pytest.raises(ValueError, match=message):
        split_photos(Photos.make("abcdefghi", labels, groups=groups))


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"test_fraction": 0.0}, "test_fraction=0.0"),
        ({"test_fraction": 0.6, "validation_fraction": 0.5}, "leave photos for training"),
    ],
)
def test_bad_fractions_are_named(fractions, message):
    with pytest.raises(ValueError, match=message):
        split_photos(make_folder(), Settings(**fractions))


def test_duplicates_count_once_as_different_photos():
    photos = split_photos(make_folder())
    rows = [line.split() for line in str(photos).splitlines()[:4]]
    assert rows[0] == ["part", "Sad", "Happy", "photos", "different"]
    assert rows[1][:4] == ["train", "84", "42", "126"]
    assert sum(int(row[4]) for row in rows[1:]) == len(photos) - 40
