"""The browser's camera, in a real Chromium with a fake camera; the stand-in for Colab's bridge."""

import base64
import functools
import http.server
import io
import json
import shutil
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.camera import (
    CONSENT,
    CameraUnavailableError,
    snapshots,
    take_browser_photos,
    take_photos,
)
from emoclf.apps.camera.jupyter import evaluate_in_jupyter
from emoclf.data.synthetic import draw_face
from tests.calls import PATIENCE_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

PRESS_SOON = """
setInterval(() => {
  const button = [...document.querySelectorAll("button")].find(
    (each) => each.textContent.startsWith(arguments[0]));
  if (button && !button.disabled && document.querySelector("video").videoWidth) button.click();
}, 50);
"""

# What Colab's bridge does: evaluate the script, wait for the promise, hand back its value.
BRIDGE = """
const done = arguments[1];
Promise.resolve((0, eval)(arguments[0])).then(done, (error) => done(String(error)));
"""


def encode(pixels, kind="JPEG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


# --- without a browser ----------------------------------------------------------------------


def test_photos_come_through_the_bridge_in_rgb():
    red = np.zeros((30, 40, 3), np.uint8)
    red[..., 0] = 250
    scripts = []

    def evaluate(script):
        scripts.append(script)
        return {"photos": [encode(red), encode(red[:, ::2])], "reason": "", "detail": ""}

    photos = take_browser_photos(evaluate, count=2, interval_seconds=0.25, timeout_seconds=7)
    assert [photo.shape for photo in photos] == [(30, 40, 3), (30, 20, 3)]
    assert photos[0][..., 0].mean() > 240 > 20 > photos[0][..., 2].mean()
    options = json.loads(scripts[0].rpartition("takeEmoclfPhotos(")[2].rpartition(", ")[0])
    assert (options["count"], options["intervalMs"], options["timeoutMs"]) == (2, 250, 7000)
    assert "agrees" in options["consent"]


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ({"photos": [], "reason": "denied", "detail": ""}, "allow it"),
        ({"photos": [], "reason": "unsupported", "detail": ""}, "Chrome or Edge"),
        ({"photos": [], "reason": "no-camera", "detail": ""}, "no camera"),
        ({"photos": [], "reason": "busy", "detail": ""}, "another program"),
        ({"photos": [], "reason": "timeout", "detail": "button"}, "in time"),
        ({"photos": [], "reason": "cancelled", "detail": ""}, "No photo was taken"),
        ({"photos": [], "reason": "error", "detail": "Odd: thing"}, "Odd: thing"),
        ({"photos": [], "reason": "new", "detail": ""}, "failed"),
        ("SyntaxError", "SyntaxError"),
        (None, "failed"),
        ({"photos": ["http://x/y.jpg"], "reason": ""}, "no photo but 'http://x/y.jpg'"),
        ({"photos": ["data:image/png;base64,%%"], "reason": ""}, "damaged photo"),
    ],
)
def test_every_reason_is_said_with_its_remedy(answer, part):
    with pytest.raises(CameraUnavailableError, match=part):
        take_browser_photos(lambda _: answer)


def test_every_reason_of_the_script_has_words():
    script = snapshots._SCRIPT.read_text(encoding="utf-8")
    for reason in snapshots._REASONS:
        assert f'"{reason}"' in script


