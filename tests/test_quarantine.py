"""Moving files aside and back: nothing lost, nothing overwritten, whenever it is interrupted."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.data.cleaning import (
    CleaningReport,
    FileRecord,
    Problem,
    find_problems,
    quarantine,
    restore,
)

KILLED_AT_A_RENAMING = """
import os, signal, sys
from pathlib import Path
from emoclf.data.cleaning import CleaningReport, quarantine, restore

left, when, task = int(sys.argv[3]), sys.argv[4], sys.argv[5]
real = Path.rename

def rename(source, target):
    global left
    if ".jpg" not in str(source):
        return real(source, target)
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    moved = real(source, target)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return moved

Path.rename = rename
if task == "quarantine":
    quarantine(CleaningReport.load(sys.argv[2]), dry_run=False)
else:
    restore(sys.argv[1])
"""


def hash_files(root):
    """Return the content of everything in the class folders."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("sad", "happy")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def root(tmp_path):
    """Ten good pictures and four empty or foreign files, one of them in a sub-folder."""
    random = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / "data" / ("sad" if number % 2 else "happy")
        folder.mkdir(parents=True, exist_ok=True)
        values = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{number}.png")
    (tmp_path / "data" / "sad" / "deep").mkdir()
    for number, name in enumerate(("sad/x.jpg", "sad/deep/y.jpg", "happy/z.jpg", "happy/w\n.jpg")):
        (tmp_path / "data" / name).write_bytes(b"no picture %d" % number)
    return tmp_path / "data"


@pytest.fixture
def report(root):
    found = find_problems(root, progress=False)
    assert len(found.rejects) == 4
    return found


def test_a_dry_run_is_the_default_and_touches_nothing(root, report):
    before = sorted(root.rglob("*"))
    result = quarantine(report)
    assert result.dry_run
    assert set(result.moved) == {"sad/x.jpg", "sad/deep/y.jpg", "happy/z.jpg", "happy/w\n.jpg"}
    assert sorted(root.rglob("*")) == before
    assert "4 files would be moved" in str(result)


def test_rejects_are_moved_and_restored_byte_for_byte(root, report):
    before = hash_files(root)
    result = quarantine(report, dry_run=False)
    assert len(result.moved) == 4
    assert result.left == ()
    assert set(before) - set(hash_files(root)) == set(result.moved)
    assert (result.folder / "files" / "sad" / "deep" / "y.jpg").read_bytes() == b"no picture 1"
    assert find_problems(root, progress=False).rejects == ()
    back = restore(root)
    assert set(back.moved) == set(result.moved)
    assert hash_files(root) == before
    again = restore(root)
    assert again.moved == ()
    assert set(again.already_moved) == set(result.moved)
    assert "4 files were in their place" in str(again)


def test_quarantine_restore_quarantine(root, report):
    quarantine(report, dry_run=False)
    restore(root)
    assert len(quarantine(report, dry_run=False).moved) == 4
    second = quarantine(report, dry_run=False)
    assert second.moved == ()
    assert len(second.already_moved) == 4


def test_the_manifest_is_written_before_the_first_move(root, report, monkeypatch):
    seen = []
    real = Path.rename

    def rename(source, target):
        manifests = list(root.glob("quarantine/*/manifest.jsonl"))
        seen.append([json.loads(line) for line in manifests[0].read_text().splitlines()])
        return real(source, target)

    monkeypatch.setattr(Path, "rename", rename)
    quarantine(report, dry_run=False)
    assert len(seen) == 4
    first = {line["source"]: line for line in seen[0]}
    assert set(first) == {record.path for record in report.rejects}
    assert first["sad/x.jpg"]["sha256"] == hashlib.sha256(b"no picture 0").hexdigest()
    assert first["sad/x.jpg"]["to"] == "files/sad/x.jpg"
    assert "not_an_image" in first["sad/x.jpg"]["reason"]


def test_a_report_that_was_saved_and_loaded_does_the_same(report, tmp_path):
    loaded = CleaningReport.load(report.save(tmp_path / "report.json"))
    assert quarantine(loaded) == quarantine(report)


def test_advice_is_moved_only_when_asked_for(report):
    first = next(record for record in report.records if not record.rejected)
    advised = replace(first, problems=(Problem("very_dark", "advice", "Dark."),))
    records = tuple(advised if record == first else record for record in report.records)
    report = replace(report, records=records)
    assert first.path not in quarantine(report).moved
    assert first.path in quarantine(report, include_advice=("very_dark",)).moved
    with pytest.raises(ValueError, match="include_advice"):
        quarantine(report, include_advice=("very_drak",))


