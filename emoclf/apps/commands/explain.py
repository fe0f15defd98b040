"""The command `explain`: pictures of what in photos speaks for the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from emoclf.apps.commands.errors import UsageError
from emoclf.apps.commands.options import (
    DetectorChoice,
    Directory,
    FilesOrFolders,
    Model,
    load_predictor,
)
from emoclf.apps.commands.rows import list_photos
from emoclf.apps.commands.terminal import echo, plain_warnings
from emoclf.config import Method
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.inference import Predictor
    from emoclf.inference.explanations import Explanation, PersonFraction


def explain(
    paths: FilesOrFolders,
    /,
    *,
    output: Annotated[Directory, Parameter(metavar="DIR")],
    method: Method = "occlusion",
    class_name: Annotated[str | None, Parameter("--class", metavar="NAME")] = None,
    person: bool = False,
    model: Model = None,
    whole_photo: bool = False,
    detector: DetectorChoice | None = None,
) -> int:
    """Draw onto photos what speaks for the prediction: yellow where it is most.

    The largest face of a photo is explained, or the whole photo where the network looks at those.
    After each photo stands the probability, and what becomes of it when the tenth of the picture
    that is marked most is hidden, and the tenth that is marked least: when both change alike, do
    not believe the map.

    Args:
        output: Where the pictures go; overwrites nothing.
        method: Hide one place after the other, or look into a network of yours: quicker and
            coarser.
        class_name: The class to explain.  [default: the predicted one]
        person: Find the faces too, and say how much of the maps lies on the people; for a network
            of whole photos.
        whole_photo: Explain the whole photo where no face is found.

    Examples:
      python -m emoclf explain photo.jpg --output maps
      python -m emoclf explain data/happy --model logs/first --person --output maps

    Exit codes:
      0  every photo was explained
      1  some could not be (the others are), or no prediction is possible here
      2  the command was not understood
    """
    with plain_warnings():
        photos, problems = list_photos(paths)
        for problem in problems:
            echo(f"{show_text(problem.file)}: {problem.problem}", err=True)
        predictor = load_predictor(model, detector or DetectorChoice())
        if person and predictor.info.crop == "face":
            raise UsageError(
                "--person is for a network of whole photos. This one takes faces that were cut "
                "out, so it looks at the person in any case: leave --person out."
            )
        fractions: list[PersonFraction | None] = []
        failed = len(problems)
        for photo in photos:
            found = _explain(predictor, photo, method, class_name, whole_photo, output)
            failed += found is None
            if found and person:
                fractions.append(_measure(predictor, photo, found))
        _print_person(fractions)
    return 1 if failed else 0


def _explain(
    predictor: Predictor,
    photo: Path,
    method: Method,
    class_name: str | None,
    whole_photo: bool,
    output: Path,
) -> Explanation | None:
    """Write the picture of one photo and print its row; None when there is nothing to explain."""
    from emoclf.images import UnreadableImageError, load_image
    from emoclf.inference.explanations import NothingToExplainError, save_explanation
    from emoclf.inference.explanations import explain as explain_photo

    try:
        found = explain_photo(
            predictor, photo, method=method, class_name=class_name, whole_photo=whole_photo
        )
    except UnreadableImageError as error:
        reason = str(error).removeprefix(f"{str(photo)!r}: ")
        echo(f"{show_text(photo)}: not read. {show_text(reason)}")
        return None
    except NothingToExplainError as error:
        echo(f"{show_text(photo)}: not explained. {show_text(error)}")
        return None
    written = save_explanation(load_image(photo), found, folder=output)
    echo(f"{show_text(photo)}: {found} {show_text(written)}")
    return found


def _measure(predictor: Predictor, photo: Path, found: Explanation) -> PersonFraction | None:
    from emoclf.images import load_image
    from emoclf.inference.explanations import find_fraction_on_person

    faces = predictor.detector.find(load_image(photo))
    return find_fraction_on_person(found.map, faces, seen=found.seen)


def _print_person(fractions: Sequence[PersonFraction | None]) -> None:
    """Print how much of the maps lies on the people."""
    from emoclf.inference.explanations import summarise_fractions_on_person

    if not fractions:
        return
    if any(fractions):
        echo(str(summarise_fractions_on_person(fractions)))
    else:
        echo("No photo has both a face and something marked, so nothing can be said of the person.")
