"""`python -m emoclf`: what is printed, where to, and how it ends."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import emoclf
from emoclf.apps.commands import COMMANDS, GROUPS, make_app
from emoclf.apps.commands import predict as predict_module
from emoclf.apps.commands.options import OPTION_GROUPS
from emoclf.apps.commands.pages import list_arguments
from emoclf.apps.commands.rows import (
    choose_layout,
    count_columns,
    describe_summary,
    format_rows,
    summarise,
)
from emoclf.data.cleaning import find_problems
from emoclf.images import ModelInfo, UnreadableImageError, load_image
from emoclf.images.faces import Face, FaceDetectorUnavailableError
from emoclf.inference import FacePrediction, Prediction, predictor
from emoclf.models import joint
from emoclf.models.model_file import save_model
from emoclf.models.packaged import FACE_MODEL_FOLDER, PackagedNetwork
from emoclf.untrusted import show_text
from tests.calls import PATIENCE_SECONDS, call

REPOSITORY = Path(__file__).resolve().parent.parent


class FakeDetector:
    """Finds two faces in wide photos and none in others."""

    name = "fake"
    description = "A fake detector."
    note = "It is no real one."

    def find(self, image):
        height, width = image.shape[:2]
        if width <= height:
            return ()
        side = height / 2
        boxes = [(0.0, 0.0, side, side), (width / 2, 0.0, side / 2, side / 2)]
        return tuple(Face(box=box, score=0.9) for box in boxes)


@pytest.fixture
def detector(monkeypatch):
    """A fake detector instead of a real one; the calls that asked for it."""
    calls = []

    def make(kind="auto", *, model_path=None, download=True):
        calls.append({"kind": kind, "model_path": model_path, "download": download})
        return FakeDetector()

    monkeypatch.setattr("emoclf.images.faces.make_detector", make)
    return calls


@pytest.fixture
def photos(tmp_path):
    """Two faces, no face, no photo."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    save_photo(folder / "a.png")
    save_photo(folder / "b.png", size=(60, 80))
    (folder / "deeper" / "c.jpg").write_text("<html>no photo</html>")
    return folder


def save_photo(path, *, size=(80, 60)):
    Image.new("RGB", size, "gray").save(path, "PNG")


