"""A whole session on the command line, from drawn faces to a tested network."""

import csv
import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import emoclf
from emoclf.data.cleaning import MoveResult
from emoclf.images.faces import FaceDetectorUnavailableError
from emoclf.inference import Predictor
from emoclf.photos import Photos
from tests.calls import call

REPOSITORY = Path(__file__).resolve().parent.parent
MAP = "--map 'Happy ones=Happy,the sad=Sad'"


class Blind:
    """A detector that finds nothing."""

    name, description, note = "blind", "Finds nothing.", ""

    def find(self, _image):
        return ()


def run(*arguments, code=0):
    return call(*arguments, code=code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    run("draw-faces", folder / "data", "--per-class", 24)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """The output of a training, and its run folder."""
    options = ("--image-size", "32", "--epochs", 2, "--logs", folder / "logs", "--name", "first")
    output = run("train", folder / "data", *options, "--no-augment").stdout
    return output, folder / "logs" / "first"


def test_drawing_goes_on_and_overwrites_nothing(folder):
    before = {path: path.read_bytes() for path in (folder / "data").rglob("*.*")}
    output = run("draw-faces", folder / "data", "--per-class", 24).stdout
    assert "24 Sad, 24 Happy" in output
    assert "flawed files" in output
    assert {path: path.read_bytes() for path in (folder / "data").rglob("*.*")} == before
    error = run("draw-faces", folder / "data", "--per-class", 3, code=1).stderr
    assert "at least 10" in error or "3" in error


def test_cleaning_moves_only_when_asked_and_restoring_undoes_it(tmp_path):
    data = tmp_path / "data"
    run("draw-faces", data, "--per-class", 12)
    files = {path: path.read_bytes() for path in data.rglob("*.*")}
    table = tmp_path / "problems.csv"
    output = run("clean", data, "--csv", table).stdout
    assert "Nothing was moved. Add --move" in output
    assert {path: path.read_bytes() for path in data.rglob("*.*")} == files
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = json.loads(run("clean", data, "--json").stdout)
    assert len(rows) == counts["files"] == counts["kept"] + counts["rejected"]
    assert counts["moved"] == []
    assert "exists already" in run("clean", data, "--csv", table, code=2).stderr
    moved = run("clean", data, "--move").stdout
    assert f"{counts['rejected']} files moved to" in moved
    assert f"restore {data}" in moved
    again = run("clean", data, "--move").stdout
    assert "Add --move" not in again
    assert "There was nothing to move." in again
    assert f"{counts['rejected']} files restored" in run("restore", data).stdout
    kept = {path: path.read_bytes() for path in files if path.is_file()}
    assert kept == files


def test_a_split_is_written_once_and_can_be_trained_on(folder, tmp_path):
    path = tmp_path / "split.json"
    output = run("split", folder / "data", "--output", path, "--test-fraction", 0.3).stdout
    photos = Photos.load(path)
    counts = {name: sum(each.values()) for name, each in photos.count().items()}
    assert counts["test"] > counts["validation"] > 0
    assert str(counts["test"]) in output
    assert "exists already" in run("split", folder / "data", "--output", path, code=2).stderr
    options = ("--image-size", "32x48", "--epochs", 1, "--logs", tmp_path, "--name", "on-split")
    run("train", "--split", path, *options)
    assert Photos.load(tmp_path / "on-split" / "split.json") == photos
    settings = json.loads((tmp_path / "on-split" / "settings.json").read_text())
    assert settings["image_size"] == [32, 48]


def test_training_keeps_everything_and_says_what_is_next(trained):
    output, run_folder = trained
    assert f"run folder: {run_folder}" in output
    assert "left out (`clean` says why)" in output
    assert f"evaluate {run_folder}" in output
    for name in ("settings.json", "split.json", "history.csv", "best.keras", "model.keras"):
        assert (run_folder / name).is_file()
    settings = json.loads((run_folder / "settings.json").read_text())
    assert (settings["epochs"], settings["augment"]) == (2, False)


def test_a_training_goes_on_and_has_a_second_place(folder, tmp_path):
    options = ["train", folder / "data", "--image-size", "32", "--epochs", 1, "--resume"]
    options += ["--ema-momentum", "0.9", "--name", "a", "--copies", tmp_path / "drive"]
    first = run(*options, "--logs", tmp_path / "logs").stdout
    assert "done." not in first
    again = run(*options, "--logs", tmp_path / "another machine").stdout
    assert "1 epoch is done. The training had ended." in again
    names = ("settings.json", "history.csv", "best.keras", "model.keras")
    assert all((tmp_path / "drive" / "a" / name).is_file() for name in names)
    for name in ("history.csv", "model.keras"):
        places = ("logs", "another machine", "drive")
        assert len({(tmp_path / place / "a" / name).read_bytes() for place in places}) == 1, name
    error = run(*options, "--logs", tmp_path / "logs", "--dropout", "0.4", code=1).stderr
    assert "dropout was 0.3 and is 0.4" in error
    assert "--name first --resume" in run("train", folder, "--resume", code=2).stderr


def test_several_workers_need_a_number_each_and_a_network_in_one_piece(folder, tmp_path):
    options = ["train", folder / "data", "--logs", tmp_path, "--workers", "a:1, b:1"]
    assert "--workers needs the name of the run" in run(*options, code=2).stderr
    options += ["--name", "big"]
    error = run(*options, "--worker", 2, code=1).stderr
    assert "There is no worker 2: the 2 workers are counted from 0" in error
    error = run(*options, "--network", "face", code=1).stderr
    assert "trained in stages, on one worker" in error
    error = run(*options, "--ema-momentum", "0.9", code=1).stderr
    assert "--ema-momentum 0.9 is for one worker. Set --ema-momentum 0" in error
    assert list(tmp_path.iterdir()) == []


def test_the_test_photos_of_a_run_are_those_of_its_split(trained):
    _, run_folder = trained
    output = run("evaluate", run_folder).stdout
    count = len(Photos.load(run_folder / "split.json").part("test"))
    assert re.search(rf"^accuracy .* {count}$", output, flags=re.MULTILINE)
    numbers = json.loads((run_folder / "metrics.json").read_text())
    assert "First recorded access" in output
    document = json.loads(run("evaluate", run_folder, "--json").stdout)
    assert document["accuracy"] == numbers["accuracy"]
    assert document["intervals"] == numbers["intervals"]
    assert (numbers["test_accesses"], document["test_accesses"]) == (1, 2)
    assert document["left_out"] == []
    assert f"{numbers['accuracy']['value']:.3f}" in output
    run("evaluate", run_folder, "--part", "validation")
    assert (run_folder / "validation_metrics.json").is_file()
    one_by_one = emoclf.Predictor.load(run_folder)
    with (run_folder / "predictions.csv").open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    root = Photos.load(run_folder / "split.json").root
    answer = one_by_one.predict(f"{root}/{row['file']}")
    assert float(row["probability_Happy"]) == pytest.approx(answer.probabilities["Happy"], abs=1e-5)


def test_another_folder_is_tested_without_the_photos_of_the_run(trained, folder, tmp_path):
    _, run_folder = trained
    run("draw-faces", tmp_path / "new", "--per-class", 12, "--seed", 77)
    for name in ("sad", "happy"):
        source = next(path for path in (folder / "data").iterdir() if path.name.lower() == name)
        shutil.copytree(source, tmp_path / "new" / name / "old")
    split = Photos.load(run_folder / "split.json")
    result = run("evaluate", run_folder, tmp_path / "new", "--json")
    document = json.loads(result.stdout)
    files = json.loads(run("clean", tmp_path / "new", "--json").stdout)["files"]
    assert document["photos"] + len(document["left_out"]) == files
    assert all(each["reason"] for each in document["left_out"])
    known = [each for each in document["left_out"] if each["reason"].startswith("in the run's")]
    assert len(known) >= len(split)
    assert all("/old/" in each["file"] for each in known)
    shown = run("evaluate", run_folder, tmp_path / "new").stdout
    assert f"{len(known):,} photos are left out" in shown


@pytest.mark.parametrize("command", ["evaluate", "analyse-errors"])
def test_the_training_photos_are_no_test_wherever_they_lie(trained, folder, tmp_path, command):
    _, run_folder = trained
    split = Photos.load(run_folder / "split.json")
    for row in split.rows:
        target = tmp_path / "copy" / split.class_names[row.label] / f"{row.sha256[:9]}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "data" / row.path, target)
    for model in (run_folder, run_folder / "model.keras"):
        error = run(command, model, tmp_path / "copy", code=1).stderr
        assert f"{len(split)} photos are left out" in error
        assert f"({len(split.part('train'))} learned from" in error
        assert "--photos FOLDER" in error
    error = run(command, run_folder, folder / "data", code=1).stderr
    assert "holds no photo to test on" in error


def test_every_command_finds_moved_photos(trained, folder, tmp_path):
    _, run_folder = trained
    options = ("--folds", 2, "--epochs", 1, "--image-size", 32, "--logs", tmp_path, "--no-augment")
    run("cross-validate", folder / "data", *options, "--name", "check")
    check, moved = tmp_path / "check", folder / "elsewhere"
    skipped = ("colours", "pixels", "network", "face_features", "fine_tuned")
    commands = (
        ("find-label-errors", check),
        ("compare-corrections", check, check / "review" / "decisions.csv", "--logs", tmp_path),
        ("baselines", run_folder, *(word for name in skipped for word in ("--skip", name))),
        ("export", run_folder, "--format", "keras", "--output", tmp_path / "exports"),
    )
    (folder / "data").rename(moved)
    try:
        missing = [
            run(*command, code=1).stderr
            for command in commands
            if command[0] != "compare-corrections"
        ]
        found = [run(*command, "--photos", moved, code=None) for command in commands]
    finally:
        moved.rename(folder / "data")
    assert all("--photos FOLDER" in error for error in missing)
    assert [each.stderr for each in found if each.exit_code] == []


def test_photos_that_were_moved_are_tested_where_they_are(trained, folder):
    _, run_folder = trained
    before = json.loads(run("evaluate", run_folder, "--json").stdout)["accuracy"]
    moved = folder / "elsewhere"
    (folder / "data").rename(moved)
    try:
        after = run("evaluate", run_folder, "--photos", moved, "--json").stdout
        run("analyse-errors", run_folder, "--photos", moved, "--no-robustness")
        error = run("evaluate", run_folder, "--photos", run_folder, code=1).stderr
        both = run("evaluate", run_folder, moved, "--photos", moved, code=2).stderr
    finally:
        moved.rename(folder / "data")
    assert json.loads(after)["accuracy"] == before
    assert "holds 0 of the" in error
    assert "has no meaning with FOLDER" in both


def test_without_any_face_the_reason_is_said(folder, monkeypatch):
    monkeypatch.setattr("emoclf.images.faces.make_detector", lambda *_, **__: Blind())
    assert "accuracy" in run("evaluate", "packaged", folder / "data").stdout, "by the scene"
    load = Predictor.packaged
    monkeypatch.setattr(Predictor, "packaged", lambda **how: load(**{**how, "faces_only": True}))
    error = run("evaluate", "packaged", folder / "data", code=1).stderr
    assert "photos in" in error
    assert "The first:" in error


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["train"], "Say what to train on"),
        (["train", "x", "--image-size", "big"], "'big' is no size"),
        (["train", "x", "--detector", "packaged", "--yunet-file", __file__], "leave out"),
        (["evaluate", "packaged"], "name the photos"),
        (["evaluate", "logs/none"], "logs/none does not exist: name a run folder"),
        (["analyse-errors", "logs/none"], "logs/none does not exist: name a run folder"),
        (["draw-faces", "x", "--per-class", "0"], "per-class"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, part):
    assert part in run(*arguments, code=2).stderr


