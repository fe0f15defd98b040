"""The options of the commands: where each stands, what is said of it, what is refused."""

import contextvars
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

import emoclf
from emoclf.apps.commands import COMMANDS, make_app
from emoclf.apps.commands.options import find_given, propose
from emoclf.apps.commands.pages import list_arguments, name_options, write_page
from emoclf.config import Settings
from tests.calls import call

PACKAGE = Path(emoclf.__file__).parent


@pytest.fixture(scope="module")
def arguments():
    """Command -> name -> argument."""
    app = make_app()
    return {name: {each.name: each for each in list_arguments(app[name])} for name in COMMANDS}


@pytest.mark.parametrize("command", ["train", "cross-validate", "baselines"])
@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_an_option_with_its_default_type_choices_and_help(
    command, field, arguments
):
    option = arguments[command][f"--{field.name.replace('_', '-')}"]
    hint = get_type_hints(Settings)[field.name]
    assert option.hint == hint
    assert option.field_info.default == field.default
    assert option.get_choices() == (get_args(hint) if get_origin(hint) is Literal else None)
    text = " ".join(Settings.__doc__.split())
    assert f"{field.name}: {' '.join(option.parameter.help.split())}" in text


def test_the_settings_that_are_given_arrive(tmp_path):
    values = {
        "image_size": ("32x48", (32, 48)),
        "crop": ("face", "face"),
        "network": ("deep", "deep"),
        "validation_fraction": ("0.2", 0.2),
        "batch_size": ("8", 8),
        "epochs": ("3", 3),
        "seed": ("7", 7),
        "weights": ("none", "none"),
    }
    words = [w for name, (text, _) in values.items() for w in (f"--{name.replace('_', '-')}", text)]
    app = make_app()
    _, bound, _ = app.parse_args(["train", str(tmp_path), *words, "--no-augment"])
    settings = bound.arguments["options"]
    assert {name: getattr(settings, name) for name in values} == {
        name: value for name, (_, value) in values.items()
    }
    assert settings.augment is False
    assert settings.patience == Settings().patience


def test_every_option_says_what_it_is_for(arguments):
    silent = [
        f"{command} {each.name}"
        for command, found in arguments.items()
        for each in found.values()
        if not each.parameter.help
    ]
    assert silent == []


def test_the_text_of_an_option_stands_once(arguments):
    files = [PACKAGE / "config.py", *(PACKAGE / "apps" / "commands").glob("*.py")]
    sources = " ".join(path.read_text(encoding="utf-8") for path in files)
    joined = re.sub(r'"\s*"', "", " ".join(sources.split()))  # strings in pieces
    texts = {
        " ".join(each.parameter.help.split())
        for found in arguments.values()
        for each in found.values()
    }
    assert {text: count for text in texts if (count := joined.count(text)) != 1} == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_page_has_80_columns_and_every_option(command, arguments):
    page = call(command, "--help", code=0).stdout
    assert max(map(len, page.splitlines())) <= 80
    assert page.startswith(f"Usage: python -m emoclf {command} ")
    for each in arguments[command].values():
        assert f"\n  {each.name}" in page
    assert page == call(command, "x", "-h", code=0).stdout


def test_the_first_page_names_every_command_and_fits():
    page = call("--help", code=0).stdout
    assert max(map(len, page.splitlines())) <= 80
    rows = re.findall(r"^  ([a-z][a-z-]*)  +[A-Z]", page, flags=re.MULTILINE)
    assert rows == [*COMMANDS]
    assert call(code=2).stderr == page


