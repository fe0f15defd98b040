"""FER2013 in every form gives the same class folders; wrong counts and orders are refused."""

import csv
import http.server
import shutil
import sys
import threading
import types
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from emoclf.config import PARTS
from emoclf.data.cleaning import find_problems
from emoclf.data.folders import find_class_folders, list_files
from emoclf.data.sources import (
    check_fer2013_counts,
    fer2013_folders,
    fetch_fer2013_from_kaggle,
    fetch_fer_plus_votes,
    fetching,
    find_data_set,
    make_fer2013_folders,
)
from emoclf.data.sources.fer2013 import CSV_LABELS, EMOTIONS, VOTE_COLUMNS, FaceSet, load_fer2013
from emoclf.data.splitting import split_as_published
from emoclf.images import load_image
from tests.archives import draw_picture, write_folder

FOLDER_NAMES = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprise",
    "neutral": "neutral",
}
FER2013_PARTS = find_data_set("fer2013").parts
SMALL_PARTS = {
    usage: {emotion: 1 + (count // 120) // scale for emotion, count in counts.items()}
    for scale, (usage, counts) in zip((4, 1, 1), FER2013_PARTS.items(), strict=True)
}


@pytest.fixture
def small_parts(monkeypatch):
    """A FER2013 of some 200 faces."""
    small = replace(find_data_set("fer2013"), parts=SMALL_PARTS)
    for module in (fer2013_folders, fetching):
        monkeypatch.setattr(module, "find_data_set", lambda _name: small)


@pytest.fixture(scope="module")
def faces():
    return make_faces(SMALL_PARTS)


def make_faces(parts, *, with_pixels=True, seed=3):
    """As many faces as `parts` says, in random order, with votes that follow the labels."""
    pairs = [
        (usage, emotion)
        for usage, counts in parts.items()
        for emotion, count in counts.items()
        for _ in range(count)
    ]
    random = np.random.default_rng(seed)
    random.shuffle(pairs)
    labels = np.array([EMOTIONS.index(emotion) for _, emotion in pairs])
    votes = np.zeros((len(pairs), len(VOTE_COLUMNS)), np.uint8)
    votes[np.arange(len(pairs)), labels] = 6
    votes[:, 0] += 4
    shape = (len(pairs), 48, 48) if with_pixels else (1, 48, 48)
    pixels = random.integers(0, 256, shape, np.uint8)
    if not with_pixels:
        pixels = np.broadcast_to(pixels, (len(pairs), 48, 48))
    names = np.array([f"fer{number:07d}.png" for number in range(len(pairs))])
    return FaceSet(pixels, labels, votes, np.array([usage for usage, _ in pairs]), names)


def write_csv(path, faces, *, order=CSV_LABELS, header=("emotion", "pixels", "Usage")):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for pixels, label, usage in zip(faces.pixels, faces.labels, faces.usages, strict=True):
            text = " ".join(map(str, pixels.ravel().tolist()))
            writer.writerow([order.index(EMOTIONS[label]), text, usage])
    return path


def write_votes(path, faces):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Usage", "Image name", *VOTE_COLUMNS])
        for usage, name, votes in zip(faces.usages, faces.names, faces.votes, strict=True):
            writer.writerow([usage, name, *votes.tolist()])
    return path


def write_folders(folder, faces):
    """`train/happy/Training_0000007.png`, as on Kaggle, but without loss."""
    for index, usage in enumerate(faces.usages.tolist()):
        part = "train" if usage == "Training" else "test"
        place = folder / part / FOLDER_NAMES[EMOTIONS[faces.labels[index]]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.pixels[index]).save(place / f"{usage}_{index:07d}.png")
    return folder


def write_arrays(path, faces):
    np.savez(
        path,
        pixels=faces.pixels,
        label=np.array([EMOTIONS[label] for label in faces.labels]),
        usage=faces.usages,
        votes=faces.votes,
        name=faces.names,
    )
    return path


def write_zip_of(path, file):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        files = [file] if file.is_file() else list_files(file).files
        for each in files:
            archive.write(each, f"fer2013/{each.relative_to(file.parent)}")
    return path


def write_forms(folder, faces):
    """Every form in which FER2013 is passed around."""
    folder.mkdir(exist_ok=True)
    forms = {
        "csv": write_csv(folder / "fer2013.csv", faces),
        "icml": write_csv(
            folder / "icml_face_data.csv", faces, header=("emotion", " pixels", " Usage")
        ),
        "folders": write_folders(folder / "folders", faces),
        "arrays": write_arrays(folder / "fer2013.npz", faces),
    }
    forms["zipped csv"] = write_zip_of(folder / "csv.zip", forms["csv"])
    forms["zipped folders"] = write_zip_of(folder / "archive.zip", forms["folders"])
    return forms


def read_faces(folder):
    """Class -> usage -> contents, sorted: names differ between the forms, pixels must not."""
    return {
        each.class_name: {
            usage.name: sorted(
                load_image(path)[:, :, 0].tobytes() for path in list_files(usage).files
            )
            for usage in sorted(each.path.iterdir())
        }
        for each in find_class_folders(folder).folders
    }


def expect_faces(faces):
    found = {}
    for name, emotion in (("Sad", "sadness"), ("Happy", "happiness")):
        of_class = faces.labels == EMOTIONS.index(emotion)
        found[name] = {
            usage: sorted(p.tobytes() for p in faces.pixels[of_class & (faces.usages == usage)])
            for usage in sorted(set(faces.usages.tolist()))
        }
    return found


@pytest.mark.usefixtures("small_parts")
def test_every_form_gives_the_same_class_folders(tmp_path, faces):
    expected = expect_faces(faces)
    for number, (form, path) in enumerate(write_forms(tmp_path / "forms", faces).items()):
        made = make_fer2013_folders(path, tmp_path / str(number), progress=False)
        assert read_faces(made.folder) == expected, form
        assert made.counts == {
            f"{name}/{usage}": counts[emotion]
            for usage, counts in SMALL_PARTS.items()
            for name, emotion in (("Sad", "sadness"), ("Happy", "happiness"))
        }, form
        assert made.files == sum(made.counts.values())
        assert f"{len(faces) - made.files} other faces" in str(made)
    assert "PublicTest" in str(made)


def write_table(
    path,
    faces,
    *,
    header=("emotion", "pixels", "Usage"),
    separator=",",
    quoting=csv.QUOTE_MINIMAL,
    encoding="utf-8",
    part=lambda usage: usage,
):
    """Write a table whose columns are found by the names in its head, in small letters."""
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=separator, quoting=quoting)
        writer.writerow(header)
        for pixels, label, usage in zip(faces.pixels, faces.labels, faces.usages, strict=True):
            cells = {
                "emotion": CSV_LABELS.index(EMOTIONS[label]),
                "pixels": " ".join(map(str, pixels.ravel().tolist())),
                "usage": part(usage),
            }
            writer.writerow([cells.get(name.strip().lower(), "1") for name in header])
    return path


TABLES = {
    "fer2013.csv": {"encoding": "utf-8-sig", "quoting": csv.QUOTE_ALL},
    "FER2013.CSV": {"header": ("Emotion", "Pixels", "Usage")},
    "icml.csv": {"header": ("emotion", " Usage", " pixels")},
    "excel.csv": {"separator": ";", "encoding": "utf-8-sig"},
    "unicode.txt": {
        "separator": "\t",
        "encoding": "utf-16",
        "header": ("EMOTION", "PIXELS", "USAGE"),
    },
    "tabs.tsv": {"separator": "\t", "header": ("", "id", "usage", "emotion", "pixels", "note")},
    "fer2013": {"header": ("pixels", "usage", "emotion"), "part": str.lower},
    "spaced": {"header": ("pixels ", "usage ", "emotion "), "part": lambda u: f" {u} "},
}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_in_any_spelling(tmp_path, faces, name):
    place = tmp_path / "mine" / "download"
    place.mkdir(parents=True)
    path = write_table(place / name, faces, **TABLES[name])
    (place / "README.txt").write_text("emotion;pixels")
    zipped = write_zip_of(tmp_path / "a.zip", place)
    for number, source in enumerate((path, tmp_path / "mine", zipped)):
        made = make_fer2013_folders(source, tmp_path / str(number), progress=False)
        assert read_faces(made.folder) == expect_faces(faces)
        assert ("README.txt" in str(made) or "(1 file)" in str(made)) == (source != path)


@pytest.mark.usefixtures("small_parts")
def test_a_table_without_parts_is_one_part_and_says_so(tmp_path, faces):
    path = write_table(tmp_path / "faces.csv", faces, header=("emotion", "pixels"))
    made = make_fer2013_folders(path, tmp_path / "out", progress=False)
    totals = {
        f"{name}/Training": int((faces.labels == EMOTIONS.index(emotion)).sum())
        for name, emotion in (("Sad", "sadness"), ("Happy", "happiness"))
    }
    assert made.counts == totals
    assert f"all {len(faces):,} are taken as one part" in str(made)
    swapped = write_csv(tmp_path / "b.csv", faces, order=fer2013_folders.FOLDER_LABELS)
    swapped.write_text(swapped.read_text().replace("Usage", "other"))
    with pytest.raises(ValueError, match=r"4 = neutral"):
        make_fer2013_folders(swapped, tmp_path / "no", progress=False)


@pytest.mark.usefixtures("small_parts")
def test_a_table_for_each_part(tmp_path, faces):
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, usage in (("train", "Training"), ("val", "PublicTest"), ("test", "PrivateTest")):
        some = faces.take(faces.usages == usage)
        write_table(folder / f"{name}.csv", some, header=("emotion", "pixels"))
    made = make_fer2013_folders(folder, tmp_path / "out", progress=False)
    assert read_faces(made.folder) == expect_faces(faces)
    write_table(folder / "fer2013.csv", faces)
    made = make_fer2013_folders(folder, tmp_path / "again", progress=False)
    assert read_faces(made.folder) == expect_faces(faces)
    assert "Not used: test.csv, train.csv, val.csv." in made.notes


def write_parts(folder, faces, part_of, *, name=lambda emotion: FOLDER_NAMES[emotion]):
    """Class folders in the folders that `part_of` names, files without a usage in their names."""
    for index, usage in enumerate(faces.usages.tolist()):
        place = folder / part_of[usage] / name(EMOTIONS[faces.labels[index]])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.pixels[index]).save(place / f"{index:07d}.png")
    return folder