IMPOSSIBLE = [
    (
        "train",
        "--network face --image-size 96",
        "takes 48 x 48 pixels. Received: --image-size 96x96",
    ),
    ("train", "--network vgg16 --weights nowhere.h5", "Received: no file"),
    ("train", "--network vgg16 --weights {file}", "Received: another file"),
    ("train", "--weights none", "no meaning with --network small"),
    ("train", "--without-face whole_photo", "add --crop face"),
    ("train", "--network small --no-download", "add --crop face"),
    ("train", "--network joint --epochs 3", "--epochs has no meaning with --network joint"),
    ("train", "--network joint --devices all", "--devices has no meaning with --network joint"),
    ("train", "--crop both --no-augment", "--augment has no meaning with --network joint"),
    ("train", "--network joint --without-face whole_photo", "--without-face has no meaning"),
    ("train", "--network joint --crop face", "joint"),
    ("cross-validate", "--network joint --patience 3", "--patience has no meaning"),
    ("train", "--name a/b", "plain folder name"),
    ("train", "--name strange --resume", "is no run"),
    ("train", "--name first --resume --dropout 0.4", "dropout was 0.3 and is 0.4"),
    ("train", "--name a --workers a,b", "host:port"),
    ("train", "--name a --workers a:1,b:1 --worker 2", "no worker 2"),
    ("train", "--name a --workers a:1,b:1 --network face", "on one worker"),
    ("train", "--name a --workers a:1,b:1 --ema-momentum 0.9", "one worker"),
    ("train", "--worker 1", "--worker needs the list"),
    ("train", "--resume", "--name first --resume"),
    ("cross-validate", "--learner face_features --image-size 96", "takes faces of 48 x 48"),
    ("cross-validate", "--learner face_features --crop none", "Received: --crop none"),
    ("cross-validate", "--learner face_features --epochs 3", "--epochs has no meaning"),
    ("cross-validate", "--learner face_features --no-augment", "--augment has no meaning"),
    ("cross-validate", "--folds 90", "90 folds cannot be made: class"),
    ("cross-validate", "--network vgg16 --weights nowhere.h5", "Received: no file"),
    ("cross-validate", "--name first --resume --dropout 0.4", "dropout was 0.3 and is 0.4"),
    ("baselines", "--network vgg16 --weights nowhere.h5", "Received: no file"),
    ("baselines", "--weights none", "no meaning with --network small"),
    ("baselines", "--name a/b", "plain folder name"),
    ("baselines", "--name strange --resume", "is no run"),
    (
        "baselines",
        "--network small --detector packaged --skip face_features --skip fine_tuned",
        "--detector has no meaning for whole photos",
    ),
]


