"""What works without the extra `lesson`, what says that it is missing, what the wheel brings."""

import email
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from types import SimpleNamespace

import pytest

from emoclf import runtime
from emoclf.config import Settings
from emoclf.data.synthetic import make_drawn_faces
from emoclf.photos import Photos
from emoclf.run import Run
from tests.calls import call

LESSON = (
    *("tensorflow", "keras", "tensorboard", "h5py"),
    *("jupyter", "jupyterlab", "notebook", "nbconvert", "nbformat", "IPython", "ipykernel"),
)
NAMES = ("TensorFlow", "Keras")
WITHOUT_LESSON = f"""
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {LESSON!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def run_python(code, folder, *words):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_LESSON + code, *map(str, words)],
        cwd=folder,
        env={**runtime.os.environ, "PYTHONPATH": str(runtime.find_project()), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


CALL_EACH = """
from unittest import mock
from emoclf.images.faces import Face
from tests.calls import call

class OneFace:
    name = description = "A detector that knows where the face is."
    note = ""

    def find(self, image):
        height, width = image.shape[:2]
        return (Face(box=(width * 0.2, height * 0.2, width * 0.6, height * 0.6), score=0.9),)

calls = json.loads(sys.argv[1])
with mock.patch("emoclf.images.faces.make_detector", lambda *_, **__: OneFace()):
    done = [call(*words) for words in calls]
print(json.dumps([(each.exit_code, each.stdout, each.stderr) for each in done]))
"""


def call_each(folder, *lines):
    done = run_python(CALL_EACH, folder, json.dumps([line.split() for line in lines]))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path):
    make_drawn_faces(tmp_path / "data", photos_per_class=6, size=(64, 64), seed=1, progress=False)
    shutil.copy(next((tmp_path / "data" / "happy").iterdir()), tmp_path / "photo.jpg")
    run = tmp_path / "logs" / "first"
    run.mkdir(parents=True)
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        description = {"class_names": ["Sad", "Happy"], "image_size": [48, 48]}
        archive.writestr("emoclf.json", json.dumps({**description, "resize_mode": "pad"}))
    Run(run).save(Settings(), Photos.make(["a.jpg"], [0], parts=["train"], root=tmp_path))
    return tmp_path


def test_everything_but_training_works(folder):
    lines = (
        "predict photo.jpg --save-annotated annotated",
        "explain photo.jpg --output maps",
        "draw-faces drawn --per-class 10 --no-flaws",
        "data-sets",
        "stage data staged",
        "clean data",
        "split data --output split.json",
        "evaluate packaged data",
        "analyse-errors packaged data --output found --no-robustness",
        "doctor",
        "completion bash",
        "--help",
        "train --help",
        "notebook",
        "train drawn --name j",
        "evaluate logs/j",
        "predict photo.jpg --model logs/j",
        "cross-validate drawn --folds 3 --name cv",
        "find-label-errors logs/cv",
        "compare-corrections logs/cv logs/cv/review/decisions.csv",
        "baselines logs/j --skip fine_tuned",
        "baselines drawn --skip fine_tuned --name b",
    )
    for line, (code, output, errors) in zip(lines, call_each(folder, *lines), strict=True):
        assert code == 0, f"{line}: {output} {errors}"
    assert (folder / "found" / "slices.png").is_file()


def test_the_page_for_any_browser_is_written_without_the_lesson(tmp_path):
    code = "from tests.calls import call\ncall('page', '--scene', '--detector', 'packaged', code=0)"
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert 5_000_000 < (tmp_path / "happy.html").stat().st_size < 10_000_000


def test_a_command_of_the_lesson_names_the_command_that_brings_it(folder):
    lines = (
        "train data --network small --name new",
        "train data --epochs 3 --name new",
        "baselines data --name new",
        "cross-validate data --network small --name new",
        "export logs/first",
        "compare-corrections logs/first photo.jpg",
        "train-face-model data --folder new",
        "train-face-model data --folder new --package packaged",
        "predict photo.jpg --model logs/first",
        "explain photo.jpg --output maps --model logs/first",
        "evaluate logs/first data",
        "analyse-errors logs/first data --output found",
        "live --video photo.jpg --model logs/first/model.keras",
    )
    before = sorted(folder.rglob("*"))
    for line, (code, output, errors) in zip(lines, call_each(folder, *lines), strict=True):
        assert (code, output) == (1, ""), f"{line}: {errors}"
        said, _, command = errors.partition("; install it with: ")
        assert said in [f"Error: This needs {name}, which is not installed" for name in NAMES]
        assert command == f"pip install -e '{runtime.find_project()}[lesson]'\n"
    assert sorted(folder.rglob("*")) == before


IN_PYTHON = """
import emoclf
from emoclf.models.formats import loading
from emoclf.runtime import MissingPartError

