"""What the web page predicts, without Gradio and without a browser."""

import os
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.page import FACES_ONLY_NAME, PACKAGED_NAME, Models, predict_photo, predicting
from emoclf.apps.page.predicting import say_plainly, write_headline
from emoclf.config import Settings
from emoclf.images import ModelInfo
from emoclf.images.faces import Face, FaceDetectorUnavailableError
from emoclf.inference import FacePrediction, Prediction, Predictor, UncertaintyRule, annotation
from emoclf.storage import write_json
from tests.calls import call

INFO = ModelInfo(image_size=(16, 16), crop="face")


class BrightnessNetwork:
    """Happy is how bright the crop is."""

    def predict_on_batch(self, images):
        happy = images[..., 0].mean(axis=(1, 2)) / 255
        return np.stack([1 - happy, happy], axis=1).astype(np.float32)


class WideDetector:
    """Finds as many faces as a wide photo has room for squares."""

    name, description, note = "wide", "Finds squares.", ""

    def find(self, image):
        height, width = image.shape[:2]
        count = width // height if width > height else 0
        boxes = [(float(n * height), 0.0, float(height), float(height)) for n in range(count)]
        return tuple(Face(box=box, score=0.9) for box in boxes)


def make_predictor(detector=None, *, rule=UncertaintyRule(0.75, 0.75)):  # noqa: B008 - frozen
    return Predictor(BrightnessNetwork(), INFO, detector=detector or WideDetector(), rule=rule)


def save(path, level, *, size=(60, 130)):
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)
    return path


# --- what is predicted ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["x" * 300, "https://example.com/a.jpg", "nul\0.jpg", ""])
def test_a_path_that_leads_nowhere_is_said(path):
    found = predict_photo(path, make_predictor())
    assert found.headline == "This photo cannot be read"
    assert found.picture is None


def test_every_face_has_a_row_and_one_alone_has_bars(tmp_path):
    found = predict_photo(save(tmp_path / "wide.png", 255), make_predictor())
    assert found.headline == "2 faces: 2 happy"
    assert found.probabilities == {}
    table = found.numbers[0]
    assert table.headers == ("face", "answer", "Sad", "Happy")
    assert table.rows == [("1", "Happy", "0%", "100%"), ("2", "Happy", "0%", "100%")]
    assert found.picture.shape[2] == 3
    one = predict_photo(save(tmp_path / "one.png", 235, size=(60, 70)), make_predictor())
    assert one.headline == "Happy, 92% sure"
    assert one.probabilities == pytest.approx({"Sad": 0.08, "Happy": 0.92}, abs=0.01)


def test_uncertain_is_said(tmp_path):
    found = predict_photo(save(tmp_path / "grey.png", 128, size=(60, 70)), make_predictor())
    assert found.headline == "Not sure: sad 50%, happy 50%"
    assert found.numbers[0].rows[0][1] == "uncertain"
    assert "no probability reaches 75%" in found.numbers[-1]


def make_prediction(*faces):
    """Faces as `(answer, probability of Happy, neither)`."""
    return Prediction(
        faces=tuple(
            FacePrediction((0, 0, 9, 9), {"Sad": 1 - happy, "Happy": happy}, answer, neither)
            for answer, happy, neither in faces
        ),
        detector="wide",
    )


@pytest.mark.parametrize(
    ("faces", "headline"),
    [
        ([("Happy", 0.973, 0.1)], "Happy, 97% sure"),
        ([("Sad", 0.0001, None)], "Sad, more than 99% sure"),
        ([("uncertain", 0.99, 0.8)], "Not sure: it looks neither sad nor happy"),
        ([("uncertain", 0.6, 0.1)], "Not sure: sad 40%, happy 60%"),
        ([("Sad", 0.1, 0.1), *2 * [("Happy", 0.9, 0.1)]], "3 faces: 2 happy, 1 sad"),
        ([("Sad", 0.1, 0.1), ("uncertain", 0.6, 0.1)], "2 faces: 1 sad, 1 uncertain"),
        ([], "No face found"),
    ],
)
def test_the_answer_is_a_headline_in_words(faces, headline):
    assert write_headline(make_prediction(*faces), UncertaintyRule(0.75, 0.75)) == headline


