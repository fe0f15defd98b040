import zipfile

import keras
import numpy as np
import pytest

from emoclf.images import ModelInfo
from emoclf.models import build_cnn, model_file
from emoclf.models.model_file import MEMBER_NAME, load_info, load_model, save_model

INFO = ModelInfo(("Sad", "Happy"), (16, 32), "crop")


@pytest.fixture(scope="module")
def model():
    return build_cnn((16, 32), filters=(4, 4))


def test_one_file_carries_everything(model, tmp_path):
    path = save_model(model, tmp_path / "model.keras", info=INFO)
    loaded, info = load_model(path)
    photos = np.random.default_rng(0).integers(0, 256, (3, 16, 32, 3), dtype=np.uint8)
    assert info == INFO
    assert load_info(path) == INFO
    np.testing.assert_array_equal(loaded.predict_on_batch(photos), model.predict_on_batch(photos))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]


def test_plain_keras_reads_the_same_file(model, tmp_path):
    path = save_model(model, tmp_path / "model.keras", info=INFO)
    assert keras.models.load_model(path).output_shape == (None, 2)


def test_a_save_that_fails_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = save_model(model, tmp_path / "model.keras", info=INFO)
    before = path.read_bytes()

    def break_off(*_arguments, **_keywords):
        raise OSError("No space left on device")

    monkeypatch.setattr(model_file.zipfile, "ZipFile", break_off)
    with pytest.raises(OSError, match="No space left"):
        save_model(model, path, info=INFO)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]


def test_info_that_does_not_fit_is_refused(model, tmp_path):
    wrong = ModelInfo(("Sad", "Happy"), (32, 16))
    with pytest.raises(ValueError, match=r"\(None, 16, 32, 3\).*\(None, 32, 16, 3\)"):
        save_model(model, tmp_path / "model.keras", info=wrong)
    with pytest.raises(ValueError, match=r"'.keras'"):
        save_model(model, tmp_path / "model.h5", info=INFO)


def test_missing_damaged_and_foreign_files_are_told_apart(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.keras does not exist"):
        load_model(tmp_path / "none.keras")
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(save_model(model, tmp_path / "m.keras", info=INFO).read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"damaged\.keras is damaged"):
        load_model(damaged)
    foreign = tmp_path / "foreign.keras"
    model.save(foreign)
    with pytest.raises(ValueError, match=r"foreign\.keras does not say which classes"):
        load_model(foreign)


def test_the_member_is_stored_once(model, tmp_path):
    path = save_model(model, tmp_path / "model.keras", info=INFO)
    save_model(load_model(path)[0], path, info=INFO)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist().count(MEMBER_NAME) == 1


def test_a_file_of_a_newer_keras_says_which(model, tmp_path):
    """Keras 3.15 writes what Keras 3.13, which Colab has, cannot build."""
    path = save_model(model, tmp_path / "model.keras", info=INFO)
    newer = tmp_path / "newer.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = content.replace(
                    b'"GlorotUniform", "config": {',
                    b'"GlorotUniform", "config": {"input_fans": 1, ',
                )
                assert b"input_fans" in content
            if name == "metadata.json":
                content = b'{"keras_version": "9.1.0"}'
            new.writestr(name, content)
    with pytest.raises(ValueError, match=r"newer\.keras was written by Keras 9\.1\.0"):
        load_model(newer)


def test_a_run_of_folds_says_that_it_keeps_no_model(tmp_path):
    (tmp_path / "folds").mkdir()
    with pytest.raises(FileNotFoundError, match="folds of a cross-validation"):
        load_info(tmp_path / "model.keras")
