import csv
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet, join_face_sets
from emoclf.experiments.face_network import recipe
from emoclf.experiments.face_network.faces import (
    find_leakage,
    find_teachable,
    make_targets,
    prepare_faces,
    raters_agree,
    raters_confirm_label,
)
from emoclf.experiments.face_network.learning import (
    Augmentation,
    FaceBatches,
    LearningSettings,
    augment_faces,
    grey_to_rgb,
    predict_emotions,
    train_face_network,
)
from emoclf.experiments.face_network.packaging import compact_network, judge, package_student
from emoclf.models.packaged import (
    FaceProbabilities,
    ModelCard,
    PackagedNetwork,
    calibrate_logits,
    load_face_network,
)
from emoclf.storage import ResumeRefusedError

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(name) for name in ("happiness", "sadness", "neutral"))


def draw_mouths(count, *, usage="Training", seed=0):
    """Grey faces whose mouth curves up (happiness), down (sadness) or is straight (neutral)."""
    random = np.random.default_rng(seed)
    pixels, labels, votes = [], [], []
    for number in range(count):
        label = (HAPPY, SAD, NEUTRAL)[number % 3]
        bend = {HAPPY: 1, SAD: -1, NEUTRAL: 0}[label] * random.uniform(6, 9)
        ground = random.integers(100, 256, (6, 6)).astype(np.uint8)  # so that no two look alike
        face = cv2.resize(ground, (48, 48), interpolation=cv2.INTER_LINEAR)
        x = np.linspace(10, 38, 15)
        y = 34 + bend * (0.5 - ((x - 24) / 14) ** 2)
        line = np.stack([x, y], axis=1).round().astype(np.int32)
        cv2.polylines(face, [line], False, int(random.integers(0, 40)), 3)
        pixels.append(face)
        labels.append(label)
        row = np.zeros(10, np.uint8)
        row[label], row[NEUTRAL] = 8, row[NEUTRAL] + 2
        row[label] += 10 - row.sum()
        votes.append(row)
    names = [f"fer{usage}{seed}{number:05d}.png" for number in range(count)]
    return FaceSet(
        np.stack(pixels),
        np.array(labels),
        np.stack(votes),
        np.full(count, usage),
        np.array(names),
    )


# --- copies ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def distinct():
    """Faces of smooth noise, which no two share."""
    random = np.random.default_rng(5)
    small = random.integers(0, 256, (60, 6, 6)).astype(np.uint8)
    pixels = np.stack([cv2.resize(face, (48, 48), interpolation=cv2.INTER_CUBIC) for face in small])
    faces = draw_mouths(60)
    return FaceSet(pixels, faces.labels, faces.votes, faces.usages, faces.names)


def change(face, kind):
    if kind == "exact":
        return face.copy()
    if kind == "mirrored":
        return face[:, ::-1].copy()
    if kind == "shifted":
        return np.pad(face, ((3, 0), (0, 3)), mode="edge")[:48, 3:]
    if kind == "lighter":
        return (face * 0.7 + 60).astype(np.uint8)
    _, code = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("kind", ["exact", "mirrored", "shifted", "lighter", "jpeg"])
def test_planted_duplicates_of_validation_faces_are_found(distinct, kind):
    validation, training = distinct.take(np.arange(20)), distinct.take(np.arange(20, 60))
    training.pixels[3] = change(validation.pixels[7], kind)
    leakage = find_leakage(training, validation)
    assert np.flatnonzero(leakage.is_duplicate).tolist() == [3]
    assert (leakage.exact, leakage.near) == ((1, 0) if kind == "exact" else (0, 1))
    assert leakage.validation_faces == 1
    assert f"{leakage.exact} exact and {leakage.near} near" in str(leakage)


def test_faces_that_are_no_duplicates_stay(distinct):
    leakage = find_leakage(distinct.take(np.arange(30)), distinct.take(np.arange(30, 60)))
    assert not leakage.is_duplicate.any()


# --- targets --------------------------------------------------------------------------------


def test_targets_mix_votes_and_label():
    faces = draw_mouths(3)
    targets = make_targets(faces, label_weight=0.25)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert targets[0, HAPPY] == pytest.approx(0.75 * 0.8 + 0.25)
    assert targets[0, NEUTRAL] == pytest.approx(0.75 * 0.2)
    assert targets.dtype == np.float32


