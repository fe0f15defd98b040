"""Label errors, decisions that come back as they were, moves that can be undone, corrections."""

import csv
import hashlib
import html
import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from emoclf.config import Settings
from emoclf.data.cleaning import find_problems, restore
from emoclf.evaluation import Evaluation
from emoclf.experiments.label_errors import (
    Decision,
    apply_decisions,
    comparing,
    correct_labels,
    load_decisions,
    rank_label_errors,
    save_review_sheet,
)
from emoclf.experiments.label_errors.comparing import describe_difference
from emoclf.experiments.label_errors.sheet import save_decisions
from emoclf.images import load_image
from emoclf.images.faces import Face
from emoclf.photos import Photos
from emoclf.run import Run
from tests.evaluations import make_evaluation

HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    "</script><script>alert(1)<",
    "\"quotes\" and 'more'.jpg",
    "line\nbreak\r\n.jpg",
    "right\u202eto-left\u200f.jpg",
    "=HYPERLINK(1).jpg",
    "+1;2,3\t.jpg",
    "-cmd|' C'!A0.jpg",
    "@sum.jpg",
    " blanks .jpg ",
    "\u05e9\u05dc\u05d5\u05dd.jpg",
    os.fsdecode(b"no utf-8 \xff\xe9.jpg"),
    "n" * 251 + ".jpg",
    "\u2028separator\u2028.jpg",
    "\\u003c\\.jpg",
)


def save_picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    with path.open("wb") as file:
        Image.fromarray(values).save(file, "PNG")


def hash_files(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "quarantine" not in path.relative_to(root).parts
    }


@pytest.fixture
def root(tmp_path):
    """Ten pictures in each of two class folders; one name is in both."""
    for number in range(10):
        save_picture(tmp_path / "data" / "sad" / f"{number}.png", number)
        save_picture(tmp_path / "data" / "happy" / f"h{number}.png", 100 + number)
    save_picture(tmp_path / "data" / "happy" / "0.png", 200)
    save_picture(tmp_path / "data" / "sad" / "deep" / "d.png", 300)
    return tmp_path / "data"


def decide(root, path, action, reason=""):
    own, other = ("Sad", "Happy") if path.startswith("sad") else ("Happy", "Sad")
    sha256 = hashlib.sha256((root / path).read_bytes()).hexdigest()
    return Decision(path, sha256, own, other, action, reason)


@pytest.fixture
def decisions(root):
    return (
        decide(root, "sad/0.png", "move"),
        decide(root, "sad/1.png", "move"),
        decide(root, "sad/deep/d.png", "move"),
        decide(root, "happy/h1.png", "set_aside"),
        decide(root, "happy/h2.png", "keep"),
        decide(root, "happy/h3.png", ""),
    )


def answer(report, wrong, *, certain=0.95):
    """Out-of-fold predictions: right with 0.9, but the other class for some paths."""
    kept = report.kept
    own = np.array([1 - certain if path in wrong else 0.9 for path in kept.paths])
    return Evaluation(kept, np.where(np.eye(2)[kept.labels] > 0, own[:, None], 1 - own[:, None]))


# --- label errors -------------------------------------------------------------------------------


def test_wrong_predictions_are_listed_the_most_probable_first(root):
    report = find_problems(root, progress=False)
    review = rank_label_errors(answer(report, {"sad/3.png", "happy/h4.png"}), report)
    assert [each.path for each in review.label_errors] == ["happy/h4.png", "sad/3.png"]
    first = review.label_errors[0]
    assert (first.class_name, first.suggested_class) == ("Happy", "Sad")
    assert first.kinds == ("confident_learning",)
    assert first.probability == pytest.approx(0.95)
    assert "predict Sad with probability 0.95" in first.reason
    assert first.sha256 == hashlib.sha256((root / "happy/h4.png").read_bytes()).hexdigest()
    assert review.noise_rates["Sad"] == pytest.approx(1 / 11)
    assert "2 are worth a look" in str(review)


def test_predictions_no_better_than_guessing_say_nothing_about_labels(root):
    report = find_problems(root, progress=False)
    wrong = set(report.kept.paths[::2])
    review = rank_label_errors(answer(report, wrong), report)
    assert not review.is_above_chance
    assert "says nothing about the labels" in str(review)
    assert "worth a look" not in str(review)


