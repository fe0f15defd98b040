"""The command `live`: a camera or a video, predicted as it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emoclf.apps.commands.options import (
    DetectorChoice,
    clear_errors,
    detector_options,
    model_option,
)
from emoclf.apps.commands.terminal import echo
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import numpy as np

    from emoclf.apps.camera import FrameSource, LivePrediction, LiveSession

_TITLE = "emoclf: q or Esc ends"


@click.command("live")
@click.option("--camera", type=click.IntRange(0), default=0, show_default=True, metavar="NUMBER")
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A video file instead of the camera.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.mp4",
    help="Write the annotated film into a new file.",
)
@click.option("--no-window", is_flag=True, help="Show nothing, only write --output.")
@model_option
@click.option(
    "--detect-every",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    metavar="FRAMES",
    help="Search the whole frame for faces this often; in between, known faces are tracked.",
)
@click.option(
    "--half-life",
    type=click.FloatRange(0),
    default=0.3,
    show_default=True,
    metavar="SECONDS",
    help="How slowly the shown probabilities follow the face; 0 is not smoothed.",
)
@detector_options
def live_command(
    camera: int,
    video: Path | None,
    output: Path | None,
    no_window: bool,
    model: Path | None,
    detect_every: int,
    half_life: float,
    choice: DetectorChoice,
) -> None:
    """Predict a camera as it runs: boxes, Sad, Happy or uncertain, frames per second.

    q or Esc ends it. The pictures stay on this machine, and without --output none is kept.

    \b
    Examples:
      python -m emoclf live
      python -m emoclf live --video party.mp4 --output annotated.mp4 --no-window
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    if no_window and not output:
        raise click.UsageError("--no-window leaves nothing to see: add --output film.mp4.")
    from emoclf.apps.camera import CONSENT, LiveSession, open_camera, read_video
    from emoclf.apps.commands.answering import load_predictor

    with clear_errors():
        session = LiveSession(
            load_predictor(model, choice), detect_every=detect_every, half_life_seconds=half_life
        )
        if choice.made:
            echo(f"Detector: {choice.made.description} {choice.made.note}".strip())
        if video is None:
            echo(CONSENT)
        frames = open_camera(camera) if video is None else read_video(video)
        with closing(frames):
            timer = _show(session, frames, output, not no_window)
    echo(timer.describe())
    if output:
        echo(f"Written to {show_text(output)}")


def _show(
    session: LiveSession, frames: FrameSource, output: Path | None, has_window: bool
) -> _Timer:
    """Show and write predictions until the frames end or the user ends them."""
    from emoclf.apps.camera import draw_frame, open_video_file, open_window

    timer = _Timer()
    with ExitStack() as stack:
        show: Callable[[np.ndarray], object] = _take
        write: Callable[[np.ndarray], object] = _take
        if has_window:
            show = stack.enter_context(open_window(_TITLE))
        if output is not None:
            file = open_video_file(output, frames_per_second=frames.frames_per_second)
            write = stack.enter_context(file)
        try:
            for predicted in map(session.predict, frames):
                drawing = time.perf_counter()
                picture = draw_frame(predicted)
                timer.add(predicted, 1000 * (time.perf_counter() - drawing))
                write(picture)
                if not show(picture):
                    break
        except KeyboardInterrupt:
            echo("Stopped.", err=True)
    return timer


def _take(_: np.ndarray) -> bool:
    """Neither show nor write."""
    return True


@dataclass
class _Timer:
    """What the frames took, in milliseconds."""

    predicting: list[float] = field(default_factory=list)
    drawing: list[float] = field(default_factory=list)
    start: float = field(default_factory=time.perf_counter)

    def add(self, predicted: LivePrediction, drawing: float) -> None:
        self.predicting.append(predicted.milliseconds)
        self.drawing.append(drawing)

    def describe(self) -> str:
        """Say how many frames per second came out, and where the time went."""
        import numpy as np

        if not self.predicting:
            return "No frame was predicted."
        seconds = time.perf_counter() - self.start
        lines = [
            f"{len(self.predicting):,} frames, {len(self.predicting) / seconds:.1f} per second"
        ]
        for name, values in (("find and predict", self.predicting), ("draw", self.drawing)):
            half, most = np.percentile(values, (50, 95))
            lines.append(f"{name:16}{half:6.1f} ms per frame (95 of 100 below {most:.1f} ms)")
        return "\n".join(lines)
