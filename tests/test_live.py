"""Faces in motion: following, smoothing, films in and out. No camera, no screen."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from emoclf.apps.camera import (
    CameraUnavailableError,
    Frame,
    LiveSession,
    WindowUnavailableError,
    open_camera,
    open_video_file,
    open_window,
    read_video,
)
from emoclf.apps.camera.session import FaceTracker, PredictionSmoother
from emoclf.data.synthetic import draw_face
from emoclf.images import ModelInfo
from emoclf.images.faces import Face, YuNetDetector, make_detector, measure_overlap
from emoclf.inference import UNCERTAIN, FacePrediction, Prediction, Predictor, UncertaintyRule
from tests.calls import call

BOX = (10.0, 10.0, 40.0, 40.0)


def paint(level, *, size=(48, 64)):
    return np.full((*size, 3), level, dtype=np.uint8)


class CountingDetector:
    name, description, note = "counting", "Counts its searches.", ""

    def __init__(self, *faces):
        self.faces, self.searches = faces, 0

    def find(self, _image):
        self.searches += 1
        return self.faces


class FollowingDetector(YuNetDetector):
    """YuNet's interface without its file: finds one face, follows it unless told not to."""

    name, description, note = "Fake", "Follows.", ""

    def __init__(self):
        self.calls, self.is_lost = [], False

    def find(self, _image):
        self.calls.append("find")
        return (Face(box=BOX, score=0.9),)

    def follow(self, face, _image):
        self.calls.append("follow")
        left, top, width, height = face.box
        return None if self.is_lost else Face(box=(left + 1, top, width, height), score=0.8)


class BrightnessNetwork:
    """Happy is how bright the crop is."""

    def predict_on_batch(self, images):
        happy = images[..., 0].mean(axis=(1, 2)) / 255
        return np.stack([1 - happy, happy], axis=1).astype(np.float32)


def make_predictor(detector, *, rule=None):
    info = ModelInfo(image_size=(16, 16), crop="face")
    return Predictor(BrightnessNetwork(), info, detector=detector, rule=rule)


# --- following ------------------------------------------------------------------------------


def test_the_whole_frame_is_searched_every_few_frames_only():
    detector = FollowingDetector()
    tracker = FaceTracker(detector, every=3)
    boxes = [tracker.find(paint(0))[0].box[0] for _ in range(7)]
    assert detector.calls == ["find", "follow", "follow", "find", "follow", "follow", "find"]
    assert boxes == [10, 11, 12, 10, 11, 12, 10]


def test_a_lost_face_makes_it_search_at_once():
    detector = FollowingDetector()
    tracker = FaceTracker(detector, every=100)
    tracker.find(paint(0))
    detector.is_lost = True
    tracker.find(paint(0))
    assert detector.calls == ["find", "follow", "find"]


def test_without_a_face_or_without_yunet_every_frame_is_searched():
    for faces in ((), (Face(box=BOX, score=1.0),)):
        detector = CountingDetector(*faces)
        tracker = FaceTracker(detector, every=4)
        for _ in range(5):
            assert tracker.find(paint(0)) == faces
        assert detector.searches == 5
    with pytest.raises(ValueError, match="every=0"):
        FaceTracker(CountingDetector(), every=0)


def test_yunet_follows_a_face_that_moves(real_data):
    file = next(real_data.glob("face_detection_yunet_*.onnx"))
    detector = make_detector("yunet", model_path=file)
    drawn = draw_face("Happy", seed=3, size=(200, 200))
    frames = []
    for shift in (0, 8, 16):
        frame = paint(140, size=(480, 640))
        frame[100:300, 200 + shift : 400 + shift] = drawn
        frames.append(frame)
    (first,) = detector.find(frames[0])
    face = first
    for frame in frames[1:]:
        face = detector.follow(face, frame)
    (searched,) = detector.find(frames[-1])
    assert measure_overlap(face.box, searched.box) > 0.9
    assert face.box[0] - first.box[0] == pytest.approx(16, abs=4)
    assert detector.follow(first, paint(140, size=(480, 640))) is None


# --- smoothing ------------------------------------------------------------------------------


def predict_face(happy, *, box=BOX, neither=0.0):
    shares = {"Sad": 1 - happy, "Happy": happy}
    face = FacePrediction(box, shares, max(shares, key=shares.get), neither)
    return Prediction(faces=(face,))


