"""Answers for faces: fakes with known answers, then the packaged network and real detectors."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from emoclf.images import (
    ModelInfo,
    UnreadableImageError,
    load_image,
    prepare,
    resize_image,
    threads,
    work_ahead,
)
from emoclf.images import preparing as preparing_module
from emoclf.images.faces import Face, FaceDetectorUnavailableError, make_detector
from emoclf.inference import (
    UNCERTAIN,
    FacePrediction,
    Prediction,
    Predictor,
    UncertaintyRule,
    predict,
)
from emoclf.inference import predictor as predictor_module
from emoclf.models.model_file import save_model
from emoclf.models.packaged import FaceProbabilities, ModelCard, PackagedNetwork

FACE_INFO = ModelInfo(image_size=(16, 16), crop="face")


class FakeDetector:
    name = "fake"
    description = "A fake that knows where the faces are."
    note = ""

    def __init__(self, *boxes):
        self.faces = tuple(Face(box=box, score=0.9 - 0.1 * i) for i, box in enumerate(boxes))

    def find(self, image):
        assert image.dtype == np.uint8
        return self.faces


class BrightnessNetwork:
    """Happy is how bright channel 0 is. Notes what it was shown and whether it was alone."""

    def __init__(self):
        self.batches = []
        self.users = 0

    def predict_on_batch(self, images):
        self.users += 1
        assert self.users == 1, "two threads at once"
        self.batches.append(images)
        happy = images[..., 0].mean(axis=(1, 2)) / 255
        self.users -= 1
        return np.stack([1 - happy, happy], axis=1).astype(np.float32)


class KnownNetwork(PackagedNetwork):
    """The packaged network's way to answer, with answers that are known."""

    def __init__(self, happy, neither):
        self.happy, self.neither = happy, neither

    def predict_with_neither(self, faces):
        happy = np.full(len(faces), self.happy, dtype=np.float32)
        return FaceProbabilities(
            np.stack([1 - happy, happy], axis=1), np.full(len(faces), self.neither, np.float32)
        )


def two_faces():
    """A photo of 60 x 100 pixels: a large dark face on the left, a small bright one right."""
    photo = np.full((60, 100, 3), 128, np.uint8)
    photo[:, :60], photo[:, 60:] = 51, 204
    return photo, FakeDetector((5.0, 5.0, 50.0, 50.0), (70.0, 20.0, 20.0, 20.0))


def no_detector():
    raise FaceDetectorUnavailableError("There is none. Install one.")


def test_every_face_is_predicted_and_the_largest_speaks_for_the_photo():
    photo, detector = two_faces()
    answer = Predictor(BrightnessNetwork(), FACE_INFO, detector=detector).predict(photo)
    assert [face.box for face in answer.faces] == [face.box for face in detector.faces]
    assert [face.detection_score for face in answer.faces] == [0.9, 0.8]
    assert [face.answer for face in answer.faces] == ["Sad", "Happy"]
    assert [face.probabilities["Happy"] for face in answer.faces] == pytest.approx([0.2, 0.8])
    assert not any(face.is_whole_photo for face in answer.faces)
    assert (answer.class_name, answer.answer) == ("Sad", "Sad")
    assert answer.probabilities == answer.faces[0].probabilities
    assert answer.detector == detector.description
    assert answer.problem is answer.note is answer.file is None


def test_crops_have_the_networks_size_and_keep_red_first():
    network = BrightnessNetwork()
    photo = np.zeros((50, 80, 3), np.uint8)
    photo[..., 0] = 255
    info = ModelInfo(image_size=(12, 20), crop="face")
    Predictor(network, info, detector=FakeDetector((10.0, 5.0, 40.0, 40.0))).predict(photo)
    assert network.batches[0].shape == (1, 12, 20, 3)
    assert network.batches[0].dtype == np.uint8
    assert network.batches[0].mean(axis=(0, 1, 2)).tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("happy", "neither", "expected"),
    [
        (0.95, 0.1, "Happy"),
        (0.05, 0.1, "Sad"),
        (0.65, 0.1, UNCERTAIN),
        (0.35, 0.1, UNCERTAIN),
        (0.95, 0.7, UNCERTAIN),
        (0.75, 0.5, "Happy"),
    ],
)
def test_the_rule_decides_what_is_uncertain(happy, neither, expected):
    photo, detector = two_faces()
    rule = UncertaintyRule(uncertain_below=0.75, neither_above=0.5)
    predictor = Predictor(KnownNetwork(happy, neither), FACE_INFO, detector=detector, rule=rule)
    answer = predictor.predict(photo)
    assert answer.answer == answer.faces[0].answer == expected
    assert answer.class_name == ("Happy" if happy > 0.5 else "Sad")
    assert answer.faces[0].neither == pytest.approx(neither)
    assert "75%" in rule.describe()
    assert "50%" in rule.describe()


