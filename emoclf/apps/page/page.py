"""The page: a photo on one side, the answer on the other."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio

from emoclf.apps.page.answering import (
    Models,
    NetworkUnavailableError,
    answer_photo,
    hide_folders,
)
from emoclf.apps.page.calls import PHOTO_GONE, Calls
from emoclf.apps.page.keeping import PhotoFolder
from emoclf.inference.annotation import COLOURS

TITLE = "Happy or sad?"
CONSENT = (
    "Show your own face, or one whose owner agrees. Photos are processed on the machine that runs "
    "this page and deleted after a few minutes. **An expression is not a feeling**: a smile may "
    "hide one, and a still face says nothing. Do not use the answers to judge people."
)

_ANSWER_NAME, _EXAMPLE_NAME = "answer", "load_example"

HINT = "Drop a photo, paste one, use the camera, or click a drawn face below."

STYLE = """<style>
.gradio-container { max-width: 1100px !important; margin: auto; }
footer { display: none !important; }
.emoclf-share { display: grid; grid-template-columns: 5em 1fr 3em; gap: 8px; align-items: center; }
.emoclf-share > span:last-child { text-align: right; }
.emoclf-share > div { height: 12px; border-radius: 6px; }
@media (max-width: 480px) { .gradio-container .app { padding: 16px 8px !important; } }
.prose table { display: block; max-width: 100%; overflow-x: auto; border: 0 !important; }
.prose table th, .prose table td {
  padding: 4px 8px !important; overflow-wrap: normal !important; word-break: normal !important;
}
</style>"""
"""Goes into the page's head as it is: Gradio's own `css` loses rules for narrow screens."""

SCRIPT = """
() => {
  // Gradio makes a button of every picture and leaves it without a name for screen readers.
  const name = (picture) => {
    if (picture.alt) return;
    const example = /(happy|sad)_[0-9]+[.]png$/.exec(picture.src);
    const isExample = example && picture.closest(".gallery-item");
    const label = picture.closest(".block")?.querySelector("[data-testid=block-label]");
    picture.alt = isExample ? `${example[1]} drawn face` : label?.textContent.trim() || "Picture";
  };
  const nameAll = () => document.querySelectorAll("button img").forEach(name);
  new MutationObserver(nameAll).observe(document.body, {childList: true, subtree: true});
  nameAll();
}
"""


def draw_bars(shares: Mapping[str, float]) -> str:
    """Draw a bar for every class, in the colours of the annotated picture.

    Args:
        shares: Class name to probability, in label order.

    Returns:
        HTML; empty without shares.
    """
    bars = []
    for label, (name, share) in enumerate(shares.items()):
        colour = COLOURS[label % len(COLOURS)]
        bars.append(
            f'<div class="emoclf-share"><span>{html.escape(name)}</span>'
            f'<div style="width: max(2px, {share:.1%}); background: {colour}"></div>'
            f"<span>{share:.0%}</span></div>"
        )
    return "".join(bars)


def build_page(
    models: Models, *, photos: PhotoFolder, examples: Sequence[Path] = ()
) -> gradio.Blocks:
    """Lay out the page.

    Args:
        models: The networks to choose from.
        photos: Where uploads lie; no photo from elsewhere is answered.
        examples: Photos to try, which Gradio copies to the uploads.

    Returns:
        The page, not yet served.
    """

    def hand_over_file(payload: Any) -> str | None:
        """Return the path of an upload, so that emoclf's own decoder reads it, and no other.

        Gradio's Image opens every upload with Pillow before the page's code sees it.
        """
        if payload is not None and not photos.has(payload.path):
            raise gradio.Error(PHOTO_GONE, print_exception=False)
        return None if payload is None else payload.path

    with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
        gradio.Markdown(f"# {TITLE}\n{CONSENT}")
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
                    list(models.names),
                    value=models.names[0],
                    label="Who answers",
                    visible=len(models.names) > 1,
                )
                whole = gradio.Checkbox(label="Answer for the whole photo where no face is found")
                show_map = gradio.Checkbox(
                    label="Show what speaks for the answer (takes a second or two)"
                )
            with gradio.Column(min_width=240):
                picture = gradio.Image(
                    label="The answer",
                    interactive=False,
                    height=360,
                    format="jpeg",
                    buttons=["fullscreen"],
                )
                bars = gradio.HTML()
                text = gradio.Markdown(HINT)
                map_picture = gradio.Image(
                    label="What speaks for the answer",
                    interactive=False,
                    height=360,
                    format="jpeg",
                    buttons=["fullscreen"],
                    visible=False,
                )

        def answer(
            path: str | None, name: str, whole_photo: bool, wants_map: bool
        ) -> tuple[Any, str, str, Any]:
            if path is None:
                return None, "", HINT, gradio.Image(None, visible=False)
            try:
                predictor = models.get(name)
            except NetworkUnavailableError as error:
                raise gradio.Error(hide_folders(str(error)), print_exception=False) from error
            found = answer_photo(path, predictor, whole_photo=whole_photo, show_map=wants_map)
            shown = gradio.Image(found.map_picture, visible=found.map_picture is not None)
            return found.picture, draw_bars(found.shares), found.text, shown

        gradio.on(
            [photo.change, choice.change, whole.change, show_map.change],
            answer,
            [photo, choice, whole, show_map],
            [picture, bars, text, map_picture],
            api_name=_ANSWER_NAME,
            concurrency_limit=1,
            show_progress_on=picture,
        )
        if examples:
            rows = [[str(path)] for path in examples]
            label = "Drawn faces to try"
            gradio.Examples(rows, photo, label=label, cache_examples=False, api_name=_EXAMPLE_NAME)
    return page


def list_calls(
    page: gradio.Blocks, models: Models, *, photos: PhotoFolder, examples: int = 0
) -> Calls:
    """Say which functions of a page a browser may call.

    Args:
        page: From `build_page`.
        models: As given there.
        photos: As given there.
        examples: How many were given there.

    Returns:
        The calls.
    """
    numbers = {each["api_name"]: each["id"] for each in page.config["dependencies"]}
    return Calls(photos, models.names, numbers[_ANSWER_NAME], numbers.get(_EXAMPLE_NAME), examples)
