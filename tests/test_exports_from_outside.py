"""Exported files that are not as emoclf has written them: a line, before a library crashes."""

import json
import os
import shutil

import numpy as np
import pytest

from emoclf.experiments.exporting import exports
from emoclf.images import ModelInfo
from emoclf.models import build_cnn
from emoclf.models.formats import load_export, loading, writers

from .model_files import spoil

INFO = ModelInfo(("Sad", "Happy"), (16, 32), "crop")


def export(folder, model, name, file_name):
    folder.mkdir()
    writers.write_export(model, folder / file_name, name, info=INFO, calibration=None)
    exports._describe_export(folder, name, INFO)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("exports"), build_cnn((16, 32), filters=(4, 4))
    return {
        "litert": export(folder / "litert", model, "litert", "model.tflite"),
        "saved_model": export(folder / "saved_model", model, "saved_model", "model"),
        "keras": export(folder / "keras", model, "keras", "model.keras"),
    }


@pytest.mark.parametrize("name", ["litert", "saved_model", "keras"])
def test_whole_exports_are_loaded_and_changed_ones_are_not(exported, tmp_path, name):
    photo = np.zeros((1, 16, 32, 3), np.uint8)
    assert load_export(exported[name]).predict_on_batch(photo).shape == (1, 2)
    files = [p for p in exported[name].rglob("*") if p.is_file() and p.name != "emoclf.json"]
    for number, file in enumerate(files):
        copy = shutil.copytree(exported[name], tmp_path / str(number))
        changed = copy / file.relative_to(exported[name])
        content = bytearray(changed.read_bytes() or b"x")
        content[len(content) // 2] ^= 1
        changed.write_bytes(content)
        with pytest.raises(ValueError, match="file is damaged"):
            load_export(copy)
    (copy / "extra").write_bytes(b"")
    with pytest.raises(ValueError, match="extra is not as it was written"):
        load_export(copy)


@pytest.mark.parametrize("name", ["litert", "saved_model", "keras"])
def test_what_a_library_raises_is_one_line(exported, tmp_path, name):
    """Somebody wrote a damaged file, and its checksum."""
    copy = shutil.copytree(exported[name], tmp_path / "copy")
    for file in [p for p in copy.rglob("*") if p.is_file()]:
        file.write_bytes(b"no network \x1b[2J \n" * 10)
    exports._describe_export(copy, name, INFO)
    with pytest.raises(ValueError, match="file is damaged") as caught:
        load_export(copy)
    assert str(caught.value).isprintable()


def test_a_file_with_other_outputs_is_refused(exported, tmp_path):
    copy = shutil.copytree(exported["litert"], tmp_path / "copy")
    value = json.loads((copy / "emoclf.json").read_text())
    value["class_names"].append("Angry")
    (copy / "emoclf.json").write_text(json.dumps(value))
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        load_export(copy)


def test_a_changed_description_is_an_error_line(exported, tmp_path, monkeypatch):
    copy = shutil.copytree(exported["litert"], tmp_path / "copy")
    description = copy / "emoclf.json"
    value = json.loads(description.read_text())
    monkeypatch.setitem(loading._LOADERS, "litert", lambda _: lambda _: np.zeros((1, 2)))
    tried = refused = 0
    for text in spoil(value):
        tried += 1
        description.write_text(text, encoding="utf-8")
        try:
            load_export(copy)
        except (ValueError, FileNotFoundError) as error:
            refused += 1
            assert str(copy) in str(error)
            assert str(error).isprintable()
        assert exports._find_strange_file(copy) in (None, description, copy / "model.tflite")
    assert tried > 300
    assert refused > 0.4 * tried
    description.unlink()
    os.mkfifo(description)
    with pytest.raises(ValueError, match="named pipe"):
        load_export(copy)
    assert exports._find_strange_file(copy) == copy
