"""What the README promises is what the project does."""

import re

from emoclf.__main__ import main
from emoclf.models.packaged import ModelCard, describe_card


def commands(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^python3 -m venv .*$", text, flags=re.MULTILINE)


def test_two_commands_do_all_the_set_up(repository):
    notebook, tests = commands(repository)
    assert "jupyter nbconvert --to notebook --execute" in notebook
    assert notebook.endswith("model.ipynb")
    assert tests.endswith("pytest")


def test_continuous_integration_runs_the_second_command(repository):
    script = (repository / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -m 1 '(.*)' README\.md", script)
    assert [c for c in commands(repository) if re.match(pattern, c)] == commands(repository)[1:]


def test_links_lead_to_sections_and_files(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (repository / target).exists(), target


def test_nothing_is_left_to_fill_in(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert not re.search(r"@[A-Z]+@|TODO|TBD", text)


def test_requirements_are_what_the_readme_says(repository):
    text = (repository / "README.md").read_text(encoding="utf-8").lower()
    lines = (repository / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        name = re.split(r"[<>=]", line)[0].strip()
        if name and not name.startswith("#"):
            assert name.removesuffix("-python") in text, name


def test_the_examples_compile(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_model_card_shows_the_figures_of_the_packaged_network(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert describe_card(ModelCard.load()) in text


def test_the_table_of_commands_is_complete(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z-]+)[ `]", text, flags=re.MULTILINE)
    assert set(main.commands) <= set(named)
    for line in re.findall(r"^python -m emoclf (.*)$", text, flags=re.MULTILINE):
        assert line.split()[0] in main.commands, line
