"""The command line: `python -m emoclf`, or `emoclf` once the package is installed."""

from __future__ import annotations

from typing import Any

import click

import emoclf
from emoclf.apps.commands.baselines import baselines_command
from emoclf.apps.commands.data_set import (
    clean_command,
    draw_faces_command,
    restore_command,
    split_command,
)
from emoclf.apps.commands.data_sets import data_sets_command, fetch_command, stage_command
from emoclf.apps.commands.demo import demo_command
from emoclf.apps.commands.doctor import doctor_command
from emoclf.apps.commands.error_analysis import analyse_errors_command
from emoclf.apps.commands.explain import explain_command
from emoclf.apps.commands.export import export_command
from emoclf.apps.commands.face_model import train_face_model_command
from emoclf.apps.commands.label_errors import (
    apply_decisions_command,
    compare_corrections_command,
    cross_validate_command,
    find_label_errors_command,
)
from emoclf.apps.commands.learning import train_command
from emoclf.apps.commands.live import live_command
from emoclf.apps.commands.options import clear_errors
from emoclf.apps.commands.predict import predict_command
from emoclf.apps.commands.terminal import guarded_streams
from emoclf.apps.commands.testing import evaluate_command


class Commands(click.Group):
    """All commands: listed in the order of the work, their output guarded, their errors clear."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order in which they were added."""
        return list(self.commands)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command; all that it prints, and what click says, passes the guard."""
        with guarded_streams():
            return super().main(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it has not explained itself is an error of one line, too."""
        with clear_errors():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(emoclf.__version__, prog_name="emoclf")
def main() -> None:
    """Happy or sad? Ask a network about the faces in your photos, or train one of your own.

    An expression is not a feeling: do not use the answers to judge people.

    \b
    Examples:
      python -m emoclf predict photo.jpg
      python -m emoclf predict photos/ --save-annotated answers

    \b
    A whole session, on faces that it draws:
      python -m emoclf draw-faces data
      python -m emoclf clean data
      python -m emoclf train data --name first
      python -m emoclf evaluate logs/first
      python -m emoclf predict photo.jpg --model logs/first
    """  # noqa: D301 - click reads the backspace: keep the lines as they are


for command in (
    predict_command,
    explain_command,
    draw_faces_command,
    data_sets_command,
    stage_command,
    fetch_command,
    clean_command,
    restore_command,
    split_command,
    train_command,
    evaluate_command,
    baselines_command,
    analyse_errors_command,
    cross_validate_command,
    find_label_errors_command,
    apply_decisions_command,
    compare_corrections_command,
    export_command,
    live_command,
    demo_command,
    doctor_command,
    train_face_model_command,
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m emoclf")