def test_neither_is_explained_where_it_stands(tmp_path):
    class WithNeither(BrightnessNetwork):
        def predict_with_neither(self, images):
            return self.predict_on_batch(images), np.full(len(images), 0.9, np.float32)

    predictor = Predictor(
        WithNeither(), INFO, detector=WideDetector(), rule=UncertaintyRule(0.75, 0.75)
    )
    found = predict_photo(save(tmp_path / "wide.png", 255, size=(60, 70)), predictor)
    assert found.headline == "Not sure: it looks neither sad nor happy"
    assert found.numbers[0].headers[-1] == "neither"
    assert "the face is neither sad nor happy" in found.numbers[1]


def test_a_network_of_faces_says_that_there_is_none_and_one_of_photos_answers(tmp_path):
    path = save(tmp_path / "square.png", 10, size=(90, 90))
    found = predict_photo(path, make_predictor())
    assert found.headline == "No face found"
    assert found.note.startswith("Take a photo in which the face is larger")
    assert "whole_photo" not in found.note, "no argument's name"
    assert (found.picture, found.probabilities, found.numbers) == (None, {}, ())
    learned = Predictor(BrightnessNetwork(), ModelInfo(image_size=(16, 16)))
    whole = predict_photo(path, learned)
    assert whole.headline == "Sad, 96% sure"
    assert whole.numbers[0].rows[0][:2] == ("whole photo", "Sad")


def test_the_packaged_networks_answer_without_a_face_too(tmp_path):
    path = save(tmp_path / "square.png", 10, size=(90, 90))
    found = predict_photo(path, Predictor.packaged(detector=WideDetector()))
    assert found.headline.startswith(("Sad, ", "Happy, ", "Not sure: "))
    assert found.note == "No face was found, so the prediction is by the scene alone."
    assert set(found.probabilities) == {"Sad", "Happy"}
    assert [row[0] for row in found.numbers[0].rows] == ["whole photo"]
    assert found.picture is not None
    faces = Predictor.packaged(faces_only=True, detector=WideDetector())
    assert predict_photo(path, faces).headline == "No face found"


def test_the_map_is_made_when_asked_for_and_where_there_is_a_prediction(tmp_path):
    path = save(tmp_path / "wide.png", 255)
    assert predict_photo(path, make_predictor()).map_picture is None
    found = predict_photo(path, make_predictor(), show_map=True)
    assert found.map_picture.shape[1] == found.picture.shape[1]
    assert found.map_picture.shape[0] > found.picture.shape[0], "the legend is below"
    assert found.map_text.startswith("What speaks for the prediction (face 1): Happy 100%")
    tall = save(tmp_path / "tall.png", 10, size=(90, 60))
    assert predict_photo(tall, make_predictor(), show_map=True).map_picture is None
    learned = Predictor(BrightnessNetwork(), ModelInfo(image_size=(16, 16)))
    whole = predict_photo(tall, learned, show_map=True)
    assert whole.map_text.startswith("What speaks for the prediction: Sad")


def test_a_map_of_a_large_photo_is_shown_smaller(tmp_path):
    path = save(tmp_path / "crowd.png", 200, size=(60, 60 * 30))
    assert max(predict_photo(path, make_predictor(), show_map=True).map_picture.shape) == 1280


def test_every_face_of_a_crowd_has_a_row_and_its_number(tmp_path, monkeypatch):
    drawn, draw = [], annotation._draw_label
    monkeypatch.setattr(
        annotation,
        "_draw_label",
        lambda canvas, box, labels, *rest, **options: (
            drawn.append((round(box[0]), labels)) or draw(canvas, box, labels, *rest, **options)
        ),
    )
    path = save(tmp_path / "crowd.png", 255, size=(60, 60 * 30))
    found = predict_photo(path, make_predictor())
    assert [row[0] for row in found.numbers[0].rows] == [str(number) for number in range(1, 31)]
    assert [labels for _, labels in drawn] == [[f"{n} Happy", f"{n}"] for n in range(1, 31)]
    assert max(found.picture.shape) == 1280
    assert drawn[-1][0] == round(29 * 60 * 1280 / 1800), "frames lie where the faces are shown"