def test_faces_without_votes_are_taught_their_label():
    faces = draw_mouths(3)
    faces.votes[:] = 0
    np.testing.assert_array_equal(make_targets(faces).argmax(axis=1), faces.labels)
    assert make_targets(faces).max(axis=1).tolist() == [1, 1, 1]
    assert find_teachable(faces).all()


def test_what_raters_call_no_face_is_not_taught():
    faces = draw_mouths(4)
    faces.votes[2] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 8]
    assert find_teachable(faces).tolist() == [True, True, False, True]


def test_a_label_weight_out_of_range_is_refused():
    with pytest.raises(ValueError, match="label_weight=2"):
        make_targets(draw_mouths(3), label_weight=2)


# --- augmentation and batches ---------------------------------------------------------------


def test_augmentation_depends_on_its_seed_alone_and_keeps_the_originals():
    pixels = draw_mouths(8).pixels
    before = pixels.copy()
    first, second, other = (
        augment_faces(pixels, random=np.random.default_rng(seed), augmentation=Augmentation())
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    np.testing.assert_array_equal(pixels, before)
    assert (first.dtype, first.shape) == (np.uint8, pixels.shape)


def test_flipping_alone_mirrors_about_half_of_the_faces_exactly():
    pixels = draw_mouths(60).pixels
    still = Augmentation(shift=0, rotate_degrees=0, zoom=0, light=0, erase=0, blur=0)
    changed = augment_faces(pixels, random=np.random.default_rng(0), augmentation=still)
    same = (changed == pixels).all(axis=(1, 2))
    mirrored = (changed == pixels[:, :, ::-1]).all(axis=(1, 2))
    assert (same | mirrored).all()
    assert 15 < mirrored.sum() < 45


def test_a_shift_moves_a_dot_by_at_most_its_share():
    face = np.zeros((1, 48, 48), np.uint8)
    face[0, 23:26, 23:26] = 255
    moved = Augmentation(flip=False, shift=0.1, rotate_degrees=0, zoom=0, light=0, erase=0, blur=0)
    places = []
    for seed in range(40):
        changed = augment_faces(face, random=np.random.default_rng(seed), augmentation=moved)[0]
        rows, columns = np.indices(changed.shape)
        weights = changed / changed.sum()
        places.append(((rows * weights).sum(), (columns * weights).sum()))
    offsets = np.abs(np.array(places) - 24)
    assert offsets.max() <= 4.9
    assert offsets.max() > 3


def test_every_epoch_holds_every_face_once_in_a_new_order():
    faces = draw_mouths(24)
    targets = np.arange(24, dtype=np.float32)[:, np.newaxis]
    batches = FaceBatches(faces.pixels, targets, batch_size=8, augmentation=None, seed=3)
    orders = []
    for _ in range(2):
        seen = [batches[number] for number in range(len(batches))]
        order = np.concatenate([batch[1] for batch in seen]).ravel().astype(int)
        pixels = np.concatenate([batch[0] for batch in seen])
        np.testing.assert_array_equal(pixels, grey_to_rgb(faces.pixels[order]))
        orders.append(order.tolist())
        batches.on_epoch_end()
    assert sorted(orders[0]) == list(range(24))
    assert orders[0] != orders[1]
    with pytest.raises(ValueError, match="batch_size=8"):
        FaceBatches(faces.pixels[:4], targets[:4], batch_size=8, augmentation=None, seed=3)


# --- judging --------------------------------------------------------------------------------


def test_figures_of_a_worked_example():
    faces = draw_mouths(6)  # happy, sad, neutral, happy, sad, neutral
    probabilities = np.array(
        [[0.05, 0.95], [0.95, 0.05], [0.5, 0.5], [0.55, 0.45], [0.6, 0.4], [0.03, 0.97]]
    )
    neither = np.array([0.1, 0.1, 0.9, 0.2, 0.2, 0.8])
    card = make_card(uncertain_below=0.58)
    figures = judge(FaceProbabilities(probabilities, neither), faces, card)
    assert (figures["accuracy"]["value"], figures["accuracy"]["count"]) == (0.75, 4)
    assert figures["recall_of_Happy"]["value"] == 0.5
    assert figures["recall_of_Sad"]["value"] == 1
    assert figures["accuracy_when_certain"]["value"] == 1
    assert figures["certain_of_other_emotions"]["value"] == 0
    assert figures["above_0.9_of_happy_or_sad"]["value"] == 0.5
    assert figures["above_0.9_of_other_emotions"]["value"] == 0.5
    assert figures["area_under_roc"]["value"] == figures["area_under_roc_of_neither"] == 1
    faces.votes[3] = faces.votes[1]  # labelled happy, called sad by the raters
    assert raters_agree(faces).tolist() == [True, True, False, True, True, False]
    assert raters_confirm_label(faces).tolist() == [True, True, False, False, True, False]


# --- the whole recipe -----------------------------------------------------------------------

TINY = LearningSettings(
    filters=(8, 8, 16),
    blocks=(1, 1),
    epochs=6,
    batch_size=16,
    learning_rate=5e-3,
    ema_momentum=0.9,
    dropout=0,
    augmentation=Augmentation(shift=0.03, rotate_degrees=3, zoom=0.03, erase=0, blur=0),
)
TINY_RECIPE = recipe.RecipeSettings(
    teachers=(TINY,),
    rounds=(
        replace(TINY, epochs=2, teacher_weight=0.5),
        replace(TINY, teacher_weight=0.6),
    ),
)


@pytest.fixture(scope="module")
def faces():
    return join_face_sets(
        draw_mouths(600), draw_mouths(120, usage="PublicTest", seed=1), draw_mouths(3, usage="x")
    )


@pytest.fixture(scope="module")
def recipe_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recipe")


@pytest.fixture(scope="module")
def roles(faces):
    return prepare_faces(faces)


@pytest.fixture(scope="module")
def student(roles, recipe_folder):
    return recipe.train_packaged_network(
        roles, recipe_folder, settings=TINY_RECIPE, policy="float32"
    )


def test_faces_get_roles_that_share_nothing(roles):
    names = [set(part.names.tolist()) for part in (roles.training, roles.tuning)]
    names.append(set(roles.confirmation.names.tolist()))
    assert sum(map(len, names)) == len(set.union(*names))
    assert set(roles.training.usages.tolist()) == {"Training"}
    assert set(roles.tuning.usages.tolist()) == {"PublicTest"}
    with pytest.raises(ValueError, match="Received: \\['Training'\\]"):
        prepare_faces(draw_mouths(6))


def test_the_recipe_learns_and_keeps_its_log(student, roles, recipe_folder):
    logits = predict_emotions(student, roles.confirmation.pixels)
    chosen = roles.confirmation.labels != NEUTRAL
    right = (logits[:, HAPPY] > logits[:, SAD]) == (roles.confirmation.labels == HAPPY)
    assert right[chosen].mean() > 0.9
    for name, epochs in (("teacher_1", 6), ("student_1", 2), ("student_2", 6)):
        with (recipe_folder / name / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["epoch"]) for row in rows] == list(range(1, epochs + 1))
        assert {"loss", "tuning_accuracy", "tuning_cross_entropy"} <= set(rows[0])


