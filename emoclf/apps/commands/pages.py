"""Help pages, plain text of 80 columns from the commands' docstrings; completion; the lesson."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from emoclf.apps.commands.terminal import echo
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from cyclopts import App, Argument

WIDTH = 80
_NAMES_WIDTH = 28
_COMMANDS_WIDTH = 23
_FEW_OPTIONS = 10
_TITLE = re.compile(r"^([A-Z][\w, ]+):$", flags=re.MULTILINE)
_ARGUMENT = r"`?(?<![\w/.'])({})\b(?:=('[^']*'|\(\d+, \d+\)|[\w+-]+(?:\.\d+)?))?(?![\w=/]|\.\w)`?"
_PLAIN = r"[\w.+/-]+"
_METAVARS = {"Path": "PATH", "int": "NUMBER", "float": "NUMBER", "str": "TEXT"}


def write_overview(introduction: str, groups: Mapping[str, Mapping[str, str]]) -> str:
    """Return the first page: what emoclf does, and each command's first line, group by group.

    The lines are read from the files, since importing all of them would take longer.

    Args:
        introduction: A docstring whose sections come after the commands.
        groups: Group -> name of a command -> `module:function`.
    """
    head, *sections = _TITLE.split(inspect.cleandoc(introduction))
    places = {place for group in groups.values() for place in group.values()}
    summaries: dict[str, str] = {}
    for module in {place.split(":")[0] for place in places}:
        tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                summaries[f"{module}:{node.name}"] = text.partition("\n")[0]
    lines = {
        title: {name: summaries[place] for name, place in group.items()}
        for title, group in groups.items()
    }
    lines["Options"] = {
        "-h, --help": "Show this page, or that of a command.",
        "--version": "Show the version.",
    }
    blocks = ["Usage: python -m emoclf COMMAND ...", *_wrap(head)]
    for title, group in lines.items():
        rows = [_write_row(name, text, width=_COMMANDS_WIDTH) for name, text in group.items()]
        blocks.append(f"{title}:\n" + "\n".join(rows))
    return "\n\n".join([*blocks, *_write_sections(sections)])


def write_page(name: str, command: App) -> str:
    """Return the page of a command: its arguments, then its options group by group."""
    from emoclf.apps.commands.options import OPTION_GROUPS

    titles: dict[str, list[Argument]] = {"Arguments": [], **{each: [] for each in OPTION_GROUPS}}
    ranked = {each: title for title, names in OPTION_GROUPS.items() for each in names}
    rank = [*ranked].index
    options = [each for each in list_arguments(command) if each.index is None]
    titles["Arguments"] = [each for each in list_arguments(command) if each.index is not None]
    for each in options:
        is_long = len(options) > _FEW_OPTIONS
        titles[ranked.get(each.name, "Options") if is_long else "Options"].append(each)
    head, *sections = _TITLE.split(inspect.cleandoc(command.help))
    blocks = [write_usage(name, command), *_wrap(head)]
    for title, found in titles.items():
        found.sort(key=lambda each: rank(each.name) if each.name in ranked else -1)
        if found:
            rows = [_write_row(_name_argument(each), _describe(each)) for each in found]
            blocks.append(f"{title}:\n" + "\n".join(rows))
    return "\n\n".join([*blocks, *_write_sections(sections)])


def write_usage(name: str, command: App) -> str:
    """Return how a command is called, in a line."""
    words = ["Usage: python -m emoclf", name, "[OPTIONS]"]
    for each in list_arguments(command):
        if each.index is not None:
            label = f"{each.name}..." if _takes_several(each) else each.name
            words.append(label if each.required else f"[{label}]")
        elif each.required:
            words.append(_name_argument(each))
    return " ".join(words)


def list_arguments(command: App) -> list[Argument]:
    """Return all that a command takes: its arguments and its options."""
    return [
        each for each in command.assemble_argument_collection(parse_docstring=True) if each.show
    ]


def name_options(text: str, command: App) -> str:
    """Write what a message says of arguments in Python as they are typed.

    Args:
        text: The message, such as `image_size=(48, 96) is out of range`.
        command: The command that was called.

    Returns:
        For example `--image-size 48x96 is out of range`.
    """
    options = [each for each in list_arguments(command) if each.index is None]
    names = {each.field_info.name: each.name for each in options}

    def write(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if value is None:
            return names[name] if "_" in name else found[0]  # others are words, too
        if value in ("True", "False"):
            return names[name] if value == "True" else f"--no-{names[name][2:]}"
        plain = value.strip("()'").replace(", ", "x")
        return f"{names[name]} {plain if re.fullmatch(_PLAIN, plain) else value}"

    return re.sub(_ARGUMENT.format("|".join(names)), write, text)


def _takes_several(argument: Argument) -> bool:
    return argument.token_count()[1]


def _name_argument(argument: Argument) -> str:
    if argument.index is not None:
        return f"{argument.name}..." if _takes_several(argument) else argument.name
    if argument.hint is bool:
        is_switch = argument.field_info.default is True
        return f"{argument.name}, --no-{argument.name[2:]}" if is_switch else argument.name
    kind = next((each for each in get_args(argument.hint) if each is not type(None)), argument.hint)
    metavar = argument.parameter.metavar or _METAVARS.get(getattr(kind, "__name__", ""), "CHOICE")
    return f"{argument.name} {metavar}"


def _describe(argument: Argument) -> str:
    """Return an argument's help, its choices and its default."""
    facts = []
    if choices := argument.get_choices():
        facts.append(f"choices: {', '.join(choices)}")
    default, show = argument.field_info.default, argument.show_default
    if show and default is not False and default != ():
        shown = show(default) if callable(show) else default
        facts.append(f"default: {'yes' if shown is True else shown}")
    text = " ".join((argument.parameter.help or "").replace("`", "").split())
    return f"{text}  [{'; '.join(facts)}]" if facts else text


