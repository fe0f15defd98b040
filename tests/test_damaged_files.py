"""Files that emoclf wrote and somebody changed: an error that names the file, never a crash."""

import json
import shutil
from dataclasses import asdict

import keras
import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.folds import make_folds
from emoclf.data.loading import cache_photos
from emoclf.experiments.baselines.training import keep_baseline
from emoclf.experiments.kept_folds import load_cross_validation
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import write_json
from emoclf.training import KeepState, compile_model
from emoclf.training.callbacks import BestCheckpoint, EventFiles, HistoryFile
from emoclf.training.state import SavedState, list_states, load_state, save_state

HOLE = "@@"
WRONG = {
    "null": "null",
    "true": "true",
    "minus one": "-1",
    "infinite": "1e400",
    "text": '"x"',
    "list": "[]",
    "object": "{}",
    "deep": "[" * 2000 + "]" * 2000,
    "long text": json.dumps("x" * 1_000_000),
    "not a number": "NaN",
    "huge": "1" + "0" * 400,
    "too huge": "1" + "0" * 5000,
    "escape": '"\\u001b[31m\\u0000"',
}
GONE = object()
HUGE = 2**2000


def find_places(value, place=()):
    """Return every place in a JSON value: its root, all keys, and the first entry of each list."""
    found = [place]
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value[:1])
    else:
        return found
    for key, each in inside:
        found += find_places(each, (*place, key))
    return found


def put(value, place, new):
    """Return a copy with something else at a place, or without that key."""
    if not place:
        return new
    copy = json.loads(json.dumps(value))
    parent = copy
    for key in place[:-1]:
        parent = parent[key]
    if new is GONE:
        del parent[place[-1]]
    else:
        parent[place[-1]] = new
    return copy


def damage(value):
    """Yield name and text of every variant."""
    for place in find_places(value):
        text = json.dumps(put(value, place, HOLE))
        for name, wrong in WRONG.items():
            yield f"{place} {name}", text.replace(json.dumps(HOLE), wrong)
        if place:
            yield f"{place} gone", json.dumps(put(value, place, GONE))
    yield "unknown key", json.dumps({**value, "unknown": 1} if isinstance(value, dict) else [1])


def check(path, load):
    """Damage a file in every way; every outcome is a value or an error line that names it."""
    kept = path.read_text()
    load()
    problems, refused = [], 0
    for name, text in damage(json.loads(kept)):
        path.write_text(text)
        try:
            load()
        except (ValueError, FileNotFoundError) as error:
            refused += 1
            said = str(error)
            if path.name not in said or len(said) > 2000 or "\x1b" in said:
                problems.append(f"{name}: {said[:300]}")
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            problems.append(f"{name}: {error!r:.300}")
    path.write_text(kept)
    load()
    assert problems == []
    return refused


@pytest.fixture(scope="module")
def split():
    paths = [*(f"{n}.jpg" for n in range(18)), *(f"t{n}.jpg" for n in range(4))]
    parts = ["train"] * 18 + ["test"] * 4
    return Photos.make(paths, [0, 1] * 11, parts=parts, root="photos")


def test_settings(tmp_path):
    path = write_json(tmp_path / "settings.json", Settings().to_dict())
    assert check(path, lambda: Run(tmp_path).settings) > 150
    for name in Settings().to_dict():
        path.write_text(json.dumps(put(Settings().to_dict(), (name,), GONE)))
        with pytest.raises(ValueError, match=rf"settings\.json.*{name} is missing"):
            _ = Run(tmp_path).settings
    path.write_text(json.dumps({**Settings().to_dict(), "colour": 1}))
    with pytest.raises(ValueError, match="colour is unknown"):
        _ = Run(tmp_path).settings


@pytest.mark.parametrize("name", list(Settings().to_dict()))
@pytest.mark.parametrize(
    "value", [None, "x", [], (1,), {}, b"x", float("nan"), HUGE], ids=lambda value: f"{value!r:.12}"
)
def test_settings_in_a_program_are_refused_by_name(name, value):
    present = getattr(Settings(), name)
    if isinstance(present, str) and isinstance(value, str):
        pytest.skip("may be right")
    if name == "patience" and value == HUGE:
        pytest.skip("is right")
    if value is None and Settings.__dataclass_fields__[name].default is None:
        pytest.skip("leaves it to the network")
    with pytest.raises(ValueError, match=rf"^{name}="):
        Settings(**{name: value})