def test_what_follows_two_dashes_is_no_option(tmp_path):
    assert "--help" in call("clean", "--", tmp_path / "--help", code=1).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predcit", "a.jpg"], 'Unknown command "predcit". Did you mean "predict"?'),
        (["train", "data", "--epoch", "3"], "Unknown option: --epoch. Did you mean --epochs?"),
        (["train", "data", "--no-resume"], "Unknown option: --no-resume."),
        (["train", "data", "--crop", "faces"], 'Choose from: "none", "face"'),
        (["train", "data", "--epochs", "many"], 'unable to convert "many" into int'),
        (["train", "--split", "no.json"], '"no.json" for --split. There is no such file'),
        (["train", "data", "--image-size", "9x9x9"], "'9x9x9' is no size: give 96"),
        (["train", "data", "--map", "joy"], "'joy' is no pair folder=class"),
        (
            ["predict", "a.jpg", "--model", "no.keras"],
            "for --model. There is no such file",
        ),
        (
            ["clean", __file__],
            "FOLDER. Expected a folder, received a file. `stage` unpacks an archive.",
        ),
        (["split", "data", "--output", "."], "for --output. Expected a file, received a folder."),
        (["cross-validate", "data", "--folds", "1"], "--folds"),
        (["explain", "a.jpg"], "--output"),
        (["stage", "data"], "FOLDER"),
        (["fetch", "drawn-faces", "data", "--label-by", "fer2013"], "no meaning for drawn-faces"),
        (["demo", "--port", "0"], "--port"),
    ],
)
def test_what_is_not_understood_is_explained_in_a_line(words, said):
    called = call(*words, code=2)
    assert called.stdout == ""
    error, usage, more = called.stderr.splitlines()
    assert error.startswith("Error: ")
    assert said in error
    assert usage.startswith("Usage: python -m emoclf ")
    assert "--help" in more


def test_the_last_of_two_values_counts(tmp_path):
    _, bound, _ = make_app().parse_args(["train", str(tmp_path), "--epochs", "2", "--epochs", "3"])
    assert bound.arguments["options"].epochs == 3


@pytest.mark.parametrize("words", [["train", "data", "--name"], ["restore", "data", "--id"]])
def test_a_name_may_begin_with_a_dash(words):
    _, bound, _ = make_app().parse_args([*words, "-first"])
    assert "-first" in bound.arguments.values()


def test_what_is_typed_wrongly_is_shown_harmlessly():
    called = call("clean", "data", "--no\x1b[31m\nFORGED", code=2)
    assert "\x1b" not in called.output
    assert not [line for line in called.output.splitlines() if line.startswith("FORGED")]


def test_only_the_command_that_is_called_is_imported():
    code = (
        "import sys\nfrom emoclf.__main__ import main\nmain(sys.argv[1:])\n"
        "print(*[name for name in sys.modules if name.startswith('emoclf.apps.commands.')])\n"
        "print(*{'rich', 'numpy', 'cyclopts', 'docstring_parser'} & set(sys.modules))"
    )
    shown = {}
    for words in (["--version"], ["--help"], ["data-sets", "fer2013"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        modules, others = done.stdout.splitlines()[-2:]
        found = {each.rpartition(".")[2] for each in modules.split()}
        shown[words[0]] = found - {"pages", "terminal", "options"}, others
    assert shown["--version"] == (set(), "")
    assert shown["--help"] == (set(), "")
    assert shown["data-sets"][0] == {"data"}
    assert "rich" not in shown["data-sets"][1]


def test_a_page_shows_choices_and_defaults():
    page = " ".join(write_page("train", make_app()["train"]).split())
    assert "[choices: none, face, both; default: none, both with joint, face with face]" in page
    assert "[default: 96x96, 320x224 with joint, 48x48 with face]" in page
    assert "--augment, --no-augment" in page


@pytest.mark.parametrize(
    ("command", "said", "shown"),
    [
        ("train", "dropout=2.0 is out of range.", "--dropout 2.0 is out of range."),
        (
            "train",
            "image_size=(48, 96): leave image_size",
            "--image-size 48x96: leave --image-size",
        ),
        (
            "train",
            "Take `resize_mode='pad'` or crop='a b'.",
            "Take --resize-mode pad or --crop 'a b'.",
        ),
        ("train", "Set augment=False, resume=True.", "Set --no-augment, --resume."),
        ("explain", "class_name='Glad' of the model", "--class Glad of the model"),
        ("clean", "If so, pass max_fraction=0.61.", "If so, pass --max-fraction 0.61."),
        ("train", "Another network, name or seed, fold_count=3", None),
        ("train", "'/logs/epochs=3/a seed=2.jpg' and 'epochs=3.jpg'", None),
    ],
)
def test_a_message_names_options_as_they_are_typed(command, said, shown):
    assert name_options(said, make_app()[command]) == (shown or said)


def test_a_command_that_is_called_as_a_function_was_given_no_option():
    line = contextvars.Context().run(propose, "clean", "my photos", again=("--map",))
    assert line == "Next: python -m emoclf clean 'my photos'"
    assert contextvars.Context().run(find_given, "--map") == []
