"""The command line: `python -m emoclf`, or `emoclf` once the package is installed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from emoclf.apps.commands import run


def main(words: Sequence[str] | None = None) -> int:
    """Happy or sad? Predict the faces in your photos, or train a network of your own.

    An expression is not a feeling: do not use the predictions to judge people.

    Examples:
      python -m emoclf predict photo.jpg
      python -m emoclf predict photos/ --save-annotated annotated

    A whole session, on faces that it draws:
      python -m emoclf draw-faces data
      python -m emoclf clean data
      python -m emoclf train data --name first
      python -m emoclf evaluate logs/first
      python -m emoclf draw-faces new --per-class 1 --seed 7 --no-flaws
      python -m emoclf predict new --model logs/first
    """
    if words is not None:
        return run(words, main.__doc__ or "")
    code = run(sys.argv[1:], main.__doc__ or "")
    gc.freeze()  # where the program ends, a search of all that is loaded for garbage is in vain
    return code


if __name__ == "__main__":
    sys.exit(main())
