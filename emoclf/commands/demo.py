"""The command `demo`: a web page on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emoclf.commands.options import DetectorChoice, clear_errors, detector_options
from emoclf.commands.terminal import echo

if TYPE_CHECKING:
    from emoclf.inference import Predictor


@click.command("demo")
@click.option(
    "--model",
    "runs",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="RUN_OR_FILE",
    help="A run folder or a .keras file of yours to choose on the page; may be given repeatedly.",
)
@click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("logs"),
    show_default=True,
    help="A folder of runs, which are offered too.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="[default: the first free from 7860]")
@click.option("--share", is_flag=True, help="Also open a public address, through Gradio's servers.")
@detector_options
def demo_command(
    runs: tuple[Path, ...], logs: Path, port: int | None, share: bool, choice: DetectorChoice
) -> None:
    """Open a web page on this machine: drop or paste a photo, or use the camera.

    Only this machine can open it, and no photo is kept. Needs Gradio: pip install 'emoclf[demo]'.
    Ctrl-C ends it.

    \b
    Examples:
      python -m emoclf demo
      python -m emoclf demo --model logs/first --port 7900
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.commands.answering import load_predictor
    from emoclf.demo import Models, NetworkUnavailableError, serve_page

    def load(path: Path | None) -> Predictor:
        try:
            return load_predictor(path, choice)
        except click.ClickException as error:
            raise NetworkUnavailableError(error.format_message()) from error

    models = Models.find(logs, load_packaged=lambda: load(None), load_run=load, runs=runs)
    if share:
        echo(
            "Warning: --share lets anybody who has the address use this page, and sends their "
            "photos through Gradio's servers to this machine. Ask the people in them first.",
            err=True,
        )
    with (
        clear_errors(stopped="The page is closed."),
        serve_page(models, port=port, share=share) as address,
    ):
        echo(f"Open {address} in a browser. Ctrl-C ends it.")
        while True:
            time.sleep(3600)
