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
FOR_ALL = {"untrusted"}  # every room shows names, and it imports nothing
HEAVY = ("tensorflow", "keras", "cv2", "matplotlib", "sklearn", "scipy")


def read_table(repository):
    """Module -> modules it may import, from the table in the README's architecture section."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\|([^|]+)\|$", text, flags=re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", allowed)) for module, allowed in rows}


def find_imports(files):
    """Modules of emoclf that files import, inside functions and type checks too."""
    found = set()
    for path in files:
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
    """Module name -> its files: one, or those of a package."""
    found = {p.stem: [p] for p in (repository / "emoclf").glob("*.py") if p.stem != "__init__"}
    for package in (repository / "emoclf").glob("*/__init__.py"):
        found[package.parent.name] = sorted(package.parent.glob("*.py"))
    return found


def read_code(files):
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_the_table_names_every_module(repository):
    assert set(read_table(repository)) == set(modules(repository)) - FOR_ALL


def test_no_import_runs_against_the_table(repository):
    table = read_table(repository)
    for name, files in modules(repository).items():
        imported = find_imports(files) - {name} - FOR_ALL
        assert imported <= table.get(name, set()), f"{name} imports more than the README allows"


def test_the_table_allows_nothing_that_is_not_used(repository):
    table = read_table(repository)
    for name, files in modules(repository).items():
        assert table.get(name, set()) <= find_imports(files), (
            f"the README allows {name} more than it imports"
        )


def test_the_table_has_no_circle(repository):
    table = read_table(repository)
    while table:
        free = {name for name, allowed in table.items() if not allowed & set(table)}
        assert free, f"these modules import each other in a circle: {sorted(table)}"
        table = {name: allowed for name, allowed in table.items() if name not in free}


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


def test_import_is_light():
    loaded = run_python(
        f"import sys, emoclf; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_import_takes_less_than_a_fifth_of_a_second():
    code = "import time; t = time.perf_counter(); import emoclf; print(time.perf_counter() - t)"
    assert min(float(run_python(code)) for _ in range(3)) < 0.2


def test_most_rooms_load_neither_tensorflow_nor_opencv_nor_matplotlib():
    loaded = run_python(
        "import sys\n"
        "from emoclf import artefacts, cleaning, datasets, evaluation, inference, sources, splits\n"
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


def test_networks_are_pure_keras(repository):
    assert "import tensorflow" not in read_code(modules(repository)["models"])


@pytest.mark.parametrize(
    "name", [info.name for info in pkgutil.walk_packages(emoclf.__path__, "emoclf.")]
)
def test_the_examples_in_the_docstrings_hold(name):
    if name == "emoclf.demo.page":
        pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    assert doctest.testmod(importlib.import_module(name)).failed == 0