CHOSEN = [
    ("", "joint", "it was right most often where it was measured"),
    (
        "--no-download --seed 3 --no-class-weights",
        "joint",
        "--network small trains one of your own",
    ),
    ("--crop both", "joint", "half a minute"),
    ("--crop face", "small", "joint, the usual one, has no use for --crop"),
    ("--epochs 15", "small", "has no use for --epochs"),
    ("--image-size 32", "small", "has no use for --image-size"),
    ("--no-augment", "small", "has no use for --augment"),
    ("--devices all", "small", "has no use for --devices"),
    ("--resize-mode crop", "small", "has no use for --resize-mode"),
    ("--name first --resume --image-size 32 --epochs 2 --no-augment", "small", "began with it"),
    ("--network deep", "deep", None),
    ("--network joint", "joint", None),
]


@pytest.mark.parametrize("command", ["train", "cross-validate", "baselines"])
@pytest.mark.parametrize(("options", "network", "why"), CHOSEN)
def test_where_no_network_is_named_one_is_chosen_and_it_is_said_why(
    command, options, network, why, trained, folder, monkeypatch, tmp_path
):
    taken = []

    def take(_photos, settings, **_options):
        taken.append(settings)
        raise ValueError("That is enough.")

    monkeypatch.setattr("emoclf.training.train", take)
    monkeypatch.setattr("emoclf.experiments.cross_validation.cross_validate", take)
    monkeypatch.setattr("emoclf.experiments.baselines.train_baselines", take)
    for module in ("training", "label_errors", "evaluating"):
        monkeypatch.setattr(f"emoclf.apps.commands.{module}.load_tensorflow", lambda: None)
    shutil.copytree(trained[1], tmp_path / "logs" / "first")
    words = [word for word in options.split() if command == "train" or word != "--devices"]
    words = [word for word in words if command == "train" or word != "all"]
    if words != options.split():
        pytest.skip("an option of train alone")
    called = run(command, folder / "data", *words, "--logs", tmp_path / "logs", code=1)
    assert "That is enough." in called.stderr
    assert taken[0].network == network
    if why is None:
        assert "Network:" not in called.stdout
    else:
        (line,) = [each for each in called.stdout.splitlines() if each.startswith("Network:")]
        assert line.startswith(f"Network: {network}, because ")
        assert why in line


