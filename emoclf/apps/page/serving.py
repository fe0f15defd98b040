"""Open the page to the browser of this machine, and to nobody else unless asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from emoclf.apps.page.answering import Models
from emoclf.apps.page.guarding import Guard
from emoclf.apps.page.keeping import open_photo_folder
from emoclf.config import CLASS_NAMES
from emoclf.data.synthetic import draw_face
from emoclf.untrusted import show_text

MAX_UPLOAD_MB = 20
"""Larger files are refused before they are read."""

LOCALHOST = "127.0.0.1"

_EXAMPLE_SEEDS = (18, 29, 31)
"""Three of many: drawn faces that the packaged network is sure of."""


class DemoUnavailableError(RuntimeError):
    """The page cannot be shown here; the message says why and what to do."""


@contextlib.contextmanager
def serve_page(models: Models, *, port: int | None = None, share: bool = False) -> Iterator[str]:
    """Serve the page until the block ends.

    Only programs on this machine can open it, and no website but the page itself can use it.
    Uploads and answers are kept in a temporary folder, deleted five minutes after their last use,
    and the folder at the end; what a killed page has left is deleted when the next one starts.

    Args:
        models: The networks to choose from.
        port: The port; default: the first free one from 7860 on.
        share: Whether Gradio opens a public address, through its own servers, that anybody who has
            it can use for a week.

    Yields:
        The address to open in a browser.

    Raises:
        DemoUnavailableError: If Gradio is not installed, or the port is taken.
    """
    with open_photo_folder() as photos:
        os.environ["GRADIO_TEMP_DIR"] = str(photos.uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_RUN_HISTORY"] = "False"  # else every photo is kept in the browser
        gradio, layout = _import_page()
        examples = _draw_examples(photos.root / "examples")
        page = layout.build_page(models, photos=photos, examples=examples)
        photos.keep_present()
        calls = layout.list_calls(page, models, photos=photos, examples=len(examples))
        guard = Guard(calls, max_upload_bytes=MAX_UPLOAD_MB * 2**20)
        fonts = ["system-ui", "sans-serif"]  # none is fetched from elsewhere
        theme = gradio.themes.Default(font=fonts, font_mono=["monospace"])
        try:
            _, local, public = page.queue(max_size=64).launch(
                server_name=LOCALHOST,
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
                theme=theme,
                head=layout.STYLE,
                js=layout.SCRIPT,
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


def _import_page() -> tuple[Any, Any]:
    """Import Gradio, and the module of the page that is made with it."""
    try:
        import gradio

        from emoclf.apps.page import page
    except ImportError as error:
        raise DemoUnavailableError(
            f"The page needs Gradio, which cannot be imported ({show_text(error)}). Install it: "
            "pip install 'emoclf[demo]'"
        ) from error
    return gradio, page


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
