"""A web page on this machine: drop a photo, see the prediction.

`predicting` turns an uploaded file into what the page shows, `page` lays it out and serves it,
`keeping` holds the photos meanwhile, `guarding` decides who may ask for what. Needs the extra
`demo` (Gradio).
"""

from emoclf.apps.page.page import DemoUnavailableError, serve_page
from emoclf.apps.page.predicting import (
    FACES_ONLY_NAME,
    PACKAGED_NAME,
    Models,
    NetworkUnavailableError,
    predict_photo,
)

__all__ = [
    "FACES_ONLY_NAME",
    "PACKAGED_NAME",
    "DemoUnavailableError",
    "Models",
    "NetworkUnavailableError",
    "predict_photo",
    "serve_page",
]
