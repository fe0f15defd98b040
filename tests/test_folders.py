"""Which folders hold which class, which files are in them, and what is left out."""

import os
import re
import socket
import unicodedata
from pathlib import Path

import pytest

from emoclf.data.folders import ClassFolder, find_class_folders, list_files, parse_class_map


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Happy", "Happy"),
        ("happy people", "Happy"),
        ("sad_images", "Sad"),
        ("01-Sad", "Sad"),
        ("HAPPY (2)", "Happy"),
        ("HappyFaces", "Happy"),
        ("photosSad2", "Sad"),
        ("sad", "Sad"),
        ("unhappy", "Sad"),
        ("Un-happy", None),
        ("not happy", None),
        ("no_sad", None),
        ("happy and sad", None),
        ("happy_not_sad", None),
        ("sadie", None),
        ("sadness", "Sad"),
        ("happy\u00e9", None),
        ("quarantine", None),
        ("quarantine happy", None),
        ("123", None),
    ],
)
def test_class_names_are_whole_words(tmp_path, name, expected):
    (tmp_path / name).mkdir()
    found = find_class_folders(tmp_path, require_all=False)
    assert [each.class_name for each in found.folders] == ([expected] if expected else [])
    assert [path.name for path, _ in found.unassigned] == ([] if expected else [name])


def test_class_names_may_be_others_and_have_several_words(tmp_path):
    for name in ("my_guinea-pig_photos", "CATS", "pig"):
        (tmp_path / name).mkdir()
    names = ("Cat", "Guinea pig")
    found = find_class_folders(tmp_path, class_names=names, require_all=False)
    assert found.folders == (ClassFolder(tmp_path / "my_guinea-pig_photos", "Guinea pig", 1),)


def test_class_folders_are_found_whatever_their_decoration(tmp_path):
    for name in ("Sad 2", "happy people", "sad_1", "both happy and sad", "misc", "not sad"):
        (tmp_path / name).mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "happy link").symlink_to(tmp_path / "misc")
    found = find_class_folders(tmp_path)
    assert found.root == tmp_path
    assert found.folders == (
        ClassFolder(tmp_path / "Sad 2", "Sad", 0),
        ClassFolder(tmp_path / "sad_1", "Sad", 0),
        ClassFolder(tmp_path / "happy people", "Happy", 1),
    )
    reasons = {path.name: reason for path, reason in found.unassigned}
    assert set(reasons) == {
        "both happy and sad", "happy link", "misc", "not sad", "notes.txt",
    }  # fmt: skip
    assert "ambiguous" in reasons["both happy and sad"]
    assert "symbolic link" in reasons["happy link"]
    assert "loose file" in reasons["notes.txt"]
    assert "negated" in reasons["not sad"]


def test_what_was_set_aside_is_not_called_a_folder_without_a_class_name(tmp_path):
    for name in ("sad", "happy", "quarantine"):
        (tmp_path / name).mkdir()
    ((path, reason),) = find_class_folders(tmp_path).unassigned
    assert path.name == "quarantine"
    assert "set aside" in reason


def test_many_loose_files_hide_no_folder(tmp_path):
    for name in ("a;b", *(f"{number:02}" for number in range(30))):
        (tmp_path / f"{name}.jpg").touch()
    (tmp_path / "holiday" / "joy").mkdir(parents=True)
    with pytest.raises(ValueError, match="none for Sad, Happy") as caught:
        find_class_folders(tmp_path)
    assert "'holiday' (no class name; holds 'joy'), 31 loose files (" in str(caught.value)
    assert str(caught.value).count(".jpg") == 3


