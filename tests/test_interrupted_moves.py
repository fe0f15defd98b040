"""Moves that are killed at every change of the disk, and whatever is called next."""

import gc
import hashlib
import os
import shutil
import sys
import traceback
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.commands.data import clean as clean_command
from emoclf.data.cleaning import find_problems, quarantine, restore
from emoclf.experiments.label_errors import Decision, apply_decisions

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    # The child of a process with threads only moves files and ends.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

KILLED = 9


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """A kill, unlike a power cut, loses nothing that was written: there is no disk to wait for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def run_killed(call, folder, change):
    """Make a call in a child process that dies before its so-many-th change below a folder.

    Returns whether it died; a call that makes fewer changes ends.
    """
    left = change

    def watch(event, details):
        nonlocal left
        is_change = event in CHANGES or (event == "open" and details[2] & WRITING)
        if is_change and isinstance(details[0], str) and details[0].startswith(str(folder)):
            left -= 1
            if left == 0:
                os._exit(KILLED)

    child = os.fork()
    if not child:
        gc.disable()  # what TensorFlow left behind in another test cannot be collected here
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.addaudithook(watch)
            call()
            code = 0
        except Exception:  # noqa: BLE001 - the parent sees the code
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), code
    return code == KILLED


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (36, 36, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Twelve good photos, two that stand in both classes, a copy, and an empty file."""
    root = tmp_path_factory.mktemp("pristine") / "data"
    for number in range(6):
        draw(root / "sad" / f"s{number}.png", number)
        draw(root / "happy" / f"h{number}.png", 10 + number)
    for seed, name in ((20, "t.png"), (21, "deep/u.png")):
        draw(root / "sad" / name, seed)
        draw(root / "happy" / name, seed)
    shutil.copy(root / "happy/h0.png", root / "happy/h0 again.png")
    (root / "sad/empty.jpg").write_bytes(b"")
    return root


