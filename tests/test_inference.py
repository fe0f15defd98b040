from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.data.loading import make_dataset
from emoclf.evaluation import Evaluation, collect_predictions
from emoclf.images import UnreadableImageError, load_image
from emoclf.inference import Predictor
from emoclf.inference.testing import PhotoTest, evaluate, evaluate_folder
from emoclf.photos import Photos


@pytest.fixture(scope="module")
def predictor(run):
    return Predictor.load(run[1].run.folder)


def test_prediction_equals_the_training_path(predictor, run, cache):
    _, expected = collect_predictions(run[0], make_dataset(cache, "test"))
    paths = cache.photos.part("test").files
    answers = predictor.predict(paths)
    received = np.array([[a.probabilities["Sad"], a.probabilities["Happy"]] for a in answers])
    np.testing.assert_allclose(received, expected, atol=1e-5)
    assert [a.class_name for a in answers] == [("Sad", "Happy")[i] for i in expected.argmax(1)]
    assert [a.file for a in answers] == [str(path) for path in paths]


def test_path_bytes_pil_and_array_give_one_prediction(predictor, photos):
    path = photos.files[0]
    with Image.open(path) as image:
        sources = [path, str(path), path.read_bytes(), image.copy(), load_image(path)]
    answers = [predictor.predict(source) for source in sources]
    for answer in answers:
        assert answer.probabilities["Happy"] == pytest.approx(
            answers[0].probabilities["Happy"], abs=1e-5
        )
    assert answers[0].file == str(path)
    assert answers[3].file is None
    assert sum(answers[0].probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_a_folder_gets_a_prediction_for_every_file_and_says_what_it_could_not_read(
    predictor, tmp_path
):
    Image.new("RGB", (300, 20), "red").save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("<html>no photo</html>")
    (tmp_path / "deeper").mkdir()
    Image.new("L", (20, 300), 200).save(tmp_path / "deeper" / "c.webp")
    answers = predictor.predict(tmp_path, batch_size=2)
    assert [Path(answer.file).name for answer in answers] == ["a.png", "b.jpg", "c.webp"]
    assert [answer.class_name is None for answer in answers] == [False, True, False]
    assert "b.jpg" in answers[1].problem
    assert "not read" in str(answers[1])
    assert str(answers[0]).startswith(str(tmp_path / "a.png"))


def test_a_single_unreadable_photo_raises(predictor, tmp_path):
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    with pytest.raises(UnreadableImageError, match=r"cut\.jpg"):
        predictor.predict(tmp_path / "cut.jpg")
    with pytest.raises(UnreadableImageError, match=r"none\.jpg"):
        predictor.predict(tmp_path / "none.jpg")


def test_an_empty_folder_is_refused_and_an_empty_list_is_not(predictor, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no file"):
        predictor.predict(tmp_path)
    assert predictor.predict([]) == []


def test_red_green_blue_and_blue_green_red_differ(predictor, photos):
    photo = load_image(photos.files[0])
    right, swapped = predictor.predict(photo), predictor.predict(photo[..., ::-1].copy())
    assert right.probabilities != swapped.probabilities


def test_load_takes_a_run_or_a_file_and_names_what_is_missing(run, tmp_path):
    folder = run[1].run.folder
    assert Predictor.load(folder).info == Predictor.load(folder / "model.keras").info
    with pytest.raises(FileNotFoundError, match=r"model\.keras does not exist"):
        Predictor.load(tmp_path)


def make_test(sad, happy, wrong, *, left_out=(), **options):
    labels = np.array([0] * sad + [1] * happy)
    own = np.where(np.arange(sad + happy) < wrong, 0.2, 0.8)
    probabilities = np.where(np.eye(2)[labels] > 0, own[:, None], 1 - own[:, None])
    photos = Photos.make(map(str, range(sad + happy)), labels)
    return PhotoTest(Evaluation(photos, probabilities), left_out, **options)


@pytest.mark.parametrize(
    ("counts", "options", "expected"),
    [
        (
            (151, 151, 7),
            {"kind": "unseen photo"},
            "295 of 302 unseen photos right (98 %); guessing gets half",
        ),
        ((372, 135, 137), {}, "370 of 507 photos right (73 %); always Sad gets 73 %"),
        (
            (8, 7, 9),
            {"kind": "validation photo"},
            "6 of 15 validation photos right (40 %); always Sad gets 53 %",
        ),
        ((1, 300, 1), {}, "300 of 301 photos right (over 99 %); always Happy gets over 99 %"),
        (
            (0, 4, 1),
            {},
            "3 of 4 photos right (75 %); all of them are Happy, so guessing that gets all",
        ),
        (
            (1, 0, 0),
            {},
            "1 of 1 photo right (100 %); all of them are Sad, so guessing that gets all",
        ),
        (
            (2, 2, 0),
            {"left_out": (("a.jpg", "no face"),)},
            "4 of 4 photos right (100 %), 1 more without a prediction; guessing gets half",
        ),
    ],
)
def test_a_test_begins_with_how_many_are_right_and_what_guessing_gets(counts, options, expected):
    test = make_test(*counts, **options)
    assert test.headline == expected
    assert str(test).splitlines()[0] == expected


def test_uncertain_predictions_are_counted_and_said():
    assert "3 of them are uncertain" in str(make_test(5, 5, 0, uncertain=3))


def test_the_headline_says_what_the_photos_are_to_the_network(run, drawn_folder):
    folder = run[1].run.folder
    kinds = {part: evaluate(folder, part, progress=False).headline for part in ("test", "train")}
    assert "unseen photos" in kinds["test"]
    assert "training photos" in kinds["train"]
    stranger = Predictor(run[0], Predictor.load(folder).info)
    assert " photos right" in evaluate_folder(stranger, drawn_folder, progress=False).headline
    assert "unseen" not in evaluate_folder(stranger, drawn_folder, progress=False).headline
