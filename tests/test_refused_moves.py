"""One file that cannot be moved is one row with its reason; all others are moved."""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.commands.data import clean
from emoclf.data.cleaning import (
    CleaningReport,
    find_problems,
    finish_moves,
    moving,
    quarantine,
    restore,
)
from emoclf.data.cleaning.manifests import read_manifest
from emoclf.experiments.label_errors import Decision, apply_decisions, load_decisions
from emoclf.experiments.label_errors.sheet import save_decisions

IMPOSSIBLE = (
    "sad/nul\0.jpg",
    "sad/" + "x" * 300 + ".jpg",
    "sad/" + "deep/" * 2000 + "a.jpg",
    "sad/lone \ud800 surrogate.jpg",
    "/etc/a.jpg",
    "../a.jpg",
    "sad/../../a.jpg",
    "sad/0.png/through a file.jpg",
    "sad/loop/a.jpg",
    "sad/elsewhere/a.jpg",
    ".",
    "",
)


@pytest.fixture
def root(tmp_path):
    """Six good photos in each class, one that stands in both, an empty file, hostile links."""
    root = tmp_path / "data"
    for folder, start in (("sad", 0), ("happy", 100)):
        (root / folder).mkdir(parents=True)
        for number in range(6):
            values = np.random.default_rng(start + number).integers(0, 256, (36, 36, 3), np.uint8)
            Image.fromarray(values).save(root / folder / f"{number}.png")
        Image.fromarray(np.tile(values, (1, 2, 1))[:, 9:]).save(root / folder / "big.png")
    shutil.copy(root / "sad/big.png", root / "happy/twin.png")
    (root / "sad/empty.jpg").write_bytes(b"")
    (root / "sad/loop").symlink_to("loop")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.jpg").write_bytes(b"private")
    (root / "sad/elsewhere").symlink_to(tmp_path / "outside")
    return root


REJECTED = {"sad/big.png", "happy/twin.png", "sad/empty.jpg"}


def examine(root):
    return find_problems(root, progress=False)


def hash_photos(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("sad", "happy")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def change_lines(manifest, **values):
    """Add a copy of a manifest's first line with other values, once for each of them."""
    line = json.loads(manifest.read_text().splitlines()[0])
    lines = [{**line, key: value} for key, found in values.items() for value in found]
    with manifest.open("a") as file:
        file.writelines(json.dumps(each) + "\n" for each in lines)
    return len(lines)


def test_impossible_paths_of_a_report_are_rows(root):
    report = examine(root)
    bad = [replace(report.rejects[0], path=path) for path in IMPOSSIBLE]
    result = quarantine(
        replace(report, records=(*bad, *report.records)), dry_run=False, max_fraction=1
    )
    assert set(result.moved) == REJECTED
    assert [path for path, _ in result.left] == list(IMPOSSIBLE)
    assert all(reason for _, reason in result.left)
    assert str(result)


@pytest.mark.parametrize("key", ["source", "to"])
def test_impossible_paths_of_a_manifest_are_rows(root, key):
    before = hash_photos(root)
    folder = quarantine(examine(root), dry_run=False).folder
    count = change_lines(folder / "manifest.jsonl", **{key: IMPOSSIBLE})
    back = restore(root)
    assert set(back.moved) == REJECTED
    assert hash_photos(root) == before
    assert len(back.left) + len(back.already_moved) == count  # a place with the content is right
    assert str(back)
    assert examine(root).rejects == tuple(
        each for each in examine(root).records if each.path in REJECTED
    )
    assert not any(each.has_problem("unfinished_move") for each in examine(root).records)


@pytest.mark.parametrize("action", ["move", "set_aside"])
def test_impossible_paths_of_decisions_are_rows(root, tmp_path, action):
    digest = hash_photos(root)
    names = [*IMPOSSIBLE, "sad/0.png", "sad/1.png"]
    made = [Decision(n, digest.get(n, "ab" * 32), "Sad", "Happy", action) for n in names]
    table = save_decisions(made, tmp_path / "decisions.csv")
    result = apply_decisions(root, table, dry_run=False)
    assert result.moved == ("sad/0.png", "sad/1.png")
    assert {path for path, _ in result.left} == set(IMPOSSIBLE)
    assert str(result)
    restore(root)
    assert hash_photos(root) == digest


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"source": 1, "to": "files/a", "sha256": "ab", "reason": ""}',
        b'{"source": null, "to": [], "sha256": {}, "reason": ""}',
        b'{"source": "a", "to": "b", "sha256": "c", "reason": "d", "place": "home"}',
        b'{"source": "a"}',
        b'{"source": ' + b"9" * 5000 + b"}",
        b'"text"',
        b"null",
    ],
)
def test_a_line_of_the_wrong_type_is_a_row(root, line):
    folder = quarantine(examine(root), dry_run=False).folder
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(line + b"\n")
    back = restore(root)
    assert back.left == ((f"{folder.name} line 4", "not a line of a manifest"),)
    assert set(back.moved) == REJECTED


def put(kind, path):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to(os.devnull)
    elif kind == "nowhere":
        path.symlink_to("nowhere")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "nowhere", "huge"])
