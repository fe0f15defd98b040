"""A run opened: its settings and photos, and the log of who has looked at its test."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.evaluation import Evaluation
from emoclf.images import ModelInfo
from emoclf.inference.testing import evaluate
from emoclf.photos import Photos
from emoclf.run import Run, check_run_name, make_run_folder
from emoclf.storage import find_sha256
from emoclf.training import save_evaluation

PHOTOS = Photos.make(
    [f"{number}.jpg" for number in range(4)],
    [0, 1, 1, 0],
    groups=[-1, 1, 1, -1],
    parts=["train", "test", "test", "validation"],
    root=Path.cwd(),
)


def make_run(folder, content=b"weights", root=PHOTOS.root):
    folder.mkdir()
    run = Run(folder)
    run.save(Settings(seed=3), replace(PHOTOS, root=str(root)))
    run.model_file.write_bytes(content)
    return run


def test_a_run_is_opened_by_its_folder(tmp_path):
    made = make_run(tmp_path / "a")
    for given in (tmp_path / "a", str(tmp_path / "a"), made):
        run = Run.open(given)
        assert run == made
        assert run.is_there
        assert run.settings == Settings(seed=3)
        assert run.photos == PHOTOS
        assert run.model_file == tmp_path / "a" / "model.keras"
        assert run.info == ModelInfo(("Sad", "Happy"), Settings().image_size, "pad", "none")
    assert Run.open(made) is made


def test_what_is_no_run_is_refused_with_the_next_step(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "settings.json").write_text("{}")
    for folder in (tmp_path / "a", tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"is not a run: it holds no split\.json.*T"):
            Run.open(folder)
        assert not Run(folder).is_there


def test_the_files_are_read_when_they_are_asked_for_and_once(tmp_path):
    run = make_run(tmp_path / "a")
    (tmp_path / "a" / "settings.json").write_text("no JSON")
    assert run.photos == PHOTOS
    (tmp_path / "a" / "split.json").unlink()
    assert run.photos is run.photos
    with pytest.raises(ValueError, match=r"settings\.json"):
        _ = run.settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "many"}, "epochs"),
        ({"seed": -1}, "seed"),
        ({"surprise": 1}, "surprise"),
        ({"network": "tiny"}, "network"),
    ],
)
def test_damaged_settings_are_named(tmp_path, changes, message):
    run = make_run(tmp_path / "a")
    path = tmp_path / "a" / "settings.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, **changes}))
    with pytest.raises(ValueError, match=message):
        _ = run.settings
    del value["epochs"]
    path.write_text(json.dumps(value))
    with pytest.raises(ValueError, match="epochs"):
        _ = run.settings


def test_photos_whose_folder_is_gone_are_named(tmp_path):
    run = make_run(tmp_path / "a", root=tmp_path / "data")
    with pytest.raises(FileNotFoundError, match=r"The photos of .*a were in .*data.*not there.*--"):
        run.find_photos()


@pytest.fixture
def project(tmp_path):
    """A project with photos and a run of them, its root written as seen from the project."""
    folder = tmp_path / "project"
    (folder / "data" / "happy").mkdir(parents=True)
    paths = [f"happy/{number}.jpg" for number in range(4)]
    for path in paths:
        (folder / "data" / path).write_text(path)
    hashes = [find_sha256(folder / "data" / path) for path in paths]
    parts = ["train", "test", "test", "validation"]
    photos = Photos.make(paths, [1] * 4, parts=parts, contents=hashes, root=folder / "data")
    run = Run(folder / "logs" / "a")
    run.folder.mkdir(parents=True)
    run.save(Settings(), photos)
    return folder


def test_a_split_does_not_depend_on_where_a_command_was_started(project, monkeypatch):
    run = Run(project / "logs" / "a")
    monkeypatch.chdir(project)
    run.save(Settings(), replace(run.photos, root="data"))
    monkeypatch.chdir(project.parent)
    again = Run(project / "logs" / "a").find_photos()
    assert Path(again.root) == project / "data"
    assert all(file.is_file() for file in again.files)


def test_a_project_that_is_moved_as_a_whole_is_whole(project):
    moved = project.rename(project.parent / "moved")
    found = Run(moved / "logs" / "a").find_photos()
    assert Path(found.root) == moved / "data"


def test_another_data_set_with_the_same_names_is_not_taken(project):
    moved = project.rename(project.parent / "moved")
    for number in range(4):
        (moved / "data" / "happy" / f"{number}.jpg").write_text("another photo")
    run = Run(moved / "logs" / "a")
    with pytest.raises(FileNotFoundError, match="are not there"):
        run.find_photos()
    with pytest.raises(FileNotFoundError, match="holds 0 of the 4 photos"):
        replace(run, photos_folder=moved / "data").find_photos()


@pytest.mark.parametrize("rename", [False, True])
def test_moved_photos_are_known_again_by_name_or_content(project, rename):
    run = Run(project / "logs" / "a", photos_folder=project / "new")
    (project / "data").rename(project / "new")
    if rename:  # each takes the name of another
        for number in range(4):
            file = project / "new" / "happy" / f"{number}.jpg"
            file.rename(project / "new" / f"{3 - number}.png")
    found = run.find_photos()
    assert [row.part for row in found.rows] == [row.part for row in run.photos.rows]
    assert [file.read_text() for file in found.files] == list(run.photos.paths)


def test_the_photos_of_a_run_are_known_in_any_folder(project):
    run = Run(project / "logs" / "a")
    hashes = [row.sha256 for row in run.photos.rows]
    others = Photos.make(
        ["x.jpg", "y.jpg", "small_y.jpg", "happy/2.jpg"],
        [1] * 4,
        groups=[-1, 7, 7, -1],
        contents=[hashes[1], hashes[0], "f" * 64, "e" * 64],
        root="elsewhere",
    )
    known = {"x.jpg": "test", "y.jpg": "train", "small_y.jpg": "train"}
    assert run.find_known(others) == known
    here = run.find_known(replace(others, root=run.photos.root))
    assert here == {**known, "happy/2.jpg": "test"}


def test_run_folders_are_new_and_their_names_plain(tmp_path):
    first = make_run_folder(tmp_path / "logs")
    second = make_run_folder(tmp_path / "logs", name=first.name)
    assert first != second
    assert list(second.iterdir()) == []
    (tmp_path / "copies" / "a").mkdir(parents=True)
    assert make_run_folder(tmp_path / "logs", name="a", copies=tmp_path / "copies").name == "a-2"
    for name in ("../outside", "a/b", "..", ".", ""):
        with pytest.raises(ValueError, match="plain folder name"):
            check_run_name(name)
    with pytest.raises(ValueError, match="plain folder name"):
        make_run_folder(tmp_path, name="a/b")


# --- the test is opened once --------------------------------------------------------------------


def answer(scores=(0.1, 0.8, 0.7, 0.3), part=""):
    happy = np.array(scores)
    return Evaluation(PHOTOS.with_parts([part] * 4), np.stack([1 - happy, happy], 1))


def test_the_first_access_is_logged_and_saving_it_again_is_no_second_one(tmp_path):
    run = make_run(tmp_path / "a")
    assert str(run.load_access_log()) == "No access to the test photos is recorded."
    assert run.load_access_log().accesses == ()
    save_evaluation(answer(), run)
    save_evaluation(answer(), run.folder)
    (access,) = run.load_access_log().accesses
    assert access.model_sha256 == find_sha256(run.model_file)
    assert access.photos == 4
    assert str(run.load_access_log()) == "First recorded access to the 4 test photos."
    assert json.loads((run.folder / "metrics.json").read_text())["test_accesses"] == 1


def test_a_second_access_says_whether_the_model_is_another(tmp_path):
    run = make_run(tmp_path / "a")
    probabilities = answer().probabilities
    run.log_test_access(PHOTOS, probabilities, model_file=run.model_file)
    again = run.log_test_access(PHOTOS, probabilities, model_file=run.model_file)
    assert "This is access no. 2 to the test photos" in str(again)
    assert "by the same model: nothing was chosen" in str(again)
    run.model_file.write_bytes(b"trained anew")
    save_evaluation(answer((0.2, 0.9, 0.6, 0.4)), run)
    text = str(run.load_access_log())
    assert "access no. 3" in text
    assert "2 different models. Careful" in text


def test_a_model_without_a_file_is_told_by_what_it_predicts(tmp_path):
    run = make_run(tmp_path / "a")
    run.model_file.unlink()
    probabilities = answer().probabilities
    assert run.log_test_access_once(PHOTOS, probabilities).accesses[0].model_sha256 is None
    assert len(run.log_test_access_once(PHOTOS, probabilities).accesses) == 1
    assert "different" not in str(run.log_test_access(PHOTOS, probabilities))
    assert len(run.log_test_access_once(PHOTOS, 1 - probabilities).accesses) == 3
    assert "2 different models" in str(run.load_access_log())


def test_the_same_photos_in_another_order_are_the_same(tmp_path):
    run = make_run(tmp_path / "a")
    first = run.log_test_access(PHOTOS, answer().probabilities)
    turned = run.log_test_access(PHOTOS.take([3, 2, 1, 0]), answer().probabilities[::-1])
    other = run.log_test_access(PHOTOS.take([0, 1]), answer().probabilities[:2])
    names = [each.photos_sha256 for each in other.accesses]
    assert names[0] == names[1] != names[2]
    assert (first.accesses[0].photos, other.accesses[2].photos) == (4, 2)
    assert turned.accesses == other.accesses[:2]


def test_other_runs_that_saw_the_same_photos_are_named(tmp_path):
    for name in ("a", "b"):
        save_evaluation(answer(), make_run(tmp_path / name))
    other = Evaluation(Photos.make(["x.jpg", "y.jpg"], [0, 1]), np.eye(2))
    save_evaluation(other, make_run(tmp_path / "c"))
    log = Run(tmp_path / "b").load_access_log()
    assert log.elsewhere == ("a",)
    assert "1 other run beside it was tested on the same photos (a)" in str(log)
    assert Run(tmp_path / "c").load_access_log().elsewhere == ()


def test_validation_photos_may_be_looked_at_as_often_as_you_like(tmp_path):
    run = make_run(tmp_path / "a")
    path = save_evaluation(answer(part="validation"), run)
    assert path.name == "validation_metrics.json"
    assert run.load_access_log().accesses == ()
    with pytest.raises(ValueError, match="numbers of the validation photos"):
        save_evaluation(answer(part="validation"), run, part="test")


def test_a_damaged_log_is_not_written_over(tmp_path):
    run = make_run(tmp_path / "a")
    path = run.folder / "test_access_log.json"
    for content in ('[{"time": "today"}]', "[3]", "{"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"test_access_log\.json.*Moved away"):
            save_evaluation(answer(), run)
        assert path.read_text() == content
    assert not (run.folder / "metrics.json").exists()


def test_evaluating_a_run_is_an_access(run):
    run = run[1].run
    before = len(run.load_access_log().accesses)
    test = evaluate(run, progress=False)
    assert test.evaluation.photos == run.photos.part("test")
    assert len(test.access_log.accesses) == before + 1
    assert test.access_log.accesses[-1].model_sha256 == find_sha256(run.model_file)
    assert str(test.access_log) in str(test)
    save_evaluation(test.evaluation, run)
    validation = evaluate(run.folder, "validation", progress=False)
    assert validation.access_log is None
    assert validation.evaluation.photos.only_part == "validation"
    assert len(run.load_access_log().accesses) == before + 1
