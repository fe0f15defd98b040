"""The command line: `python -m emoclf`, or `emoclf` once the package is installed."""

from __future__ import annotations

import click

import emoclf
from emoclf.commands.face_model import train_face_model_command
from emoclf.commands.predict import predict_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(emoclf.__version__, prog_name="emoclf")
def main() -> None:
    """Happy or sad? Ask a network about the faces in your photos.

    An expression is not a feeling: do not use the answers to judge people.

    \b
    Examples:
      python -m emoclf predict photo.jpg
      python -m emoclf predict photos/ --save-annotated answers
      python -m emoclf predict --help
    """  # noqa: D301 - click reads the backspace: keep the lines as they are


main.add_command(predict_command)
main.add_command(train_face_model_command)

if __name__ == "__main__":
    main(prog_name="python -m emoclf")
