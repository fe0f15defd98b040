"""From a run to folders with a network in every format, each scored on photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.config import JOINT_FILE_NAME
from emoclf.display import Displayed, Table
from emoclf.experiments.exporting.parity import Parity, ParityPhotos, gather_photos, score
from emoclf.images import ModelInfo, Network
from emoclf.images.faces import FaceDetector
from emoclf.inference import MakeDetector
from emoclf.models.formats import (
    FORMATS,
    ExportFormat,
    choose_formats,
    find_unavailable,
    load_export,
    write_export,
)
from emoclf.models.formats.loading import PARITY_FILE_NAME, find_changed_file, list_export_files
from emoclf.models.joint import JointNetwork
from emoclf.models.model_file import MEMBER_NAME, load_info, load_model
from emoclf.run import Run
from emoclf.storage import building_folder, check_kind, find_sha256, read_json, write_json
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras

EXPORTS_FOLDER_NAME = "exports"
"""Folder inside a run folder, with one folder per format."""


@dataclass(frozen=True)
class ExportReport(Displayed):
    """What was exported, how it predicts, and what could not be written here.

    Attributes:
        parities: One comparison per exported format, all of one network and the same photos.
        unavailable: Format to what it needs, of the formats that were left out for that.
    """

    parities: tuple[Parity, ...]
    unavailable: dict[ExportFormat, str] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        """Whether every float format predicts as the network does."""
        return all(each.is_kept for each in self.parities if FORMATS[each.format].is_float)

    def blocks(self) -> Iterable[str | Table]:
        """Return the table, what is not kept, and what to install for the formats left out."""
        first = self.parities[0]
        yield (
            f"on {first.photos}; the network itself takes {first.milliseconds_before:.1f} ms a "
            "photo"
        )
        yield f"accuracy before: {first.accuracy_before}"
        yield ""
        yield Table(
            ("format", "difference", "changed", "MiB", "ms", "accuracy", "95 % interval"),
            [
                (
                    each.format,
                    f"{each.largest_difference:.1e}",
                    each.changed_predictions,
                    each.size_mib,
                    each.milliseconds,
                    *each.accuracy_after.to_cells()[:2],
                )
                for each in self.parities
            ],
        )
        for each in self.parities:
            if not each.is_kept:
                yield f"Careful: {each.describe_loss()}"
        yield from (f"Left out: {reason}" for reason in self.unavailable.values())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {
            "exports": [each.to_dict() for each in self.parities],
            "unavailable": dict(self.unavailable),
            "is_kept": self.is_kept,
        }


def export_model(
    model: Run | str | Path,
    formats: Sequence[ExportFormat] | None = None,
    *,
    photos: str | Path | None = None,
    part: str = "test",
    folder: str | Path | None = None,
    detector: FaceDetector | MakeDetector | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> ExportReport:
    """Write the network of a run in other formats and score each file on the run's test photos.

    Every format gets a folder with the file, `emoclf.json` (classes, size, resize mode, crop,
    what goes in and comes out) and `parity.json` (how it predicts beside the network). Every file
    takes raw uint8 RGB and returns float32 probabilities. An export of the same format that emoclf
    wrote and nobody changed is replaced; anything else in its place is left alone.

    Args:
        model: A run, its folder, or a `.keras` or `.zip` file that emoclf saved. Only load files
            you trust.
        formats: Some of `"keras"`, `"saved_model"`, `"litert"`, `"litert_int8"`, `"onnx"`; None
            for all that can be written here.
        photos: Instead of the run's photos, a folder with one folder of photos per class; needed
            for a file. Its test is scored, in the parts that `split` would draw.
        part: `"test"` or `"validation"`: which photos are scored.
        folder: Where the folders of the formats go; default: `exports` in the run folder, or
            beside the file.
        detector: What finds faces, or a function that makes it when the network looks at faces;
            default: `make_detector()`.
        say: Called with a line of progress now and then, such as `print`.
        progress: Whether progress bars are shown.

    Returns:
        A comparison per format; `print` shows the table.

    Raises:
        FileNotFoundError: If there is no model, or its photos are gone.
        FileExistsError: If something that is not an unchanged export stands in the way.
        FormatUnavailableError: If a format that is named needs a package that is missing.
        MissingPartError: If Keras is not installed; or onnx, for a run that looks at faces and
            scene.
        ValueError: If the model is damaged, a format is unknown, or there is no photo to score.

    Example:
        >>> report = export_model("logs/first", ["litert", "onnx"])  # doctest: +SKIP
        >>> print(report)  # doctest: +SKIP
    """
    path = model.folder if isinstance(model, Run) else Path(model)
    chosen = choose_formats(formats)
    if photos is None and not path.is_dir():
        raise ValueError(
            f"{show_text(path)} is no run folder, so there are no photos to score its exports on: "
            "give photos, a folder with one folder per class."
        )
    file = Run(path).model_file if path.is_dir() else path
    folder = file.parent / EXPORTS_FOLDER_NAME if folder is None else Path(folder)
    network, info, own = _load_network(file)
    _check_places(folder, chosen)  # before minutes are spent on decoding
    source = photos or (model if isinstance(model, Run) else path)
    found = gather_photos(
        source, info, part=part, run=Run(file.parent), detector=detector, progress=progress
    )
    parities = export_network(network, info, chosen, folder=folder, photos=found, own=own, say=say)
    return ExportReport(parities, find_unavailable() if formats is None else {})


def _load_network(file: Path) -> tuple[keras.Model, ModelInfo, Network | None]:
    """Return a network of Keras, what it takes, and the one that answers, if that is another."""
    if file.suffix != Path(JOINT_FILE_NAME).suffix:
        return *load_model(file, compiled=False), None
    from emoclf.models import build_joint_model

    own = JointNetwork.load(file)
    return build_joint_model(own), load_info(file), own


def export_network(
    network: keras.Model,
    info: ModelInfo,
    formats: Sequence[ExportFormat],
    *,
    folder: str | Path,
    photos: ParityPhotos,
    own: Network | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Parity, ...]:
    """Write a network that is in memory in some formats, and score each file.

    Args:
        network: A Keras model from uint8 RGB to probabilities, on TensorFlow.
        info: Its classes, size, resize mode and crop.
        formats: As for `export_model`.
        folder: Where the folders of the formats go.
        photos: What to score on and to calibrate with.
        own: What the files are compared with; default: `network`.
        say: Called with a line of progress now and then.

    Returns:
        One comparison per format.

    Raises:
        FileExistsError: If something that is not an unchanged export stands in the way.
        FormatUnavailableError: If a format needs a package that is missing.
        ValueError: If a format is unknown, or `info` does not fit the network.
    """
    chosen = choose_formats(formats)
    _check_places(Path(folder), chosen)
    before, parities = score(own or network, photos), []
    for name in chosen:
        place = Path(folder) / name
        say(f"writing {show_text(place)}")
        with building_folder(place, replace=True) as temporary:
            file = temporary / FORMATS[name].file_name
            write_export(network, file, name, info=info, calibration=photos.calibration)
            _describe_export(temporary, name, info)
            after = score(load_export(temporary), photos)
            difference = np.abs(after.probabilities - before.probabilities).max()
            changed = after.probabilities.argmax(axis=1) != before.probabilities.argmax(axis=1)
            parity = Parity(
                format=name,
                path=place,
                photos=photos.description,
                largest_difference=1.0 if np.isnan(difference) else float(difference),
                changed_predictions=int(changed.sum()),
                accuracy_before=before.accuracy,
                accuracy_after=after.accuracy,
                size_mib=sum(each.stat().st_size for each in list_export_files(file)) / 2**20,
                milliseconds_before=before.milliseconds,
                milliseconds=after.milliseconds,
            )
            write_json(temporary / PARITY_FILE_NAME, parity.to_dict())
        parities.append(parity)
    return tuple(parities)


def _describe_export(folder: Path, name: ExportFormat, info: ModelInfo) -> None:
    """Write `emoclf.json`: what a program in any language must know to use the file."""
    batch = None if FORMATS[name].takes_any_batch else 1
    value = {
        "format_version": 1,
        "format": name,
        **asdict(info),
        "input": {
            "dtype": "uint8",
            "shape": [batch, *info.image_size, 3],
            "channels": "RGB",
            "range": [0, 255],
        },
        "output": {"dtype": "float32", "shape": [batch, len(info.class_names)], "range": [0, 1]},
        "sha256": {
            each.relative_to(folder).as_posix(): find_sha256(each)
            for each in list_export_files(folder)
        },
    }
    write_json(folder / MEMBER_NAME, value)


def _check_places(folder: Path, formats: Sequence[ExportFormat]) -> None:
    """Refuse to replace what emoclf has not written, or what was changed since."""
    for name in formats:
        place = folder / name
        strange = _find_strange_file(place) if place.exists() else None
        if strange is not None:
            raise FileExistsError(
                f"{show_text(strange)} is not as emoclf has written it, and would be overwritten. "
                f"Move {show_text(place)} away, or export to another folder."
            )


def _find_strange_file(place: Path) -> Path | None:
    """Return a file that is not part of an unchanged export; None when there is none."""
    description, what = place / MEMBER_NAME, "what an export says of itself"
    if not description.is_file():
        return place
    try:
        known = read_json(description, what=what, kind=dict[str, Any]).get("sha256")
        sums = check_kind(known, dict[str, str], name=description, what=what)
    except ValueError:
        return description
    return find_changed_file(place, sums)