def test_the_usual_training_is_joint_and_goes_on_as_it_began(folder, tmp_path):
    words = ("train", folder / "data", "--logs", tmp_path, "--name", "usual", "--copies")
    output = run(*words, tmp_path / "drive").stdout
    assert "Network: joint" in output
    settings = json.loads((tmp_path / "usual" / "settings.json").read_text())
    assert settings["network"] == "joint"
    assert (tmp_path / "drive" / "usual" / "model.zip").is_file()
    again = run(*words, tmp_path / "drive", "--resume").stdout
    assert f"{tmp_path / 'usual'} began with it." in again
    error = run(*words, tmp_path / "drive", "--resume", "--epochs", 3, code=2).stderr
    assert "--epochs has no meaning with --network joint" in error


def test_a_run_that_only_its_second_place_has_goes_on_with_its_own_network(
    trained, folder, tmp_path
):
    shutil.copytree(trained[1], tmp_path / "drive" / "first")
    words = ("train", folder / "data", "--logs", tmp_path / "logs", "--name", "first", "--resume")
    words += ("--image-size", 32, "--epochs", 2, "--no-augment", "--copies", tmp_path / "drive")
    output = run(*words).stdout
    assert f"Network: small, because {tmp_path / 'drive' / 'first'} began with it." in output
    assert "The training had ended." in output