def test_after_one_half_life_the_past_counts_half():
    smoother = PredictionSmoother(half_life_seconds=0.2)
    assert smoother.smooth(predict_face(1.0), seconds=0).probabilities["Happy"] == 1
    smoothed = smoother.smooth(predict_face(0.0), seconds=0.2)
    assert smoothed.probabilities["Happy"] == pytest.approx(0.5)
    assert smoothed.faces[0].probabilities["Sad"] == pytest.approx(0.5)
    smoothed = smoother.smooth(predict_face(0.0), seconds=0.4)
    assert smoothed.probabilities["Happy"] == pytest.approx(0.25)
    assert smoothed.faces[0].answer == smoothed.class_name == "Sad"


def test_the_rule_decides_on_the_averages():
    smoother = PredictionSmoother(half_life_seconds=0.5, face_rule=UncertaintyRule(0.75, 0.75))
    assert smoother.smooth(predict_face(1.0), seconds=0).answer == "Happy"
    assert smoother.smooth(predict_face(0.0), seconds=0.5).answer == UNCERTAIN
    smoother = PredictionSmoother(half_life_seconds=0.5, face_rule=UncertaintyRule(0.75, 0.6))
    smoother.smooth(predict_face(1.0, neither=0.5), seconds=0)
    smoothed = smoother.smooth(predict_face(1.0, neither=0.9), seconds=0.5)
    assert smoothed.faces[0].neither == pytest.approx(0.7)
    assert smoothed.answer == UNCERTAIN


def test_another_place_or_a_long_pause_starts_anew():
    smoother = PredictionSmoother(half_life_seconds=1)
    smoother.smooth(predict_face(1.0), seconds=0)
    elsewhere = smoother.smooth(predict_face(0.0, box=(200.0, 10.0, 40.0, 40.0)), seconds=0.1)
    assert elsewhere.probabilities["Happy"] == 0
    back = smoother.smooth(predict_face(0.0), seconds=0.2)
    assert back.probabilities["Happy"] > 0.5
    assert smoother.smooth(predict_face(0.0), seconds=9).probabilities["Happy"] == 0


def test_two_faces_keep_their_own_past():
    smoother = PredictionSmoother(half_life_seconds=1)
    left, right = (
        predict_face(1.0).faces[0],
        predict_face(0.0, box=(30.0, 10.0, 40.0, 40.0)).faces[0],
    )
    both = Prediction(faces=(left, right))
    swapped = Prediction(faces=(right, left))
    smoother.smooth(both, seconds=0)
    smoothed = smoother.smooth(swapped, seconds=0.1)
    assert [face.probabilities["Happy"] for face in smoothed.faces] == [0.0, 1.0]


def test_no_half_life_takes_predictions_as_they_are_and_no_face_stays_no_face():
    smoother = PredictionSmoother(half_life_seconds=0)
    smoother.smooth(predict_face(1.0), seconds=0)
    assert smoother.smooth(predict_face(0.2), seconds=0.01).probabilities["Happy"] == 0.2
    nothing = Prediction(note="No face was found.")
    assert smoother.smooth(nothing, seconds=0.02) is nothing
    with pytest.raises(ValueError, match="half_life_seconds=-1"):
        PredictionSmoother(half_life_seconds=-1)


# --- a session ------------------------------------------------------------------------------


def test_a_session_predicts_a_list_of_arrays():
    session = LiveSession(make_predictor(FollowingDetector()), half_life_seconds=0.1)
    frames = [Frame(paint(255 if number < 4 else 0), number * 0.1) for number in range(10)]
    predicted = list(map(session.predict, frames))
    shares = [each.prediction.probabilities["Happy"] for each in predicted]
    assert shares[:4] == [1, 1, 1, 1]
    assert shares[4:] == pytest.approx([0.5**n for n in range(1, 7)])
    assert [predicted[0].prediction.answer, predicted[-1].prediction.answer] == ["Happy", "Sad"]
    assert predicted[-1].frames_per_second > 0
    assert predicted[-1].milliseconds > 0
    picture = predicted[-1].draw()
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_a_session_with_a_model_of_whole_photos_needs_no_detector():
    info = ModelInfo(image_size=(16, 16), crop="none")
    session = LiveSession(Predictor(BrightnessNetwork(), info))
    assert session.detector is None
    predicted = session.predict(Frame(paint(255), 0.0))
    assert predicted.prediction.faces[0].is_whole_photo