@pytest.mark.parametrize(
    ("bad", "good", "other", "word"), [(6, 4, 0, "6 of 10"), (3, 2, 50, "class Sad")]
)
def test_too_many_flagged_files_stop_everything(tmp_path, bad, good, other, word):
    problem = (Problem("empty", "reject", "Empty."),)
    records = [FileRecord(f"sad/{n}.jpg", "Sad", 0, problems=problem) for n in range(bad)]
    records += [FileRecord(f"sad/g{n}.jpg", "Sad", 0) for n in range(good)]
    records += [FileRecord(f"happy/{n}.jpg", "Happy", 1) for n in range(other)]
    report = CleaningReport(str(tmp_path), ("Sad", "Happy"), tuple(records))
    with pytest.raises(ValueError, match="nothing was moved") as caught:
        quarantine(report)
    assert word in str(caught.value)
    assert "max_fraction=0.61" in str(caught.value)
    assert quarantine(report, max_fraction=0.61).moved == ()


def test_max_fraction_is_a_share(report):
    with pytest.raises(ValueError, match="max_fraction"):
        quarantine(report, max_fraction=50)


def test_files_that_changed_since_the_report_stay(root, report):
    (root / "sad/x.jpg").write_bytes(b"a new photo")
    (root / "happy/z.jpg").unlink()
    (root / "sad/deep/y.jpg").unlink()
    (root / "sad/deep/y.jpg").symlink_to(root / "sad/1.png")
    result = quarantine(report, dry_run=False)
    assert result.moved == ("happy/w\n.jpg",)
    reasons = dict(result.left)
    assert "changed since" in reasons["sad/x.jpg"]
    assert "gone" in reasons["happy/z.jpg"]
    assert "no file" in reasons["sad/deep/y.jpg"]
    assert (root / "sad/x.jpg").read_bytes() == b"a new photo"
    assert "left in place" in str(result)
    str(result).encode("utf-8")


def test_a_file_whose_content_was_never_read_stays(report):
    records = tuple(
        replace(record, sha256="") if record.path == "sad/x.jpg" else record
        for record in report.records
    )
    result = quarantine(replace(report, records=records), dry_run=False)
    assert dict(result.left) == {"sad/x.jpg": "its content cannot be read"}


def test_nothing_is_overwritten_in_quarantine(root, report):
    folder = quarantine(report).folder
    taken = folder / "files" / "sad" / "x.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"somebody's file")
    result = quarantine(report, dry_run=False)
    assert "in its place" in dict(result.left)["sad/x.jpg"]
    assert taken.read_bytes() == b"somebody's file"
    assert (root / "sad/x.jpg").read_bytes() == b"no picture 0"


def test_nothing_is_overwritten_by_restore(root, report):
    result = quarantine(report, dry_run=False)
    (root / "sad/x.jpg").write_bytes(b"a new photo")
    (root / "sad/deep/y.jpg").symlink_to(root / "nowhere")
    back = restore(root)
    assert set(back.moved) == {"happy/z.jpg", "happy/w\n.jpg"}
    assert all("in its place" in reason for _, reason in back.left)
    assert (root / "sad/x.jpg").read_bytes() == b"a new photo"
    assert (result.folder / "files/sad/x.jpg").read_bytes() == b"no picture 0"
    (root / "sad/x.jpg").unlink()
    assert restore(root).moved == ("sad/x.jpg",)


def test_a_file_that_changed_in_quarantine_stays_there(root, report):
    folder = quarantine(report, dry_run=False).folder
    (folder / "files/sad/x.jpg").write_bytes(b"tampered")
    (folder / "files/happy/z.jpg").unlink()
    back = restore(root)
    assert "not the one" in dict(back.left)["sad/x.jpg"]
    assert "neither" in dict(back.left)["happy/z.jpg"]
    assert not (root / "sad/x.jpg").exists()


