"""Finished work is kept and done once, refused where it was made otherwise, named where damaged."""

import pytest

from emoclf.storage import ResumeRefusedError, keep_work, read_json

FACTS = {"seed": 1, "size": (32, 48)}


@pytest.fixture
def keep(tmp_path):
    """Keep work in one file; `keep.done` counts how often it was done."""

    def call(facts=FACTS, kind=dict[str, float]):
        def work():
            call.done += 1
            return {"share": 0.1 + 0.2}

        return keep_work(call.path, work, facts=facts, what="count of photos", kind=kind)

    call.done, call.path = 0, tmp_path / "folder" / "count.json"
    return call


def test_it_is_done_once_and_read_as_it_was(keep):
    assert [keep(), keep()] == [{"share": 0.1 + 0.2}] * 2
    assert keep.done == 1
    assert read_json(keep.path, what="it") == {
        "facts": {"seed": 1, "size": [32, 48]},
        "share": 0.1 + 0.2,
    }


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({**FACTS, "seed": 2}, "seed was 1 and is 2"),
        ({"seed": 1}, r"size was \[32, 48\] and is None"),
        ({**FACTS, "teacher": "new"}, "teacher was None and is 'new'"),
    ],
)
def test_other_facts_are_refused_by_name_and_nothing_is_done(keep, facts, told):
    keep()
    before = keep.path.read_bytes()
    with pytest.raises(
        ResumeRefusedError, match=rf"count\.json is another training: {told}\. Go on"
    ):
        keep(facts)
    assert (keep.done, keep.path.read_bytes()) == (1, before)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"share": 1}', '{"facts": 1, "share": 1}', '{"facts": {}, "x": 0}']
)
def test_what_is_damaged_is_named_with_what_to_do(keep, content):
    keep()
    keep.path.write_text(content)
    damaged = r"count\.json is no count of photos.*Move it away"
    with pytest.raises(ValueError, match="another training" if '"x"' in content else damaged):
        keep()
    assert keep.done == 1


def test_a_result_of_another_type_is_damage(keep):
    keep()
    with pytest.raises(ValueError, match=r"count\.json is no count .*Expected `int`"):
        keep(kind=dict[str, int])


def test_work_that_fails_keeps_nothing(tmp_path):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keep_work(tmp_path / "x.json", fail, facts={}, what="count", kind=dict[str, int])
    assert not list(tmp_path.iterdir())
