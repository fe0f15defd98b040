"""The page: the answer, the photo, and what was seen in it; open to this machine's browser alone.

Gradio is imported when a page is served, so that everything else works without it.
"""

from __future__ import annotations

import contextlib
import html
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from emoclf.apps.page.guarding import API_NAME, PHOTO_GONE, Guard
from emoclf.apps.page.keeping import PhotoFolder, open_photo_folder
from emoclf.apps.page.predicting import (
    Models,
    NetworkUnavailableError,
    PagePrediction,
    predict_photo,
    say_plainly,
)
from emoclf.config import CLASS_NAMES
from emoclf.data.synthetic import draw_face
from emoclf.display import Table
from emoclf.inference.annotation import COLOURS
from emoclf.runtime import explain_missing
from emoclf.untrusted import show_text

MAX_UPLOAD_MB = 20
"""Larger files are refused before they are read."""

TITLE = "Happy or sad?"
CONSENT = (
    "Show your own face, or one whose owner agrees. Photos are processed on the machine that runs "
    "this page and deleted after a few minutes. **An expression is not a feeling**: do not use the "
    "answers to judge people."
)
HINT = PagePrediction(
    "Show me a face", "Drop a photo, paste one, use the camera, or click a drawn face below."
)

_SHOWN = {
    "interactive": False,
    "format": "jpeg",
    "buttons": [],
    "elem_classes": "emoclf-picture",
}
_FAILED = "Something went wrong here. The terminal of this page says what."
_CLEAR = "() => ['', null, '', null]"
"""Takes the last answer away, in the browser, while the next one is made."""

_EXAMPLE_NAME = "load_example"
_EXAMPLE_SEEDS = (18, 29, 31)
"""Three of many: drawn faces that the packaged network is confident about."""
_STYLE, _SCRIPT = (Path(__file__).with_name(name) for name in ("page.css", "page.js"))


class DemoUnavailableError(RuntimeError):
    """The page cannot be shown here; the message says why and what to do."""


