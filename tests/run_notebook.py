"""Runs `model.ipynb` with other parameters: a cell is put in after each that holds some.

python tests/run_notebook.py --set DATA_DIR='"photos"' --set EPOCHS=5 --output executed.ipynb
"""

import argparse
import ast
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

REPOSITORY = Path(__file__).resolve().parent.parent


def run_notebook(folder, parameters, *, notebook=REPOSITORY / "model.ipynb", timeout=None):
    """Execute the notebook with `folder` as its working directory.

    Args:
        folder: The working directory; `data` and `logs` are looked for and made there.
        parameters: Name to value, put into a cell after each that is tagged `parameters`; or None.
        notebook: The notebook.
        timeout: Seconds that one cell may take; None sets no limit.

    Returns:
        The executed notebook. Raises `CellExecutionError` when a cell fails.
    """
    document = nbformat.read(notebook, as_version=4)
    if parameters:
        lines = [f"{name} = {value!r}" for name, value in parameters.items()]
        for place in reversed(range(len(document.cells))):
            if "parameters" in document.cells[place].metadata.get("tags", []):
                injected = nbformat.v4.new_code_cell("\n".join(lines))
                document.cells.insert(place + 1, injected)
    client = NotebookClient(
        document,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    return CoalesceStreamsPreprocessor().preprocess(document, {})[0]


def read_outputs(document):
    """Return everything that the notebook printed, one text per code cell."""
    texts = []
    for cell in document.cells:
        if cell.cell_type == "code":
            parts = [
                output.get("text", "") or output.get("data", {}).get("text/plain", "")
                for output in cell.outputs
            ]
            texts.append("\n".join(parts))
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="working directory")
    arguments = parser.parse_args()
    parameters = {}
    for text in arguments.set:
        name, _, value = text.partition("=")
        try:
            parameters[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):  # a word without quotes
            parameters[name] = value
    start = time.perf_counter()
    document = run_notebook(str(arguments.folder), parameters)
    nbformat.write(document, arguments.output)
    print(f"executed in {time.perf_counter() - start:.0f} s: {arguments.output}")


if __name__ == "__main__":
    main()
