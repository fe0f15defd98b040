"""The web page itself, in Chromium: uploads, camera, refusals, and what it must not give away."""

import base64
import gc
import json
import os
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import emoclf
from emoclf.apps.page import PACKAGED_NAME, Models, NetworkUnavailableError, serve_page
from emoclf.data.synthetic import draw_face
from emoclf.images import ModelInfo
from emoclf.images.faces import make_detector
from emoclf.inference import Predictor
from tests.calls import PATIENCE_SECONDS
from tests.test_demo import make_predictor, save
from tests.test_live_browser import open_browser, write_film

# Gradio leaves sockets and event loops to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # Gradio counts its calls with options that pandas gives up.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting':DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated:DeprecationWarning"),
]

FAKE_CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
READ_WORDS = "return getComputedStyle(arguments[0], '::after').content + arguments[0].innerText"
"""What can be read on a button, its style's words included."""

YUNET = "face_detection_yunet_2026may.onnx"


COPY = """
const done = arguments[1];
fetch("data:image/png;base64," + arguments[0])
  .then((answer) => answer.blob())
  .then((blob) => navigator.clipboard.write([new ClipboardItem({"image/png": blob})]))
  .then(() => done("copied"), (error) => done(String(error)));
"""


def draw(name):
    """A face that the network of these tests has not seen."""
    return draw_face(name, seed=16, size=(480, 640), strength=1.0)


def refuse():
    raise NetworkUnavailableError(
        "The file is damaged: train again. Save it with emoclf.models.model_file.save_model."
    )


def load_failing():
    predictor = make_predictor()
    predictor.predict_each = fail
    return predictor


def fail(*_, **__):
    raise ValueError("image: expected uint8, received float64.")


@pytest.fixture(scope="module")
def drawn_network():
    """A small network that knows clearly drawn faces of 48 pixels."""
    import keras

    from emoclf.models import build_cnn

    photos, labels = [], []
    for seed in range(100, 400):
        for label, name in enumerate(emoclf.CLASS_NAMES):
            photos.append(draw_face(name, seed=seed, size=(48, 48), strength=1.0))
            labels.append(label)
    keras.utils.set_random_seed(1)
    model = build_cnn((48, 48), filters=(16, 32, 64, 64), augment=False, dropout=0.0)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, 14 * len(photos) // 32)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(np.stack(photos), np.array(labels), batch_size=32, epochs=14, verbose=0)
    return Predictor(model, ModelInfo(image_size=(48, 48), resize_mode="crop"))


def load_packaged():
    """The packaged network, with the development data's detector."""
    file = Path(os.environ.get("EMOCLF_DATA", "../shared/data")) / YUNET
    return Predictor.packaged(detector=make_detector("yunet", model_path=file, download=False))


def load_slowly():
    time.sleep(3)
    return make_predictor()


@pytest.fixture(scope="module")
def address(drawn_network):
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    pytest.importorskip("selenium", reason="selenium is not installed")
    models = Models(
        {
            "squares": make_predictor,
            "slow": load_slowly,
            "drawn": lambda: drawn_network,
            "broken": refuse,
            "failing": load_failing,
            PACKAGED_NAME: load_packaged,
        }
    )
    with serve_page(models) as address:
        yield address
    gc.collect()  # what Gradio left open is found here, not in the tests that follow


@pytest.fixture(scope="module")
def shared_driver(address):
    with open_browser(address) as driver:
        yield driver


@pytest.fixture
def driver(shared_driver, address):
    """The page, freshly loaded."""
    shared_driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    shared_driver.set_window_size(1280, 1000)
    return open_page(shared_driver, address)


def open_page(driver, address):
    driver.get(address)
    wait_for(driver, "input[type=file]")
    read_errors(driver)  # forgotten
    return driver