def test_a_missing_class_is_named_with_what_was_found(tmp_path):
    (tmp_path / "happy").mkdir()
    (tmp_path / "holiday").mkdir()
    with pytest.raises(ValueError, match="none for Sad") as caught:
        find_class_folders(tmp_path)
    for word in ("'happy' (Happy)", "'holiday' (no class name)", str(tmp_path / "Sad")):
        assert word in str(caught.value)
    found = find_class_folders(str(tmp_path), require_all=False)
    assert [each.class_name for each in found.folders] == ["Happy"]


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(ValueError, match="Found: nothing"):
        find_class_folders(tmp_path)


def test_an_unzipped_archive_is_recognised(tmp_path):
    for name in ("happy", "sad"):
        (tmp_path / "images" / name).mkdir(parents=True)
    (tmp_path / "__MACOSX").mkdir()
    with pytest.raises(ValueError, match="Did you mean") as caught:
        find_class_folders(tmp_path)
    assert repr(str(tmp_path / "images")) in str(caught.value)


@pytest.mark.parametrize("outer", [("train", "test"), ("Training", "PublicTest"), ("a/x", "a/y")])
def test_parts_that_each_hold_the_classes_are_named(tmp_path, outer):
    for part in outer:
        for name in ("Happiness", "sad"):
            (tmp_path / part / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="each hold the classes") as caught:
        find_class_folders(tmp_path)
    message = str(caught.value)
    assert all(part in message for part in outer)
    (text,) = re.findall(r"--map (\S+) \(", message)
    found = find_class_folders(tmp_path, class_map=parse_class_map(text.strip("'")))
    assert [each.path.name for each in found.folders] == ["sad", "sad", "Happiness", "Happiness"]


def test_class_folders_that_lie_apart_are_taken_from_there(tmp_path):
    for name in ("positive/joy", "negative/tristes"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="--map negative/tristes=Sad,positive/joy=Happy"):
        find_class_folders(tmp_path)


@pytest.mark.parametrize(
    "names", [("class 1", "class 2"), ("A", "B"), ("train/A", "test/B"), ("mirth", "woe")]
)
def test_no_pair_is_guessed(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="--map FOLDER=Sad,OTHER=Happy") as caught:
        find_class_folders(tmp_path)
    for name in names:
        assert repr(name.partition("/")[0]) in str(caught.value)
        assert f"{name}=" not in str(caught.value)
    (tmp_path / names[0]).rename(tmp_path / "smiling")
    with pytest.raises(ValueError, match="--map FOLDER=Sad "):
        find_class_folders(tmp_path)