def test_numbers_out_of_range_are_refused():
    for options in ({"count": 0}, {"count": 101}, {"interval_seconds": -1}, {"timeout_seconds": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            take_browser_photos(pytest.fail, **options)


def test_in_colab_files_are_uploaded_where_there_is_no_camera(monkeypatch):
    drawn = draw_face("Sad", seed=1)
    content = base64.b64decode(encode(drawn, "PNG").partition(",")[2])
    chosen = {"me.png": content, "notes.txt": b"no photo"}
    monkeypatch.setattr(snapshots, "in_colab", lambda: True)
    monkeypatch.setattr(
        snapshots, "_find_bridge", lambda _: lambda _: {"photos": [], "reason": "denied"}
    )
    colab = type("colab", (), {"files": type("files", (), {"upload": staticmethod(chosen.copy)})})
    monkeypatch.setitem(__import__("sys").modules, "google.colab", colab)
    taken = take_photos()
    assert len(taken.photos) == 1
    np.testing.assert_array_equal(taken.photos[0], drawn)
    assert "not allowed" in taken.note
    assert "'notes.txt' was not read" in taken.note


def test_elsewhere_the_camera_of_the_machine_is_used(monkeypatch):
    closed = []

    class Camera:
        def __iter__(self):
            for number in range(30):
                level = np.full((4, 4, 3), number, np.uint8)
                yield snapshots.Frame(level, number / 10)

        def close(self):
            closed.append(True)

    monkeypatch.setattr(snapshots, "open_camera", Camera)
    said = []
    taken = take_photos(count=3, interval_seconds=0.5, say=said.append)
    assert said == [CONSENT]
    assert [int(photo[0, 0, 0]) for photo in taken.photos] == [5, 10, 15]
    assert taken.note == ""
    assert closed == [True]

    def refuse():
        raise CameraUnavailableError("Camera 0 gives no picture.")

    monkeypatch.setattr(snapshots, "open_camera", refuse)
    taken = take_photos(say=said.append)
    assert taken.photos == ()
    assert "gives no picture" in taken.note


@pytest.mark.parametrize(
    ("reason", "opens"), [("no-browser", True), ("unsupported", True), ("denied", False)]
)
def test_in_jupyter_a_denial_is_not_circumvented(monkeypatch, reason, opens):
    """Where the browser has no camera to offer OpenCV may ask; after a "no" it may not."""
    opened = []

    def open_camera():
        opened.append(True)
        raise CameraUnavailableError("Camera 0 gives no picture.")

    def take(*_, **__):
        raise CameraUnavailableError("The browser says no.", reason=reason)

    monkeypatch.setattr(snapshots, "in_jupyter", lambda: True)
    monkeypatch.setattr(snapshots, "take_browser_photos", take)
    monkeypatch.setattr(snapshots, "open_camera", open_camera)
    taken = take_photos(say=lambda _: None)
    assert taken.photos == ()
    assert bool(opened) is opens
    assert ("The browser says no." in taken.note) is not opens


def test_without_a_browser_the_wait_is_short():
    removed = []
    with pytest.raises(CameraUnavailableError, match="No browser") as caught:
        evaluate_in_jupyter(
            "1",
            timeout_seconds=PATIENCE_SECONDS,
            greeting_seconds=0.1,
            show=lambda _: lambda: removed.append(True),
        )
    assert caught.value.reason == "no-browser"
    assert removed == [True]


def test_letters_to_another_address_are_not_taken():
    codes = []

    def show(code):
        codes.append(code)
        address = code.partition('fetch("')[2].partition('"')[0]
        other = f"{address.rpartition('/')[0][:-1]}x/"
        for url, expected in ((f"{other}answer", 404), (f"{address}hello", 204)):
            request = urllib.request.Request(url, b"1", method="POST")
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                    assert answer.status == expected
            except urllib.error.HTTPError as error:
                assert error.code == expected
                error.close()
        return lambda: None

    with pytest.raises(CameraUnavailableError, match="no answer"):
        evaluate_in_jupyter("1", timeout_seconds=0.1, show=show)
    assert "127.0.0.1" in codes[0]


# --- in Chromium ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address():
    """A page that may ask for a camera: pages of this machine count as safe."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>cell</title><body></body>")

        def log_message(self, *_):
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@contextmanager
def open_browser(address, *flags, camera_setting=None):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not CHROMIUM or not DRIVER:
        pytest.skip("Chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        *flags,
    ):
        options.add_argument(flag)
    if camera_setting is not None:
        name = "profile.default_content_setting_values.media_stream_camera"
        options.add_experimental_option("prefs", {name: camera_setting})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.set_script_timeout(PATIENCE_SECONDS)
        driver.get(address)
        yield driver
    finally:
        driver.quit()


def write_film(path, picture):
    """Write a film of one picture for Chromium's fake camera, as Motion JPEG."""
    with path.open("wb") as file:
        for _ in range(10):
            Image.fromarray(picture).save(file, "JPEG", quality=95)
    return path


def bridge(driver):
    return lambda script: driver.execute_async_script(BRIDGE, script)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A fake camera's film: a drawn face."""
    drawn = draw_face("Happy", seed=3, size=(480, 640))
    return write_film(tmp_path_factory.mktemp("film") / "face.mjpeg", drawn), drawn


def test_photos_of_a_fake_camera(address, film):
    path, drawn = film
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    )
    with open_browser(address, *flags) as driver:
        driver.execute_script(PRESS_SOON, "Take")
        photos = take_browser_photos(
            bridge(driver), count=2, interval_seconds=0.1, timeout_seconds=PATIENCE_SECONDS
        )
        left = driver.execute_script("return document.body.children.length")
        errors = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    assert [photo.shape for photo in photos] == [(480, 640, 3)] * 2
    difference = np.abs(photos[1].astype(int) - drawn.astype(int)).mean()
    assert difference < 12  # compressed twice
    assert left == 0
    assert [line for line in errors if "favicon" not in line["message"]] == []


# What JupyterLab does with the JavaScript of an output.
JUPYTER = """
const element = document.createElement("div");
element.id = "output";
document.body.append(element);
eval(arguments[0]);
"""


def show_in(driver):
    def show(code):
        driver.execute_script(JUPYTER, code)
        return lambda: driver.execute_script("document.querySelector('#output').remove()")

    return show


def test_photos_come_to_a_jupyter_on_this_machine(address, film):
    path, drawn = film
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    )
    with open_browser(address, *flags) as driver:
        evaluate = functools.partial(
            evaluate_in_jupyter,
            timeout_seconds=PATIENCE_SECONDS,
            greeting_seconds=PATIENCE_SECONDS,
            show=show_in(driver),
        )
        driver.execute_script(PRESS_SOON, "Take")
        photos = take_browser_photos(evaluate, count=2, interval_seconds=0.1, parent="element")
        assert [photo.shape for photo in photos] == [(480, 640, 3)] * 2
        assert np.abs(photos[1].astype(int) - drawn.astype(int)).mean() < 12
        assert driver.execute_script("return document.querySelector('#output')") is None
        with pytest.raises(CameraUnavailableError, match="ReferenceError"):
            take_browser_photos(evaluate, parent="nothing")