# --- films ----------------------------------------------------------------------------------


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    with open_video_file(path, frames_per_second=10) as write:
        for number in range(6):
            picture = paint(200)
            picture[..., 0] = 40 * number  # red, so that swapped channels show
            write(picture)
    return path


def test_a_film_is_read_as_it_was_written(film):
    source = read_video(film)
    frames = list(source)
    assert source.frames_per_second == pytest.approx(10)
    assert [frame.seconds for frame in frames] == pytest.approx([n / 10 for n in range(6)])
    for number, frame in enumerate(frames):
        assert frame.pixels.shape == (48, 64, 3)
        assert frame.pixels[..., 0].mean() == pytest.approx(40 * number, abs=12)
        assert frame.pixels[..., 2].mean() == pytest.approx(200, abs=12)


def test_nothing_is_overwritten_and_nothing_half_written(film, tmp_path):
    before = film.read_bytes()
    with (
        pytest.raises(FileExistsError, match="another name"),
        open_video_file(film, frames_per_second=10),
    ):
        pass
    assert film.read_bytes() == before
    with (
        pytest.raises(RuntimeError, match="stop"),
        open_video_file(tmp_path / "half.mp4", frames_per_second=10) as write,
    ):
        write(paint(3))
        raise RuntimeError("stop")
    with (
        pytest.raises(ValueError, match="no picture"),
        open_video_file(tmp_path / "empty.mp4", frames_per_second=10),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"\.mp4 or \.avi"),
        open_video_file(tmp_path / "strange.txt", frames_per_second=10) as write,
    ):
        write(paint(3))
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_what_is_no_film_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        read_video(tmp_path / "none.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    with pytest.raises(ValueError, match=r"text\.mp4.*is no video"):
        read_video(text)


def test_a_camera_that_is_not_there_is_named_with_the_remedy():
    with pytest.raises(CameraUnavailableError, match="Camera 97 gives no picture"):
        open_camera(97)


class FakeCapture:
    """A camera that gives three pictures."""

    def __init__(self, *_):
        self.left, self.is_open = 3, True

    def read(self):
        self.left -= 1
        picture = paint(0)
        picture[..., 0] = 200  # blue, as OpenCV counts
        return self.left >= 0, picture

    def get(self, _):
        return 30.0

    def set(self, *_):
        return True

    def release(self):
        self.is_open = False


def test_a_camera_gives_rgb_and_the_time_and_is_let_go(monkeypatch):
    camera = FakeCapture()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    frames = list(open_camera())
    assert len(frames) == 3
    assert frames[0].pixels[0, 0].tolist() == [0, 0, 200]
    assert frames[0].seconds <= frames[1].seconds <= frames[2].seconds
    assert not camera.is_open


def test_without_a_screen_the_remedy_is_said(monkeypatch):
    failed = subprocess.CompletedProcess([], 134)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(WindowUnavailableError, match="--no-window"), open_window("x"):
        pass


@pytest.mark.parametrize(("key", "visible", "shown"), [(ord("q"), 1, 1), (27, 1, 1), (-1, 0, 1)])
def test_a_window_ends_with_q_escape_or_its_cross(key, visible, shown, monkeypatch):
    pictures = []
    for name, value in {
        "namedWindow": lambda *_: None,
        "destroyAllWindows": lambda: pictures.append("closed"),
        "imshow": lambda _, picture: pictures.append(picture),
        "waitKey": lambda _: key,
        "getWindowProperty": lambda *_: visible,
    }.items():
        monkeypatch.setattr(cv2, name, value)
    passed = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: passed)
    red = paint(0)
    red[..., 0] = 255
    with open_window("x") as show:
        assert show(red) is False
    assert len(pictures) == shown + 1
    assert pictures[0][0, 0].tolist() == [0, 0, 255]
    assert pictures[-1] == "closed"


