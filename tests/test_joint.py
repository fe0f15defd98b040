"""Faces and scene together: sheets, features that are kept, a head, one file, answers."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import emoclf
from emoclf.config import CLASS_NAMES, FACE_SIZE, SCENE_SIZE, SHEET_SIZE, Settings
from emoclf.data.loading import cache_photos, photo_cache
from emoclf.data.splitting import split_photos
from emoclf.data.synthetic import draw_face
from emoclf.experiments.baselines import BASELINE_NAMES, train_baselines
from emoclf.experiments.cross_validation import cross_validate
from emoclf.experiments.exporting import export_model
from emoclf.experiments.label_errors.comparing import CorrectedSplit, compare_corrections
from emoclf.images import ModelInfo, UnreadableImageError, prepare, resize_image
from emoclf.images.faces import Face, FaceDetectorUnavailableError, make_detector
from emoclf.images.sheet import MAX_FACES, cut_sheets, make_sheet, place_face
from emoclf.inference import Predictor
from emoclf.inference import predictor as predictor_module
from emoclf.inference.explanations import explain
from emoclf.inference.testing import evaluate
from emoclf.models import build_joint_model
from emoclf.models import joint as joint_module
from emoclf.models.formats import FORMATS, load_export
from emoclf.models.joint import (
    FACE_FEATURES,
    SCENE_FEATURES,
    Head,
    JointNetwork,
    SceneNetwork,
    summarise_faces,
)
from emoclf.models.model_file import load_model, save_model
from emoclf.models.packaged import DamagedModelError, PackagedNetwork, card
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import ResumeRefusedError
from emoclf.training import joint, regression, train
from emoclf.training.run_folder import load_cross_validated
from tests.calls import call

JOINT = Settings(network="joint")
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


def test_what_is_there_several_times_is_looked_at_once():
    network, seen = JointNetwork(), []
    shown = RNG.integers(0, 256, (3, *SHEET_SIZE, 3), dtype=np.uint8)
    shown[0, SCENE_SIZE[0] :] = shown[1, SCENE_SIZE[0] :]  # the same faces
    sheets = shown[[0, 1, 2, 0, 1, 2, 2]]
    expected = np.concatenate([network.predict_features(each[np.newaxis]) for each in sheets])
    for part, name in ((network.scene, "predict_features"), (network.face, "predict_logits")):
        find = getattr(part, name)
        setattr(part, name, lambda given, find=find: seen.append(len(given)) or find(given))
    np.testing.assert_allclose(network.predict_features(sheets), expected, atol=1e-5)
    assert seen == [2 * MAX_FACES, 3]
    assert network.predict_features(sheets[:0]).shape == (0, 1280 + FACE_FEATURES)


# --- what comes with emoclf -------------------------------------------------------------------


@pytest.fixture
def packaged_copy(monkeypatch, tmp_path):
    """A copy of the packaged files, which is used instead."""
    copy = shutil.copytree(card.JOINT_MODEL_FOLDER, tmp_path / "joint_model")
    monkeypatch.setattr(joint_module, "JOINT_MODEL_FOLDER", copy)
    monkeypatch.setattr(predictor_module, "_packaged", {})
    return copy


def sign(folder):
    """Name all files in the card as they are."""
    described = json.loads((folder / card.CARD_FILE_NAME).read_text())
    for name in described["sha256"]:
        described["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / card.CARD_FILE_NAME).write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        (card.SCENE_FILE_NAME, card.NETWORK_FILE_NAME),
        (card.HEAD_FILE_NAME, card.WEIGHTS_FILE_NAME),
        (card.CARD_FILE_NAME, card.CARD_FILE_NAME),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut", "swapped"])
def test_a_packaged_file_that_is_not_as_it_was_shipped_is_refused(
    packaged_copy, photos, name, other, damage
):
    path = packaged_copy / name
    content = path.read_bytes()[:-100]
    path.unlink()
    if damage != "missing":
        is_cut = damage == "cut"
        path.write_bytes(content if is_cut else (card.FACE_MODEL_FOLDER / other).read_bytes())
    with pytest.raises(DamagedModelError, match=rf"{re.escape(name)}.*Install emoclf again"):
        emoclf.predict(photos.files[0])
    said = call("predict", str(photos.files[0]), code=1)
    assert said.stdout == ""
    assert re.fullmatch(rf"Error: .*{re.escape(name)}.*Install emoclf again.*\n", said.stderr)
    assert Predictor.packaged(faces_only=True), "which needs none of it"


@pytest.mark.parametrize(
    "change",
    [
        {"bias": np.zeros(3, np.float32), "weights": np.zeros((1303, 3), np.float32)},
        {"bias": np.float32(0)},
        {"mean": np.zeros((1303, 1), np.float32)},
        {"scale": np.ones(1302, np.float32)},
        {"weights": np.full((1303, 2), np.nan, np.float32)},
        {"mean": np.full(1303, "x")},
        {"weights": None},
        None,
    ],
)
def test_a_packaged_head_of_another_network_is_refused(packaged_copy, change):
    """Also where somebody has written its sum into the card."""
    path = packaged_copy / card.HEAD_FILE_NAME
    with np.load(path) as arrays:
        arrays = {**arrays, **(change or {})}
    if change is None:
        np.save(packaged_copy / "head.npy", np.zeros(3))
        (packaged_copy / "head.npy").replace(path)
    else:
        np.savez(path, **{name: each for name, each in arrays.items() if each is not None})
    sign(packaged_copy)
    with pytest.raises(DamagedModelError, match=r"head\.npz cannot be used.*Install emoclf again"):
        Predictor.packaged()


def test_a_packaged_scene_network_that_opencv_cannot_read_is_refused(packaged_copy):
    (packaged_copy / card.SCENE_FILE_NAME).write_bytes(b"no network")
    sign(packaged_copy)
    with pytest.raises(DamagedModelError, match=r"scene\.onnx cannot be used.*OpenCV"):
        Predictor.packaged()


def test_a_photo_without_a_face_is_answered_unless_faces_alone_are_asked_for(tmp_path):
    file = tmp_path / "hills.png"
    Image.fromarray(RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(file)
    none = CentreDetector(0)
    found = emoclf.predict(file, detector=none)
    assert found.photo.is_whole_photo and found.answer in ("Sad", "Happy", "uncertain")
    assert (found.faces, found.class_name) == ((), found.photo.class_name)
    assert "scene alone" in found.note
    assert found.to_dict()["photo"]["probabilities"] == found.probabilities
    faces = emoclf.predict(file, faces_only=True, detector=none)
    assert faces.answer is faces.photo is None
    assert faces.note.startswith("No face was found")
    with pytest.raises(ValueError, match="faces_only"):
        emoclf.predict(file, model=Predictor.packaged(), faces_only=True)


def test_no_answer_takes_tensorflow(tmp_path):
    Image.fromarray(np.full((90, 120, 3), 80, np.uint8)).save(tmp_path / "a.png")
    code = (
        "import sys, emoclf\n"
        "found = emoclf.predict('a.png', detector=emoclf.make_detector('packaged'))\n"
        "assert found.photo and not found.faces, found\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(emoclf.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_json_says_both_answers_and_when_each_is_uncertain(photos):
    given = ("predict", str(photos.files[0]), "--json", "--detector", "packaged")
    document = json.loads(call(*given, code=0).stdout)
    assert document["model"]["crop"] == "both"
    assert set(document["uncertain_rule"]) == {"uncertain_below", "neither_above"}
    assert document["uncertain_rule"] != document["uncertain_face_rule"] is not None
    (shown,) = document["photos"]
    assert shown["photo"]["is_whole_photo"] and shown["answer"] == shown["photo"]["answer"]
    faces = json.loads(call(*given, "--faces-only", code=0).stdout)
    assert faces["model"]["crop"] == "face"
    assert faces["photos"][0]["photo"] is None
    assert faces["uncertain_rule"] == faces["uncertain_face_rule"]


def test_face_crops_and_sheets_go_through_the_packaged_networks():
    predictor = Predictor.packaged()
    crops = RNG.integers(0, 256, (3, *FACE_SIZE, 3), dtype=np.uint8)
    expected = Predictor.packaged(faces_only=True).predict_probabilities(crops)
    np.testing.assert_allclose(predictor.predict_probabilities(crops), expected, atol=1e-6)
    sheets = RNG.integers(0, 256, (2, *SHEET_SIZE, 3), dtype=np.uint8)
    assert predictor.predict_probabilities(sheets).shape == (2, 2)


def test_a_drawn_smile_is_not_sad():
    photo = draw_face("Happy", seed=18, size=(320, 320), strength=1.0)
    found = Predictor.packaged(detector=make_detector("packaged")).predict(photo)
    assert found.faces
    assert found.answer != "Sad"
    assert found.faces[0].answer != "Sad"


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
    ("option", "value"), [("callbacks", [object()]), ("devices", "all"), ("cache", object())]
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


@pytest.fixture(scope="module")
def copied(photos, tmp_path_factory):
    """The photos in a folder of their own, to be damaged."""
    folder = tmp_path_factory.mktemp("copied") / "data"
    shutil.copytree(photos.root, folder)
    return replace(photos, root=str(folder))


def run_experiment(name, photos, logs, detector):
    """Do what looks at all photos; return what it found."""
    common = {"logs": logs, "detector": detector, "name": name}
    if name == "train":
        return train(photos, JOINT, **common).history
    if name == "cross_validate":
        return cross_validate(photos, JOINT, fold_count=3, **common).probabilities
    if name == "train_baselines":
        skip = [each for each in BASELINE_NAMES if each != "network"]
        return train_baselines(photos, JOINT, skip=skip, **common).baselines[0].evaluation.accuracy
    split = CorrectedSplit(photos, photos, 0, 0)
    return compare_corrections(split, JOINT, **common).after.probabilities


@pytest.mark.parametrize(
    "name", ["train", "cross_validate", "train_baselines", "compare_corrections"]
)
def test_what_was_looked_at_once_is_not_decoded_again(name, copied, tmp_path, monkeypatch):
    first = run_experiment(name, copied, tmp_path / "logs", CentreDetector())
    shutil.copytree(tmp_path / "logs" / "cache", tmp_path / "others" / "cache")
    for place in (joint, photo_cache):
        monkeypatch.setattr(place, "prepare", lambda *_, **__: pytest.fail("a photo was decoded"))
    again = run_experiment(name, copied, tmp_path / "others", CentreDetector())
    np.testing.assert_equal(again, first)


@pytest.mark.parametrize("name", ["train", "cross_validate"])
def test_kept_features_hide_no_photo_that_is_gone_or_damaged(name, copied, tmp_path):
    run_experiment(name, copied, tmp_path / "logs", CentreDetector())
    file = copied.part("train").files[3]
    content = file.read_bytes()
    for damage in (file.unlink, lambda: file.write_bytes(content[:100])):
        try:
            damage()
            with pytest.raises(UnreadableImageError, match=re.escape(file.name)):
                run_experiment(name, copied, tmp_path / "logs", CentreDetector())
        finally:
            file.write_bytes(content)


def test_folds_of_photos_that_changed_do_not_go_on(copied, tmp_path):
    options = {"fold_count": 3, "logs": tmp_path, "name": "cv", "resume": True}
    cross_validate(copied, JOINT, detector=CentreDetector(), **options)
    cross_validate(copied, JOINT, detector=CentreDetector(), **options)
    one, other = copied.part("train").files[:2]
    content = one.read_bytes()
    try:
        one.write_bytes(other.read_bytes())
        with pytest.raises(ResumeRefusedError):
            cross_validate(copied, JOINT, detector=CentreDetector(), **options)
    finally:
        one.write_bytes(content)
    other_detector = CentreDetector(3)
    other_detector.description = "Another detector."
    with pytest.raises(ResumeRefusedError):
        cross_validate(copied, JOINT, detector=other_detector, **options)


def test_the_same_training_again_leaves_the_same_file_and_a_copy(photos, tmp_path):
    common = {"logs": tmp_path / "logs", "name": "j", "detector": CentreDetector()}
    first = train(photos, JOINT, **common).run.model_file
    content = first.read_bytes()
    again = train(photos, JOINT, resume=True, copies=tmp_path / "drive", **common).run
    assert again.model_file.read_bytes() == content
    assert (tmp_path / "drive" / "j" / "model.zip").read_bytes() == content
    shutil.rmtree(tmp_path / "logs")
    train(photos, JOINT, resume=True, copies=tmp_path / "drive", **common)
    assert first.read_bytes() == content


def test_a_copy_that_fails_is_a_warning(photos, tmp_path):
    (tmp_path / "drive").write_text("no folder")
    with pytest.warns(UserWarning, match="not copied to"):
        train(
            photos,
            JOINT,
            logs=tmp_path / "logs",
            copies=tmp_path / "drive",
            detector=CentreDetector(),
        )


def test_any_number_of_classes_of_any_name(photos, tmp_path):
    thirds = [replace(row, label=i % 3) for i, row in enumerate(photos.rows)]
    others = replace(photos, class_names=("rain", "snow", "sun"), rows=tuple(thirds))
    result = train(others, JOINT, logs=tmp_path, name="three", detector=CentreDetector())
    prediction = Predictor.load(result.run.folder, detector=CentreDetector()).predict(
        others.files[0]
    )
    assert set(prediction.probabilities) == {"rain", "snow", "sun"}


def test_few_photos_are_cross_validated_and_the_test_points_there(photos, tmp_path):
    said = []
    result = train(
        photos, JOINT, logs=tmp_path, name="few", detector=CentreDetector(), say=said.append
    )
    found = load_cross_validated(result.run)
    learned = len(photos.part("train")) + len(photos.part("validation"))
    assert found.count == learned
    assert f"Accuracy: {found}, cross-validated (5 folds, 3 times)" in said[-1]
    output = call("evaluate", result.run.folder, code=0).stdout
    assert f"cross-validated the others: accuracy {found}." in output
    kept = result.run.folder / "cross_validation_metrics.json"
    kept.write_text(kept.read_text().replace('"accuracy"', '"accurate"'))
    with pytest.raises(ValueError, match="numbers of a cross-validation"):
        load_cross_validated(result.run)


def test_a_last_layer_is_fitted_on_one_thread(monkeypatch):
    from threadpoolctl import threadpool_info, threadpool_limits

    seen, fit = [], regression._fit

    def look(*arguments, **options):
        seen.extend(each["num_threads"] for each in threadpool_info())
        return fit(*arguments, **options)

    monkeypatch.setattr(regression, "_fit", look)
    features, labels = RNG.normal(size=(20, 3)), np.arange(20) % 2
    with threadpool_limits(2):
        regression.fit_regression((features, labels), test=features, inverse_strengths=(1.0,))
    assert set(seen) == {1}


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


def test_each_face_is_looked_at_once_and_many_photos_are_answered_as_each_alone(
    trained, photos, monkeypatch
):
    result, _ = trained
    predictor = Predictor.load(result.run.folder, detector=CentreDetector(MAX_FACES + 2))
    alone = [predictor.predict(file) for file in photos.files[:5]]
    looked = []
    predict_logits = predictor.model.face.predict_logits

    def count(faces):
        looked.append(len(faces))
        return predict_logits(faces)

    monkeypatch.setattr(predictor.model.face, "predict_logits", count)
    assert predictor.predict(photos.files[:5]) == alone
    assert looked == [MAX_FACES + 2] * 5
    shown = prepare(photos.files[0], INFO, detector=predictor.detector)
    np.testing.assert_allclose(
        list(alone[0].photo.probabilities.values()),
        predictor.model.predict_on_batch(shown.crops)[0],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        [list(face.probabilities.values()) for face in alone[0].faces],
        predictor.model.face.predict_with_neither(shown.face_crops).classes,
        atol=1e-6,
    )


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


def save_array(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def swap(old, new):
    return lambda content: content.replace(old, new)


DAMAGES = {
    "cut scene": ("scene.onnx", lambda content: content[:-1000]),
    "no scene": ("scene.onnx", lambda _: b""),
    "no ONNX": ("scene.onnx", lambda _: b"no network"),
    "faces for scene": ("scene.onnx", lambda _: PackagedNetwork().content),
    "cut face": ("face.onnx", lambda content: content[:-1000]),
    "no face": ("face.onnx", lambda _: b""),
    "scene for faces": ("face.onnx", lambda _: SceneNetwork().content),
    "cut array": ("weights.npy", lambda content: content[:-10]),
    "other shape": ("bias.npy", lambda _: save_array(np.zeros(5, np.float32))),
    "one number": ("bias.npy", lambda _: save_array(np.float32(1))),
    "words": ("bias.npy", lambda _: save_array(np.array(["a", "b"]))),
    "nan": ("bias.npy", lambda _: save_array(np.full(2, np.nan, np.float32))),
    "no scale": ("scale.npy", lambda _: save_array(np.zeros(1303, np.float32))),
    "other classes": ("emoclf.json", swap(b'"Happy"', b'"Happy", "Third"')),
    "other crop": ("emoclf.json", swap(b"both", b"none")),
    "other size": ("emoclf.json", swap(b"320", b"330")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_member_is_refused(trained, tmp_path, damage):
    member, change = DAMAGES[damage]
    path = tmp_path / "model.zip"
    source = trained[0].run.model_file
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == member else content)
    with pytest.raises(ValueError, match=r"model\.zip is damaged or was not saved by emoclf"):
        Predictor.load(path)


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_damaged_file_is_refused(trained, tmp_path, damage):
    path, source = tmp_path / "model.zip", trained[0].run.model_file
    if damage == "cut":
        path.write_bytes(source.read_bytes()[:-2000])
    else:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                if name != "scene.onnx":
                    new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match=r"damaged|not saved by emoclf"):
        Predictor.load(path)


class KnownJoint:
    """Happier the brighter a place of the sheet is, of the photo or of its second face."""

    def __init__(self, part):
        self.part = part

    def predict_on_batch(self, sheets):
        bright = sheets[:, *self.part, 0].mean(axis=(1, 2)) / 255
        sizes = cut_sheets(sheets).sizes
        happy = np.clip(bright - 0.4 * (sizes[:, 2:] > 0).any(axis=1), 0.01, 0.99)
        return np.stack([1 - happy, happy], axis=1).astype(np.float32)


@pytest.mark.parametrize("is_face", [False, True])
def test_a_map_marks_the_scene_or_the_face_that_speaks_and_not_the_other(is_face):
    """They lie beside each other on the sheet; and grey must not make faces that are not there."""
    photo = np.full((224, 224, 3), 250, np.uint8)
    part = place_face(1) if is_face else (slice(190, 224), slice(0, 224))
    predictor = Predictor(KnownJoint(part), INFO, detector=TwoFaces())
    marks = explain(predictor, photo, class_name="Happy").map
    inside = np.zeros(marks.shape, bool)
    if is_face:
        inside[30:110, 130:210] = True  # the second face, and what its crop shows around it
    else:
        inside[100:] = True
    assert marks[inside].max() == 1
    assert marks[~inside].max() < 0.01


class TwoFaces:
    name = description = "A detector of two faces."
    note = ""

    def find(self, _image):
        return tuple(Face((left, 40.0, 60.0, 60.0), 0.9) for left in (10.0, 140.0))


def test_a_map_lies_on_scene_and_faces(trained, photos):
    result, _ = trained
    predictor = Predictor.load(result.run.folder, detector=CentreDetector())
    found = explain(predictor, photos.files[0])
    assert found.map.shape == prepare(photos.files[0], INFO, detector=CentreDetector()).size
    assert found.prediction.photo.probabilities[found.class_name] == found.probability
    assert "by the faces alone" in found.note


# --- in Keras, and for other programs -----------------------------------------------------------


def make_head(classes=2):
    """A head whose answers differ from photo to photo."""
    features = SCENE_FEATURES + FACE_FEATURES
    rng = np.random.default_rng(0)
    mean, scale = rng.random((2, features)) + 0.1
    weights = rng.normal(0, 0.06, (features, classes))
    return Head(*(each.astype(np.float32) for each in (mean, scale, weights, np.zeros(classes))))


def draw_sheets():
    """Nine drawn photos, with none to eight drawn faces."""
    draw = [draw_face(CLASS_NAMES[i % 2], seed=i) for i in range(9)]
    faces = [resize_image(each, (48, 48)) for each in draw]
    scenes = [resize_image(each, (224, 224)) for each in draw]
    sizes = np.linspace(0.8, 0.1, 8)
    return np.stack([make_sheet(each, faces[:i], sizes) for i, each in enumerate(scenes)])


def change_weights(content, change):
    """Return an ONNX file whose scales and biases are others."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(content)
    for each in model.graph.initializer:
        values = onnx.numpy_helper.to_array(each)
        if values.ndim == 1 and values.size > 3 and values.dtype == np.float32:
            changed = change(values).astype(np.float32)
            each.CopyFrom(onnx.numpy_helper.from_array(changed, each.name))
    return model.SerializeToString()


