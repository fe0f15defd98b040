"""Every command, called with hostile names, one after the other; run by `test_terminal.py`.

The calls are made in one process, so that TensorFlow starts once. Each call's output is led by a
line with its number. Usage: `python -m tests.hostile_session FOLDER PART`.
"""

import csv
import io
import json
import os
import shutil
import sys
import tarfile
import traceback
import zipfile
from pathlib import Path

CODES = (
    "\x1b[5;31m\x1b]0;owned\x07\x1b[2J\u009b2J\u0090q\r\nFORGED \u202e$(touch owned)`touch owned`"
)
"""Colour, title, erasing, C1, a line that is forged, turned writing, lines for a shell."""

BYTES = f"\udc9b2J\udcff{CODES}"
"""With bytes that are no UTF-8; a terminal in Latin-1 reads the first as C1."""

MARK = "---- call"


def make_world(folder):
    """Write a data set, archives, tables and model files whose names and cells are hostile."""
    from emoclf.data.synthetic import make_drawn_faces

    make_drawn_faces(folder / "plain", photos_per_class=24, size=(64, 64), seed=1)
    data = folder / f"-data {CODES}"
    for name in ("happy", "sad"):
        target = data / f"{name} {CODES}"
        target.mkdir(parents=True)
        for number, path in enumerate(sorted((folder / "plain" / name).iterdir())):
            codes = BYTES if number % 2 else CODES
            path.rename(target / f"-{number} {codes}{path.suffix}")
        (target / f"broken {BYTES}.jpg").write_text("<html>no photo</html>")
        (target / f"deeper {BYTES}").mkdir()
    photos = sorted((data / f"happy {CODES}").glob("-*"))
    for number in range(2):
        shutil.copy(photos[0], data / f"happy {CODES}" / f"copy {number} {BYTES}.png")
        shutil.copy(photos[1], data / f"sad {CODES}" / f"copy {number} {BYTES}.png")
    os.mkfifo(data / f"sad {CODES}" / f"pipe {CODES}")
    (data / f"no class {BYTES}").mkdir()
    (folder / "empty").mkdir()
    (folder / "lone" / f"gloom {BYTES}").mkdir(parents=True)
    write_archives(folder, photos[0].read_bytes())
    write_tables(folder)
    write_models(folder)
    return data


def write_archives(folder, picture):
    names = [f"happy/{CODES.replace('/', '')}.png", f"sad/{BYTES}.png", f"other {CODES}/x.txt"]
    with zipfile.ZipFile(folder / f"good {CODES}.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name.encode("utf-8", "replace").decode(), picture + bytes([number]))
    with zipfile.ZipFile(folder / "unsafe.zip", "w") as archive:
        archive.writestr(f"../{CODES}.png", picture)
    with zipfile.ZipFile(folder / "twice.zip", "w") as archive:
        archive.writestr(f"happy/{CODES}A.png", picture)
        archive.writestr(f"happy/{CODES}a.png/b.png", picture)
    for kind, name in (("good", names[0]), ("unsafe", f"/{CODES}"), ("link", f"happy/{BYTES}")):
        with tarfile.open(folder / f"{kind}.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(picture)
            if kind == "link":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, BYTES, 0
            archive.addfile(member, io.BytesIO(picture))
    (folder / f"broken {BYTES}.zip").write_bytes(b"PK\x03\x04 no zip")


def write_tables(folder):
    rows = {
        f"fer {CODES}.csv": [["emotion", "pixels", "Usage"], [CODES, "1 2", CODES]],
        "usage.csv": [["emotion", "pixels", "Usage"], ["3", " ".join(["7"] * 2304), CODES]],
        "columns.csv": [[CODES, "pixels"], ["3", "4"]],
        "votes.csv": [["h"], [CODES] * 12],
        "unknown.csv": [
            ["file", "class", "suggested_class", "decision", "reason", "sha256"],
            [json.dumps(CODES), "Happy", CODES, "move", CODES, "0" * 64],
        ],
        "action.csv": [
            ["file", "class", "suggested_class", "decision", "reason", "sha256"],
            ["a.jpg", CODES, "Sad", CODES, "", CODES],
        ],
        "no-columns.csv": [["file", CODES]],
    }
    for name, lines in rows.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
    (folder / "faces" / "train" / f"joy {BYTES}").mkdir(parents=True)
    (folder / "faces" / "train" / f"joy {BYTES}" / "a.jpg").write_text("no photo")


def write_models(folder):
    with zipfile.ZipFile(folder / f"model {CODES}.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": CODES}))
        archive.writestr("config.json", json.dumps({"class_name": CODES, "module": CODES}))
        archive.writestr("model.weights.h5", b"")
        archive.writestr("emoclf.json", json.dumps({"class_names": [CODES, "b"], CODES: CODES}))
    for name, content in (
        ("version", {"keras_version": f"3.0.0 {CODES}"}),
        ("config", {"keras_version": "3.0.0"}),
    ):
        info = {
            "class_names": [f"Sad {CODES}", f"Happy {CODES}"],
            "image_size": [32, 32],
            "resize_mode": "pad",
            "crop": "none",
        }
        with zipfile.ZipFile(folder / f"{name}.keras", "w") as archive:
            archive.writestr("metadata.json", json.dumps(content))
            archive.writestr("config.json", json.dumps({"class_name": CODES, "module": "keras"}))
            archive.writestr("model.weights.h5", b"")
            archive.writestr("emoclf.json", json.dumps(info))
    (folder / f"none {BYTES}.keras").write_text("no model")