def write_uneven_film(path, *, rate, waits):
    """Write a film whose frames are shown for `waits` thousandths of a second each.

    OpenCV writes an even film; its table of durations gives way to one with an entry per frame.
    """
    with open_video_file(path, frames_per_second=rate) as write:
        for number in range(len(waits)):
            write(paint(200 if number < len(waits) // 2 else 30))
    content = path.read_bytes().replace(b"edts", b"free")  # which would cut the film to its length
    track = content.index(b"mdhd") + 16  # the clock that the durations are counted in
    content = content[:track] + (1000).to_bytes(4) + content[track + 4 :]
    start = content.index(b"stts") - 4
    end = start + int.from_bytes(content[start : start + 4])
    entries = b"".join(b"\0\0\0\1" + wait.to_bytes(4) for wait in waits)
    table = (16 + len(entries)).to_bytes(4) + b"stts\0\0\0\0" + len(waits).to_bytes(4) + entries
    content = content[:start] + table + content[end:]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = content.index(name) - 4
        size = int.from_bytes(content[place : place + 4]) + len(table) - (end - start)
        content = content[:place] + size.to_bytes(4) + content[place + 4 :]
    path.write_bytes(content)
    return path


UNEVEN = [20] * 10 + [100] * 10


def test_frames_of_an_uneven_film_have_their_own_times(tmp_path):
    film = write_uneven_film(tmp_path / "phone.mp4", rate=25, waits=UNEVEN)
    times = [frame.seconds for frame in read_video(film)]
    assert times == pytest.approx([sum(UNEVEN[:n]) / 1000 for n in range(len(UNEVEN))])


class StampedFilm:
    """A film that claims 1,000 frames per second and stamps its frames as it is told."""

    def __init__(self, stamps, *, bright=0):
        self.stamps, self.bright, self.number = stamps, bright, -1

    def read(self):
        self.number += 1
        return self.number < len(self.stamps), paint(255 if self.number < self.bright else 0)

    def get(self, what):
        return 1000.0 if what == cv2.CAP_PROP_FPS else self.stamps[self.number]

    def release(self):
        pass


STEP = 100 / 3


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 40, 90, 400], [0, 40, 90, 400]),
        ([0, 0, 0, 0], [0, STEP, 2 * STEP, 3 * STEP]),
        ([-1, -1, -1], [0, STEP, 2 * STEP]),
        ([float("nan")] * 3, [0, STEP, 2 * STEP]),
        ([0, 40, 40, 120], [0, 40, 40 + STEP, 120]),
        ([0, 40, 0, 40], [0, 40, 40 + STEP, 80 + STEP]),
        ([9e9, 9e9 + 40, 9e9 + 80], [0, 40, 80]),
        ([0, 40, 9e9, 9e9 + 40], [0, 40, 40 + STEP, 80 + STEP]),
    ],
    ids=["right", "zero", "unknown", "nan", "pause", "from the start again", "late", "leap"],
)
def test_stamps_that_tell_no_time_are_replaced_by_a_step(stamps, expected, monkeypatch, film):
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: StampedFilm(stamps))
    times = [1000 * frame.seconds for frame in read_video(film)]
    assert times == pytest.approx(expected)


def test_a_browsers_film_is_smoothed_by_its_own_times(monkeypatch, film):
    """Of 1 second of light and 2 of dark pictures, claimed to be 75 ms, the end is dark."""
    stamped = StampedFilm([40 * number for number in range(75)], bright=25)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: stamped)
    session = LiveSession(make_predictor(FollowingDetector()))
    *_, last = map(session.predict, read_video(film))
    assert last.prediction.answer == "Sad"
    assert last.prediction.probabilities["Sad"] > 0.98


