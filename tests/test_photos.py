"""Photos: columns put together, rows taken, what is refused, saved and shown."""

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from emoclf.photos import PhotoRow, Photos, number_groups


def make_photos(**options):
    """Six photos: two duplicates in training, two of each class to validate and test."""
    return Photos.make(
        [f"{name}.jpg" for name in "abcdef"],
        [0, 0, 0, 1, 0, 1],
        groups=[7, 7, -1, -1, -1, -1],
        parts=["train", "train", "validation", "validation", "test", "test"],
        **options,
    )


def test_columns_become_rows(tmp_path):
    photos = make_photos(root=tmp_path, seed=3)
    assert photos.rows[1] == PhotoRow("b.jpg", 0, 7, "train")
    assert len(photos) == 6
    assert photos.paths == ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")
    assert photos.files[5] == tmp_path / "f.jpg"
    assert photos.labels.dtype == photos.groups.dtype == np.int64
    assert photos.labels.tolist() == [0, 0, 0, 1, 0, 1]
    assert photos.groups.tolist() == [7, 7, 8, 9, 10, 11]
    assert (photos.root, photos.class_names, photos.seed) == (str(tmp_path), ("Sad", "Happy"), 3)


def test_without_groups_and_parts_every_photo_is_alone_and_in_none():
    photos = Photos.make([Path("sad") / "a.jpg", "b.jpg"], np.array([0, 1]))
    assert photos.rows == (PhotoRow("sad/a.jpg", 0, 0), PhotoRow("b.jpg", 1, 1))
    assert photos.only_part is None
    assert not len(photos.part("test"))
    assert len(Photos.make([], [])) == 0


def test_groups_of_photos_that_are_alone_are_numbered_behind_the_others():
    assert number_groups([4, -1, 4, -1]).tolist() == [4, 5, 4, 6]
    assert number_groups([-1, -1]).tolist() == [0, 1]
    assert number_groups([]).dtype == np.int64


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ([4, 0], "ea"),
        (np.array([5]), "f"),
        ([True, False, False, False, False, True], "af"),
        (np.array([0, 1, 0, 0, 0, 1]) == 1, "bf"),
        ([], ""),
        (np.array([], dtype=int), ""),
        ([-1], "f"),
    ],
)
def test_rows_are_taken_by_position_or_by_bool(chosen, names):
    photos = make_photos(root="there", class_names=("No", "Yes"), seed=9)
    taken = photos.take(chosen)
    assert taken.paths == tuple(f"{name}.jpg" for name in names)
    assert len(taken.labels) == len(taken.groups) == len(names)
    assert (taken.root, taken.class_names, taken.seed) == ("there", ("No", "Yes"), 9)


def test_duplicates_stay_duplicates_wherever_rows_go():
    photos = make_photos().take([1, 4, 0])
    assert photos.groups.tolist() == [7, 10, 7]


@pytest.mark.parametrize("chosen", [[6], [True, False]])
def test_rows_that_are_not_there_are_no_rows(chosen):
    with pytest.raises(IndexError):
        make_photos().take(chosen)


def test_a_part_is_its_rows_in_order():
    photos = make_photos().take([5, 0, 4, 1])
    assert photos.part("test").paths == ("f.jpg", "e.jpg")
    assert photos.find_part("test").tolist() == [0, 2]
    assert photos.find_part("validation").dtype == np.int64
    assert photos.part("test").labels.tolist() == [1, 0]
    assert photos.part("test").only_part == "test"
    assert photos.only_part is None
    for ask in (photos.part, photos.find_part):
        with pytest.raises(ValueError, match="'dev' should be one of train, validation, test"):
            ask("dev")


