"""Faces and scene together: sheets, features that are kept, a head, one file, answers."""

import shutil
import zipfile

import numpy as np
import pytest

from emoclf.config import SHEET_SIZE, Settings
from emoclf.experiments.cross_validation import cross_validate
from emoclf.images import ModelInfo, prepare
from emoclf.images.faces import Face, FaceDetectorUnavailableError
from emoclf.images.sheet import MAX_FACES, cut_sheets, make_sheet, place_face
from emoclf.inference import Predictor
from emoclf.inference.explanations import explain
from emoclf.inference.testing import evaluate
from emoclf.models.joint import FACE_FEATURES, Head, JointNetwork, SceneNetwork, summarise_faces
from emoclf.models.packaged import DamagedModelError, card
from emoclf.run import Run
from emoclf.training import joint, train
from tests.calls import call

INFO = ModelInfo(image_size=SHEET_SIZE, crop="both")
RNG = np.random.default_rng(7)


class CentreDetector:
    """Finds a face in the middle of every photo, or in none."""

    name = description = "A detector that knows where the face is."
    note = ""

    def __init__(self, count=1):
        self.count = count

    def find(self, image):
        height, width = image.shape[:2]
        return tuple(
            Face((width * (0.2 + i / 40), height * 0.2, width * 0.6 / (i + 1), height * 0.5), 0.9)
            for i in range(self.count)
        )


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    logs = tmp_path_factory.mktemp("joint")
    settings = Settings(network="joint")
    result = train(photos, settings, logs=logs, name="j", detector=CentreDetector())
    return result, logs


# --- the sheet --------------------------------------------------------------------------------


def test_a_sheet_gives_back_what_was_put_on_it():
    scene = RNG.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    faces = RNG.integers(0, 256, (10, 48, 48, 3), dtype=np.uint8)
    sizes = np.linspace(0.9, 0.001, 10)
    sheet = make_sheet(scene, list(faces), sizes)
    assert sheet.shape == (*SHEET_SIZE, 3)
    parts = cut_sheets(np.stack([sheet, make_sheet(scene, [], np.zeros(0))]))
    np.testing.assert_array_equal(parts.scenes, np.stack([scene, scene]))
    np.testing.assert_array_equal(parts.faces[0], faces[:MAX_FACES])
    np.testing.assert_allclose(parts.sizes[0], sizes[:MAX_FACES], atol=1 / 255)
    assert (parts.sizes[0] > 0).all(), "the smallest face counts as one, too"
    assert not parts.sizes[1].any()


def test_prepare_puts_a_photo_and_all_its_faces_on_a_sheet():
    photo = RNG.integers(0, 256, (300, 500, 3), dtype=np.uint8)
    shown = prepare(photo, INFO, detector=CentreDetector(11))
    assert shown.crops.shape == (1, *SHEET_SIZE, 3)
    assert shown.face_crops.shape == (11, 48, 48, 3), "those without a place, too"
    np.testing.assert_array_equal(shown.crops[0][place_face(3)], shown.face_crops[3])
    whole = prepare(photo, ModelInfo(image_size=(224, 224)))
    np.testing.assert_array_equal(shown.crops[0][:224], whole.crops[0])
    assert shown.is_whole_photo
    np.testing.assert_array_equal(shown.matrices[0], whole.matrices[0])


# --- features and head ------------------------------------------------------------------------


def test_faces_are_summarised_as_computed_by_hand():
    logits = np.full((1, 8, 8), 99.0, dtype=np.float32)  # nothing of an absent face may count
    logits[0, 0], logits[0, 1] = 0, 0
    logits[0, 0, [1, 3]], logits[0, 1, [1, 3]] = (2, -1), (0, 4)
    sizes = np.zeros((1, 8), dtype=np.float32)
    sizes[0, :2] = 0.6, 0.2
    found = summarise_faces(logits, sizes)[0]
    assert found.shape == (FACE_FEATURES,)
    np.testing.assert_allclose(
        found[:7], [1, np.log(2), 0.6, 3, 0.75 * 3 + 0.25 * -4, 3, -4], rtol=1e-5
    )
    assert found[7:15].sum() == pytest.approx(1)
    np.testing.assert_allclose(found[15:], logits[0, 0] - logits[0, 0].mean(), atol=1e-6)


def test_no_face_is_all_zeros():
    logits = RNG.normal(size=(3, 8, 8)).astype(np.float32)
    assert not summarise_faces(logits, np.zeros((3, 8), dtype=np.float32)).any()


