"""All commands by name, and how a line that was typed becomes a call of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import emoclf
from emoclf.apps.commands import errors
from emoclf.apps.commands.terminal import echo, guarded_streams
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from cyclopts import App

COMMANDS = {
    "predict": "predict:predict",
    "explain": "explain:explain",
    "draw-faces": "data_set:draw_faces",
    "data-sets": "data_sets:data_sets",
    "stage": "data_sets:stage",
    "fetch": "data_sets:fetch",
    "clean": "data_set:clean",
    "restore": "data_set:restore",
    "split": "data_set:split",
    "train": "training:train",
    "evaluate": "evaluating:evaluate",
    "baselines": "evaluating:baselines",
    "analyse-errors": "evaluating:analyse_errors",
    "cross-validate": "label_errors:cross_validate",
    "find-label-errors": "label_errors:find_label_errors",
    "apply-decisions": "label_errors:apply_decisions",
    "compare-corrections": "label_errors:compare_corrections",
    "export": "evaluating:export",
    "live": "showing:live",
    "demo": "showing:demo",
    "doctor": "doctor:doctor",
    "train-face-model": "training:train_face_model",
    "completion": "app:completion",
}
"""Name of a command -> its module in this folder and its function: imported when it is called."""

_HELP = ("-h", "--help")


def run(words: Sequence[str], introduction: str) -> int:
    """Run a command; all that it prints passes the guard, and what goes wrong is said in a line.

    Args:
        words: What was typed after the program's name.
        introduction: The text of the first help page.

    Returns:
        The exit code: 0 for well, 1 for something that could not be done, 2 for a command that was
        not understood, 130 for Ctrl-C.
    """
    with guarded_streams():
        try:
            return _run(list(words), introduction)
        except KeyboardInterrupt as stop:
            echo(stop or "Stopped.", err=True)
            return errors.EXIT_INTERRUPTED
        except BrokenPipeError:  # who read the output has gone, as `head` does
            return errors.EXIT_FAILED
        except errors.find_explained() as error:
            echo(f"Error: {errors.explain(error)}", err=True)
            return errors.EXIT_FAILED


def _run(words: list[str], introduction: str) -> int:
    if words[:1] == ["--version"]:
        echo(f"emoclf, version {emoclf.__version__}")
        return 0
    if not words or words[0] in _HELP:
        from emoclf.apps.commands.pages import write_overview

        echo(write_overview(introduction, COMMANDS), err=not words)
        return 0 if words else errors.EXIT_NOT_UNDERSTOOD
    options = words[: words.index("--")] if "--" in words else words
    if words[0] in COMMANDS and any(each in options for each in _HELP):
        from emoclf.apps.commands.pages import write_page

        echo(write_page(words[0], make_app()[words[0]]))
        return 0
    from cyclopts import CycloptsError

    try:
        return make_app()(words) or 0
    except CycloptsError as error:
        message = show_text(" ".join(str(error).split()))
    except errors.UsageError as error:
        message = str(error)
    from emoclf.apps.commands.pages import write_usage

    known = make_app()[words[0]] if words[0] in COMMANDS else None
    usage = write_usage(words[0], known) if known else "Usage: python -m emoclf COMMAND ..."
    echo(f"Error: {message}\n{usage}\n--help says more.", err=True)
    return errors.EXIT_NOT_UNDERSTOOD


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


def completion(shell: Literal["bash", "zsh", "fish", "powershell"], /) -> None:
    """Print the script with which a shell completes the commands and options of `emoclf`.

    Args:
        shell: Which shell.

    Examples:
      emoclf completion bash > ~/.local/share/bash-completion/completions/emoclf
      emoclf completion zsh > ~/.zfunc/_emoclf
      emoclf completion fish > ~/.config/fish/completions/emoclf.fish
      emoclf completion powershell >> $PROFILE
    """
    echo(make_app().generate_completion(shell=shell))