def list_quick_calls(folder, data):
    """Return calls that need no TensorFlow."""
    missing = folder / f"missing {BYTES}"
    happy = data / f"happy {CODES}"
    detector = ("--no-download",)
    return [
        ("predict", data, "--whole-photo", *detector),
        ("predict", data, "--whole-photo", "--json", *detector),
        ("predict", happy, missing, folder / "empty", "--whole-photo", *detector),
        ("predict", data, "--save-annotated", folder / f"out {BYTES}", "--whole-photo", *detector),
        ("predict", "--", CODES),
        ("predict", f"--{CODES}"),
        ("predict", data, "--model", missing),
        ("predict", data, "--detector", CODES),
        ("predict", data, "--yunet-file", folder / "votes.csv"),
        ("predict", data, "--yunet-file", folder / f"fer {CODES}.csv"),
        ("explain", happy, "--output", folder / f"maps {BYTES}", "--whole-photo", *detector),
        ("explain", happy, "--output", folder / "maps", "--class", CODES, *detector),
        ("explain", missing, folder / "empty", "--output", folder / "maps", *detector),
        ("draw-faces", folder / f"drawn {BYTES}", "--per-class", 10),
        ("draw-faces", data, "--per-class", 10),
        ("draw-faces", folder / f"fer {CODES}.csv"),
        ("data-sets", CODES),
        ("data-sets", "fer2013"),
        ("stage", folder / f"good {CODES}.zip", folder / f"staged {BYTES}"),
        ("stage", folder / f"good {CODES}.zip", folder / f"staged {BYTES}"),
        ("stage", folder / "good.tar.gz", folder / f"staged {BYTES}"),
        ("stage", folder / "good.tar.gz", folder / "staged-tar", "--json"),
        ("stage", folder / "good.tar.gz", folder / "staged-sum", "--sha256", CODES),
        ("stage", folder / "unsafe.zip", folder / "staged-unsafe"),
        ("stage", folder / "twice.zip", folder / "staged-twice"),
        ("stage", folder / "unsafe.tar.gz", folder / "staged-unsafe"),
        ("stage", folder / "link.tar.gz", folder / "staged-link"),
        ("stage", folder / f"broken {BYTES}.zip", folder / "staged-broken"),
        ("stage", missing, folder / "staged-missing"),
        ("stage", data, folder / f"staged-folder {BYTES}"),
        ("stage", data, data / "inside"),
        ("stage", folder / f"fer {CODES}.csv", folder / "staged-csv"),
        ("stage", data, folder / "staged-map", "--map", f"{CODES}=Happy"),
        ("fetch", CODES, folder / "fetched"),
        ("fetch", "project-drive", folder / "fetched", "--link", CODES),
        ("fetch", "fer2013", folder / "fetched", "--from", folder / f"fer {CODES}.csv"),
        ("fetch", "fer2013", folder / "fetched", "--from", folder / "usage.csv", "--part"),
        ("fetch", "fer2013", folder / f"fer {BYTES}", "--from", folder / "columns.csv"),
        ("fetch", "fer2013", folder / "fetched", "--from", folder / "faces"),
        ("fetch", "fer2013", folder / "fetched", "--from", data),
        ("fetch", "fer2013", folder / "f", "--from", folder / "usage.csv", "--votes", "votes.csv"),
        ("clean", data),
        ("clean", data, "--csv", folder / f"table {BYTES}.csv"),
        ("clean", data, "--csv", folder / f"table {BYTES}.csv"),
        ("clean", data, "--json"),
        ("clean", missing),
        ("clean", folder / "lone"),
        ("clean", folder / "lone", "--map", f"gloom {BYTES}={CODES}"),
        ("clean", folder / "lone", "--map", f"{CODES}=Happy"),
        ("clean", folder / "lone", "--map", CODES),
        ("clean", data, "--move"),
        ("restore", data, "--id", BYTES),
        ("restore", data),
        ("restore", folder / "lone"),
        ("split", data, "--output", folder / f"split {BYTES}.json"),
        ("split", data, "--output", folder / f"split {BYTES}.json"),
        ("split", data, "--output", folder / "s.json", "--as-published"),
        ("split", data, "--seed", CODES),
        ("apply-decisions", data, folder / "unknown.csv"),
        ("apply-decisions", data, folder / "action.csv"),
        ("apply-decisions", data, folder / "no-columns.csv"),
        ("apply-decisions", data, folder / "unknown.csv", "--move"),
        ("apply-decisions", data, missing),
        ("live", "--video", folder / f"fer {CODES}.csv", "--no-window", "--output", "film.mp4"),
        ("live", "--video", missing),
        ("live", "--video", folder / "columns.csv", "--no-window", "--output", f"{CODES}.x"),
        ("train-face-model", folder / f"fer {CODES}.csv"),
        ("train-face-model", folder / "usage.csv", "--votes", folder / "votes.csv"),
        ("train-face-model", folder / "faces", "--folder", folder / f"face {BYTES}"),
        ("evaluate", missing),
        ("analyse-errors", missing),
        ("baselines", missing),
        ("demo", "--model", missing),
        ("demo", "--port", CODES),
        (f"{CODES}",),
        (f"--{CODES}",),
        ("predict", "--json", f"-{CODES}"),
    ]