@pytest.mark.parametrize("key", ["source", "to"])
@pytest.mark.parametrize("path", ["../../evil.jpg", "/etc/evil.jpg", "sad/../../evil.jpg", ""])
def test_a_tampered_manifest_moves_nothing_outside(root, report, tmp_path, key, path):
    folder = quarantine(report, dry_run=False).folder
    stolen = tmp_path / "evil.jpg"
    if key == "to":
        stolen.write_bytes(b"no picture 0")
    manifest = folder / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        if line["source"] == "sad/x.jpg":
            line[key] = path
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines) + "rubbish\n[1]\n{}\n")
    back = restore(root)
    assert len(back.moved) == 3
    reasons = [reason for _, reason in back.left]
    assert reasons.count("the manifest points outside the folder") == 1
    assert reasons.count("not a line of a manifest") == 3
    assert stolen.exists() == (key == "to")
    assert (folder / "files/sad/x.jpg").read_bytes() == b"no picture 0"
    with pytest.raises(FileExistsError, match="changed"):
        quarantine(report, dry_run=False)


def test_a_linked_folder_does_not_lead_outside(root, report, tmp_path):
    quarantine(report, dry_run=False)
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "sad/deep").rmdir()
    (root / "sad/deep").symlink_to(outside)
    assert "outside" in dict(restore(root).left)["sad/deep/y.jpg"]
    assert list(outside.iterdir()) == []


def test_a_tampered_report_moves_nothing_from_outside(report, tmp_path):
    (tmp_path / "private.jpg").write_bytes(b"no picture 0")
    records = tuple(
        replace(record, path="../private.jpg") if record.path == "sad/x.jpg" else record
        for record in report.records
    )
    result = quarantine(replace(report, records=records), dry_run=False)
    assert "not inside" in dict(result.left)["../private.jpg"]
    assert (tmp_path / "private.jpg").exists()


def test_another_destination(root, report, tmp_path):
    before = hash_files(root)
    result = quarantine(report, dry_run=False, destination=tmp_path / "aside")
    assert result.folder.parent == tmp_path / "aside"
    assert not (root / "quarantine").exists()
    with pytest.raises(FileNotFoundError, match="no quarantine to restore"):
        restore(root)
    restore(root, destination=tmp_path / "aside")
    assert hash_files(root) == before


def test_another_disk_is_refused(root, report, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    before = hash_files(root)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="on the same disk") as caught:
        quarantine(report, dry_run=False, destination=tmp_path / "aside")
    assert caught.value.errno == errno.EXDEV
    assert hash_files(root) == before


def test_one_of_several_runs_is_undone(root, report):
    first = quarantine(report, dry_run=False)
    (root / "sad/new.jpg").write_bytes(b"rubbish")
    second = quarantine(find_problems(root, progress=False), dry_run=False)
    assert first.folder != second.folder
    back = restore(root, quarantine_id=second.folder.name)
    assert back.moved == ("sad/new.jpg",)
    with pytest.raises(FileNotFoundError):
        restore(root, quarantine_id="../x")
    assert len(restore(root).moved) == 4


def test_the_quarantine_is_no_class_folder(root, report):
    quarantine(report, dry_run=False)
    found = find_problems(root, progress=False)
    assert len(found.records) == 10
    assert [name for name, _ in found.unassigned] == ["quarantine"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("task", ["quarantine", "restore"])
@pytest.mark.parametrize(("count", "when"), [(1, "before"), (2, "after"), (4, "before")])
def test_a_kill_in_the_middle_can_be_finished_and_undone(
    root, report, repository, tmp_path, task, count, when
):
    before = hash_files(root)
    saved = report.save(tmp_path / "report.json")
    if task == "restore":
        quarantine(report, dry_run=False)
    command = [sys.executable, "-c", KILLED_AT_A_RENAMING, root, saved, str(count), when, task]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    run = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    done = count if when == "after" else count - 1
    moved = len(before) - len(hash_files(root))
    assert moved == (done if task == "quarantine" else 4 - done)
    undone = tmp_path / "copy"
    shutil.copytree(root, undone, symlinks=True)
    restore(undone)
    assert hash_files(undone) == before
    finished = quarantine(report, dry_run=False)
    assert len(finished.moved) + len(finished.already_moved) == 4
    assert finished.left == ()
    assert set(before) - set(hash_files(root)) == {record.path for record in report.rejects}
    restore(root)
    assert hash_files(root) == before


def test_a_result_shows_itself_with_names_escaped(root, report):
    (root / "sad/x.jpg").write_bytes(b"another content")
    result = quarantine(report, dry_run=False)
    text, page = str(result), result._repr_html_()
    assert f"{len(result.moved)} files moved to {result.folder}" in text
    assert "it changed since it was examined" in " ".join(text.split())
    assert "<table " in page
    assert "w\n.jpg" not in text
    assert result.locations == {
        path: (result.folder / "files" / path).relative_to(root).as_posix() for path in result.moved
    }
