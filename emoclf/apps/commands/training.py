"""The commands that leave model files: `train`, `train-face-model` and `export`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt

from emoclf.apps.commands.options import (
    SETTINGS,
    AsJson,
    ClassMap,
    DetectorChoice,
    Directory,
    ExistingPath,
    Logs,
    PhotoFolder,
    PhotosFolder,
    Resume,
    RunName,
    SettingOptions,
    SplitFile,
    Votes,
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
    refuse_empty,
    refuse_unused,
)
from emoclf.apps.commands.terminal import (
    UsageError,
    echo,
    echo_json,
    is_watched,
    stopping,
    waiting,
)
from emoclf.config import Devices, ExportFormat, Settings
from emoclf.runtime import make_tf_config, require_part
from emoclf.untrusted import show_text


@stopping(
    "Stopped. If a run folder is named above, best.keras in it is the best epoch so far, and "
    "the same command with --resume and --name (the folder's name) goes on."
)
def train(
    folder: PhotoFolder | None = None,
    /,
    *,
    split: SplitFile = None,
    logs: Logs = Path("logs"),
    name: RunName = None,
    resume: Resume = False,
    copies: Directory | None = None,
    class_map: ClassMap = None,
    devices: Devices = "one",
    workers: Annotated[str | None, Parameter(metavar="HOST:PORT,...")] = None,
    worker: NonNegativeInt = 0,
    options: SettingOptions = SETTINGS,
    without_face: WithoutFaceOption = "leave_out",
    detector: DetectorChoice | None = None,
) -> None:
    """Train a network on your own photos.

    FOLDER holds one folder of photos per class. Damaged files and duplicates are left out (`clean`
    says which), the rest is split, and a part is kept for the test (`evaluate`). The run folder
    keeps the settings, the split, the curves, the best epoch and the model.

    Without --network it is joint, a last layer on what two packaged networks find in the faces and
    in the scene: of those here it was right most often on scraped photos, it learns from a thousand
    in half a minute, and it needs no TensorFlow. With an option that only another network has a use
    for, such as --epochs or --crop face, it is small. A run that goes on keeps its own.

    With --resume, a training that was stopped, by Ctrl-C or by a power cut, goes on when the same
    command is given again, and ends as if it had not been stopped.

    Args:
        copies: A second place, such as a mounted drive, that gets a copy of the run after every
            epoch.
        devices: all: every GPU of this machine takes a part of every batch.
        workers: Train on several machines: the same list and the same command on each of them.
        worker: Which of --workers this machine is, from 0.

    Examples:
      python -m emoclf train data
      python -m emoclf train data --name first --resume
      python -m emoclf train data --crop face --epochs 30 --name faces
      python -m emoclf train data --network small
      python -m emoclf train data --network face
      python -m emoclf train data --network mobilenetv3small
      python -m emoclf train --split split.json --image-size 128 --no-augment
    """
    addresses = [each.strip() for each in workers.split(",")] if workers is not None else []
    goes_on = resume or bool(addresses)
    going_on = find_going_on(goes_on, name, logs, copies)
    settings = read_settings(options, going_on=going_on)
    refuse_unused(settings)
    _check_workers(name, addresses, worker, settings)
    check_name(logs, name, resume=goes_on, settings=settings, example="first", copies=copies)
    if settings.network != "joint":
        require_part("tensorflow")
    photos = choose_photos(folder, split, settings, class_map)
    note_network(settings, going_on=going_on)
    found = None if settings.crop == "none" else (detector or DetectorChoice())()
    if settings.network != "joint":
        load_tensorflow()
    from emoclf.training import train as train_network

    common: dict[str, Any] = {
        "logs": logs,
        "name": name,
        "detector": found,
        "without_face": without_face,
        "say": echo,
        "progress": is_watched(),
    }
    if addresses:
        from emoclf.training import train_on_cluster

        with waiting("Training"):
            train_on_cluster(photos, settings, addresses=addresses, index=worker, **common)
        echo(propose("evaluate", logs / str(name)))
        return
    with waiting("Training"):
        result = train_network(
            photos,
            settings,
            resume=resume,
            copies=copies,
            devices=devices,
            verbose=1 if sys.stdout.isatty() else 2,
            **common,
        )
    echo(str(result))
    note_other_name(result.run.folder, logs, name)
    echo(propose("evaluate", result.run.folder))


def _check_workers(
    name: str | None, addresses: Sequence[str], worker: int, settings: Settings
) -> None:
    """Refuse what does not fit to several workers, or to one."""
    if not addresses:
        if find_given("--worker"):
            raise UsageError("--worker needs the list of all: --workers a:2222,b:2222")
        return
    if not name:
        raise UsageError("--workers needs the name of the run: --name first")
    if find_given("--copies", "--devices"):
        raise UsageError("--copies and --devices are for one worker: leave out --workers.")
    make_tf_config(addresses, worker)
    settings.check_for_workers()


@stopping("Stopped. The same command goes on after the last finished network.")
def train_face_model(
    fer2013: ExistingPath,
    /,
    *,
    votes: Votes = None,
    folder: Directory = Path("logs/face_model"),
    package: Directory | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto",
) -> None:
    """Train the packaged face network again, from FER2013.

    Takes some hours on two cores; stopped and started again, it goes on after the last finished
    network. Runs on any Keras backend: set KERAS_BACKEND=jax where only JAX is installed.

    Args:
        fer2013: fer2013.csv, a folder with train/ and test/, or .npz files.
        folder: Where every network gets a folder with its log. Finished networks are kept.
        package: Also write the packaged files (network.onnx, weights.npz, card.json) into this
            folder; needs the extra `export`.
        precision: auto: mixed precision where the processor is quick at it.

    Examples:
      python -m emoclf train-face-model fer2013.csv --votes fer2013new.csv
      python -m emoclf train-face-model fer2013/ --package my_face_model
    """
    for part in ("tensorflow", "onnx", "tf2onnx") if package else ():
        require_part(part)
    from emoclf.data.sources import check_fer2013_counts
    from emoclf.data.sources.fer2013 import read_fer2013
    from emoclf.experiments.face_network.faces import prepare_faces
    from emoclf.experiments.face_network.packaging import package_student
    from emoclf.experiments.face_network.recipe import train_packaged_network

    with waiting(f"Reading the faces in {show_text(fer2013)}"):
        faces, notes = read_fer2013(fer2013, votes=votes)
    other_parts = check_fer2013_counts(faces, whole=False)
    for note in (*notes, *([other_parts] if other_parts else [])):
        echo(note)
    roles = prepare_faces(faces)
    with waiting("Training"):
        student = train_packaged_network(roles, folder, policy=precision, say=echo)
    if package is None:
        return
    with waiting("Writing the packaged files"):
        package_student(student, roles, package)
    echo(f"The packaged files are in {show_text(package)}.")


def export(
    model: ExistingPath,
    folder: Path | None = None,
    /,
    *,
    photos: PhotosFolder = None,
    formats: Annotated[tuple[ExportFormat, ...], Parameter("--format")] = (),
    part: Literal["test", "validation"] = "test",
    output: Annotated[Directory | None, Parameter(metavar="DIR")] = None,
    as_json: AsJson = False,
    detector: DetectorChoice | None = None,
) -> int:
    """Write MODEL for other programs, and score every file.

    Every file is loaded again and scored on the photos that the run kept for the test; the table
    says how far its probabilities are from the network's, how large it is and how long a photo
    takes.

    Args:
        model: A run folder or a .keras file of yours.
        folder: Other photos than those of the run, with one folder of photos per class; a
            .keras file needs it.
        formats: What to write; may be given more than once.  [default: all that can be written
            here]
        part: Which photos of the split the files are scored on.
        output: Gets a folder for every format.  [default: exports, in the run folder]

    Formats:
      keras        Keras, without the training's state
      saved_model  TensorFlow and TensorFlow Serving
      litert       phones and small devices
      litert_int8  the same, a quarter of the size
      onnx         OpenCV, ONNX Runtime, browsers; needs the extra `export`

    Examples:
      python -m emoclf export logs/first
      python -m emoclf export logs/first --format litert --format onnx
      python -m emoclf export best.keras data --output exported --json

    Exit codes:
      0  every file predicts as the network does (int8 may differ; the table says
         how far)
      1  a file of a float format does not, or something could not be done
    """
    from emoclf.run import Run

    if photos and (folder or not Run(model).is_there):
        raise UsageError("--photos is for a run folder alone: it says where its photos are now.")
    require_part("tensorflow")
    refuse_empty(folder)
    from emoclf.experiments.exporting import export_model
    from emoclf.models.formats import FORMATS

    with waiting("Loading TensorFlow, writing the files and testing them"):
        report = export_model(
            open_run(model, photos) if photos else model,
            formats or None,
            photos=folder,
            part=part,
            folder=output,
            detector=detector or DetectorChoice(),
            say=(lambda _: None) if as_json else echo,
            progress=is_watched() and not as_json,
        )
    if as_json:
        echo_json(report.to_dict())
    else:
        echo(report)
        for each in report.parities if Run(model).is_there else ():
            if each.format == "keras" and each.is_kept:
                photo = open_run(model, photos).find_photos().part(part).files[0]
                file = each.path / FORMATS[each.format].file_name
                echo(propose("predict", photo, "--model", file))
    return 0 if report.is_kept else 1
