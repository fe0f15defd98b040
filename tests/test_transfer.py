"""Networks that know something already: built, preprocessed once, frozen, trained in stages."""

import csv
import subprocess
import sys

import keras
import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.loading import make_dataset
from emoclf.images import ModelInfo
from emoclf.inference.testing import evaluate
from emoclf.models import (
    PretrainedWeightsError,
    build_cnn,
    build_deep_cnn,
    build_network,
    build_transfer_model,
    find_backbone,
    freeze_for_fine_tuning,
)
from emoclf.models.layers import walk_layers
from emoclf.models.model_file import load_info, load_model, save_model
from emoclf.training import Stage, plan_stages, start_run, train, train_model
from emoclf.training.fitting import describe_stage

SMALL = "mobilenetv3small"
ALL = [
    SMALL,
    "efficientnetlite0",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("vgg16", "resnet50v2", "efficientnetv2b0")
    ),
]


def make_photos(count=4, height=96, width=96, seed=0):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def build_tiny_backbone(*, weights, include_top, input_shape, include_preprocessing):
    """Stands in for MobileNetV3Small, which takes seconds to build and longer to train."""
    assert (weights, include_top, include_preprocessing) == (None, False, False)
    photo = maps = keras.Input(input_shape)
    for number, filters in enumerate((4, 6, 8, 8), start=1):
        maps = keras.layers.Conv2D(filters, 3, strides=2, name=f"conv_{number}")(maps)
        maps = keras.layers.BatchNormalization(momentum=0.5, name=f"bn_{number}")(maps)
        maps = keras.layers.ReLU(name=f"relu_{number}")(maps)
    return keras.Model(photo, maps, name="tiny")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNetV3Small", build_tiny_backbone)


@pytest.fixture
def weights_file(tiny, tmp_path):  # noqa: ARG001
    """Weights of a backbone as another task would leave them: none of them is as it began."""
    keras.utils.set_random_seed(5)
    backbone = find_backbone(build_transfer_model(SMALL, (32, 32), weights="none"))
    random = np.random.default_rng(5)
    backbone.set_weights([w + 0.01 * random.random(w.shape) for w in backbone.get_weights()])
    path = tmp_path / "backbone.weights.h5"
    backbone.save_weights(path)
    return path


@pytest.fixture
def transfer_model(weights_file):
    keras.utils.set_random_seed(6)
    return build_transfer_model(SMALL, (32, 32), weights=weights_file, augment=False)


@pytest.mark.parametrize("name", ALL)
def test_every_backbone_builds_learns_a_step_and_survives_saving(name, tmp_path):
    model = build_transfer_model(name, (96, 96), weights="none", seed=1)
    assert (model.input.dtype, model.input_shape) == ("uint8", (None, 96, 96, 3))
    freeze_for_fine_tuning(model, "all")
    model.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(model.train_on_batch(make_photos(), np.array([0, 1, 0, 1])))
    answers = model.predict_on_batch(make_photos())
    assert (answers.shape, answers.dtype) == ((4, 2), np.float32)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    path = save_model(model, tmp_path / "model.keras", info=ModelInfo())
    loaded, info = load_model(path)
    assert info.image_size == (96, 96)
    np.testing.assert_allclose(loaded.predict_on_batch(make_photos()), answers, atol=1e-5)
    assert len(find_backbone(loaded).weights) > 20


def preprocess_as_keras_does(name, photos):
    """What the backbone was shown when it learned, by Keras' own means."""
    values = photos.astype("float32")
    if name == "efficientnetlite0":
        return (values - 127) / 128
    if name == "efficientnetv2b0":
        whole = keras.applications.EfficientNetV2B0(weights=None, include_top=False)
        layer = next(one for one in whole.layers if isinstance(one, keras.layers.Normalization))
        return keras.Model(whole.input, layer.output).predict_on_batch(values)
    if name == SMALL:
        whole = keras.applications.MobileNetV3Small(
            weights=None, include_top=False, input_shape=(32, 32, 3)
        )
        layer = next(one for one in whole.layers if isinstance(one, keras.layers.Rescaling))
        return keras.Model(whole.input, layer.output).predict_on_batch(values)
    module = {"vgg16": "vgg16", "resnet50v2": "resnet_v2"}[name]
    return getattr(keras.applications, module).preprocess_input(values)