@pytest.mark.parametrize("classes", [2, 3])
def test_keras_and_opencv_agree_on_drawn_faces(classes, tmp_path):
    pytest.importorskip("onnx")
    network, sheets = JointNetwork(head=make_head(classes)), draw_sheets()
    expected = network.predict_on_batch(sheets)
    assert np.ptp(expected, axis=0).max() > 0.1, "the network says the same of every photo"
    model = build_joint_model(network)
    np.testing.assert_allclose(model.predict_on_batch(sheets), expected, atol=1e-5)
    info = ModelInfo(CLASS_NAMES if classes == 2 else ("a", "b", "c"), SHEET_SIZE, "pad", "both")
    loaded, _ = load_model(save_model(model, tmp_path / "model.keras", info=info))
    np.testing.assert_allclose(loaded.predict_on_batch(sheets), expected, atol=1e-5)


def test_keras_takes_the_weights_that_the_run_has():
    rng = np.random.default_rng(1)
    content = change_weights(SceneNetwork().content, lambda x: x * rng.uniform(0.8, 1.2, x.shape))
    network, sheets = JointNetwork(SceneNetwork(content), head=make_head()), draw_sheets()
    expected = network.predict_on_batch(sheets)
    packaged = JointNetwork(head=network.head).predict_on_batch(sheets)
    assert np.abs(packaged - expected).max() > 0.01
    received = build_joint_model(network).predict_on_batch(sheets)
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_mirror_images_are_averaged_where_the_card_says_so():
    pytest.importorskip("onnx")
    network, sheets = JointNetwork(head=make_head()), draw_sheets()[-1:]
    plain = network.predict_on_batch(sheets)
    network.face.card = replace(network.face.card, mirror=True)
    expected = network.predict_on_batch(sheets)
    assert np.abs(plain - expected).max() > 1e-4
    received = build_joint_model(network).predict_on_batch(sheets)
    np.testing.assert_allclose(received, expected, atol=1e-5)