def list_trained_calls(folder, data):
    """Return calls that train or load a network, and those that need what these have made."""
    small, run, check = list_options(folder)
    models = [folder / f"model {CODES}.keras", folder / f"none {BYTES}.keras"]
    models += [folder / f"{name}.keras" for name in ("version", "config")]
    photo = data / f"happy {CODES}"
    return [
        ("train", data, "--name", f"-run {CODES}", *small),
        ("train", data, "--name", f"-run {CODES}", "--resume", "--dropout", 0.5, *small),
        ("train", data, "--name", f"a/{CODES}", *small),
        ("train", data, "--network", "mobilenetv3small", "--weights", f"{CODES}.h5", *small),
        ("train", data, "--image-size", CODES),
        ("train", data, "--workers", CODES, "--name", "m", "--worker", 5, *small),
        ("train", "--split", folder / "no-columns.csv", *small),
        *(("predict", photo, "--model", model) for model in models),
        ("predict", photo, "--model", run),
        ("evaluate", run),
        ("evaluate", run, data),
        ("evaluate", models[0], data),
        ("analyse-errors", run, "--no-robustness"),
        ("export", run, "--format", "keras"),
        ("export", models[0], data),
        ("cross-validate", data, "--folds", 2, "--name", f"check {CODES}", *small),
        ("find-label-errors", check),
        ("find-label-errors", check),
        ("apply-decisions", data, check / "review" / "decisions.csv"),
        ("compare-corrections", check, folder / "action.csv", "--logs", run.parent),
        ("doctor",),
    ]


def list_long_calls(folder, data):
    """Return calls of several trainings each."""
    small, run, check = list_options(folder)
    few = ("--skip", "fine_tuned", "--skip", "face_features")
    return [
        ("train", data, "--name", f"-run {CODES}", *small),
        ("train", data, "--name", f"-run {CODES}", "--resume", *small),
        ("train", data, "--copies", folder / f"copies {CODES}", "--name", f"c {CODES}", *small),
        ("explain", data / f"happy {CODES}", "--model", run, "--output", folder / "maps-run"),
        ("evaluate", run),
        ("evaluate", run),
        ("baselines", run, *few),
        ("baselines", data, "--name", f"baselines {CODES}", *small, *few, "--skip", "network"),
        ("baselines", data, "--name", f"baselines {CODES}", "--resume", *small, *few),
        ("analyse-errors", run),
        ("export", run),
        ("export", run),
        ("cross-validate", data, "--folds", 2, "--name", f"check {CODES}", *small),
        ("cross-validate", data, "--folds", 2, "--name", f"check {CODES}", "--resume", *small),
        ("find-label-errors", check),
        ("compare-corrections", check, check / "review" / "decisions.csv", "--logs", run.parent),
        ("compare-corrections", check, folder / "unknown.csv", "--logs", run.parent),
    ]


def list_options(folder):
    """Return the options of a small training, its run folder, and that of a cross-validation."""
    logs = folder / f"logs {CODES}"
    small = ("--image-size", 32, "--epochs", 1, "--batch-size", 8, "--logs", logs)
    return small, logs / f"-run {CODES}", logs / f"check {CODES}"


def call(arguments):
    """Make one call as the shell would, and say how it ended."""
    from emoclf.__main__ import main

    try:
        return main([str(each) for each in arguments])
    except SystemExit as error:
        return error.code
    except Exception:  # noqa: BLE001 - whatever it is, the next call is made
        traceback.print_exc()
    return "traceback"


def run_session(folder, part):
    data = make_world(folder)
    os.chdir(folder)
    parts = {"quick": list_quick_calls, "trained": list_trained_calls, "long": list_long_calls}
    calls = parts[part](folder, data)
    for number, arguments in enumerate(calls):
        os.write(1, f"{MARK} {number} {arguments[0]!r}\n".encode())
        code = call(arguments)
        sys.stdout.flush()
        os.write(1, f"{MARK} ended with {code}\n".encode())


if __name__ == "__main__":
    run_session(Path(sys.argv[1]), sys.argv[2])