@pytest.mark.parametrize("content", [b"", b"no photo at all", b"\x89PNG\r\n\x1a\n" + b"x" * 90])
def test_what_is_no_photo_is_refused_without_its_path(content, tmp_path):
    path = tmp_path / "[click](javascript:alert(1)) <img src=x>.jpg"
    path.write_bytes(content)
    found = predict_photo(path, make_predictor())
    assert found.picture is None
    assert found.headline == "This photo cannot be read"
    assert str(tmp_path) not in found.note
    assert "javascript:alert(1)" not in found.note
    assert "<img" not in found.note


class RecordingDetector(WideDetector):
    """Remembers the sizes of the photos it saw."""

    def __init__(self):
        self.sizes = []

    def find(self, image):
        self.sizes.append(image.shape[:2])
        return super().find(image)


def test_a_large_photo_is_decoded_at_half_its_size_or_refused(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    photo = Image.fromarray(np.full((400, 200, 3), 255, np.uint8))
    photo.save(tmp_path / "a.jpg")
    photo.save(tmp_path / "a.png")
    photo.save(tmp_path / "turned.jpg", exif=exif)
    detector = RecordingDetector()
    predictor = make_predictor(detector)
    predict_photo(tmp_path / "a.jpg", predictor)
    monkeypatch.setattr(predicting, "MAX_DECODED_BYTES", 350_000)
    predict_photo(tmp_path / "a.jpg", predictor)
    turned = predict_photo(tmp_path / "turned.jpg", predictor)
    assert detector.sizes == [(400, 200), (200, 100), (100, 200)]
    assert turned.headline == "2 faces: 2 happy"
    refused = predict_photo(tmp_path / "a.png", predictor)
    assert refused.picture is None
    assert "400 x 200 pixels" in refused.note and "plain JPEG" in refused.note


def test_a_large_photo_is_predicted_in_full_and_shown_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "_EXPLAINED_SIDE_PX", 2000)
    detector = RecordingDetector()
    path = save(tmp_path / "wide.png", 255, size=(1500, 4500))
    found = predict_photo(path, make_predictor(detector))
    assert detector.sizes == [(1500, 4500)]
    assert (found.headline, max(found.picture.shape)) == ("3 faces: 3 happy", 1280)
    predict_photo(path, make_predictor(detector), show_map=True)
    assert detector.sizes[-1] == (667, 2000), "a map takes more memory"
    monkeypatch.setattr(RecordingDetector, "find", lambda _, image: find_in_large(image))
    found = predict_photo(path, make_predictor(RecordingDetector()), show_map=True)
    assert (found.headline, found.map_picture) == ("3 faces: 3 happy", None)
    assert "too small for a map" in found.map_text


def find_in_large(image):
    return WideDetector().find(image) if image.shape[1] > 2000 else ()


def refuse_detector():
    raise FaceDetectorUnavailableError(
        "There is no file in '/home/me/.cache/emoclf', and `download=False` keeps from it."
    )


def test_without_a_detector_one_sentence_says_what_to_do(tmp_path):
    predictor = Predictor(BrightnessNetwork(), INFO, detector=refuse_detector)
    joint = Predictor.packaged(detector=refuse_detector)
    path = save(tmp_path / "a.png", 255, size=(60, 60))
    found = predict_photo(path, predictor)
    assert found.headline == "Faces cannot be looked for"
    answered = predict_photo(path, joint, show_map=True)
    assert answered.headline.startswith(("Sad, ", "Happy, ", "Not sure: "))
    assert answered.note.startswith("The prediction is by the scene alone")
    assert [row[0] for row in answered.numbers[0].rows] == ["whole photo"]
    assert answered.map_picture is not None
    for note in (found.note, answered.note):
        assert note.count("python -m emoclf doctor") == 1
        assert "download" not in note and "/home" not in note


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/model.keras is damaged. Train again.", "model.keras is damaged. Train again."),
        ("x.keras is none. Save it with emoclf.models.save_model.", "x.keras is none."),
        ("model_path: expected a file, received 3.", "Its file is damaged"),
        ("ValueError: no such layer.", "Its file is damaged"),
        ("Revive it: call Layer.from_config(custom_objects=...).", "Its file is damaged"),
        ("my_run/model.keras (its end is missing). Copy it.", "my_run/model.keras (its end"),
    ],
)
def test_a_page_says_nothing_for_programmers(text, shown):
    assert say_plainly(text).startswith(shown)