def test_a_network_without_a_rule_always_names_a_class():
    photo, detector = two_faces()
    predictor = Predictor(KnownNetwork(0.5, 1.0), FACE_INFO, detector=detector)
    assert {face.answer for face in predictor.predict(photo).faces} == {"Sad"}


def test_a_photo_without_a_face_says_so_and_what_to_do():
    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=FakeDetector())
    answer = predictor.predict(two_faces()[0])
    assert (answer.class_name, answer.answer, answer.probabilities) == (None, None, {})
    assert (answer.faces, answer.problem) == ((), None)
    assert "No face was found" in answer.note
    assert "whole_photo=True" in answer.note
    assert answer.detector == FakeDetector.description
    assert str(answer) == answer.note
    assert predictor.model.batches == []


def test_if_asked_the_whole_photo_is_predicted_and_marked():
    network, photo = BrightnessNetwork(), two_faces()[0]
    answer = Predictor(network, FACE_INFO, detector=FakeDetector()).predict(photo, whole_photo=True)
    assert len(answer.faces) == 1
    assert answer.faces[0].is_whole_photo
    assert answer.faces[0].detection_score is None
    assert answer.faces[0].box == (0, 0, 100, 60)
    assert "No face was found" in answer.note
    np.testing.assert_array_equal(network.batches[0][0], resize_image(photo, (16, 16)))


def test_whole_photo_changes_nothing_where_there_is_a_face():
    photo, detector = two_faces()
    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=detector)
    assert predictor.predict(photo, whole_photo=True) == predictor.predict(photo)


def test_without_a_detector_the_remedy_is_said():
    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=no_detector)
    for photos in (two_faces()[0], [two_faces()[0]]):
        with pytest.raises(FaceDetectorUnavailableError, match="Install one"):
            predictor.predict(photos)
    assert predictor.predict([]) == []


def test_without_a_detector_the_whole_photo_can_still_be_predicted():
    calls = []

    def note_call():
        calls.append(1)
        no_detector()

    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=note_call)
    answers = predictor.predict([two_faces()[0]] * 5, whole_photo=True, batch_size=2)
    assert all(answer.faces[0].is_whole_photo for answer in answers)
    assert all(answer.detector is None for answer in answers)
    assert all("Install one" in answer.note for answer in answers)
    assert len(calls) == 1


def test_the_detector_is_made_when_it_is_needed_and_once():
    made = []

    def make():
        made.append(two_faces()[1])
        return made[-1]

    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=make)
    assert not made
    predictor.predict(two_faces()[0])
    predictor.predict(two_faces()[0])
    assert len(made) == 1
    assert predictor.detector is made[0]


def test_a_network_of_whole_photos_needs_no_detector():
    info = ModelInfo(image_size=(16, 16))
    predictor = Predictor(BrightnessNetwork(), info, detector=no_detector)
    answer = predictor.predict(two_faces()[0])
    assert [face.is_whole_photo for face in answer.faces] == [True]
    assert answer.faces[0].box == (0, 0, 100, 60)
    assert (answer.note, answer.detector) == (None, None)


def test_a_list_calls_the_network_once_per_batch_and_keeps_the_order(tmp_path):
    photo, detector = two_faces()
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("no photo")
    network = BrightnessNetwork()
    predictor = Predictor(network, FACE_INFO, detector=detector)
    answers = predictor.predict([tmp_path / "a.png", tmp_path / "b.jpg", photo], batch_size=3)
    assert [len(answer.faces) for answer in answers] == [2, 0, 2]
    assert [answer.file for answer in answers] == [
        str(tmp_path / "a.png"),
        str(tmp_path / "b.jpg"),
        None,
    ]
    assert "b.jpg" in answers[1].problem
    assert answers[1].note is None
    assert [len(batch) for batch in network.batches] == [4]
    with pytest.raises(UnreadableImageError, match=r"b\.jpg"):
        predictor.predict(tmp_path / "b.jpg")
    assert predictor.predict(tmp_path) == answers[:2]