def hash_file(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_photos(root):
    """Return every file of the class folders with its content."""
    return {
        path.relative_to(root).as_posix(): hash_file(path)
        for folder in ("sad", "happy")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


def count_contents(root):
    """Return how often each photo's content is on the disk, wherever it is."""
    photos = [path for path in root.parent.rglob("*.[pj]*g") if path.is_file()]
    return Counter(hash_file(path) for path in photos)


def find_kept(root):
    return {(each.path, each.sha256) for each in examine(root).records if not each.rejected}


def examine(root):
    return find_problems(root, progress=False, workers=1)


def decide(pristine, **actions):
    """Return decisions: the name of a photo without its suffix -> what to do with it."""
    made = []
    for name, action in actions.items():
        own, other = ("Sad", "Happy") if name.startswith("s") else ("Happy", "Sad")
        path = f"{own.lower()}/{name.removeprefix('s_')}.png"
        made.append(Decision(path, hash_file(pristine / path), own, other, action))
    return made


def clean(root, _pristine):
    clean_command(root, move=True)


def clean_by_calls(root, _pristine):
    quarantine(examine(root), dry_run=False)


def clean_elsewhere(root, _pristine):
    quarantine(examine(root), dry_run=False, destination=root.parent / "aside")


def bring_back(root, _pristine):
    """Restore from both places, where there is anything."""
    for destination in (None, root.parent / "aside"):
        with suppress(FileNotFoundError):
            restore(root, destination=destination)


def apply(root, pristine):
    made = decide(pristine, s0="move", h1="set_aside", s_t="set_aside", h3="move")
    apply_decisions(root, made, dry_run=False)


def apply_others(root, pristine):
    made = decide(pristine, s1="move", h2="set_aside", h3="set_aside")
    apply_decisions(root, made, dry_run=False)


def do(calls, root, pristine):
    for call in calls:
        call(root, pristine)


def copy(source, folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source.parent, folder)
    return folder / source.name


def find_results(calls, pristine, folder):
    root = copy(pristine, folder)
    do(calls, root, pristine)
    return hash_photos(root)


def kill_everywhere(before, call, prepared, pristine, folder):
    """Yield the folder as it is after a kill at each change that a call makes."""
    change = 0
    while True:
        change += 1
        root = copy(prepared, folder)
        killed = run_killed(lambda root=root: call(root, pristine), folder, change)
        if not killed:
            assert change > before, "the call changes nothing: nothing is tested"
            return
        yield change, root


def check(first, begun, then, pristine, folder):
    """Kill the call `begun` after `first` everywhere, then call `then`; return tries and errors."""
    prepared = copy(pristine, folder / "prepared")
    do(first, prepared, pristine)
    done = [
        find_results([*first, *middle, *then], pristine, folder / "expected")
        for middle in ([begun], [])
    ]
    contents = count_contents(pristine)
    tried, wrong = 0, []
    for change, root in kill_everywhere(3, begun, prepared, pristine, folder / "killed"):
        tried += 1
        do(then, root, pristine)
        if hash_photos(root) not in done or count_contents(root) != contents:
            wrong.append(change)
    print(f"kills of {begun.__name__}: {tried}, wrong: {len(wrong)}")
    return tried, wrong


def quickly(*quick, slow):
    """Parameters of which some are tried with `-m slow` alone; a quick one has each value, too."""
    return [*quick, *(pytest.param(*each, marks=pytest.mark.slow) for each in slow)]


@pytest.mark.parametrize(
    ("begun", "then"),
    quickly(
        (clean, clean),
        (clean, apply_others),
        (clean_elsewhere, clean_by_calls),
        (apply, bring_back),
        (apply, clean),
        slow=[
            (clean, clean_by_calls),
            (clean, bring_back),
            (clean_elsewhere, clean),
            (clean_elsewhere, apply_others),
            (clean_elsewhere, bring_back),
            (apply, clean_by_calls),
            (apply, apply_others),
        ],
    ),
)
def test_what_was_killed_is_finished_before_the_next_call(pristine, tmp_path, begun, then):
    tried, wrong = check([], begun, [then], pristine, tmp_path)
    assert tried > 10
    assert wrong == []


@pytest.mark.parametrize(
    ("first", "then"),
    quickly(
        ([clean], clean),
        ([clean], bring_back),
        ([apply, clean], clean_by_calls),
        slow=[
            ([clean], clean_by_calls),
            ([apply, clean], clean),
            ([apply, clean], bring_back),
        ],
    ),
)
def test_a_killed_restore_is_finished_before_the_next_call(pristine, tmp_path, first, then):
    tried, wrong = check(first, bring_back, [then, clean], pristine, tmp_path)
    assert tried > 5
    assert wrong == []


@pytest.mark.parametrize(
    ("first", "begun"), [([], clean), ([], clean_elsewhere), ([clean], bring_back)]
)
def test_nothing_is_learned_from_half_a_state(pristine, tmp_path, first, begun):
    prepared = copy(pristine, tmp_path / "prepared")
    do(first, prepared, pristine)
    allowed = find_kept(pristine)
    for change, root in kill_everywhere(3, begun, prepared, pristine, tmp_path / "killed"):
        before = sorted(root.rglob("*"))
        assert find_kept(root) <= allowed, change
        assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("begun", quickly(clean, slow=[(apply,)]))
def test_kills_of_what_finishes_what_was_killed(pristine, tmp_path, begun):
    calls = ([begun, clean], [clean])
    done = [find_results(each, pristine, tmp_path / "expected") for each in calls]
    prepared = copy(pristine, tmp_path / "prepared")
    tried, wrong = 0, []
    for change, first in kill_everywhere(3, begun, prepared, pristine, tmp_path / "once"):
        if change % 12:
            continue
        for again, root in kill_everywhere(0, clean, first, pristine, tmp_path / "twice"):
            tried += 1
            clean(root, pristine)
            if hash_photos(root) not in done:
                wrong.append((change, again))
    assert tried > 20
    assert wrong == []