def test_the_same_photos_in_other_parts():
    photos = make_photos(seed=3)
    parts = ["test", "test", "train", "", "validation", "train"]
    other = photos.with_parts(parts)
    assert [row.part for row in other.rows] == parts
    assert (other.paths, other.seed) == (photos.paths, 3)
    assert photos.with_parts(parts, seed=4).seed == 4
    with pytest.raises(ValueError, match=r"'b\.jpg' is in test, but a duplicate of it \(group 7"):
        photos.with_parts(["train", *parts[1:]])
    with pytest.raises(ValueError, match="shorter"):
        photos.with_parts(parts[:3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0]}, "2 paths, 1 labels, 2 groups and 2 parts"),
        ({"groups": [0, 1, 2]}, "2 paths, 2 labels, 3 groups and 2 parts"),
        ({"parts": []}, "2 paths, 2 labels, 2 groups and 0 parts"),
        ({"labels": [0, 2]}, r"'b\.jpg' has part 'test' and label 2: expected .* below 2"),
        ({"labels": [0, -1]}, "label -1"),
        ({"parts": ["train", "dev"]}, "part 'dev'"),
        ({"paths": ["a.jpg", "a.jpg"]}, r"'a\.jpg' stands twice in the split, in train and test"),
        ({"groups": [5, 5]}, r"'b\.jpg' is in test, but a duplicate of it \(group 5\) is in train"),
        ({"class_names": ("Sad",)}, r"'b\.jpg' .* below 1"),
        ({"class_names": ("Sad", "Sad")}, "two classes have one name"),
        ({"paths": ["", "b.jpg"]}, "a path is empty"),
        ({"paths": ["a\0.jpg", "b.jpg"]}, "a path holds a null character"),
        ({"root": "a\0"}, "a path holds a null character"),
        ({"seed": -1}, "the seed is below 0"),
        ({"labels": [0, 0.5]}, "whole 64-bit numbers, not 0.5"),
        ({"groups": [0, 2**63]}, "whole 64-bit numbers, not 9223372036854775808"),
    ],
)
def test_what_cannot_be_is_refused_with_the_photo(changes, message):
    given = {"paths": ["a.jpg", "b.jpg"], "labels": [0, 1], "groups": [0, 1]}
    given |= {"parts": ["train", "test"], **changes}
    with pytest.raises(ValueError, match=message):
        Photos.make(given.pop("paths"), given.pop("labels"), **given)


def test_a_row_changed_behind_its_back_is_found():
    photos = make_photos()
    photos.verify()
    broken = replace(photos, rows=(replace(photos.rows[0], label=5), *photos.rows[1:]))
    with pytest.raises(ValueError, match="label 5"):
        broken.verify()


def test_save_and_load_round_trip_keeps_odd_names(tmp_path):
    names = ["a\nb.jpg", "quote\"'.jpg", "\u202ertl.jpg", "caf\udce9.jpg", "-dash.jpg", "x.jpg"]
    photos = Photos.make(
        names, [0, 0, 0, 1, 1, 1], groups=[1, 1, -1, -1, -1, -1], parts=["train"] * 6, root=tmp_path
    )
    path = photos.save(tmp_path / "split.json")
    assert Photos.load(path) == photos
    assert [entry.name for entry in tmp_path.iterdir()] == ["split.json"]


def test_photos_in_no_part_are_saved_and_loaded(tmp_path):
    photos = Photos.make(["a.jpg", "b.jpg"], [0, 1], root=tmp_path)
    assert Photos.load(photos.save(tmp_path / "photos.json")) == photos


def damage(value, kind):
    rows = value["rows"]
    if kind == "group crosses":
        rows[1]["part"] = "test"
    elif kind == "path twice":
        rows.append({**rows[0], "group": 999})
    elif kind == "unknown part":
        rows[0]["part"] = "dev"
    elif kind == "no rows":
        rows.clear()
    elif kind == "empty path":
        rows[0]["path"] = ""
    elif kind == "null character":
        value["root"] = "a\0b"
    elif kind == "seed below 0":
        value["seed"] = -1
    elif kind == "group too large":
        rows[0]["group"] = rows[1]["group"] = 2**63
    elif kind == "one class name":
        value["class_names"] = ["Sad", "Sad"]


