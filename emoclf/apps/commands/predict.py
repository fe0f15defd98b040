r"""The commands `predict`: Sad, Happy or uncertain for every face; and `explain`: why.

With `predict --json`, one JSON document is all that goes to the standard output:

    emoclf            str     its version
    model             object  file (str, null for the packaged networks), crop ("none", "face" or
                              "both"), class_names (list of str)
    uncertain_rule    object  uncertain_below, neither_above (0..1); null for a model of your own
    uncertain_face_rule  object  likewise, of a face; null where no face is ever uncertain
    detector          object  name, description, note (str); null when none was needed or found
    photos            list    one object per photo, in the order of the arguments:
      file            str     as given; in a folder, with the folder's path
      answer          str     of the photo as a whole where `photo` is, else of the largest face: a
                              class or "uncertain"; null without a prediction
      probabilities   object  class name -> 0..1, likewise; empty without a prediction
      photo           object  as one of `faces`: the photo as a whole, of a model with crop "both";
                              else null
      faces           list    the largest first; of a model of whole photos, one:
        box           object  left, top, width, height in px of the upright photo; may reach past it
        answer        str     a class or "uncertain"
        probabilities object  class name -> 0..1
        neither       number  0..1: probability that it is none of the classes; null if unknown
        detection_score number  0..1; null for a whole photo
        is_whole_photo  bool  whether the whole photo was predicted
      problem         str     why the photo could not be read, else null
      note            str     what to know about the prediction, else null
      detector        str     which detector looked, else null
      annotated       str     path of the annotated picture, else null
    summary           object  photos, faces, whole_photos, without_face, not_read (numbers),
                              answers (object: prediction -> how often)

Names of files that are no valid text hold lone surrogates (`\udc80` to `\udcff`), as Python's `os`
gives them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import emoclf
from emoclf.apps.commands.options import (
    AsJson,
    DetectorChoice,
    Directory,
    FacesOnly,
    FilesOrFolders,
    Head,
    Model,
    load_predictor,
    propose,
)
from emoclf.apps.commands.rows import (
    choose_layout,
    describe_summary,
    format_rows,
    list_photos,
    summarise,
)
from emoclf.apps.commands.terminal import (
    UsageError,
    echo,
    echo_json,
    find_columns,
    is_watched,
    waiting,
)
from emoclf.config import Method
from emoclf.display import count_noun
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import numpy as np

    from emoclf.inference import Prediction, Predictor
    from emoclf.inference.explanations import Explanation, PersonFraction

    Predicted = tuple[Prediction, Path | None]
    """What was predicted for a photo, and its annotated picture."""


@waiting("Predicting")
def predict(
    paths: FilesOrFolders,
    /,
    *,
    as_json: AsJson = False,
    save_annotated: Annotated[Directory | None, Parameter(metavar="DIR")] = None,
    model: Model = None,
    head: Head = None,
    faces_only: FacesOnly = False,
    whole_photo: bool = False,
    detector: DetectorChoice | None = None,
) -> int:
    """Predict Sad, Happy or uncertain for photos and faces.

    Folders are searched with their sub-folders. The answer for a photo as a whole comes from its
    faces and its scene, so there is one without a face, too. "uncertain" is said when neither
    probability is large enough, or a face probably shows something else than these two; under the
    predictions stands where those limits are.

    The first use fetches the face detector's file (230 kB) from OpenCV's model zoo. Nothing is ever
    sent anywhere.

    Args:
        save_annotated: Write each photo with boxes and predictions drawn onto it into this folder;
            overwrites nothing.
        whole_photo: Predict for the whole photo where a network of faces finds none.

    Examples:
      python -m emoclf predict photo.jpg
      python -m emoclf predict holiday/ party.png --save-annotated annotated
      python -m emoclf predict photos/ --json > predictions.json
      python -m emoclf predict photos/ --model logs/first-run
      python -m emoclf predict photos/ --head head.json

    Exit codes:
      0  every photo was read
      1  some could not be read (the others are predicted), or no prediction is
         possible here
      2  the command was not understood
    """
    choice = detector or DetectorChoice()
    if model and head:
        raise UsageError("--head and --model each name what predicts: leave one of them out.")
    model = model or head
    photos, problems = list_photos(paths)
    predictor = load_predictor(model, choice, faces_only=faces_only)
    done: list[Predicted] = [(each, None) for each in problems]
    found = _predict_each(predictor, photos, whole_photo, save_annotated)
    try:
        if as_json:
            done += _show_progress(found, len(photos))
            echo_json(_make_document(done, predictor, choice, model))
        else:
            _print_rows(found, done, photos, predictor)
            _print_summary(done, predictor, choice, save_annotated)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"Stopped. Complete: {count_noun(len(done), 'photo')}.") from error
    _print_notes(done, choice)
    if model:
        _print_known(done, predictor)
    return 1 if any(each.problem for each, _ in done) else 0


def _predict_each(
    predictor: Predictor, photos: Sequence[Path], whole_photo: bool, folder: Path | None
) -> Iterator[Predicted]:
    """Yield the predictions, photo by photo, and write the annotated pictures into a folder."""
    found = predictor.predict_each(photos, whole_photo=whole_photo, keep_pixels=folder is not None)
    for prediction, pixels in found:
        picture = None
        if folder is not None and pixels is not None:
            from emoclf.inference import annotation

            try:
                picture = annotation.save_annotated(pixels, prediction, folder=folder)
            except OSError as error:
                raise RuntimeError(
                    f"No picture can be written into {str(folder)!r} "
                    f"({show_text(error.strerror or error)}). Give another folder to "
                    "--save-annotated."
                ) from error
        yield prediction, picture


def _print_rows(
    found: Iterable[Predicted], done: list[Predicted], photos: Sequence[Path], predictor: Predictor
) -> None:
    """Print rows as the predictions come, and add these to the list."""
    from emoclf.inference import UNCERTAIN

    names = [show_text(path) for path in photos]
    names += [show_text(problem.file) for problem, _ in done]
    classes = predictor.info.class_names
    layout = choose_layout(
        names,
        [*classes, *([UNCERTAIN] if predictor.face_rule else []), "not read"],
        values=[*classes, *(["neither"] if predictor.face_rule else [])],
        columns=find_columns(sys.stdout),
    )
    for problem, _ in done:
        for row in format_rows(problem, layout):
            echo(row)
    shown = _show_progress(found, len(photos), is_below_rows=sys.stdout.isatty())
    making_room = getattr(shown, "external_write_mode", nullcontext)  # below a row for the bar
    for each in shown:
        done.append(each)
        with making_room():
            for row in format_rows(each[0], layout):
                echo(row)


def _print_summary(
    done: Sequence[Predicted],
    predictor: Predictor,
    choice: DetectorChoice,
    annotated_folder: Path | None,
) -> None:
    """Print what was used, and at the end what the rows add up to."""
    summary = summarise([prediction for prediction, _ in done])
    if choice.made:
        echo(f"Detector: {choice.made.description}")
    if rules := predictor.describe_rules():
        echo(rules)
    if summary["without_face"]:
        echo(
            "No face: take a photo in which the face is larger, sharper and seen from the front, "
            "or ask for the whole photo with --whole-photo."
        )
    if annotated_folder:
        written = sum(picture is not None for _, picture in done)
        echo(f"Annotated: {written:,} in {show_text(annotated_folder)}")
    echo(f"\n{describe_summary(summary)}")
    if len(done) > 1:
        echo("All of it, for a program: the same command with --json.")


def _make_document(
    done: Sequence[Predicted], predictor: Predictor, choice: DetectorChoice, model: Path | None
) -> dict[str, Any]:
    made = choice.made
    return {
        "emoclf": emoclf.__version__,
        "model": {
            "file": None if model is None else str(model),
            "crop": predictor.info.crop,
            "class_names": list(predictor.info.class_names),
        },
        "uncertain_rule": asdict(predictor.rule) if predictor.rule else None,
        "uncertain_face_rule": asdict(predictor.face_rule) if predictor.face_rule else None,
        "detector": made
        and {"name": made.name, "description": made.description, "note": made.note},
        "photos": [
            {**prediction.to_dict(), "annotated": None if picture is None else str(picture)}
            for prediction, picture in done
        ],
        "summary": summarise([prediction for prediction, _ in done]),
    }


def _print_notes(done: Sequence[Predicted], choice: DetectorChoice) -> None:
    """Say on the standard error stream what the user should know beside the predictions."""
    if choice.made and choice.made.note:
        echo(f"Note: {choice.made.note}", err=True)
    for note in sorted({each.note for each, _ in done if each.note and each.all}):
        echo(f"Note: {note}", err=True)


def _print_known(done: Sequence[Predicted], predictor: Predictor) -> None:
    """Say how many of the photos the run was trained with, on the standard error stream."""
    from emoclf.run import Run
    from emoclf.storage import find_sha256

    run = Run(predictor.file.parent) if predictor.file else None
    if run is None or not run.is_there:
        return
    seen = {row.sha256 for row in run.photos.rows if row.sha256 and row.part != "test"}
    files = [each.file for each, _ in done if each.all and each.file]
    known = sum(find_sha256(Path(file)) in seen for file in files if Path(file).is_file())
    if known:
        were = "was" if known == 1 else "were"
        echo(
            f"Note: {known:,} of {count_noun(len(files), 'photo')} {were} used to train this "
            "network: a right prediction there shows little. `evaluate` tests it on photos that it "
            "has not seen.",
            err=True,
        )


def _show_progress(
    found: Iterable[Predicted], count: int, *, is_below_rows: bool = False
) -> Iterable[Predicted]:
    """Draw a bar while photos are predicted, if anybody sees it: with their rate and time left."""
    if not is_watched() or (is_below_rows and count < 2):
        return found
    from tqdm import tqdm

    return tqdm(
        found,
        total=count,
        desc="Photos",
        unit="photo",
        file=sys.stderr,
        leave=not is_below_rows,
        dynamic_ncols=True,
    )


@waiting("Explaining")
def explain(
    paths: FilesOrFolders,
    /,
    *,
    output: Annotated[Directory, Parameter(metavar="DIR")],
    method: Method = "occlusion",
    class_name: Annotated[str | None, Parameter("--class", metavar="NAME")] = None,
    person: bool = False,
    model: Model = None,
    faces_only: FacesOnly = False,
    whole_photo: bool = False,
    detector: DetectorChoice | None = None,
) -> int:
    """Draw onto photos what speaks for the prediction.

    It is yellow where most does. The answer for a photo as a whole is explained, scene and faces,
    or of a network of faces that for the largest face. After each photo stands the probability, and
    what becomes of it when the tenth of the picture that is marked most is hidden, and the tenth
    that is marked least: when both change alike, do not believe the map.

    Args:
        output: Where the pictures go; overwrites nothing.
        method: Hide one place after the other, or look into a network of yours: quicker and
            coarser.
        class_name: The class to explain.  [default: the predicted one]
        person: Find the faces too, and say how much of the maps lies on the people; for a network
            of whole photos.
        whole_photo: Explain the whole photo where a network of faces finds none.

    Examples:
      python -m emoclf explain photo.jpg --output maps
      python -m emoclf explain data/happy --model logs/first --person --output maps

    Exit codes:
      0  every photo was explained
      1  some could not be (the others are), or no prediction is possible here
      2  the command was not understood
    """
    from emoclf.run import Run

    photos, problems = list_photos(paths)
    for problem in problems:
        echo(f"{show_text(problem.file)}: {problem.problem}", err=True)
    predictor = load_predictor(model, detector or DetectorChoice(), faces_only=faces_only)
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
            fractions.append(_measure(predictor, *found))
    _print_person(fractions)
    if model and failed < len(photos) + len(problems) and Run(model).is_there:
        echo(propose("baselines", model, *_leave_out_faces(detector or DetectorChoice())))
    return 1 if failed else 0


def _leave_out_faces(choice: DetectorChoice) -> list[str]:
    """Return the options with which `baselines` does without a detector, where there is none."""
    from emoclf.images.faces import FaceDetectorUnavailableError

    try:
        replace(choice, download=False)()
    except FaceDetectorUnavailableError:
        return ["--skip", "face_features", "--skip", "fine_tuned"]
    return []


def _explain(
    predictor: Predictor,
    photo: Path,
    method: Method,
    class_name: str | None,
    whole_photo: bool,
    output: Path,
) -> tuple[np.ndarray, Explanation] | None:
    """Write the picture of one photo and print its row; None when there is nothing to explain."""
    from emoclf.images import UnreadableImageError, load_image
    from emoclf.inference.explanations import NothingToExplainError, save_explanation
    from emoclf.inference.explanations import explain as explain_photo

    try:
        pixels = load_image(photo)
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
    written = save_explanation(pixels, found, folder=output)
    echo(f"{show_text(photo)}: {found} {show_text(written)}")
    return pixels, found


def _measure(predictor: Predictor, pixels: np.ndarray, found: Explanation) -> PersonFraction | None:
    from emoclf.inference.explanations import find_fraction_on_person

    faces = predictor.detector.find(pixels)
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