@pytest.mark.parametrize("name", ["vgg16", *ALL[:2], *ALL[3:]])
def test_raw_photos_reach_the_backbone_as_it_was_taught(name):
    """Rescaled once, in its channel order: no caller rescales, none can do it twice."""
    model = build_transfer_model(name, (32, 32), weights="none", augment=False)
    received = []
    inner = find_backbone(model)
    call = inner.call
    inner.call = lambda values, *rest, **options: (
        received.append(np.array(values)) or call(values, *rest, **options)
    )
    photos = make_photos(2, 32, 32)
    photos[0] = (255, 128, 0)
    model(photos)
    np.testing.assert_allclose(received[0], preprocess_as_keras_does(name, photos), atol=2e-4)
    assert not any(isinstance(one, keras.layers.Rescaling) for one in inner.layers)


def fit_one_epoch(model, side=32):
    """Learn from a few bright photos; return the variables that have changed."""
    before = {id(variable): variable.numpy() for variable in model.weights}
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    photos = 128 + make_photos(16, side, side) // 2
    model.fit(photos, np.arange(16) % 2, epochs=1, batch_size=8, verbose=0)
    return [v for v in model.weights if not np.array_equal(v.numpy(), before[id(v)])]


def find_statistics(model):
    return [
        variable
        for layer in walk_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.weights
    ]


@pytest.mark.parametrize("stage", [None, "head", "top", "all"])
def test_stages_never_move_batch_normalisation(transfer_model, stage):
    """Nor does training without any stage: it is frozen from the start."""
    if stage:
        freeze_for_fine_tuning(transfer_model, stage)
    changed = {id(v) for v in fit_one_epoch(transfer_model)}
    fixed = {id(v) for v in find_statistics(transfer_model)}
    learned = {id(v) for v in transfer_model.trainable_weights}
    assert len(fixed) == 16
    assert not changed & fixed
    assert changed == learned
    assert len(learned) == {"head": 2, "top": 4}.get(stage, 10)


def test_the_backbone_is_called_in_inference_mode(transfer_model):
    (node,) = find_backbone(transfer_model)._inbound_nodes[-1:]
    assert node.arguments.kwargs["training"] is False


def test_unfrozen_statistics_would_move(transfer_model):
    """So that the test above tests something: Keras forgets `training=False` (keras#20285)."""
    for layer in walk_layers(transfer_model):
        layer.trainable = True
    changed = {id(v) for v in fit_one_epoch(transfer_model)}
    assert any(id(v) in changed for v in find_statistics(transfer_model) if not v.trainable)


@pytest.mark.usefixtures("tiny")
def test_a_backbone_without_weights_learns_its_statistics():
    model = build_transfer_model(SMALL, (32, 32), weights="none", augment=False)
    assert any("moving" in v.path for v in fit_one_epoch(model))


