"""Which detector is chosen and why, and what it finds."""

import math
import subprocess
import sys
import threading
from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
from PIL import Image

from emoclf.config import DetectorKind
from emoclf.data.synthetic import draw_face
from emoclf.images import Spares, load_image
from emoclf.images.faces import (
    Face,
    FaceDetectorUnavailableError,
    FaceModelError,
    YuNetDetector,
    YuNetFile,
    crop_face,
    detecting,
    find_faces,
    make_detector,
    measure_roll,
    yunet,
    yunet_file,
)
from emoclf.images.faces.face import sort_faces
from emoclf.images.faces.yunet_file import PINNED_MODELS

BLANKS = [(1, 1), (1, 5000), (5000, 1), (2, 3), (7, 7), (31, 33), (48, 48), (64, 1000)]


class FakeNetwork:
    """Stands in for OpenCV's network: takes every red rectangle of a BGR picture for a face."""

    def __init__(self):
        self.sizes = []
        self.busy = threading.Lock()

    def setInputSize(self, size):  # noqa: N802
        assert self.busy.acquire(blocking=False), "two threads at once"
        self.sizes.append(tuple(size))

    def detect(self, picture):
        assert picture.shape[1::-1] == self.sizes[-1]
        assert picture.dtype == np.uint8
        red = (picture[:, :, 2] > 150) & (picture[:, :, 0] < 100) & (picture[:, :, 1] < 100)
        count, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        found = [self.make_row(*stats[i, :4].astype(float)) for i in range(1, count)]
        self.busy.release()
        return 1, (np.array(found, dtype=np.float32) if found else None)

    def make_row(self, left, top, width, height):
        points = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
        landmarks = [(left + x * width, top + y * height) for x, y in points]
        return [left, top, width, height, *np.ravel(landmarks), 0.9]


@pytest.fixture
def fake_yunet(monkeypatch):
    """YuNet's detector around a network that finds red rectangles."""
    monkeypatch.setattr(yunet, "_load_network", lambda _: FakeNetwork())
    monkeypatch.setattr(yunet, "_try_in_another_process", lambda _: None)
    return YuNetDetector(YuNetFile(path=yunet_file.Path("fake.onnx"), content=b"fake"))


