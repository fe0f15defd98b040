"""The page: a photo on one side, the answer on the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio

from emoclf.demo.answering import Models, answer_photo

TITLE = "Happy or sad?"
CONSENT = (
    "Show your own face, or one whose owner agrees. Photos are processed on the machine that runs "
    "this page and deleted after a few minutes. **An expression is not a feeling**: a smile may "
    "hide one, and a still face says nothing. Do not use the answers to judge people."
)

CSS = """
.gradio-container { max-width: 1100px !important; margin: auto; }
footer { display: none !important; }
.prose table th, .prose table td {
  padding: 4px 8px; overflow-wrap: normal !important; word-break: normal !important;
}
"""


def _hand_over_file(payload: Any) -> str | None:
    """Return the path of an upload, so that emoclf's own decoder reads it, and no other.

    Gradio's Image opens every upload with Pillow before the page's code sees it.
    """
    return None if payload is None else payload.path


def build_page(models: Models, *, examples: Sequence[Path] = ()) -> gradio.Blocks:
    """Lay out the page.

    Args:
        models: The networks to choose from.
        examples: Photos to try.

    Returns:
        The page, not yet served.
    """
    # Uploads older than five minutes are deleted.
    with gradio.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, 300)) as page:
        gradio.Markdown(f"# {TITLE}\n{CONSENT}")
        with gradio.Row():
            with gradio.Column(min_width=300):
                photo = gradio.Image(
                    label="Your photo",
                    sources=["upload", "webcam", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    height=360,
                    buttons=[],
                )
                photo.preprocess = _hand_over_file
                choice = gradio.Dropdown(
                    list(models.names),
                    value=models.names[0],
                    label="Who answers",
                    visible=len(models.names) > 1,
                )
                whole = gradio.Checkbox(label="Answer for the whole photo where no face is found")
            with gradio.Column(min_width=300):
                picture = gradio.Image(
                    label="The answer", interactive=False, height=360, buttons=["fullscreen"]
                )
                bars = gradio.Label(label="The largest face", show_heading=False)
                text = gradio.Markdown("Drop a photo, paste one, or use the camera.")

        def answer(path: str | None, name: str, whole_photo: bool) -> tuple[Any, Any, str]:
            if path is None:
                return None, None, "Drop a photo, paste one, or use the camera."
            found = answer_photo(path, models.get(name), whole_photo=whole_photo)
            return found.picture, found.shares or None, found.text

        gradio.on(
            [photo.change, choice.change, whole.change],
            answer,
            [photo, choice, whole],
            [picture, bars, text],
            api_name="answer",
            concurrency_limit=2,
        )
        if examples:
            gradio.Examples([[str(path)] for path in examples], photo, label="Drawn faces to try")
    return page
