"""What a run's files hold after a kill or on a full disk: what the state says, and no more."""

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.loading import cache_photos, make_dataset
from emoclf.data.synthetic import make_drawn_faces
from emoclf.inference.annotation import save_picture
from emoclf.models import build_cnn
from emoclf.runtime import set_seeds
from emoclf.storage import (
    add_file,
    building_folder,
    naming_full_disk,
    replacing,
    temporary_folder,
)
from emoclf.training import plan_stages, resuming, start_run, train_model
from emoclf.training.state import list_states
from tests.conftest import REPOSITORY

SIZE = (32, 48)
EPOCHS = 3


def fill_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def train(photos, cache, logs, *, staged=False, epochs=EPOCHS, prepare=lambda: None):
    settings = Settings(image_size=SIZE, epochs=epochs, batch_size=16, ema_momentum=0.9)
    run = start_run(settings, photos, logs=logs, name="run", resume=True)
    set_seeds(settings.seed)
    prepare()
    stages = plan_stages(settings) if staged else None
    train_model(
        build_cnn(SIZE, filters=(4, 4)),
        make_dataset(cache, "train", batch_size=16, shuffle=True),
        validation=make_dataset(cache, "validation", batch_size=16),
        run=run,
        stages=stages,
        verbose=0,
    )
    return run.folder


def read_epochs(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def read_events(folder):
    """Return the epochs whose loss TensorBoard's files hold, counted from 1."""
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    found = []
    for path in sorted((folder / "tensorboard" / "train").glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = event_pb2.Event.FromString(record)
            found += [event.step + 1 for each in event.summary.value if each.tag == "epoch_loss"]
    return sorted(found)


@pytest.mark.parametrize(
    ("epoch", "staged"),
    [
        (2, False),
        (1, True),
        (3, True),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [(1, False), (3, False), (2, True)]
        ),
    ],
)
def test_an_epoch_without_a_state_leaves_no_row_and_no_event(
    photos, cache, tmp_path, monkeypatch, staged, epoch
):
    save = resuming.save_state

    def save_or_fail(folder, state):
        return fill_disk() if state.epoch == epoch else save(folder, state)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(resuming, "save_state", save_or_fail)
        train(photos, cache, tmp_path, staged=staged)
    keras.backend.clear_session()
    assert read_epochs(tmp_path / "run") == list(range(1, epoch + 1))
    folder = train(photos, cache, tmp_path, staged=staged)
    assert read_epochs(folder) == read_events(folder) == [1, 2, 3]
    train(photos, cache, tmp_path, staged=staged)
    assert read_epochs(folder) == read_events(folder) == [1, 2, 3]


def test_a_training_that_begins_anew_begins_its_files_anew(photos, cache, tmp_path):
    folder = train(photos, cache, tmp_path)
    shutil.move(folder / "state", tmp_path / "moved away")
    train(photos, cache, tmp_path)
    assert read_epochs(folder) == read_events(folder) == [1, 2, 3]
    for state in list_states(folder / "state"):
        state.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="None of the states"):
        train(photos, cache, tmp_path)
    assert read_epochs(folder) == [1, 2, 3]


def test_the_history_of_a_finished_run_is_what_its_state_says(photos, cache, tmp_path):
    folder = train(photos, cache, tmp_path)
    content = (folder / "history.csv").read_bytes()
    (folder / "history.csv").write_bytes(content + content.splitlines()[-1] + b"\r\n")
    train(photos, cache, tmp_path)
    assert (folder / "history.csv").read_bytes() == content
    (folder / "history.csv").unlink()
    train(photos, cache, tmp_path)
    assert (folder / "history.csv").read_bytes() == content


def test_killed_between_the_first_row_and_the_first_state(tmp_path):
    """With a real kill: nothing of the process gets to tidy up."""
    data = tmp_path / "data"
    make_drawn_faces(data, photos_per_class=12, size=(32, 32), seed=1, progress=False)
    command = [sys.executable, "-c"]
    arguments = [str(data), str(tmp_path), "run", "--epochs", "2"]
    begin = "from tests.resumed_training import main\n"
    kill = (
        "import os\nimport numpy as np\n"
        "def savez(file, **_):\n    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
        "np.savez = savez\n"
    )
    killed = subprocess.run([*command, f"{begin}{kill}main()", *arguments], cwd=REPOSITORY)
    assert killed.returncode == -signal.SIGKILL
    assert read_epochs(tmp_path / "run") == [1]
    halves = [path for path in (tmp_path / "run").rglob(".*") if path.stat().st_size == 4]
    assert len(halves) == 1
    subprocess.run([*command, f"{begin}main()", *arguments], cwd=REPOSITORY, check=True)
    assert read_epochs(tmp_path / "run") == [1, 2]
    assert list((tmp_path / "run").rglob(".*")) == []


# --- what killed processes leave ----------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
"""
PICTURE = """
from PIL import Image
from emoclf.inference.annotation import save_picture
def save(self, path, *_, **__):
    Path(path).write_bytes(b"half")
    kill()
Image.Image.save = save
save_picture(np.zeros((9, 9, 3), np.uint8), folder, file="a.jpg")
"""
TEMPORARY = """
from emoclf.storage import temporary_folder
with temporary_folder() as inside:
    (inside / "half").write_bytes(b"half")
    kill()