def test_finished_networks_are_not_trained_again(student, roles, recipe_folder, monkeypatch):
    monkeypatch.setattr(recipe, "train_face_network", lambda *_, **__: pytest.fail("trained"))
    said = []
    again = recipe.train_packaged_network(
        roles, recipe_folder, settings=TINY_RECIPE, policy="float32", say=said.append
    )
    for old, new in zip(student.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "near duplicates leave training" in said[0]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"teachers": (replace(TINY, seed=9),)}, "teacher_1.*seed was 1 and is 9"),
        ({"label_weight": 0.5}, r"teacher_1.*label_weight was 0\.\d+ and is 0\.5; faces was"),
        (
            {"rounds": (replace(TINY_RECIPE.rounds[0], teacher_weight=0.4),)},
            r"student_1.*teacher_weight was 0\.5 and is 0\.4",
        ),
    ],
)
def test_networks_of_another_recipe_are_not_taken_for_its_own(
    student, roles, recipe_folder, monkeypatch, changed, told
):
    assert student is not None
    monkeypatch.setattr(recipe, "train_face_network", lambda *_, **__: pytest.fail("trained"))
    other = replace(TINY_RECIPE, **changed)
    with pytest.raises(ResumeRefusedError, match=told):
        recipe.train_packaged_network(roles, recipe_folder, settings=other, policy="float32")


def test_mirror_images_get_the_same_averaged_prediction(student, faces):
    pixels = faces.pixels[:6]
    np.testing.assert_allclose(
        predict_emotions(student, pixels),
        predict_emotions(student, pixels[:, :, ::-1]),
        atol=1e-5,
    )
    once = predict_emotions(student, pixels, flip=False)
    twice = predict_emotions([student, student], pixels, flip=False)
    np.testing.assert_allclose(once, twice, atol=1e-6)