def write_other_scene_network():
    """1,280 averages of the photo, from a network that is not EfficientNet-Lite0."""
    onnx = pytest.importorskip("onnx")
    make, kinds = onnx.helper.make_node, onnx.TensorProto
    nodes = [
        make("Cast", ["photo"], ["values"], to=kinds.FLOAT),
        make("Transpose", ["values"], ["maps"], perm=[0, 3, 1, 2]),
        make("Conv", ["maps", "kernel"], ["many"]),
        make("GlobalAveragePool", ["many"], ["average"]),
        make("Flatten", ["average"], ["features"]),
    ]
    kernel = onnx.numpy_helper.from_array(np.full((1280, 3, 1, 1), 0.01, np.float32), "kernel")
    photo = onnx.helper.make_tensor_value_info("photo", kinds.UINT8, [1, 224, 224, 3])
    features = onnx.helper.make_tensor_value_info("features", kinds.FLOAT, [1, 1280])
    graph = onnx.helper.make_graph(nodes, "other", [photo], [features], [kernel])
    opset = onnx.helper.make_opsetid("", 15)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


@pytest.mark.parametrize("what", ["scene", "scene without its cuts", "face", "head"])
def test_what_keras_cannot_be_is_refused(what):
    onnx = pytest.importorskip("onnx")
    sure = make_head()._replace(bias=np.float32([50, -50]))  # whose answer is always the same
    network = JointNetwork(head=sure)
    if what == "scene":
        network.scene, said = SceneNetwork(write_other_scene_network()), "EfficientNet-Lite0 as"
    elif what == "scene without its cuts":
        model = onnx.load_from_string(network.scene.content)
        for node in model.graph.node:
            if node.op_type == "Clip":
                node.op_type = "Relu"
                del node.input[1:]
        network.scene, said = SceneNetwork(model.SerializeToString()), "EfficientNet-Lite0 as"
    elif what == "face":
        content = change_weights(network.face.content, lambda x: x * 1.1)
        network.face, said = PackagedNetwork(content=content), "network of faces in this file"
    else:
        network.head, said = None, "no head yet"
    with pytest.raises(ValueError, match=said):
        build_joint_model(network)