def test_the_case_file_ends_sad(real_data):
    case = real_data.parent / "cases" / "browser_film_of_a_drawn_face.webm"
    if not case.is_file():
        pytest.skip("the film is not here")
    detector = make_detector("yunet", model_path=next(real_data.glob("face_detection_yunet_*")))
    session = LiveSession(Predictor.packaged(detector=detector))
    *_, last = map(session.predict, read_video(case))
    assert last.frame.seconds == pytest.approx(2.96)
    assert last.prediction.answer == "Sad"
    assert last.prediction.probabilities["Sad"] > 0.9


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_written_film_lasts_as_long_as_what_it_shows(suffix, tmp_path):
    path = tmp_path / f"film{suffix}"
    with open_video_file(path, frames_per_second=10) as write:
        for level, seconds in ((0, 5.0), (60, 5.01), (120, 5.1), (180, 5.5), (240, 5.6)):
            write(paint(level), seconds)
    levels = [int(frame.pixels.mean()) for frame in read_video(path)]
    assert levels == pytest.approx([60, 120, 120, 120, 120, 180, 240], abs=9)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for the size of files")
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_film_that_does_not_fit_on_the_disk_is_not_called_written(suffix, tmp_path):
    """A limit for the size of files refuses bytes as a full disk does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(1).integers(0, 256, (40, 240, 320, 3), dtype=np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with (
            pytest.raises(OSError, match=r"not all of its 40 frames can be read\. Make"),
            open_video_file(tmp_path / f"film{suffix}", frames_per_second=10) as write,
        ):
            for picture in noise:
                write(picture)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


# --- the command ----------------------------------------------------------------------------


@pytest.fixture
def answering(monkeypatch):
    predictor = make_predictor(FollowingDetector(), rule=UncertaintyRule(0.75, 0.75))
    monkeypatch.setattr("emoclf.apps.commands.showing.load_predictor", lambda *_, **__: predictor)


def run(*arguments, code=0):
    result = call("live", *arguments)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.usefixtures("answering")
def test_a_film_is_annotated_into_another(film, tmp_path):
    output = tmp_path / "annotated.mp4"
    text = run("--video", film, "--output", output, "--no-window").stdout
    assert "6 frames" in text
    assert "find and predict" in text
    assert str(output) in text
    annotated = read_video(output)
    assert annotated.frames_per_second == pytest.approx(10)
    assert len(list(annotated)) == 6
    assert (
        "exists already" in run("--video", film, "--output", output, "--no-window", code=1).stderr
    )


@pytest.mark.usefixtures("answering")
def test_a_camera_is_asked_for_with_the_words_of_consent(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    text = run("--no-window", "--output", tmp_path / "me.mp4").stdout
    assert "your own face, or one whose owner agrees" in text
    assert "3 frames" in text


@pytest.mark.usefixtures("answering")
def test_an_uneven_film_keeps_its_length(tmp_path):
    film = write_uneven_film(tmp_path / "phone.mp4", rate=25, waits=UNEVEN)
    output = tmp_path / "annotated.mp4"
    run("--video", film, "--output", output, "--no-window")
    frames = list(read_video(output))
    dark = next(frame for frame in frames if frame.pixels[0, 0].mean() < 100)
    assert dark.seconds == pytest.approx(sum(UNEVEN[:10]) / 1000, abs=0.06)
    assert frames[-1].seconds == pytest.approx(sum(UNEVEN[:-1]) / 1000, abs=0.06)


@pytest.mark.usefixtures("answering")
def test_a_full_disk_ends_the_command_with_an_error(film, tmp_path, monkeypatch):
    class FullDisk:
        """Writes nothing, and says nothing of it, as OpenCV does."""

        def open(self, path, *_):
            Path(path).write_bytes(b"")

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return True

        def write(self, _):
            pass

        def release(self):
            pass

        fourcc = staticmethod(cv2.VideoWriter.fourcc)

    monkeypatch.setattr(cv2, "VideoWriter", FullDisk)
    result = run("--video", film, "--output", tmp_path / "new.mp4", "--no-window", code=1)
    assert "not all of its 6 frames can be read. Make room" in result.stderr
    assert "Written" not in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_nothing_to_see_is_refused():
    assert "--output" in run("--no-window", code=2).stderr


def test_live_loads_no_tensorflow(film):
    code = (
        "import sys\n"
        "from emoclf.images.faces import Face\n"
        "from emoclf.inference import Predictor\n"
        "from emoclf.apps.camera import LiveSession, read_video\n"
        "class Detector:\n"
        "    name, description, note = 'd', 'd', ''\n"
        "    def find(self, image):\n"
        "        return (Face(box=(10.0, 10.0, 20.0, 20.0), score=1.0),)\n"
        "session = LiveSession(Predictor.packaged(detector=Detector()))\n"
        f"print(len([*map(session.predict, read_video({str(film)!r}))]))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "6", result.stderr
