"""`live`, before a camera, `demo`, a page in the browser, and `page`, one that is a file."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, NonNegativeInt, PositiveInt
from cyclopts.validators import Number

from emoclf.apps.commands.options import (
    DetectorChoice,
    Directory,
    ExistingFile,
    ExistingPath,
    File,
    Model,
    Switch,
    load_predictor,
)
from emoclf.apps.commands.terminal import (
    UsageError,
    echo,
    explain,
    find_explained,
    is_watched,
    stopping,
    waiting,
)
from emoclf.display import count_noun
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    import numpy as np

    from emoclf.apps.camera import FrameSource, LiveSession
    from emoclf.apps.camera.frames import Frame
    from emoclf.inference import Predictor

_TITLE = "emoclf: q or Esc ends"
_ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Ctrl-C, `kill`, a terminal that is closed, and its closing on Windows."""


def live(
    *,
    camera: Annotated[NonNegativeInt, Parameter(metavar="NUMBER")] = 0,
    video: ExistingFile | None = None,
    output: Annotated[File | None, Parameter(metavar="FILE.mp4")] = None,
    window: Switch = True,
    model: Model = None,
    detect_every: Annotated[PositiveInt, Parameter(metavar="FRAMES")] = 5,
    half_life: Annotated[NonNegativeFloat, Parameter(metavar="SECONDS")] = 0.3,
    detector: DetectorChoice | None = None,
) -> None:
    """Predict live before a camera, or in a film.

    Shows boxes, Sad, Happy or uncertain of each face, and the frames per second.
    q or Esc ends it. The pictures stay on this machine, and without --output none is kept.

    Args:
        camera: Which camera.
        video: A video file instead of the camera.
        output: Write the annotated film into a new file.
        window: Whether it is shown; without a window it is only written into --output.
        detect_every: Search the whole frame for faces this often; in between, known faces are
            tracked.
        half_life: How slowly the shown probabilities follow the face; 0 is not smoothed.

    Examples:
      python -m emoclf live
      python -m emoclf live --video party.mp4 --output annotated.mp4 --no-window
    """
    if not window and not output:
        raise UsageError("--no-window leaves nothing to see: add --output film.mp4.")
    from emoclf.apps.camera import CONSENT, LiveSession, open_camera, read_video

    choice = detector or DetectorChoice()
    with waiting("Loading"):
        predictor = load_predictor(model, choice, faces_only=model is None)
        session = LiveSession(predictor, detect_every=detect_every, half_life_seconds=half_life)
    if choice.made:
        echo(f"Detector: {choice.made.description} {choice.made.note}".strip())
    if video is None:
        echo(CONSENT)
    film = open_camera(camera) if video is None else read_video(video)
    with closing(film) as frames, waiting("" if video is None else "Going through the film"):
        echo(_show(session, frames, output, window))
    if output:
        echo(f"Written to {show_text(output)}")


def _show(session: LiveSession, frames: FrameSource, output: Path | None, has_window: bool) -> str:
    """Show and write frames until they end or the user ends them; return what they took."""
    from emoclf.apps.camera import open_video_file, open_window

    predicting: list[float] = []
    drawing: list[float] = []
    start = time.perf_counter()
    with ExitStack() as stack:
        show: Callable[[np.ndarray], object] = lambda _: True  # noqa: E731
        write: Callable[[np.ndarray, float], object] = lambda *_: None  # noqa: E731
        if has_window:
            show = stack.enter_context(open_window(_TITLE))
        if output is not None:
            file = open_video_file(output, frames_per_second=frames.frames_per_second)
            write = stack.enter_context(file)
        try:
            for predicted in map(session.predict, _show_progress(frames)):
                begin = time.perf_counter()
                picture = predicted.draw()
                predicting.append(predicted.milliseconds)
                drawing.append(1000 * (time.perf_counter() - begin))
                write(picture, predicted.frame.seconds)
                if not show(picture):
                    break
        except KeyboardInterrupt:
            echo("Stopped.", err=True)
    return _describe_times(predicting, drawing, time.perf_counter() - start)


def _show_progress(frames: FrameSource) -> Iterable[Frame]:
    """Draw a bar while a film is gone through, if anybody sees it; a camera has no end."""
    from tqdm import tqdm

    is_bare = frames.count is None or not is_watched()
    return tqdm(frames, total=frames.count, desc="Film", unit=" frames", disable=is_bare)


def _describe_times(predicting: list[float], drawing: list[float], seconds: float) -> str:
    """Say how many frames per second came out, and where the time went (milliseconds)."""
    import numpy as np

    from emoclf.display import Table

    if not predicting:
        return "No frame was predicted."
    rows = [
        (name, *np.percentile(values, (50, 95)))
        for name, values in (("find and predict", predicting), ("draw", drawing))
    ]
    times = Table(("ms per frame", "median", "95 of 100 below"), rows)
    frames = count_noun(len(predicting), "frame")
    return f"{frames}, {len(predicting) / seconds:.1f} per second\n{times}"