def wait_for(driver, selector, *, text="", seconds=PATIENCE_SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for found in driver.find_elements("css selector", selector):
            if text in found.accessible_name:
                return found
        time.sleep(0.1)
    raise AssertionError(f"{selector} {text!r} did not appear")


def wait_for_text(driver, expected, *, seconds=PATIENCE_SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = driver.find_element("css selector", "body").text
        if expected in text:
            return text
        time.sleep(0.1)
    raise AssertionError(f"{expected!r} is not on the page: {text}")


def upload(driver, path, expected):
    """Choose a file and wait until the page says what is expected."""
    for button in driver.find_elements("css selector", "button[aria-label='Remove Image']"):
        button.click()
        wait_for_text(driver, "Drop a photo, paste one")
    wait_for(driver, "input[type=file]").send_keys(str(path.resolve()))
    return wait_for_text(driver, expected)


def choose(driver, name):
    wait_for(driver, f"input[type=radio][value='{name}']").click()


def read_errors(driver):
    return [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]


# --- predictions -----------------------------------------------------------------------------


def find_headline(driver):
    return driver.find_element("css selector", ".emoclf-answer h2")


def test_uploads_are_answered_in_words_and_bars(driver, tmp_path):
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    assert driver.find_elements("css selector", ".emoclf-bar") == []
    upload(driver, save(tmp_path / "dark.png", 51, size=(60, 61)), "Sad, 80% sure")
    bars = driver.find_elements("css selector", ".emoclf-bar")
    assert [bar.text.split() for bar in bars] == [["Sad", "80%"], ["Happy", "20%"]]
    sad, happy = (bar.find_element("css selector", "div").size["width"] for bar in bars)
    assert sad == pytest.approx(4 * happy, rel=0.02)
    upload(driver, save(tmp_path / "tall.png", 0, size=(90, 60)), "No face found")
    assert driver.find_elements("css selector", ".emoclf-bar") == []
    assert read_errors(driver) == []


def test_the_headline_is_the_largest_text_and_nothing_lies_on_the_picture(driver, tmp_path):
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    sizes = "return [...document.querySelectorAll('h1, h2, p, span, td, label')]"
    sizes += ".map((each) => parseFloat(getComputedStyle(each).fontSize))"
    own = float(find_headline(driver).value_of_css_property("font-size")[:-2])
    assert own == max(driver.execute_script(sizes)) >= 26
    wait_until_still(driver)
    for corner in (0.02, 0.98):
        on_top = driver.execute_script(
            "const {left, top, width, height} = arguments[0].getBoundingClientRect();"
            "return document.elementFromPoint("
            "  left + arguments[1] * width, top + arguments[1] * height) === arguments[0];",
            wait_for(driver, ".emoclf-picture img"),
            corner,
        )
        assert on_top


def test_the_table_is_folded_and_numbered_as_the_picture(driver, tmp_path):
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    table = driver.find_element("css selector", ".emoclf-numbers table")
    assert not table.is_displayed()
    wait_for(driver, "summary").click()
    assert table.is_displayed()
    rows = [row.text for row in table.find_elements("css selector", "tr")]
    assert rows == ["face answer Sad Happy", "1 Happy 0% 100%", "2 Happy 0% 100%"]


@pytest.mark.parametrize("scrolled", [0, 300, 2000])
def test_on_a_phone_the_answer_is_in_sight(driver, scrolled, tmp_path):
    set_screen(driver, 375, 560)
    driver.execute_script(f"window.scrollTo(0, {scrolled})")
    upload(driver, save(tmp_path / "dark.png", 51), "2 faces: 2 sad")
    wait_until_still(driver)
    top, bottom, is_on_top = driver.execute_script(
        "const {left, top, bottom} = arguments[0].getBoundingClientRect();"
        "const seen = document.elementFromPoint(left + 10, (top + bottom) / 2);"
        "return [top, bottom, arguments[0] === seen];",
        find_headline(driver),
    )
    assert 0 <= top < bottom <= 560
    assert is_on_top


def set_screen(driver, width, height):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )


@pytest.mark.parametrize("width", [375, 1280])
def test_buttons_are_as_large_as_a_finger_and_have_words(driver, width, tmp_path):
    set_screen(driver, width, 812)
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    shown = [
        each
        for each in driver.find_elements(
            "css selector", "button, summary, label:not([data-testid])"
        )
        if each.is_displayed()
    ]
    small = [each.get_attribute("outerHTML") for each in shown if each.size["height"] < 44]
    assert small == []
    wordless = [
        each.get_attribute("outerHTML")
        for each in shown
        if not each.find_elements("css selector", "img")  # a drawn face to try, or the picture
        and not driver.execute_script(READ_WORDS, each).removeprefix("none").strip()
    ]
    assert wordless == []
    said = [driver.execute_script(READ_WORDS, each) for each in shown]
    assert {'"Upload"', '"Camera"', '"Paste"', '"Remove"'} <= set(said)


def test_another_network_clears_the_old_answer(driver, tmp_path):
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    wait_for(driver, "input[type=checkbox]", text="Show what speaks for the prediction").click()
    wait_for_text(driver, "With the most marked tenth")
    choose(driver, "slow")
    time.sleep(0.7)
    answer = driver.find_element("css selector", ".block.emoclf-answer")
    assert "happy" not in answer.text
    assert driver.find_elements("css selector", ".emoclf-picture img") == []
    assert driver.find_elements("css selector", ".emoclf-numbers table") == []
    wait_for_text(driver, "2 faces: 2 happy")
    wait_for(driver, ".emoclf-picture img")


@pytest.mark.parametrize("name", emoclf.CLASS_NAMES)
def test_a_drawn_face_comes_out_right_as_upload(driver, name, tmp_path):
    choose(driver, "drawn")
    path = tmp_path / "face.png"
    Image.fromarray(draw(name)).save(path)
    upload(driver, path, f"{name}, ")
    assert read_errors(driver) == []


@pytest.mark.parametrize("name", emoclf.CLASS_NAMES)
def test_a_drawn_face_comes_out_right_before_the_camera(address, name, tmp_path):
    film = write_film(tmp_path / "film.mjpeg", draw(name))
    flags = (*FAKE_CAMERA, f"--use-file-for-fake-video-capture={film}")
    with open_browser(address, *flags) as driver:
        open_page(driver, address)
        choose(driver, "drawn")
        wait_for(driver, "button[aria-label='Capture from camera']").click()
        wait_for(driver, "button", text="Access Webcam").click()
        wait_for(driver, "video")
        take = wait_for(driver, "button[aria-label='capture photo']")
        assert "Take the photo" in driver.execute_script(READ_WORDS, take)
        take.click()
        wait_for_text(driver, f"{name}, ")
        assert read_errors(driver) == []


@pytest.mark.parametrize("name", emoclf.CLASS_NAMES)
def test_photos_of_people_come_out_right(real_data, driver, name):
    """The three largest faces of some scraped photos: "uncertain" is allowed, wrong is not."""
    detector = load_packaged().detector
    widths = {}
    for file in sorted((real_data / "web_photos" / name.lower()).glob("*.jpg"))[:30]:
        for face in detector.find(emoclf.load_image(file)):
            widths[file] = max(widths.get(file, 0), face.box[2])
    choose(driver, PACKAGED_NAME)
    for file in sorted(widths, key=widths.get)[-3:]:
        upload(driver, file, "All numbers")
        wait_for(driver, "summary").click()
        _, photo, face, *_ = driver.find_elements("css selector", ".emoclf-numbers tr")
        assert photo.text.startswith("whole photo ")
        row = face.text.split()
        shares = dict(zip(emoclf.CLASS_NAMES, (int(each[:-1]) for each in row[2:4]), strict=True))
        assert max(shares, key=shares.get) == name
    assert read_errors(driver) == []


def test_the_map_appears_when_asked_for_and_goes_again(driver, tmp_path):
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    name = "img[alt='What speaks for the prediction']"
    assert driver.find_elements("css selector", name) == []
    box = wait_for(driver, "input[type=checkbox]", text="Show what speaks for the prediction")
    box.click()
    wait_for_text(driver, "With the most marked tenth")
    picture = wait_for(driver, name)
    assert picture.is_displayed()
    assert driver.execute_script("return arguments[0].naturalWidth", picture) >= 320
    box.click()
    end = time.monotonic() + PATIENCE_SECONDS
    while driver.find_elements("css selector", name) and time.monotonic() < end:
        time.sleep(0.1)
    assert driver.find_elements("css selector", name) == []
    assert "With the most marked tenth" not in driver.find_element("css selector", "body").text
    assert read_errors(driver) == []


def test_a_photo_is_pasted(driver, address, tmp_path):
    driver.execute_cdp_cmd(
        "Browser.grantPermissions",
        {
            "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"],
            "origin": address.rstrip("/"),
        },
    )
    photo = save(tmp_path / "bright.png", 255).read_bytes()
    copied = driver.execute_async_script(COPY, base64.b64encode(photo).decode())
    assert copied == "copied"
    wait_for(driver, "button[aria-label='Paste from clipboard']").click()
    wait_for_text(driver, "2 faces: 2 happy")
    assert read_errors(driver) == []