def test_the_recipe_runs_where_only_jax_is_there(tmp_path):
    pytest.importorskip("jax", reason="JAX is not a requirement")
    code = (
        "import sys, importlib.abc\n"
        "class Refuse(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'tensorflow':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from tests.test_face_training import TINY_RECIPE, draw_mouths, join_face_sets\n"
        "from tests.test_face_training import prepare_faces, recipe\n"
        "faces = join_face_sets(draw_mouths(96), draw_mouths(24, usage='PublicTest', seed=1))\n"
        "roles = prepare_faces(faces)\n"
        f"recipe.train_packaged_network(roles, {str(tmp_path)!r}, settings=TINY_RECIPE)\n"
        "import keras\n"
        "print(keras.backend.backend())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "jax", result.stderr
    assert (tmp_path / "student_2" / "model.keras").is_file()


def test_recipe_and_models_do_not_name_tensorflow(repository):
    package = repository / "emoclf"
    files = [*(package / "models").glob("*.py"), package / "data" / "sources" / "fer2013.py"]
    files += (package / "experiments" / "face_network").glob("*.py")
    for file in files:
        assert "import tensorflow" not in file.read_text(encoding="utf-8"), file


def test_a_round_goes_on_from_the_weights_before_it(student, roles, tmp_path):
    still = replace(TINY, epochs=1, learning_rate=1e-12, weight_decay=0, ema_momentum=None)
    targets = make_targets(roles.training)
    again = train_face_network(
        roles.training.pixels, targets, folder=tmp_path, settings=still, start=student
    )
    for old, new in zip(student.trainable_weights, again.trainable_weights, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)


def test_a_recipe_needs_a_round(roles, tmp_path):
    with pytest.raises(ValueError, match="rounds is empty"):
        recipe.train_packaged_network(roles, tmp_path, settings=replace(TINY_RECIPE, rounds=()))


# --- packaging ------------------------------------------------------------------------------


def make_card(**changes):
    card = ModelCard(
        emotions=EMOTIONS,
        image_size=(48, 48),
        temperature=1.5,
        mirror=False,
        uncertain_below=0.75,
        neither_above=0.75,
        filters=TINY.filters,
        blocks=TINY.blocks,
        sha256={},
        figures={},
    )
    return replace(card, **changes)


def test_a_compact_network_predicts_as_the_trained_one(student, faces):
    compact = compact_network(student, make_card())
    assert not any("normalise" in layer.name for layer in compact.layers)
    assert compact.count_params() < student.count_params()
    for weight in compact.get_weights():
        np.testing.assert_array_equal(weight, weight.astype(np.float16).astype(np.float32))
    pixels = faces.pixels[:40]
    np.testing.assert_allclose(
        predict_emotions(compact, pixels), predict_emotions(student, pixels), atol=0.05
    )


@pytest.fixture(scope="module")
def package(student, roles, tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="the extra `train` is not installed")
    folder = tmp_path_factory.mktemp("package")
    settings = replace(TINY_RECIPE, mirror=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' exporter speaks to older NumPy
        card = package_student(student, roles, folder, settings=settings)
    return folder, card


def test_opencv_and_keras_agree_on_the_package(package, faces):
    folder, card = package
    crops = grey_to_rgb(faces.pixels[:20])
    network = PackagedNetwork(folder)
    logits = network.predict_logits(crops, mirror=False)
    received = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = load_face_network(EMOTIONS, folder=folder).predict_on_batch(crops)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    two = load_face_network(folder=folder)
    both = (two.predict_on_batch(crops), calibrate_logits(logits, card).classes)
    np.testing.assert_allclose(*both, atol=1e-5)


def test_the_package_measures_itself(package, faces):
    folder, card = package
    right = card.figures["confirmation"]["accuracy"]
    assert right["value"] > 0.9
    assert right["low"] <= right["value"] <= right["high"]
    assert right["count"] == 40
    assert card.figures["duplicates_left_out"] == {"exact": 0, "near": 0}
    assert card.mirror
    assert ModelCard.load(folder) == card
    happy = faces.take(faces.labels == HAPPY)
    answers = PackagedNetwork(folder).predict_with_neither(grey_to_rgb(happy.pixels[:20]))
    assert (answers.classes[:, 1] > 0.5).mean() > 0.9
    assert answers.neither.max() < 0.6