def number(emotion):
    return str(CSV_LABELS.index(emotion))


PUBLISHED = {"Training": "Training", "PublicTest": "PublicTest", "PrivateTest": "PrivateTest"}
FOLDERS = {
    "capitals": ({**PUBLISHED, "Training": "TRAIN"}, lambda e: FOLDER_NAMES[e].upper()),
    "three": (dict(zip(PUBLISHED, ("train", "validation", "test"), strict=True)), str.title),
    "spelt": (dict(zip(PUBLISHED, ("train_set", "Val", "private-test"), strict=True)), str),
    "wrapped": ({usage: f"{usage}/{usage}/images" for usage in PUBLISHED}, str.capitalize),
    "published": (PUBLISHED, lambda e: FOLDER_NAMES[e]),
    "numbers": (PUBLISHED, number),
    "numbers and names": (PUBLISHED, lambda e: f"{number(e)}_{FOLDER_NAMES[e].title()}"),
}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("form", FOLDERS)
def test_folders_are_read_in_any_spelling(tmp_path, faces, form):
    part_of, name = FOLDERS[form]
    folder = write_parts(tmp_path / "a" / "images", faces, part_of, name=name)
    (folder / part_of["Training"] / ".DS_Store").write_bytes(b"1")
    zipped = write_zip_of(tmp_path / "b.zip", tmp_path / "a")
    for index, source in enumerate((folder, tmp_path / "a", zipped)):
        made = make_fer2013_folders(source, tmp_path / str(index), progress=False)
        assert read_faces(made.folder) == expect_faces(faces)
        assert ("4 sad" in str(made)) == (form == "numbers")
        assert "Not used" not in str(made)