@pytest.mark.parametrize(("command", "options", "said"), IMPOSSIBLE)
def test_what_cannot_work_is_said_before_tensorflow_is_loaded_and_leaves_no_run(
    command, options, said, trained, folder, monkeypatch, tmp_path
):
    for module in ("training", "label_errors", "evaluating"):
        name = f"emoclf.apps.commands.{module}.load_tensorflow"
        monkeypatch.setattr(name, lambda: pytest.fail("TensorFlow was loaded"))
    shutil.copytree(trained[1], tmp_path / "logs" / "first")
    (tmp_path / "logs" / "strange").mkdir()
    file = tmp_path / "logs" / "strange" / "notes.h5"
    file.write_text("no weights")
    before = sorted(tmp_path.rglob("*"))
    words = [file if word == "{file}" else word for word in options.split()]
    called = run(command, folder / "data", *words, "--logs", tmp_path / "logs", code=None)
    assert called.exit_code in (1, 2), called.output
    assert said in called.stderr
    assert "run folder" not in called.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_is_taken_is_said_first_and_last(trained, folder, tmp_path):
    shutil.copytree(trained[1], tmp_path / "first")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    options = ("--image-size", "32", "--epochs", 1, "--logs", tmp_path, "--name", "first")
    called = run("train", folder / "data", *options)
    first, *_, last, next_line = called.output.splitlines()
    for line in (first, last):
        assert line.startswith(f"Note: {tmp_path / 'first'} was there before")
        assert f"This run is {tmp_path / 'first-2'}." in line
    assert next_line == f"Next: python -m emoclf evaluate {tmp_path / 'first-2'}"
    assert {path: path.read_bytes() for path in before} == before
    assert "Note" not in run("train", folder / "data", *options, "--resume", code=1).output


def test_many_rejected_files_are_moved_on_request_alone(tmp_path):
    data = tmp_path / "data"
    run("draw-faces", data, "--per-class", 10, "--no-flaws")
    for number in range(11):
        (data / "happy" / f"{number}.jpg").write_text("no picture")
    error = run("clean", data, "--move", code=1).stderr
    assert "11 of 21 files (class Happy)" in error
    assert "pass --max-fraction 0.53" in error
    assert "11 files moved" in run("clean", data, "--move", "--max-fraction", 0.53).stdout


def test_bad_values_and_folders_end_in_one_line(folder, tmp_path):
    error = run("train", folder / "data", "--dropout", 2, code=1).stderr
    assert "--dropout 2.0 is out of range. Expected: 0 to below 1." in error
    error = run("train", tmp_path / "none", code=1).stderr
    assert str(tmp_path / "none") in error
    error = run("evaluate", tmp_path, code=1).stderr
    assert "model.keras" in error
    split = tmp_path / "split.json"
    run("split", folder / "data", "--output", split)
    error = run("train", "--split", split, "--test-fraction", 0.2, code=2).stderr
    assert "--test-fraction has no meaning with --split" in error