def save_folders(folder, count, *, name=""):
    """Save unlike photos of both classes."""
    noise = np.random.default_rng(1)
    for class_name in ("sad", "happy"):
        (folder / class_name).mkdir(parents=True)
        for number in range(count):
            coarse = Image.fromarray(noise.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            coarse.resize((80, 60)).save(folder / class_name / f"{name}{number}.png")


def invoke(*arguments):
    return call("predict", *arguments)


def start_process(*arguments, **environment):
    """Start the command line where nothing is downloaded, with or without a detector."""
    command = [sys.executable, "-W", "ignore", "-m", "emoclf", "predict", *map(str, arguments)]
    return subprocess.Popen(
        [*command, "--no-download", "--whole-photo"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        preexec_fn=listen_to_control_c if sys.platform != "win32" else None,
    )


def listen_to_control_c():
    """Tests that run in the background of a shell would pass on that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_help_and_version_have_examples_and_the_rule():
    text = call("--help").output
    assert "python -m emoclf predict photo.jpg" in text
    details = call("predict", "-h").output
    for part in ("--json", "--save-annotated", "--whole-photo", "Exit codes", '"uncertain"'):
        assert part in details
    assert emoclf.__version__ in call("--version").output


def test_the_first_page_has_groups_with_a_line_for_each_command():
    text = call("--help").output
    titles = re.findall(r"^([A-Z][\w ]+):$", text, flags=re.MULTILINE)
    assert titles[:6] == [*GROUPS]
    words = ("Try", "Data", "Train", "Evaluate", "Explain", "Share")
    assert [title.split()[0] for title in titles[:6]] == [*words]
    rows = re.findall(r"^  ([a-z][a-z-]*) +[A-Z].*[.?]$", text, flags=re.MULTILINE)
    assert rows == [*COMMANDS], "each on one line, which ends there"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_page_fits_80_columns(name):
    assert [line for line in call(name, "--help").output.splitlines() if len(line) > 80] == []


def test_a_long_page_has_headings_and_begins_with_what_most_people_set():
    text = call("train", "--help").output
    titles = re.findall(r"^([A-Z][\w ]+):$", text, flags=re.MULTILINE)
    assert titles == ["Arguments", *OPTION_GROUPS, "Examples"]
    first = re.findall(r"^  (--[a-z-]+)", text, flags=re.MULTILINE)[:3]
    assert first == ["--name", "--epochs", "--network"]
    grouped = [option for options in OPTION_GROUPS.values() for option in options]
    assert len(grouped) == len(set(grouped))
    shown = {each.name for each in list_arguments(make_app()["train"]) if each.index is None}
    assert shown <= set(grouped), "name a new setting in options.OPTION_GROUPS"


@pytest.mark.usefixtures("detector")
def test_a_row_per_face_then_the_sum_and_the_detector(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    result = invoke("photos", "--faces-only")
    rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows[:4]] == [
        str(Path("photos", name)) for name in ("a.png", "a.png", "b.png", "deeper/c.jpg")
    ]
    pattern = r"  (Sad|Happy|uncertain) +Sad +\d+%  Happy +\d+%  neither +\d+%  face 30x30 at 0,0$"
    assert re.search(pattern, rows[0])
    assert re.search(r"face 15x15 at 40,0$", rows[1])
    assert rows[2].endswith("  no face")
    assert re.search(r"  not read +This is a web page", rows[3])
    ends = [re.search(r"  (not read|no face|Sad|Happy|uncertain)", row).start() for row in rows[:4]]
    assert len(set(ends)) == 1, "the columns are aligned"
    assert rows[4] == "Detector: A fake detector."
    assert rows[5].startswith('"uncertain": no probability reaches')
    assert "--whole-photo" in rows[6]
    assert rows[8].startswith("3 photos, 2 faces: ")
    assert rows[8].endswith("; 1 without a face; 1 not read.")
    assert "--json" in rows[9]
    assert len(rows) == 10
    assert result.stderr.splitlines() == ["Note: It is no real one."]
    assert result.exit_code == 1


@pytest.mark.usefixtures("detector")
def test_exit_code_0_when_every_photo_was_read(photos):
    assert invoke(photos / "a.png", photos / "b.png").exit_code == 0


@pytest.mark.usefixtures("detector")
def test_json_is_one_document_and_nothing_else(photos, tmp_path):
    given = (photos, photos / "a.png", "--json", "--faces-only")
    result = invoke(*given, "--save-annotated", tmp_path / "out")
    document = json.loads(result.stdout)
    assert set(document) == {
        "emoclf",
        "model",
        "uncertain_rule",
        "uncertain_face_rule",
        "detector",
        "photos",
        "summary",
    }
    assert document["emoclf"] == emoclf.__version__
    assert document["model"] == {
        "file": None,
        "crop": "face",
        "class_names": ["Sad", "Happy"],
    }
    assert set(document["uncertain_rule"]) == {"uncertain_below", "neither_above"}
    assert document["detector"] == {
        "name": "fake",
        "description": "A fake detector.",
        "note": "It is no real one.",
    }
    first, second, third, again = document["photos"]
    assert first["file"] == str(photos / "a.png")
    assert [face["box"]["width"] for face in first["faces"]] == [30, 15]
    assert first["answer"] == first["faces"][0]["answer"]
    assert first["annotated"] == str(tmp_path / "out" / "a.png")
    assert again["annotated"] == str(tmp_path / "out" / "a-2.png")
    assert (second["answer"], second["faces"], second["problem"]) == (None, [], None)
    assert "No face was found" in second["note"]
    assert "web page" in third["problem"]
    assert third["annotated"] is None
    assert document["summary"]["photos"] == 4
    assert document["summary"]["faces"] == 4
    assert document["summary"]["not_read"] == 1
    assert "no real one" in result.stderr
    assert result.exit_code == 1


@pytest.mark.usefixtures("detector")
def test_annotated_pictures_are_written_and_nothing_is_overwritten(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("mine")
    result = invoke(photos, "--save-annotated", out)
    assert sorted(path.name for path in out.iterdir()) == ["a-2.png", "a.png", "b.png"]
    assert (out / "a.png").read_text() == "mine"
    assert f"Annotated: 2 in {out}" in result.stdout
    assert sorted(path.name for path in photos.iterdir()) == ["a.png", "b.png", "deeper"]


@pytest.mark.usefixtures("detector")
def test_a_folder_that_cannot_be_written_ends_in_a_clear_message(photos, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("emoclf.inference.annotation.save_annotated", refuse)
    result = invoke(photos, "--save-annotated", photos)
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr
    assert "--save-annotated" in result.stderr


@pytest.mark.usefixtures("detector")
def test_whole_photo_is_predicted_where_no_face_is_found(photos):
    result = invoke(photos / "a.png", photos / "b.png", "--faces-only", "--whole-photo")
    rows = result.stdout.splitlines()
    assert rows[2].endswith("whole photo")
    assert rows[-2].startswith("2 photos, 2 faces, 1 predicted as a whole: ")
    assert "No face was found" in result.stderr


def test_the_options_choose_the_detector(photos, detector):
    yunet = photos / "a.png"
    invoke(photos / "a.png", "--yunet-file", yunet, "--detector", "yunet", "--no-download")
    assert detector == [{"kind": "yunet", "model_path": yunet, "download": False}]
    both = invoke(photos / "a.png", "--detector", "packaged", "--yunet-file", yunet)
    assert both.exit_code == 2
    assert "--yunet-file" in both.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("a.png", "--no-such-option"), ("a.png", "--detector", "mtcnn")]
)
def test_usage_errors_end_with_2(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_a_model_that_is_not_there_is_a_usage_error(photos, tmp_path):
    result = invoke(photos / "a.png", "--model", tmp_path / "none.keras")
    assert result.exit_code == 2
    assert "none.keras" in result.stderr


@pytest.mark.usefixtures("detector")
def test_what_is_missing_or_empty_is_said_and_the_rest_is_predicted(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".DS_Store").write_text("")
    result = invoke(
        tmp_path / "none.jpg", tmp_path / "empty", tmp_path / "hidden", photos / "a.png"
    )
    assert re.search(r"none\.jpg +not read +There is no such file", result.stdout)
    assert re.search(r"empty +not read +The folder holds no file", result.stdout)
    assert re.search(r"hidden +not read +The folder holds only what is skipped", result.stdout)
    assert "4 photos, 2 faces" in result.stdout
    assert result.exit_code == 1


NO_PATHS = {
    "x" * 300: "File name too long",
    f"{'deep/' * 1500}a.jpg": "File name too long",
    "https://example.com/happy.jpg": "This is an address. Download the photo",
    "https://example.com/" + "x" * 300: "This is an address. Download the photo",
    "Please tell me whether the person in this picture is happy.": "no such file",
    "nul\0.jpg": "No file can have this name",
}


@pytest.mark.usefixtures("detector")
def test_text_that_is_no_path_gets_a_reason_and_the_photos_their_predictions(photos):
    result = call("predict", *NO_PATHS, photos / "a.png", "--json", code=1)
    *rows, last = json.loads(result.stdout)["photos"]
    for row, reason in zip(rows, NO_PATHS.values(), strict=True):
        assert reason in row["problem"]
    assert last["answer"]
    result = call("explain", *NO_PATHS, photos / "a.png", "--output", photos / "maps", code=1)
    assert result.stdout.count("not read") == len(NO_PATHS)
    assert len(list((photos / "maps").iterdir())) == 1


@pytest.mark.parametrize("text", ["", *NO_PATHS])
def test_in_python_text_that_is_no_path_gets_a_reason(text):
    own = predictor.Predictor.packaged(detector=FakeDetector())
    with pytest.raises(UnreadableImageError, match=NO_PATHS.get(text, "no such file")):
        own.predict(text)
    photo = np.zeros((60, 120, 3), np.uint8)
    wrong, missing, right = own.predict([photo / 255, text, photo])
    assert "expected dtype uint8" in wrong.problem
    assert NO_PATHS.get(text, "no such file") in missing.problem
    assert right.answer


@pytest.fixture(params=["ENOTCONN", "EIO", "ESTALE", "EACCES"])
def gone(request, monkeypatch):
    """Whatever is called `gone` is on a drive that went away, or may not be read."""
    number = getattr(errno, request.param)

    def refuse(function):
        def call_or_refuse(path=".", *rest, **options):
            if not isinstance(path, int) and "gone" in os.fspath(path).rpartition("/")[2]:
                raise OSError(number, os.strerror(number), os.fspath(path))
            return function(path, *rest, **options)

        return call_or_refuse

    for name in ("stat", "open", "listdir", "scandir"):
        monkeypatch.setattr(os, name, refuse(getattr(os, name)))
    return os.strerror(number)


@pytest.mark.usefixtures("detector")
def test_a_drive_that_went_away_takes_no_other_answer_with_it(photos, gone):
    """Of the first folder it took one photo, the other is on it."""
    (photos / "gone.png").write_bytes(b"")
    result = call("predict", photos, photos / "gone", "--json", code=1)
    found = {Path(each["file"]).name: each for each in json.loads(result.stdout)["photos"]}
    assert found["a.png"]["answer"]
    assert found["gone"]["problem"]
    assert gone in found["gone.png"]["problem"] or "may not" in found["gone.png"]["problem"]
    result = call("explain", photos, photos / "gone", "--output", photos.parent / "maps", code=1)
    assert len(list((photos.parent / "maps").iterdir())) == 2
    assert "gone.png" in result.output


@pytest.mark.usefixtures("detector")
def test_a_folder_that_may_not_be_read_gets_a_reason(tmp_path, monkeypatch):
    (tmp_path / "photos" / "locked").mkdir(parents=True)
    save_photo(tmp_path / "photos" / "a.png")
    real = os.listdir

    def refuse(path="."):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "listdir", refuse)
    for words in ((tmp_path / "photos",), (tmp_path / "photos" / "locked",)):
        result = call("predict", *words, code=1)
        assert re.search(r"locked +not read +folder that cannot be read: Permission", result.stdout)
    answers = predictor.Predictor.packaged(detector=FakeDetector()).predict(tmp_path / "photos")
    assert [bool(each.problem) for each in answers] == [False, True]


@pytest.mark.usefixtures("detector")
def test_a_photo_that_vanishes_before_it_is_drawn_is_one_row(photos, monkeypatch):
    save_photo(photos / "large.jpg", size=(3000, 1500))
    monkeypatch.setattr(
        predictor, "load_image", lambda photo: load_image(photo.with_name("vanished.jpg"))
    )
    result = call("predict", photos, "--save-annotated", photos.parent / "drawn", code=1)
    assert re.search(r"large\.jpg +not read", result.stdout)
    assert re.search(r"a\.png +(Sad|Happy|uncertain)", result.stdout)


@pytest.mark.usefixtures("detector")
def test_clean_and_evaluate_go_on_where_a_drive_went_away(tmp_path, gone):
    save_folders(tmp_path / "data", 4)
    (tmp_path / "data" / "sad" / "gone.png").write_bytes(b"photo")
    (tmp_path / "data" / "happy" / "gone").mkdir()
    report = find_problems(tmp_path / "data", progress=False)
    assert len(report.records) == 8
    assert {name for name, reason in report.skipped if gone in reason} == {
        "sad/gone.png",
        "happy/gone",
    }
    assert "gone" in call("clean", tmp_path / "data").output
    result = call("evaluate", "packaged", tmp_path / "data", "--json", code=0)
    left_out = {each["file"]: each["reason"] for each in json.loads(result.stdout)["left_out"]}
    assert gone in left_out["sad/gone.png"]
    assert gone in left_out["happy/gone"]


@pytest.mark.usefixtures("detector")
def test_only_an_empty_folder(tmp_path):
    result = invoke(tmp_path)
    assert result.exit_code == 1
    assert "The folder holds no file" in result.stdout
    assert json.loads(invoke(tmp_path, "--json").stdout)["photos"][0]["file"] == str(tmp_path)


@pytest.mark.usefixtures("detector")
def test_a_folder_without_photos_names_each_problem(tmp_path):
    for name in ("a.txt", "b.pdf"):
        (tmp_path / name).write_text("no photo")
    result = invoke(tmp_path)
    assert result.stdout.count("not read  ") == 2
    assert "2 photos, 0 faces; 2 not read." in result.stdout
    assert result.exit_code == 1


@pytest.mark.usefixtures("detector")
def test_links_are_skipped_and_that_is_said(photos):
    (photos / "link.png").symlink_to(photos / "a.png")
    assert "symbolic link" in invoke(photos).stderr


@pytest.mark.usefixtures("detector")
@pytest.mark.parametrize(
    "name",
    ["größe 1.png", "a\nb.png", "\x1b[31mred.png", "-dash.png", os.fsdecode(b"caf\xe9.png")],
)
def test_strange_names_are_shown_safely_and_kept_in_json(name, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    try:
        save_photo(folder / name)
        (folder / f"{name}.txt").write_text("no photo")
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    result = invoke(folder)
    rows = result.stdout.splitlines()
    assert rows[0].startswith(show_text(folder / name))
    assert "not read" in rows[3]
    assert len(rows) == 9
    assert "\x1b" not in result.output
    files = [each["file"] for each in json.loads(invoke(folder, "--json").stdout)["photos"]]
    assert files == [str(folder / name), str(folder / f"{name}.txt")]
    assert invoke(folder, "--save-annotated", tmp_path / "out").exit_code == 1
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_without_a_detector_the_remedy_is_printed(photos, monkeypatch):
    def refuse(*_arguments, **_options):
        raise FaceDetectorUnavailableError("No face detector: install one.")

    monkeypatch.setattr("emoclf.images.faces.make_detector", refuse)
    result = invoke(photos / "a.png", "--faces-only", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "install one" in result.stderr
    for options in ((), ("--faces-only", "--whole-photo")):
        whole = invoke(photos / "a.png", *options)
        assert whole.exit_code == 0
        assert "whole photo" in whole.stdout
        assert "install one" in whole.stderr
        assert "Detector:" not in whole.stdout


def test_a_file_that_is_no_yunet_is_refused(photos):
    result = invoke(photos / "a.png", "--yunet-file", photos / "b.png", "--detector", "yunet")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "b.png" in result.stderr


@pytest.mark.usefixtures("detector")
@pytest.mark.parametrize("name", ["network.onnx", "card.json"])
def test_a_damaged_packaged_model_ends_in_a_clear_message(name, photos, tmp_path, monkeypatch):
    copy = shutil.copytree(FACE_MODEL_FOLDER, tmp_path / "face_model")
    (copy / name).write_bytes(b"damaged")
    monkeypatch.setattr(joint, "PackagedNetwork", lambda _folder: PackagedNetwork(copy))
    result = invoke(photos / "a.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.search(rf"^Error: .*{name}.*Install emoclf again", result.stderr)


@pytest.mark.usefixtures("detector")
def test_a_missing_package_ends_in_a_clear_message(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = invoke(photos / "a.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cv2, which is not installed; install it with: pip install -e ." in result.stderr


@pytest.mark.parametrize("crop", ["none", "face"])
def test_a_learners_model_goes_through_the_same_command(crop, photos, tmp_path, detector):
    from emoclf.models import build_cnn

    info = ModelInfo(image_size=(16, 16), crop=crop)
    path = tmp_path / "model.keras"
    save_model(build_cnn((16, 16), filters=(4, 4)), path, info=info)
    result = invoke(photos / "a.png", "--model", path)
    rows = result.stdout.splitlines()
    assert result.exit_code == 0
    assert "uncertain" not in result.stdout
    if crop == "none":
        assert rows[0].endswith("whole photo")
        assert rows[2].startswith("1 photo, 1 predicted as a whole: 1 ")
        assert detector == []
        assert len(rows) == 3
    else:
        assert rows[1].endswith("face 15x15 at 40,0")
        assert rows[2] == "Detector: A fake detector."


@pytest.mark.usefixtures("detector")
def test_a_foreign_model_file_ends_in_a_clear_message(photos):
    result = invoke(photos / "a.png", "--model", photos / "b.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "b.png is damaged" in result.stderr


@pytest.mark.usefixtures("detector")
def test_a_damaged_model_of_ones_own_ends_in_a_clear_message(photos, tmp_path):
    from emoclf.models import build_cnn

    path = tmp_path / "model.keras"
    save_model(build_cnn((16, 16), filters=(4, 4)), path, info=ModelInfo(image_size=(16, 16)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    result = invoke(photos / "a.png", "--model", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.search(r"^Error: .*model\.keras is damaged", result.stderr)


@pytest.mark.usefixtures("detector")
def test_control_c_says_how_far_it_came(photos, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict_module, "format_rows", interrupt)
    result = invoke(photos)
    assert result.exit_code == 130
    assert "Stopped" in result.stderr


def test_rows_are_aligned_by_columns_of_the_terminal():
    face = FacePrediction((0, 0, 9, 9), {"Sad": 0.04, "Happy": 0.96}, "Happy")
    names = ["笑顔.jpg", "e\u0301te\u0301.jpg", "a.jpg", "n" * 200]
    layout = choose_layout(names, ["Sad", "Happy", "uncertain"])
    rows = [next(format_rows(Prediction(name, faces=(face,)), layout)) for name in names]
    starts = [count_columns(row[: row.index("  Happy  ")]) for row in rows[:3]]
    assert starts == [72, 72, 72]
    assert rows[2].endswith("  Happy      Sad   4%  Happy  96%  face 9x9 at 0,0")
    assert rows[3].startswith("n" * 200 + "  Happy")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_row_is_wider_than_the_terminal_and_the_prediction_is_in_sight(columns):
    face = FacePrediction((1000, 1200, 99, 99), {"Sad": 0.04, "Happy": 0.96}, "Happy", neither=0.1)
    whole = FacePrediction(
        (0, 0, 9, 9), {"Sad": 0.4, "Happy": 0.6}, "uncertain", is_whole_photo=True
    )
    reason = "This is a web page. Download the picture itself, and put it there in its place. "
    names = [f"a folder/{each * 30}/{each} (1).jpg" for each in ("a", "笑", "e\u0301", "b")]
    predictions = [
        *(Prediction(name, faces=(face, whole)) for name in names[:3]),
        Prediction(names[3], problem=3 * reason),
    ]
    answers = ["Sad", "Happy", "uncertain", "not read"]
    values = ["Sad", "Happy", "neither"]
    layout = choose_layout(names, answers, values=values, columns=columns)
    rows = [row for each in predictions for row in format_rows(each, layout)]
    lines = [line for row in rows for line in row.split("\n")]
    assert max(map(count_columns, lines)) <= columns
    for row, word in zip(rows, [*["Happy", "uncertain"] * 3, "not read"], strict=True):
        assert f"  {word}  " in row.split("\n")[0] + "  "
    assert [row.partition("  ")[0][-8:] for row in rows[::2]] == [f"{each[-8:]}" for each in names]
    wide = choose_layout(["a.jpg"], answers, values=values, columns=120)
    assert next(format_rows(Prediction("a.jpg", faces=(face,)), wide)).endswith(
        "99x99 at 1000,1200"
    )


def test_the_sum_counts_every_photo_once():
    shares = {"Sad": 0.4, "Happy": 0.6}
    face = FacePrediction((0, 0, 9, 9), shares, "Happy")
    whole = FacePrediction((0, 0, 9, 9), shares, "uncertain", is_whole_photo=True)
    predictions = [
        Prediction("a", faces=(face, face)),
        Prediction("b", faces=(whole,)),
        Prediction("c", note="No face."),
        Prediction("d", problem="Damaged."),
    ]
    assert describe_summary(summarise(predictions)) == (
        "4 photos, 2 faces, 1 predicted as a whole: 2 Happy, 1 uncertain; 1 without a face; "
        "1 not read."
    )
    assert describe_summary(summarise([])) == "0 photos, 0 faces."


def test_a_prediction_loads_neither_tensorflow_nor_what_it_does_not_need(tmp_path):
    save_photo(tmp_path / "a.png", size=(640, 480))
    heavy = [
        *("tensorflow", "keras", "matplotlib", "sklearn", "scipy", "imagehash", "tqdm"),
        *("emoclf.data.cleaning", "emoclf.evaluation", "emoclf.images.repair"),
        *("emoclf.models.model_file", "emoclf.storage.archives"),
    ]
    code = (
        "import sys\n"
        "from emoclf.__main__ import main\n"
        "try:\n"
        "    sys.exit(main())\n"
        "finally:\n"
        f"    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, "predict", str(tmp_path / "a.png")]
    result = subprocess.run(
        [*command, "--no-download", "--whole-photo"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "[]"
    assert "1 photo, " in result.stdout


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory):
    """A folder that takes a while: 300 copies of one photo."""
    folder = tmp_path_factory.mktemp("many")
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "000.jpg")
    content = (folder / "000.jpg").read_bytes()
    for number in range(1, 300):
        (folder / f"{number:03}.jpg").write_bytes(content)
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_rows_come_one_by_one_and_control_c_ends_quietly(many_photos):
    # more rows than a pipe holds, so that the command is at work when it is interrupted
    with start_process(*[many_photos] * 20) as process:
        killer = threading.Timer(PATIENCE_SECONDS, process.kill)
        killer.start()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
        killer.cancel()
    assert b"000.jpg" in first
    assert rest.count(b"\n") < 5990
    assert process.returncode == 130
    assert b"Stopped" in errors
    assert b"Traceback" not in errors


def test_a_reader_that_stops_reading_is_no_error(many_photos):
    with start_process(many_photos) as process:
        killer = threading.Timer(PATIENCE_SECONDS, process.kill)
        killer.start()
        first = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.wait()
        killer.cancel()
    assert b"000.jpg" in first
    assert b"Traceback" not in errors
    assert b"Exception" not in errors


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_output_of_a_windows_code_page_ends_no_command_half_way(encoding, tmp_path):
    """Names in letters that the page does not have, in each command that names photos."""
    data = tmp_path / "é 笑 \U0001f600"
    save_folders(data, 6, name="ü 悲 ")
    commands = [["predict", data], ["predict", data, "--json"], ["clean", data]]
    commands += [["split", data, "--output", tmp_path / "笑.json"]]
    commands += [["explain", data / "sad" / "ü 悲 0.png", "--output", tmp_path / "笑"]]
    commands += [["evaluate", "packaged", data]]
    commands += [["predict", data / "笑.png"], ["evaluate", "笑", data]]
    run = (
        "import sys; sys.argv[0] = 'emoclf'\n"
        "from emoclf.__main__ import main\n"
        "from emoclf.images import faces\n"
        "from tests.test_command_line import FakeDetector\n"
        "faces.make_detector = lambda *_, **__: FakeDetector()\n"
        f"for words in {[list(map(str, each)) for each in commands]!r}:\n"
        "    print('code', main(words), flush=True)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", run],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert b"Traceback" not in result.stderr
    codes = re.findall(rb"^code (\d)", result.stdout, re.MULTILINE)
    assert codes == [b"0"] * 6 + [b"1", b"2"], (result.stdout, result.stderr)
    assert b"\\U0001f600" in result.stdout
    assert b"12 photos, " in result.stdout


def test_an_output_that_holds_only_ascii_gets_escapes(tmp_path):
    save_photo(tmp_path / "größe.png")
    with start_process(tmp_path, PYTHONIOENCODING="ascii") as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert b"gr\\xf6\\xdfe.png" in output


@pytest.mark.parametrize("kind", ["yunet", "packaged"])
def test_real_photos_are_predicted_with_each_detector(kind, real_data):
    yunet = real_data / "face_detection_yunet_2026may.onnx"
    options = ["--yunet-file", yunet] if kind == "yunet" else []
    files = sorted((real_data / "web_photos" / "happy").glob("*.jpg"))[:6]
    result = invoke(*files, "--detector", kind, *options)
    names = {"yunet": "YuNet", "packaged": "emoclf's own detector"}
    assert f"Detector: {names[kind]}" in result.stdout
    assert re.search(r"6 photos, [1-9]\d* faces?: ", result.stdout)
    assert result.exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no pty")
def test_a_terminal_gets_rows_and_below_them_a_bar_with_rate_and_time_left(tmp_path):
    import pty
    import termios

    for name in "abc":
        save_photo(tmp_path / f"{name}.png")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    command = [sys.executable, "-W", "ignore", "-m", "emoclf", "predict", str(tmp_path)]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        result = subprocess.run(
            [*command, "--no-download", "--whole-photo"],
            stdout=theirs,
            stderr=theirs,
            cwd=REPOSITORY,
            check=False,
        )
        os.close(theirs)
        shown = terminal.read(2**16)
    assert result.returncode == 0
    assert re.search(rb"Photos: .*/3 \[\d\d:\d\d<.*photo/s\]", shown)
    assert b"\\r" not in shown, "the bar may move the cursor"
    lines = shown.replace(b"\r\n", b"\n").decode().split("\n")
    left = "\n".join(line.rpartition("\r")[2] for line in lines)
    assert re.findall(r"([abc]\.png) ", left) == ["a.png", "b.png", "c.png"]
    assert "Photos:" not in left, "it is gone in the end"


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals of this kind")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_terminal_gets_a_bar_when_nothing_else_shows_progress(options, tmp_path):
    """The standard error stream is a terminal, the answers go into a file."""
    import pty
    import termios

    save_photo(tmp_path / "a.png")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))  # else no bar is drawn
    command = [
        *(sys.executable, "-W", "ignore", "-m", "emoclf", "predict", str(tmp_path)),
        *options,
    ]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        result = subprocess.run(
            [*command, "--no-download", "--whole-photo"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            cwd=REPOSITORY,
            check=False,
        )
        os.close(theirs)
        shown = terminal.read(4096)
    assert result.returncode == 0
    assert b"Photos" in shown
    assert b"100%" in shown
    assert b"Photos" not in result.stdout.replace(b'"photos"', b"")
    if options:
        assert json.loads(result.stdout)["summary"]["photos"] == 1