@pytest.mark.usefixtures("small_parts")
def test_a_split_of_somebody_else_is_used_and_named(tmp_path, faces):
    """`images/train` and `images/validation`, where all of FER2013 was split anew."""
    mixed = np.resize(["Training", "Training", "PublicTest"], len(faces))
    other = FaceSet(faces.pixels, faces.labels, faces.votes, mixed, faces.names)
    part_of = {"Training": "train", "PublicTest": "validation"}
    folder = write_parts(tmp_path / "images", other, part_of)
    write_parts(folder / "images", other.take(np.arange(9)), part_of)  # as on Kaggle, twice
    made = make_fer2013_folders(tmp_path / "images", tmp_path / "out", progress=False)
    assert read_faces(made.folder) == expect_faces(other)
    assert "not those that were published" in str(made)
    assert "Not used: images/ (9 files)." in made.notes


@pytest.mark.usefixtures("small_parts")
def test_what_is_not_used_is_named_with_its_count(tmp_path, faces):
    folder = write_folders(tmp_path / "folders", faces)
    for name in ("extra/happy/1.png", "extra/sad/2.png", "train/contempt/3.png", "4.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.pixels[0]).save(folder / name)
    (folder / "train" / "happy" / "page.jpg").write_text("<html>")
    made = make_fer2013_folders(folder, tmp_path / "out", progress=False)
    assert read_faces(made.folder) == expect_faces(faces)
    (note,) = [note for note in made.notes if note.startswith("Not used")]
    for part in ("extra/ (2 files)", "train/contempt/ (1 file)", "train/happy/ (1 file)", "4.png"):
        assert part in note


@pytest.mark.usefixtures("small_parts")
def test_numbers_in_another_order_are_refused(tmp_path, faces):
    by_alphabet = fer2013_folders.FOLDER_LABELS.index
    write_parts(tmp_path / "a", faces, PUBLISHED, name=lambda emotion: str(by_alphabet(emotion)))
    with pytest.raises(ValueError, match=r"4 = neutral"):
        make_fer2013_folders(tmp_path / "a", tmp_path / "out", progress=False)
    write_parts(tmp_path / "b", faces, PUBLISHED, name=lambda e: str(by_alphabet(e) + 1))
    with pytest.raises(ValueError, match="numbered in another way"):
        make_fer2013_folders(tmp_path / "b", tmp_path / "out", whole=False, progress=False)


def test_the_published_counts_are_those_of_the_paper():
    totals = {
        emotion: sum(counts[emotion] for counts in FER2013_PARTS.values())
        for emotion in FOLDER_NAMES
    }
    assert totals == {
        "anger": 4953,
        "disgust": 547,
        "fear": 5121,
        "happiness": 8989,
        "sadness": 6077,
        "surprise": 4002,
        "neutral": 6198,
    }
    sizes = {usage: sum(counts.values()) for usage, counts in FER2013_PARTS.items()}
    assert sizes == {"Training": 28709, "PublicTest": 3589, "PrivateTest": 3589}


def test_the_whole_set_passes_and_the_other_order_is_recognised():
    whole = make_faces(FER2013_PARTS, with_pixels=False)
    check_fer2013_counts(whole)
    meant = {
        EMOTIONS.index(folder): EMOTIONS.index(number)
        for number, folder in zip(CSV_LABELS, fer2013_folders.FOLDER_LABELS, strict=True)
    }
    labels = np.array([meant[label] for label in whole.labels])
    swapped = FaceSet(whole.pixels, labels, whole.votes, whole.usages, whole.names)
    for faces in (swapped, swapped.take(swapped.usages == "Training")):
        with pytest.raises(ValueError, match=r"4 = neutral.* 4 = sad"):
            check_fer2013_counts(faces, whole=faces is swapped)


@pytest.mark.usefixtures("small_parts")
def test_a_csv_in_the_order_of_the_folders_is_refused(tmp_path, faces):
    path = write_csv(tmp_path / "fer2013.csv", faces, order=fer2013_folders.FOLDER_LABELS)
    with pytest.raises(ValueError, match=r"4 = neutral"):
        make_fer2013_folders(path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("small_parts")
def test_missing_and_added_faces_are_counted(faces):
    first = int(np.flatnonzero(faces.labels == EMOTIONS.index("sadness"))[0])
    fewer = faces.take(np.arange(len(faces)) != first)
    with pytest.raises(ValueError, match=r"sadness \d+, published \d+.*--part"):
        check_fer2013_counts(fewer)
    check_fer2013_counts(fewer, whole=False)
    more = faces.take(np.append(np.arange(len(faces)), first))
    for whole in (True, False):
        with pytest.raises(ValueError, match="another file"):
            check_fer2013_counts(more, whole=whole)


@pytest.mark.usefixtures("small_parts")
def test_a_test_folder_may_hold_both_tests_under_any_name(tmp_path, faces):
    folder = write_folders(tmp_path / "folders", faces)
    for path in list_files(folder / "test").files:
        path.rename(path.with_name(path.name.partition("_")[2]))
    assert set(load_fer2013(folder).usages.tolist()) == {"Training", "PublicTest"}
    check_fer2013_counts(load_fer2013(folder))


@pytest.mark.usefixtures("small_parts")
def test_faces_can_be_labelled_by_the_votes(tmp_path, faces):
    votes = faces.votes.copy()
    sad = np.flatnonzero(faces.labels == EMOTIONS.index("sadness"))
    votes[sad[0]] = [5, 0, 0, 5, 0, 0, 0, 0, 0, 0]
    votes[sad[1]] = [0, 9, 0, 1, 0, 0, 0, 0, 0, 0]
    voted = FaceSet(faces.pixels, faces.labels, votes, faces.usages, faces.names)
    csv_file = write_csv(tmp_path / "fer2013.csv", voted)
    votes_file = write_votes(tmp_path / "fer2013new.csv", voted)
    made = make_fer2013_folders(
        csv_file, tmp_path / "out", votes=votes_file, label_by="votes", progress=False
    )
    counted = {
        name: sum(n for folder, n in made.counts.items() if folder.startswith(f"{name}/"))
        for name in ("Sad", "Happy")
    }
    happy = int((faces.labels == EMOTIONS.index("happiness")).sum())
    assert counted == {"Sad": len(sad) - 2, "Happy": happy + 1}
    with pytest.raises(ValueError, match="no votes"):
        make_fer2013_folders(csv_file, tmp_path / "other", label_by="votes", progress=False)


def test_other_things_are_no_fer2013(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_fer2013_folders(tmp_path / "nowhere.csv", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="neither"):
        make_fer2013_folders(tmp_path / "empty", tmp_path / "out")


def test_votes_and_archives_of_something_else_are_named(tmp_path, faces):
    write_csv(tmp_path / "fer2013.csv", faces)
    with pytest.raises(ValueError, match=r"fer2013\.csv should end every row with ten votes"):
        load_fer2013(tmp_path / "fer2013.csv", votes=tmp_path / "fer2013.csv")
    write_csv(tmp_path / "mine.csv", faces, header=("number", "face", "Usage"))
    write_zip_of(tmp_path / "mine.zip", tmp_path / "mine.csv")
    with pytest.raises(ValueError, match=r"mine\.zip holds no FER2013: expected fer2013\.csv"):
        make_fer2013_folders(tmp_path / "mine.zip", tmp_path / "faces", progress=False)


@pytest.mark.usefixtures("small_parts")
def test_the_published_split_leaves_leaking_duplicates_out(tmp_path, faces):
    happy = np.flatnonzero(faces.labels == EMOTIONS.index("happiness"))
    first = {usage: happy[faces.usages[happy] == usage][0] for usage in SMALL_PARTS}
    pixels = faces.pixels.copy()
    pixels[first["Training"]] = pixels[first["PrivateTest"]]
    crossed = FaceSet(pixels, faces.labels, faces.votes, faces.usages, faces.names)
    made = make_fer2013_folders(
        write_arrays(tmp_path / "a.npz", crossed), tmp_path / "faces", progress=False
    )
    report = find_problems(made.folder, progress=False)
    split = split_as_published(report)
    parts = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
    for file in split.rows:
        assert f"/{parts[file.part]}/" in file.path
    assert f"Happy/Training/{faces.names[first['Training']]}" not in {f.path for f in split.rows}
    published = SMALL_PARTS["PrivateTest"]
    assert split.count()["test"] == {
        "Sad": published["sadness"],
        "Happy": published["happiness"],
    }


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "PublicTest", "TEST")])
def test_parts_around_the_class_folders_are_a_published_split(tmp_path, names):
    contents = {
        f"{part}/{name}/{number}.png": draw_picture(100 * i + 10 * j + number, side=40)
        for i, part in enumerate(names)
        for j, name in enumerate(("happy", "sad"))
        for number in range(3)
    }
    contents[f"{names[2]}/sad/same.png"] = contents[f"{names[0]}/sad/0.png"]
    write_folder(tmp_path / "data", contents)
    class_map = {f"{part}/{name}": name.title() for part in names for name in ("happy", "sad")}
    report = find_problems(tmp_path / "data", class_map=class_map, progress=False)
    split = split_as_published(report)
    parts = dict(zip(names, PARTS, strict=True))
    assert all(row.part == parts[row.path.partition("/")[0]] for row in split.rows)
    assert f"{names[0]}/sad/0.png" not in split.paths
    assert len(split) == 18


