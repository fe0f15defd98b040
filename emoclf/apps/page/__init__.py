"""A web page on this machine: drop a photo, see the answer.

`answering` turns an uploaded file into what the page shows, `page` lays it out, `serving` opens it
to the browser. Needs the extra `demo` (Gradio).
"""

from emoclf.apps.page.answering import (
    PACKAGED_NAME,
    Models,
    NetworkUnavailableError,
    PageAnswer,
    answer_photo,
)
from emoclf.apps.page.serving import DemoUnavailableError, serve_page

__all__ = [
    "PACKAGED_NAME",
    "DemoUnavailableError",
    "Models",
    "NetworkUnavailableError",
    "PageAnswer",
    "answer_photo",
    "serve_page",
]
