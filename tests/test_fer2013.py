import csv

import numpy as np
import pytest
from PIL import Image

from emoclf.data.sources.fer2013 import (
    CSV_LABELS,
    EMOTIONS,
    VOTE_COLUMNS,
    join_face_sets,
    load_fer2013,
)


def make_arrays(count=6, seed=0):
    random = np.random.default_rng(seed)
    return {
        "pixels": random.integers(0, 256, (count, 48, 48), np.uint8),
        "label": np.array(["happy", "sad", "angry", "neutral", "fear", "surprise"])[
            np.arange(count) % 6
        ],
        "usage": np.array(["Training", "PublicTest"])[np.arange(count) % 2],
        "votes": random.multinomial(10, np.ones(10) / 10, count).astype(np.uint8),
        "name": np.array([f"fer{seed}{number:06d}.png" for number in range(count)]),
    }


def write_csv(path, arrays):
    numbers = {"happy": 3, "sad": 4, "angry": 0, "neutral": 6, "fear": 2, "surprise": 5}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for pixels, label, usage in zip(
            arrays["pixels"], arrays["label"], arrays["usage"], strict=True
        ):
            text = " ".join(str(value) for value in pixels.ravel())
            writer.writerow([numbers[str(label)], text, usage])


def write_votes(path, arrays):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Usage", "Image name", *VOTE_COLUMNS])
        for usage, votes in zip(arrays["usage"], arrays["votes"], strict=True):
            writer.writerow([usage, "", *votes])


def test_arrays_load_with_labels_by_name(tmp_path):
    arrays = make_arrays()
    np.savez(tmp_path / "part.npz", **arrays)
    faces = load_fer2013(tmp_path / "part.npz")
    assert [EMOTIONS[label] for label in faces.labels[:3]] == ["happiness", "sadness", "anger"]
    np.testing.assert_array_equal(faces.pixels, arrays["pixels"])
    np.testing.assert_array_equal(faces.votes, arrays["votes"])


def test_a_folder_of_arrays_is_joined(tmp_path):
    for seed in (1, 2):
        np.savez(tmp_path / f"part_{seed}.npz", **make_arrays(seed=seed))
    faces = load_fer2013(tmp_path)
    assert len(faces) == 12
    assert len(set(faces.names.tolist())) == 12


def test_csv_and_arrays_say_the_same(tmp_path):
    arrays = make_arrays()
    np.savez(tmp_path / "part.npz", **arrays)
    write_csv(tmp_path / "fer2013.csv", arrays)
    write_votes(tmp_path / "fer2013new.csv", arrays)
    expected = load_fer2013(tmp_path / "part.npz")
    faces = load_fer2013(tmp_path / "fer2013.csv", votes=tmp_path / "fer2013new.csv")
    np.testing.assert_array_equal(faces.pixels, expected.pixels)
    np.testing.assert_array_equal(faces.labels, expected.labels)
    np.testing.assert_array_equal(faces.votes, expected.votes)
    np.testing.assert_array_equal(faces.usages, expected.usages)


@pytest.mark.parametrize(
    "order", ["emotion,pixels,usage", "pixels,usage,emotion", "pixels,emotion"]
)
def test_a_table_without_a_line_of_names_loses_no_face(tmp_path, order):
    write_csv(tmp_path / "named.csv", make_arrays())
    expected = load_fer2013(tmp_path / "named.csv")
    rows = [
        dict(zip(("emotion", "pixels", "usage"), line.split(","), strict=True))
        for line in (tmp_path / "named.csv").read_text().splitlines()[1:]
    ]
    (tmp_path / "named.csv").unlink()
    (tmp_path / "faces.csv").write_text(
        "".join(",".join(row[name] for name in order.split(",")) + "\n" for row in rows)
    )
    for path in (tmp_path, tmp_path / "faces.csv"):
        faces = load_fer2013(path)
        np.testing.assert_array_equal(faces.pixels, expected.pixels)
        np.testing.assert_array_equal(faces.labels, expected.labels)
        if "usage" in order:
            np.testing.assert_array_equal(faces.usages, expected.usages)


