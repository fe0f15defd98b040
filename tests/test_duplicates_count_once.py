"""Three times the same photo is one photo: no interval becomes narrower by copies."""

import ast
import re
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from PIL import Image

from emoclf.config import CLASS_NAMES
from emoclf.data.folds import make_folds
from emoclf.evaluation import Evaluation, estimate_fraction
from emoclf.evaluation.reliability import accuracy_at_coverage
from emoclf.experiments.exporting.parity import ParityPhotos, score
from emoclf.experiments.kept_folds import CrossValidation, keep_fold
from emoclf.images import ModelInfo
from emoclf.inference import FacePrediction, Prediction
from emoclf.inference.testing import evaluate_folder
from emoclf.photos import Photos
from emoclf.run import Run
from tests.evaluations import make_evaluation

COUNT = 60
RIGHT = np.arange(COUNT) % 4 != 0
LABELS = np.arange(COUNT) // 2 % 2


def answer(labels, right):
    """Probabilities (photos, 2) that are right where they are to be."""
    given = np.where(right, labels, 1 - labels)
    return np.stack([1 - given, given], axis=1) * 0.8 + 0.1


def thrice(values):
    return np.tile(values, (3, *[1] * (np.ndim(values) - 1)))


def estimate_single(is_right):
    return estimate_fraction(is_right, np.arange(len(is_right)))


@pytest.fixture
def single():
    return estimate_single(RIGHT)


def check(found, single):
    assert found.count == 3 * single.count
    assert (found.value, found.low, found.high) == pytest.approx(
        (single.value, single.low, single.high)
    )


def make_photos(copies):
    return Photos.make(
        [f"{copy}-{number}.jpg" for copy in range(copies) for number in range(COUNT)],
        np.tile(LABELS, copies),
        groups=np.tile(np.arange(COUNT), copies),
        parts=["train"] * copies * COUNT,
        seed=1,
    )


def test_each_repeat_of_a_cross_validation(single, tmp_path):
    photos = make_photos(3)
    folds = make_folds(photos, fold_count=3, repeats=2)
    answers = np.stack([answer(thrice(LABELS), thrice(RIGHT))] * 2)
    result = CrossValidation(tmp_path, "network", folds, answers, ())
    for found in result.repeat_accuracies:
        check(found, single)
    check(result.evaluation.accuracy, single)
    rows = photos.groups < 40
    folds = make_folds(photos.take(rows), fold_count=3)
    few = CrossValidation(tmp_path, "network", folds, answers[:1, rows], ())
    assert "With 20 different photos of the smallest class" in str(few)


def test_each_fold_of_a_cross_validation(tmp_path):
    photos = make_photos(3)
    folds = make_folds(photos, fold_count=3)
    tested = folds.find_tested(0, 1)
    given = answer(thrice(LABELS), thrice(RIGHT))
    value = {
        "probabilities": given[tested].tolist(),
        "best_epoch": 1,
        "seconds": 1.0,
        "collapse": None,
    }
    _, found = keep_fold(Run(tmp_path), folds, (0, 1), lambda: value)
    own = np.unique(photos.groups[tested])
    check(found.accuracy, estimate_single(RIGHT[own]))


def test_an_exported_network(single):
    network = SimpleNamespace(predict_on_batch=lambda rows: answer(rows[:, 0], rows[:, 1]))
    rows = np.stack([LABELS, RIGHT], axis=1)
    photos = ParityPhotos(thrice(rows), make_photos(3), rows[:0], "photos, thrice")
    check(score(network, photos).accuracy, single)


def test_the_most_confident_predictions():
    confidence = 0.5 + (answer(LABELS, RIGHT) - 0.5) * np.linspace(0.9, 1, COUNT)[:, np.newaxis]
    once = Evaluation(make_photos(1), confidence)
    copies = Evaluation(make_photos(3), thrice(confidence))
    check(accuracy_at_coverage(copies, coverage=0.8), accuracy_at_coverage(once, coverage=0.8))


class BrightnessPredictor:
    """Calls a photo Happy when it is bright."""

    info = ModelInfo(CLASS_NAMES, (32, 32))
    file = None

    def predict_each(self, files):
        for file in files:
            happy = float(np.asarray(Image.open(file)).mean()) / 255
            shares = {"Sad": 1 - happy, "Happy": happy}
            face = FacePrediction((0, 0, 32, 32), shares, "Happy", is_whole_photo=True)
            yield Prediction(str(file), faces=(face,)), None


def test_a_folder_of_photos(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(12):
        name, copies = ("sad", 3) if number % 2 else ("happy", 1)
        base = 40 if number % 2 and number != 5 else 200
        pixels = generator.integers(base - 40, base + 40, (40, 40, 3)).astype(np.uint8)
        for copy in range(copies):
            path = tmp_path / name / f"{number}-{copy}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    found = evaluate_folder(BrightnessPredictor(), tmp_path, progress=False).evaluation
    assert found.accuracy.count == 24
    for scores, right in zip(found.per_class, (5, 6), strict=True):
        once = estimate_single(np.arange(6) < right)
        assert (scores.recall.low, scores.recall.high) == pytest.approx((once.low, once.high))


def test_photos_without_duplicates_are_not_duplicates_of_each_other():
    given = answer(LABELS, RIGHT)
    alone = make_evaluation(LABELS, given)
    assert make_evaluation(LABELS, given, groups=[-1] * COUNT).accuracy == alone.accuracy
    groups = np.where(np.arange(COUNT) < 10, 3, -1)
    some = make_evaluation(LABELS, given, groups=groups)
    assert alone.accuracy.low > some.accuracy.low > 0.3
    assert len(np.unique(some.photos.groups)) == 51


EVALUATIONS = ("evaluate_model(", "evaluate(", "emoclf.Evaluation(", "evaluation.take(")


def find_calls_without_groups(code):
    for node in ast.walk(ast.parse(re.sub(r"^(\s*)%.*", r"\1pass", code, flags=re.MULTILINE))):
        if isinstance(node, ast.Call):
            makes_photos = ast.unparse(node.func).endswith("Photos.make")
            if makes_photos and "groups" not in {each.arg for each in node.keywords}:
                yield ast.unparse(node)


def test_lesson_and_readme_always_say_which_photos_are_duplicates(repository):
    lesson = nbformat.read(repository / "model.ipynb", as_version=4)
    codes = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    text = (repository / "README.md").read_text(encoding="utf-8")
    codes += re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert sum(any(each in code for each in EVALUATIONS) for code in codes) >= 4
    assert [call for code in codes for call in find_calls_without_groups(code)] == []