@stopping("The page is closed.")
def demo(
    *,
    runs: Annotated[tuple[ExistingPath, ...], Parameter("--model", metavar="RUN_OR_FILE")] = (),
    logs: Directory = Path("logs"),
    port: Annotated[int | None, Parameter(validator=Number(gte=1, lte=65535))] = None,
    share: bool = False,
    open_browser: Annotated[bool, Parameter("--open")] = False,
    detector: DetectorChoice | None = None,
) -> None:
    """Open a web page to drop photos on, or use the camera.

    Only this machine can open it, and no photo is kept. Needs the extra `demo`.
    Ctrl-C ends it (exit code 130), and so do `kill` (143) and closing the terminal (129).

    Args:
        runs: A run folder, a .keras file or a head's file of yours to choose on the page; may be
            given repeatedly.
        logs: A folder of runs, which are offered too.
        port: Where the page is served.  [default: the first free from 7860]
        share: Also open a public address, through Gradio's servers.
        open_browser: Open the page in your browser.

    Examples:
      python -m emoclf demo --open
      python -m emoclf demo --model logs/first --port 7900
    """
    import webbrowser

    with waiting("Loading the page"):
        from emoclf.apps.page import Models, NetworkUnavailableError, serve_page
        from emoclf.images import warn_if_pillow_is_old

    def load(path: Path | None, *, faces_only: bool = False) -> Predictor:
        try:
            return load_predictor(path, detector or DetectorChoice(), faces_only=faces_only)
        except find_explained() as error:
            raise NetworkUnavailableError(explain(error)) from error

    models = Models.find(logs, load, runs=runs)
    warn_if_pillow_is_old()  # while somebody reads, not at the first photo
    if share:
        echo(
            "Warning: --share lets anybody who has the address use this page, and sends their "
            "photos through Gradio's servers to this machine. Ask the people in them first.",
            err=True,
        )
    with ExitStack() as stack:
        signals = stack.enter_context(_ending_once())
        with waiting("Loading the page"):
            address = stack.enter_context(serve_page(models, port=port, share=share))
        echo(f"Open {address} in a browser. Ctrl-C ends it.")
        if open_browser and not webbrowser.open(address):
            echo("There is no browser here that can be opened: do it by hand.", err=True)
        while not signals:
            time.sleep(0.5)


@contextmanager
def _ending_once() -> Iterator[list[int]]:
    """Let the first signal end the block, and later ones wait for its clean-up; yield them."""
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:  # no KeyboardInterrupt: from within `exec`, it is Python's exit code
            sys.exit(128 + number)

    numbers = [getattr(signal, name) for name in _ENDS if hasattr(signal, name)]
    # What is ignored stays ignored: `nohup` keeps a page open when its terminal is closed.
    before = {each: signal.getsignal(each) for each in numbers}
    before = {each: kept for each, kept in before.items() if kept not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, end)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came[:1] == [signal.SIGINT]:
            raise KeyboardInterrupt
        if came:  # lost where Python could not pass it on, or made another error by a library
            sys.exit(128 + came[0])


def page(
    path: Path = Path("happy.html"),
    /,
    *,
    scene: bool = False,
    model: Model = None,
    detector: DetectorChoice | None = None,
) -> None:
    """Write one file that sees and learns in any browser.

    It answers for photos and before a camera, and learns faces of your own, on a phone, too. It
    needs no server and no network, and sends nothing: mail it, or put it on any web space. Nothing
    is overwritten.

    Args:
        path: The new file, or the folder that gets a happy.html.
        scene: Answer for the photo as a whole, too, by faces and scene; 5 MB more.

    Examples:
      python -m emoclf page
      python -m emoclf page happy.html --scene
      python -m emoclf page ours.html --model logs/first
    """
    target = path / "happy.html" if path.is_dir() else path
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"{show_text(target)}: expected a name that ends in .html, so that browsers open it."
        )
    if scene and model:
        raise UsageError("--scene is for the packaged networks: leave it or --model out.")
    if target.exists():
        raise FileExistsError(
            f"{show_text(target)} exists already and is left as it is. Give another name: "
            "python -m emoclf page happier.html"
        )
    choice = detector or DetectorChoice()
    with waiting("Loading the networks" if model is None else f"Loading {show_text(model)}"):
        from emoclf.apps.browser import build_page
        from emoclf.storage import add_file

        content = build_page(model, scene=scene, detector=choice).encode()
    written = add_file([target], partial(Path.write_bytes, data=content))
    networks = "the packaged networks of faces and scene" if scene else "the packaged face network"
    inside = [choice.made.name] if choice.made else []
    inside += [networks if model is None else f"the network of {show_text(model)}"]
    size = f"{len(content) / 1e6:.1f} MB"
    echo(f"The page is in {show_text(written)} ({size}), with {' and '.join(inside)}.")
    if choice.made and choice.made.note:
        echo(f"Note: {choice.made.note}", err=True)
    echo(
        "For photos, open it in any browser. The camera may want https, or this machine's own "
        f"address, http://127.0.0.1:8000/{quote(written.name)}, which the next command serves."
    )
    place = [] if written.parent == Path() else ["--directory", quote_argument(written.parent)]
    echo(" ".join(["Next: python -m http.server --bind 127.0.0.1", *place, "8000"]))