def sizes_seen_by(detector):
    with detector._networks.borrow() as network:
        return network.sizes


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """A machine that has never had YuNet's file and has no network."""

    def fail(url, *, timeout_seconds):
        del url, timeout_seconds
        raise OSError("no network")

    monkeypatch.delenv("EMOCLF_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(yunet_file, "open_https", fail)
    return tmp_path / "emoclf"


@pytest.fixture(scope="session")
def real_yunet(real_data):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield make_detector("yunet", model_path=real_data / PINNED_MODELS[0].name)
    cv2.setNumThreads(threads)


@pytest.fixture(scope="session")
def fer_faces(real_data):
    """Sixty small grey faces, as uint8 (60, 48, 48)."""
    with np.load(real_data / "fer2013" / "happy_sad.npz") as data:
        chosen = (data["usage"] == "Training") & (data["votes"][:, 9] == 0)
        return data["pixels"][np.flatnonzero(chosen)[:6000:100]]


def enlarge(face, side, border=0):
    """A grey face as uint8 RGB, with its outermost pixels repeated around it."""
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    large = np.pad(large, border, mode="edge")
    return np.repeat(large[:, :, None], 3, axis=2)


# which detector


def test_the_import_is_light():
    code = (
        "import sys, emoclf.images.faces\n"
        "print([n for n in ('tensorflow', 'keras', 'matplotlib', 'cv2', 'urllib.request', "
        "'subprocess') if n in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_offline_the_packaged_detector_looks_and_says_why_and_how_to_get_yunet(no_cache):
    detector = make_detector()
    assert detector.name == "emoclf's own detector"
    assert cv2.__version__ in detector.description and "face_detector.onnx" in detector.description
    for part in ("YuNet", "no network", PINNED_MODELS[0].url, str(no_cache)):
        assert part in detector.note
    assert "a day later" in make_detector().note
    assert str(no_cache) in make_detector(download=False).note
    assert make_detector("packaged").note == ""
    with pytest.raises(FaceDetectorUnavailableError, match="no network"):
        make_detector("yunet")


def test_a_failed_download_is_waited_out_only_where_another_can_stand_in(no_cache, monkeypatch):
    asked = []

    def load(path, *, download, retry):
        del path, download
        asked.append(retry)
        raise FaceDetectorUnavailableError("none")

    monkeypatch.setattr(detecting, "load_yunet_file", load)
    make_detector()
    with pytest.raises(FaceDetectorUnavailableError):
        make_detector("yunet")
    assert asked == [False, True]
    assert not no_cache.exists()


@pytest.mark.parametrize("kind", get_args(DetectorKind))
def test_an_old_opencv_without_the_class(monkeypatch, kind, cached):
    del cached
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    with pytest.raises(FaceDetectorUnavailableError, match="pip install --upgrade"):
        make_detector(kind)


@pytest.mark.parametrize("content", [None, b"", b"another"])
def test_a_packaged_detector_that_is_not_as_it_was_shipped_is_refused(
    no_cache, tmp_path, monkeypatch, content
):
    del no_cache
    monkeypatch.setattr(detecting, "PACKAGED_PATH", tmp_path / "swapped.onnx")
    if content is not None:
        (tmp_path / "swapped.onnx").write_bytes(content)
    for kind in ("auto", "packaged"):
        with pytest.raises(FaceModelError, match=r"swapped\.onnx.*Install emoclf again"):
            make_detector(kind)


def test_no_opencv_at_all(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(FaceDetectorUnavailableError, match="pip install opencv-python"):
        make_detector()


def test_impossible_wishes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"kind.*'retinaface'"):
        make_detector("retinaface")
    with pytest.raises(ValueError, match=r"model_path.*packaged"):
        make_detector("packaged", model_path=tmp_path / "yunet.onnx")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        make_detector(model_path=tmp_path / "nowhere.onnx")


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n" * 100, b"version https://git-lfs.github.com/spec/v1\noid sha256:8f\n"],
)
def test_a_named_file_that_is_no_model_is_refused_and_not_replaced(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(FaceModelError, match=r"model\.onnx.*no YuNet model") as caught:
        make_detector(model_path=path)
    assert f"{len(content):,} bytes" in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("untested", [True, False])
def test_text_is_refused_by_each_of_the_two_trials(monkeypatch, untested, capfd):
    level = cv2.utils.logging.getLogLevel()
    trial = "_try_in_another_process" if untested else "_load_network"
    with pytest.raises(FaceModelError, match="no YuNet model"):
        getattr(yunet, trial)(YuNetFile(yunet_file.Path("text.onnx"), b"hello"))
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == level
    monkeypatch.undo()


def test_a_file_that_ends_the_interpreter_ends_another_one(monkeypatch):
    monkeypatch.setattr(yunet, "_PROBE", "import os; os.abort()")
    with pytest.raises(FaceModelError, match="crashed"):
        YuNetDetector(YuNetFile(yunet_file.Path("bad.onnx"), b"bad"))


# a file that is intact but not for this OpenCV


class FixedSizeNetwork:
    """OpenCV 5 with ONNX Runtime and the file of March 2023: only some sizes will do."""

    sizes = ((640, 640),)

    @classmethod
    def create(cls, *_):
        return cls()

    def setInputSize(self, size):  # noqa: N802
        self.size = tuple(size)

    def detect(self, picture):
        del picture
        if self.size not in self.sizes:
            raise cv2.error(f"Got invalid dimensions for input: {self.size} Expected: 640")
        return 1, None


@pytest.fixture
def fixed_size(monkeypatch):
    """An OpenCV that refuses most sizes, and a file that needs no trial in another process."""
    monkeypatch.setattr(yunet, "_try_in_another_process", lambda _: None)
    monkeypatch.setattr(cv2, "FaceDetectorYN", FixedSizeNetwork)
    with pytest.raises(cv2.error):  # leaves its words in `cv2.error.err`, where they stay
        cv2.resize(np.zeros((0, 0, 3), dtype=np.uint8), (1, 1))


@pytest.fixture
def cached(no_cache, monkeypatch):
    """A cache that holds the second of the pinned files, intact."""
    content = b"the file of March 2023"
    sha256 = yunet_file.hashlib.sha256(content).hexdigest()
    second = replace(PINNED_MODELS[1], bytes=len(content), sha256=sha256)
    monkeypatch.setattr(yunet_file, "PINNED_MODELS", (PINNED_MODELS[0], second))
    no_cache.mkdir()
    (no_cache / second.name).write_bytes(content)
    return no_cache / second.name


@pytest.mark.usefixtures("fixed_size")
@pytest.mark.parametrize("sizes", [((640, 640),), ((64, 64),)])
def test_a_file_for_one_size_only_is_refused_when_it_is_loaded(monkeypatch, sizes):
    monkeypatch.setattr(FixedSizeNetwork, "sizes", sizes)
    with pytest.raises(FaceModelError, match=r"says: Got invalid.* Expected: 640\)") as caught:
        YuNetDetector(YuNetFile(yunet_file.Path("fixed.onnx"), b"fixed"))
    assert PINNED_MODELS[0].url in str(caught.value)


@pytest.mark.usefixtures("fixed_size")
def test_a_file_that_fails_at_a_photos_size_is_named_and_blocks_nobody(monkeypatch):
    monkeypatch.setattr(FixedSizeNetwork, "sizes", ((64, 64), (96, 64), (192, 192)))
    detector = YuNetDetector(YuNetFile(yunet_file.Path("fixed.onnx"), b"fixed"))
    for _ in range(2):
        with pytest.raises(FaceModelError, match=r"fixed\.onnx.*Got invalid dimensions"):
            detector.find(np.zeros((300, 400, 3), dtype=np.uint8))
    assert len(detector._networks._free) == 1


@pytest.mark.usefixtures("fixed_size")
def test_an_unusable_file_in_the_cache_is_no_yunet(cached):
    with pytest.raises(FaceDetectorUnavailableError, match="Got invalid dim") as caught:
        make_detector("yunet")
    assert str(cached) in str(caught.value)
    assert PINNED_MODELS[0].url in str(caught.value)
    with pytest.raises(FaceModelError, match="Got invalid dimensions"):
        make_detector(model_path=cached)


def test_the_packaged_one_stands_in_for_an_unusable_file_that_nobody_named(cached, monkeypatch):
    def load(file):
        if file.path == cached:
            raise FaceModelError(f"{str(cached)!r}: Got invalid dimensions")
        return FakeNetwork()

    monkeypatch.setattr(yunet, "_load_network", load)
    monkeypatch.setattr(yunet, "_try_in_another_process", lambda _: None)
    detector = make_detector()
    assert detector.name == "emoclf's own detector"
    assert "Got invalid dimensions" in detector.note and str(cached) in detector.note
    monkeypatch.setenv("EMOCLF_YUNET", str(cached))
    with pytest.raises(FaceModelError, match="Got invalid dimensions"):
        make_detector()


# YuNet around a network with known answers


def test_boxes_and_landmarks_come_back_in_pixels_of_the_photo(fake_yunet):
    image = np.zeros((1500, 1000, 3), dtype=np.uint8)
    image[300:700, 200:500] = (255, 0, 0)
    image[1100:1200, 700:800] = (0, 0, 255)  # blue: red to whoever swaps the channels
    (face,) = fake_yunet.find(image)
    np.testing.assert_allclose(face.box, (200, 300, 300, 400), atol=8)
    assert face.landmarks.dtype == np.float32 and face.landmarks.shape == (5, 2)
    np.testing.assert_allclose(face.landmarks[0], (290, 460), atol=8)
    np.testing.assert_allclose(face.landmarks[4], (395, 620), atol=8)
    assert face.score == pytest.approx(0.9)
    assert all(side % 32 == 0 and side >= 64 for size in sizes_seen_by(fake_yunet) for side in size)


def test_the_largest_face_comes_first(fake_yunet):
    image = np.zeros((400, 600, 3), dtype=np.uint8)
    for left, side in ((30, 60), (150, 160), (420, 100)):
        image[50 : 50 + side, left : left + side] = (255, 0, 0)
    faces = fake_yunet.find(image)
    assert [round(face.box[2], -1) for face in faces] == [160, 100, 60]


@pytest.mark.parametrize("shape", [(10, 10), (48, 48), (4000, 300), (300, 4000)])
def test_every_size_of_photo_is_searched(fake_yunet, shape):
    image = np.zeros((*shape, 3), dtype=np.uint8)
    top, left = shape[0] // 4, shape[1] // 4
    image[top : 3 * top, left : 3 * left] = (255, 0, 0)
    (face,) = fake_yunet.find(image)
    expected = (left, top, 2 * left, 2 * top)
    np.testing.assert_allclose(face.box, expected, atol=0.02 * max(shape) + 1)


class TurnedNetwork(FakeNetwork):
    """Finds red squares with a yellow bar for a forehead, as YuNet finds faces: turned ones badly.

    Where the bar is below, landmarks and score look nearly as if it were on top; where it is on a
    side, there is no face.
    """

    def detect(self, picture):
        assert picture.shape[1::-1] == self.sizes[-1]
        warm = (picture[:, :, 2] > 150) & (picture[:, :, 0] < 100)
        count, marks, stats, _ = cv2.connectedComponentsWithStats(warm.astype(np.uint8))
        found = []
        for i in range(1, count):
            box = stats[i, :4].astype(float)
            bar = np.argwhere((marks == i) & (picture[:, :, 1] > 150)).mean(axis=0)
            across, down = (bar[::-1] + 0.5 - box[:2]) / box[2:4]
            if 0.3 < across < 0.7:
                found.append([*self.make_row(*box)[:14], 0.94 if down < 0.5 else 0.88])
        self.busy.release()
        return 1, (np.array(found, dtype=np.float32) if found else None)


def draw_forehead(size=(600, 800), *, left=340, top=200, side=200):
    image = np.zeros((*size, 3), dtype=np.uint8)
    image[top : top + side, left : left + side] = (255, 0, 0)
    image[top : top + side // 5, left : left + side] = (255, 255, 0)
    return image


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_face_on_its_side_or_upside_down_is_cut_out_upright(fake_yunet, turns):
    fake_yunet._networks = Spares(TurnedNetwork)
    upright = draw_forehead()
    (expected,) = fake_yunet.find(upright)
    turned = np.ascontiguousarray(np.rot90(upright, -turns))
    (face,) = fake_yunet.find(turned)
    assert math.remainder(measure_roll(face) - 90 * turns, 360) == pytest.approx(0, abs=2)
    crops = [crop_face(upright, expected, size=(96, 96)), crop_face(turned, face, size=(96, 96))]
    assert np.abs(np.subtract(*crops, dtype=float)).mean() < 6
    followed = fake_yunet.follow(face, turned)
    np.testing.assert_allclose(followed.landmarks, face.landmarks, atol=4)


def test_an_upright_face_costs_no_further_look(fake_yunet):
    fake_yunet._networks = Spares(TurnedNetwork)
    fake_yunet.find(draw_forehead())
    assert len(sizes_seen_by(fake_yunet)) == 3


class SharpNetwork(FakeNetwork):
    """Sees no red square of less than 20 pixels."""

    def detect(self, picture):
        _, rows = super().detect(picture)
        return 1, (None if rows is None else rows[rows[:, 2] >= 20])


@pytest.mark.parametrize("sides", [(80,), (80, 900)])
def test_small_faces_in_large_photos_are_found(fake_yunet, sides):
    fake_yunet._networks = Spares(SharpNetwork)
    image = np.zeros((3000, 4000, 3), dtype=np.uint8)
    for side, left in zip(sides, (200, 2000), strict=False):
        image[1000 : 1000 + side, left : left + side] = (255, 0, 0)
    found = sorted(round(face.box[2], -1) for face in fake_yunet.find(image))
    np.testing.assert_allclose(found, sides, atol=10)
    assert max(map(max, sizes_seen_by(fake_yunet))) == 1280, "not in its full size"


def test_a_usual_photo_is_not_looked_at_in_large(fake_yunet):
    image = np.zeros((866, 1155, 3), dtype=np.uint8)
    image[200:400, 300:500] = (255, 0, 0)
    fake_yunet.find(image)
    assert max(max(size) for size in sizes_seen_by(fake_yunet)) == 640


def test_threads_share_the_detector_but_never_a_network(fake_yunet):
    image = np.zeros((200, 300, 3), dtype=np.uint8)
    image[50:150, 100:200] = (255, 0, 0)
    found, failures = [], []

    def work():
        try:
            found.extend(fake_yunet.find(image)[0].box for _ in range(10))
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(found) == 40 and len(set(found)) == 1


def test_what_cannot_be_a_face_of_the_photo_is_dropped():
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    boxes = [
        (0.0, 0.0, 10.0, 10.0),
        (-20.0, -20.0, 60.0, 60.0),
        (1e32, -np.inf, 0.0, np.inf),
        (np.nan, 0.0, 5.0, 5.0),
        (10.0, 10.0, -5.0, 5.0),
        (95.0, 50.0, 20.0, 20.0),
    ]
    kept = sort_faces([Face(box, 0.9) for box in boxes], image)
    assert [face.box for face in kept] == [boxes[1], boxes[0]]


def test_what_is_no_photo_is_refused(fake_yunet):
    with pytest.raises(TypeError, match="float32"):
        fake_yunet.find(np.zeros((9, 9, 3), dtype=np.float32))
    with pytest.raises(ValueError, match=r"\(9, 9\)"):
        fake_yunet.find(np.zeros((9, 9), dtype=np.uint8))


def test_find_faces_reads_photos_of_every_kind(fake_yunet, tmp_path, monkeypatch):
    image = np.zeros((80, 100, 3), dtype=np.uint8)
    image[20:60, 30:70] = (255, 0, 0)
    Image.fromarray(image).save(tmp_path / "photo.png")
    sources = (
        image,
        Image.fromarray(image),
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
        (tmp_path / "photo.png").read_bytes(),
    )
    boxes = [find_faces(source, detector=fake_yunet)[0].box for source in sources]
    assert len(set(boxes)) == 1
    assert find_faces(image[:, :, 0], detector=fake_yunet) == ()

    made = []
    monkeypatch.setattr(detecting, "make_detector", lambda: made.append(1) or fake_yunet)
    detecting._make_default_detector.cache_clear()
    assert [len(find_faces(image)) for _ in range(3)] == [1, 1, 1]
    assert made == [1]
    detecting._make_default_detector.cache_clear()


# the packaged detector


class FarSightedNetwork(FakeNetwork):
    """Sees nothing from close."""

    def detect(self, picture):
        _, rows = super().detect(picture)
        return 1, (None if picture.shape[:2] == (256, 256) else rows)


@pytest.mark.parametrize("is_packaged", [True, False])
def test_what_the_packaged_detector_does_not_see_from_close_is_dropped(fake_yunet, is_packaged):
    fake_yunet.file = replace(fake_yunet.file, is_packaged=is_packaged)
    image = draw_forehead()
    assert len(fake_yunet.find(image)) == 1
    fake_yunet._networks = Spares(FarSightedNetwork)
    assert len(fake_yunet.find(image)) == (not is_packaged)


@pytest.fixture(scope="module")
def packaged():
    return make_detector("packaged")


def test_the_packaged_detector_is_small_and_tried_in_this_process(packaged, monkeypatch):
    assert detecting.PACKAGED_PATH.stat().st_size <= 400_000
    monkeypatch.setattr(yunet, "_try_in_another_process", lambda _: pytest.fail("another process"))
    assert make_detector("packaged").description == packaged.description


def test_the_packaged_detector_finds_most_of_what_yunet_finds(packaged, real_yunet, real_data):
    from emoclf.experiments.face_detector.recipe import compare_detectors

    folder = real_data / "web_photos_more"
    photos = [load_image(path) for path in sorted(folder.glob("*/c02_*.jpg"))[::5]]
    figures = compare_detectors(packaged, real_yunet, photos)
    assert figures["photos"] >= 40 and figures["found"]["count"] >= 30
    assert figures["found"]["value"] >= 0.85
    assert figures["extra_boxes"] <= 0.2
    assert figures["eyes"]["value"] >= 0.8


def test_the_packaged_detector_finds_nothing_in_blank_photos_of_any_size(packaged):
    for shape in BLANKS:
        for value in (0, 128, 255):
            assert packaged.find(np.full((*shape, 3), value, dtype=np.uint8)) == ()


@pytest.mark.parametrize("degrees", [0, 15])
def test_the_packaged_detector_finds_drawn_faces_and_their_eyes(packaged, degrees):
    turn = cv2.getRotationMatrix2D((160, 160), degrees, 1.0)
    found = []
    for seed in range(20):
        photo = draw_face(("Happy", "Sad")[seed % 2], seed=seed, size=(320, 320))
        photo = cv2.warpAffine(photo, turn, (320, 320), borderMode=cv2.BORDER_REPLICATE)
        found += packaged.find(photo)[:1]
    assert len(found) >= 16
    rolls = [measure_roll(face) for face in found]
    assert np.median(rolls) == pytest.approx(-degrees, abs=6)


# YuNet itself


def test_yunet_says_what_it_is(real_yunet):
    assert real_yunet.name == "YuNet"
    assert PINNED_MODELS[0].name in real_yunet.description
    assert cv2.__version__ in real_yunet.description
    assert real_yunet.note == ""


def test_yunet_finds_nothing_in_blank_photos_of_any_size(real_yunet):
    for shape in BLANKS:
        for value in (0, 128, 255):
            assert real_yunet.find(np.full((*shape, 3), value, dtype=np.uint8)) == ()


@pytest.mark.parametrize(("side", "border"), [(48, 0), (192, 0), (1500, 0), (192, 300)])
def test_yunet_finds_faces_small_and_large(real_yunet, fer_faces, side, border):
    found = [real_yunet.find(enlarge(face, side, border)) for face in fer_faces[20:32]]
    assert sum(bool(faces) for faces in found) >= 9
    boxes = np.array([faces[0].box for faces in found if faces])
    centres = (boxes[:, :2] + boxes[:, 2:] / 2 - border) / side
    np.testing.assert_allclose(np.median(centres, axis=0), (0.5, 0.5), atol=0.05)
    for faces in found:
        for face in faces:
            right_eye, left_eye, nose, *mouth = face.landmarks
            assert right_eye[0] < left_eye[0]
            assert right_eye[1] < nose[1] < max(corner[1] for corner in mouth)


def test_a_photo_of_fifty_faces(real_yunet, fer_faces):
    image = np.full((5 * 120, 10 * 120, 3), 128, dtype=np.uint8)
    for i, face in enumerate(fer_faces[:50]):
        top, left = 120 * (i // 10) + 30, 120 * (i % 10) + 30
        image[top : top + 60, left : left + 60] = enlarge(face, 60)
    tiles = {
        (int(y + height / 2) // 120, int(x + width / 2) // 120)
        for x, y, width, height in (face.box for face in real_yunet.find(image))
    }
    assert len(tiles) >= 37  # 26 without the look at 1280 pixels


def test_crops_look_like_the_faces_the_network_learnt_from(real_yunet, fer_faces):
    eyes = []
    for face in fer_faces[:15]:
        crops = [
            crop_face(image, found, size=(192, 192))
            for image in [enlarge(face, 192, border=200)]
            for found in real_yunet.find(image)[:1]
        ]
        for again in (real_yunet.find(crop) for crop in crops):
            eyes += [(f.landmarks[:2].mean(axis=0) / 192, measure_roll(f)) for f in again[:1]]
    assert len(eyes) >= 11
    np.testing.assert_allclose(np.median([e for e, _ in eyes], axis=0), (0.5, 0.38), atol=0.03)
    assert np.median([abs(roll) for _, roll in eyes]) < 4


def test_tilted_faces_are_turned_most_of_the_way(real_yunet, fer_faces):
    left = []
    for face in fer_faces[:12]:
        image = enlarge(face, 192, border=100)
        rolls = []
        for degrees in (-20, 20):
            turn = cv2.getRotationMatrix2D((196, 196), -degrees, 1.0)
            tilted = cv2.warpAffine(image, turn, (392, 392), borderMode=cv2.BORDER_REPLICATE)
            rolls += [measure_roll(found) for found in real_yunet.find(tilted)[:1]]
        if len(rolls) == 2:
            left.append(40 - (rolls[1] - rolls[0]))
    assert len(left) >= 5
    assert abs(np.median(left)) < 16


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_faces_are_turned_back(real_yunet, fer_faces, turns):
    rolls = []
    for face in fer_faces[:24]:
        image = enlarge(face, 192, border=100)
        if real_yunet.find(image):
            turned = np.ascontiguousarray(np.rot90(image, -turns))
            rolls += [measure_roll(found) for found in real_yunet.find(turned)[:1]]
    errors = [abs(math.remainder(roll - 90 * turns, 360)) for roll in rolls]
    assert len(errors) >= 15
    assert np.mean(np.array(errors) < 40) > 0.75


def test_a_cut_off_or_swapped_model_is_refused(real_data, monkeypatch):
    content = (real_data / PINNED_MODELS[0].name).read_bytes()
    monkeypatch.setattr(yunet, "_try_in_another_process", lambda _: None)
    for damaged in (content[:1000], content[:-1000], content.replace(b"cls_8", b"abc_8")):
        with pytest.raises(FaceModelError, match="no YuNet model"):
            YuNetDetector(YuNetFile(yunet_file.Path("cut.onnx"), damaged))


def test_another_intact_model_is_accepted(real_data, tmp_path):
    content = (real_data / PINNED_MODELS[0].name).read_bytes()
    path = tmp_path / "my ünet.onnx"
    path.write_bytes(content.replace(b"pytorch", b"another"))
    detector = make_detector(model_path=path)
    assert "my ünet.onnx" in detector.description
    assert detector.find(np.zeros((50, 50, 3), dtype=np.uint8)) == ()


def test_threads_see_what_one_sees(real_yunet, fer_faces):
    images = [enlarge(face, 96 + 32 * i, border=20 * i) for i, face in enumerate(fer_faces[:4])]
    alone = [[face.box for face in real_yunet.find(image)] for image in images]
    together = {}

    def work(i):
        together[i] = [face.box for face in real_yunet.find(images[i])]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(4)] == alone