def test_an_example_is_predicted(driver):
    choose(driver, "drawn")
    wait_for(driver, ".gallery-item").click()
    wait_for_text(driver, " sure")
    assert read_errors(driver) == []


# --- refusals -------------------------------------------------------------------------------


def test_what_is_no_photo_or_has_a_hostile_name_does_no_harm(driver, tmp_path):
    hostile = tmp_path / "<img src=x onerror=alert(1)>' \"; ..%2f.png"
    upload(driver, save(hostile, 255), "2 faces: 2 happy")
    text = tmp_path / "text.jpg"
    text.write_text("This is no photo.")
    upload(driver, text, "This photo cannot be read")
    assert driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0


def test_a_file_of_60_mb_is_refused(driver, tmp_path):
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(60 * 2**20)
    text = upload(driver, path, "exceed the maximum allowed size of 20.0 M")
    assert "large.jpg" in text
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")


def test_a_network_that_cannot_be_loaded_says_why(driver, tmp_path):
    choose(driver, "broken")
    text = upload(driver, save(tmp_path / "bright.png", 255), "The file is damaged: train again.")
    assert "This network cannot be loaded" in text
    assert "save_model" not in text
    assert text.count("damaged") == 1 and "Error" not in text


def test_what_nobody_expected_is_said_once(driver, tmp_path, capfd):
    choose(driver, "failing")
    upload(driver, save(tmp_path / "bright.png", 255), "Something went wrong here.")
    time.sleep(1)
    text = driver.find_element("css selector", "body").text
    assert text.count("Error") == 1, "the title of the message"
    assert "expected uint8" not in text
    assert "expected uint8" in capfd.readouterr().err