def test_split(tmp_path, split):
    path = split.save(tmp_path / "split.json")
    assert check(path, lambda: Photos.load(path)) > 100


def test_accesses(tmp_path):
    access = {"time": "t", "model_sha256": "a", "predictions_sha256": "b", "photos_sha256": "c"}
    path = write_json(tmp_path / "run" / "test_access_log.json", [{**access, "photos": 4}] * 2)
    assert check(path, lambda: str(Run(path.parent).load_access_log())) > 50


@pytest.fixture
def validated(tmp_path, split):
    from emoclf.experiments.kept_folds import PLAN_NAME, find_fold_file

    learned = split.part("train")
    folds = make_folds(learned, fold_count=3)
    split.save(tmp_path / "split.json")
    facts = {"learner": "network", "fold_count": 3, "repeats": 1, "pixels": {"train": "0a"}}
    write_json(tmp_path / PLAN_NAME, {"facts": facts, "files": list(learned.paths)})
    for fold in range(3):
        positions = folds.find_tested(0, fold).tolist()
        document = {
            "facts": {"positions": positions},
            "probabilities": [[0.25, 0.75]] * len(positions),
            "best_epoch": 1,
            "collapse": None,
            "seconds": 1.5,
        }
        write_json(find_fold_file(Run(tmp_path), 0, fold), document)
    return tmp_path


@pytest.mark.parametrize("name", ["cross_validation.json", "folds/repeat-1-fold-2.json"])
def test_cross_validation(validated, name):
    path = validated / name

    def load():
        try:
            str(load_cross_validation(validated))
        except FileNotFoundError as error:  # more folds than there are files
            raise FileNotFoundError(f"{error} {path.name}") from error

    assert check(path, load) > 60


def test_a_baseline(tmp_path):
    photos = Photos.make(["a.jpg", "b.jpg", "c.jpg"], [0, 1, 1])
    given = {"name": "pixels", "title": "pixels", "photos": photos}
    value = {
        "facts": {"baseline": "pixels", "detector": "none"},
        "probabilities": [[0.25, 0.75]] * 3,
        "seconds": 1.5,
        "note": "a note",
        "without_face": None,
    }
    path, facts = write_json(tmp_path / "baseline-pixels.json", value), value["facts"]

    def load():
        try:
            keep_baseline(path, pytest.fail, facts=facts, **given)
        except ValueError as error:
            if "another training" not in str(error):  # of other facts: names the baselines
                raise

    assert check(path, load) > 60


def test_the_result_of_a_face_network(tmp_path, monkeypatch):
    from emoclf.experiments.face_network import recipe

    learning = recipe.LearningSettings()
    result = {"tuning_accuracy": 0.5, "precision": "float32"}
    path = write_json(tmp_path / "finished.json", {"facts": asdict(learning), **result})
    monkeypatch.setattr(recipe, "load_model", lambda *_, **__: (None, None))
    common = {"facts": {}, "watch": None, "policy": "float32", "say": lambda _: None}
    assert check(path, lambda: recipe._train_once(None, None, tmp_path, learning, **common)) > 15


def test_the_list_and_the_photos_of_a_cache(tmp_path, photos):
    def load():
        return cache_photos(
            photos, image_size=(8, 8), cache_folder=tmp_path, memory_limit_mib=0, progress=False
        )

    expected = load().images[:]
    (path,), (array,) = tmp_path.glob("*.json"), tmp_path.glob("*.npy")
    assert check(path, load) > 10
    content = array.read_bytes()
    headers = {
        "other shape": content.replace(b"(80, 8, 8, 3)", b"(80, 8, 4, 6)"),
        "far too many": content.replace(b"(80, 8, 8, 3), }    ", b"(10**9, 8, 8, 3), }"),
        "more than there is": content.replace(b"(80, 8, 8, 3), }   ", b"(99999, 8, 8, 3), }"),
        "floats": content.replace(b"'|u1'", b"'<f8'"),
        "objects": content.replace(b"'|u1'", b"'|O8'"),
        "no header": b"\x93NUMPY\x01\x00" + b"{" * 300,
        "deep": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"-" * 9000,
        "another version": b"\x93NUMPY\x09" + content[7:],
        "cut off": content[:-5],
        "empty": b"",
    }
    for name, damaged in headers.items():
        assert damaged != content, name
        array.write_bytes(damaged)
        with pytest.raises(ValueError, match=array.name):
            load()
    array.write_bytes(content)
    np.testing.assert_array_equal(load().images[:], expected)


