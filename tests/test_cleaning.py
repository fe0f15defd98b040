"""What is wrong with a folder of photos: each kind of problem once, duplicates, hostile names."""

import csv
import hashlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from emoclf.data.cleaning import (
    PROBLEM_KINDS,
    CleaningReport,
    CleaningThresholds,
    FileRecord,
    Problem,
    duplicates,
    find_problems,
)
from emoclf.data.cleaning.duplicates import find_near_pairs, group_pairs, make_signature
from emoclf.storage import open_regular
from emoclf.storage.tables import read_table

STRANGE_NAMES = [
    "a\nb.jpg",
    "c\rd.jpg",
    "quote'\".jpg",
    "comma, semicolon;.jpg",
    "right\u202eto left.jpg",
    "not utf-8 \udcff\udcfe.jpg",
    "-rf.jpg",
    "=1+1.jpg",
    "<img src=x onerror=alert(1)>.jpg",
    " leading and trailing .jpg ",
    "x" * 251 + ".jpg",
    "..jpg",
    "%s{0}.jpg",
]


def draw_scene(seed, *, height=160, width=200):
    """Draw a picture of its own: blobs of all sizes in random places."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(random.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, radius = random.uniform(0, width), random.uniform(0, height), random.uniform(8, 50)
        colour = tuple(random.integers(0, 256, 3).tolist())
        draw.ellipse((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=colour)
    return image


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def examine(root, **options):
    return find_problems(root, progress=False, **options)


def kinds_of(report):
    """Return the kinds of problems by path."""
    return {
        record.path: [(problem.kind, problem.severity) for problem in record.problems]
        for record in report.records
    }


@pytest.fixture
def root(tmp_path):
    """A clean data set of two photos per class."""
    for seed, name in enumerate(("sad/a.jpg", "sad/b.jpg", "happy/c.jpg", "happy/d.png")):
        save(draw_scene(seed), tmp_path / name)
    return tmp_path


def test_a_clean_folder_has_no_problem(root):
    report = examine(root)
    assert [record.path for record in report.records] == [
        "happy/c.jpg", "happy/d.png", "sad/a.jpg", "sad/b.jpg",
    ]  # fmt: skip
    assert report.rejects == ()
    assert report.advice == ()
    assert report.kept.paths == tuple(record.path for record in report.records)
    assert report.duplicate_groups == {}
    assert report.count_by_kind() == {}
    assert report.unassigned == ()
    assert report.skipped == ()


def test_a_record_says_what_the_file_is(root):
    record = examine(root).records[0]
    data = (root / "happy/c.jpg").read_bytes()
    assert (record.class_name, record.label) == ("Happy", 1)
    assert (record.height, record.width, record.format) == (160, 200, "JPEG")
    assert record.bytes == len(data)
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert len(record.perceptual_hash) == 16
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert record.brightness == pytest.approx(grey.mean(), abs=2)
    assert record.contrast == pytest.approx(grey.std(), rel=0.1)
    assert record.sharpness > 0.15


def test_each_kind_of_problem(root):
    sad, happy = root / "sad", root / "happy"
    (sad / "empty.jpg").write_bytes(b"")
    (sad / "page.jpg").write_bytes(b"<!DOCTYPE html><html>")
    (sad / "drawing.svg").write_bytes(b"<svg xmlns='x'></svg>")
    whole = save(draw_scene(10), sad / "whole.jpg", quality=90).read_bytes()
    (sad / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (sad / "whole.jpg").unlink()
    tall = save(draw_scene(11, height=400), sad / "tall.jpg", quality=90).read_bytes()
    (sad / "tall.jpg").unlink()
    (sad / "almost.jpg").write_bytes(tall[:-2])
    (sad / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    save(draw_scene(12, height=20, width=20), sad / "small.jpg")
    save(Image.new("RGB", (100, 100), (90, 80, 70)), sad / "blank.png")
    save(draw_scene(13), sad / "wrong.png", format="JPEG")
    save(draw_scene(14), sad / "no extension", format="JPEG")
    save(draw_scene(15, height=60, width=300), sad / "strip.jpg")
    save(draw_scene(16).point(lambda value: value // 9), sad / "dark.png")
    save(draw_scene(17).filter(ImageFilter.GaussianBlur(8)), sad / "blurred.jpg")
    save(draw_scene(18), sad / "copy.jpg")
    (sad / "copy (1).jpg").write_bytes((sad / "copy.jpg").read_bytes())
    save(draw_scene(19), sad / "both.jpg")
    (happy / "other name.jpg").write_bytes((sad / "both.jpg").read_bytes())
    save(draw_scene(20), sad / "big.jpg")
    save(draw_scene(20).resize((100, 80)), sad / "little.jpg")
    found = {path: kinds for path, kinds in kinds_of(examine(root)).items() if kinds}
    assert found == {
        "sad/empty.jpg": [("empty", "reject")],
        "sad/page.jpg": [("not_an_image", "reject")],
        "sad/drawing.svg": [("unsupported_format", "reject")],
        "sad/cut.jpg": [("truncated", "reject")],
        "sad/almost.jpg": [("truncated", "advice")],
        "sad/damaged.png": [("damaged", "reject")],
        "sad/small.jpg": [("too_small", "reject")],
        "sad/blank.png": [("blank", "reject")],
        "sad/wrong.png": [("wrong_extension", "advice")],
        "sad/no extension": [("wrong_extension", "advice")],
        "sad/strip.jpg": [("extreme_aspect", "advice")],
        "sad/dark.png": [("very_dark", "advice")],
        "sad/blurred.jpg": [("very_blurred", "advice")],
        "sad/copy (1).jpg": [("exact_duplicate", "reject")],
        "sad/both.jpg": [("in_both_classes", "reject")],
        "happy/other name.jpg": [("in_both_classes", "reject")],
        "sad/big.jpg": [("near_duplicate", "advice")],
        "sad/little.jpg": [("near_duplicate", "advice")],
    }


def test_properties_add_up(root):
    (root / "sad/copy.jpg").write_bytes((root / "sad/a.jpg").read_bytes())
    save(draw_scene(1), root / "sad/png named.jpg", format="PNG")
    report = examine(root)
    assert {record.path for record in report.rejects} == {"sad/copy.jpg"}
    assert {record.path for record in report.advice} == {"sad/b.jpg", "sad/png named.jpg"}
    assert len(report.kept) + len(report.rejects) == len(report.records) == 6
    assert report.count_by_kind() == {
        "exact_duplicate": 1, "near_duplicate": 2, "wrong_extension": 1,
    }  # fmt: skip
    groups = {tuple(r.path for r in group) for group in report.duplicate_groups.values()}
    assert groups == {("sad/a.jpg", "sad/copy.jpg"), ("sad/b.jpg", "sad/png named.jpg")}


def test_duplicates_in_both_classes_are_all_rejected(root):
    data = (root / "sad/a.jpg").read_bytes()
    for name in ("sad/a2.jpg", "happy/a3.jpg"):
        (root / name).write_bytes(data)
    report = examine(root)
    rejected = {record.path for record in report.rejects}
    assert rejected == {"sad/a.jpg", "sad/a2.jpg", "happy/a3.jpg"}
    assert all(record.has_problem("in_both_classes") for record in report.rejects)
    assert len({record.duplicate_group for record in report.rejects}) == 1
    reason = report.rejects[0].problems[0].reason
    assert "sad/a" in reason


def test_the_copy_with_the_right_extension_is_kept(root):
    data = (root / "sad/a.jpg").read_bytes()
    (root / "sad/0.png").write_bytes(data)  # first by name, and wrong
    assert [record.path for record in examine(root).rejects] == ["sad/0.png"]


def test_near_duplicates_in_both_classes_are_grouped_and_told(root):
    save(draw_scene(0), root / "happy/again.jpg", quality=40)
    report = examine(root)
    records = {record.path: record for record in report.records}
    assert report.rejects == ()
    group = records["happy/again.jpg"].duplicate_group
    assert group == records["sad/a.jpg"].duplicate_group >= 0
    conflict, look_alike = records["happy/again.jpg"].problems
    assert (conflict.kind, conflict.severity) == ("in_both_classes", "advice")
    assert conflict.reason == "Looks like sad/a.jpg, which is in Sad: check both labels."
    assert look_alike.kind == "near_duplicate"


def test_exact_duplicates_share_the_group_of_their_look_alikes(root):
    save(draw_scene(0), root / "sad/re-encoded.jpg", quality=40)
    (root / "sad/copy.jpg").write_bytes((root / "sad/re-encoded.jpg").read_bytes())
    report = examine(root)
    groups = {tuple(r.path for r in group) for group in report.duplicate_groups.values()}
    assert groups == {("sad/a.jpg", "sad/copy.jpg", "sad/re-encoded.jpg")}
    assert [record.path for record in report.rejects] == ["sad/re-encoded.jpg"]


def change(image, name):
    """Return the picture as reposting changes it."""
    buffer = io.BytesIO()
    image = {
        "re-encoded": image,
        "halved": image.resize((image.width // 2, image.height // 2)),
        "doubled": image.resize((image.width * 2, image.height * 2)),
        "squeezed": image.resize((image.width, image.height * 9 // 10)),
        "mirrored": image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "grey": image.convert("L"),
        "brighter": image.point(lambda value: min(value + 25, 255)),
    }[name]
    image.save(buffer, format="JPEG", quality=45)
    return Image.open(buffer).convert("L")


@pytest.mark.parametrize(
    "name", ["re-encoded", "halved", "doubled", "squeezed", "mirrored", "grey", "brighter"]
)
def test_reposted_pictures_are_found_and_no_others(name):
    count = 40
    originals = [draw_scene(seed) for seed in range(count)]
    pictures = [image.convert("L") for image in originals]
    pictures += [change(image, name) for image in originals]
    signatures = [make_signature(np.asarray(picture)) for picture in pictures]
    thresholds = CleaningThresholds()
    pairs = find_near_pairs(
        signatures,
        max_distance=thresholds.max_hash_distance,
        min_similarity=thresholds.min_similarity,
    )
    expected = {(seed, seed + count) for seed in range(count)}
    found = {tuple(pair) for pair in pairs.tolist()}
    assert found <= expected
    assert len(found) >= 0.95 * count


def test_flat_pictures_do_not_fall_into_one_group(tmp_path):
    random = np.random.default_rng(3)
    for number in range(12):
        noise = random.integers(-4, 5, (80, 80))
        values = (20 * number + 10 + noise).clip(0, 255).astype(np.uint8)
        folder = "sad" if number % 2 else "happy"
        save(Image.fromarray(values), tmp_path / folder / f"{number}.png")
    for folder in ("sad", "happy"):
        for colour in ("white", "black"):
            save(Image.new("RGB", (80, 80), colour), tmp_path / folder / f"{colour} {folder}.png")
    report = examine(tmp_path)
    assert not any(record.has_problem("near_duplicate") for record in report.records)
    assert all(len(group) == 2 for group in report.duplicate_groups.values())


def test_different_faces_in_the_same_frame_are_no_duplicates(drawn_folder):
    report = examine(drawn_folder)
    assert len(report.records) == 80
    assert max(map(len, report.duplicate_groups.values()), default=0) <= 2
    assert sum(record.has_problem("near_duplicate") for record in report.records) <= 2
    assert report.rejects == ()


def test_groups_are_numbered_by_their_first_members():
    pairs = np.array([[5, 6], [1, 4], [4, 8]])
    np.testing.assert_array_equal(group_pairs(pairs, 10), [-1, 0, -1, -1, 0, 1, 1, -1, 0, -1])
    np.testing.assert_array_equal(group_pairs(np.empty((0, 2), int), 3), [-1, -1, -1])


def test_pairs_are_the_same_across_block_borders(monkeypatch):
    pictures = [draw_scene(seed % 9, height=60, width=60).convert("L") for seed in range(30)]
    signatures = [make_signature(np.asarray(picture)) for picture in pictures]
    whole = find_near_pairs(signatures, max_distance=10, min_similarity=0.9)
    monkeypatch.setattr(duplicates, "_BLOCK_ROWS", 4)
    np.testing.assert_array_equal(
        whole, find_near_pairs(signatures, max_distance=10, min_similarity=0.9)
    )
    assert {tuple(pair) for pair in whole.tolist()} == {
        (i, j) for i in range(30) for j in range(i + 1, 30) if i % 9 == j % 9
    }
    assert find_near_pairs([], max_distance=10, min_similarity=0.9).shape == (0, 2)


def test_the_report_does_not_depend_on_the_threads(root):
    for seed in range(30, 60):
        save(draw_scene(seed % 40), root / "sad" / f"{seed}.jpg", quality=80)
    reports = [examine(root, workers=workers) for workers in (1, 2, 7)]
    assert reports[0] == reports[1] == reports[2]
    assert reports[0].duplicate_groups


def watch_reading(monkeypatch, before):
    """Call `before` with the path of each picture that is about to be opened."""

    def open_watched(path, **options):
        before(Path(path))
        return open_regular(path, **options)

    monkeypatch.setattr("emoclf.images.files.open_regular", open_watched)


def test_every_file_is_read_once(root, monkeypatch):
    (root / "sad/copy.jpg").write_bytes((root / "sad/a.jpg").read_bytes())
    read: list[str] = []
    watch_reading(monkeypatch, lambda path: read.append(path.name))
    examine(root)
    assert sorted(read) == ["a.jpg", "b.jpg", "c.jpg", "copy.jpg", "d.png"]


def test_thresholds_can_be_changed(root):
    report = examine(root, thresholds=CleaningThresholds(min_side_px=161))
    assert len(report.rejects) == 4
    assert report.count_by_kind() == {"too_small": 4}


def test_other_classes(tmp_path):
    save(draw_scene(0), tmp_path / "cats/a.jpg")
    save(draw_scene(1), tmp_path / "dogs/a.jpg")
    report = examine(tmp_path, class_names=("dogs", "cats"))
    assert [(record.class_name, record.label) for record in report.records] == [
        ("cats", 1),
        ("dogs", 0),
    ]


def test_what_is_no_file_of_a_class_is_listed(root):
    (root / "notes.txt").write_text("x")
    (root / "sad" / "link.jpg").symlink_to(root / "happy" / "c.jpg")
    (root / "sad" / "outside").symlink_to("/")
    (root / "sad" / ".hidden.jpg").write_bytes(b"x")
    os.mkfifo(root / "happy" / "pipe.jpg")
    report = examine(root)
    assert len(report.records) == 4
    assert dict(report.unassigned) == {"notes.txt": "loose file: move it into a class folder"}
    assert dict(report.skipped) == {
        "sad/link.jpg": "symbolic link, not followed",
        "sad/outside": "symbolic link, not followed",
        "sad/.hidden.jpg": "hidden",
        "happy/pipe.jpg": "named pipe",
    }
    text = [line.split() for line in str(report).splitlines()]
    assert any(line[:5] == ["in", "no", "class", "folder", "1"] for line in text)
    assert any(line[:2] == ["skipped", "4"] for line in text)


def test_a_file_that_vanishes_is_a_row(root, monkeypatch):
    def vanish(path):
        if path.name == "a.jpg":
            path.unlink()

    watch_reading(monkeypatch, vanish)
    record = next(each for each in examine(root).records if each.path == "sad/a.jpg")
    assert [(each.kind, each.severity) for each in record.problems] == [("unreadable", "reject")]
    assert record.sha256 == ""
    assert record.brightness is None


def test_a_file_without_permission_is_a_row(root, monkeypatch):
    def refuse(path):
        if path.name == "a.jpg":
            raise PermissionError(13, "Permission denied")

    watch_reading(monkeypatch, refuse)
    report = examine(root)
    assert kinds_of(report)["sad/a.jpg"] == [("unreadable", "reject")]
    assert len(report.records) == 4


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_on_disk(root):
    (root / "sad/a.jpg").chmod(0)
    assert kinds_of(examine(root))["sad/a.jpg"] == [("unreadable", "reject")]


def test_strange_names_survive_the_report_json_and_csv(root, tmp_path):
    for seed, name in enumerate(STRANGE_NAMES):
        save(draw_scene(100 + seed), root / "sad" / name, format="JPEG")
    report = examine(root)
    names = {record.path for record in report.records}
    assert {f"sad/{name}" for name in STRANGE_NAMES if not name.startswith(".")} <= names
    assert ("sad/..jpg", "hidden") in report.skipped
    loaded = CleaningReport.load(report.save(tmp_path / "report.json"))
    assert loaded == report
    rows = read_table(report.to_csv(tmp_path / "report.csv"), what="a report")
    assert [row["path"] for _, row in rows] == [record.path for record in report.records]
    text = str(report.make_table(examples=20))
    text.encode("utf-8")
    assert "\u202e" not in text
    assert "\r" not in text


def test_csv_has_one_row_per_file(root, tmp_path):
    (root / "sad/empty.jpg").write_bytes(b"")
    with examine(root).to_csv(tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert rows["sad/empty.jpg"]["rejected"] == "True"
    assert rows["sad/empty.jpg"]["problems"].startswith("empty: ")
    assert rows["sad/empty.jpg"]["brightness"] == ""
    assert rows["sad/a.jpg"]["rejected"] == "False"
    assert rows["sad/a.jpg"]["height"] == "160"
    assert float(rows["sad/a.jpg"]["contrast"]) > 0


def test_load_refuses_other_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        CleaningReport.load(tmp_path / "no.json")
    other = tmp_path / "other.json"
    other.write_text('{"format": "something"}')
    with pytest.raises(ValueError, match="find_problems"):
        CleaningReport.load(other)
    other.write_text("[1]")
    with pytest.raises(ValueError, match="find_problems"):
        CleaningReport.load(other)


def test_the_report_shows_counts_and_names_examples(root):
    for number in range(4):
        (root / "sad" / f"empty{number}.jpg").write_bytes(b"")
    report = examine(root)
    lines = str(report).splitlines()
    assert lines[0] == "8 files: 4 kept (0 of them with advice), 4 rejected"
    rows = [line.split() for line in lines]
    assert ["Sad", "6", "2", "4"] in rows
    assert any(row[:4] == ["reject", "empty", "4", "sad/empty0.jpg:"] for row in rows)
    assert "sad/empty1.jpg" in str(report)
    assert "sad/empty2.jpg" not in str(report)
    assert "sad/empty1.jpg" not in str(report.make_table(examples=1))
    assert "sad/empty0.jpg" in report._repr_html_()


def test_every_kind_that_is_made_is_known():
    assert len(set(PROBLEM_KINDS)) == len(PROBLEM_KINDS)
    record = FileRecord("a", "Sad", 0, problems=(Problem("blank", "advice", "x"),))
    assert not record.rejected
    assert record.has_problem("blank")


def test_wrong_arguments(root, tmp_path):
    with pytest.raises(ValueError, match="workers"):
        examine(root, workers=0)
    with pytest.raises(FileNotFoundError):
        examine(tmp_path / "no")


def test_nothing_is_written_and_no_warning_leaks(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    filters = list(warnings.filters)
    examine(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert warnings.filters == filters


def test_progress_bar_goes_to_the_error_stream(root, capsys):
    find_problems(root, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Examining" in captured.err


def test_web_photos(real_data):
    """On real photos only known kinds are rejected, and groups stay small."""
    report = find_problems(real_data / "web_photos", progress=False)
    assert len(report.records) == 1286
    counts = report.count_by_kind()
    assert counts["unsupported_format"] == 11
    problems = [problem for record in report.records for problem in record.problems]
    in_both = [each.severity for each in problems if each.kind == "in_both_classes"]
    assert in_both.count("reject") == 9
    assert in_both.count("advice") == 6
    rejecting = {p.kind for r in report.rejects for p in r.problems if p.severity == "reject"}
    assert rejecting == {"unsupported_format", "in_both_classes", "exact_duplicate"}
    assert max(map(len, report.duplicate_groups.values())) <= 10
