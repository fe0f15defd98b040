"""The command `train-face-model`: the recipe of the packaged face network, from FER2013."""

from __future__ import annotations

from pathlib import Path

import click

from emoclf.apps.commands.options import clear_errors
from emoclf.apps.commands.terminal import echo
from emoclf.untrusted import show_text


@click.command("train-face-model")
@click.argument("fer2013", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--votes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="fer2013new.csv of FER+, beside fer2013.csv. Without votes the labels alone are taught.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("logs/face_model"),
    show_default=True,
    help="Where every network gets a folder with its log. Finished networks are kept.",
)
@click.option(
    "--package",
    "package_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also write the packaged files (network.onnx, weights.npz, card.json) into DIR; needs "
    "TensorFlow and the extra `train`.",
)
@click.option(
    "--precision",
    "policy",
    type=click.Choice(["auto", "float32", "mixed_bfloat16"]),
    default="auto",
    show_default=True,
    help="auto: half precision where the processor is quick at it.",
)
def train_face_model_command(
    fer2013: Path, votes: Path | None, folder: Path, package_folder: Path | None, policy: str
) -> None:
    """Train the face network that comes with emoclf again, from FER2013.

    FER2013 is fer2013.csv, a folder with train/ and test/, or .npz files. Takes some hours on two
    cores; stopped and started again, it goes on after the last finished network. Runs on any Keras
    backend: set KERAS_BACKEND=jax where only JAX is installed.

    \b
    Examples:
      python -m emoclf train-face-model fer2013.csv --votes fer2013new.csv
      python -m emoclf train-face-model fer2013/ --package my_face_model
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.sources import check_fer2013_counts
    from emoclf.data.sources.fer2013 import load_fer2013
    from emoclf.experiments.face_network.faces import prepare_faces
    from emoclf.experiments.face_network.packaging import package_student
    from emoclf.experiments.face_network.recipe import train_packaged_network

    with clear_errors(stopped="Stopped. The same command goes on after the last finished network."):
        faces = load_fer2013(fer2013, votes=votes)
        check_fer2013_counts(faces, whole=False)
        roles = prepare_faces(faces)
        student = train_packaged_network(roles, folder, policy=policy, say=echo)
        if package_folder is None:
            return
        try:
            package_student(student, roles, package_folder)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{show_text(error)}. Writing the packaged files needs: pip install "
                f"'emoclf[train]'. The trained networks are in {show_text(folder)}; run the "
                "command again afterwards."
            ) from error
    echo(f"The packaged files are in {show_text(package_folder)}.")
