"""The packaged face network: damaged files are noticed, and OpenCV and Keras answer the same."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from emoclf.config import CLASS_NAMES
from emoclf.data.synthetic import draw_face
from emoclf.images import resize_image
from emoclf.models.packaged import (
    CARD_FILE_NAME,
    FACE_MODEL_FOLDER,
    NETWORK_FILE_NAME,
    WEIGHTS_FILE_NAME,
    DamagedModelError,
    ModelCard,
    PackagedNetwork,
    calibrate_logits,
    load_face_network,
    read_checked,
    softmax,
)


@pytest.fixture
def copy(tmp_path):
    """A copy of the packaged files, to damage."""
    return shutil.copytree(FACE_MODEL_FOLDER, tmp_path / "face_model")


@pytest.fixture(scope="module")
def network():
    return PackagedNetwork()


@pytest.fixture(scope="module")
def faces():
    """Drawn faces and noise: uint8 (12, 48, 48, 3)."""
    size = ModelCard.load().image_size
    drawn = [resize_image(draw_face(CLASS_NAMES[i % 2], seed=i), size) for i in range(8)]
    noise = np.random.default_rng(0).integers(0, 256, (4, *size, 3), dtype=np.uint8)
    return np.concatenate([np.stack(drawn), noise])


def change_card(folder, **values):
    path = folder / CARD_FILE_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def swap(folder, name, content):
    """Replace a file and, in the card, its hash: what a wrong release would look like."""
    (folder / name).write_bytes(content)
    hashes = {**ModelCard.load(folder).sha256, name: hashlib.sha256(content).hexdigest()}
    change_card(folder, sha256=hashes)


def test_features_are_those_of_the_layer_before_the_last(network, faces):
    keras = pytest.importorskip("keras")
    model = load_face_network(network.card.emotions)
    cut = keras.Model(model.input, model.get_layer("average_over_face").output)
    received = network.predict_features(faces, mirror=False)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, np.asarray(cut(faces)), atol=1e-4)


def test_the_last_layer_turns_features_into_logits(network, faces):
    logits = network.predict_logits(faces, mirror=True)
    with np.load(FACE_MODEL_FOLDER / WEIGHTS_FILE_NAME) as weights:
        kernel, bias = weights["logits/kernel"], weights["logits/bias"]
    features = network.predict_features(faces, mirror=True)
    np.testing.assert_allclose(features @ kernel + bias, logits, atol=2e-2)
    np.testing.assert_array_equal(network.predict_logits(faces, mirror=True), logits)


def test_no_faces_give_no_features_and_a_wrong_size_is_refused(network, faces):
    wide = len(network.predict_features(faces[:1])[0])
    assert network.predict_features(faces[:0]).shape == (0, wide)
    with pytest.raises(ValueError, match="crop_face"):
        network.predict_features(faces[:, :20])


def test_the_card_describes_the_files():
    card = ModelCard.load()
    assert {"happiness", "sadness"} <= set(card.emotions)
    assert 0.5 <= card.uncertain_below < 1
    assert 0 < card.neither_above < 1
    for name in (NETWORK_FILE_NAME, WEIGHTS_FILE_NAME):
        content = read_checked(card, name)
        assert hashlib.sha256(content).hexdigest() == card.sha256[name]


@pytest.mark.parametrize("name", [CARD_FILE_NAME, NETWORK_FILE_NAME])
@pytest.mark.parametrize("damage", ["missing", "cut off", "empty", "changed", "folder"])
def test_a_damaged_file_is_noticed(name, damage, copy):
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        kept = {"cut off": content[:middle], "empty": b"", "changed": changed}
        path.write_bytes(kept[damage])
    with pytest.raises(DamagedModelError, match=rf"{name}.*Install emoclf again"):
        PackagedNetwork(copy)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_damaged_weights_are_noticed(damage, copy):
    path = copy / WEIGHTS_FILE_NAME
    content = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(content[:-1] + b"?")
    with pytest.raises(DamagedModelError, match=rf"{WEIGHTS_FILE_NAME}.*Install emoclf again"):
        load_face_network(folder=copy)


def test_swapped_files_are_noticed(copy):
    network, weights = copy / NETWORK_FILE_NAME, copy / WEIGHTS_FILE_NAME
    network.rename(copy / "aside")
    weights.rename(network)
    (copy / "aside").rename(weights)
    card = ModelCard.load(copy)
    with pytest.raises(DamagedModelError) as caught:
        PackagedNetwork(copy)
    for name in (NETWORK_FILE_NAME, WEIGHTS_FILE_NAME):
        assert card.sha256[name] in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '"text"',
        "{}",
        '{"emotions": 3}',
        "\ufffd" * 50,
    ],
)
def test_a_card_of_another_form_is_refused(text, copy):
    (copy / CARD_FILE_NAME).write_text(text)
    with pytest.raises(DamagedModelError, match=r"card\.json is missing or damaged"):
        ModelCard.load(copy)


def test_a_card_that_is_no_text_is_refused(copy):
    (copy / CARD_FILE_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedModelError, match=r"card\.json is missing or damaged"):
        ModelCard.load(copy)


@pytest.mark.parametrize(
    "values",
    [
        {"emotions": ["neutral", "anger"]},
        {"emotions": "happiness"},
        {"image_size": [48]},
        {"image_size": [48, 0]},
        {"image_size": [48.5, 48]},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"temperature": "warm"},
        {"uncertain_below": 70},
        {"neither_above": -1},
        {"sha256": 5},
    ],
)
def test_a_card_with_impossible_values_is_refused(values, copy):
    change_card(copy, **values)
    with pytest.raises(DamagedModelError, match=r"card\.json is missing or damaged"):
        ModelCard.load(copy)


def test_a_network_that_is_none_is_refused_though_its_hash_is_right(copy):
    swap(copy, NETWORK_FILE_NAME, b"this is no network")
    with pytest.raises(DamagedModelError, match="OpenCV"):
        PackagedNetwork(copy)


def test_a_network_of_another_shape_is_refused(copy):
    emotions = [*ModelCard.load(copy).emotions, "boredom"]
    change_card(copy, emotions=emotions)
    with pytest.raises(DamagedModelError, match=rf"says \(1, {len(emotions)}\)"):
        PackagedNetwork(copy)


def test_predictions_have_the_right_shape_and_range(network, faces):
    found = network.predict_with_neither(faces)
    assert (found.classes.shape, found.neither.shape) == ((12, 2), (12,))
    np.testing.assert_allclose(found.classes.sum(axis=1), 1, atol=1e-6)
    assert found.classes.min() >= 0
    assert found.neither.min() >= 0
    assert found.neither.max() <= 1
    none = network.predict_with_neither(faces[:0])
    assert (none.classes.shape, none.neither.shape) == ((0, 2), (0,))


def test_a_face_is_predicted_alike_alone_and_among_others(network, faces):
    alone = np.concatenate([network.predict_logits(face[np.newaxis]) for face in faces])
    np.testing.assert_array_equal(network.predict_logits(faces), alone)


def test_with_the_mirror_image_both_sides_get_the_same_prediction(network, faces):
    mirrored = faces[:, :, ::-1]
    np.testing.assert_allclose(
        network.predict_logits(faces, mirror=True),
        network.predict_logits(mirrored, mirror=True),
        atol=1e-4,
    )
    sides = [network.predict_logits(view, mirror=False) for view in (faces, mirrored)]
    assert np.abs(sides[0] - sides[1]).max() > 1e-3
    both = network.predict_logits(faces, mirror=True)
    np.testing.assert_allclose(both, np.mean(sides, axis=0), atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 48, 48, 3), np.float32),
        np.zeros((48, 48, 3), np.uint8),
        np.zeros((1, 48, 48, 1), np.uint8),
        np.zeros((1, 3, 48, 48), np.uint8),
        np.zeros((1, 96, 96, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(wrong, network):
    with pytest.raises(ValueError, match="crop_face"):
        network.predict_with_neither(wrong)


def test_calibration_of_known_logits():
    """By hand: softmax of (2, 0) is 0.881, at temperature 2 of (1, 0) it is 0.731."""
    card = replace(ModelCard.load(), emotions=("neutral", "happiness", "sadness"), temperature=1)
    logits = np.array([[-50.0, 2.0, 0.0], [50.0, 0.0, 0.0]], dtype=np.float32)
    sharp = calibrate_logits(logits, card)
    np.testing.assert_allclose(sharp.classes, [[0.119, 0.881], [0.5, 0.5]], atol=1e-3)
    np.testing.assert_allclose(sharp.neither, [0, 1], atol=1e-6)
    soft = calibrate_logits(logits, replace(card, temperature=2))
    np.testing.assert_allclose(soft.classes[0], [0.269, 0.731], atol=1e-3)
    np.testing.assert_allclose(soft.neither, sharp.neither)
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0]])), [[0.5, 0.5]])


def test_opencv_and_keras_agree(network, faces):
    """Logits and probabilities to 1e-4, on drawings and noise."""
    import keras

    emotions = ModelCard.load().emotions
    model = load_face_network(emotions)
    both = keras.Model(model.input, [model.get_layer("logits").output, model.output])
    logits, probabilities = (np.asarray(value) for value in both.predict_on_batch(faces))
    received = network.predict_logits(faces, mirror=False)
    np.testing.assert_allclose(received, logits, atol=1e-4)
    np.testing.assert_allclose(softmax(received), probabilities, atol=1e-4)


@pytest.mark.parametrize("names", [("Sad", "Happy"), ("Happy", "Sad")])
def test_the_keras_network_predicts_calibrated_in_the_order_asked_for(names, network, faces):
    answers = np.asarray(load_face_network(names).predict_on_batch(faces))
    expected = network.predict_with_neither(faces).classes
    columns = [CLASS_NAMES.index(name) for name in names]
    np.testing.assert_allclose(answers, expected[:, columns], atol=1e-4)


def test_for_other_names_the_last_layer_is_new_and_the_rest_is_packaged(faces):
    packaged, own = load_face_network(), load_face_network(("Cross", "Glad", "Bored"))
    assert own.output_shape == (None, 3)
    for layer in packaged.layers:
        if layer.name != "logits":
            for mine, theirs in zip(own.get_layer(layer.name).weights, layer.weights, strict=True):
                np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))
    sums = np.asarray(own.predict_on_batch(faces)).sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-5)