@pytest.mark.parametrize(
    "kind",
    [
        "group crosses",
        "path twice",
        "unknown part",
        "cut off",
        "no rows",
        "empty path",
        "null character",
        "seed below 0",
        "group too large",
        "one class name",
    ],
)
def test_damaged_photos_are_refused_with_the_file_and_the_next_step(tmp_path, kind):
    path = make_photos().save(tmp_path / "split.json")
    value = json.loads(path.read_text())
    damage(value, kind)
    text = json.dumps(value)
    path.write_text(text[: len(text) // 2] if kind == "cut off" else text)
    with pytest.raises(ValueError, match=r"split\.json.*anew"):
        Photos.load(path)


@pytest.mark.parametrize("name", ["root", "class_names", "rows", "seed"])
def test_a_missing_or_unknown_key_is_named(tmp_path, name):
    path = make_photos().save(tmp_path / "split.json")
    value = json.loads(path.read_text())
    path.write_text(json.dumps({key: each for key, each in value.items() if key != name}))
    with pytest.raises(ValueError, match=name):
        Photos.load(path)
    path.write_text(json.dumps({**value, "extra": 1}))
    with pytest.raises(ValueError, match="extra"):
        Photos.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        Photos.load(tmp_path / "nowhere.json")


def make_many(sad, happy, part):
    labels = [0] * sad + [1] * happy
    names = [f"{part}-{number}.jpg" for number in range(len(labels))]
    return names, labels, [part] * len(labels)


def join(*columns):
    paths, labels, parts = (list(chain(*each)) for each in zip(*columns, strict=True))
    return Photos.make(paths, labels, parts=parts)


def test_small_parts_are_said():
    photos = join(make_many(14, 7, "train"), make_many(3, 1, "validation"), make_many(3, 2, "test"))
    notes = photos.find_limits()
    assert len(notes) == 3
    assert "test holds only 5 photos" in notes[2]
    assert "up to 44 points" in notes[2]
    assert notes[2] in str(photos)
    assert notes[2] in photos._repr_html_()
    large = [make_many(60, 40, part) for part in ("train", "validation", "test")]
    assert not join(*large).find_limits()
    assert len(str(join(*large)).splitlines()) == 4


def test_a_part_without_one_class_is_said():
    notes = join(make_many(60, 60, "train"), make_many(3, 0, "test")).find_limits()
    assert "test holds no photo of Happy: add photos." in notes


def test_parts_are_counted_by_class():
    assert make_photos().count() == {
        "train": {"Sad": 2, "Happy": 0},
        "validation": {"Sad": 1, "Happy": 1},
        "test": {"Sad": 1, "Happy": 1},
    }


def test_photos_show_themselves_with_duplicates_counted_once():
    lines = [line.split() for line in str(make_photos()).splitlines()]
    assert lines[:4] == [
        ["part", "Sad", "Happy", "photos", "different"],
        ["train", "2", "0", "2", "1"],
        ["validation", "1", "1", "2", "2"],
        ["test", "1", "1", "2", "2"],
    ]
    html = make_photos()._repr_html_()
    assert "<table" in html
    assert "train holds no photo of Happy" in html


def test_photos_in_no_part_are_one_row_without_notes():
    photos = Photos.make(["a.jpg", "b.jpg", "c.jpg"], [0, 1, 1], groups=[-1, 2, 2])
    assert [line.split() for line in str(photos).splitlines()] == [
        ["part", "Sad", "Happy", "photos", "different"],
        ["no", "part", "1", "2", "3", "2"],
    ]
    mixed = replace(photos, rows=(replace(photos.rows[0], part="test"), *photos.rows[1:]))
    text = str(mixed).splitlines()
    assert [line.split()[0] for line in text[1:5]] == ["train", "validation", "test", "no"]
    assert text[4].split()[2:] == ["0", "2", "2", "1"]