@pytest.mark.usefixtures("small_parts")
def test_without_the_private_test_a_share_of_training_validates(tmp_path, faces):
    known = faces.take(faces.usages != "PrivateTest")
    made = make_fer2013_folders(
        write_arrays(tmp_path / "a.npz", known), tmp_path / "faces", whole=False, progress=False
    )
    split = split_as_published(find_problems(made.folder, progress=False))
    assert {f.path.split("/")[1] for f in split.part("test").rows} == {"PublicTest"}
    for name in ("train", "validation"):
        assert {f.path.split("/")[1] for f in split.part(name).rows} == {"Training"}
    shutil.rmtree(made.folder / "Happy" / "PublicTest")
    shutil.rmtree(made.folder / "Sad" / "PublicTest")
    with pytest.raises(ValueError, match="PublicTest"):
        split_as_published(find_problems(made.folder, progress=False))


@pytest.mark.usefixtures("small_parts")
def test_kagglehub_is_used_where_it_is_installed(tmp_path, faces, monkeypatch):
    cache = tmp_path / "cache" / "versions" / "1"
    write_folders(cache, faces)
    asked = []
    fake = types.ModuleType("kagglehub")
    fake.dataset_download = lambda handle: asked.append(handle) or str(cache)
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    made = make_fer2013_folders(fetch_fer2013_from_kaggle(), tmp_path / "out", progress=False)
    assert asked == ["msambare/fer2013"]
    assert read_faces(made.folder) == expect_faces(faces)

    def refuse(_handle):
        raise OSError("403 Client Error")

    fake.dataset_download = refuse
    with pytest.raises(OSError, match=r"403.*--from"):
        fetch_fer2013_from_kaggle()