@pytest.mark.parametrize("name", ["manifest.jsonl", "unfinished.json"])
def test_what_is_no_manifest_is_named_and_the_others_count(root, kind, name):
    quarantine(examine(root), dry_run=False)
    (root / "quarantine/other").mkdir()
    put(kind, root / "quarantine/other" / name)
    assert finish_moves(root) == finish_moves(root)
    report = examine(root)
    assert quarantine(report, dry_run=False).moved == ()
    back = restore(root)
    assert set(back.moved) == REJECTED
    if name == "manifest.jsonl" and kind != "nowhere":
        ((path, reason),) = back.left
        assert path == "other/manifest.jsonl"
        assert reason
    elif kind != "nowhere":
        assert "quarantine/other/unfinished.json" in dict(report.unassigned)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_decisions_whose_manifest_is_a_pipe_are_refused(root):
    made = [Decision("sad/0.png", hash_photos(root)["sad/0.png"], "Sad", "Happy", "move")]
    home = apply_decisions(root, made).folder
    home.mkdir(parents=True)
    os.mkfifo(home / "manifest.jsonl")
    for dry_run in (True, False):
        with pytest.raises(ValueError, match="a named pipe, not a file"):
            apply_decisions(root, made, dry_run=dry_run)


def test_a_manifest_of_many_lines_is_bounded(root, monkeypatch):
    folder = quarantine(examine(root), dry_run=False).folder
    manifest = folder / "manifest.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b"x\n" * 1000)
    assert len(read_manifest(manifest).damaged) == 21
    monkeypatch.setattr("emoclf.data.cleaning.manifests.MAX_MOVES", 2)
    found = read_manifest(manifest)
    assert len(found.moves) == 2
    assert found.damaged == ((folder.name, "only the first 2 lines are read"),)
    manifest.write_bytes(whole)
    assert len(restore(root).moved) == 2
    monkeypatch.setattr("emoclf.data.cleaning.manifests.MAX_MOVES", 1)
    before = hash_photos(root)
    with pytest.raises(ValueError, match="at most 1"):
        quarantine(examine(root), dry_run=False, include_advice=("near_duplicate",), max_fraction=1)
    assert hash_photos(root) == before


def refuse(monkeypatch, name, number):
    """Let the system refuse to move files of one name."""
    real = Path.rename

    def rename(source, target):
        if source.name == name:
            raise OSError(number, os.strerror(number))
        return real(source, target)

    monkeypatch.setattr(Path, "rename", rename)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EXDEV, errno.EIO])
def test_a_twin_that_may_not_be_moved_is_not_learned_from_and_moved_later(
    root, monkeypatch, number
):
    before = hash_photos(root)
    refuse(monkeypatch, "twin.png", number)
    result = quarantine(examine(root), dry_run=False)
    assert set(result.moved) == REJECTED - {"happy/twin.png"}
    assert [path for path, _ in result.left] == ["happy/twin.png"]
    for _ in range(2):
        assert "happy/twin.png" in {each.path for each in examine(root).rejects}
        again = quarantine(examine(root), dry_run=False)
        assert again.moved == ()
        assert [path for path, _ in again.finished[0].left] == ["happy/twin.png"]
    monkeypatch.undo()
    assert finish_moves(root, dry_run=True)[0].moved == ("happy/twin.png",)
    assert quarantine(examine(root), dry_run=False).finished[0].moved == ("happy/twin.png",)
    assert examine(root).rejects == ()
    assert finish_moves(root) == ()
    restore(root)
    assert hash_photos(root) == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_twin_that_may_not_be_brought_back_is_brought_back_later(root, monkeypatch, number):
    before = hash_photos(root)
    quarantine(examine(root), dry_run=False)
    refuse(monkeypatch, "twin.png", number)
    assert [path for path, _ in restore(root).left] == ["happy/twin.png"]
    assert "sad/big.png" in {each.path for each in examine(root).rejects}
    monkeypatch.undo()
    assert finish_moves(root)[0].moved == ("happy/twin.png",)
    assert hash_photos(root) == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("task", ["quarantine", "restore"])
def test_a_full_disk_stops_the_call_and_the_next_one_goes_on(root, monkeypatch, number, task):
    before = hash_photos(root)
    if task == "restore":
        quarantine(examine(root), dry_run=False)
    refuse(monkeypatch, "twin.png" if task == "quarantine" else "big.png", number)
    with pytest.raises(OSError, match=os.strerror(number)):
        _ = quarantine(examine(root), dry_run=False) if task == "quarantine" else restore(root)
    monkeypatch.undo()
    finish_moves(root)
    assert set(before) - set(hash_photos(root)) == (REJECTED if task == "quarantine" else set())
    restore(root)
    assert hash_photos(root) == before