# --- the states of a training -------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path):
    """A network, its callbacks, and a state of theirs that is as it should be."""

    def make():
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
        compile_model(model)
        model.optimizer.build(model.trainable_variables)
        model.history = keras.callbacks.History()
        early = keras.callbacks.EarlyStopping()
        callbacks = [
            BestCheckpoint(tmp_path / "best.keras", None),
            HistoryFile(tmp_path / "history.csv"),
            EventFiles(tmp_path / "tensorboard"),
            early,
        ]
        early.on_train_begin()
        keep = KeepState(Run(tmp_path), None, callbacks=callbacks)
        for each in (*callbacks[:2], early, keep):
            each.set_model(model)
            each.set_params({"epochs": 3})
        early.best_weights, early.best = model.get_weights(), 0.5
        return keep

    keep = make()
    keep.on_epoch_end(0, {"loss": 0.5})
    return make, list_states(tmp_path / "state")[0]


def restore(make):
    keep = make()
    keep.on_train_begin()
    keep.on_train_end()


def test_facts_of_a_state(trained, tmp_path):
    make, path = trained
    restore(make)
    state, _ = load_state(path.parent)
    shutil.move(path, tmp_path / "kept")
    problems, refused = [], 0
    facts = {**state.facts, "python_random": [3, state.facts["python_random"][1], None]}
    for name, text in damage(json.loads(json.dumps(facts))):
        try:
            save_state(path.parent, SavedState(1, json.loads(text), state.arrays))
        except (ValueError, TypeError, RecursionError):
            continue  # no JSON: cannot be written like this
        try:
            restore(make)
        except ValueError as error:
            refused += 1
            if path.parent.name not in str(error) or len(str(error)) > 2000:
                problems.append(f"{name}: {str(error)[:300]}")
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            problems.append(f"{name}: {error!r:.300}")
    assert problems == []
    assert refused > 100


def test_arrays_of_a_state(trained):
    make, path = trained
    state, _ = load_state(path.parent)
    restore(make)
    for name, array in state.arrays.items():
        for changed in (None, array.astype("U4"), np.zeros((3, 3, 3)), np.zeros(0)):
            arrays = {key: each for key, each in state.arrays.items() if key != name}
            if changed is not None:
                arrays[name] = changed
            save_state(path.parent, SavedState(1, state.facts, arrays))
            if name.startswith("callback") and changed is None:
                continue  # nothing says how many there were
            with pytest.raises(ValueError, match=path.name):
                restore(make)


def test_a_state_that_promises_more_than_it_holds_is_not_believed(tmp_path):
    """A header of a few bytes must not reserve the memory that it speaks of."""
    import zipfile

    path = save_state(tmp_path, SavedState(1, {}, {"x": np.zeros(8, np.uint8)}))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    variants = {
        "shape": {"x.npy": members["x.npy"].replace(b"(8,), }      ", b"(8000000000000,), }"[:13])},
        "packed": {"x.npy": members["x.npy"]},
        "objects": {"x.npy": members["x.npy"].replace(b"'|u1'", b"'|O8'")},
        "facts": {"facts.npy": members["x.npy"]},
    }
    huge = members["x.npy"].replace(b"(8,)", b"(8000000000000,)")
    variants["shape"] = {"x.npy": huge.replace(b" " * 12 + b"\n", b"\n")}
    for name, changed in variants.items():
        packing = zipfile.ZIP_DEFLATED if name == "packed" else zipfile.ZIP_STORED
        content = {**members, **changed}
        if name == "packed":
            content["x.npy"] += b"\0" * 50_000_000
        with zipfile.ZipFile(path, "w", packing) as archive:
            for member, each in content.items():
                archive.writestr(member, each)
        assert path.stat().st_size < 100_000
        with pytest.raises(ValueError, match=path.name):
            load_state(tmp_path)