"""


def kill_while(code, folder):
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-c", KILLED + code, str(folder)]
    killed = subprocess.run(command, cwd=REPOSITORY, env=environment)
    assert killed.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_no_empty_picture(tmp_path):
    kill_while(PICTURE, tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    path = save_picture(np.zeros((9, 9, 3), np.uint8), tmp_path, file="a.jpg")
    assert list(tmp_path.iterdir()) == [path] == [tmp_path / "a.jpg"]


def test_a_killed_process_leaves_a_temporary_folder_to_the_next(tmp_path, monkeypatch):
    kill_while(TEMPORARY, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder() as inside:
        assert list(tmp_path.iterdir()) == [inside]
        assert inside.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


LOAD = """
import keras
from emoclf.models.model_file import load_model
keras.models.load_model = lambda *_, **__: (tempfile.mkdtemp(), kill())
import tempfile
load_model(next(folder.glob("*.keras")))
"""


def test_what_keras_unpacks_is_removed_after_a_kill(run, tmp_path, monkeypatch):
    from emoclf.models.model_file import load_model

    shutil.copy(run[1].run.model_file, tmp_path)
    kill_while(LOAD, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    load_model(tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_half_a_cache_is_removed_by_the_next_one_in_memory_too(photos, tmp_path):
    with replacing(tmp_path / "a.npy") as temporary:
        temporary.write_bytes(b"half")
    left = tmp_path / temporary.name.replace(f".{os.getpid()}-", f".{2**22 + 1}-")
    (tmp_path / "a.npy").rename(left)
    cache_photos(photos, image_size=SIZE, cache_folder=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_picture_takes_a_free_name_and_never_another_ones(tmp_path, monkeypatch, links):
    from pathlib import Path

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", fill_disk)
    mine = [tmp_path / "a.txt", tmp_path / "a-2.txt"]
    for path in mine:
        path.write_text("mine")
    free = tmp_path / "a-3.txt"
    assert add_file([*mine, free], lambda path: path.write_text("new")) == free
    assert [path.read_text() for path in (*mine, free)] == ["mine", "mine", "new"]
    assert sorted(tmp_path.iterdir()) == sorted([*mine, free])
    with pytest.raises(FileExistsError):
        add_file(mine, lambda path: path.write_text("new"))
    assert len(list(tmp_path.iterdir())) == 3


# --- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def limit_files():
    """Let no file grow beyond a size, as a full disk would not; pytest's own files are small."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["best.keras", "epoch-00001.npz", "tensorboard"])
def test_a_disk_that_is_full_in_the_middle_is_named(
    photos, cache, tmp_path, limit_files, monkeypatch, name
):
    """The writers of Keras, NumPy and TensorFlow themselves fail."""
    if name != "best.keras":
        monkeypatch.setattr("emoclf.training.callbacks.save_model", lambda *_, **__: None)
    if name != "tensorboard":
        nothing = keras.callbacks.Callback()
        monkeypatch.setattr("emoclf.training.callbacks.EventFiles", lambda _: nothing)
    with pytest.raises(OSError, match="File too large") as caught:
        train(photos, cache, tmp_path, prepare=lambda: limit_files(5000))
    limit_files(-1)
    assert caught.value.errno == errno.EFBIG
    expected = tmp_path / "run" if name == "tensorboard" else name
    assert str(caught.value.filename).endswith(str(expected))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "run").rglob(".*")) == []
    monkeypatch.undo()
    assert read_epochs(train(photos, cache, tmp_path)) == [1, 2, 3]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_tensorflow_raises_names_the_place(tmp_path, code):
    import tensorflow as tf

    said = f"{{{{node Save}}}} {tmp_path}/part-0; {os.strerror(code)} [Op:SaveV2]"
    for kind in (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError):
        with pytest.raises(OSError, match=r"a\.bin") as caught, replacing(tmp_path / "a.bin"):
            raise kind(None, None, said)
        assert (caught.value.errno, caught.value.strerror) == (code, os.strerror(code))
        with pytest.raises(OSError, match=r"export'$"), building_folder(tmp_path / "export"):
            raise kind(None, None, said)
    with pytest.raises(tf.errors.ResourceExhaustedError), naming_full_disk(tmp_path):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")


def test_what_hdf5_raises_is_one_line(tmp_path):
    said = "Can't write data (file write failed: time = Wed\n, errno = 28, buf = 0x5, offset = 2"
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "a.h5"):
        raise OSError(errno.ENOSPC, said)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.h5") in str(caught.value)


def test_a_file_inside_of_a_new_folder_is_named_as_it_will_be(tmp_path):
    with (
        pytest.raises(OSError, match="Is a directory") as caught,
        building_folder(tmp_path / "export") as folder,
    ):
        folder.write_bytes(b"")
    assert caught.value.filename == str(tmp_path / "export")
    with (
        pytest.raises(FileNotFoundError) as caught,
        building_folder(tmp_path / "export") as folder,
    ):
        (folder / "missing" / "a.txt").write_text("a")
    assert caught.value.filename == str(tmp_path / "export" / "missing" / "a.txt")
