"""Every network in every format, loaded again, answers as it did."""

import importlib.util
import json
import shutil
import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

import emoclf
from emoclf.apps.commands import make_app
from emoclf.apps.commands.pages import list_arguments, write_page
from emoclf.data.synthetic import draw_face
from emoclf.evaluation import wilson_interval
from emoclf.experiments.exporting import ExportReport, export_model
from emoclf.experiments.exporting.exports import export_network
from emoclf.experiments.exporting.parity import Parity, ParityPhotos, gather_photos
from emoclf.images import ModelInfo, resize_image
from emoclf.images.faces import Face
from emoclf.inference import Predictor
from emoclf.models import build_augmentation, build_face_network
from emoclf.models.formats import (
    FORMATS,
    MAX_DIFFERENCE,
    FormatUnavailableError,
    find_unavailable,
    load_export,
    writers,
)
from emoclf.models.model_file import load_info, save_model
from emoclf.models.packaged import load_face_network
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import find_sha256
from tests.calls import call

FLOATS = [name for name, facts in FORMATS.items() if facts.is_float]

needs_onnx = pytest.mark.skipif(
    "onnx" in find_unavailable(), reason="the extra `export` is not installed"
)


def available(names):
    return [name for name in names if name not in find_unavailable()]


def make_photos(labels):
    return Photos.make(map(str, range(len(labels))), labels)


def draw_photos(size, count=24):
    """Faces and noise in turn; the last eight only calibrate."""
    faces = [
        resize_image(draw_face(emoclf.CLASS_NAMES[i // 2 % 2], seed=i), size)
        for i in range(0, count, 2)
    ]
    images = np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)
    images[::2] = faces
    photos = make_photos(np.arange(count - 8) % 2)
    return ParityPhotos(images[:-8], photos, images[-8:], "drawn photos")


def wake(model, images):
    """Give the normalisation of untrained layers the statistics of some photos.

    Without, the maps of a deep network with random weights die away and it answers 0.5 to all.
    """
    for layer in find_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    for layer in model.layers:
        if isinstance(layer, keras.Model) and layer.name != "augmentation":
            layer(images.astype("float32"), training=True)
    return model


def find_layers(model):
    for layer in model.layers:
        yield from find_layers(layer) if isinstance(layer, keras.Model) else [layer]


def build_nested(make_backbone, photos, size=(96, 96), **options):
    """A transfer network: augmentation and preprocessing, a nested backbone, a small head."""
    keras.utils.set_random_seed(1)
    backbone = make_backbone(weights=None, include_top=False, input_shape=(*size, 3), **options)
    photo = keras.Input((*size, 3), dtype="uint8", name="photo")
    maps = layers.Rescaling(1 / 127.5, offset=-1)(photo)
    maps = build_augmentation()(maps)
    if options:  # the backbone rescales
        maps = layers.Rescaling(127.5, offset=127.5)(maps)
    maps = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.9, 1.0, 1.1])(maps)
    features = layers.GlobalAveragePooling2D()(backbone(maps, training=False))
    features = layers.Dropout(0.3)(features)
    answer = layers.Dense(2, activation="softmax", dtype="float32")(features)
    return wake(keras.Model(photo, answer), photos.images)


def check(model, photos, folder, formats):
    """Export, and compare answers; int8 with random weights only has to answer."""
    info = ModelInfo(image_size=model.input_shape[1:3])
    expected = model.predict_on_batch(photos.images)
    assert np.ptp(expected[:, 1]) > 1e-4, "the network says the same of every photo"
    parities = export_network(model, info, formats, folder=folder, photos=photos)
    assert [each.format for each in parities] == list(formats)
    for parity in parities:
        loaded = load_export(parity.path)
        answers = loaded.predict_on_batch(photos.images[:5])
        assert (answers.dtype, answers.shape) == (np.float32, (5, 2))
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=0.02)
        assert loaded.info == info
        if parity.format in FLOATS:
            assert parity.is_kept, parity
            np.testing.assert_allclose(answers, expected[:5], atol=MAX_DIFFERENCE)
        if parity.format == "onnx":
            assert list_inputs(parity.path / "model.onnx") == ["photo"]
    return parities


def list_inputs(path):
    import onnx

    return [each.name for each in onnx.load(path).graph.input]


# --- all networks at 96 pixels, random weights ----------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    return draw_photos((96, 96))


def test_the_lesson_network_exports_in_every_format(drawn, tmp_path):
    keras.utils.set_random_seed(1)
    check(emoclf.build_cnn((96, 96)), drawn, tmp_path, available(FORMATS))


