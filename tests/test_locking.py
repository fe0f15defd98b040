"""One process at a time writes a run, and a killed one is no obstacle."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from emoclf.config import Settings
from emoclf.run import Run
from emoclf.storage.temporary import find_machine
from emoclf.training import RunInUseError, check_run_is_free, hold_run, locking
from emoclf.training.locking import LOCK_NAME, release_run, take_run
from tests.conftest import REPOSITORY

# The module alone, without the package around it: no TensorFlow starts.
HOLDER = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("locking", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["locking"] = module
spec.loader.exec_module(module)
try:
    module.take_run(sys.argv[2])
except module.RunInUseError as error:
    print("refused:", error, flush=True)
    raise SystemExit(3)
{then}
print("held", flush=True)
time.sleep(600)
"""
FORK = """
import os
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b"alive")
    time.sleep(600)
os.read(read, 5)  # the child has run what it runs after a fork
"""


class Holder:
    """Another process that asks for a run."""

    def __init__(self, folder, then=""):
        code = HOLDER.replace("{then}", then)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, locking.__file__, str(folder)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        with suppress(ProcessLookupError):  # it was refused, and has ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def hold():
    holders = []

    def start(folder, **options):
        holders.append(Holder(folder, **options))
        return holders[-1]

    yield start
    for each in holders:
        each.end()


def test_the_second_process_is_refused_and_told_who_is_first(tmp_path, hold):
    first = hold(tmp_path)
    assert first.said == "held\n"
    with pytest.raises(RunInUseError, match=rf"process {first.process.pid} on .+, since \d{{4}}-"):
        take_run(tmp_path)
    with pytest.raises(RunInUseError):
        check_run_is_free(tmp_path)


def test_this_process_is_named_to_another(tmp_path, hold):
    with hold_run(tmp_path):
        said = hold(tmp_path).said
        assert said.startswith("refused:")
        assert f"process {os.getpid()} " in said
    assert hold(tmp_path).said == "held\n"


