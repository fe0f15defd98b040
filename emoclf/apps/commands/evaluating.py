"""The commands that judge a network: `evaluate`, `baselines`, `analyse-errors`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from emoclf.apps.commands.options import (
    PACKAGED,
    SETTINGS,
    AsJson,
    ClassMap,
    DetectorChoice,
    Directory,
    ExistingDirectory,
    ExistingPath,
    Logs,
    PhotosFolder,
    Resume,
    RunName,
    SettingOptions,
    Switch,
    check_name,
    find_given,
    find_going_on,
    find_photos,
    load_predictor,
    load_tensorflow,
    note_network,
    note_other_name,
    open_run,
    propose,
    read_settings,
    refuse_empty,
    refuse_unused,
    save_figure,
    suggest_more_training,
)
from emoclf.apps.commands.terminal import UsageError, echo, echo_json, is_watched, stopping, waiting
from emoclf.config import BaselineName, Part, Settings
from emoclf.display import count_noun
from emoclf.runtime import require_part
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.images.faces import FaceDetector
    from emoclf.inference import Predictor
    from emoclf.inference.testing import PhotoTest

AnyModel = Annotated[
    str,
    Parameter(
        help="A run folder, a .keras file or a head's file of yours, or `packaged`, the networks "
        "that come with emoclf."
    ),
]
PartOption = Annotated[Part, Parameter(help="Which photos of the run's split, without FOLDER.")]


def evaluate(
    model: AnyModel,
    folder: Path | None = None,
    /,
    *,
    part: PartOption = "test",
    photos: PhotosFolder = None,
    class_map: ClassMap = None,
    as_json: AsJson = False,
    detector: DetectorChoice | None = None,
) -> None:
    """Test MODEL on photos with known classes.

    Says how many come out right, the accuracy with its interval, and what is confused. Without
    FOLDER, a run is tested on the photos that its split has kept for the test, and the numbers,
    every prediction and the time of this access are written into the run folder; a second access is
    allowed, and the output says what it is worth.

    Args:
        folder: Other photos, one folder per class; those that the run was trained with are left
            out.

    Examples:
      python -m emoclf evaluate logs/first-run
      python -m emoclf evaluate logs/first-run --photos where/they/are/now
      python -m emoclf evaluate packaged data
      python -m emoclf evaluate logs/first-run other_photos --json
    """
    choice = detector or DetectorChoice()
    predictor = _load("evaluate", model, folder, choice, is_run=Path(model).is_dir(), photos=photos)
    test = _test(predictor, model, folder, part, class_map, photos=photos)
    if folder is None:
        from emoclf.training import save_evaluation

        kept = save_evaluation(test.evaluation, model)
    if as_json:
        left_out = [{"file": name, "reason": reason} for name, reason in test.left_out]
        left_out += [
            {"file": name, "reason": f"in the run's {p}"} for name, p in test.known.items()
        ]
        document = {**test.evaluation.to_dict(), "left_out": left_out}
        if test.access_log:
            document["test_accesses"] = len(test.access_log.accesses)
        echo_json(document)
        return
    echo(test)
    if folder is None and part == "test":
        _note_cross_validated(Path(model), test)
    if folder is None:
        echo(f"\nWritten to {show_text(kept)} and, photo by photo, to the table beside it")
    _propose_after_test(test, model, folder, part)


def _note_cross_validated(folder: Path, test: PhotoTest) -> None:
    """Point to the better figure, where the training found that its photos are few."""
    from emoclf.run import Run
    from emoclf.training.run_folder import load_cross_validated

    if found := load_cross_validated(Run(folder)):
        count = count_noun(len(test.evaluation.photos), "test photo")
        echo(
            f"{count} say little. The figure to report is that of the training, which "
            f"cross-validated the others: accuracy {found}."
        )


def _propose_after_test(test: PhotoTest, model: str, folder: Path | None, part: Part) -> None:
    """Print what comes after a test: an unseen photo of it, and where the network errs."""
    named = model if model == PACKAGED else Path(model)
    if folder is None and part != "test":
        echo(propose("evaluate", named, again=("--photos",)))
        return
    photos = test.evaluation.photos
    if folder is None:
        echo("What it says of a photo that it has not seen, and where it is weak:")
        echo(propose("predict", photos.files[0], "--model", named))
    if test.evaluation.is_above_chance:
        rest = [] if folder is None else [folder]
        echo(propose("analyse-errors", named, *rest, again=("--photos", "--map")))
    elif model != PACKAGED:
        echo(suggest_more_training(photos))


def _load(
    command: str,
    model: str,
    folder: Path | None,
    choice: DetectorChoice,
    *,
    is_run: bool,
    photos: Path | None,
) -> Predictor:
    if model != PACKAGED and not Path(model).exists():
        raise UsageError(
            f"{show_text(model)} does not exist: name a run folder, such as logs/first, "
            "or a .keras file."
        )
    if folder is not None and photos:
        raise UsageError("--photos has no meaning with FOLDER: it says where the run's own are.")
    refuse_empty(folder)
    if folder is None and not is_run:
        raise UsageError(
            f"{show_text(model)} is no run folder: name the photos to test it on. "
            f"For example: python -m emoclf {quote_argument(command)} "
            f"{quote_argument(Path(model))} data"
        )
    is_packaged = model == PACKAGED and folder is not None
    return load_predictor(None if is_packaged else Path(model), choice)


def _test(
    predictor: Predictor,
    model: str,
    folder: Path | None,
    part: Part,
    class_map: dict[str, str] | None,
    *,
    photos: Path | None,
) -> PhotoTest:
    from emoclf.inference.testing import evaluate, evaluate_folder

    with waiting("Testing"):
        if folder is None:
            run = open_run(Path(model), photos)
            return evaluate(run, part=part, predictor=predictor, progress=is_watched())
        return evaluate_folder(predictor, folder, class_map=class_map, progress=is_watched())


def analyse_errors(
    model: AnyModel,
    folder: ExistingDirectory | None = None,
    /,
    *,
    part: PartOption = "test",
    photos: PhotosFolder = None,
    slices: Switch = True,
    robustness: Switch = True,
    search_again: bool = False,
    output: Annotated[Directory | None, Parameter(metavar="DIR")] = None,
    as_json: AsJson = False,
    class_map: ClassMap = None,
    detector: DetectorChoice | None = None,
) -> None:
    """Find on which photos and corruptions MODEL is weak.

    Its test photos, or those in FOLDER, are sorted by brightness, sharpness, size and faces; then
    they are blurred, darkened, compressed, turned and covered, ever more. Tables and figures are
    written into the run folder.

    Args:
        folder: Other photos than those of the run, one folder per class.
        slices: Accuracy by light, sharpness, size, faces.
        robustness: Accuracy on corrupted photos.
        search_again: Search for faces in the corrupted photos, instead of in the clean ones.
        output: Gets tables and figures.  [default: the run folder, without FOLDER]

    Examples:
      python -m emoclf analyse-errors logs/first
      python -m emoclf analyse-errors logs/first --no-robustness
      python -m emoclf analyse-errors packaged data --output found
    """
    from emoclf.run import Run

    choice = detector or DetectorChoice()
    is_run = Run(Path(model)).is_there
    predictor = _load("analyse-errors", model, folder, choice, is_run=is_run, photos=photos)
    test = _test(predictor, model, folder, part, class_map, photos=photos)
    if test.known:
        from emoclf.inference.testing import describe_known

        echo(f"Note: {describe_known(test.known)}", err=True)
    if test.left_out:
        count = count_noun(len(test.left_out), "photo")
        echo(f"Note: left out for want of a prediction: {count}.", err=True)
    from emoclf.experiments.error_analysis import evaluate_robustness, evaluate_slices

    found: dict[str, Any] = {}
    if slices:
        with waiting("Measuring the photos"):
            found["slices"] = evaluate_slices(
                test.evaluation, detector=_find_detector(choice), progress=is_watched()
            )
    if robustness:
        with waiting("Predicting corrupted photos"):
            found["robustness"] = evaluate_robustness(
                predictor, test.evaluation.photos, search_again=search_again, progress=is_watched()
            )
    target = output or (Path(model) if folder is None else None)
    prefix = f"{part}_" if folder is None and part != "test" else ""
    files = _save_reports(found, target, prefix) if target else []
    if as_json:
        echo_json({name: report.to_dict() for name, report in found.items()})
        return
    echo("\n\n".join(map(str, found.values())))
    if files:
        echo(f"\nWritten: {', '.join(map(show_text, files))}")
    found_wrong = test.evaluation.mistakes()
    photo = test.evaluation.photos.files[int(found_wrong[0]) if len(found_wrong) else 0]
    own: tuple[str | Path, ...] = () if model == PACKAGED else ("--model", Path(model))
    echo(propose("explain", photo, "--output", Path("maps"), *own))


def _find_detector(choice: DetectorChoice) -> FaceDetector | None:
    """Make the detector for the slices by face; where there is none, say so."""
    from emoclf.images.faces import FaceDetectorUnavailableError

    try:
        return choice.made or choice()
    except FaceDetectorUnavailableError as error:
        echo(f"Note: no slices by face. {show_text(error)}", err=True)
        return None


def _save_reports(found: dict[str, Any], folder: Path, prefix: str) -> list[Path]:
    """Write every report as JSON and as a figure."""
    from emoclf.plots import plot_robustness, plot_slices
    from emoclf.storage import write_json

    plots: dict[str, Any] = {"slices": plot_slices, "robustness": plot_robustness}
    files = []
    for name, report in found.items():
        files.append(write_json(folder / f"{prefix}{name}.json", report.to_dict()))
        files.append(save_figure(plots[name](report), folder / f"{prefix}{name}.png"))
    return files


@stopping(
    "Stopped. Baselines that are done are kept: the same command goes on, with --resume and "
    "--name unless it was given a run."
)
def baselines(
    source: ExistingPath,
    /,
    *,
    logs: Logs = Path("logs"),
    name: RunName = None,
    resume: Resume = False,
    photos: PhotosFolder = None,
    skip: tuple[BaselineName, ...] = (),
    as_json: AsJson = False,
    class_map: ClassMap = None,
    options: SettingOptions = SETTINGS,
    detector: DetectorChoice | None = None,
) -> None:
    """Compare with simple rules: what did the network learn?

    All baselines learn from the same photos and are tested once on the same test photos. What is
    done is kept: given again with --resume and --name (a run folder needs neither), an interrupted
    comparison goes on.

    Args:
        source: A folder with one folder of photos per class, a split that `split` wrote, or a run
            folder, whose trained network is then one of the baselines.
        skip: A baseline to leave out; may be given more than once.

    Baselines:
      majority       always the more frequent class
      brightness     how bright a photo is, and nothing else
      colours        mean colours and their spread
      pixels         all pixels of a small copy, weighed
      network        the network of the settings, or of the run
      face_features  features of the packaged face network, weighed
      fine_tuned     the packaged face network, trained on

    Examples:
      python -m emoclf baselines data --name baselines --resume
      python -m emoclf baselines logs/first
      python -m emoclf baselines data --skip network --skip fine_tuned
    """
    from emoclf.experiments.baselines import choose_baselines, train_baselines
    from emoclf.run import Run

    run = open_run(source, photos) if Run(source).is_there else None
    settings_given = [f"--{each.name.replace('_', '-')}" for each in fields(Settings)]
    decided = find_given("--logs", "--name", "--map", *settings_given)
    if run and decided:
        raise UsageError(
            f"{decided[0]} has no meaning with a run folder: {show_text(source)} decides."
        )
    if photos and not run:
        raise UsageError("--photos is for a run folder: it says where its photos are now.")
    going_on = find_going_on(resume, name, logs)
    settings = run.settings if run else read_settings(options, going_on=going_on)
    needs_faces = not {"face_features", "fine_tuned"} <= set(skip) or settings.crop != "none"
    if not needs_faces:
        refuse_unused(settings)
    choose_baselines(skip, run=run)
    if not run:
        check_name(logs, name, resume=resume, settings=settings, example="baselines")
    needs_keras = {"fine_tuned", *(["network"] if settings.network != "joint" else [])} - set(skip)
    if needs_keras:
        require_part("tensorflow")
    found = None if run else find_photos(source, settings, class_map, quiet=as_json)
    if not run and not as_json and "network" not in skip:
        note_network(settings, going_on=going_on)
    faces = (detector or DetectorChoice())() if needs_faces else None
    if needs_keras:
        load_tensorflow()
    from emoclf.plots import plot_baselines

    with waiting("Training the baselines"):
        comparison = train_baselines(
            found,
            None if run else settings,
            run=run,
            logs=logs,
            name=name,
            resume=resume,
            skip=skip,
            detector=faces,
            say=(lambda _: None) if as_json else echo,
            progress=is_watched() and not as_json,
        )
    folder = comparison.folder
    figure = save_figure(plot_baselines(comparison), folder / "baselines.png")
    if as_json:
        echo_json({**comparison.to_dict(), "folder": str(folder)})
        return
    note_other_name(folder, logs, name)
    echo(f"\n{comparison}")
    echo(f"\nWritten to {show_text(folder / 'baselines.json')} and {figure.name} beside it")
    if run:
        echo(propose("analyse-errors", source, again=("--photos",)))
    else:
        words: tuple[str | Path, ...] = ("--split", source) if source.is_file() else (source,)
        echo(propose("train", *words, again=("--map",)))