def _write_row(name: str, text: str, *, width: int = _NAMES_WIDTH) -> str:
    """Return a name and the lines beside it; below it, if the name is long."""
    gap = " " * width
    lines = textwrap.fill(text, WIDTH, initial_indent=gap, subsequent_indent=gap)
    start = f"  {name}"
    return f"{start}\n{lines}" if len(start) > width - 2 else f"{start:{width}}{lines[width:]}"


def _wrap(text: str) -> list[str]:
    paragraphs = text.strip().split("\n\n")
    return [textwrap.fill(" ".join(each.split()), WIDTH) for each in paragraphs if each]


def _write_sections(sections: Iterable[str]) -> list[str]:
    """Return the sections of a docstring but that of its arguments, as they stand."""
    pairs = zip(*[iter(sections)] * 2, strict=True)
    return [f"{title}:\n{body.strip(chr(10))}" for title, body in pairs if title != "Args"]


def notebook(
    path: Path = Path("model.ipynb"),
    /,
    *,
    seed: int | None = None,
    without_solutions: bool = False,
    without_outputs: bool = False,
) -> None:
    """Write the lesson beside you: a Jupyter notebook.

    It trains and tests a network, and shows what every cell has printed once; run it, and it shows
    yours. Nothing is overwritten. The options are for a class.

    Args:
        path: The new file, or the folder that gets a model.ipynb.
        seed: Other drawn faces and another split than your neighbour's; leaves out what the cells
            have printed, which was another seed's.
        without_solutions: Leave out the solutions of the exercises.
        without_outputs: Leave out what the cells have printed.

    Examples:
      python -m emoclf notebook
      python -m emoclf notebook course/lesson.ipynb
      python -m emoclf notebook class/anna.ipynb --without-solutions --seed 7
    """
    from emoclf.config import Settings
    from emoclf.runtime import LESSON_NAME, MissingPartError, find_lesson, require_part
    from emoclf.storage import add_file

    target = path / LESSON_NAME if path.is_dir() else path
    if target.exists():
        raise FileExistsError(
            f"{show_text(target)} exists already and is left as it is. Give another name: "
            "python -m emoclf notebook lesson.ipynb"
        )
    source = find_lesson()
    write = partial(shutil.copyfile, source)
    if seed is not None:
        Settings(seed=seed)  # refuses one that is out of range
    if seed is not None or without_solutions or without_outputs:
        adapted = _adapt_lesson(
            json.loads(source.read_bytes()),
            seed=seed,
            keeps_solutions=not without_solutions,
            keeps_outputs=not without_outputs and seed is None,
        )
        text = json.dumps(adapted, indent=1, ensure_ascii=False) + "\n"
        write = partial(Path.write_bytes, data=text.encode())
    echo(f"The lesson is in {show_text(add_file([target], write))}")
    try:
        require_part("jupyterlab")
        require_part("tensorflow")
    except MissingPartError as error:
        echo(f"Before you open it: {show_text(error)}", err=True)
    echo(f"Next: python -m jupyter lab {quote_argument(target)}")


def _adapt_lesson(
    lesson: dict[str, Any], *, seed: int | None, keeps_solutions: bool, keeps_outputs: bool
) -> dict[str, Any]:
    """Return the lesson with another seed, and without what its readers are to find themselves."""
    cells = []
    for cell in lesson["cells"]:
        tags = cell["metadata"].get("tags", [])
        if "parameters" in tags and seed is not None:
            lines = [re.sub(r"^SEED = \d+", f"SEED = {seed}", line) for line in cell["source"]]
            cell = {**cell, "source": lines}
        if cell["cell_type"] == "code" and not keeps_outputs:
            cell = {**cell, "outputs": [], "execution_count": None}
        if keeps_solutions or "solution" not in tags:
            cells.append(cell)
    return {**lesson, "cells": cells}


def completion(shell: Literal["bash", "zsh", "fish", "powershell"], /) -> None:
    """Print the script with which a shell completes all this.

    Args:
        shell: Which shell.

    Examples:
      emoclf completion bash > ~/.local/share/bash-completion/completions/emoclf
      emoclf completion zsh > ~/.zfunc/_emoclf
      emoclf completion fish > ~/.config/fish/completions/emoclf.fish
      emoclf completion powershell >> $PROFILE
    """
    from emoclf.apps.commands import make_app

    echo(make_app().generate_completion(shell=shell))