@pytest.mark.parametrize("then", ["", FORK], ids=["alone", "with a child that lives on"])
def test_a_killed_process_is_no_obstacle(tmp_path, hold, then):
    if then and not hasattr(os, "fork"):
        pytest.skip("no forks here")
    hold(tmp_path, then=then).kill()
    assert (tmp_path / LOCK_NAME).exists()
    with hold_run(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_lets_go_and_calls_inside_of_each_other_are_one(tmp_path, hold):
    with pytest.raises(KeyboardInterrupt), hold_run(tmp_path):
        with hold_run(tmp_path):
            take_run(tmp_path)
            release_run(tmp_path)
        assert hold(tmp_path).said.startswith("refused:")
        raise KeyboardInterrupt
    assert hold(tmp_path).said == "held\n"


def test_an_interrupted_fit_is_gone_on_with_in_the_same_process(tmp_path, hold):
    take_run(tmp_path)  # as a callback does, whose end never comes
    with hold_run(tmp_path):
        assert hold(tmp_path).said.startswith("refused:")
    assert hold(tmp_path).said == "held\n"


def test_another_thread_is_refused_while_the_first_one_lives(tmp_path):
    taken, end = threading.Event(), threading.Event()

    def train():
        take_run(tmp_path)
        taken.set()
        end.wait()

    thread = threading.Thread(target=train)
    thread.start()
    taken.wait()
    with pytest.raises(RunInUseError, match=f"process {os.getpid()}"):
        take_run(tmp_path)
    end.set()
    thread.join()
    with hold_run(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="another call there")
@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK])
def test_a_disk_without_locks_is_warned_about_and_used(tmp_path, monkeypatch, number):
    import fcntl

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="knows no locks"), hold_run(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("note", ["", "no JSON", "[1]", '{"process": "\\u001b[31m7"}', "[" * 1500])
def test_whatever_the_note_says_the_message_is_harmless(tmp_path, hold, note):
    hold(tmp_path)
    (tmp_path / LOCK_NAME).write_text(note)
    with pytest.raises(RunInUseError) as caught:
        take_run(tmp_path)
    assert "\x1b" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_lies_in_the_place_of_the_lock_is_left_alone(tmp_path, kind):
    place, mine = tmp_path / LOCK_NAME, tmp_path / "mine.txt"
    mine.write_text("mine")
    {"pipe": os.mkfifo, "link": lambda path: path.symlink_to(mine), "folder": os.mkdir}[kind](place)
    with pytest.raises(OSError, match=LOCK_NAME):
        take_run(tmp_path)
    assert mine.read_text() == "mine"
    assert os.path.lexists(place)


def test_leftovers_of_killed_processes_go_when_a_run_is_taken(tmp_path):
    machine, gone = find_machine(), 2**22 + 1
    names = [
        f".run.{gone}-{machine}.partial",
        f"run/.model.{gone}-{machine}.partial.keras",
        f"run/state/.epoch-00002.{gone}-{machine}.partial.npz",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    own = tmp_path / "run" / f".model.{os.getppid()}-{machine}.partial.keras"
    own.write_text("of a process that runs")
    with hold_run(tmp_path / "run"):
        assert not any((tmp_path / name).exists() for name in names)
    assert own.exists()


# --- everything that writes a run over time asks for it -----------------------------------------


def train(photos, logs):
    from emoclf.training import train

    train(photos, Settings(epochs=1), logs=logs, name="run", resume=True)


def cross_validate(photos, logs):
    from emoclf.experiments.cross_validation import cross_validate

    cross_validate(photos, Settings(epochs=1), logs=logs, name="run", resume=True)


def compare_with_baselines(photos, logs):
    from emoclf.experiments.baselines import train_baselines

    skip = ("network", "face_features", "fine_tuned")
    train_baselines(photos, Settings(epochs=1), logs=logs, name="run", resume=True, skip=skip)


def compare(photos, logs):
    from emoclf.experiments.label_errors import compare_corrections
    from emoclf.experiments.label_errors.comparing import CorrectedSplit

    split = CorrectedSplit(photos, photos, 0, 0)
    compare_corrections(split, Settings(epochs=1), logs=logs, name="run")


def train_faces(_photos, logs):
    from emoclf.experiments.face_network.faces import RecipeFaces
    from emoclf.experiments.face_network.recipe import train_packaged_network

    train_packaged_network(RecipeFaces(None, None, None, None), logs / "run")


@pytest.mark.parametrize(
    "write", [train, cross_validate, compare_with_baselines, compare, train_faces]
)
def test_whatever_writes_a_run_is_refused(write, photos, tmp_path, hold, monkeypatch):
    from emoclf.training import start_run

    if write in (train, cross_validate, compare_with_baselines):
        start_run(Settings(epochs=1), photos, logs=tmp_path, name="run")
    monkeypatch.setattr(
        "emoclf.data.loading.photo_cache._prepare_all", lambda *_: pytest.fail("late")
    )
    first = hold(tmp_path / "run")
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with pytest.raises(RunInUseError, match=f"process {first.process.pid} "):
        write(photos, tmp_path)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_the_callback_of_the_lesson_takes_the_run_and_lets_go(cache, tmp_path, hold):
    from emoclf.data.loading import make_dataset
    from emoclf.models import build_cnn
    from emoclf.training import KeepState, compile_model

    batches = make_dataset(cache, "train", shuffle=True)
    model = compile_model(build_cnn((32, 48), filters=(4, 4)))
    fit = {"epochs": 1, "shuffle": False, "verbose": 0}
    first = hold(tmp_path)
    with pytest.raises(RunInUseError, match=f"process {first.process.pid} "):
        model.fit(batches, callbacks=[KeepState(Run(tmp_path), batches)], **fit)
    first.kill()
    model.fit(batches, callbacks=[KeepState(Run(tmp_path), batches)], **fit)
    assert hold(tmp_path).said == "held\n"
    assert json.loads((tmp_path / LOCK_NAME).read_text())["process"] != os.getpid()


def test_only_the_first_of_several_workers_takes_the_run(tmp_path, hold, monkeypatch):
    from emoclf.training import multi_worker

    hold(tmp_path)
    monkeypatch.setattr(multi_worker, "_train", lambda *_, **__: "trained")
    options = {"settings": None, "run": Run(tmp_path), "strategy": None}
    addresses = ("a.local:2222", "b.local:2222")
    monkeypatch.setenv("TF_CONFIG", multi_worker.make_tf_config(addresses, 1))
    assert multi_worker.train_on_workers(None, None, **options) == "trained"
    monkeypatch.setenv("TF_CONFIG", multi_worker.make_tf_config(addresses, 0))
    with pytest.raises(RunInUseError):
        multi_worker.train_on_workers(None, None, **options)
