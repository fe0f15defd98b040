"""The registry, class maps, and the commands that use them."""

import json
from dataclasses import asdict

import pytest

from emoclf.data.cleaning import find_problems
from emoclf.data.folders import find_class_folders, parse_class_map
from emoclf.data.sources import find_data, find_data_set, list_data_sets, sample_photos
from tests.archives import draw_picture, name_pictures, write_folder, write_zip
from tests.calls import call


def invoke(*arguments, code=0):
    result = call(*arguments)
    assert result.exit_code == code, result.output
    return result


def test_every_data_set_says_where_from_on_what_terms_and_how():
    names = [each.name for each in list_data_sets()]
    assert len(set(names)) == len(names) >= 7
    for each in list_data_sets():
        for text in (each.title, each.origin, each.terms, each.how, *each.classes):
            assert text.strip()
        assert each.name in str(each)
        assert sum(sum(c.values()) for c in each.parts.values()) in (0, 327, each.photos)
        assert all(set(counts) <= set(each.classes) for counts in each.parts.values())
        json.dumps(asdict(each))
    assert "8,989" in str(find_data_set("FER2013"))
    with pytest.raises(ValueError, match="project-drive"):
        find_data_set("imagenet")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sunny", "no pair"),
        ("sunny=Happy,", "no pair"),
        ("=Happy", "no pair"),
        ("sunny=Cheerful", "there is no class 'Cheerful'"),
        ("sunny=Happy,sunny=Sad", "named twice"),
    ],
)
def test_a_class_map_that_cannot_be_read_is_explained(text, match):
    with pytest.raises(ValueError, match=match):
        parse_class_map(text)


@pytest.fixture
def emotions(tmp_path):
    """Class folders as another project names them."""
    contents = {
        f"{folder}/{number}.png": draw_picture(position * 10 + number, side=40)
        for position, folder in enumerate(("sunny", "rainy", "sad", "sad_drawings", "train/cheer"))
        for number in range(3)
    }
    return write_folder(tmp_path / "emotions", contents)


MAP = {"sunny": "Happy", "rainy": "Sad", "sad_drawings": "", "train/cheer": "Happy"}


def test_a_class_map_adds_to_the_names_that_are_recognised(emotions):
    found = find_class_folders(emotions, class_map=MAP)
    assert [(each.path.name, each.class_name, each.label) for each in found.folders] == [
        ("rainy", "Sad", 0),
        ("sad", "Sad", 0),
        ("sunny", "Happy", 1),
        ("cheer", "Happy", 1),
    ]
    assert (emotions / "sad_drawings", "left out by the class map") in found.unassigned
    assert find_class_folders(emotions, require_all=False).folders[0].path.name == "sad"


def test_a_class_map_is_a_view_that_changes_nothing(emotions):
    before = sorted(path for path in emotions.rglob("*"))
    report = find_problems(emotions, class_map=MAP, progress=False)
    assert {record.path.rpartition("/")[0]: record.class_name for record in report.records} == {
        "rainy": "Sad",
        "sad": "Sad",
        "sunny": "Happy",
        "train/cheer": "Happy",
    }
    assert find_data(emotions, class_map=MAP).folder == emotions
    assert len(sample_photos(emotions, class_map=MAP, per_class=9)) == 12
    assert sorted(path for path in emotions.rglob("*")) == before


@pytest.mark.parametrize(
    ("class_map", "match"),
    [
        ({"delight": "Happy"}, "no folder .*delight.* Folders: rainy, sad"),
        ({"../emotions/sunny": "Happy"}, "no folder"),
        ({"/etc": "Happy"}, "no folder"),
        ({"sunny": "Cheerful"}, "received 'Cheerful'"),
        ({"sunny": "Happy", "train": "Happy", "train/cheer": "Happy"}, "lies inside"),
    ],
)
def test_a_class_map_that_does_not_fit_is_refused(emotions, class_map, match):
    with pytest.raises(ValueError, match=match):
        find_class_folders(emotions, class_map=class_map)


def test_the_registry_on_the_command_line():
    assert "AffectNet" in invoke("data-sets").stdout or "affectnet" in invoke("data-sets").stdout
    (found,) = json.loads(invoke("data-sets", "fer2013", "--json").stdout)
    assert found["parts"]["Training"]["happiness"] == 7215
    assert "no data set 'x'" in invoke("data-sets", "x", code=1).stderr


def test_stage_and_clean_with_a_map(tmp_path, emotions):
    text = "sunny=happy,rainy=sad,sad_drawings=,train/cheer=Happy"
    shown = invoke("stage", emotions, tmp_path / "local", "--map", text).stdout
    assert "15 files" in shown
    assert "Happy: 6" in shown
    again = json.loads(
        invoke("stage", emotions, tmp_path / "local", "--map", text, "--json").stdout
    )
    assert again["was_there"]
    assert again["classes"] == {"Sad": 6, "Happy": 6}
    cleaned = json.loads(invoke("clean", tmp_path / "local", "--map", text, "--json").stdout)
    assert cleaned["files"] == 12
    assert "sunny" in invoke("stage", emotions, tmp_path / "local").stdout
    assert "no pair" in invoke("clean", emotions, "--map", "sunny", code=2).stderr


def test_split_with_a_map(tmp_path, emotions):
    output = tmp_path / "split.json"
    invoke("split", emotions, "--map", "sunny=Happy", "--output", output)
    rows = json.loads(output.read_text())["rows"]
    assert {row["path"].partition("/")[0] for row in rows} == {"sunny", "sad", "sad_drawings"}
    refused = invoke("train", "--split", output, "--map", "sunny=Happy", code=2)
    assert "--map has no meaning with --split" in refused.stderr


def test_a_bad_archive_is_one_line_and_leaves_nothing(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"../a.png": draw_picture()})
    result = invoke("stage", archive, tmp_path / "data", code=1)
    assert "leads outside" in result.stderr
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_restricted_sets_are_described_and_never_fetched(tmp_path):
    for name in ("affectnet", "raf-db", "ck-plus"):
        shown = invoke("fetch", name, tmp_path / "data", code=1).stderr
        assert "is not fetched" in shown
        assert find_data_set(name).terms in " ".join(shown.split())
    assert not list(tmp_path.iterdir())


def test_fetch_refuses_options_without_meaning(tmp_path):
    result = invoke("fetch", "drawn-faces", tmp_path / "data", "--part", code=2)
    assert "--part has no meaning for drawn-faces" in result.stderr
    result = invoke("fetch", "fer2013", tmp_path / "data", "--link", "x", code=2)
    assert "--link has no meaning for fer2013" in result.stderr


def test_fetch_takes_a_drive_link(tmp_path, monkeypatch):
    from emoclf.data import sources

    source = write_folder(tmp_path / "source", name_pictures())
    asked = []

    def fetch(folder, *, link, progress):
        asked.append(link)
        return sources.stage_data(source, folder, progress=progress)

    monkeypatch.setattr(sources, "fetch_drive_link", fetch)
    assert "6 files" in invoke("fetch", "project-drive", tmp_path / "data").stdout
    assert asked == [sources.PROJECT_DRIVE_LINK]


def test_fetch_of_a_part_of_fer2013(tmp_path, real_data):
    source = real_data / "fer2013" / "other_emotions.npz"
    shown = invoke("fetch", "fer2013", tmp_path / "data", "--from", source, code=1).stderr
    assert "not the counts of FER2013" in shown
    invoke("fetch", "fer2013", tmp_path / "data", "--from", source, "--part")
