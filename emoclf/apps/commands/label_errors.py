"""The commands for label errors, from `cross-validate` to `compare-corrections`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt
from cyclopts.validators import Number

from emoclf.apps.commands.options import (
    OF_NETWORKS,
    SETTINGS,
    ClassMap,
    DetectorChoice,
    Directory,
    ExistingDirectory,
    ExistingFile,
    Logs,
    Name,
    PhotoFolder,
    PhotosFolder,
    Resume,
    RunName,
    SettingOptions,
    SplitFile,
    WithoutFaceOption,
    check_name,
    choose_photos,
    find_given,
    find_going_on,
    load_tensorflow,
    note_network,
    note_other_name,
    open_run,
    propose,
    read_settings,
    refuse_unused,
    suggest_more_training,
)
from emoclf.apps.commands.terminal import UsageError, echo, is_watched, stopping, waiting
from emoclf.config import FACE_SIZE, Learner, Settings
from emoclf.display import count_noun
from emoclf.runtime import require_part
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.run import Run


@stopping("Stopped. Finished folds are kept: the same command with --resume and --name goes on.")
def cross_validate(
    folder: PhotoFolder | None = None,
    /,
    *,
    split: SplitFile = None,
    logs: Logs = Path("logs"),
    name: RunName = None,
    resume: Resume = False,
    folds: Annotated[int, Parameter(validator=Number(gte=2))] = 5,
    repeats: PositiveInt = 1,
    learner: Learner = "network",
    include_test: bool = False,
    class_map: ClassMap = None,
    options: SettingOptions = SETTINGS,
    without_face: WithoutFaceOption = "leave_out",
    detector: DetectorChoice | None = None,
) -> None:
    """Predict each photo by a network not trained on it.

    The photos are divided into folds, duplicates of a photo in one; each fold is predicted by a
    network that has learned from the others. That uses a small folder well, and it is what
    `find-label-errors` needs. It trains --folds times --repeats networks, of the kind that `train`
    takes, in seconds; how long those of another --network take is said first. The test photos of
    the split are not used.

    Every finished fold is kept; with --resume, the same command goes on after it was stopped.

    Args:
        folds: How many parts the photos are divided into.
        repeats: How many times all photos are predicted, each time with other folds.
        learner: face_features: the packaged network's features of each face and a logistic
            regression, in seconds.
        include_test: Divide the test photos, too: for very small folders.

    Examples:
      python -m emoclf cross-validate data --name check
      python -m emoclf cross-validate data --name check --resume
      python -m emoclf cross-validate data --network small --repeats 3
      python -m emoclf cross-validate data --learner face_features
      python -m emoclf find-label-errors logs/check
    """
    from emoclf.data.folds import make_folds

    going_on = find_going_on(resume, name, logs)
    settings = _read_settings(options, learner, going_on=going_on)
    refuse_unused(settings)
    check_name(logs, name, resume=resume, settings=settings, example="check")
    needs_keras = learner == "network" and settings.network != "joint"
    if needs_keras:
        require_part("tensorflow")
    photos = choose_photos(folder, split, settings, class_map)
    if learner == "network":
        note_network(settings, going_on=going_on)
    used = photos.take([include_test or row.part != "test" for row in photos.rows])
    make_folds(used, fold_count=folds, repeats=repeats)  # refuses too few photos
    found = None if settings.crop == "none" else (detector or DetectorChoice())()
    if needs_keras:
        load_tensorflow()
    from emoclf.experiments.cross_validation import cross_validate as cross_validate_photos

    with waiting("Training and predicting the folds"):
        result = cross_validate_photos(
            photos,
            settings,
            fold_count=folds,
            repeats=repeats,
            learner=learner,
            include_test=include_test,
            logs=logs,
            name=name,
            resume=resume,
            detector=found,
            without_face=without_face,
            say=echo,
            progress=is_watched(),
        )
    echo(f"\n{result}")
    note_other_name(result.run.folder, logs, name)
    if result.evaluation.is_above_chance:
        echo(propose("find-label-errors", result.run.folder, again=("--map",)))
    else:
        echo(suggest_more_training(result.photos))


def _read_settings(options: SettingOptions, learner: Learner, *, going_on: Run | None) -> Settings:
    """Return the settings; with the face features those that they take, unless others are given."""
    from emoclf.experiments.kept_folds import check_learner

    if learner == "face_features":
        given = find_given(*OF_NETWORKS)
        if given:
            raise UsageError(
                f"{given[0]} has no meaning with --learner face_features: it trains no network."
            )
        faces: dict[str, Any] = {"image_size": FACE_SIZE, "crop": "face"}
        wanted = {name: getattr(options, name) or value for name, value in faces.items()}
        options = replace(options, **wanted)
    settings = read_settings(options, going_on=going_on)
    check_learner(learner, settings)
    return settings


def find_label_errors(
    run: ExistingDirectory,
    /,
    *,
    photos: PhotosFolder = None,
    output: Directory | None = None,
    mistakes: NonNegativeInt = 10,
    limit: PositiveInt | None = None,
    include_test: bool = False,
    class_map: ClassMap = None,
) -> None:
    """Find photos that may lie in the wrong class folder.

    They stand on a page, review.html, that works offline in any browser: look at each photo, choose
    keep, move or set aside, and save the table, decisions.csv. The same table lies beside the page,
    to be filled in by hand. Nothing is moved before `apply-decisions`.

    Test photos are left out, so that before and after the corrections can be compared on them.

    Args:
        run: A run of `cross-validate`.
        output: Where the sheet goes; never overwritten.  [default: RUN/review]
        mistakes: How many of the other confident wrong predictions to show.
        limit: Show only so many photos, the first ones.
        include_test: Review test photos, too.

    Examples:
      python -m emoclf find-label-errors logs/check
      python -m emoclf find-label-errors logs/check --output review --limit 50
    """
    from emoclf.data.cleaning import find_problems
    from emoclf.experiments.kept_folds import load_cross_validation
    from emoclf.experiments.label_errors import rank_label_errors, save_review_sheet

    result = load_cross_validation(run)
    with waiting("Looking at the photos"):
        found = open_run(run, photos).find_photos()
        report = find_problems(found.root, class_map=class_map, progress=is_watched())
    review = rank_label_errors(
        result.evaluation, report, photos=found, include_test=include_test, mistakes=mistakes
    )
    echo(review)
    sheet = save_review_sheet(review, output or run / "review", limit=limit)
    echo(
        f"\n{count_noun(sheet.photos, 'photo')} on {show_text(sheet.page)}: open it in a browser, "
        f"decide, and save the table over {show_text(sheet.table)}, which is to be filled in."
    )
    if sheet.photos and (review.is_above_chance or review.has_disagreeing):
        echo(propose("apply-decisions", Path(found.root), sheet.table, again=("--map",)))


@stopping("Stopped. The same command does the rest; `restore` undoes it.")
@waiting("Moving the files")
def apply_decisions(
    folder: PhotoFolder,
    decisions: ExistingFile,
    /,
    *,
    move: bool = False,
    class_map: ClassMap = None,
) -> int:
    """Move photos as you decided on the review sheet.

    DECISIONS is the table that the sheet has saved, a CSV.
    Without --move nothing is touched. Nothing is ever overwritten or deleted: a name that is taken
    gets a number, photos set aside go to FOLDER/quarantine, and a photo that is gone or changed
    since it was looked at stays. `restore` brings everything back, byte for byte.

    Args:
        decisions: The table.
        move: Do it; without this, it is only said what would be.

    Examples:
      python -m emoclf apply-decisions data decisions.csv
      python -m emoclf apply-decisions data decisions.csv --move
      python -m emoclf restore data

    Exit codes:
      0  every photo was moved as decided, or would be
      1  with --move, some stayed where they are (it is said which, and why)
    """
    from emoclf.experiments.label_errors import apply_decisions as apply
    from emoclf.experiments.label_errors import load_decisions
    from emoclf.run import Run

    decided = load_decisions(decisions)
    result = apply(folder, decided, dry_run=not move, class_map=class_map)
    echo(result)
    if not any(each.action for each in decided):
        echo(
            "\nNothing is decided yet: open the sheet, review.html, in a browser, choose, save its "
            f"table over {show_text(decisions)}, and give this command again."
        )
    if not move and result.moved:
        echo("\nNothing was moved. To do it:")
        echo(propose("apply-decisions", folder, decisions, "--move", again=("--map",)))
        return 0
    if result.moved:
        echo(
            f"\nUndo it: python -m emoclf restore {quote_argument(folder)} "
            f"--id {quote_argument(result.folder.name)}"
        )
    run = Run(decisions.absolute().parent.parent)  # where `find-label-errors` puts its sheet
    if run.is_there and (result.moved or result.earlier):
        is_moved = Path(run.photos.root).resolve() != folder.resolve()
        place: list[str | Path] = ["--photos", folder] if is_moved else []
        echo(propose("compare-corrections", run.folder, decisions, *place, again=("--map",)))
    return 1 if move and result.left else 0


@stopping("Stopped. The same command goes on after the last whole epoch.")
def compare_corrections(
    run: ExistingDirectory,
    decisions: ExistingFile,
    /,
    *,
    logs: Logs = Path("logs"),
    name: Name = "corrections",
    photos: PhotosFolder = None,
    class_map: ClassMap = None,
    without_face: WithoutFaceOption = "leave_out",
    detector: DetectorChoice | None = None,
) -> None:
    """Train before and after corrections, and compare both.

    Both are tested on the same photos. The settings and the split of RUN are used. The test photos
    are those that the split has kept; the corrections must not have touched them. Stopped, the same
    command goes on.

    Args:
        run: The run of `cross-validate` that was reviewed.
        decisions: The table of the review, applied already or not.
        name: Name of the comparison.

    Example:
      python -m emoclf compare-corrections logs/check decisions.csv
    """
    from emoclf.experiments import label_errors

    opened = open_run(run, photos)
    needs_keras = opened.settings.network != "joint"
    if needs_keras:
        require_part("tensorflow")
    refuse_unused(opened.settings)
    with waiting("Looking for the photos"):
        placed = opened.find_photos()
    found = label_errors.load_decisions(decisions)
    applied = label_errors.apply_decisions(placed.root, found, class_map=class_map)
    corrected = label_errors.correct_labels(placed, found, locations=applied.locations)
    faces = None if opened.settings.crop == "none" else (detector or DetectorChoice())()
    if needs_keras:
        load_tensorflow()
    with waiting("Training"):
        comparison = label_errors.compare_corrections(
            corrected,
            opened.settings,
            logs=logs,
            name=name,
            detector=faces,
            without_face=without_face,
            say=echo,
            progress=is_watched(),
        )
    echo(f"\n{comparison}")
    if comparison.after.is_above_chance:
        echo(propose("analyse-errors", comparison.runs[1].folder))
    else:
        echo(suggest_more_training(comparison.after.photos))