@contextlib.contextmanager
def serve_page(models: Models, *, port: int | None = None, share: bool = False) -> Iterator[str]:
    """Serve the page until the block ends.

    Only programs on this machine can open it, and no website but the page itself can use it.
    Uploads and predictions are kept in a temporary folder, deleted five minutes after their last
    use, and the folder at the end; what a killed page has left is deleted when the next one starts.

    Args:
        models: The networks to choose from.
        port: The port; default: the first free one from 7860 on.
        share: Whether Gradio opens a public address, through its own servers, that anybody who has
            it can use for a week.

    Yields:
        The address to open in a browser.

    Raises:
        DemoUnavailableError: If the port is taken.
        MissingPartError: If Gradio is not installed.
    """
    with open_photo_folder() as photos:
        os.environ["GRADIO_TEMP_DIR"] = str(photos.uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_RUN_HISTORY"] = "False"  # else every photo is kept in the browser
        gradio = _import_gradio()
        examples = _draw_examples(photos.root / "examples")
        page = _lay_out(gradio, models, photos, examples)
        photos.keep_present()
        numbers = {each["api_name"]: each["id"] for each in page.config["dependencies"]}
        guard = Guard(
            photos=photos,
            networks=models.names,
            examples=len(examples),
            predict_id=numbers[API_NAME],
            example_id=numbers[_EXAMPLE_NAME],
            max_upload_bytes=MAX_UPLOAD_MB * 2**20,
        )
        fonts = ["system-ui", "sans-serif"]  # none is fetched from elsewhere
        try:
            _, local, public = page.queue(max_size=64).launch(
                server_name="127.0.0.1",
                server_port=port,
                share=share,
                prevent_thread_lock=True,
                quiet=True,
                max_file_size=MAX_UPLOAD_MB * gradio.FileSize.MB,
                footer_links=[],
                ssr_mode=False,
                enable_monitoring=False,
                mcp_server=False,
                num_workers=0,
                root_path="",
                app_kwargs={"lifespan": guard.attach},
                theme=gradio.themes.Default(font=fonts, font_mono=["monospace"]),
                head=f"<style>{_STYLE.read_text(encoding='utf-8')}</style>",
                js=_SCRIPT.read_text(encoding="utf-8"),
            )
        except OSError as error:
            raise DemoUnavailableError(
                f"The page cannot be opened ({show_text(error)}). Give another port: --port 7900"
            ) from error
        guard.public_address = public
        try:
            yield public or local
        finally:
            page.close(verbose=False)


def _import_gradio() -> Any:
    try:
        import gradio
    except ImportError as error:
        raise explain_missing("gradio", error) from error
    return gradio


def _draw_examples(folder: Path) -> list[Path]:
    """Draw a happy and a sad face of some people."""
    folder.mkdir(parents=True)
    paths = []
    for seed in _EXAMPLE_SEEDS:
        for name in reversed(CLASS_NAMES):
            path = folder / f"{name.lower()}_{seed}.png"
            Image.fromarray(draw_face(name, seed=seed, size=(320, 320), strength=1.0)).save(path)
            paths.append(path)
    return paths


def _lay_out(gradio: Any, models: Models, photos: PhotoFolder, examples: Sequence[Path]) -> Any:
    """Lay out the page, not yet served; Gradio copies the examples to the uploads."""
    names = list(models.names)

    def hand_over_file(payload: Any) -> str | None:
        """Return the path of an upload, so that emoclf's own decoder reads it, and no other.

        Gradio's Image opens every upload with Pillow before the page's code sees it.
        """
        if payload is not None and not photos.has(payload.path):
            raise gradio.Error(PHOTO_GONE, print_exception=False)
        return None if payload is None else payload.path

    def predict(path: str | None, name: str, wants_map: bool) -> tuple[str, Any, str, Any]:
        found = HINT
        if path is not None:
            try:
                predictor = models.get(name)
                found = predict_photo(path, predictor, show_map=wants_map)
            except NetworkUnavailableError as error:
                found = PagePrediction("This network cannot be loaded", say_plainly(str(error)))
            except Exception as error:
                raise gradio.Error(_FAILED) from error  # printed by Gradio
        return _write_answer(found), found.picture, _write_numbers(found), found.map_picture

    with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
        gradio.Markdown(f"# {TITLE}\n{CONSENT}")
        answer = gradio.HTML(_write_answer(HINT), elem_classes="emoclf-answer")
        with gradio.Row():
            with gradio.Column(min_width=240):
                photo = gradio.Image(
                    label="Your photo",
                    sources=["upload", "webcam", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    height=360,
                    buttons=[],
                )
                photo.preprocess = hand_over_file
                choice = gradio.Radio(
                    names, value=names[0], label="Network", visible=len(names) > 1
                )
                show_map = gradio.Checkbox(
                    label="Show what speaks for the prediction (takes a second or two)"
                )
            with gradio.Column(min_width=240):
                picture = gradio.Image(label="Prediction", **_SHOWN)
                numbers = gradio.HTML(elem_classes="emoclf-numbers")
                map_picture = gradio.Image(label="What speaks for the prediction", **_SHOWN)
        changes = [photo.change, choice.change, show_map.change]
        shown = [answer, picture, numbers, map_picture]
        gradio.on(changes, None, None, shown, js=_CLEAR)
        gradio.on(
            changes,
            predict,
            [photo, choice, show_map],
            shown,
            api_name=API_NAME,
            concurrency_limit=1,
            show_progress_on=answer,
        )
        gradio.Examples(
            [[str(path)] for path in examples],
            photo,
            label="Drawn faces to try",
            cache_examples=False,
            api_name=_EXAMPLE_NAME,
        )
    return page


def _write_answer(found: PagePrediction) -> str:
    note = f"<p>{html.escape(found.note)}</p>" if found.note else ""
    return f"<h2>{html.escape(found.headline)}</h2>{_draw_bars(found.probabilities)}{note}"


def _write_numbers(found: PagePrediction) -> str:
    """Write the table, folded, and what the map says, as HTML."""
    blocks = (
        each._repr_html_() if isinstance(each, Table) else f"<p>{html.escape(each)}</p>"
        for each in found.numbers
    )
    table = f"<details><summary>All numbers</summary>{''.join(blocks)}</details>"
    said = f"<p>{html.escape(found.map_text)}</p>" if found.map_text else ""
    return (table if found.numbers else "") + said


def _draw_bars(probabilities: Mapping[str, float]) -> str:
    """Draw a bar for every class, in the colours of the annotated picture, as HTML."""
    return "".join(
        f'<div class="emoclf-bar"><span>{html.escape(name)}</span>'
        f'<div style="width: max(2px, {probability:.1%}); background: {colour}"></div>'
        f"<span>{probability:.0%}</span></div>"
        for (name, probability), colour in zip(
            probabilities.items(), itertools.cycle(COLOURS), strict=False
        )
    )
