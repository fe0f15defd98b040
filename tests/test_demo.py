"""The web page: what it answers, without Gradio; then the page itself, in Chromium."""

import gc
import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from emoclf.__main__ import main
from emoclf.artefacts import ModelInfo
from emoclf.demo import PACKAGED_NAME, Models, answer_photo, serve_page
from emoclf.faces import Face, FaceDetectorUnavailableError
from emoclf.inference import Predictor, UncertaintyRule
from tests.test_live_browser import open_browser

# Gradio leaves sockets and event loops to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

INFO = ModelInfo(image_size=(16, 16), subject="face")


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


# --- what is answered -----------------------------------------------------------------------


def test_every_face_has_a_row_and_the_largest_has_bars(tmp_path):
    path = save(tmp_path / "wide.png", 255)
    answer = answer_photo(path, make_predictor())
    assert answer.shares == {"Sad": 0.0, "Happy": 1.0}
    rows = answer.text.splitlines()
    assert rows[0] == "|  | answer | Sad | Happy |"
    assert rows[2:] == [
        "| face 1 | **Happy** | 0% | 100% |",
        "| face 2 | **Happy** | 0% | 100% |",
    ]
    assert answer.picture.shape[2] == 3


def test_uncertain_is_said(tmp_path):
    answer = answer_photo(save(tmp_path / "grey.png", 128), make_predictor())
    assert "**uncertain**" in answer.text


def test_no_face_is_said_and_the_whole_photo_answered_when_asked(tmp_path):
    path = save(tmp_path / "tall.png", 10, size=(90, 60))
    answer = answer_photo(path, make_predictor())
    assert answer.text.startswith("**No face was found.**")
    assert answer.shares == {}
    whole = answer_photo(path, make_predictor(), whole_photo=True)
    assert "| whole photo | **Sad** |" in whole.text


def test_only_so_many_rows_and_pixels_are_shown(tmp_path):
    path = save(tmp_path / "crowd.png", 255, size=(60, 60 * 30))
    answer = answer_photo(path, make_predictor())
    assert answer.text.count("| face ") == 20
    assert "and 10 smaller faces" in answer.text
    assert max(answer.picture.shape) == 1280


@pytest.mark.parametrize("content", [b"", b"no photo at all", b"\x89PNG\r\n\x1a\n" + b"x" * 90])
def test_what_is_no_photo_is_refused_without_its_path(content, tmp_path):
    path = tmp_path / "[click](javascript:alert(1)) <img src=x>.jpg"
    path.write_bytes(content)
    answer = answer_photo(path, make_predictor())
    assert answer.picture is None
    assert answer.text.startswith("**This is no photo that can be read.**")
    assert str(tmp_path) not in answer.text
    assert "javascript:alert(1)" not in answer.text
    assert "<img" not in answer.text


def test_without_a_detector_the_remedy_is_on_the_page(tmp_path):
    def refuse():
        raise FaceDetectorUnavailableError('Install OpenCV 4 with `pip install "opencv<5"`.')

    predictor = Predictor(BrightnessNetwork(), INFO, detector=refuse)
    answer = answer_photo(save(tmp_path / "wide.png", 255), predictor)
    assert "Faces cannot be found here" in answer.text
    assert "Install OpenCV 4" in answer.text


def test_networks_are_offered_by_name_and_loaded_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.keras").touch()
    (tmp_path / "c").mkdir()
    loaded = []
    models = Models.find(
        tmp_path,
        load_packaged=lambda: loaded.append("packaged") or "P",
        load_run=lambda path: loaded.append(path.name) or path.name,
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


def test_without_gradio_the_command_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    monkeypatch.delitem(__import__("sys").modules, "emoclf.demo.page", raising=False)
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "pip install 'emoclf[demo]'" in result.stderr


# --- the page -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    pytest.importorskip("selenium", reason="selenium is not installed")
    models = Models({PACKAGED_NAME: make_predictor, "another": make_predictor})
    with serve_page(models) as address:
        yield address
    gc.collect()  # what Gradio left open is found here, not in the tests that follow


@pytest.fixture(scope="module")
def driver(address):
    with open_browser(address) as driver:
        wait_for(driver, "input[type=file]")
        yield driver


def wait_for(driver, selector, *, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = driver.find_elements("css selector", selector)
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{selector} did not appear")


def upload(driver, path, expected, *, seconds=30):
    """Choose a file and wait until the page says what is expected."""
    for button in driver.find_elements("css selector", "button[aria-label*=lear]"):
        button.click()
    (chooser, *_) = wait_for(driver, "input[type=file]")
    chooser.send_keys(str(path))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = driver.find_element("css selector", "body").text
        if expected in text:
            return text
        time.sleep(0.1)
    raise AssertionError(f"{expected!r} is not on the page: {text}")


def read_errors(driver):
    return [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]


def test_uploads_are_answered_and_refused_in_words(driver, tmp_path):
    upload(driver, save(tmp_path / "bright.png", 255), "face 1 Happy 0% 100%")
    upload(driver, save(tmp_path / "dark.png", 0), "face 1 Sad 100% 0%")
    upload(driver, save(tmp_path / "tall.png", 0, size=(90, 60)), "No face was found.")
    assert read_errors(driver) == []
    hostile = tmp_path / "<img src=x onerror=alert(1)>' \"; ..%2f.png"
    upload(driver, save(hostile, 255), "face 1 Happy 0% 100%")
    assert driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    text = tmp_path / "text.jpg"
    text.write_text("This is no photo.")
    upload(driver, text, "This is no photo that can be read.")


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_window(driver, width):
    driver.set_window_size(width, 900)
    time.sleep(0.5)
    wide, window = driver.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert wide <= window


def test_only_this_machine_listens(address):
    port = int(address.rstrip("/").rpartition(":")[2])
    listening = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        if Path(f"/proc/net/{name}").exists()
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    ]
    if listening:
        assert listening == [f"0100007F:{port:04X}"]
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=..%2f..%2f..%2fetc%2fpasswd",
        "gradio_api/file=file:///etc/passwd",
        "file=/etc/passwd",
        "static/../../../../etc/passwd",
        f"gradio_api/file={Path('README.md').resolve()}",
        "assets/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    ],
)
def test_files_of_this_machine_stay_here(address, path):
    try:
        with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        assert error.code in (400, 403, 404, 405, 422)
        return
    assert b"root:" not in content
    assert b"emoclf: happy or sad" not in content


def test_a_file_beside_the_uploads_cannot_be_answered(address):
    """The page takes what was uploaded to it, not any path that a client names."""
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    body = {"data": [file, PACKAGED_NAME, False]}
    call = f"{address}gradio_api/call/answer"
    request = urllib.request.Request(
        call,
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            event = json.loads(answer.read())["event_id"]
        with urllib.request.urlopen(f"{call}/{event}", timeout=10) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        assert error.code in (400, 403, 422)
        return
    assert b"event: error" in said
