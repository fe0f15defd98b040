"""Mixed precision where a GPU gains from it, and the LR range test."""

import keras
import numpy as np
import pytest

from emoclf.images import ModelInfo
from emoclf.models import (
    build_cnn,
    build_deep_cnn,
    build_transfer_model,
    copy_network,
    freeze_for_fine_tuning,
    uses_mixed_precision,
)
from emoclf.models.model_file import load_model, save_model
from emoclf.runtime import Hardware
from emoclf.training import compile_model, find_learning_rate, use_precision
from emoclf.training.classifier import choose_precision
from emoclf.training.lr_range_test import _smooth, _suggest


def make_photos(count=4, side=32, seed=0):
    shape = (count, side, side, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("names", "capabilities", "expected"),
    [
        ((), (), "float32"),
        (("Tesla K80",), ((3, 7),), "float32"),
        (("GTX 1080",), ((6, 1),), "float32"),
        (("Tesla V100",), ((7, 0),), "mixed_float16"),
        (("Tesla T4",), ((7, 5),), "mixed_float16"),
        (("A100",), ((8, 0),), "mixed_bfloat16"),
        (("H200",), ((9, 0),), "mixed_bfloat16"),
        (("A100", "Tesla T4"), ((8, 0), (7, 5)), "mixed_float16"),
        (("A100", "GTX 1080"), ((8, 0), (6, 1)), "float32"),
        (("no number",), (), "float32"),
        (("A100", "no number"), ((8, 0),), "float32"),
    ],
)
def test_mixed_precision_only_where_the_gpu_gains(names, capabilities, expected):
    assert choose_precision(Hardware(2, names, 12.0, capabilities)) == expected


def build_all():
    return {
        "small": build_cnn((32, 32), filters=(4, 6)),
        "deep": build_deep_cnn((32, 32), filters=(4, 6, 8)),
        "vgg16": build_transfer_model("vgg16", (32, 32), weights="none"),
    }


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_networks_in_mixed_precision_predict_in_float32_and_are_saved_so(policy, tmp_path):
    before = keras.config.dtype_policy().name
    with use_precision(policy):
        models = build_all()
    assert keras.config.dtype_policy().name == before
    for name, model in models.items():
        assert model.get_layer("rescaling").compute_dtype == "float32" or name == "small"
        assert uses_mixed_precision(model)
        answers = model.predict_on_batch(make_photos())
        assert answers.dtype == np.float32
        path = save_model(model, tmp_path / "model.keras", info=ModelInfo(image_size=(32, 32)))
        loaded, _ = load_model(path)
        assert not uses_mixed_precision(loaded)
        np.testing.assert_allclose(loaded.predict_on_batch(make_photos()), answers, atol=0.03)
        for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_mixed_precision_learns():
    keras.utils.set_random_seed(0)
    photos = np.concatenate([make_photos(32, 12) // 3, 170 + make_photos(32, 12) // 3])
    labels = np.repeat([0, 1], 32)
    with use_precision("mixed_float16"):
        model = build_cnn((12, 12), filters=(8, 8), augment=False)
    compile_model(model, learning_rate=0.01)
    model.fit(photos, labels, epochs=10, batch_size=16, verbose=0)
    assert model.evaluate(photos, labels, verbose=0)[1] > 0.9


def test_a_copy_shares_nothing_and_is_frozen_alike():
    model = freeze_for_fine_tuning(build_cnn((32, 32), filters=(4, 6)), "head")
    copy = copy_network(model)
    assert len(copy.trainable_weights) == len(model.trainable_weights) == 2
    copy.set_weights([weight + 1 for weight in copy.get_weights()])
    for one, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(one + 1, other)


def make_task(count=160):
    """Batches of light and dark photos, in a fixed order."""
    labels = np.arange(count) % 2
    photos = make_photos(count) // 3 + 100 * labels[:, None, None, None].astype(np.uint8)
    return [(photos[i : i + 16], labels[i : i + 16]) for i in range(0, count, 16)]


def build_task_model():
    keras.utils.set_random_seed(4)
    photo = keras.Input((32, 32, 3), dtype="uint8")
    maps = keras.layers.Rescaling(1 / 127.5, offset=-1)(photo)
    maps = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(maps)
    maps = keras.layers.BatchNormalization()(keras.layers.SpatialDropout2D(0.2)(maps))
    features = keras.layers.GlobalAveragePooling2D()(maps)
    answer = keras.layers.Dense(2, activation="softmax")(features)
    return compile_model(keras.Model(photo, answer), learning_rate=0.5)


def test_the_finder_suggests_a_rate_that_learns_and_one_between_too_small_and_too_large():
    model = build_task_model()
    curve = find_learning_rate(model, make_task(), steps=80)
    assert 1e-4 < curve.suggestion < 0.3
    assert f"{curve.suggestion:.1e}" in str(curve)
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed_losses) <= 80
    assert (np.diff(curve.rates) > 0).all()


def test_the_finder_leaves_the_model_as_it_was():
    model = build_task_model()
    freeze_for_fine_tuning(model, "head")
    compile_model(model, learning_rate=0.5)
    images, labels = make_task()[0]
    model.train_on_batch(images, labels)
    variables = [*model.variables, *model.optimizer.variables]
    before = [variable.numpy().copy() for variable in variables]
    state = np.random.get_state()[1].copy()
    find_learning_rate(model, make_task(), steps=20)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert len(model.trainable_weights) == 2


def test_the_same_seed_gives_the_same_curve():
    model = build_task_model()
    curves = [find_learning_rate(model, make_task(), steps=20, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(curves[0].losses, curves[1].losses)
    assert not np.array_equal(curves[0].losses, curves[2].losses)


def test_labels_that_say_nothing_give_no_suggestion():
    images = make_photos(16)
    labels = np.arange(16) % 2
    keras.utils.set_random_seed(4)
    model = build_cnn((32, 32), filters=(4, 4))
    model.get_layer("probabilities").set_weights([np.zeros((4, 2)), np.zeros(2)])
    curve = find_learning_rate(
        model, [(images, labels), (images, 1 - labels)], lowest=1e-8, highest=1e-7, steps=20
    )
    assert curve.suggestion is None
    assert "does not clearly fall" in str(curve)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 1.0, "highest": 0.1}, "lowest=1.0, highest=0.1"),
        ({"steps": 5}, "steps=5"),
        ({"smoothing": 0.0}, "smoothing=0.0"),
    ],
)
def test_ranges_that_make_no_curve_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find_learning_rate(build_task_model(), make_task(), **options)


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="no batch"):
        find_learning_rate(build_task_model(), [])


def test_one_unlucky_batch_is_no_slope():
    """Noise alone suggests nothing; a fall under noise is found where it is."""
    random = np.random.default_rng(2)
    rates = np.geomspace(1e-6, 1, 120)
    noise = 0.1 * random.standard_normal(120)
    noise[0] += 0.3
    fall = 0.7 - 0.4 / (1 + np.exp(-6 * (np.log10(rates) + 3)))
    for losses, found in ((0.7 + noise, False), (fall + noise, True)):
        suggestion = _suggest(rates, losses, _smooth(losses, 7.0), width=7.0)
        assert (suggestion is not None) == found
    assert 2e-4 < suggestion < 5e-3