def test_cancelling_and_waiting_too_long(address):
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with open_browser(address, *flags) as driver:
        with pytest.raises(CameraUnavailableError, match="in time"):
            take_browser_photos(bridge(driver), timeout_seconds=1)
        assert driver.execute_script("return document.body.children.length") == 0
        driver.execute_script(PRESS_SOON, "Cancel")
        with pytest.raises(CameraUnavailableError, match="No photo was taken"):
            take_browser_photos(bridge(driver), timeout_seconds=PATIENCE_SECONDS)


def test_a_camera_that_is_denied(address):
    flags = ("--use-fake-device-for-media-stream",)
    with (
        open_browser(address, *flags, camera_setting=2) as driver,
        pytest.raises(CameraUnavailableError, match="allow it"),
    ):
        take_browser_photos(bridge(driver), timeout_seconds=PATIENCE_SECONDS)


def test_no_camera_and_a_browser_that_shows_none(address):
    with open_browser(address, "--use-fake-ui-for-media-stream") as driver:
        with pytest.raises(CameraUnavailableError, match="no camera"):
            take_browser_photos(bridge(driver), timeout_seconds=PATIENCE_SECONDS)
        driver.execute_script("Object.defineProperty(navigator, 'mediaDevices', {value: null})")
        with pytest.raises(CameraUnavailableError, match="Firefox"):
            take_browser_photos(bridge(driver), timeout_seconds=PATIENCE_SECONDS)
