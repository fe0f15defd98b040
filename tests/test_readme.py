"""What the README and the pages of the rooms promise is what the project does."""

import ast
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import emoclf
from emoclf.apps.commands import COMMANDS, make_app
from emoclf.apps.commands.pages import list_arguments
from emoclf.config import Settings
from emoclf.data.synthetic import draw_face
from emoclf.images.faces import Face
from emoclf.inference import predictor
from emoclf.models.packaged import JointCard, ModelCard

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for path in (REPOSITORY / "README.md", *(REPOSITORY / "emoclf").rglob("README.md"))
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def read(page):
    return (REPOSITORY / page).read_text(encoding="utf-8")


def find_blocks(page, language):
    return [code for name, code in FENCED.findall(read(page)) if name == language]


def find_anchors(path):
    """What GitHub makes of the headings of a page."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def find_links(page):
    """`(file, anchor)` of every link of a page that stays in the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", read(page)))
    for target in targets:
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            file = REPOSITORY / page
            yield (file.parent / name).resolve() if name else file, anchor


def commands():
    return re.findall(r"^python3 -m venv .*$", read("README.md"), flags=re.MULTILINE)


def test_two_commands_do_all_the_set_up():
    notebook, tests = commands()
    assert "jupyter nbconvert --to notebook --execute" in notebook
    assert notebook.endswith("model.ipynb")
    assert tests.endswith("pytest")