@pytest.mark.parametrize("names", [["keras", "saved_model", "litert", "onnx"], ["litert_int8"]])
def test_a_run_is_exported(trained, tmp_path, names):
    pytest.importorskip("tf2onnx")
    run = trained[0].run
    report = export_model(run, names, folder=tmp_path, detector=CentreDetector(2))
    assert report.is_kept, report
    network = Predictor.load(run.folder, detector=CentreDetector()).model
    sheets = draw_sheets()
    expected = network.predict_on_batch(sheets)
    for parity in report.parities:
        assert parity.accuracy_before.count == len(run.photos.part("test"))
        exported = load_export(parity.path)
        assert exported.info == INFO
        received = exported.predict_on_batch(sheets)
        if FORMATS[parity.format].is_float:
            np.testing.assert_allclose(received, expected, atol=1e-4)
        else:  # whole numbers, which know photos of the training alone
            np.testing.assert_allclose(received.sum(axis=1), 1, atol=0.02)
            assert np.ptp(received[:, 0]) > 0.02, "it says the same of every photo"
            assert parity.size_mib < 6
    if "keras" in names:
        file, photo = tmp_path / "keras" / "model.keras", run.photos.files[0]
        predictors = [
            Predictor.load(each, detector=CentreDetector()) for each in (file, run.folder)
        ]
        one, other = (each.predict(photo).probabilities for each in predictors)
        assert one == pytest.approx(other, abs=1e-4)


def test_an_export_says_what_to_install(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = call("export", str(trained[0].run.folder))
    assert done.exit_code == 1
    assert "This needs onnx, which is not installed" in done.stderr
    assert "[export]" in done.stderr


def test_keras_and_opencv_agree_on_photographs(real_data, tmp_path):
    pytest.importorskip("onnx")
    folder = real_data / "web_photos_more"
    files = [file for name in ("sad", "happy") for file in sorted((folder / name).iterdir())[:100]]
    paths = [file.relative_to(folder).as_posix() for file in files]
    found = split_photos(Photos.make(paths, np.repeat([0, 1], 100), root=folder))
    result = train(found, JOINT, logs=tmp_path, name="run")
    cache = cache_photos(found, image_size=SHEET_SIZE, crop="both", progress=False)
    network = JointNetwork.load(result.run.model_file)
    received = build_joint_model(network).predict(cache.images, batch_size=20, verbose=0)
    assert len(received) == 200
    np.testing.assert_allclose(received, network.predict_on_batch(cache.images), atol=1e-3)
