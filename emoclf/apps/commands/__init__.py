"""The commands of `python -m emoclf` by name, and how a typed line becomes a call of one of them.

A command is a function: its signature and docstring are its options and their help. Only the one
that is called is imported, and nothing heavy before it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import emoclf
from emoclf.apps.commands import terminal
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from cyclopts import App

GROUPS = {
    "Try it": {
        "predict": "predict:predict",
        "live": "showing:live",
        "demo": "showing:demo",
        "page": "showing:page",
        "draw-faces": "data:draw_faces",
        "notebook": "pages:notebook",
    },
    "Data": {
        "data-sets": "data:data_sets",
        "stage": "data:stage",
        "fetch": "data:fetch",
        "clean": "data:clean",
        "restore": "data:restore",
        "split": "data:split",
        "find-label-errors": "label_errors:find_label_errors",
        "apply-decisions": "label_errors:apply_decisions",
    },
    "Train": {
        "train": "training:train",
        "cross-validate": "label_errors:cross_validate",
        "train-face-model": "training:train_face_model",
    },
    "Evaluate": {
        "evaluate": "evaluating:evaluate",
        "baselines": "evaluating:baselines",
        "analyse-errors": "evaluating:analyse_errors",
        "compare-corrections": "label_errors:compare_corrections",
    },
    "Explain": {"explain": "predict:explain"},
    "Share and set up": {
        "export": "training:export",
        "doctor": "doctor:doctor",
        "completion": "pages:completion",
    },
}
"""What `--help` shows: group -> command -> its module in this folder and its function."""

COMMANDS = {name: place for group in GROUPS.values() for name, place in group.items()}
"""Name of a command -> module and function: imported when it is called."""

_HELP = ("-h", "--help")


def run(words: Sequence[str], introduction: str) -> int:
    """Run what was typed; what it prints passes the guard, and what goes wrong is said in a line.

    Args:
        words: What was typed after the program's name.
        introduction: The text of the first help page.

    Returns:
        The exit code: 0, 1 if it could not be done, 2 if it was not understood, 130 for Ctrl-C.
    """
    unnamed = "" if words[:1] in (["demo"], ["live"]) else terminal.UNNAMED  # those stay open
    with terminal.guarded_streams(), terminal.quiet_libraries():
        try:
            with terminal.waiting(unnamed):
                return _run(list(words), introduction)
        except KeyboardInterrupt as stop:
            terminal.echo(str(stop) or "Stopped.", err=True)
            return terminal.EXIT_INTERRUPTED
        except BrokenPipeError:  # who read the output has gone, as `head` does
            return terminal.EXIT_FAILED
        except terminal.find_explained() as error:
            text = terminal.explain(error)
            if isinstance(error, ValueError) and words[0] in COMMANDS:
                from emoclf.apps.commands.pages import name_options

                text = name_options(text, make_app()[words[0]])
            terminal.echo(f"Error: {text}", err=True)
            return terminal.EXIT_FAILED


def _run(words: list[str], introduction: str) -> int:
    if words[:1] == ["--version"]:
        terminal.echo(f"emoclf, version {emoclf.__version__}")
        return 0
    if not words or words[0] in _HELP:
        from emoclf.apps.commands.pages import write_overview

        terminal.echo(write_overview(introduction, GROUPS), err=not words)
        return 0 if words else terminal.EXIT_NOT_UNDERSTOOD
    options = words[: words.index("--")] if "--" in words else words
    if words[0] in COMMANDS and any(each in options for each in _HELP):
        from emoclf.apps.commands.pages import write_page

        terminal.echo(write_page(words[0], make_app()[words[0]]))
        return 0
    from cyclopts import CycloptsError

    try:
        return make_app()(words) or 0
    except CycloptsError as error:
        message = show_text(" ".join(str(error).split()))
    except terminal.UsageError as error:
        message = str(error)
    from emoclf.apps.commands.pages import write_usage

    known = make_app()[words[0]] if words[0] in COMMANDS else None
    usage = write_usage(words[0], known) if known else "Usage: python -m emoclf COMMAND ..."
    terminal.echo(f"Error: {message}\n{usage}\n--help says more.", err=True)
    return terminal.EXIT_NOT_UNDERSTOOD


def make_app() -> App:
    """Return the command line, with every command by name; a module is imported when it is used."""
    from cyclopts import App

    from emoclf.apps.commands.options import DEFAULTS, remember_given

    app = App(
        name="emoclf",
        help_flags=(),
        version_flags=(),
        default_parameter=DEFAULTS,
        config=remember_given,
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for name, place in COMMANDS.items():
        app.command(f"emoclf.apps.commands.{place}", name=name)
    return app