@pytest.mark.parametrize("crop", ["face", "none"])
def test_each_photo_is_decoded_once(crop, tmp_path, monkeypatch):
    photo, detector = two_faces()
    Image.fromarray(photo).save(tmp_path / "a.png")
    decoded = []
    original = preparing_module.decode_image

    def count(source, **options):
        decoded.append(source)
        return original(source, **options)

    def refuse(_source):
        raise AssertionError("decoded twice")

    monkeypatch.setattr(preparing_module, "decode_image", count)
    monkeypatch.setattr(predictor_module, "load_image", refuse)
    info = ModelInfo(image_size=(16, 16), crop=crop)
    predictor = Predictor(BrightnessNetwork(), info, detector=detector)
    predictor.predict([tmp_path / "a.png"] * 2)
    [(answer, pixels)] = predictor.predict_each([tmp_path / "a.png"], keep_pixels=True)
    assert len(decoded) == 3
    np.testing.assert_array_equal(pixels, photo)
    assert answer.class_name


def test_photos_are_handed_out_upright_and_in_full_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (900, 600), "red").save(tmp_path / "turned.jpg", exif=exif)
    for crop in ("none", "face"):
        info = ModelInfo(image_size=(16, 16), crop=crop)
        predictor = Predictor(BrightnessNetwork(), info, detector=FakeDetector())
        [(answer, pixels)] = predictor.predict_each(
            [tmp_path / "turned.jpg"], whole_photo=True, keep_pixels=True
        )
        assert pixels.shape == (900, 600, 3)
        assert answer.faces[0].box == (0, 0, 600, 900)
        [(_, pixels)] = predictor.predict_each([tmp_path / "turned.jpg"])
        assert pixels is None
    (tmp_path / "bad.jpg").write_bytes(b"")
    [(answer, pixels)] = predictor.predict_each([tmp_path / "bad.jpg"], keep_pixels=True)
    assert pixels is None
    assert answer.problem


