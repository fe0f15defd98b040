import dataclasses
import json

import numpy as np
import pytest

from emoclf.data.splitting import (
    PhotoRow,
    Photos,
    load_manifest,
    split_photos,
    save_manifest,
    splits,
)


def make_folder(sad=120, happy=60, copies=20):
    """Paths, labels and groups with `copies` pairs of duplicates in each class."""
    paths, labels, groups = [], [], []
    for label, count in enumerate((sad, happy)):
        for number in range(count):
            paths.append(f"{'sad' if label == 0 else 'happy'}/{number}.jpg")
            labels.append(label)
            groups.append(1000 * label + number // 2 if number < 2 * copies else -1)
    return paths, labels, groups


def test_shares_are_met_and_stratified():
    paths, labels, groups = make_folder()
    counts = split_photos(paths, labels, groups=groups).counts()
    assert counts["test"] == {"Sad": 18, "Happy": 9}
    assert counts["validation"] == {"Sad": 18, "Happy": 9}
    assert counts["train"] == {"Sad": 84, "Happy": 42}


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_together_and_every_photo_is_used_once(seed):
    paths, labels, groups = make_folder()
    photos = split_photos(paths, labels, groups=groups, seed=seed)
    assert [file.path for file in photos.files] == paths
    split_of = {file.path: file.split for file in photos.files}
    for label in ("sad", "happy"):
        for number in range(0, 40, 2):
            assert split_of[f"{label}/{number}.jpg"] == split_of[f"{label}/{number + 1}.jpg"]


def test_the_seed_decides_and_the_order_does_not():
    paths, labels, groups = make_folder()
    first = split_photos(paths, labels, groups=groups, seed=1)
    shuffled = np.random.default_rng(0).permutation(len(paths))
    again = split_photos(
        [paths[i] for i in shuffled],
        [labels[i] for i in shuffled],
        groups=[groups[i] for i in shuffled],
        seed=1,
    )
    other = split_photos(paths, labels, groups=groups, seed=2)
    as_dictionary = {file.path: file.split for file in first.files}
    assert as_dictionary == {file.path: file.split for file in again.files}
    assert as_dictionary != {file.path: file.split for file in other.files}


def test_one_giant_group_does_not_break_the_split():
    paths, labels, _ = make_folder(sad=50, happy=50)
    groups = [0 if number < 30 else -1 for number in range(100)]
    photos = split_photos(paths, labels, groups=groups)
    assert len({file.split for file in photos.files[:30]}) == 1
    assert all(count > 0 for counts in photos.counts().values() for count in counts.values())


def test_save_and_load_round_trip_keeps_odd_names(tmp_path):
    names = ["a\nb.jpg", "quote\"'.jpg", "\u202ertl.jpg", "caf\udce9.jpg", "-dash.jpg", "x.jpg"]
    photos = split_photos(names, [0, 0, 0, 1, 1, 1], root=tmp_path)
    path = save_manifest(photos, tmp_path / "split.json")
    assert Photos.load(path) == photos
    assert [entry.name for entry in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize("damage", ["group crosses", "path twice", "unknown split", "cut off"])
def test_a_damaged_manifest_is_refused(tmp_path, damage):
    paths, labels, groups = make_folder(10, 10, 3)
    path = save_manifest(split_photos(paths, labels, groups=groups), tmp_path / "split.json")
    value = json.loads(path.read_text())
    if damage == "group crosses":
        first, second = value["files"][0], value["files"][1]
        assert first["group"] == second["group"]
        second["split"] = "test" if first["split"] != "test" else "train"
    elif damage == "path twice":
        value["files"].append({**value["files"][0], "group": 999})
    elif damage == "unknown split":
        value["files"][0]["split"] = "dev"
    text = json.dumps(value)
    path.write_text(text[: len(text) // 2] if damage == "cut off" else text)
    with pytest.raises(ValueError, match="anew"):
        Photos.load(path)


def test_missing_manifest_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        Photos.load(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0] * 8}, "one label and one group per path"),
        ({"labels": [0, 0, 0, 0, 1, 1, 1, 2, 2]}, "label 2"),
        ({"labels": [0, 0, 0, 0, 0, 0, 0, 1, 1]}, "Class Happy has 2 different"),
        ({"groups": [0] * 9}, "Class Sad has 1 different"),
        ({"test_fraction": 0.0}, "test_fraction=0.0"),
        ({"test_fraction": 0.6, "validation_fraction": 0.5}, "leave photos for training"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given = {"paths": list("abcdefghi"), "labels": [0, 0, 0, 0, 0, 1, 1, 1, 1], **arguments}
    with pytest.raises(ValueError, match=message):
        split_photos(given.pop("paths"), given.pop("labels"), **given)


def test_small_splits_are_said():
    photos = split_photos(*make_folder(20, 10, 0)[:2])
    notes = splits.find_limits(photos)
    assert len(notes) == 3
    assert "test holds only 5 photos" in notes[2]
    assert "up to 44 points" in notes[2]
    assert notes[2] in photos.describe()
    assert not splits.find_limits(split_photos(*make_folder(900, 600, 0)[:2]))


def test_a_split_without_one_class_is_said():
    files = tuple(PhotoRow(f"{i}.jpg", 0, i, "test") for i in range(3))
    assert "test holds no photo of Happy" in "".join(
        splits.find_limits(Photos(".", ("Sad", "Happy"), 0, files))
    )


def test_select_and_labels_agree():
    photos = split_photos(*make_folder()[:2])
    labels = photos.labels("test")
    assert labels.dtype == np.int64
    assert labels.tolist() == [file.label for file in photos.select("test")]
    with pytest.raises(ValueError, match="'dev'"):
        photos.select("dev")


def test_groups_are_counted_once():
    paths, labels, groups = make_folder()
    counts = splits.count_groups(split_photos(paths, labels, groups=groups))
    assert sum(counts.values()) == len(paths) - 40
    photos = split_photos(paths, labels, groups=groups)
    row = photos.describe().splitlines()[1].split()
    assert row == ["train", "84", "42", "126", str(counts["train"])]


def test_verify_accepts_what_make_splits_gives():
    photos = split_photos(*make_folder()[:2])
    splits.verify(photos)
    moved = dataclasses.replace(photos.files[0], label=5)
    broken = dataclasses.replace(photos, files=(moved, *photos.files[1:]))
    with pytest.raises(ValueError, match="label 5"):
        splits.verify(broken)
