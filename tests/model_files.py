"""A real `.keras` file with some of its members exchanged."""

import json
import zipfile


def exchange(source, target, **contents):
    """Copy a `.keras` file with other members: text, bytes, a function of the old value, or None.

    Names have `_` where the members have a dot: `config_json`, `emoclf_json`, `model_weights_h5`.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            key = name.replace(".", "_")
            if key in contents:
                change = contents[key]
                content = change(json.loads(content)) if callable(change) else change
            if content is not None:
                is_raw = isinstance(content, (str, bytes))
                new.writestr(name, content if is_raw else json.dumps(content))
    return target


def find_layer(config, class_name):
    """Return the first layer of a class in a network's description."""
    return next(one for one in config["config"]["layers"] if one["class_name"] == class_name)


WRONG_KINDS = (
    "null",
    "true",
    "-1",
    "1e400",
    '"x"',
    "[]",
    "{}",
    "NaN",
    "1" * 5000,
    "1" * 400,
    "0.5",
    '""',
    '"\\ud83d"',
    "[" * 2000 + "]" * 2000,
    "[" * 100_000 + "]" * 100_000,
)
"""JSON of every kind that a value should not be."""


def spoil(value):
    """Yield JSON texts: a value with each part, at any depth, of each wrong kind, or left out."""
    marker = "the part that is exchanged"
    for changed in _mark(value, marker):
        text = json.dumps(changed)
        for wrong in WRONG_KINDS:
            yield text.replace(json.dumps(marker), wrong)
    yield from (json.dumps(each) for each in _leave_out(value))
    yield from ("", "{", "null", "[]", "\x00", '"x"', "[" * 100_000)


def _mark(value, marker):
    yield marker
    if not isinstance(value, (dict, list)):
        return
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        for changed in _mark(inner, marker):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = changed
            yield copy


def _leave_out(value):
    if not isinstance(value, (dict, list)):
        return
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, inner in items:
        yield (
            {k: v for k, v in value.items() if k != key}
            if isinstance(value, dict)
            else value[:key] + value[key + 1 :]
        )
        for changed in _leave_out(inner):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = changed
            yield copy
