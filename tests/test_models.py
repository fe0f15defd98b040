import keras
import numpy as np
import pytest

from emoclf.models import (
    build_augmentation,
    build_cnn,
    build_face_network,
    freeze_for_fine_tuning,
)


def make_photos(count=4, height=48, width=64, seed=0):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_raw_uint8_photos_become_probabilities():
    model = build_cnn((48, 64))
    answers = model.predict_on_batch(make_photos())
    assert model.input_shape == (None, 48, 64, 3)
    assert model.input.dtype == "uint8"
    assert answers.shape == (4, 2)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)


def test_rescaling_happens_once_and_inside():
    model = build_cnn((32, 32), augment=False)
    inner = keras.Model(model.input, model.get_layer("rescaling").output)
    values = inner.predict_on_batch(
        np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(32, 1).repeat(32, 2).repeat(3, 3)
    )
    assert (values.min(), values.max()) == (-1.0, 1.0)
    assert sum(isinstance(layer, keras.layers.Rescaling) for layer in model.layers) == 1


def test_augmentation_acts_while_training_only():
    photos = make_photos().astype("float32") / 127.5 - 1
    augment = build_augmentation(seed=3)
    unchanged = keras.ops.convert_to_numpy(augment(photos, training=False))
    changed = keras.ops.convert_to_numpy(augment(photos, training=True))
    np.testing.assert_array_equal(unchanged, photos)
    assert np.abs(changed - photos).mean() > 0.05


def test_augmentation_keeps_the_range_and_the_mean():
    """A layer that assumes another value range clips half of every photo."""
    dark, light = (
        np.full((64, 24, 24, 3), -0.6, "float32"),
        np.full((64, 24, 24, 3), 0.6, "float32"),
    )
    augment = build_augmentation(seed=3)
    for photos in (dark, light):
        changed = keras.ops.convert_to_numpy(augment(photos, training=True))
        assert changed.min() >= -1
        assert changed.max() <= 1
        assert changed.mean() == pytest.approx(photos.mean(), abs=0.1)


@pytest.mark.parametrize(("limit", "expected"), [(None, [96, 48, 24, 12, 6]), (24, [24, 12, 6])])
def test_maps_are_normalised_up_to_the_limit(limit, expected):
    model = build_cnn((96, 96), normalise_up_to_px=limit)
    normalised = [layer for layer in model.layers if "normalise" in layer.name]
    assert all(isinstance(layer, keras.layers.BatchNormalization) for layer in normalised)
    assert [layer.output.shape[1] for layer in normalised] == expected


def test_it_learns_to_tell_light_from_dark():
    keras.utils.set_random_seed(0)
    photos = np.concatenate([make_photos(48, 24, 24) // 3, 170 + make_photos(48, 24, 24) // 3])
    labels = np.repeat([0, 1], 48)
    model = build_cnn((24, 24), filters=(8, 8), augment=False)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(photos, labels, epochs=15, batch_size=16, verbose=0)
    assert model.evaluate(photos, labels, verbose=0)[1] > 0.95


def test_same_seed_same_weights():
    def first_weights():
        keras.utils.set_random_seed(7)
        return build_cnn((32, 32)).get_weights()[0]

    np.testing.assert_array_equal(first_weights(), first_weights())


def test_too_small_photos_are_refused():
    with pytest.raises(ValueError, match=r"image_size=\(8, 96\).*at least \(32, 32\)"):
        build_cnn((8, 96))


def test_more_classes_give_more_outputs():
    assert build_cnn((32, 32), ("Sad", "Happy", "Neither")).output_shape == (None, 3)


def fit_one_epoch(model):
    """Learn from a few bright photos; return the variables that have changed."""
    before = {variable.path: variable.numpy() for variable in model.weights}
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    photos = 128 + make_photos(16, 32, 32) // 2
    model.fit(photos, np.arange(16) % 2, epochs=1, batch_size=8, verbose=0)
    return {v.path for v in model.weights if not np.array_equal(v.numpy(), before[v.path])}


def build_tiny_face_network():
    keras.utils.set_random_seed(3)
    return build_face_network((32, 32), filters=(4, 6, 8), blocks=(1, 1), normalise_up_to_px=16)


def test_the_head_stage_changes_the_head_only():
    model = freeze_for_fine_tuning(build_tiny_face_network(), "head")
    assert fit_one_epoch(model) == {"logits/kernel", "logits/bias"}


def test_the_second_stage_changes_all_but_batch_normalisation():
    model = freeze_for_fine_tuning(build_tiny_face_network(), "head")
    model = freeze_for_fine_tuning(model, "all")
    changed = fit_one_epoch(model)
    fixed = {v.path for v in model.weights if "normalise" in v.path}
    assert len(fixed) >= 12
    assert any(path.endswith("moving_variance") for path in fixed)
    weights = {variable.path for variable in model.weights if "seed" not in variable.path}
    assert changed == weights - fixed


def test_without_freezing_the_statistics_would_move():
    """So that the test above tests something."""
    changed = fit_one_epoch(build_tiny_face_network())
    assert any(path.endswith("moving_mean") for path in changed)


def test_networks_inside_networks_are_frozen_too():
    inner = build_tiny_face_network()
    answer = keras.layers.Dense(2, activation="softmax", name="own_head")(inner.output)
    model = keras.Model(inner.input, answer)
    freeze_for_fine_tuning(model, "head", head="own_head")
    assert fit_one_epoch(model) == {"own_head/kernel", "own_head/bias"}
    freeze_for_fine_tuning(model, "all", head="own_head")
    assert not [path for path in fit_one_epoch(model) if "normalise" in path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stage": "tail"}, "stage='tail'"),
        ({"head": "logits"}, "'logits' should name a layer.*probabilities"),
    ],
)
def test_unknown_stages_and_heads_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        freeze_for_fine_tuning(build_cnn((32, 32)), **arguments)
