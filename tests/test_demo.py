"""What the web page predicts, without Gradio and without a browser."""

import os

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.page import PACKAGED_NAME, Models, predict_photo, predicting
from emoclf.images import ModelInfo
from emoclf.images.faces import Face, FaceDetectorUnavailableError
from emoclf.inference import Predictor, UncertaintyRule
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
    assert "no photo that can be read" in found.text
    assert found.picture is None


def test_every_face_has_a_row_and_the_largest_has_bars(tmp_path):
    path = save(tmp_path / "wide.png", 255)
    found = predict_photo(path, make_predictor())
    assert found.probabilities == {"Sad": 0.0, "Happy": 1.0}
    rows = found.text.splitlines()
    assert rows[0] == "|  | prediction | Sad | Happy |"
    assert rows[2:] == [
        "| face 1 | **Happy** | 0% | 100% |",
        "| face 2 | **Happy** | 0% | 100% |",
    ]
    assert found.picture.shape[2] == 3


def test_uncertain_is_said(tmp_path):
    found = predict_photo(save(tmp_path / "grey.png", 128), make_predictor())
    assert "**uncertain**" in found.text
    assert "the larger probability is below 75%" in found.text
    certain = predict_photo(save(tmp_path / "white.png", 255), make_predictor())
    assert "below" not in certain.text


def test_no_face_is_said_and_the_whole_photo_predicted_when_asked(tmp_path):
    path = save(tmp_path / "tall.png", 10, size=(90, 60))
    found = predict_photo(path, make_predictor())
    assert found.text.startswith("**No face was found.**")
    assert found.probabilities == {}
    whole = predict_photo(path, make_predictor(), whole_photo=True)
    assert "| whole photo | **Sad** |" in whole.text


def test_the_map_is_made_when_asked_for_and_where_there_is_a_prediction(tmp_path):
    path = save(tmp_path / "wide.png", 255)
    assert predict_photo(path, make_predictor()).map_picture is None
    found = predict_photo(path, make_predictor(), show_map=True)
    assert found.map_picture.shape[1] == found.picture.shape[1]
    assert found.map_picture.shape[0] > found.picture.shape[0], "the legend is below"
    assert "**What speaks for the prediction, face 1.** Happy 100% \\(occlusion\\)" in found.text
    tall = save(tmp_path / "tall.png", 10, size=(90, 60))
    assert predict_photo(tall, make_predictor(), show_map=True).map_picture is None
    whole = predict_photo(tall, make_predictor(), whole_photo=True, show_map=True)
    assert "the whole photo" in whole.text


def test_a_map_of_a_large_photo_is_shown_smaller(tmp_path):
    path = save(tmp_path / "crowd.png", 200, size=(60, 60 * 30))
    assert max(predict_photo(path, make_predictor(), show_map=True).map_picture.shape) == 1280


def test_only_so_many_rows_and_pixels_are_shown(tmp_path):
    path = save(tmp_path / "crowd.png", 255, size=(60, 60 * 30))
    found = predict_photo(path, make_predictor())
    assert found.text.count("| face ") == 20
    assert "and 10 smaller faces" in found.text
    assert max(found.picture.shape) == 1280


@pytest.mark.parametrize("content", [b"", b"no photo at all", b"\x89PNG\r\n\x1a\n" + b"x" * 90])
def test_what_is_no_photo_is_refused_without_its_path(content, tmp_path):
    path = tmp_path / "[click](javascript:alert(1)) <img src=x>.jpg"
    path.write_bytes(content)
    found = predict_photo(path, make_predictor())
    assert found.picture is None
    assert found.text.startswith("**This is no photo that can be read.**")
    assert str(tmp_path) not in found.text
    assert "javascript:alert(1)" not in found.text
    assert "<img" not in found.text


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
    assert turned.probabilities == {"Sad": 0.0, "Happy": 1.0}
    refused = predict_photo(tmp_path / "a.png", predictor)
    assert refused.picture is None
    assert "400 x 200 pixels" in refused.text and "plain JPEG" in refused.text


def test_a_photo_is_brought_to_a_working_size(tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "_WORKING_SIDE_PX", 100)
    detector = RecordingDetector()
    path = save(tmp_path / "wide.png", 255)
    found = predict_photo(path, make_predictor(detector), show_map=True)
    assert set(detector.sizes) == {(46, 100)}
    assert found.probabilities == {"Sad": 0.0, "Happy": 1.0}


def test_no_detector_is_said_without_a_folder(tmp_path):
    def refuse():
        raise FaceDetectorUnavailableError("There is no file in '/home/me/.cache/emoclf'.")

    predictor = Predictor(BrightnessNetwork(), INFO, detector=refuse)
    found = predict_photo(save(tmp_path / "wide.png", 255), predictor)
    assert "There is no file in 'emoclf'." in found.text


def test_without_a_detector_the_remedy_is_on_the_page(tmp_path):
    def refuse():
        raise FaceDetectorUnavailableError('Install OpenCV 4 with `pip install "opencv<5"`.')

    predictor = Predictor(BrightnessNetwork(), INFO, detector=refuse)
    found = predict_photo(save(tmp_path / "wide.png", 255), predictor)
    assert "Faces cannot be found here" in found.text
    assert "Install OpenCV 4" in found.text


def test_networks_are_offered_by_name_and_loaded_once(tmp_path):
    for age, name in enumerate(("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.keras").touch()
        os.utime(tmp_path / name / "model.keras", (1000 - age, 1000 - age))
    (tmp_path / "c").mkdir()
    loaded = []
    models = Models.find(
        tmp_path,
        lambda path: loaded.append(path.name) or path.name,
        runs=[tmp_path / "c"],
    )
    assert models.names == (
        PACKAGED_NAME,
        str(tmp_path / "c"),
        str(tmp_path / "b"),
        str(tmp_path / "a"),
    )
    assert loaded == []
    assert [models.get(models.names[3]), models.get(models.names[3])] == ["a", "a"]
    assert loaded == ["a"]
    with pytest.raises(ValueError, match="no network '/etc'"):
        models.get("/etc")


def test_the_newest_runs_are_offered(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "model.keras").touch()
        os.utime(tmp_path / f"{number:02}" / "model.keras", (number, number))
    models = Models.find(tmp_path, pytest.fail)
    assert models.names[1:] == tuple(str(tmp_path / f"{n:02}") for n in range(11, 3, -1))


def test_without_gradio_the_command_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    result = call("demo")
    assert result.exit_code == 1
    assert "pip install -e '.[demo]'" in result.stderr
