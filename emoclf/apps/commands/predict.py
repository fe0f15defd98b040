r"""The command `predict`: Sad, Happy or uncertain for every face of the photos it is given.

With `--json`, one JSON document is all that goes to the standard output:

    emoclf            str     version that answered
    model             object  file (str, null for the packaged network), crop ("none" or "face"),
                              class_names (list of str)
    uncertain_rule    object  uncertain_below, neither_above (0..1); null for a model of your own
    detector          object  name, description, note (str); null when none was needed or found
    photos            list    one object per photo, in the order of the arguments:
      file            str     as given; in a folder, with the folder's path
      answer          str     of the largest face: a class or "uncertain"; null without an answer
      probabilities   object  class name -> 0..1, of the largest face; empty without an answer
      faces           list    the largest first; of a model of whole photos, one:
        box           object  left, top, width, height in px of the upright photo; may reach past it
        answer        str     a class or "uncertain"
        probabilities object  class name -> 0..1
        neither       number  0..1: probability that it is none of the classes; null if unknown
        detection_score number  0..1; null for a whole photo
        is_whole_photo  bool  whether the whole photo was looked at
      problem         str     why the photo could not be read, else null
      note            str     what to know about the answer, else null
      detector        str     which detector looked, else null
      annotated       str     path of the annotated picture, else null
    summary           object  photos, faces, whole_photos, without_face, not_read (numbers),
                              answers (object: answer -> how often)

Names of files that are no valid text hold lone surrogates (`\udc80` to `\udcff`), as Python's `os`
gives them.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import emoclf
from emoclf.apps.commands.answering import (
    Answering,
    list_photos,
    load_predictor,
)
from emoclf.apps.commands.options import (
    EXIT_INTERRUPTED,
    DetectorChoice,
    detector_options,
    model_option,
    photos_argument,
)
from emoclf.apps.commands.rows import choose_layout, format_rows, summarise
from emoclf.apps.commands.terminal import echo, echo_json, plain_warnings
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.inference import Prediction


@click.command("predict")
@photos_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option(
    "--save-annotated",
    "annotated_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each photo with boxes and answers drawn onto it into DIR; overwrites nothing.",
)
@model_option
@click.option(
    "--whole-photo", is_flag=True, help="Answer for the whole photo where no face is found."
)
@detector_options
def predict_command(
    paths: tuple[Path, ...],
    as_json: bool,
    annotated_folder: Path | None,
    model: Path | None,
    whole_photo: bool,
    choice: DetectorChoice,
) -> None:
    """Say of every face in photos whether it looks sad or happy.

    Folders are searched with their sub-folders. The answer is Sad, Happy or "uncertain": the last
    when neither probability is large enough, or when the face probably shows something else than
    these two. Under the answers stands where those limits are.

    The first use fetches the face detector's file (230 kB) from OpenCV's model zoo. Nothing is ever
    sent anywhere.

    \b
    Examples:
      python -m emoclf predict photo.jpg
      python -m emoclf predict holiday/ party.png --save-annotated answers
      python -m emoclf predict photos/ --json > answers.json
      python -m emoclf predict photos/ --model logs/first-run

    \b
    Exit codes:
      0  every photo was read
      1  some could not be read (the others are answered), or no answer is possible here
      2  the command was not understood
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    with plain_warnings():
        photos, problems = list_photos(paths)
        predictor = load_predictor(model, choice)
        answering = Answering(predictor, photos, whole_photo, annotated_folder)
        answering.predictions += problems
        answering.annotated += [None] * len(problems)
        try:
            if as_json:
                _print_document(answering, choice, model)
            else:
                _print_rows(answering, choice)
        except KeyboardInterrupt:
            echo(f"Stopped: {len(answering.predictions)} answers are complete.", err=True)
            sys.exit(EXIT_INTERRUPTED)
    sys.exit(1 if any(each.problem for each in answering.predictions) else 0)


def _print_rows(answering: Answering, choice: DetectorChoice) -> None:
    """Print rows as the answers come, then what they add up to and what was used."""
    from emoclf.inference import UNCERTAIN

    rule = answering.predictor.rule
    problems = tuple(answering.predictions)
    names = [show_text(path) for path in answering.photos]
    names += [show_text(each.file) for each in problems]
    answers = [*answering.predictor.info.class_names, *([UNCERTAIN] if rule else [])]
    layout = choose_layout(names, [*answers, "not read"])
    with _show_progress(answering, is_streaming=True) as found:
        for prediction in itertools.chain(problems, found):
            for row in format_rows(prediction, layout):
                echo(row)
    summary = summarise(answering.predictions)
    echo(summary.describe())
    if summary.without_face:
        echo(
            "No face: take a photo in which the face is larger, sharper and seen from the front, "
            "or ask for the whole photo with --whole-photo."
        )
    if choice.made:
        echo(f"Detector: {choice.made.description}")
    if rule:
        echo(rule.describe())
    if answering.annotated_folder:
        written = sum(path is not None for path in answering.annotated)
        echo(f"Annotated: {written} in {show_text(answering.annotated_folder)}")
    _print_notes(answering, choice)


def _print_document(answering: Answering, choice: DetectorChoice, model: Path | None) -> None:
    """Print all answers as one JSON document."""
    with _show_progress(answering, is_streaming=False) as found:
        for _ in found:
            pass
    predictor, made = answering.predictor, choice.made
    document: dict[str, Any] = {
        "emoclf": emoclf.__version__,
        "model": {
            "file": None if model is None else str(model),
            "crop": predictor.info.crop,
            "class_names": list(predictor.info.class_names),
        },
        "uncertain_rule": asdict(predictor.rule) if predictor.rule else None,
        "detector": made
        and {"name": made.name, "description": made.description, "note": made.note},
        "photos": [
            {**prediction.to_dict(), "annotated": None if path is None else str(path)}
            for prediction, path in zip(answering.predictions, answering.annotated, strict=True)
        ],
        "summary": asdict(summarise(answering.predictions)),
    }
    echo_json(document)
    _print_notes(answering, choice)


def _print_notes(answering: Answering, choice: DetectorChoice) -> None:
    """Say on the standard error stream what the user should know beside the answers."""
    if choice.made and choice.made.note:
        echo(f"Note: {choice.made.note}", err=True)
    notes = {each.note for each in answering.predictions if each.note and each.faces}
    for note in sorted(notes):
        echo(f"Note: {note}", err=True)


@contextmanager
def _show_progress(answering: Answering, *, is_streaming: bool) -> Iterator[Iterator[Prediction]]:
    """Draw a bar while photos are answered, where nothing else shows that it goes on."""
    found = answering.answer_each()
    if not sys.stderr.isatty() or (is_streaming and sys.stdout.isatty()):
        yield found
        return
    count = len(answering.photos)
    with click.progressbar(found, length=count, label="Photos", file=sys.stderr) as bar:
        yield iter(bar)