def test_without_kagglehub_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(ImportError, match="pip install kagglehub"):
        fetch_fer2013_from_kaggle()


@pytest.fixture
def server(tmp_path):
    """A web server on this machine; its folder and its address."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_arguments):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.usefixtures("small_parts")
def test_the_votes_are_fetched_once_and_checked(tmp_path, server, faces):
    folder, address = server
    write_votes(folder / "fer2013new.csv", faces)
    path = fetch_fer_plus_votes(tmp_path / "votes", address=f"{address}/fer2013new.csv")
    assert path.read_bytes() == (folder / "fer2013new.csv").read_bytes()
    (folder / "fer2013new.csv").unlink()
    assert fetch_fer_plus_votes(tmp_path / "votes", address=f"{address}/gone") == path
    with pytest.raises(OSError, match=r"could not be fetched.*browser"):
        fetch_fer_plus_votes(tmp_path / "other", address=f"{address}/gone")
    (folder / "page.csv").write_text("<html>sign in</html>\n<p>please</p>")
    with pytest.raises(ValueError, match="is not FER"):
        fetch_fer_plus_votes(tmp_path / "other", address=f"{address}/page.csv")
    assert not list((tmp_path / "other").iterdir())
    with pytest.raises(ValueError, match="https"):
        fetch_fer_plus_votes(tmp_path / "other", address="http://example.org/votes.csv")


def test_the_real_faces_are_the_same_through_every_form(tmp_path, real_data):
    """Acceptance (a), at full size for happy and sad in the arrays, some in every form."""
    whole = load_fer2013(real_data / "fer2013" / "happy_sad.npz")
    check_fer2013_counts(whole, whole=False)
    with pytest.raises(ValueError, match="not the counts of FER2013"):
        check_fer2013_counts(whole)
    some = whole.take(np.arange(0, len(whole), 180))
    expected = expect_faces(some)
    for number, (form, path) in enumerate(write_forms(tmp_path / "forms", some).items()):
        made = make_fer2013_folders(path, tmp_path / str(number), whole=False, progress=False)
        assert read_faces(made.folder) == expected, form