def make_run(folder, age=0, **settings):
    folder.mkdir(parents=True)
    (folder / "model.keras").touch()
    os.utime(folder / "model.keras", (1000 - age, 1000 - age))
    if settings:
        write_json(folder / "settings.json", asdict(Settings(**settings)))
    return folder


def test_networks_are_offered_in_plain_words_and_loaded_once(tmp_path):
    make_run(tmp_path / "logs" / "first", 2, crop="face", network="deep")
    make_run(tmp_path / "logs" / "second", 1)
    make_run(tmp_path / "logs" / "bad\x1b[31m", 3)
    named = make_run(tmp_path / "other" / "second")
    loaded = []

    def load(path, *, faces_only=False):
        loaded.append((path, faces_only))
        return loaded[-1]

    models = Models.find(
        tmp_path / "logs", load, runs=[named, named / ".", tmp_path / "logs" / "first"]
    )
    assert models.names == (
        PACKAGED_NAME,
        FACES_ONLY_NAME,
        "My network second",
        "My run first: deep network, faces",
        "My network second, in logs",
        r"My network 'bad\x1b[31m'",
    )
    assert loaded == []
    first = (tmp_path / "logs" / "first", False)
    assert models.get(models.names[3]) == models.get(models.names[3]) == first
    assert loaded == [first]
    assert models.get(PACKAGED_NAME) == (None, False)
    assert models.get(FACES_ONLY_NAME) == (None, True)
    with pytest.raises(ValueError, match="no network '/etc'"):
        models.get("/etc")


def test_a_run_of_whole_photos_says_so(tmp_path):
    make_run(tmp_path / "first", crop="none", network="small")
    assert Models.find(tmp_path, pytest.fail).names[2:] == (
        "My run first: small network, whole photos",
    )


def test_the_newest_runs_are_offered(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "model.keras").touch()
        os.utime(tmp_path / f"{number:02}" / "model.keras", (number, number))
    models = Models.find(tmp_path, pytest.fail)
    assert models.names[2:] == tuple(f"My network {n:02}" for n in range(11, 3, -1))


def test_without_gradio_the_command_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    result = call("demo")
    assert result.exit_code == 1
    assert "pip install -e '.[demo]'" in result.stderr


def test_a_photo_that_is_answered_as_a_whole_has_that_answer_in_its_headline(tmp_path):
    whole = FacePrediction((0.0, 0.0, 3000.0, 2000.0), {"Sad": 0.1, "Happy": 0.9}, "Happy", None)
    whole = FacePrediction(**{**vars(whole), "is_whole_photo": True})
    face = FacePrediction((10.0, 10.0, 50.0, 50.0), {"Sad": 0.8, "Happy": 0.2}, "Sad", 0.3, 0.9)

    class Joint:
        rule = None

        def describe_rules(self):
            return ""

        def predict_each(self, _photos, **_options):
            yield Prediction(photo=whole, faces=self.faces, detector="A fake."), None

    Image.new("RGB", (3000, 2000)).save(tmp_path / "photo.png")
    for faces in ((), (face,), (face, face)):
        Joint.faces = faces
        shown = predict_photo(tmp_path / "photo.png", Joint())
        assert shown.headline == "Happy, 90% sure"
        assert shown.note == ("2 faces: 2 sad." if len(faces) == 2 else "")
        assert shown.probabilities == whole.probabilities
        table = str(shown.numbers[0])
        assert "whole photo" in table
        assert [line.split()[0] for line in table.splitlines()[2:]] == ["1", "2"][: len(faces)]


def test_a_whole_photo_is_smoothed_by_itself():
    from emoclf.apps.camera.session import PredictionSmoother

    def answer(happy, *, whole):
        shares = {"Sad": 1 - happy, "Happy": happy}
        return FacePrediction((0.0, 0.0, 10.0, 10.0), shares, "Happy", is_whole_photo=whole)

    smoother = PredictionSmoother(half_life_seconds=0.2)
    for seconds, happy in ((0.0, 1.0), (0.2, 0.0)):
        frame = Prediction(photo=answer(happy, whole=True), faces=(answer(0.5, whole=False),))
        found = smoother.smooth(frame, seconds=seconds)
    assert found.photo.probabilities["Happy"] == pytest.approx(0.5)
    assert found.faces[0].probabilities["Happy"] == pytest.approx(0.5)