@pytest.mark.parametrize("name", [SMALL, "efficientnetlite0"])
def test_a_small_folder_is_enough_for_the_statistics(name):
    """MobileNetV3 brings a momentum of 0.999, after which one class was predicted for all."""
    backbone = find_backbone(build_transfer_model(name, (32, 32), weights="none"))
    layers = [one for one in backbone.layers if isinstance(one, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in layers} == {layers[0].momentum}
    first = keras.Model(backbone.input, layers[2].output)  # the others take their time
    photos = make_photos(8, 32, 32) / 128 - 1
    for _ in range(72):  # three epochs of 384 photos
        expected = np.array(first(photos, training=True))
    received = np.array(first(photos, training=False))
    assert np.abs(received - expected).mean() < 0.05 * expected.std()


def test_the_top_is_the_end_of_the_backbone(transfer_model):
    freeze_for_fine_tuning(transfer_model, "top")
    flags = [
        layer.trainable
        for layer in walk_layers(transfer_model)
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert flags == sorted(flags), "frozen layers come first"
    assert sum(flags) == 1 + round(0.3 * (len(flags) - 1))
    with pytest.raises(ValueError, match=r"top_fraction=1\.5"):
        freeze_for_fine_tuning(transfer_model, "top", top_fraction=1.5)


def test_a_backbone_that_was_frozen_as_a_whole_learns_again(transfer_model):
    find_backbone(transfer_model).trainable = False
    assert len(freeze_for_fine_tuning(transfer_model, "all").trainable_weights) == 10


def test_the_top_of_vgg16_is_its_last_block_and_one_layer_more():
    model = freeze_for_fine_tuning(build_transfer_model("vgg16", (32, 32), weights="none"), "top")
    names = [layer.name for layer in find_backbone(model).layers if layer.trainable_weights]
    assert names == ["block4_conv3", "block5_conv1", "block5_conv2", "block5_conv3"]


def test_weights_come_from_a_file_of_weights_or_of_a_whole_network(
    transfer_model, weights_file, tmp_path
):
    path = save_model(transfer_model, tmp_path / "m.keras", info=ModelInfo(image_size=(32, 32)))
    photos = make_photos(2, 48, 40)
    features = [
        find_backbone(build_transfer_model(SMALL, (48, 40), weights=file)).get_weights()
        for file in (weights_file, path)
    ]
    for one, other, third in zip(
        *features, find_backbone(transfer_model).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    assert build_transfer_model(SMALL, (48, 40), weights=path)(photos).shape == (2, 2)


def test_unusable_files_are_named_with_the_ways_out(weights_file, run, tmp_path):
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(weights_file.read_bytes()[:5000])
    of_another = tmp_path / "other.weights.h5"
    build_cnn((32, 32), filters=(4, 4)).save_weights(of_another)
    for file, message in (
        (tmp_path / "gone.h5", "existing file"),
        (tmp_path, "existing file"),
        (damaged, "damaged or of another network"),
        (of_another, "damaged or of another network"),
        (run[1].run.model_file, "damaged or of another network"),
    ):
        with pytest.raises(PretrainedWeightsError, match=message) as error:
            build_transfer_model(SMALL, (32, 32), weights=file)
        assert "weights='none'" in str(error.value)
        assert str(file) in str(error.value)


def test_a_failed_download_says_what_to_do(monkeypatch):
    address = "https://storage.googleapis.com/tensorflow/weights_mobilenet_v3_no_top.h5"

    def fail(**_options):
        raise Exception(f"URL fetch failure on {address}: None -- unreachable")

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", fail)
    with pytest.raises(PretrainedWeightsError, match="'mobilenetv3small' are not") as error:
        build_transfer_model(SMALL)
    for part in (address, "weights='none'", ".weights.h5", "with a network", "~/.keras"):
        assert part in str(error.value)


@pytest.mark.slow
def test_keras_really_fails_in_that_way_without_a_network(tmp_path, repository):
    code = (
        "from emoclf.models import build_transfer_model, PretrainedWeightsError\n"
        "for name in ('vgg16', 'resnet50v2', 'mobilenetv3small', 'efficientnetv2b0'):\n"
        "    try: build_transfer_model(name)\n"
        "    except PretrainedWeightsError as error: print(name, error)\n"
    )
    environment = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    printed = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=repository,
        env={"PATH": "", "HOME": str(tmp_path), **environment},
    ).stdout
    assert printed.count("URL fetch failure on https://storage.googleapis.com/") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("vgg19",), "'vgg19' should be one of 'vgg16'"), ((SMALL, (31, 96)), r"at least \(32, 32\)")],
)
def test_unknown_backbones_and_small_photos_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_transfer_model(*arguments, weights="none")


# The deeper network


def test_the_deep_network_has_between_one_and_three_million_weights():
    model = build_deep_cnn()
    assert 1e6 < model.count_params() < 3e6
    answers = model.predict_on_batch(make_photos())
    assert (answers.shape, answers.dtype) == ((4, 2), np.float32)
    assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == 4
    assert find_backbone(model) is model