@pytest.mark.parametrize("task", ["quarantine", "restore"])
def test_a_file_that_cannot_be_read_at_the_moment_waits(root, monkeypatch, task):
    before, report = hash_photos(root), examine(root)
    if task == "restore":
        quarantine(report, dry_run=False)
    real = moving.hash_file

    def refuse_to_read(path):
        return "" if path.name == "twin.png" and path.exists() else real(path)

    monkeypatch.setattr(moving, "hash_file", refuse_to_read)
    result = quarantine(report, dry_run=False) if task == "quarantine" else restore(root)
    ((path, reason),) = result.left
    assert path == "happy/twin.png"
    assert "cannot be read" in reason
    monkeypatch.undo()
    if task == "quarantine":
        assert "happy/twin.png" in {each.path for each in examine(root).rejects}
    else:
        assert "sad/big.png" in {each.path for each in examine(root).rejects}
    (finished,) = finish_moves(root)
    assert (finished.task, finished.moved) == (
        "move" if task == "quarantine" else "restore",
        ("happy/twin.png",),
    )
    restore(root)
    assert hash_photos(root) == before


def test_a_foreign_mark_does_not_lead_to_another_folder(root):
    home = root / "quarantine/other"
    home.mkdir(parents=True)
    for content in ('{"task": "move", "folder": "../x"}', '{"task": "delete"}', "[]", "x", ""):
        (home / "unfinished.json").write_text(content)
        (finished,) = finish_moves(root)
        assert [path for path, _ in finished.left] == ["quarantine/other/unfinished.json"]
        assert examine(root).unassigned[-1][0] == "quarantine/other/unfinished.json"


def test_a_file_that_has_changed_meanwhile_is_left_and_nothing_waits_for_it(root, monkeypatch):
    refuse(monkeypatch, "twin.png", errno.EACCES)
    quarantine(examine(root), dry_run=False)
    monkeypatch.undo()
    (root / "happy/twin.png").write_bytes((root / "happy/1.png").read_bytes() + b"\0")
    (finished,) = finish_moves(root)
    assert finished.moved == ()
    assert "changed" in dict(finished.left)["happy/twin.png"]
    assert finish_moves(root) == ()


def test_a_dry_run_says_what_waits_and_touches_nothing(root, monkeypatch, capsys):
    refuse(monkeypatch, "twin.png", errno.EACCES)
    quarantine(examine(root), dry_run=False)
    monkeypatch.undo()
    before = sorted(root.rglob("*"))
    clean(root)
    assert "An interrupted call has left 1 file to be moved" in capsys.readouterr().out
    assert "An interrupted call has left 1 file" in str(quarantine(examine(root)))
    assert "An interrupted call has left 1 file" in str(apply_decisions(root, []))
    assert sorted(root.rglob("*")) == before
    clean(root, move=True)
    assert "An interrupted call was finished first: 1 file moved" in capsys.readouterr().out
    clean(root, move=True)
    assert "interrupted" not in capsys.readouterr().out


def test_a_mark_without_its_manifest_is_named(root, monkeypatch, tmp_path):
    refuse(monkeypatch, "twin.png", errno.EACCES)
    quarantine(examine(root), dry_run=False, destination=tmp_path / "aside")
    monkeypatch.undo()
    (tmp_path / "aside").rename(tmp_path / "moved")
    (finished,) = finish_moves(root)
    ((path, reason),) = finished.left
    assert path.endswith("unfinished.json")
    assert "If it was removed on purpose" in reason
    (tmp_path / "moved").rename(tmp_path / "aside")
    assert finish_moves(root)[0].moved == ("happy/twin.png",)
    assert not (root / "quarantine").exists()


CHANGES = [
    ("root", 1),
    ("root", None),
    ("class_names", "Sad"),
    ("class_names", [1, 2]),
    ("records", {}),
    ("records", [[]]),
    ("records", None),
    ("unassigned", [["a"]]),
    ("skipped", [[1, 2]]),
    ("format", 1),
]
RECORD_CHANGES = [
    ("path", 1),
    ("label", "0"),
    ("label", 7),
    ("label", -1),
    ("label", True),
    ("class_name", "Angry"),
    ("height", 1.5),
    ("brightness", "dark"),
    ("problems", [{"kind": "a", "severity": "perhaps", "reason": "b"}]),
    ("problems", [1]),
    ("problems", "blank"),
    ("duplicate_group", None),
]


@pytest.mark.parametrize(("key", "value"), [*CHANGES, *((f".{k}", v) for k, v in RECORD_CHANGES)])
def test_a_report_with_a_wrong_type_is_refused(root, tmp_path, key, value):
    path = examine(root).save(tmp_path / "report.json")
    document = json.loads(path.read_text())
    (document["records"][0] if key[0] == "." else document)[key.lstrip(".")] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="a cleaning report that `find_problems` made"):
        CleaningReport.load(path)


@pytest.mark.parametrize("key", ["root", "class_names", "records", "unassigned", "format"])
def test_a_report_without_a_key_is_refused(root, tmp_path, key):
    path = examine(root).save(tmp_path / "report.json")
    document = json.loads(path.read_text())
    del document[key]
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="a cleaning report that `find_problems` made"):
        CleaningReport.load(path)


def test_decisions_are_read_from_a_file_alone(tmp_path):
    with pytest.raises(ValueError, match="a folder, not a file"):
        load_decisions(tmp_path)
    with pytest.raises(FileNotFoundError, match="review sheet"):
        load_decisions("nul\0.csv")