def load_saved_model():
    return loading._load_tried("saved_model", None, None)

tries = [
    *(lambda name=name: getattr(emoclf, name) for name in ("build_cnn", "build_network")),
    lambda: emoclf.train(None),
    lambda: emoclf.Predictor.load("logs/first"),
    lambda: emoclf.make_dataset(None, "train"),
    lambda: emoclf.set_seeds(1),
    lambda: emoclf.cross_validate(None),
    lambda: __import__("emoclf.training", fromlist="x").use_devices,
    lambda: __import__("emoclf.experiments.face_network.recipe"),
    lambda: __import__("emoclf.models.packaged", fromlist="x").load_face_network(),
    load_saved_model,
]
for number, each in enumerate(tries):
    try:
        each()
    except MissingPartError as error:
        assert "[lesson]" in str(error), error
    else:
        raise SystemExit(f"{number} needs nothing")
"""


def test_a_function_of_the_lesson_names_the_command_that_brings_it(folder):
    done = run_python(IN_PYTHON, folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_doctor_of_a_light_install_tells_and_does_not_blame(monkeypatch):
    versions = dict.fromkeys(runtime.PACKAGES, "99.0.0")
    monkeypatch.setattr(runtime, "find_versions", lambda: versions)
    versions.update(dict.fromkeys(runtime.LESSON_PACKAGES, "not installed"))
    (finding,) = runtime.doctor()
    assert "[lesson]" in finding and "predicting works" in finding
    assert runtime.find_missing(versions) == []
    versions["tensorflow"] = "99.0.0"
    assert runtime.find_missing(versions) == ["keras"]


def test_the_command_fits_how_the_package_came_here(tmp_path, monkeypatch):
    project = runtime.find_project()
    monkeypatch.chdir(project)
    assert runtime.write_install_command("lesson") == "pip install -e '.[lesson]'"
    monkeypatch.chdir(tmp_path)
    assert runtime.write_install_command("demo") == f"pip install -e '{project}[demo]'"
    monkeypatch.setattr(runtime, "find_project", lambda: None)
    assert runtime.write_install_command("demo") == "pip install 'emoclf[demo]'"
    assert runtime.write_install_command() == "pip install emoclf"


def test_every_extra_that_is_named_is_there(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["tool"]["setuptools"]["dynamic"]["optional-dependencies"]
    assert {extra for _, extra in runtime._PARTS.values()} <= set(extras)
    for files in extras.values():
        assert all((repository / file).is_file() for file in files["file"])


def test_each_dependency_stands_once(repository):
    files = [repository / "requirements.txt", *(repository / "emoclf").rglob("requirements.txt")]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    named = [re.split(r"[<>=]", line)[0] for line in lines if not line.startswith(("#", "-r"))]
    assert len(set(named)) == len(named) >= 15
    heavy = (repository / "emoclf" / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"tensor|keras|jupyter", heavy)


# the lesson beside you


def test_the_lesson_is_written_once_and_byte_for_byte(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    lines = call("notebook", code=0).stdout.splitlines()
    assert lines[-1] == "Next: python -m jupyter lab model.ipynb"
    assert (tmp_path / "model.ipynb").read_bytes() == (repository / "model.ipynb").read_bytes()
    (tmp_path / "model.ipynb").write_text("mine")
    assert "model.ipynb exists already" in call("notebook", code=1).stderr
    assert (tmp_path / "model.ipynb").read_text() == "mine"
    assert "'a b.ipynb'" in call("notebook", "a b.ipynb", code=0).stdout
    (tmp_path / "course").mkdir()
    call("notebook", "course", code=0)
    assert (tmp_path / "course" / "model.ipynb").is_file()


def read_cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_a_class_gets_the_lesson_without_solutions(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    call("notebook", "--without-solutions", code=0)
    whole = read_cells(repository / "model.ipynb")
    kept = [cell for cell in whole if "solution" not in cell["metadata"].get("tags", [])]
    assert read_cells(tmp_path / "model.ipynb") == kept != whole
    assert "<summary>Solution" not in (tmp_path / "model.ipynb").read_text(encoding="utf-8")
    call("notebook", "bare.ipynb", "--without-outputs", code=0)
    bare = read_cells(tmp_path / "bare.ipynb")
    assert [cell["source"] for cell in bare] == [cell["source"] for cell in whole]
    assert not [cell for cell in bare if cell.get("outputs") or cell.get("execution_count")]


def test_each_of_a_class_gets_a_seed_and_nobody_elses_outputs(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    for seed in (0, 7):
        call("notebook", f"class/{seed}.ipynb", "--seed", seed, code=0)
        cells = read_cells(tmp_path / "class" / f"{seed}.ipynb")
        pairs = zip(cells, read_cells(repository / "model.ipynb"), strict=True)
        (changed,) = [
            (new["source"], old["source"]) for new, old in pairs if new["source"] != old["source"]
        ]
        (line,) = [new for new, old in zip(*changed, strict=True) if new != old]
        assert re.match(rf"SEED = {seed}\b", line)
        assert not [cell for cell in cells if cell.get("outputs")]
    assert "--seed -1 is out of range" in call("notebook", "b.ipynb", "--seed", "-1", code=1).stderr
    assert not (tmp_path / "b.ipynb").exists()


def test_an_adapted_lesson_is_written_as_the_committed_one_is(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    call("notebook", "--without-solutions", code=0)
    lines = (repository / "model.ipynb").read_bytes().splitlines()
    assert set((tmp_path / "model.ipynb").read_bytes().splitlines()) <= set(lines)


def test_a_copy_without_the_lesson_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "find_project", lambda: None)
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)
    assert "Install emoclf with pip" in call("notebook", code=1).stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, repository):
    """What `pip install` installs, built without a network."""
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("setuptools 77 builds the package")
    source = tmp_path_factory.mktemp("source")
    for name in ("emoclf", "tests"):
        shutil.copytree(repository / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", "model.ipynb", "requirements.txt"):
        shutil.copy(repository / name, source / name)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(source / built.stdout.split()[-1]) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (metadata,) = [each for name, each in files.items() if name.endswith("dist-info/METADATA")]
    return SimpleNamespace(files=files, metadata=email.message_from_bytes(metadata))


def find_relative_links(text):
    targets = re.findall(r"\]\(([^)\s]+)|(?:href|src)=\"([^\"]+)", text)
    return [each for pair in targets for each in pair if each and not each.startswith("https://")]


def test_the_description_of_the_package_has_no_link_that_leads_nowhere(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = project["readme"]["text"]
    assert find_relative_links((repository / "README.md").read_text(encoding="utf-8"))
    assert find_relative_links(text) == []
    assert "python -m emoclf predict" in text


def test_the_wheel_is_light_and_brings_the_lesson(wheel, repository):
    assert find_relative_links(wheel.metadata.get_payload()) == []
    required = wheel.metadata.get_all("Requires-Dist")
    always = [each for each in required if "extra" not in each]
    assert len(always) >= 10
    assert not [each for each in always if re.match("tensor|keras|jupyter|gradio", each)]
    for name in ("tensorflow", "keras", "tensorboard", "jupyter"):
        for extra in ("lesson", "export", "test"):
            assert any(re.match(rf'{name}[<>=].*"{extra}"', each) for each in required), extra
    (lesson,) = [name for name in wheel.files if name.endswith("/model.ipynb")]
    assert wheel.files[lesson] == (repository / "model.ipynb").read_bytes()
    room = repository / "emoclf" / "apps" / "browser"
    parts = {each for each in room.rglob("*") if each.is_file() and "__pycache__" not in each.parts}
    parts = {each.relative_to(repository).as_posix() for each in parts if each.suffix != ".png"}
    assert parts - {"emoclf/apps/browser/README.md"} <= set(wheel.files)