def test_keras_summarises_and_cuts_alike():
    from keras import ops

    logits = RNG.normal(size=(4, 8, 8)).astype(np.float32)
    sizes = RNG.random((4, 8)).astype(np.float32) * (np.arange(8) < [[0], [1], [5], [8]])
    sizes = sizes.astype(np.float32)
    received = ops.convert_to_numpy(summarise_faces(logits, sizes, ops))
    np.testing.assert_allclose(received, summarise_faces(logits, sizes), atol=1e-5)
    sheets = RNG.integers(0, 256, (2, *SHEET_SIZE, 3), dtype=np.uint8)
    for received, expected in zip(cut_sheets(sheets, ops), cut_sheets(sheets), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(received), expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_predicts_as_scikit_learn(classes):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from emoclf.training.regression import fit_regression

    features = RNG.normal(2, 3, (60, 5))
    labels = np.arange(60) % classes
    features[:, 0] += labels
    fit = fit_regression(
        (features, labels), test=features, class_count=classes, inverse_strengths=(0.5,)
    )
    scaled = StandardScaler().fit_transform(features)
    model = LogisticRegression(C=0.5, class_weight="balanced").fit(scaled, labels)
    np.testing.assert_allclose(fit.probabilities, model.predict_proba(scaled), atol=1e-4)
    np.testing.assert_allclose(fit.head.predict(features), fit.probabilities, atol=1e-5)


def test_the_scene_network_sees_more_than_colours():
    photos = np.stack([np.full((224, 224, 3), grey, np.uint8) for grey in (0, 128, 255)])
    noise = RNG.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    features = SceneNetwork().predict_features(np.concatenate([photos, noise]))
    assert features.shape == (5, 1280)
    assert features.dtype == np.float32
    assert features.min() >= 0
    assert features.max() <= 6
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    assert apart[np.triu_indices(5, 1)].min() > 0.1
    assert SceneNetwork().predict_features(photos[:0]).shape == (0, 1280)


def test_a_swapped_scene_network_is_refused(monkeypatch, tmp_path):
    copy = tmp_path / "joint_model"
    shutil.copytree(card.JOINT_MODEL_FOLDER, copy)
    with (copy / card.SCENE_FILE_NAME).open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    monkeypatch.setattr(card, "JOINT_MODEL_FOLDER", copy)
    monkeypatch.setattr(card.JointCard.load.__func__, "__defaults__", (copy,))
    with pytest.raises(DamagedModelError, match=r"scene\.onnx is not the file"):
        SceneNetwork()


# --- training ---------------------------------------------------------------------------------


def test_a_training_leaves_a_whole_run(trained, photos):
    result, _ = trained
    assert result.run.model_file.name == "model.zip"
    assert result.run.info == INFO
    assert "logistic regression" in str(result)
    assert CentreDetector.description in (result.run.folder / "versions.json").read_text()
    for part in ("", "val_"):
        assert 0 <= result.history[f"{part}accuracy"][0] <= 1
    crossed = result.run.folder / "cross_validation_metrics.json"
    assert crossed.is_file() == (len(photos) < joint.FEW_PHOTOS)


def test_features_are_computed_once(trained, photos, monkeypatch):
    result, logs = trained
    learned = Run.open(result.run.folder).photos
    monkeypatch.setattr(joint, "prepare", None)  # no photo is looked at again
    again = train(
        photos, Settings(network="joint"), logs=logs, name="again", detector=CentreDetector()
    )
    for name, weights in JointNetwork.load(again.run.model_file).head._asdict().items():
        first = getattr(JointNetwork.load(result.run.model_file).head, name)
        np.testing.assert_array_equal(weights, first)
    assert learned.paths == photos.paths


def test_another_detector_means_other_features(trained, photos, monkeypatch):
    _, logs = trained
    other = CentreDetector(2)
    other.description = "Another detector."
    monkeypatch.setattr(joint, "prepare", None)
    with pytest.raises(TypeError):
        train(photos, Settings(network="joint"), logs=logs, name="other", detector=other)


def test_damaged_kept_features_are_computed_anew(photos, tmp_path):
    few = photos.take(np.arange(4))
    network = JointNetwork()
    first = joint.find_features(few, network, detector=CentreDetector(), folder=tmp_path)
    (kept,) = tmp_path.glob("features-*.npz")
    kept.write_bytes(kept.read_bytes()[:-100])
    again = joint.find_features(few, network, detector=CentreDetector(), folder=tmp_path)
    np.testing.assert_array_equal(first, again)
    assert np.load(kept)["features"].shape == (4, 1303)


@pytest.mark.parametrize(
    ("option", "value"), [("copies", "drive"), ("callbacks", [object()]), ("devices", "all")]
)
def test_what_needs_epochs_is_refused(photos, tmp_path, option, value):
    with pytest.raises(ValueError, match=option):
        train(photos, Settings(network="joint"), logs=tmp_path, **{option: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "values",
    [
        {"network": "joint", "image_size": (96, 96)},
        {"network": "joint", "crop": "face"},
        {"network": "small", "crop": "both"},
    ],
)
def test_settings_that_do_not_fit_are_refused(values):
    with pytest.raises(ValueError, match="joint"):
        Settings(**values)


def test_cross_validation_predicts_every_photo(photos, tmp_path):
    few = photos.take([row.part != "test" for row in photos.rows])
    result = cross_validate(
        few, Settings(network="joint"), fold_count=3, logs=tmp_path, detector=CentreDetector()
    )
    assert len(result.evaluation.photos) == len(few)


# --- the file, the answers --------------------------------------------------------------------


def test_what_is_loaded_predicts_the_same(trained, photos):
    result, _ = trained
    predictor = Predictor.load(result.run.folder, detector=CentreDetector())
    assert predictor.info == INFO
    sheets = np.concatenate(
        [prepare(file, INFO, detector=CentreDetector()).crops for file in photos.files[:3]]
    )
    predicted = predictor.predict([*photos.files[:3]])
    expected = predictor.model.predict_on_batch(sheets)
    received = [[each.probabilities[name] for name in photos.class_names] for each in predicted]
    np.testing.assert_allclose(received, expected, atol=1e-6)


def test_a_photo_is_answered_as_a_whole_and_face_by_face(trained, photos):
    result, _ = trained
    predictor = Predictor.load(result.run.folder, detector=CentreDetector(10))
    prediction = predictor.predict(photos.files[0])
    assert prediction.photo.is_whole_photo
    assert prediction.main is prediction.photo
    assert len(prediction.faces) == 10
    assert prediction.to_dict()["photo"]["answer"] == prediction.answer


def test_a_photo_without_a_face_is_answered_by_the_scene(trained, photos):
    result, _ = trained
    prediction = Predictor.load(result.run.folder, detector=CentreDetector(0)).predict(
        photos.files[0]
    )
    assert prediction.photo
    assert not prediction.faces
    assert "scene alone" in str(prediction)


def test_without_a_detector_the_scene_answers_and_says_why(trained, photos):
    def make():
        raise FaceDetectorUnavailableError("None here.")

    result, _ = trained
    prediction = Predictor.load(result.run.folder, detector=make).predict(photos.files[0])
    assert prediction.answer
    assert "None here." in prediction.note


def test_its_test_is_logged(trained):
    result, _ = trained
    predictor = Predictor.load(result.run.folder, detector=CentreDetector())
    test = evaluate(result.run, predictor=predictor, progress=False)
    assert len(test.access_log.accesses) == 1
    assert not test.left_out


@pytest.mark.parametrize("damage", ["cut", "missing", "nan", "shape"])
def test_a_damaged_file_is_refused(trained, tmp_path, damage):
    result, _ = trained
    path, source = tmp_path / "model.zip", result.run.model_file
    if damage == "cut":
        path.write_bytes(source.read_bytes()[:-2000])
    else:
        network = JointNetwork.load(source)
        head = network.head
        bias = {"nan": head.bias * np.nan, "shape": np.zeros(5, np.float32)}.get(damage, head.bias)
        network.head = Head(head.mean, head.scale, head.weights, bias)
        network.save(path, info=INFO)
        if damage == "missing":
            with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "n.zip", "w") as new:
                for name in old.namelist():
                    if name != "scene.onnx":
                        new.writestr(name, old.read(name))
            path = tmp_path / "n.zip"
    with pytest.raises(ValueError, match=r"damaged|not saved by emoclf"):
        Predictor.load(path)


def test_a_map_lies_on_scene_and_faces(trained, photos):
    result, _ = trained
    predictor = Predictor.load(result.run.folder, detector=CentreDetector())
    found = explain(predictor, photos.files[0])
    assert found.map.shape == prepare(photos.files[0], INFO, detector=CentreDetector()).size
    assert found.prediction.photo.probabilities[found.class_name] == found.probability
    assert "by the faces alone" in found.note


def test_it_is_not_exported(trained):
    result, _ = trained
    done = call("export", str(result.run.folder))
    assert done.exit_code == 1
    assert "ONNX" in done.stderr
