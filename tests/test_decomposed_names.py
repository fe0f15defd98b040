"""Names whose accents macOS writes in another way: the same names, wherever tables meet disks."""

import shutil
import unicodedata
from dataclasses import replace

import pytest

from emoclf.data.cleaning import find_problems, finish_moves, quarantine, restore
from emoclf.data.cleaning.manifests import find_manifests, read_manifest, set_mark
from emoclf.data.sources import stage_data
from emoclf.data.splitting import split_photos
from emoclf.experiments.label_errors import (
    apply_decisions,
    correct_labels,
    load_decisions,
    rank_label_errors,
    save_review_sheet,
)
from emoclf.photos import Photos
from emoclf.storage import find_path
from tests.test_label_errors import answer, hash_files, save_picture

FORMS = [("NFC", "NFD"), ("NFD", "NFC")]


def write(form, text):
    return unicodedata.normalize(form, text)


def make_data(root, form):
    """Eight pictures for each class, and one bad file, in folders and files with accents."""
    for number in range(16):
        name = f"{'Sad bébés' if number % 2 else 'happy'}/Zoë/ö {number}.png"
        save_picture(root / write(form, name), number)
    (root / write(form, "happy/Zoë/schön.jpg")).write_bytes(b"no picture")
    return root


def copy_as(source, target, form):
    """Copy a folder as a machine does that writes names in another form, hidden files too."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            to = target / write(form, path.relative_to(source).as_posix())
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)
    return target


@pytest.fixture(params=FORMS, ids=lambda forms: "to ".join(forms))
def forms(request):
    return request.param


def test_a_path_is_found_by_its_own_name_first(tmp_path):
    for form in ("NFC", "NFD"):
        (tmp_path / write(form, "é")).mkdir()
        assert find_path(tmp_path, write(form, "é")).name == write(form, "é")
    mixed = write("NFC", "é") + write("NFD", "ü")
    (tmp_path / mixed).mkdir()
    assert find_path(tmp_path, write("NFC", "éü") + "/a") == tmp_path / mixed / "a"
    for name in ("ä/b", "ä\0", "../é", "/é", ""):
        assert find_path(tmp_path, name).name == (tmp_path / name).name


def test_a_split_finds_its_photos(tmp_path, forms):
    here, there = forms
    report = find_problems(make_data(tmp_path / "data", here), progress=False)
    split_photos(report.kept).save(tmp_path / "split.json")
    copy = copy_as(tmp_path / "data", tmp_path / "copy", there)
    photos = replace(Photos.load(tmp_path / "split.json"), root=str(copy))
    assert all(file.is_file() for file in photos.files)
    assert len(set(photos.files)) == 16
    review = rank_label_errors(
        answer(report, {report.kept.paths[0]}), find_problems(copy, progress=False), photos=photos
    )
    tested = {write(there, path) for path in photos.part("test").paths}
    assert not tested & {each.path for each in review.label_errors}
    assert all((copy / each.path).is_file() for each in review.label_errors)


def test_what_was_moved_comes_back_on_another_machine(tmp_path, forms):
    here, there = forms
    root = make_data(tmp_path / "data", here)
    before = hash_files(root)
    assert quarantine(find_problems(root, progress=False), dry_run=False).left == ()
    copy = copy_as(root, tmp_path / "copy", there)
    back = restore(copy)
    assert (len(back.moved), back.left) == (1, ())
    assert hash_files(copy) == {write(there, name): value for name, value in before.items()}
    assert restore(copy).already_moved == back.moved
    assert restore(copy).left == ()


def test_an_interrupted_move_goes_on_on_another_machine(tmp_path, forms):
    here, there = forms
    root = make_data(tmp_path / "data", here)
    pristine = hash_files(root)
    quarantine(find_problems(root, progress=False), dry_run=False)
    restore(root)
    (manifest,) = find_manifests(root / "quarantine", None)
    copy = copy_as(root, tmp_path / "copy", there)
    set_mark(copy, copy / "quarantine" / manifest.parent.name, "move")
    report = find_problems(copy, progress=False)
    assert [r.path for r in report.records if r.has_problem("unfinished_move")] == [
        write(there, "happy/Zoë/schön.jpg")
    ]
    (done,) = finish_moves(copy)
    assert (len(done.moves), done.left) == (1, ())
    assert len(hash_files(copy)) == len(pristine) - 1
    (home,) = find_manifests(copy / "quarantine", None)
    moved = [path.name for path in (home.parent / "files").rglob("*.jpg")]
    assert moved == [write(there, "schön.jpg")]
    assert read_manifest(home).moves[0].source == write(here, "happy/Zoë/schön.jpg")


def test_decisions_of_another_machine_are_carried_out_and_undone(tmp_path, forms):
    here, there = forms
    root = make_data(tmp_path / "data", here)
    report = find_problems(root, progress=False)
    wrong = set(report.kept.paths[:2]) | set(report.kept.paths[-2:])
    review = rank_label_errors(answer(report, wrong), report)
    table = save_review_sheet(review, tmp_path / "sheet").table
    decided = [replace(each, action="move") for each in load_decisions(table)]
    decided[0] = replace(decided[0], action="set_aside")
    copy = copy_as(root, tmp_path / "copy", there)
    before = hash_files(copy)
    done = apply_decisions(copy, decided, dry_run=False)
    assert (len(done.moved), done.left) == (len(decided), ())
    assert len(hash_files(copy)) == len(before) - 1
    assert {path.split("/")[0] for path in hash_files(copy)} == {"happy", write(there, "Sad bébés")}
    again = apply_decisions(copy, decided, dry_run=False)
    assert (again.moved, again.left) == ((), ())
    corrected = correct_labels(report.kept, decided, locations=done.locations)
    assert corrected.moved + corrected.set_aside == len(decided)
    assert len(restore(copy).moved) == len(decided)
    assert hash_files(copy) == before


def test_staged_photos_are_there_under_names_of_another_form(tmp_path, forms):
    here, there = forms
    make_data(tmp_path / "source", here)
    stage_data(tmp_path / "source", tmp_path / "staged", progress=False)
    copy = copy_as(tmp_path / "staged", tmp_path / "copy", there)
    assert stage_data(tmp_path / "source", copy, progress=False).gone == ()


def test_two_files_whose_names_look_the_same_are_two_files(tmp_path):
    root = make_data(tmp_path / "data", "NFC")
    (root / write("NFD", "happy/Zoë")).mkdir()
    (root / write("NFD", "happy/Zoë/schön.jpg")).write_bytes(b"no picture either")
    before = hash_files(root)
    done = quarantine(find_problems(root, progress=False), dry_run=False)
    assert (len(done.moved), done.left) == (2, ())
    back = restore(root)
    assert (len(back.moved), back.left) == (2, ())
    assert hash_files(root) == before


def test_a_name_that_looks_the_same_leads_nowhere_else(tmp_path):
    root = make_data(tmp_path / "data", "NFC")
    quarantine(find_problems(root, progress=False), dry_run=False)
    (manifest,) = find_manifests(root / "quarantine", None)
    shutil.move(root / "happy" / write("NFC", "Zoë"), tmp_path / "away")
    (tmp_path / "outside").mkdir()
    (root / "happy" / write("NFD", "Zoë")).symlink_to(tmp_path / "outside")
    assert [reason for _, reason in restore(root).left] == [
        "the manifest points outside the folder"
    ]
    assert not list((tmp_path / "outside").iterdir())
    assert list((manifest.parent / "files").rglob("*.jpg"))