def test_the_deep_network_learns_to_tell_light_from_dark(tmp_path):
    keras.utils.set_random_seed(0)
    photos = np.concatenate([make_photos(48, 16, 16) // 3, 170 + make_photos(48, 16, 16) // 3])
    model = build_deep_cnn((16, 16), filters=(4, 6, 8), augment=False)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(photos, np.repeat([0, 1], 48), epochs=10, batch_size=16, verbose=0)
    answers = model.predict(photos, verbose=0)
    assert (answers.argmax(axis=1) == np.repeat([0, 1], 48)).mean() > 0.95
    path = save_model(model, tmp_path / "deep.keras", info=ModelInfo(image_size=(16, 16)))
    np.testing.assert_allclose(load_model(path)[0].predict(photos, verbose=0), answers, atol=1e-6)


def test_too_small_photos_are_refused_by_the_deep_network():
    with pytest.raises(ValueError, match=r"image_size=\(16, 96\).*at least \(32, 32\)"):
        build_deep_cnn((16, 96))


# What the settings ask for


@pytest.mark.parametrize(
    ("settings", "expected", "learns_in_stages"),
    [
        ({}, "small_cnn", False),
        ({"network": "deep"}, "deep_cnn", False),
        ({"network": "face", "image_size": (48, 48)}, "face_network", True),
        ({"network": SMALL, "weights": "none"}, "transfer_mobilenetv3small", False),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_one_function_builds_what_the_settings_ask_for(settings, expected, learns_in_stages):
    settings = Settings(**settings, dropout=0.12)
    model = build_network(settings, ("A", "B", "C"))
    assert (model.name, model.output_shape) == (expected, (None, 3))
    assert model.get_layer("dropout").rate == 0.12
    assert "augmentation" in [layer.name for layer in model.layers]
    assert settings.is_pretrained == learns_in_stages


def test_weights_reach_the_backbone(weights_file):
    settings = Settings(network=SMALL, weights=weights_file, image_size=(32, 32))
    assert settings.is_pretrained
    assert Settings(**settings.to_dict()) == settings
    expected = find_backbone(build_transfer_model(SMALL, (32, 32), weights=weights_file))
    received = find_backbone(build_network(settings))
    np.testing.assert_array_equal(received.get_weights()[0], expected.get_weights()[0])


def test_the_face_network_says_which_size_it_wants():
    with pytest.raises(ValueError, match=r"48 x 48 pixels.*image_size=\(96, 96\)"):
        Settings(network="face", image_size=(96, 96))
    assert build_network(Settings(network="face")).input_shape == (None, 48, 48, 3)


# Stages


def test_a_plan_divides_the_epochs():
    assert plan_stages(Settings(network=SMALL, epochs=15, learning_rate=2e-3)) == (
        Stage("head", 5, 2e-3),
        Stage("top", 10, 1e-4),
    )
    assert [s.learns for s in plan_stages(Settings(network="face", epochs=2))] == ["head", "all"]
    assert plan_stages(Settings(network=SMALL, epochs=1)) == (Stage("head", 1, 2e-3),)


def test_training_in_stages_is_one_history_and_ends_with_the_best(cache, photos, tmp_path):
    settings = Settings(image_size=(32, 48), epochs=5, seed=3)
    run = start_run(settings, photos, logs=tmp_path)
    keras.utils.set_random_seed(3)
    model = build_cnn((32, 48), filters=(4, 6))
    first = model.get_layer("convolution_1").get_weights()[0]
    said = []
    validation = make_dataset(cache, "validation")
    result = train_model(
        model,
        make_dataset(cache, "train"),
        validation=validation,
        run=run,
        stages=[Stage("head", 2, 1e-2), Stage("top", 1, 1e-3), Stage("head", 1, 3.0)],
        say=said.append,
        verbose=0,
    )
    assert said == [
        "head: 14 of 388 weights learn, 2 epochs at up to 0.01",
        "top: 236 of 388 weights learn, 1 epoch at up to 0.001",
        "head: 14 of 388 weights learn, 1 epoch at up to 3",
    ]
    np.testing.assert_array_equal(model.get_layer("convolution_1").get_weights()[0], first)
    losses = result.history["val_loss"]
    with (run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [float(row["val_loss"]) for row in rows] == losses
    assert result.best_epoch == 1 + int(np.argmin(losses)) <= 3, "the last stage makes it worse"
    saved, _ = load_model(run.model_file)
    saved.compile(loss="sparse_categorical_crossentropy")
    loss = saved.evaluate(validation, verbose=0)[0]
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_no_stage_is_refused(cache, photos, tmp_path):
    with pytest.raises(ValueError, match="at least one Stage"):
        train_model(
            build_cnn((32, 48), filters=(4, 4)),
            make_dataset(cache, "train"),
            validation=make_dataset(cache, "validation"),
            run=start_run(Settings(), photos, logs=tmp_path),
            stages=[],
        )


def test_a_stage_is_described_after_freezing(transfer_model):
    freeze_for_fine_tuning(transfer_model, "head")
    total = transfer_model.count_params()
    text = describe_stage(transfer_model, Stage("head", 3, 2e-3))
    assert text == f"head: 18 of {total:,} weights learn, 3 epochs at up to 0.002"


def test_the_packaged_face_network_is_trained_in_stages_by_one_call(photos, tmp_path):
    said = []
    settings = Settings(network="face", crop="none", epochs=2, augment=False)
    result = train(photos, settings, logs=tmp_path, say=said.append)
    assert [line.split(":")[0] for line in said[-2:]] == ["head", "all"]
    assert len(result.history["val_loss"]) == 2
    assert load_info(result.run.model_file).image_size == (48, 48)
    assert evaluate(result.run, progress=False).evaluation.accuracy.value > 0.7


def test_a_backbone_is_trained_in_stages_by_one_call(photos, weights_file, tmp_path):
    said = []
    settings = Settings(network=SMALL, weights=weights_file, image_size=(32, 48), epochs=2)
    result = train(photos, settings, logs=tmp_path, say=said.append)
    assert [line.split(":")[0] for line in said[-2:]] == ["head", "top"]
    model, _ = load_model(result.run.model_file)
    taught = build_network(settings)
    fixed = zip(find_statistics(model), find_statistics(taught), strict=True)
    for mine, other in fixed:
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