# --- everybody can use it -------------------------------------------------------------------


def test_every_control_has_a_name_and_is_reached_with_the_tab_key(driver, tmp_path):
    from selenium.webdriver.common.keys import Keys

    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    shown = [
        each
        for each in driver.find_elements("css selector", "button, input, select, textarea, a")
        if each.is_displayed()
    ]
    assert [each.get_attribute("outerHTML") for each in shown if not each.accessible_name] == []
    expected = {each.accessible_name for each in shown} - set(find_radio_names(shown))
    reached = set()
    driver.execute_script("document.activeElement.blur()")
    for _ in range(len(shown) + 3):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(driver.switch_to.active_element.accessible_name)
    assert expected <= reached
    # The radio buttons are one stop; the arrow keys move within.
    radio = wait_for(driver, "input[type=radio]:checked")
    radio.send_keys(Keys.ARROW_DOWN)
    wait_for_text(driver, "2 faces")


def find_radio_names(shown):
    return [
        each.accessible_name
        for each in shown
        if each.get_attribute("type") == "radio" and not each.is_selected()
    ]


def test_the_chosen_network_is_marked_under_the_pointer_too(driver):
    from selenium.webdriver import ActionChains

    radio = wait_for(driver, "input[type=radio]:checked")
    colour = radio.value_of_css_property("background-color")
    ActionChains(driver).move_to_element(radio).perform()
    time.sleep(0.5)
    assert driver.execute_script("return arguments[0].matches(':hover')", radio)
    assert radio.value_of_css_property("background-color") == colour


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_window(driver, width, tmp_path):
    set_screen(driver, width, 900)
    upload(driver, save(tmp_path / "crowd.png", 255, size=(60, 600)), "10 faces: 10 happy")
    wait_for(driver, "summary").click()
    wait_until_still(driver)
    wide, window = driver.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert window <= width
    assert wide <= window


def wait_until_still(driver):
    """Wait until the page has kept its height for a moment."""
    heights = [-1, -2]
    while heights[-1] != heights[-2]:
        time.sleep(0.5)
        heights.append(driver.execute_script("return document.documentElement.scrollHeight"))


# --- what stays here ------------------------------------------------------------------------


def test_the_browser_keeps_nothing(driver, tmp_path):
    """Gradio keeps every call, photo included, in the browser unless it is told not to."""
    upload(driver, save(tmp_path / "bright.png", 255), "2 faces: 2 happy")
    kept = driver.execute_async_script(
        "const done = arguments[0];"
        "indexedDB.databases().then((all) => done([all.length, localStorage.length]));"
    )
    assert kept == [0, 0]


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
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS):
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
        with urllib.request.urlopen(f"{address}{path}", timeout=PATIENCE_SECONDS) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        assert error.code in (400, 403, 404, 405, 422)
        return
    assert b"root:" not in content
    assert b"emoclf: happy or sad" not in content


def test_a_file_beside_the_uploads_cannot_be_predicted(address):
    """The page takes what was uploaded to it, not any path that a client names."""
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    body = {"data": [file, "squares", False]}
    call = f"{address}gradio_api/call/predict_photo"
    request = urllib.request.Request(
        call,
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            event = json.loads(answer.read())["event_id"]
        with urllib.request.urlopen(f"{call}/{event}", timeout=PATIENCE_SECONDS) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        assert error.code in (400, 403, 422)
        return
    assert b"event: error" in said
