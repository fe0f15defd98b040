"""The command `demo`: a web page on this machine."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from emoclf.apps.commands.options import DetectorChoice, clear_errors, detector_options
from emoclf.apps.commands.terminal import echo

if TYPE_CHECKING:
    from emoclf.inference import Predictor

_ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Ctrl-C, `kill`, a terminal that is closed, and its closing on Windows."""


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
    Ctrl-C ends it (exit code 130), and so do `kill` (143) and closing the terminal (129).

    \b
    Examples:
      python -m emoclf demo
      python -m emoclf demo --model logs/first --port 7900
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.apps.commands.answering import load_predictor
    from emoclf.apps.page import Models, NetworkUnavailableError, serve_page

    def load(path: Path | None) -> Predictor:
        try:
            return load_predictor(path, choice)
        except click.ClickException as error:
            raise NetworkUnavailableError(error.format_message()) from error

    models = Models.find(logs, load, runs=runs)
    if share:
        echo(
            "Warning: --share lets anybody who has the address use this page, and sends their "
            "photos through Gradio's servers to this machine. Ask the people in them first.",
            err=True,
        )
    with (
        clear_errors(stopped="The page is closed."),
        _ending_once() as signals,
        serve_page(models, port=port, share=share) as address,
    ):
        echo(f"Open {address} in a browser. Ctrl-C ends it.")
        while not signals:
            time.sleep(0.5)


@contextmanager
def _ending_once() -> Iterator[list[int]]:
    """Let the first signal that ends a process end the block; later ones wait for its clean-up.

    Yields:
        The signals that came.
    """
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            _raise_end(number)

    numbers = [getattr(signal, name) for name in _ENDS if hasattr(signal, name)]
    # What is ignored stays ignored: `nohup` keeps a page open when its terminal is closed.
    before = {each: signal.getsignal(each) for each in numbers}
    before = {each: kept for each, kept in before.items() if kept not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, end)
    try:
        yield came
        if came:  # raised where Python could not pass it on
            _raise_end(came[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_end(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
