"""The walls of the house: who imports whom, what an import costs, who decodes pictures."""

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import emoclf

REPOSITORY = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "keras", "cv2", "matplotlib", "sklearn", "scipy")


def read_floors(repository):
    """Room -> floor, from the table in the README's architecture section."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|[^|]+\|$", text, flags=re.MULTILINE)
    return {room: int(floor) for floor, room in rows}


def find_imports(path):
    """Rooms of emoclf that a file imports from, inside functions and type checks too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("emoclf"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("emoclf.")}
    return found


def modules(repository):
    """Room -> its files: one, or those of a folder with all its folders."""
    package = repository / "emoclf"
    found = {path.stem: [path] for path in package.glob("*.py") if path.stem != "__init__"}
    for room in package.glob("*/__init__.py"):
        found[room.parent.name] = sorted(room.parent.rglob("*.py"))
    return found


def read_code(files):
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_the_floors_name_every_room(repository):
    assert set(read_floors(repository)) == set(modules(repository))
    assert len(modules(repository)) <= 17


def test_no_import_runs_upward_or_sideways(repository):
    floors = read_floors(repository)
    upward = [
        f"{path.relative_to(repository)} (floor {floors[room]}) imports {other}"
        for room, files in modules(repository).items()
        for path in files
        for other in find_imports(path) - {room}
        if floors[other] >= floors[room]
    ]
    assert upward == []


def test_every_folder_says_what_it_is_for(repository):
    for room in (repository / "emoclf").rglob("*/"):
        if any(room.glob("*.py")):
            words = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
            assert words and len(words.splitlines()[0]) <= 100, room


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


def test_import_is_light():
    loaded = run_python(
        f"import sys, emoclf; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_most_rooms_load_neither_tensorflow_nor_opencv_nor_matplotlib():
    loaded = run_python(
        "import sys\n"
        "from emoclf import data, evaluation, inference\n"
        "from emoclf.data import cleaning, loading, sources, splitting\n"
        "from emoclf.models import model_file, packaged\n"
        "print([n for n in ('tensorflow', 'keras', 'cv2', 'matplotlib') if n in sys.modules])"
    )
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", emoclf.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(emoclf, name)
    assert name in dir(emoclf)
    if callable(value):
        assert value.__doc__


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="find_problems"):
        emoclf.no_such_name  # noqa: B018


DECODERS = re.compile(
    r"Image\.open|cv2\.imread|cv2\.imdecode|tf\.(io|image)\.decode|image_dataset_from_directory|"
    r"load_img|imread|imageio"
)


def test_only_the_decoder_decodes(repository):
    """One decoder: nothing else opens a picture, and TensorFlow never sees a scraped byte."""
    for name, files in modules(repository).items():
        found = DECODERS.findall(read_code(files))
        assert bool(found) == (name == "images"), f"{name}: {found}"


def test_loading_a_model_stays_safe(repository):
    for name, files in modules(repository).items():
        code = read_code(files)
        for danger in ("safe_mode=False", "layers.Lambda", "import pickle", "allow_pickle=True"):
            assert danger not in code, name
    files = (repository / "emoclf").rglob("*.py")
    readers = [file for file in files if "pickle import" in read_code([file])]
    # Its names are those of a list: what tests/test_efficientnet_lite0.py shows.
    assert [file.name for file in readers] == ["torch_file.py"]
    assert "def find_class" in read_code(readers)


def test_networks_are_pure_keras(repository):
    layers = (repository / "emoclf/models").glob("*.py")
    assert "import tensorflow" not in read_code(layers)


@pytest.mark.parametrize(
    "name", [info.name for info in pkgutil.walk_packages(emoclf.__path__, "emoclf.")]
)
def test_the_examples_in_the_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def resolves(name):
    """Whether `emoclf.room.name`, as a text writes it, can be imported or looked up."""
    value, parts = emoclf, name.split(".")
    for number, part in enumerate(parts[1:], start=2):
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(".".join(parts[:number]))
            except ImportError:
                return False
    return True


WRITTEN_NAME = re.compile(r"(?<![\w/.@-])emoclf(?:\.[A-Za-z_]\w*)+(?!\w*\()|emoclf(?:\.\w+)+(?=\()")


def test_every_name_that_a_text_writes_is_there(repository):
    texts = [*(repository / "emoclf").rglob("*.py"), *repository.rglob("*.md")]
    texts += [repository / "model.ipynb", *(repository / "tests" / "benchmarks").glob("*.py")]
    missing = {
        f"{path.relative_to(repository)}: {name}"
        for path in texts
        for name in WRITTEN_NAME.findall(path.read_text(encoding="utf-8"))
        if not resolves(name) and name != "emoclf.json"
    }
    assert not missing
