"""Run a few lines of JavaScript in Node, with arrays in and out, against the browser's modules."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).resolve().parent.parent / "emoclf" / "apps" / "browser"
NODE = shutil.which("node")

_PRELUDE = """
import { readFileSync, writeFileSync } from "node:fs";
const FOLDER = process.argv[2];
const KINDS = {
  uint8: Uint8Array, float32: Float32Array, float64: Float64Array, int32: Int32Array,
};
const GIVEN = JSON.parse(readFileSync(`${FOLDER}/given.json`, "utf8"));
const FOUND = {};
/** Return what the test gave: an array's values (its shape is in `shapeOf`), or a JSON value. */
function take(name) {
  const { kind, value } = GIVEN[name];
  if (kind === "json") return value;
  const bytes = readFileSync(`${FOLDER}/${name}.bin`);
  return new KINDS[kind](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
function shapeOf(name) { return GIVEN[name].shape; }
/** Hand a typed array (with its shape) or a JSON value back to the test. */
function give(name, value, shape) {
  const kind = Object.keys(KINDS).find((each) => value instanceof KINDS[each]);
  FOUND[name] = kind ? { kind, shape: shape ?? [value.length] } : { kind: "json", value };
  if (kind) {
    writeFileSync(`${FOLDER}/${name}.out`, new Uint8Array(value.buffer, value.byteOffset,
      value.byteLength));
  }
}
"""


def run_node(code, **given):
    """Run an ES module in Node and return what it gives back.

    Args:
        code: JavaScript. `take("name")` returns what is given here, `give("name", value, shape)`
            hands something back; "SOURCE/" in an import stands for the room's folder.
        given: NumPy arrays (uint8, int32, float32 or float64), bytes, or what JSON can hold.

    Returns:
        Name to NumPy array or JSON value.
    """
    if NODE is None:
        pytest.skip("Node.js is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        described = {key: _write(folder / f"{key}.bin", value) for key, value in given.items()}
        (folder / "given.json").write_text(json.dumps(described), encoding="utf-8")
        script = _PRELUDE + code.replace("SOURCE/", f"{SOURCE.as_uri()}/")
        script += "\nwriteFileSync(`${FOLDER}/found.json`, JSON.stringify(FOUND));\n"
        (folder / "script.mjs").write_text(script, encoding="utf-8")
        done = subprocess.run(
            [NODE, str(folder / "script.mjs"), str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
        return {key: _read(folder / f"{key}.out", facts) for key, facts in found.items()}


def _write(path, value):
    if isinstance(value, bytes):
        value = np.frombuffer(value, dtype=np.uint8)
    if not isinstance(value, np.ndarray):
        return {"kind": "json", "value": value}
    path.write_bytes(np.ascontiguousarray(value).tobytes())
    return {"kind": value.dtype.name, "shape": list(value.shape)}


def _read(path, facts):
    if facts["kind"] == "json":
        return facts.get("value")
    return np.fromfile(path, dtype=facts["kind"]).reshape(facts["shape"])