PAIRS = """
    Happiness Sadness, happy unhappy, Smiling Crying, joyful depressed, CHEERFUL Sorrow,
    smiles gloomy, glad tearful,
    glücklich unglücklich, Fröhliche_Gesichter TraurigeGesichter, Gluecklich Ungluecklich,
    heureux malheureux, joie tristesse, feliz infeliz, alegría tristeza, felicidade tristes,
    felici infelici, allegro triste, blij verdrietig, gelukkig ongelukkig, szczęśliwy nieszczęśliwy,
    wesołe smutne, весёлый невесёлый, радость грусть, Счастливые Несчастные, щасливі сумні,
    MUTLU MUTSUZ, neşeli ÜZGÜN, 开心 不开心, 高興 悲傷, 笑顔 泣き顔,
    幸せ 不幸, 행복 슬픔, سعيد حزين, السعادة الحزن,
    खुश नाखुश, ख़ुश दुखी, bahagia sedih, glad ledsen, lykkelig ulykkelig, iloinen surullinen,
    šťastný nešťastný, boldog szomorú, fericit nefericit, χαρούμενος ΛΥΠΗΜΈΝΟΣ, שמח עצוב
"""


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("pair", [pair.split() for pair in PAIRS.split(",")])
def test_the_usual_names_are_known_in_many_languages(tmp_path, pair, form):
    for name in pair:
        (tmp_path / unicodedata.normalize(form, name)).mkdir()
    found = [
        (unicodedata.normalize("NFKC", each.path.name), each.class_name)
        for each in find_class_folders(tmp_path).folders
    ]
    happy, sad = (unicodedata.normalize("NFKC", name) for name in pair)
    assert found == [(sad, "Sad"), (happy, "Happy")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tears of joy", "ambiguous"),
        ("smiling_depression", "ambiguous"),
        ("heureux-et-tristes", "ambiguous"),
        ("nicht glücklich", "negated"),
        ("pas_heureux", "negated"),
        ("не весёлые", "negated"),
        ("mutlu değil", "negated"),
        ("tidak_sedih", "negated"),
        ("non_smile", "negated"),
        ("contents", "no class name"),
        ("content", "no class name"),
        ("joystick", "no class name"),
        ("nosmile", "no class name"),
        ("Tristan", "no class name"),
        ("felicitations", "no class name"),
    ],
)
def test_what_speaks_of_both_or_of_neither_is_in_no_class(tmp_path, name, reason):
    (tmp_path / name).mkdir()
    ((_, why),) = find_class_folders(tmp_path, require_all=False).unassigned
    assert reason in why


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_class_map_names_folders_however_their_accents_are_written(tmp_path, forms):
    written, given = forms
    names = ("Räume/gemütlich", "öde")
    for name in names:
        (tmp_path / unicodedata.normalize(written, name)).mkdir(parents=True)
    text = unicodedata.normalize(given, "Räume/gemütlich=Happy,öde=Sad")
    found = find_class_folders(tmp_path, class_map=parse_class_map(text))
    assert [each.class_name for each in found.folders] == ["Sad", "Happy"]
    assert all(each.path.is_dir() for each in found.folders)
    assert find_class_folders(tmp_path, class_map=parse_class_map(text)).unassigned == (
        (tmp_path / unicodedata.normalize(written, "Räume"), "no class name"),
    )
    both = ",".join(unicodedata.normalize(form, "öde=Sad") for form in forms)
    with pytest.raises(ValueError, match="named twice"):
        parse_class_map(both)


@pytest.mark.parametrize("function", [find_class_folders, list_files])
def test_no_folder(function, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        function(tmp_path / "no")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match="received the file"):
        function(tmp_path / "file")


def test_files_are_listed_sorted_and_the_rest_with_a_reason(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("z.jpg", "b/deep/a.png", "b/c", "a.jpg", ".hidden.jpg", "-x.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        listing = list_files(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in listing.files]
    assert names == ["-x.jpg", "a.jpg", "b/c", "b/deep/a.png", "z.jpg"]
    reasons = {path.name: reason for path, reason in listing.skipped}
    assert reasons == {
        ".git": "hidden",
        ".hidden.jpg": "hidden",
        "broken.jpg": "symbolic link, not followed",
        "link.jpg": "symbolic link, not followed",
        "loop": "symbolic link, not followed",
        "pipe.jpg": "named pipe",
        "s": "socket",
    }


def test_a_folder_that_may_not_be_read_is_skipped_as_a_whole(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "a.jpg").write_bytes(b"x")
    (tmp_path / "b.jpg").write_bytes(b"x")
    real = Path.iterdir

    def refuse(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    listing = list_files(tmp_path)
    assert [path.name for path in listing.files] == ["b.jpg"]
    assert listing.skipped == (
        (tmp_path / "locked", "folder that cannot be read: Permission denied"),
    )


def test_an_entry_that_vanishes_is_skipped(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"x")
    monkeypatch.setattr(Path, "iterdir", lambda path: iter([path / "a.jpg", path / "gone.jpg"]))
    listing = list_files(tmp_path)
    assert [path.name for path in listing.files] == ["a.jpg"]
    assert "No such file" in listing.skipped[0][1]


def test_strange_names_are_listed_as_they_are(tmp_path):
    names = ["a\nb.jpg", "q\"'.jpg", "r\u202etl.jpg", "\udcff.jpg", "x" * 251 + ".jpg"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert {path.name for path in list_files(tmp_path).files} == set(names)
