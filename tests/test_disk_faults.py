"""Killed at a change of the disk, or on a full disk, no command loses or damages anything.

The quick tests try the first change of each kind; `-m slow` tries every change, and three of each
kind where a run takes seconds. By hand: `python tests/faulted_commands.py clean --all`.
"""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from tests.disk_faults import find_obstacle
from tests.faulted_scenarios import SCENARIOS

pytestmark = pytest.mark.skipif(bool(find_obstacle()), reason=find_obstacle())

QUICK = ("clean", "restore", "apply-decisions", "stage-tar")
WATCHED = """
    import ctypes, json, os, sys
    from pathlib import Path
    from tests.disk_faults import Follower

    def change():
        os.mkdir("made")
        Path("made/python").write_text("12345678")
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        file = ctypes.c_void_p(library.fopen(b"made/c", b"w"))
        written = library.fwrite(b"12345678", 1, 8, file)
        print(written, library.fclose(file))
        os.rename("made/c", "made/moved")
        os.unlink("made/python")

    logs, folder = Path(sys.argv[1]), Path(sys.argv[2])
    run = Follower(logs).call(change, folder, fault=sys.argv[3], at=int(sys.argv[4]))
    kinds = [each.kind for each in run.changes]
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.glob("made/*")}
    print(json.dumps({"code": run.code, "kinds": kinds, "files": files, "text": run.text}))
"""


def start(command, repository, tmp_path):
    """Run a script in a process without threads, which is what is forked."""
    environment = os.environ | {"PYTHONPATH": str(repository), "TMPDIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=repository, capture_output=True, text=True
    )


@pytest.fixture
def watch(repository, tmp_path):
    def watch_with(fault, at):
        folders = [tmp_path / f"{name}-{fault}-{at}" for name in ("logs", "work")]
        for folder in folders:
            folder.mkdir()
        command = ["-c", textwrap.dedent(WATCHED), *map(str, folders), fault, str(at)]
        ended = start(command, repository, tmp_path)
        if "ptrace was refused" in ended.stderr:
            pytest.skip("no process may be followed here")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return watch_with


def test_what_python_and_the_c_library_write_is_seen(watch):
    run = watch("none", 0)
    assert run["kinds"] == [
        "mkdir",
        *("open", "write"),
        *("open", "write"),
        "rename",
        "unlink",
    ]
    assert (run["code"], run["files"]) == (0, {"made/moved": "12345678"})


def test_a_process_is_killed_before_a_change_or_after_half_of_it(watch):
    whole = watch("kill", 5)
    assert (whole["code"], whole["files"]) == (-9, {"made/python": "12345678", "made/c": ""})
    half = watch("kill half-way", 5)
    assert (half["code"], half["files"]) == (-9, {"made/python": "12345678", "made/c": "1234"})


def test_a_full_disk_takes_nothing_and_lets_files_go(watch):
    run = watch("disk full", 5)
    assert (run["code"], run["files"]) == (0, {"made/moved": ""})
    assert watch("disk full half-way", 5)["files"] == {"made/moved": "1234"}
    assert "No space left" in watch("disk full", 3)["text"]


def try_command(name, options, repository, tmp_path):
    report = tmp_path / "report.json"
    script = str(repository / "tests" / "faulted_commands.py")
    ended = start([script, name, *options, "--report", str(report)], repository, tmp_path)
    if "ptrace was refused" in ended.stderr:
        pytest.skip("no process may be followed here")
    assert report.is_file(), ended.stderr[-3000:]
    (found,) = json.loads(report.read_text())
    assert sum(found["tried"].values()) > 0
    assert not found["wrong"], ended.stdout
    assert not found["tracebacks"], found["tracebacks"][0]["text"]


@pytest.mark.parametrize("name", QUICK)
def test_a_command_bears_a_fault_of_each_kind(name, repository, tmp_path):
    try_command(name, ["--most", "1"], repository, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [name for name, each in SCENARIOS.items() if not each.is_heavy])
def test_a_command_bears_every_fault(name, repository, tmp_path):
    try_command(name, ["--all"], repository, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [name for name, each in SCENARIOS.items() if each.is_heavy])
def test_a_training_or_an_export_bears_faults_of_each_kind(name, repository, tmp_path):
    try_command(name, [], repository, tmp_path)
