"""What the lesson shows: photos with predictions, the upload button, and a fair verdict."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.lesson import judge_classifiers, show_flaws, show_predictions, upload_photos
from emoclf.apps.lesson.showing import NO_BUTTON, NO_NETWORK
from emoclf.data.cleaning import find_problems
from emoclf.data.synthetic import draw_face, make_drawn_faces
from emoclf.evaluation.estimates import Estimate
from emoclf.inference import Predictor
from tests.evaluations import make_evaluation


@pytest.fixture(scope="module")
def predictor():
    return Predictor.packaged()


def read_titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_every_photo_gets_its_folder_and_its_prediction(predictor, tmp_path):
    for name in ("happy", "sad"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "face.png"
        Image.fromarray(draw_face(name.title(), seed=3)).save(path)
    figure = show_predictions(predictor, sorted(tmp_path.glob("*/*.png")))
    first, second = read_titles(figure)
    assert first.startswith("in happy: ")
    assert second.startswith("in sad: ")
    assert "Happy" in first.partition(": ")[2]


def test_where_nothing_can_be_shown_a_sentence_says_so(predictor):
    assert show_predictions(None, ["photo.jpg"]) == NO_NETWORK
    assert upload_photos(None) == NO_NETWORK
    assert "no photos" in show_predictions(predictor, [])


def test_flaws_and_duplicates_are_shown_with_their_names(tmp_path):
    make_drawn_faces(tmp_path / "drawn", photos_per_class=20, seed=2, with_flaws=True)
    titles = read_titles(show_flaws(find_problems(tmp_path / "drawn", progress=False)))
    assert "too small" in titles
    assert titles.count("duplicates 1") == 2
    make_drawn_faces(tmp_path / "clean", photos_per_class=4, seed=2)
    assert "no flaw" in show_flaws(find_problems(tmp_path / "clean", progress=False))


def encode(photo):
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("version", [7, 8])
def test_the_button_takes_what_both_versions_of_the_widgets_hand_over(
    version, predictor, monkeypatch
):
    """ipywidgets 7, in Colab: a dict by name; 8: a tuple with memoryviews. One file is no photo."""
    pytest.importorskip("ipywidgets")
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    files = {"face.png": encode(draw_face("Happy", seed=3)), "notes.txt": b"no picture"}
    value = (
        {name: {"content": content} for name, content in files.items()}
        if version == 7
        else tuple({"name": n, "content": memoryview(c)} for n, c in files.items())
    )
    box = upload_photos(predictor)
    button = box.children[0]
    button._trait_notifiers["value"]["change"][-1]({"new": value})
    problem, figure = shown
    assert "notes.txt" in problem.data
    assert "Happy" in read_titles(figure)[0]


def test_without_widgets_the_button_is_a_sentence(predictor, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert upload_photos(predictor) == NO_BUTTON


def judge(is_right, other=None, **options):
    """The verdict on networks that are right or wrong as given; half of the photos are happy."""

    def evaluate(is_right):
        labels = np.arange(len(is_right)) % 2
        happy = np.where(is_right, labels, 1 - labels) * 0.8 + 0.1
        return make_evaluation(labels, np.stack([1 - happy, happy], axis=1).astype(np.float32))

    borrowed = None if other is None else evaluate(other)
    verdict = judge_classifiers(evaluate(is_right), borrowed, learned=210, **options)
    return " ".join(str(verdict).split())


RIGHT = np.ones(100, bool)
HALF = np.arange(100) % 4 < 2
ALMOST = np.arange(100) % 10 > 0


@pytest.mark.parametrize(
    ("own", "other", "sentence"),
    [
        (ALMOST, HALF, "Your network is better"),
        (HALF, ALMOST, "Step 3 is better"),
        (ALMOST, np.roll(ALMOST, 1), "do not tell which is better"),
    ],
)
def test_the_verdict_is_that_of_the_paired_test(own, other, sentence):
    text = judge(own, other)
    assert sentence in text
    assert ("210 photos" in text) == ("do not tell" not in sentence)
    only_own, only_other = int((own & ~other).sum()), int((other & ~own).sum())
    assert f"right in {only_own} photo" in text
    assert f"step 3 alone in {only_other}" in text


def test_a_network_that_guesses_is_said_to_be_not_shown_to_do_better():
    text = judge(HALF)
    assert "Your network is NOT shown to beat always giving the same answer" in text
    assert "tep 3" not in text


def test_few_photos_are_cross_validated():
    text = judge(ALMOST, RIGHT, crossed=Estimate(0.91, 0.88, 0.94, 300))
    assert "Step 3 beats always giving the same answer" in text
    assert "cross-validated, is right in 0.910 (95 % interval 0.880 to 0.940, n = 300)" in text
