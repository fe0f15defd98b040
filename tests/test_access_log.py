"""The test is opened once: what is recorded, and what a second look is called."""

import json

import numpy as np
import pytest

from emoclf.evaluation import evaluate_predictions
from emoclf.evaluation.access_log import load_test_access_log, log_test_access
from emoclf.inference.testing import evaluate
from emoclf.storage import find_sha256
from emoclf.training import save_evaluation


def evaluate(scores=(0.1, 0.8, 0.7, 0.3), **options):
    happy = np.array(scores)
    paths = [f"{number}.jpg" for number in range(len(happy))]
    answers = np.stack([1 - happy, happy], 1)
    return evaluate_predictions([0, 1, 1, 0], answers, paths=paths, **options)


def make_run(folder, content=b"weights"):
    folder.mkdir()
    (folder / "model.keras").write_bytes(content)
    return folder


def test_the_first_look_is_recorded_and_saving_it_again_is_no_second_one(tmp_path):
    run = make_run(tmp_path / "a")
    assert "No look" in load_test_access_log(run).describe()
    assert load_test_access_log(run).access_log == ()
    save_evaluation(evaluate(), run)
    save_evaluation(evaluate(), run)
    (look,) = load_test_access_log(run).access_log
    assert look.model_sha256 == find_sha256(run / "model.keras")
    assert look.photos == 4
    assert "First recorded look at the 4 test photos" in load_test_access_log(run).describe()
    assert json.loads((run / "metrics.json").read_text())["test_accesses"] == 1


def test_a_second_look_says_whether_the_model_is_another(tmp_path):
    run = make_run(tmp_path / "a")
    file = run / "model.keras"
    log_test_access(evaluate(), run, model_file=file)
    again = log_test_access(evaluate(), run, model_file=file)
    assert "Look 2" in again.describe()
    assert "by the same model: nothing was chosen" in again.describe()
    file.write_bytes(b"trained anew")
    save_evaluation(evaluate((0.2, 0.9, 0.6, 0.4)), run)
    text = load_test_access_log(run).describe()
    assert "Look 3" in text
    assert "2 different models. Careful" in text


def test_other_runs_that_saw_the_same_photos_are_named(tmp_path):
    for name in ("a", "b"):
        save_evaluation(evaluate(), make_run(tmp_path / name))
    other = evaluate_predictions([0, 1], np.eye(2), paths=["x.jpg", "y.jpg"])
    save_evaluation(other, make_run(tmp_path / "c"))
    looks = load_test_access_log(tmp_path / "b")
    assert looks.elsewhere == ("a",)
    assert "1 other run beside it was tested on the same photos (a)" in looks.describe()
    assert load_test_access_log(tmp_path / "c").elsewhere == ()


def test_validation_photos_may_be_looked_at_as_often_as_you_like(tmp_path):
    run = make_run(tmp_path / "a")
    path = save_evaluation(evaluate(split="validation"), run)
    assert path.name == "validation_metrics.json"
    assert load_test_access_log(run).access_log == ()
    with pytest.raises(ValueError, match="numbers of the validation photos"):
        save_evaluation(evaluate(split="validation"), run, split="test")


def test_a_damaged_record_is_not_written_over(tmp_path):
    run = make_run(tmp_path / "a")
    for content in ('[{"time": "today"}]', "[3]", "{"):
        (run / "test_access_log.json").write_text(content)
        with pytest.raises(ValueError, match=r"test_accesses\.json"):
            save_evaluation(evaluate(), run)
        assert (run / "test_access_log.json").read_text() == content
    assert not (run / "metrics.json").exists()


def test_evaluating_a_run_is_a_look(run):
    _, result = run
    before = len(load_test_access_log(result.run_folder).access_log)
    test = evaluate(result.run_folder, progress=False)
    assert test.evaluation.split == "test"
    assert test.evaluation.groups is not None
    assert len(test.access_log.access_log) == before + 1
    assert test.access_log.access_log[-1].model_sha256 == find_sha256(
        result.run_folder / "model.keras"
    )
    assert test.access_log.describe() in test.describe()
    save_evaluation(test.evaluation, result.run_folder)
    validation = evaluate(result.run_folder, split="validation", progress=False)
    assert validation.access_log is None
    assert len(load_test_access_log(result.run_folder).access_log) == before + 1