def test_mistakes_beyond_the_estimate_are_listed_last_and_only_so_many(root):
    report = find_problems(root, progress=False)
    answers = answer(report, set())
    unsure = answers.probabilities.copy()
    for index, path in enumerate(answers.photos.paths):
        if path in ("sad/5.png", "sad/6.png", "sad/7.png"):
            unsure[index] = (0.4, 0.6)
    answers = Evaluation(answers.photos, unsure)
    review = rank_label_errors(answers, report, mistakes=2)
    assert [each.kinds for each in review.label_errors] == [("confident_mistake",)] * 2
    assert rank_label_errors(answers, report, mistakes=0).label_errors == ()


def test_duplicates_with_two_labels_come_first_whether_predicted_or_not(root):
    shutil.copy(root / "sad/2.png", root / "happy/copy.png")
    report = find_problems(root, progress=False)
    review = rank_label_errors(answer(report, {"sad/3.png"}), report)
    assert [each.path for each in review.label_errors] == [
        "happy/copy.png",
        "sad/2.png",
        "sad/3.png",
    ]
    assert review.label_errors[0].kinds == ("duplicates_disagree",)
    assert review.label_errors[0].probability is None
    assert "One of the two labels is wrong" in review.label_errors[0].reason


def test_test_photos_and_their_duplicates_are_left_out(root):
    shutil.copy(root / "sad/2.png", root / "happy/copy.png")
    report = find_problems(root, progress=False)
    known = [record for record in report.records if record.path != "happy/copy.png"]
    tested = ("happy/h4.png", "sad/2.png")
    photos = Photos.make(
        [record.path for record in known],
        [record.label for record in known],
        parts=["test" if record.path in tested else "train" for record in known],
        root=root,
    )
    answers = answer(report, {"happy/h4.png", "sad/3.png"})
    review = rank_label_errors(answers, report, photos=photos)
    assert [each.path for each in review.label_errors] == ["sad/3.png"]
    assert review.test_photos_left_out == 3
    assert "3 more are test photos" in str(review)
    everything = rank_label_errors(answers, report, photos=photos, include_test=True)
    assert len(everything.label_errors) == 4


def test_predictions_for_a_folder_that_has_changed_are_refused(root):
    report = find_problems(root, progress=False)
    answers = answer(report, set())
    (root / "sad/3.png").rename(root / "happy/3.png")
    with pytest.raises(ValueError, match=r"sad/3\.png .*not there now.*cross-validate again"):
        rank_label_errors(answers, find_problems(root, progress=False))


# --- decisions ------------------------------------------------------------------------------


