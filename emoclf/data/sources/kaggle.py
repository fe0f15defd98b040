"""FER2013 through kagglehub, where that is installed."""

from __future__ import annotations

import importlib
from pathlib import Path

from emoclf.data.sources.registry import KAGGLE_FER2013
from emoclf.untrusted import show_text


def fetch_fer2013_from_kaggle(handle: str = KAGGLE_FER2013) -> Path:
    """Download FER2013 from Kaggle, or find what was downloaded before.

    Args:
        handle: The data set on Kaggle, as `owner/name`.

    Returns:
        The folder that kagglehub keeps it in, for `make_fer2013_folders`.

    Raises:
        ImportError: If kagglehub is not installed.
        OSError: If Kaggle did not deliver it.

    Example:
        >>> make_fer2013_folders(fetch_fer2013_from_kaggle(), "fer2013")  # doctest: +SKIP
    """
    try:
        kagglehub = importlib.import_module("kagglehub")
    except ImportError as error:
        raise ImportError(
            "kagglehub is not installed. Install it with: pip install kagglehub. Or download "
            "FER2013 from https://www.kaggle.com in the browser and name the file: "
            "fetch fer2013 FOLDER --from fer2013.csv"
        ) from error
    try:
        return Path(kagglehub.dataset_download(handle))
    except (OSError, ValueError, RuntimeError) as error:
        raise OSError(
            f"Kaggle did not deliver {show_text(handle)} ({show_text(error)}). It may ask for an "
            "account: see https://www.kaggle.com/settings, or download it in the browser and use "
            "--from."
        ) from error