def test_photos_that_are_gone_are_named(trained, folder):
    _, run_folder = trained
    moved = folder / "elsewhere"
    (folder / "data").rename(moved)
    try:
        error = run("evaluate", run_folder, code=1).stderr
    finally:
        moved.rename(folder / "data")
    assert "--photos FOLDER" in error


def test_control_c_leaves_the_best_epoch(folder, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("emoclf.training.train", stop)
    error = run("train", folder / "data", code=130).stderr
    assert "best.keras" in error


def test_the_doctor_reports_what_is_here(monkeypatch):
    monkeypatch.setattr("emoclf.runtime.doctor", list)
    monkeypatch.setattr("emoclf.images.faces.make_detector", lambda *_, **__: Blind())
    found = json.loads(run("doctor", "--json").stdout)
    assert found["detector"] == "Finds nothing."
    assert found["findings"] == []
    assert found["versions"]["keras"]
    assert "CPU" in found["hardware"]
    assert "whole" in found["network"]


def test_the_doctor_names_what_is_missing_and_ends_with_1(monkeypatch):
    def refuse(*_, **__):
        raise FaceDetectorUnavailableError("Take OpenCV 4.")

    monkeypatch.setattr("emoclf.images.faces.make_detector", refuse)
    output = run("doctor", code=1).stdout
    assert "detector       none: see below" in output
    assert "Take OpenCV 4." in output


def test_without_the_extra_no_face_network_is_trained_to_be_packaged(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    options = ("--folder", tmp_path / "networks", "--package", tmp_path / "package")
    error = run("train-face-model", tmp_path, *options, code=1).stderr
    assert "[export]" in error
    assert not list(tmp_path.iterdir())


def test_what_the_system_refuses_is_said_with_the_file_and_the_way_out(folder, tmp_path):
    (tmp_path / "file").write_text("")
    error = run("stage", folder / "data", tmp_path / "file" / "copy", code=1).stderr
    assert str(tmp_path / "file") in error
    assert "Check the path" in error
    assert "Errno" not in error


def test_a_full_disk_is_said_with_what_to_do(folder, tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "split.json")

    monkeypatch.setattr("emoclf.photos.Photos.save", fill)
    error = run("split", folder / "data", "--output", tmp_path / "split.json", code=1).stderr
    assert error == (
        "Error: split.json: No space left on device. Make room on that disk, or choose another "
        "place, and give the command again (a training goes on with --resume).\n"
    )


@pytest.mark.parametrize("free", [0, 2**40, None])
def test_a_full_temporary_folder_is_named(folder, tmp_path, monkeypatch, free):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "model.keras")

    def measure(place):
        if free is None:
            raise FileNotFoundError(place)
        return SimpleNamespace(free=free)

    monkeypatch.setattr("emoclf.photos.Photos.save", fill)
    monkeypatch.setattr("shutil.disk_usage", measure)
    error = run("split", folder / "data", "--output", tmp_path / "split.json", code=1).stderr
    assert ("The temporary folder" in error) == (free != 2**40)


def test_a_model_that_is_missing_and_a_training_that_has_not_ended_are_told_apart(tmp_path):
    assert "does not exist" in run("evaluate", tmp_path / "none", code=2).stderr
    (tmp_path / "best.keras").write_text("")
    error = run("predict", tmp_path, "--model", tmp_path, code=1).stderr
    assert "has not ended" in error
    assert "--resume" in error
    assert str(tmp_path / "best.keras") in error


def test_a_next_command_can_be_copied_as_it_is(tmp_path):
    data = tmp_path / "my faces"
    run("draw-faces", data, "--per-class", 12)
    output = run("clean", data, "--move").stdout
    (undo,) = [line for line in output.splitlines() if line.startswith("Undo it")]
    assert shlex.split(undo)[-1] == str(data)
    assert "Undo it" not in run("clean", data, "--move").stdout


@pytest.fixture
def shell(tmp_path):
    """A folder with blanks and an apostrophe, and what runs a line in a shell there."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -W ignore "$@"\n')
    python.chmod(0o755)
    place = tmp_path / "it's a folder of mine"
    place.mkdir()
    environment = {
        **{"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        **{"PYTHONPATH": str(REPOSITORY), "EMOCLF_CACHE": str(tmp_path / "cache")},
        **{"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    }

    def paste(line):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=place,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    return place, paste


def find_next(output):
    return re.findall(r"^Next: (.*)$", output, flags=re.MULTILINE)


def draw_colours(folder, count, *, wrong=0):
    """Red is Happy and blue is Sad, so that a network of a few steps knows them apart."""
    noise = np.random.default_rng(1)
    for index, (name, channel) in enumerate((("Happy ones", 0), ("the sad", 2))):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            coarse = noise.integers(0, 90, (6, 6, 3), dtype=np.uint8)
            coarse[..., channel if number >= wrong else 2 - channel] += 150
            picture = Image.fromarray(coarse).resize((64, 64))
            picture.save(folder / name / f"{index} it's {number}.png")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_every_next_line_can_be_pasted_where_it_was_printed(shell):
    place, paste = shell
    draw_colours(place / "my photos" / "a $HOME", 60)
    (place / "my photos").rename(place / "-photos")
    waiting, seen = [f"python -m emoclf stage './-photos/a $HOME' 'all of them' {MAP}"], []
    while waiting:
        line = waiting.pop()
        command = shlex.split(line)[3]
        if command not in seen:
            seen.append(command)
            waiting += [each for each in find_next(paste(line)) if "baselines" not in each]
    assert seen == ["stage", "clean", "train", "evaluate", "analyse-errors", "explain", "predict"]
    run_folder = shlex.quote(str(next((place / "logs").glob("20*"))))
    for line in (
        "split 'all of them'",
        f"evaluate {run_folder} --part validation",
    ):
        (following,) = find_next(paste(f"python -m emoclf {line}"))
        assert paste(following if "--split" not in following else f"{following} --epochs 1")
    small = shlex.quote(str(next((place / "logs").glob("20*/model.keras")).parent))
    (following,) = find_next(paste(f"python -m emoclf export {small} --format keras"))
    assert paste(following)
    assert find_next(paste("python -m emoclf draw-faces 'new one' --per-class 12 --no-flaws")) == [
        "python -m emoclf clean 'new one'"
    ]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_next_lines_lead_through_the_label_errors(shell):
    place, paste = shell
    draw_colours(place / "my photos", 40, wrong=2)
    settings = "--folds 2 --epochs 12 --image-size 32"
    line = f"python -m emoclf cross-validate 'my photos' {MAP} --name 'a b' {settings}"
    (line,) = find_next(paste(line))
    (line,) = find_next(paste(line))
    assert shlex.split(line)[3:5] == ["apply-decisions", "my photos"]
    table = place / shlex.split(line)[5]
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = [{**row, "decision": "move"} for row in csv.DictReader(file)]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (line,) = find_next(paste(line))
    assert "--move" in line
    output = paste(line)
    (line,) = find_next(output)
    assert shlex.split(line)[3] == "compare-corrections"
    (following,) = find_next(paste(line))
    assert shlex.split(following)[3] == "analyse-errors"
    (undo,) = re.findall("^Undo it: (.*)$", output, flags=re.MULTILINE)
    (line,) = find_next(paste(undo))
    assert shlex.split(line)[3] == "clean"


def test_a_network_below_chance_sends_nobody_on_to_label_errors(folder, tmp_path):
    options = ("--folds", 2, "--epochs", 1, "--image-size", 32, "--logs", tmp_path, "--no-augment")
    output = run("cross-validate", folder / "data", *options, "--name", "check").stdout
    assert find_next(output) == []
    assert "not shown to be better than guessing" in output
    output = run("find-label-errors", tmp_path / "check").stdout
    assert "says nothing about the labels" in output
    assert all("apply-decisions" in each for each in find_next(output))


@pytest.mark.parametrize("command", ["predict", "clean", "evaluate", "train", "explain"])
def test_an_empty_argument_is_not_the_current_folder(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more = ("--output", "maps") if command == "explain" else ()
    error = run(command, "", *more, code=2).stderr
    assert "is empty" in error
    assert "variable of the shell" in error
    assert "--output is empty" in run("split", "data", "--output", "", code=2).stderr


def test_what_could_not_be_moved_or_brought_back_is_no_success(tmp_path):
    data = tmp_path / "data"
    run("draw-faces", data, "--per-class", 12)
    run("clean", data, "--move")
    (moved,) = (data / "quarantine").iterdir()
    lost = next(path for path in (moved / "files").rglob("*.*") if path.is_file())
    kept = lost.read_bytes()
    lost.unlink()
    result = run("restore", data, code=1)
    assert "neither in quarantine nor in its place" in " ".join(result.stdout.split())
    assert find_next(result.stdout) == []
    lost.parent.mkdir(parents=True, exist_ok=True)
    lost.write_bytes(kept)
    assert "1 file restored" in run("restore", data).stdout


def test_predict_says_which_photos_the_network_was_trained_with(trained, tmp_path):
    _, run_folder = trained
    photos = Photos.load(run_folder / "split.json")
    known, unseen = (photos.part(part).files[0] for part in ("train", "test"))
    shutil.copy(known, tmp_path / "another name.png")
    error = run("predict", tmp_path, unseen, "--model", run_folder).stderr
    assert "1 of 2 photos was used to train this network" in error
    assert "used to train" not in run("predict", unseen, "--model", run_folder).stderr


def test_folders_without_a_class_name_are_pointed_to_the_class_map(tmp_path):
    for name in ("sunny", "rainy"):
        (tmp_path / name).mkdir()
    error = run("clean", tmp_path, code=1).stderr
    assert "--map FOLDER=Sad,OTHER=Happy" in error
    assert "=Sad" not in error.replace("FOLDER=Sad", "")


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("train", ()),
        ("cross-validate", ()),
        ("baselines", ("--skip", "face_features", "--skip", "fine_tuned")),
    ],
)
def test_a_network_that_cannot_be_built_leaves_no_run_behind(command, more, folder, tmp_path):
    weights = tmp_path / "nothing.h5"
    weights.write_bytes(b"\x89HDF\r\n\x1a\nno weights")
    options = ("--network", "vgg16", "--weights", weights, "--image-size", 32, *more)
    error = run(command, folder / "data", *options, "--logs", tmp_path, "--name", "a", code=1)
    assert "does not hold the weights of 'vgg16'" in error.stderr
    assert not (tmp_path / "a").exists()


def test_an_empty_name_cannot_be_gone_on_with(folder):
    assert "--name" in run("train", folder / "data", "--name", "", "--resume", code=2).stderr


def test_what_is_for_one_worker_is_refused_for_several(folder, tmp_path):
    options = ("--name", "a", "--workers", "a:1,b:1")
    for more in (("--copies", tmp_path), ("--devices", "all")):
        assert "one worker" in run("train", folder / "data", *options, *more, code=2).stderr


def test_options_that_would_be_left_out_are_refused(folder):
    error = run("train", folder / "data", "--worker", 0, code=2).stderr
    assert "--worker needs the list of all" in error
    error = run("train", folder / "data", "--weights", "my.h5", code=2).stderr
    assert "no meaning with --network small" in error


def test_a_reader_that_leaves_is_no_error(tmp_path, monkeypatch):
    def leave(*_, **__):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("emoclf.data.sources.stage_data", leave)
    assert run("stage", tmp_path, tmp_path / "copy", code=1).stderr == ""


def test_what_stays_in_place_is_said_and_no_option_asked_for_that_was_given(tmp_path, monkeypatch):
    data = tmp_path / "data"
    run("draw-faces", data, "--per-class", 12)
    left = (("sad/a.jpg", "is gone"),)
    result = MoveResult("move", data, data / "quarantine" / "x", dry_run=False, left=left)
    monkeypatch.setattr("emoclf.data.cleaning.quarantine", lambda *_, **__: result)
    output = run("clean", data, "--move", code=1).stdout
    assert "left in place" in output
    assert ["sad/a.jpg", "is", "gone"] in [line.split() for line in output.splitlines()]
    assert "Add --move" not in output
    assert "Undo it" not in output