def test_four_is_sad_in_the_csv_and_neutral_in_the_alphabetical_folders(tmp_path):
    """Trap 6: the two public forms number the labels differently."""
    assert CSV_LABELS[4] == "sadness"
    for part in ("train", "test"):
        for name in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            Image.fromarray(np.full((48, 48), 7, np.uint8)).save(folder / "1.png")
    faces = load_fer2013(tmp_path)
    by_name = {
        name.split("/")[1]: EMOTIONS[label]
        for name, label in zip(faces.names.tolist(), faces.labels, strict=True)
    }
    assert by_name["sad"] == "sadness"
    assert by_name["neutral"] == "neutral"
    assert sorted(set(faces.usages.tolist())) == ["PublicTest", "Training"]
    assert faces.votes.sum() == 0
    assert (faces.pixels == 7).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("emotion,pixels", "label,pixels"), "columns emotion"),
        (lambda text: text.replace("\n3,", "\n9,", 1), "line 2: expected an emotion of 0 to 6"),
        (lambda text: text.replace("\n3,", "\n3,999 ", 1), "line 2: expected 2,304 values"),
    ],
)
def test_a_changed_csv_names_the_line(tmp_path, change, message):
    path = tmp_path / "fer2013.csv"
    write_csv(path, make_arrays())
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        load_fer2013(path)


def test_votes_of_another_set_are_refused(tmp_path):
    write_csv(tmp_path / "fer2013.csv", make_arrays())
    write_votes(tmp_path / "votes.csv", make_arrays(count=5))
    with pytest.raises(ValueError, match="5 rows of votes for 6 faces"):
        load_fer2013(tmp_path / "fer2013.csv", votes=tmp_path / "votes.csv")


def test_what_is_no_fer2013_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_fer2013(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="neither"):
        load_fer2013(tmp_path)
    np.savez(tmp_path / "other.npz", pixels=np.zeros((1, 48, 48), np.uint8))
    with pytest.raises(ValueError, match="should hold the arrays"):
        load_fer2013(tmp_path / "other.npz")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="no FER2013"):
        load_fer2013(tmp_path / "notes.txt")
    arrays = make_arrays()
    arrays["label"] = np.array(["joyful"] * 6)
    np.savez(tmp_path / "labels.npz", **arrays)
    with pytest.raises(ValueError, match="'joyful' is none of"):
        load_fer2013(tmp_path / "labels.npz")


def test_arrays_that_do_not_fit_together_are_refused(tmp_path):
    arrays = make_arrays()
    arrays["votes"] = arrays["votes"][:, :8]
    np.savez(tmp_path / "part.npz", **arrays)
    with pytest.raises(ValueError, match="votes should have the shape"):
        load_fer2013(tmp_path / "part.npz")


def test_taking_and_joining_keep_rows_together(tmp_path):
    np.savez(tmp_path / "part.npz", **make_arrays())
    faces = load_fer2013(tmp_path / "part.npz")
    again = join_face_sets(faces.take(faces.labels == 1), faces.take(faces.labels != 1))
    order = np.argsort(again.names)
    np.testing.assert_array_equal(again.pixels[order], faces.pixels)
    np.testing.assert_array_equal(again.votes[order], faces.votes)


def test_the_real_set_has_the_counts_that_are_known(real_data):
    faces = load_fer2013(real_data / "fer2013")
    happy, sad = EMOTIONS.index("happiness"), EMOTIONS.index("sadness")
    training = faces.usages == "Training"
    assert (training & (faces.labels == happy)).sum() == 7178
    assert (training & (faces.labels == sad)).sum() == 4753
    assert np.isin(faces.labels[~training], (happy, sad)).sum() == 1534