def test_fifty_faces_and_one_pixel():
    boxes = [(12.0 * (i % 10), 12.0 * (i // 10), 10.0, 10.0) for i in range(50)]
    network = BrightnessNetwork()
    photo = np.random.default_rng(0).integers(0, 256, (60, 120, 3), dtype=np.uint8)
    answer = Predictor(network, FACE_INFO, detector=FakeDetector(*boxes)).predict(photo)
    assert [face.box for face in answer.faces] == boxes
    assert [len(batch) for batch in network.batches] == [50]
    pixel = np.zeros((1, 1, 3), np.uint8)
    alone = Predictor(network, FACE_INFO, detector=FakeDetector())
    assert alone.predict(pixel).faces == ()
    assert alone.predict(pixel, whole_photo=True).answer == "Sad"


def test_threads_take_turns_at_the_network_and_at_making_the_detector():
    made = []

    def make():
        made.append(two_faces()[1])
        return made[-1]

    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=make)
    photo = two_faces()[0]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(predictor.predict, [photo] * 64))
    assert all(answer == answers[0] for answer in answers)
    assert len(made) == 1


class MeetingDetector(FakeDetector):
    """Looks only when two threads look at once."""

    is_thread_safe = True

    def __init__(self, *boxes):
        super().__init__(*boxes)
        self.together = threading.Barrier(2)

    def find(self, image):
        self.together.wait(60)
        return super().find(image)


class LonelyDetector(FakeDetector):
    """Bears no second thread, as it says by saying nothing."""

    def __init__(self, *boxes):
        super().__init__(*boxes)
        self.busy = threading.Lock()

    def find(self, image):
        assert self.busy.acquire(blocking=False), "two threads at once"
        time.sleep(0.002)
        self.busy.release()
        return super().find(image)


def save_mixed_folder(folder):
    """Ten photos from dark to bright, in the middle a damaged one."""
    for number in range(10):
        Image.new("RGB", (90, 60), (25 * number,) * 3).save(folder / f"{number}.png")
    (folder / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("kind", [MeetingDetector, LonelyDetector])
def test_many_photos_are_worked_on_at_once_and_come_in_order(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "count_cores", lambda: 2)
    files = save_mixed_folder(tmp_path)
    files = files if kind is LonelyDetector else files[:-1]  # two of nine meet, less the damaged
    network, detector = BrightnessNetwork(), kind((5.0, 5.0, 50.0, 50.0))
    predictor = Predictor(network, FACE_INFO, detector=detector)
    found = [each for each, _ in predictor.predict_each(files)]
    assert found == predictor.predict(files)
    assert [each.file for each in found] == [str(file) for file in files]
    assert [bool(each.problem) for each in found] == [file.name == "5.png" for file in files]
    happy = [each.probabilities["Happy"] for each in found if not each.problem]
    assert happy == sorted(happy)


def test_a_network_that_bears_one_thread_is_used_by_the_callers_and_in_batches(tmp_path):
    users = []

    class LonelyNetwork(BrightnessNetwork):
        def predict_on_batch(self, images):
            users.append(threading.get_ident())
            return super().predict_on_batch(images)

    files = save_mixed_folder(tmp_path)
    predictor = Predictor(LonelyNetwork(), FACE_INFO, detector=FakeDetector((5.0, 5.0, 50.0, 50.0)))
    list(predictor.predict_each(files))
    predictor.predict(files)
    predictor.predict(files, batch_size=3)
    assert [len(each) for each in predictor.model.batches] == [7, 2, 9, 3, 2, 3, 1]
    assert set(users) == {threading.get_ident()}


def test_the_packaged_network_answers_several_threads_at_once_as_it_does_one():
    network = PackagedNetwork()
    faces = np.random.default_rng(2).integers(0, 256, (40, 48, 48, 3), dtype=np.uint8)
    alone = network.predict_logits(faces)
    rows = list(work_ahead(lambda face: network.predict_logits(face[None])[0], faces, workers=4))
    np.testing.assert_array_equal(rows, alone)


def test_large_photos_do_not_pile_up_while_they_wait_to_be_drawn_on(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor_module, "_MOST_WAITING_BYTES", 3 * 60 * 90 - 1)
    files, loaded = save_mixed_folder(tmp_path), []

    def load(file):
        loaded.append(file)
        return load_image(file)

    monkeypatch.setattr(predictor_module, "load_image", load)
    predictor = Predictor(BrightnessNetwork(), FACE_INFO, detector=FakeDetector())
    found = list(predictor.predict_each(files, keep_pixels=True))
    assert loaded == [file for file in files if file.name != "5.png"]
    for file, (answer, pixels) in zip(files, found, strict=True):
        assert (pixels is None) == bool(answer.problem) == (file.name == "5.png")


def test_a_saved_face_network_of_a_learner_is_shown_faces(tmp_path):
    from emoclf.models import build_cnn

    model = build_cnn((16, 16), filters=(4, 4))
    path = save_model(model, tmp_path / "model.keras", info=FACE_INFO)
    photo, detector = two_faces()
    answer = predict(photo, model=path, detector=detector)
    assert [face.box for face in answer.faces] == [face.box for face in detector.faces]
    assert {face.answer for face in answer.faces} <= {"Sad", "Happy"}
    assert [face.neither for face in answer.faces] == [None, None]
    crops = prepare(photo, FACE_INFO, detector=detector).crops
    expected = model.predict_on_batch(crops)
    received = [list(face.probabilities.values()) for face in answer.faces]
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_the_optimizer_of_the_training_is_not_loaded(tmp_path):
    from emoclf.models import build_cnn
    from emoclf.models.model_file import load_model

    model = build_cnn((16, 16), filters=(4, 4))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(np.zeros((2, 16, 16, 3), np.uint8), np.array([0, 1]))
    path = save_model(model, tmp_path / "model.keras", info=FACE_INFO)
    assert load_model(path)[0].compiled
    predictor = Predictor.load(path)
    assert not predictor.model.compiled
    crops = np.full((1, 16, 16, 3), 90, np.uint8)
    expected = model.predict_on_batch(crops)
    np.testing.assert_allclose(predictor.predict_probabilities(crops), expected, atol=1e-6)


def test_every_kind_of_network_is_a_network():
    """One protocol: a Keras model, the packaged network and a plain class answer alike."""
    from emoclf.models import build_cnn

    size = ModelCard.load().image_size
    crops = np.full((3, *size, 3), 90, np.uint8)
    for model in (build_cnn(size, filters=(4, 4)), PackagedNetwork(), BrightnessNetwork()):
        predictor = Predictor(model, ModelInfo(image_size=size))
        rows = predictor.predict_probabilities(crops)
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(rows, np.asarray(model.predict_on_batch(crops)))
        answer = predictor.predict(crops[0])
        assert (answer.faces[0].neither is not None) == isinstance(model, PackagedNetwork)


@pytest.fixture
def forgotten(monkeypatch):
    """Nothing packaged was loaded before this test."""
    monkeypatch.setattr(predictor_module, "_packaged", {})


@pytest.mark.usefixtures("forgotten")
def test_the_packaged_network_is_loaded_once_for_all_threads(monkeypatch):
    loaded, barrier = [], threading.Barrier(6)

    def load(**_options):
        loaded.append(1)
        return Predictor(KnownNetwork(0.9, 0.1), FACE_INFO, detector=two_faces()[1])

    monkeypatch.setattr(Predictor, "packaged", load)

    def ask(photo):
        barrier.wait()
        return predict(photo)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, [two_faces()[0]] * 6))
    assert len(loaded) == 1
    assert {answer.answer for answer in answers} == {"Happy"}


