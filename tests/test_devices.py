"""Several devices and several workers learn what one learns."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.synthetic import make_drawn_faces
from emoclf.run import Run
from emoclf.training import use_devices
from emoclf.training.multi_worker import _cut, make_tf_config
from tests.calls import PATIENCE_SECONDS
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    make_drawn_faces(folder, photos_per_class=32, size=(48, 48), seed=1, progress=False)
    return folder


def start(module, *arguments):
    command = [sys.executable, "-m", f"tests.{module}", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*processes, timeout=PATIENCE_SECONDS):
    """Wait for processes that should end well; return what the first one printed."""
    ended = [process.communicate(timeout=timeout) for process in processes]
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors[-3000:]
    return ended[0][0]


def find_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def test_two_devices_learn_what_one_learns(data, tmp_path):
    one, two = json.loads(finish(start("devices_training", data, tmp_path))).values()
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-4)


def test_two_workers_learn_what_one_learns_and_survive_a_death(data, tmp_path):
    alone = start("workers_training", data, tmp_path / "one", 0)
    finish(alone)
    addresses = find_addresses(2)
    survivor = start("workers_training", data, tmp_path / "two", 0, *addresses)
    victim = start("workers_training", data, tmp_path / "two", 1, *addresses, "--die-after", 1)
    victim.communicate(timeout=PATIENCE_SECONDS)
    _, errors = survivor.communicate(timeout=PATIENCE_SECONDS)  # it does not wait for ever
    assert survivor.returncode == 1
    assert "WorkerLostError" in errors
    assert "start all workers again" in errors
    addresses = find_addresses(2)
    finish(
        *(start("workers_training", data, tmp_path / "two", each, *addresses) for each in (0, 1))
    )
    one, first, second = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one-0", "two-0", "two-1")
    )
    assert (one["workers"], first["workers"], first["epochs_now"]) == (1, 2, 2)
    assert first == second
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(first[name], one[name], atol=1e-4)
    assert (tmp_path / "two" / "model.keras").is_file()


def test_every_photo_is_in_one_batch_and_every_worker_gets_a_part():
    indices = np.arange(17)
    batches = _cut((indices, indices), 8, 2)
    assert [len(each) for each, _ in batches] == [8, 9]
    assert [len(each) for each, _ in _cut((indices, indices), 8, 1)] == [8, 8, 1]
    assert sorted(np.concatenate([each for each, _ in batches])) == list(range(17))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="There is no worker 2: the 2 workers"):
        make_tf_config(["a:1", "b:1"], 2)
    for address in ("a", "a:", ":1", "a:b", "a:70000", ""):
        with pytest.raises(ValueError, match=f"{address!r} should be host:port"):
            make_tf_config(["a:1", address], 0)
    with pytest.raises(ValueError, match="devices='two'"), use_devices("two"):
        pytest.fail("entered")
    with use_devices("all", names=["CPU:0"]) as count:
        assert count == 1


def test_a_batch_has_a_photo_for_every_worker(cache):
    from emoclf.training.multi_worker import train_on_workers

    class Many:
        num_replicas_in_sync = 9

    settings = Settings(batch_size=8)
    with pytest.raises(ValueError, match="at least the 9 workers"):
        train_on_workers(None, cache, settings=settings, run=Run(Path()), strategy=Many())
