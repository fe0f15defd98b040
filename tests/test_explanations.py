"""Maps of what speaks for a class: known places, known sums, every network that can be built."""

from typing import get_args

import numpy as np
import pytest

from emoclf.config import NetworkName, Settings
from emoclf.images import ModelInfo
from emoclf.inference import Predictor
from emoclf.inference.explanations import explain, make_grad_cam_maps, make_occlusion_maps
from emoclf.models import build_network
from emoclf.models.model_file import load_model, save_model

SIDE, PATCH = 32, 8


def make_patches(count, *, seed):
    """Grey noise with an orange (label 1) or blue (label 0) patch, and a green one in any case.

    One lies in the left half and one in the right, by chance; where they are says nothing.
    """
    generator = np.random.default_rng(seed)
    images = generator.integers(60, 196, (count, SIDE, SIDE, 3), dtype=np.uint8)
    labels = generator.integers(0, 2, count)
    places = generator.integers(0, SIDE // 2 - PATCH + 1, (count, 2, 2)) * [2, 1]
    sides = generator.permuted(np.tile([0, SIDE // 2], (count, 1)), axis=1)
    places[:, :, 1] += sides
    for image, label, (deciding, decoy) in zip(images, labels, places, strict=True):
        find_view(image, deciding)[:] = (230, 130, 30) if label else (30, 90, 230)
        find_view(image, decoy)[:] = (30, 200, 60)
    return images, labels, places


def find_view(image, corner):
    return image[corner[0] : corner[0] + PATCH, corner[1] : corner[1] + PATCH]


@pytest.fixture(scope="module")
def network():
    """A network that has learned which colour the patch has."""
    import keras

    from emoclf.models import build_cnn

    keras.utils.set_random_seed(3)
    images, labels, _ = make_patches(400, seed=1)
    model = build_cnn((SIDE, SIDE), filters=(8, 16), augment=False, dropout=0.0)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=40, epochs=6, verbose=0)
    return model


@pytest.fixture(scope="module")
def photos(network):
    """Photos, labels, the upper left corners of the patches that decide, and of the decoys."""
    images, labels, places = make_patches(20, seed=2)
    answers = network.predict_on_batch(images).argmax(axis=1)
    assert (answers == labels).all(), "the network of this test has learned the task"
    return images, labels, places[:, 0], places[:, 1]


def make_maps(network, images, labels, method):
    if method == "grad-cam":
        return make_grad_cam_maps(network, images, labels)
    return make_occlusion_maps(network.predict_on_batch, images, labels)


def find_patch(corner, margin=3):
    """Return the pixels of the patch and of what lies around it."""
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    top, left = (max(0, int(value) - margin) for value in corner)
    bottom, right = (int(value) + PATCH + margin for value in corner)
    inside[top:bottom, left:right] = True
    return inside


def measure_on_patch(maps, corners):
    return np.array(
        [each[find_patch(c)].sum() / each.sum() for each, c in zip(maps, corners, strict=True)]
    )


# --- the place is known ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_the_place_that_decides_is_marked(network, photos, method):
    images, labels, corners, _ = photos
    maps = make_maps(network, images, labels, method)
    assert maps.shape == (20, SIDE, SIDE)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    on_patch = measure_on_patch(maps, corners)
    area = np.mean([find_patch(corner).mean() for corner in corners])
    assert on_patch.mean() > 0.6 > 2 * area
    peaks = [np.unravel_index(each.argmax(), each.shape) for each in maps]
    hits = [find_patch(corner, 1)[peak] for corner, peak in zip(corners, peaks, strict=True)]
    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_hiding_what_is_marked_changes_the_answer_and_hiding_elsewhere_does_not(
    network, photos, method
):
    predictor = Predictor(network, ModelInfo(image_size=(SIDE, SIDE)))
    found = [explain(predictor, image, method=method) for image in photos[0]]
    falls = np.array([e.probability - e.probability_hiding_most for e in found])
    elsewhere = np.array([e.probability - e.probability_hiding_least for e in found])
    assert (falls > elsewhere).mean() >= 0.9
    assert falls.mean() > 0.2 > 4 * abs(elsewhere.mean())


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_another_network_makes_another_map(network, photos, method):
    """Adebayo et al., 2018: a map that does not depend on the weights explains nothing."""
    images, labels, corners, decoys = photos
    before = make_maps(network, images, labels, method)
    others = [
        make_maps(shuffle_weights(network, seed), images, labels, method) for seed in range(5)
    ]
    assert measure_preference(before, corners, decoys) > 0.85
    assert np.mean([measure_preference(each, corners, decoys) for each in others]) < 0.7
    alike = [
        np.corrcoef(one.ravel(), two.ravel())[0, 1]
        for other in others
        for one, two in zip(before, other, strict=True)
        if two.std() > 0
    ]
    assert np.mean(alike) < 0.5


def shuffle_weights(network, seed):
    """Copy a network and shuffle the weights of every layer."""
    from emoclf.models import copy_network

    other, generator = copy_network(network), np.random.default_rng(seed)
    weights = [generator.permutation(each.ravel()) for each in other.get_weights()]
    other.set_weights(
        [new.reshape(old.shape) for new, old in zip(weights, other.get_weights(), strict=True)]
    )
    return other


def measure_preference(maps, corners, decoys):
    """Return how much of what lies on either patch lies on the one that decides."""
    own, other = (
        np.array([find_view(*pair).sum() for pair in zip(maps, places, strict=True)])
        for places in (corners, decoys)
    )
    marked = own + other > 0
    return np.mean(own[marked] / (own + other)[marked])


def test_what_speaks_for_one_class_speaks_against_the_other(network, photos):
    images, labels, corners, _ = photos
    other = make_occlusion_maps(network.predict_on_batch, images, 1 - labels)
    own = make_occlusion_maps(network.predict_on_batch, images, labels)
    cores = [find_patch(corner, -3) for corner in corners]
    assert all(own[n][core].mean() > other[n][core].mean() for n, core in enumerate(cores))


# --- the sum is known -----------------------------------------------------------------------


def test_grad_cam_is_the_class_activation_map_of_a_network_that_averages(network, photos):
    """Zhou et al., 2016: then the weights of the last layer are the gradients."""
    import keras
    from PIL import Image

    images, labels, _, _ = photos
    last = keras.Model(network.inputs[0], network.get_layer("relu_2").output)
    maps = np.asarray(last(images, training=False))
    kernel = network.get_layer("probabilities").get_weights()[0]
    cells = maps.shape[1] * maps.shape[2]
    for number, label in enumerate(labels):
        expected = maps[number] @ (kernel[:, label] - kernel[:, 1 - label]) / cells
        picture = Image.fromarray(expected.clip(0).astype(np.float32))
        expected = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        received = make_grad_cam_maps(network, images[number : number + 1], [label])[0]
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-5)


def test_a_sure_network_still_has_a_map():
    """The probability is 1.0 to the last digit; its gradient would be 0."""
    import keras
    from keras import layers

    photo = keras.Input((8, 8, 3), dtype="uint8")
    maps = layers.Rescaling(1.0)(photo)
    features = layers.GlobalAveragePooling2D()(maps)
    answer = layers.Dense(2, activation="softmax", kernel_initializer="ones")(features)
    model = keras.Model(photo, answer)
    model.layers[-1].set_weights([np.array([[-9.0, 9], [0, 0], [0, 0]]), np.zeros(2)])
    image = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    image[0, :4, :4, 0] = 255
    assert model.predict_on_batch(image)[0, 1] == 1.0
    marks = make_grad_cam_maps(model, image, [1])[0]
    assert (marks[:4, :4] > 0).all()
    assert not marks[4:].any()
    assert not marks[:, 4:].any()


def test_occlusion_counts_what_each_patch_takes_away():
    """A network that looks at one corner: only patches over that corner change its answer."""

    def ask(images):
        happy = 0.25 + 0.5 * images[:, :2, :2, 0].mean(axis=(1, 2)) / 255
        return np.stack([1 - happy, happy], axis=1)

    image = np.zeros((10, 20, 3), dtype=np.uint8)
    image[:2, :2] = 255
    calls = []
    marks = make_occlusion_maps(
        lambda batch: calls.append(len(batch)) or ask(batch),
        image[np.newaxis],
        [1],
        batch_size=50,
    )[0]
    assert calls == [50, 50, 22]  # the photo, and 11 x 11 patches
    assert np.unravel_index(marks.argmax(), marks.shape) == (0, 0)
    assert not marks[3:].any()
    assert not marks[:, 7:].any()
    # A patch over the whole corner: log-odds of 0.75 fall to those of 0.25 + 0.5 * 128 / 255.
    dark = 0.25 + 0.5 * 128 / 255
    fall = np.log(3) - np.log(dark / (1 - dark))
    assert 0.25 * fall < marks.max() <= fall


def test_one_patch_over_the_whole_photo_is_the_whole_change(network, photos):
    images, labels, _, _ = photos
    marks = make_occlusion_maps(
        network.predict_on_batch, images[:2], labels[:2], patches_per_side=1
    )
    assert marks.shape == (2, SIDE, SIDE)


# --- every network that can be built --------------------------------------------------------

NETWORKS = sorted(set(get_args(NetworkName)) - {"joint"})  # which is no network of Keras


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_explained_built_and_loaded(name, tmp_path):
    size = (48, 48) if name == "face" else (32, 48)
    settings = Settings(image_size=size, network=name, weights="none")
    model = build_network(settings)
    weights = model.get_weights()
    image = np.random.default_rng(4).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    images = np.repeat(image, 2, axis=0)
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    marks = make_grad_cam_maps(model, images, [1, 0])
    assert marks.shape == (2, *size)
    assert np.isfinite(marks).all()
    # What does not speak for one class speaks for the other: something is marked.
    assert marks.sum() > 0
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers], "nothing is added"
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    info = ModelInfo(image_size=size)
    loaded, _ = load_model(save_model(model, tmp_path / "model.keras", info=info), compiled=False)
    loaded.trainable = False  # a frozen network has gradients, too
    received = make_grad_cam_maps(loaded, images, [1, 0])
    np.testing.assert_allclose(received, marks, rtol=1e-3, atol=1e-4 * marks.max())


@pytest.mark.parametrize("stage", ["head", "all"])
def test_a_network_that_is_half_frozen_is_explained(stage):
    from emoclf.models import build_transfer_model, freeze_for_fine_tuning

    model = build_transfer_model("mobilenetv3small", (32, 32), weights="none", seed=1)
    images = np.random.default_rng(4).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    expected = make_grad_cam_maps(model, images, [1])
    freeze_for_fine_tuning(model, stage)
    np.testing.assert_allclose(make_grad_cam_maps(model, images, [1]), expected, rtol=1e-4)


def test_a_network_in_mixed_precision_is_explained_in_float32():
    import keras

    from emoclf.models import build_cnn, copy_network

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_cnn((32, 32), filters=(4, 8))
    finally:
        keras.config.set_dtype_policy(before)
    images = make_patches(2, seed=5)[0]
    expected = make_grad_cam_maps(copy_network(model, as_float32=True), images, [0, 1])
    np.testing.assert_array_equal(make_grad_cam_maps(model, images, [0, 1]), expected)


def test_a_backbone_in_two_networks_is_explained_in_each():
    """Its own output belongs to neither: the graph would be disconnected."""
    import keras
    from keras import layers

    from emoclf.models import build_transfer_model, find_backbone

    first = build_transfer_model("mobilenetv3small", (32, 32), weights="none", augment=False)
    photo = keras.Input((32, 32, 3), dtype="uint8")
    maps = find_backbone(first)(layers.Rescaling(1 / 127.5, offset=-1)(photo))
    features = layers.GlobalAveragePooling2D()(maps)
    answer = layers.Dense(2, activation="softmax", name="other")(features)
    second = keras.Model(photo, answer)
    second.get_layer("other").set_weights(first.get_layer("probabilities").get_weights())
    images = np.random.default_rng(4).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = make_grad_cam_maps(first, images, [1, 0])
    np.testing.assert_allclose(make_grad_cam_maps(second, images, [1, 0]), expected, rtol=1e-4)


# --- refusals -------------------------------------------------------------------------------


def test_a_network_without_maps_of_its_own_says_what_to_do():
    import keras
    from keras import layers

    photo = keras.Input((8, 8, 3), dtype="uint8")
    flat = layers.Flatten()(photo)
    linear = keras.Model(photo, layers.Dense(2, activation="softmax")(flat))
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.GlobalAveragePooling2D()])
    hidden = keras.Model(photo, layers.Dense(2, activation="softmax")(inner(photo)))
    sigmoid = keras.Model(photo, layers.Dense(1, activation="sigmoid")(flat))
    image = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    for model in (linear, hidden, sigmoid):
        with pytest.raises(ValueError, match="occlusion"):
            make_grad_cam_maps(model, image, [0])


def test_labels_that_do_not_fit_are_refused(network):
    images = np.zeros((2, SIDE, SIDE, 3), dtype=np.uint8)
    for labels in ([0], [0, 2], [-1, 0]):
        with pytest.raises(ValueError, match="labels"):
            make_grad_cam_maps(network, images, labels)
    with pytest.raises(ValueError, match="labels"):
        make_occlusion_maps(network.predict_on_batch, images, [0])
    with pytest.raises(ValueError, match="patches_per_side"):
        make_occlusion_maps(network.predict_on_batch, images, [0, 0], patches_per_side=0)


def test_no_photo_makes_no_map(network):
    nothing = np.zeros((0, SIDE, SIDE, 3), dtype=np.uint8)
    assert make_grad_cam_maps(network, nothing, []).shape == (0, SIDE, SIDE)
    assert make_occlusion_maps(network.predict_on_batch, nothing, []).shape == (0, SIDE, SIDE)