def test_a_predictor_of_ones_own_is_used_as_it_is():
    photo, detector = two_faces()
    own = Predictor(BrightnessNetwork(), FACE_INFO, detector=detector)
    assert predict(photo, model=own) == own.predict(photo)
    assert [each.answer for each in predict([photo], model=own)] == ["Sad"]
    with pytest.raises(ValueError, match="expected None beside a Predictor"):
        predict(photo, model=own, detector=detector)


def test_the_packaged_network_predicts_by_the_rule_of_its_card():
    predictor = Predictor.packaged(faces_only=True, detector=two_faces()[1])
    card = ModelCard.load()
    assert predictor.info == ModelInfo(image_size=card.image_size, crop="face")
    assert predictor.rule == UncertaintyRule(card.uncertain_below, card.neither_above)
    for face in predictor.predict(two_faces()[0]).faces:
        assert face.answer == predictor.rule.decide(face.probabilities, face.neither)
        assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert 0 <= face.neither <= 1
    crops = np.zeros((2, *card.image_size, 3), np.uint8)
    assert predictor.predict_probabilities(crops).shape == (2, 2)


def test_the_default_detector_is_the_best_that_is_there(monkeypatch):
    detector = two_faces()[1]
    monkeypatch.setattr(predictor_module, "make_detector", lambda: detector)
    assert Predictor(BrightnessNetwork(), FACE_INFO).detector is detector


def test_predictions_are_printed_and_written_as_json():
    photo, detector = two_faces()
    rule = UncertaintyRule(0.7, 0.5)
    predictor = Predictor(KnownNetwork(0.9, 0.1), FACE_INFO, detector=detector, rule=rule)
    answer = predictor.predict(photo)
    assert str(answer.faces[0]) == "Happy (Sad 10%, Happy 90%, neither 10%)"
    assert str(answer).startswith("2 faces, the largest first: Happy (")
    value = json.loads(json.dumps(answer.to_dict()))
    assert value["faces"][0]["box"] == {"left": 5.0, "top": 5.0, "width": 50.0, "height": 50.0}
    assert value["faces"][1]["neither"] == pytest.approx(0.1)
    assert (value["answer"], value["problem"]) == ("Happy", None)
    whole = FacePrediction((0, 0, 9, 9), {"Sad": 0.2, "Happy": 0.8}, "Happy", is_whole_photo=True)
    photo_answer = Prediction("a\n.jpg", faces=(whole,), note="N.")
    assert str(photo_answer) == "'a\\n.jpg': Happy (Sad 20%, Happy 80%). N."


def find_real_detector(kind, real_data):
    path = real_data / "face_detection_yunet_2026may.onnx"
    return make_detector(kind, model_path=path if kind == "yunet" else None)


@pytest.mark.parametrize("kind", ["yunet", "packaged"])
def test_real_faces_are_found_and_answered(kind, real_data):
    detector = find_real_detector(kind, real_data)
    files = sorted((real_data / "web_photos" / "happy").glob("*.jpg"))[:12]
    answers = predict([*files, np.zeros((1, 1, 3), np.uint8)], detector=detector)
    assert sum(len(answer.faces) > 0 for answer in answers) >= 4
    assert answers[-1].faces == ()
    for face in (face for answer in answers for face in answer.faces):
        assert face.answer in ("Sad", "Happy", UNCERTAIN)
        assert 0 < face.detection_score <= 1
        assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_fifty_real_faces_are_predicted(real_data):
    """Faces of FER2013, tiled: what is found is answered with what each face alone is."""
    detector = find_real_detector("yunet", real_data)
    with np.load(real_data / "fer2013" / "happy_sad.npz") as data:
        faces = data["pixels"][:50]
    tiles = [
        np.pad(resize_image(load_image(face), (96, 96)), ((20,), (20,), (0,))) for face in faces
    ]
    photo = np.concatenate([np.concatenate(tiles[i : i + 10], axis=1) for i in range(0, 50, 10)])
    answer = predict(photo, detector=detector)
    assert len(answer.faces) >= 35
    areas = [face.box[2] * face.box[3] for face in answer.faces]
    assert areas == sorted(areas, reverse=True)