def test_decisions_come_back_exactly_whatever_the_files_are_called(tmp_path):
    made = tuple(
        Decision(f"{folder}/{name}", "ab" * 32, "Sad", "Happy", action, f"why {name}")
        for folder in ("sad", "=sad")
        for name in HOSTILE
        for action in ("move",)
    )
    path = save_decisions(made, tmp_path / "decisions.csv")
    assert load_decisions(path) == made
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in list(csv.reader(file))[1:]:
            for cell in row:
                assert cell[:1].isalnum() or cell[:1] in ('"', ""), cell
                assert "\n" not in cell and "\r" not in cell


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("word", ["Set aside", "set-aside", " SET_ASIDE "])
def test_a_spreadsheet_may_have_saved_them(tmp_path, separator, word):
    path = save_decisions([Decision("sad/a, b.jpg", "ab", "Sad", "Happy")], tmp_path / "a.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    rows[1][3] = word
    with (tmp_path / "b.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator, lineterminator="\n").writerows(rows)
    (found,) = load_decisions(tmp_path / "b.csv")
    assert (found.path, found.action) == ("sad/a, b.jpg", "set_aside")


def test_what_is_no_table_of_decisions_is_refused_with_the_line(tmp_path):
    head = "file,class,suggested_class,decision,reason,sha256\n"
    cases = {
        head + "sad/a.jpg,Sad,Happy,delete,,ab\n": "line 2: expected keep, move.*'delete'",
        head + "sad/a.jpg,Sad,Happy,keep,,ab\n" * 2: "line 3: .*twice",
        head + '"""sad/a",Sad,Happy,keep,,ab\n': "line 2: .*quotation mark",
        "file,class\nsad/a.jpg,Sad\n": "decision, reason, sha256 is missing",
        "": "is missing",
    }
    for text, message in cases.items():
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_decisions(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(head.encode() + "sad/\u00e9.jpg".encode("cp1252"))
    with pytest.raises(ValueError, match="CSV UTF-8"):
        load_decisions(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError, match="review sheet"):
        load_decisions(tmp_path / "none.csv")


def test_decisions_are_never_overwritten(tmp_path):
    path = save_decisions([], tmp_path / "a.csv")
    with pytest.raises(FileExistsError, match="another name"):
        save_decisions([], path)


# --- moving ---------------------------------------------------------------------------------


def test_a_dry_run_is_the_default_and_touches_nothing(root, decisions):
    before = sorted(root.rglob("*"))
    result = apply_decisions(root, decisions)
    assert sorted(root.rglob("*")) == before
    assert result.targets["sad/1.png"] == "happy/1.png"
    assert result.locations == {}
    assert result.notes == ("1 stay as decided, 1 are not decided",)
    assert "4 files would be moved" in str(result)


def test_photos_move_to_the_other_class_or_aside_and_all_come_back(root, decisions):
    before = hash_files(root)
    result = apply_decisions(root, decisions, dry_run=False)
    now = hash_files(root)
    assert now["happy/0 (2).png"] == before["sad/0.png"]
    assert now["happy/0.png"] == before["happy/0.png"]
    assert now["happy/1.png"] == before["sad/1.png"]
    assert now["happy/deep/d.png"] == before["sad/deep/d.png"]
    assert not {"sad/0.png", "sad/1.png", "happy/h1.png"} & set(now)
    assert now["happy/h2.png"] == before["happy/h2.png"]
    again = apply_decisions(root, decisions, dry_run=False)
    assert again.moved == ()
    assert set(again.already_moved) == set(result.moved)
    assert again.locations == result.locations
    back = restore(root)
    assert len(back.moved) == 4
    assert back.left == ()
    assert hash_files(root) == before
    assert len(apply_decisions(root, decisions, dry_run=False).moved) == 4
    assert hash_files(root) == now


def test_a_photo_that_changed_or_is_gone_stays_and_is_named(root, decisions):
    (root / "sad/0.png").write_bytes(b"another photo")
    (root / "sad/1.png").unlink()
    foreign = Decision("../outside.png", "ab", "Sad", "Happy", "move")
    elsewhere = Decision("happy/h5.png", "ab", "Sad", "Happy", "move")
    no_checksum = Decision("happy/h6.png", "", "Happy", "Sad", "move")
    no_class = Decision("happy/h7.png", "ab", "Happy", "Angry", "move")
    more = (foreign, elsewhere, no_checksum, no_class)
    result = apply_decisions(root, (*decisions, *more), dry_run=False)
    assert sorted(result.moved) == ["happy/h1.png", "sad/deep/d.png"]
    reasons = dict(result.left)
    assert "changed since" in reasons["sad/0.png"]
    assert "gone" in reasons["sad/1.png"]
    assert "no folder of class Sad" in reasons["../outside.png"]
    assert "no folder of class Sad" in reasons["happy/h5.png"]
    assert "sha256" in reasons["happy/h6.png"]
    assert "'Angry'" in reasons["happy/h7.png"]
    assert (root / "sad/0.png").read_bytes() == b"another photo"


def test_names_that_are_taken_get_a_number_even_the_longest(root):
    name = "n" * 251 + ".png"
    for folder, seed in (("sad", 1000), ("happy", 1001), ("sad/x", 1002), ("happy/x", 1003)):
        save_picture(root / folder / name, seed)
    wanted = [decide(root, f"sad/{name}", "move"), decide(root, f"sad/x/{name}", "move")]
    before = hash_files(root)
    moved = apply_decisions(root, wanted, dry_run=False).targets
    assert moved[f"sad/{name}"] == "happy/" + "n" * 247 + " (2).png"
    assert len(set(hash_files(root).values())) == len(set(before.values()))
    restore(root)
    assert hash_files(root) == before


def test_photos_moved_there_and_back_again_return_to_where_they_began(root):
    before = hash_files(root)
    for age, wanted in enumerate(
        (
            [("sad/1.png", "move")],
            [("happy/1.png", "move"), ("happy/h1.png", "set_aside")],
            [("sad/1.png", "set_aside")],
        )
    ):
        made = [decide(root, path, action) for path, action in wanted]
        folder = apply_decisions(root, made, dry_run=False).folder
        os.utime(folder / "manifest.jsonl", (1000 + age, 1000 + age))
    back = restore(root)
    assert back.left == ()
    assert hash_files(root) == before


def test_a_tampered_manifest_moves_nothing_outside(root, decisions, tmp_path):
    result = apply_decisions(root, decisions, dry_run=False)
    manifest = result.folder / "manifest.jsonl"
    text = manifest.read_text().replace('"happy/1.png"', '"../stolen.png"')
    (tmp_path / "stolen.png").write_bytes(b"private")
    manifest.write_text(text)
    back = restore(root)
    assert "outside" in dict(back.left)["sad/1.png"]
    assert (tmp_path / "stolen.png").read_bytes() == b"private"
    manifest.write_text(text + "rubbish\n")
    with pytest.raises(FileExistsError, match="changed"):
        apply_decisions(root, decisions, dry_run=False)


def test_hostile_names_are_moved_and_restored(tmp_path):
    root = tmp_path / "data"
    (root / "happy").mkdir(parents=True)
    for number, name in enumerate(HOSTILE):
        path = root / "sad" / name.replace("/", "_")
        save_picture(path, number)
    save_picture(root / "sad" / ("d" * 150) / ("e" * 180 + ".jpg"), 99)
    before = hash_files(root)
    made = [decide(root, path, "move") for path in before]
    table = save_decisions(made, tmp_path / "decisions.csv")
    result = apply_decisions(root, table, dry_run=False)
    assert len(result.moved) == len(HOSTILE) + 1
    assert {path.replace("happy/", "sad/", 1) for path in hash_files(root)} == set(before)
    restore(root)
    assert hash_files(root) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from emoclf.data.cleaning import restore
from emoclf.experiments.label_errors import apply_decisions

left, when, task = int(sys.argv[3]), sys.argv[4], sys.argv[5]
real = Path.rename

def rename(source, target):
    global left
    if source.suffix != ".png":
        return real(source, target)
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    moved = real(source, target)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return moved

Path.rename = rename
if task == "apply":
    apply_decisions(sys.argv[1], sys.argv[2], dry_run=False)
else:
    restore(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("task", ["apply", "restore"])
@pytest.mark.parametrize(("count", "when"), [(1, "before"), (2, "after"), (4, "before")])
def test_a_kill_in_the_middle_can_be_finished_and_undone(
    root, decisions, repository, tmp_path, task, count, when
):
    before = hash_files(root)
    table = save_decisions(decisions, tmp_path / "decisions.csv")
    if task == "restore":
        apply_decisions(root, table, dry_run=False)
    command = [sys.executable, "-c", KILLED, root, table, str(count), when, task]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    run = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    restore(copy)
    assert hash_files(copy) == before
    finished = apply_decisions(root, table, dry_run=False)
    assert len(finished.moved) + len(finished.already_moved) == 4
    assert finished.left == ()
    restore(root)
    assert hash_files(root) == before


# --- before and after -----------------------------------------------------------------------


def split_of(root, *, tested=()):
    report = find_problems(root, progress=False)
    return report.kept.with_parts(
        ["test" if path in tested else "train" for path in report.kept.paths]
    )


def test_the_corrected_split_differs_in_the_decided_labels_alone(root, decisions):
    photos = split_of(root, tested=("sad/9.png", "happy/h9.png"))
    split = correct_labels(photos, decisions)
    assert split.before == photos
    assert (split.moved, split.set_aside) == (3, 1)
    labels = {row.path: row.label for row in photos.rows}
    corrected = {row.path: row.label for row in split.after.rows}
    assert set(labels) - set(corrected) == {"happy/h1.png"}
    changed = {path for path in corrected if corrected[path] != labels[path]}
    assert changed == {"sad/0.png", "sad/1.png", "sad/deep/d.png"}
    assert split.after.part("test").rows == photos.part("test").rows


def test_both_splits_find_the_photos_after_they_were_moved(root, decisions):
    photos = split_of(root)
    apply_decisions(root, decisions, dry_run=False)
    split = correct_labels(photos, decisions, locations=apply_decisions(root, decisions).locations)
    for part in (split.before, split.after):
        for file in part.files:
            assert file.is_file(), file
    assert len(split.before) == len(photos)


def test_a_decision_about_a_test_photo_is_refused(root, decisions):
    photos = split_of(root, tested=("sad/1.png",))
    with pytest.raises(ValueError, match=r"sad/1\.png is a test photo"):
        correct_labels(photos, decisions)


def test_the_difference_counts_photos_that_only_one_predicts_rightly():
    labels = [0, 0, 1, 1]
    before = make_evaluation(labels, np.eye(2)[[0, 1, 1, 0]])
    after = make_evaluation(labels, np.eye(2)[[1, 0, 1, 1]])
    text = describe_difference(before, after)
    assert "after alone gets 2 right, before alone 1" in text
    assert "do not tell which of the two is right more often" in text


class FacesOnTheLeft:
    """Finds a face in photos whose top left corner is bright, and none in the others."""

    name, description, note = "left", "Finds bright corners.", ""

    def find(self, image):
        side = float(min(image.shape[:2]))
        return (Face((0.0, 0.0, side, side), 0.9),) if image[0, 0].mean() > 128 else ()


@pytest.mark.parametrize("without_face", ["leave_out", "whole_photo"])
def test_both_networks_are_tested_on_the_same_photos_with_a_face(
    root, decisions, tmp_path, monkeypatch, without_face
):
    tested = [f"{name}{number}.png" for name in ("sad/", "happy/h") for number in range(4, 10)]
    detector = FacesOnTheLeft()
    faces = {path for path in tested if detector.find(load_image(root / path))}
    assert 0 < len(faces) < 12
    trained = []

    def train_and_test(cache, settings, *, folder, say):
        say(f"{settings.epochs} epochs")
        trained.append(cache.photos)
        folder.mkdir(parents=True)
        test = cache.photos.part("test")
        probabilities = np.tile([0.2, 0.8], (len(test), 1))
        return SimpleNamespace(run=Run(folder)), Evaluation(test, probabilities)

    monkeypatch.setattr(comparing, "train_and_test", train_and_test)
    found = comparing.compare_corrections(
        correct_labels(split_of(root, tested=tested), decisions),
        Settings(crop="face", image_size=(32, 32), epochs=3),
        logs=tmp_path,
        detector=detector,
        without_face=without_face,
    )
    assert set(found.before.photos.paths) == set(found.after.photos.paths) == faces
    assert set(found.left_out) == set(tested) - faces
    assert f"because no face is found: {12 - len(faces)} test photos" in str(found)
    (before, after) = ({row.path: row.label for row in photos.rows} for photos in trained)
    moved = {each.path for each in decisions if each.action == "move"} & set(before)
    assert {path for path in after if after[path] != before[path]} == moved
    for folder in (run.folder for run in found.runs):
        (access,) = Run(folder).load_access_log().accesses
        assert access.photos == len(faces)
    numbers = json.loads((tmp_path / "corrections/comparison.json").read_text())
    assert (numbers["test_photos"], numbers["moved"]) == (len(faces), 3)


# --- the sheet, without a browser -----------------------------------------------------------


def test_the_sheet_is_one_page_with_nothing_from_elsewhere(root, tmp_path):
    report = find_problems(root, progress=False)
    review = rank_label_errors(answer(report, {"sad/3.png", "happy/h4.png"}), report)
    (root / "happy/h4.png").write_bytes(b"")
    sheet = save_review_sheet(review, tmp_path / "review")
    page = sheet.page.read_text(encoding="utf-8")
    assert "default-src 'none'" in html.unescape(page)
    assert "http://" not in page and "https://" not in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert "No picture: The file has 0 bytes" in page
    assert len(load_decisions(sheet.table)) == sheet.photos == 2
    assert all(each.action == "" for each in load_decisions(sheet.table))
    assert 'sandbox="allow-scripts allow-downloads' in sheet._repr_html_()
    assert "<script" not in sheet._repr_html_()
    with pytest.raises(FileExistsError, match="another folder"):
        save_review_sheet(review, tmp_path / "review")
    short = save_review_sheet(review, tmp_path / "short", limit=1)
    assert short.photos == 1
