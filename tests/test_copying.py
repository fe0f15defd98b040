"""The second place of a run: complete, verified, and never in the way."""

import pytest

from emoclf.config import Settings
from emoclf.run import Run
from emoclf.storage import ResumeRefusedError
from emoclf.training import CopyRun, copy_run, start_run
from emoclf.training.run_folder import fetch_run


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "logs" / "first"
    (folder / "state").mkdir(parents=True)
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    (folder / "state" / "epoch-00001.npz").write_bytes(b"one")
    return folder


def read_all(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_new_is_copied_and_an_older_state_goes(run_folder, tmp_path):
    drive = tmp_path / "drive"
    known = {}
    assert len(copy_run(Run(run_folder), drive, known=known)) == 2
    assert copy_run(Run(run_folder), drive, known=known) == []
    (run_folder / "state" / "epoch-00001.npz").rename(run_folder / "state" / "epoch-00002.npz")
    (run_folder / "history.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    (drive / "first" / "notes.txt").write_text("the user's")
    assert len(copy_run(Run(run_folder), drive, known=known)) == 2
    (drive / "first" / "notes.txt").unlink()
    assert read_all(drive / "first") == read_all(run_folder)


def test_a_run_comes_back_whole_or_not_at_all(run_folder, tmp_path, monkeypatch):
    copy_run(Run(run_folder), tmp_path / "drive")
    elsewhere = tmp_path / "other machine" / "first"
    copies = []

    def fail_later(source, target):
        copies.append(source)
        if len(copies) == 2:
            raise OSError("the drive is gone")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        return target

    with monkeypatch.context() as patched:
        patched.setattr("emoclf.training.run_folder._copy_verified", fail_later)
        with pytest.raises(OSError, match="gone"):
            fetch_run(Run(elsewhere), tmp_path / "drive")
    assert not elsewhere.exists()
    assert fetch_run(Run(elsewhere), tmp_path / "drive")
    assert read_all(elsewhere) == read_all(run_folder)
    assert not fetch_run(Run(elsewhere), tmp_path / "drive")
    assert not fetch_run(Run(tmp_path / "x"), tmp_path / "nowhere")
    assert [path.name for path in elsewhere.parent.iterdir()] == ["first"]


def test_a_copy_that_reads_back_otherwise_is_not_kept(run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "emoclf.training.run_folder.shutil.copyfile", lambda _, target: target.write_bytes(b"on")
    )
    with pytest.raises(OSError, match="does not read back"):
        copy_run(Run(run_folder), tmp_path / "drive")
    assert read_all(tmp_path / "drive") == {}


def test_a_second_place_that_fails_does_not_stop_the_training(run_folder, tmp_path):
    (tmp_path / "drive").write_text("a file, where a folder should be")
    callback = CopyRun(Run(run_folder), tmp_path / "drive")
    with pytest.warns(UserWarning, match="tried again after the next epoch"):
        callback.on_epoch_end(0)
    (tmp_path / "drive").unlink()
    callback.on_epoch_end(1)
    assert read_all(tmp_path / "drive" / "first") == read_all(run_folder)


def test_a_run_goes_on_from_its_second_place(photos, tmp_path):
    settings = Settings()
    first = start_run(settings, photos, logs=tmp_path / "a", name="first", resume=True)
    (first.folder / "state").mkdir()
    (first.folder / "state" / "epoch-00001.npz").write_bytes(b"one")
    copy_run(first, tmp_path / "drive")
    options = {"name": "first", "resume": True, "copies": tmp_path / "drive"}
    again = start_run(settings, photos, logs=tmp_path / "b", **options)
    assert (again.folder / "state" / "epoch-00001.npz").read_bytes() == b"one"


def test_the_copy_of_another_run_is_never_overwritten(photos, tmp_path):
    drive = {"copies": tmp_path / "drive"}
    first = start_run(Settings(), photos, logs=tmp_path / "a", name="first", **drive)
    copy_run(first, tmp_path / "drive")
    second = start_run(Settings(), photos, logs=tmp_path / "b", name="first", **drive)
    assert second.folder.name == "first-2"
    other = Settings(epochs=3)
    start_run(other, photos, logs=tmp_path / "c", name="first")
    with pytest.raises(ResumeRefusedError, match=r"drive.first is another training: epochs was"):
        start_run(other, photos, logs=tmp_path / "c", name="first", resume=True, **drive)


def test_a_copy_that_is_further_is_never_overwritten(photos, tmp_path):
    options = {"name": "first", "resume": True, "copies": tmp_path / "drive"}
    run = start_run(Settings(), photos, logs=tmp_path, **options)
    folder = run.folder
    (folder / "state").mkdir()
    (folder / "state" / "epoch-00009.npz").write_bytes(b"nine")
    copy_run(Run(folder), tmp_path / "drive")
    assert start_run(Settings(), photos, logs=tmp_path, **options) == run
    (folder / "state" / "epoch-00009.npz").rename(folder / "state" / "epoch-00003.npz")
    with pytest.raises(ResumeRefusedError, match=r"further \(epoch-00009.npz\) than .*Move"):
        start_run(Settings(), photos, logs=tmp_path, **options)
    folder.rename(tmp_path / "away")
    again = start_run(Settings(), photos, logs=tmp_path, **options)
    assert (again.folder / "state" / "epoch-00009.npz").read_bytes() == b"nine"


def test_a_copy_that_had_only_begun_is_not_gone_on_with(photos, tmp_path):
    (tmp_path / "drive" / "first").mkdir(parents=True)
    (tmp_path / "drive" / "first" / "settings.json").write_text("{}")
    options = {"name": "first", "resume": True, "copies": tmp_path / "drive"}
    for _ in range(2):
        assert start_run(Settings(), photos, logs=tmp_path, **options).is_there


def test_a_finished_run_is_not_lost_when_its_last_copy_fails(run_folder, tmp_path):
    (tmp_path / "drive").write_text("a file, where a folder should be")
    with pytest.warns(UserWarning, match=r"It is whole in .*first.*does nothing but copy it"):
        CopyRun(Run(run_folder), tmp_path / "drive").finish()