def test_the_face_network_exports(drawn, tmp_path):
    keras.utils.set_random_seed(1)
    check(build_face_network((96, 96)), drawn, tmp_path, available(["litert", "onnx"]))


def test_the_packaged_network_exports_in_whole_numbers(tmp_path):
    """It hardly changes its mind, about faces as about noise."""
    network = load_face_network()
    (parity,) = check(network, draw_photos((48, 48)), tmp_path, ["litert_int8"])
    assert parity.largest_difference < 0.1
    assert parity.size_mib < 0.3 * network.count_params() * 4 / 2**20


def test_a_nested_backbone_exports(drawn, tmp_path):
    model = build_nested(keras.applications.MobileNetV3Small, drawn, include_preprocessing=True)
    check(model, drawn, tmp_path, available(["litert", "onnx"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("build_face_network", {}),
        ("VGG16", {}),
        ("ResNet50V2", {}),
        ("MobileNetV3Small", {"include_preprocessing": True}),
        ("EfficientNetV2B0", {"include_preprocessing": True}),
    ],
)
def test_every_network_exports_in_every_format(name, options, drawn, tmp_path):
    if name.startswith("build_"):
        keras.utils.set_random_seed(1)
        model = getattr(emoclf, name)((96, 96))
    else:
        model = build_nested(getattr(keras.applications, name), drawn, **options)
    print(name, ExportReport(check(model, drawn, tmp_path, available(FORMATS))), sep="\n")


def test_a_photo_that_is_not_square_keeps_its_channels(tmp_path):
    """Height, width and red stay where they are."""
    model = emoclf.build_cnn((32, 48), filters=(8, 8))
    red = np.zeros((4, 32, 48, 3), np.uint8)
    red[:, :8, :, 0] = 255
    noise = np.random.default_rng(0).integers(0, 256, (12, 32, 48, 3), np.uint8)
    images = np.concatenate([red, noise])
    photos = ParityPhotos(images, make_photos([0] * 16), images, "red photos")
    parities = check(model, photos, tmp_path, available(["litert", "onnx"]))
    for parity in parities:
        value = json.loads((parity.path / "emoclf.json").read_text())
        assert value["input"]["shape"] == [1, 32, 48, 3]
        assert value["input"]["channels"] == "RGB"


# --- a run ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_folder(run, tmp_path_factory):
    """A copy of the tiny run, to export from."""
    return shutil.copytree(run[1].run.folder, tmp_path_factory.mktemp("exported") / "tiny")


@pytest.fixture(scope="module")
def report(run_folder):
    return export_model(run_folder, ["litert", "keras", "litert_int8"])


def test_a_run_is_scored_on_its_test_photos(run_folder, report, photos):
    test = emoclf.evaluate(run_folder, progress=False).evaluation
    assert report.is_kept
    assert [each.format for each in report.parities] == ["keras", "litert", "litert_int8"]
    for parity in report.parities:
        assert parity.accuracy_before == test.accuracy
        assert parity.accuracy_before.count == len(photos.part("test"))
        assert parity.milliseconds > 0
        saved = json.loads((run_folder / "exports" / parity.format / "parity.json").read_text())
        assert saved == json.loads(json.dumps(parity.to_dict()))
        assert parity.format in str(report)
        assert parity.accuracy_after.interval in str(report)


def test_int8_is_calibrated_on_training_photos_only(run_folder, photos):
    found = gather_photos(run_folder, load_info(run_folder / "model.keras"))
    assert len(found.images) == len(found.photos) == len(photos.part("test"))
    assert len(found.calibration) == len(photos.part("train"))
    assert not any((image == found.images).all(axis=(1, 2, 3)).any() for image in found.calibration)
    with pytest.raises(ValueError, match="'test' or 'validation'"):
        gather_photos(run_folder, ModelInfo(), part="train")


def test_an_export_predicts_photos_of_any_size(run, report, drawn_folder):
    file = next((drawn_folder / "happy").glob("*.*"))
    before = Predictor(run[0], load_info(run[1].run.folder / "model.keras")).predict(file)
    network = load_export(report.parities[1].path)
    after = Predictor(network, network.info).predict(file)
    assert after.probabilities == pytest.approx(before.probabilities, abs=MAX_DIFFERENCE)
    with pytest.raises(ValueError, match=r"uint8 \(photos, 32, 48, 3\)\. Received: float"):
        network.predict_on_batch(np.zeros((1, 32, 48, 3)))
    assert network.predict_on_batch(np.zeros((0, 32, 48, 3), np.uint8)).shape == (0, 2)


def test_the_keras_export_leaves_the_optimizer_behind(run_folder, report):
    exported = report.parities[0].path / "model.keras"
    assert load_info(exported) == load_info(run_folder / "model.keras")
    assert not keras.models.load_model(exported).compiled
    assert exported.stat().st_size < 0.9 * (run_folder / "model.keras").stat().st_size


def test_a_folder_of_photos_is_split_and_scored(run_folder, drawn_folder, tmp_path):
    file = run_folder / "model.keras"
    with pytest.raises(ValueError, match="give photos"):
        export_model(file, ["keras"])
    report = export_model(file, ["keras"], photos=drawn_folder, folder=tmp_path / "out")
    assert report.parities[0].path == tmp_path / "out" / "keras"
    assert 0 < report.parities[0].accuracy_after.count < 40
    assert "test photos" in report.parities[0].photos


def test_photos_of_the_run_keep_their_parts_in_any_folder(run_folder, drawn_folder, tmp_path):
    run = Run(run_folder)
    hashes = [find_sha256(file) for file in run.photos.files]
    rows = [replace(row, sha256=sha) for row, sha in zip(run.photos.rows, hashes, strict=True)]
    marked = Run(tmp_path / "run")
    marked.folder.mkdir()
    marked.save(run.settings, replace(run.photos, rows=tuple(rows)))
    copy = shutil.copytree(drawn_folder, tmp_path / "moved")
    found = gather_photos(copy, run.info, run=marked)
    parts = {row.path: row.part for row in rows}
    assert {parts[path] for path in found.photos.paths if path in parts} == {"test"}


def test_exports_are_replaced_but_nothing_else_is(run_folder, tmp_path):
    place = tmp_path / "keras"
    export_model(run_folder, ["keras"], folder=tmp_path)
    export_model(run_folder, ["keras"], folder=tmp_path)
    notes = place / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt is not as emoclf has written it"):
        export_model(run_folder, ["keras"], folder=tmp_path)
    notes.unlink()
    (place / "model.keras").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"model\.keras is not as"):
        export_model(run_folder, ["keras"], folder=tmp_path)
    assert (place / "model.keras").read_bytes() == b"mine"
    shutil.rmtree(place)
    place.write_text("a file of mine")
    with pytest.raises(FileExistsError, match="Move"):
        export_model(run_folder, ["keras"], folder=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["keras"]


def test_an_export_that_fails_leaves_the_old_one(run_folder, tmp_path, monkeypatch):
    export_model(run_folder, ["keras"], folder=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    def break_off(*_arguments, **_keywords):
        raise OSError("No space left on device")

    monkeypatch.setattr(writers, "save_model", break_off)
    with pytest.raises(OSError, match="No space left"):
        export_model(run_folder, ["keras"], folder=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


# --- what is missing or wrong ---------------------------------------------------------------


def test_a_missing_package_is_named_with_its_command(run_folder, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name)
    )
    with pytest.raises(FormatUnavailableError, match=r"pip install -e .*\[export\]"):
        export_model(run_folder, ["onnx"])
    result = call("export", run_folder, "--format", "onnx")
    assert result.exit_code == 1
    assert "tf2onnx" in result.stderr
    assert set(find_unavailable()) == {"onnx"}


def test_litert_runs_without_its_own_package(report, monkeypatch):
    """TensorFlow's interpreter, where ai-edge-litert is not installed."""
    photo = np.full((1, 32, 48, 3), 90, np.uint8)
    expected = load_export(report.parities[1].path).predict_on_batch(photo)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else find(name)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = load_export(report.parities[1].path).predict_on_batch(photo)
    np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize("formats", [[], ["tflite"], "litert"])
def test_formats_that_are_none_are_refused(run_folder, formats):
    with pytest.raises(ValueError, match=r"should be a list of some of keras, saved_model"):
        export_model(run_folder, formats)


def test_int8_wants_photos_to_calibrate_with(tmp_path):
    model = emoclf.build_cnn((32, 32), filters=(4,))
    with pytest.raises(ValueError, match="int8 needs some"):
        writers.write_litert(model, tmp_path / "a", calibration=np.zeros((0, 32, 32, 3), np.uint8))


def test_damaged_and_missing_exports_are_told_apart(report, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"emoclf\.json does not exist"):
        load_export(tmp_path)
    copy = shutil.copytree(report.parities[1].path, tmp_path / "litert")
    (copy / "model.tflite").write_bytes(b"no network")
    with pytest.raises(ValueError, match="LiteRT file is damaged"):
        load_export(copy)
    (copy / "model.tflite").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.tflite does not exist"):
        load_export(copy)
    (copy / "emoclf.json").write_text('{"format": "tape"}')
    with pytest.raises(ValueError, match="names the format 'tape'"):
        load_export(copy)


@needs_onnx
def test_a_damaged_onnx_file_is_refused(report, tmp_path):
    copy = shutil.copytree(report.parities[1].path, tmp_path / "onnx")
    value = json.loads((copy / "emoclf.json").read_text())
    (copy / "emoclf.json").write_text(json.dumps({**value, "format": "onnx"}))
    (copy / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"cannot read .*model\.onnx"):
        load_export(copy)


@pytest.mark.parametrize(
    ("name", "difference", "after", "is_kept"),
    [
        ("onnx", 9e-5, 90, True),
        ("onnx", 1e-4, 90, False),
        ("litert_int8", 0.3, 89, True),
        ("litert_int8", 0.3, 88, False),
    ],
)
def test_what_is_kept(name, difference, after, is_kept, tmp_path):
    parity = Parity(
        format=name,
        path=tmp_path,
        photos="some photos",
        largest_difference=difference,
        changed_predictions=2,
        accuracy_before=wilson_interval(90, 100),
        accuracy_after=wilson_interval(after, 100),
        size_mib=1.0,
        milliseconds_before=8.0,
        milliseconds=1.0,
    )
    assert parity.is_kept is is_kept
    assert ("Careful" in str(ExportReport((parity,)))) is not is_kept


@pytest.mark.parametrize(("before", "after", "is_shown"), [(17, 16, False), (20, 11, True)])
def test_fewer_right_of_few_photos_do_not_prove_a_worse_file(before, after, is_shown, tmp_path):
    accuracies = wilson_interval(before, 20), wilson_interval(after, 20)
    parity = Parity("litert_int8", tmp_path, "", 0.3, before - after, *accuracies, 1.0, 8.0, 1.0)
    text = str(ExportReport((parity,)))
    assert ("does not predict as the network does" in text) == is_shown
    assert ("too few to tell (n = 20)" in text) != is_shown


# --- the command ----------------------------------------------------------------------------


def test_the_command_offers_every_format():
    command = make_app()["export"]
    (option,) = [each for each in list_arguments(command) if each.name == "--format"]
    assert option.get_choices() == tuple(FORMATS)
    for name in FORMATS:
        assert f"\n  {name} " in write_page("export", command)


def test_the_command_prints_a_table_or_json(run_folder, tmp_path):
    arguments = ["export", str(run_folder), "--output", str(tmp_path), "--format", "litert"]
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    assert "accuracy before" in result.stdout
    assert f"writing {tmp_path / 'litert'}" in result.stdout
    result = call(*arguments, "--json", "--part", "validation")
    (export,) = json.loads(result.stdout)["exports"]
    assert export["is_kept"]
    assert "validation photos" in export["photos"]


def test_a_float_format_that_predicts_otherwise_is_an_error(run_folder, tmp_path, monkeypatch):
    other = emoclf.build_cnn((32, 48), filters=(8, 8))

    def write_other(_model, path, *, info):
        return save_model(other, path, info=info)

    monkeypatch.setattr(writers, "save_model", write_other)
    arguments = ["export", str(run_folder), "--output", str(tmp_path), "--format", "keras"]
    result = call(*arguments)
    assert result.exit_code == 1
    assert "Careful: keras does not predict as the network does" in result.stdout


# --- faces ----------------------------------------------------------------------------------


class CentreFinder:
    """Finds one face, in the middle of every photo; made when it is needed."""

    name, description, note = "centre", "Looks at the centre.", ""

    def find(self, image):
        height, width = image.shape[:2]
        return (Face(box=(width / 4, height / 4, width / 2, height / 2), score=1.0),)


def test_a_network_of_faces_is_scored_on_faces(run_folder, photos):
    info = ModelInfo(image_size=(32, 48), crop="face")
    faces = gather_photos(run_folder, info, detector=CentreFinder)
    whole = gather_photos(run_folder, replace(info, crop="none"), detector=pytest.fail)
    assert len(faces.images) == len(whole.images)
    photo = emoclf.load_image(photos.part("test").files[0])
    crop = emoclf.crop_face(photo, CentreFinder().find(photo)[0], size=(32, 48))
    np.testing.assert_array_equal(faces.images[0], crop)


def test_photos_of_other_classes_are_refused(run_folder):
    with pytest.raises(ValueError, match="are Sad, Happy, but the network predicts Cat, Dog"):
        gather_photos(run_folder, ModelInfo(class_names=("Cat", "Dog")))