def test_continuous_integration_runs_the_second_command(repository):
    script = (repository / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -m 1 '(.*)' README\.md", script)
    assert [c for c in commands() if re.match(pattern, c)] == commands()[1:]


def test_the_readme_is_short_and_its_first_screen_shows_everything():
    lines = read("README.md").splitlines()
    assert len(lines) <= 300
    first = "\n".join(lines[:45])
    assert all(command in first for command in commands())
    assert all(fence in first for fence in ("```python", "```bash\npython -m emoclf predict"))
    (picture,) = re.findall(r"^!\[.+\]\((.+\.png)\)$", first, flags=re.MULTILINE)
    assert (REPOSITORY / picture).stat().st_size < 150_000


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_sections_and_files(page):
    for file, anchor in find_links(page):
        assert file.exists(), f"{page}: {file}"
        assert file.is_relative_to(REPOSITORY), f"{page}: {file}"
        assert not anchor or anchor in find_anchors(file), f"{page}: {file}#{anchor}"


def test_the_readme_leads_to_every_page():
    linked = {file for file, _ in find_links("README.md")} | {REPOSITORY / "README.md"}
    assert [page for page in PAGES if REPOSITORY / page not in linked] == []


def find_badge_fault(text, urls):
    """Say what is wrong with the links into Colab, given the addresses that the project names."""
    links = re.findall(r"colab\.research\.google\.com/(?:github|gist|drive)[^\s)\"'>]*", text)
    named = (re.match(r"https://github\.com/([\w-]+/[\w.-]+?)(\.git)?/?$", u) for u in urls)
    repositories = {match[1] for match in named if match}
    if not repositories:
        return f"no repository is named, so this leads nowhere: {links}" if links else None
    if len(links) != 1:
        return f"one badge should lead to {repositories}, received {links}"
    found = re.fullmatch(r"[^/]+/github/([\w-]+/[\w.-]+)/blob/[\w./-]+/model\.ipynb", links[0])
    return None if found and {found[1]} == repositories else f"{links[0]}: not {repositories}"


def test_the_badge_leads_to_the_lesson_in_the_projects_repository_or_is_not_there():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    first = json.loads(read("model.ipynb"))["cells"][0]["source"]
    for text in (read("README.md"), "".join(first)):
        assert find_badge_fault(text, project.get("urls", {}).values()) is None


COLAB = "https://colab.research.google.com/github"
URL = "https://github.com/owner/emoclf"


@pytest.mark.parametrize(
    ("link", "urls", "is_right"),
    [
        (None, [], True),
        (None, ["https://example.org"], True),
        (None, [URL], False),
        (f"{COLAB}/", [], False),
        (f"{COLAB}/owner/emoclf/blob/main/model.ipynb", [], False),
        (f"{COLAB}/owner/emoclf/blob/main/model.ipynb", [URL], True),
        (f"{COLAB}/owner/emoclf/blob/main/model.ipynb", [f"{URL}.git", "https://a.org"], True),
        (f"{COLAB}/other/emoclf/blob/main/model.ipynb", [URL], False),
        (f"{COLAB}/owner/emoclf/blob/main/lesson.ipynb", [URL], False),
        (f"{COLAB}/owner/emoclf/blob/model.ipynb", [URL], False),
        (f"{COLAB}/", [URL], False),
    ],
)
def test_a_badge_that_leads_elsewhere_is_noticed(link, urls, is_right):
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    badge = f"[![Open in Colab]({picture})]({link})" if link else "no badge"
    assert (find_badge_fault(badge, urls) is None) == is_right


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_to_fill_in(page):
    assert not re.search(r"@[A-Z]+@|TODO|TBD", read(page))


def test_requirements_are_what_the_readme_says(repository):
    text = read("README.md").lower()
    files = [*(repository / "emoclf").rglob("requirements.txt")]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    names = {re.split(r"[<>=]", line)[0] for line in lines if not line.startswith("#")}
    assert {"tensorflow", "numpy", "gradio"} <= names
    assert [name for name in names if name.removesuffix("-python") not in text] == []


def test_there_are_examples_in_python_and_in_the_shell():
    assert sum(len(find_blocks(page, "python")) for page in PAGES) >= 6
    assert sum(len(find_blocks(page, "bash")) for page in PAGES) >= 8


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_compile_and_name_what_is_there(page):
    for block in find_blocks(page, "python"):
        compile(block, page, "exec")
        assert block.startswith("import emoclf\n"), f"{page}: not to be run as it stands"
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "emoclf":
                assert node.attr in emoclf.__all__, f"{page}: emoclf.{node.attr}"


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_have_the_options_that_are_shown(page):
    for line in "".join(find_blocks(page, "bash")).splitlines():
        if line.startswith("python -m emoclf "):
            name, *words = shlex.split(line, comments=True)[3:]
            assert name in COMMANDS, line
            options = {o for each in list_arguments(make_app()[name]) for o in each.names}
            assert {word for word in words if word.startswith("-")} <= options, line


class OneFace:
    name = description = "A detector that knows where the face is."
    note = ""

    def find(self, image):
        height, width = image.shape[:2]
        return (Face(box=(width * 0.2, height * 0.2, width * 0.6, height * 0.6), score=0.9),)


@pytest.mark.parametrize("page", ["README.md", "emoclf/inference/README.md"])
def test_the_first_example_answers(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictor, "_packaged", {})
    monkeypatch.setattr(predictor, "make_detector", OneFace)
    Image.fromarray(draw_face("Happy", seed=0)).save("photo.jpg")
    example = find_blocks(page, "python")[0]
    exec(compile(example, page, "exec"), {})
    shown, found = re.findall(r"# (photo\.jpg: .*)", example), capsys.readouterr().out
    assert "Happy" in found
    assert all(re.sub(r"\d+", "0", line) in re.sub(r"\d+", "0", found) for line in shown)


def test_the_example_of_a_training_trains(drawn_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(drawn_folder, tmp_path / "data")
    monkeypatch.setattr(emoclf, "Settings", lambda: Settings(epochs=1, image_size=(32, 32)))
    names = {}
    exec(compile(find_blocks("README.md", "python")[1], "README.md", "exec"), names)
    assert names["numbers"].photos.only_part == "test"
    assert str(names["numbers"]) in capsys.readouterr().out


def test_the_model_card_shows_the_figures_of_the_packaged_networks():
    table = ModelCard.load().tabulate_figures()
    page = read("emoclf/models/packaged/README.md")
    whole = JointCard.load().tabulate_figures()
    assert (len(table.rows), len(whole.rows)) == (15, 22)
    for row in (table.headers, *table.rows, whole.headers, *whole.rows):
        assert f"| {' | '.join(row)} |" in page


def test_the_figures_of_the_lesson_are_those_of_the_notebook(repository):
    import nbformat

    from tests.run_notebook import read_outputs

    printed = "\n".join(read_outputs(nbformat.read(repository / "model.ipynb", as_version=4)))
    text = (repository / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"the lesson's (?:network|step 3: joint) \| (\S+) \((\S+) to (\S+),", text)
    for name, (value, low, high) in zip(("your network", "step 3"), rows[:2], strict=True):
        assert re.search(rf"^ *{name} +{value} +{low} to {high}", printed, re.MULTILINE), name


def test_the_table_of_commands_is_complete():
    named = re.findall(r"^\| `([a-z-]+)[ `]", read("README.md"), flags=re.MULTILINE)
    assert set(COMMANDS) <= set(named)


def test_the_tree_names_what_is_there(repository):
    (tree,) = [code for code in find_blocks("README.md", "") if "model.ipynb" in code]
    room, seen = repository, set()
    for line in tree.splitlines():
        name, text = line[:19], line[19:]
        if name.strip():
            room = repository / ("emoclf" if name.startswith(" ") else "") / name.strip()
            seen.add(room.name)
            assert room.exists(), line
        for word in re.findall(r"\b([a-z_]+(?:\.py|/))(?= |,|$|\))", text):
            assert any(room.rglob(word.rstrip("/"))), f"{room.name}: {word}"
    assert {path.parent.name for path in repository.glob("emoclf/*/__init__.py")} <= seen
    assert {"model.ipynb", "data", "logs", "tests", "requirements.txt"} <= seen
