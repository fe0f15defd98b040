"""Photos measured and corrupted: known values, faces at their place, and the two commands."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from emoclf.data.synthetic import draw_face, make_drawn_faces
from emoclf.evaluation import Evaluation, measure_robustness
from emoclf.experiments.error_analysis import (
    evaluate_robustness,
    evaluate_slices,
    make_corrupted_prediction,
    measure_photos,
    turn_face,
)
from emoclf.images import ModelInfo, UnreadableImageError, load_image
from emoclf.images.corruptions import Corruption
from emoclf.images.faces import Face
from emoclf.inference import Predictor
from emoclf.photos import Photos
from emoclf.plots import plot_robustness, plot_slices
from tests.calls import call


class GreenDetector:
    """Finds one face: whatever is green, if anything is."""

    name = "green"
    description = "A detector of green."
    note = ""

    def find(self, image):
        is_green = (image[..., 1] > 200) & (image[..., 0] < 60)
        if not is_green.any():
            return ()
        rows, columns = np.nonzero(is_green)
        left, top = float(columns.min()), float(rows.min())
        box = (left, top, columns.max() - left + 1.0, rows.max() - top + 1.0)
        return (Face(box, 0.9),)


class Green:
    """Probability of Happy: how green a crop is."""

    def predict_on_batch(self, x):
        share = np.asarray(x)[..., 1].mean(axis=(1, 2)) / 255
        return np.stack([1 - share, share], axis=1)


def make_photo(*, place=None, size=(100, 200), level=40):
    photo = np.full((*size, 3), level, dtype=np.uint8)
    if place:
        left, top = place
        photo[top : top + 40, left : left + 40] = (0, 255, 0)
    return photo


def save(path, photo):
    Image.fromarray(photo).save(path)
    return path


def make_predictor(crop="face"):
    info = ModelInfo(("Sad", "Happy"), (48, 48), "pad", crop)
    return Predictor(Green(), info, detector=GreenDetector())


def test_photos_are_measured(tmp_path):
    paths = [
        save(tmp_path / "face.png", make_photo(place=(100, 20))),
        save(tmp_path / "none.png", draw_face("Sad", seed=1, size=(300, 150))),
    ]
    found = measure_photos(paths, detector=GreenDetector())
    assert found["face, % of longer side"][0] == pytest.approx(20)
    assert np.isnan(found["face, % of longer side"][1])
    assert found["shorter side in pixels"].tolist() == [100, 150]
    green = (0.587 * 255 * 1600 + 40 * (20000 - 1600)) / 20000
    assert found["brightness"][0] == pytest.approx(green, abs=1)
    assert found["face"].tolist() == ["found", "none found"]
    assert found["people"].tolist() == ["1", ""]
    assert "face" not in measure_photos(paths)


def test_a_sharper_photo_measures_sharper(tmp_path):
    photo = draw_face("Happy", seed=2, size=(200, 200))
    small = Image.fromarray(photo).resize((12, 12)).resize((200, 200), Image.Resampling.BICUBIC)
    paths = [save(tmp_path / "sharp.png", photo), save(tmp_path / "soft.png", np.asarray(small))]
    sharp, soft = measure_photos(paths)["sharpness"]
    assert sharp > 2 * soft


def test_a_photo_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"<html>no photo</html>")
    with pytest.raises(UnreadableImageError, match=r"broken\.jpg"):
        measure_photos([tmp_path / "broken.jpg"])


def test_slices_by_face_find_that_the_network_needs_one(tmp_path):
    generator, paths, right = np.random.default_rng(0), [], []
    for number in range(80):
        has_face = number % 2 == 0
        photo = make_photo(
            place=(30, 30) if has_face else None, level=int(generator.integers(30, 90))
        )
        paths.append(save(tmp_path / f"{number}.png", photo).name)
        right.append(has_face or number % 4 == 1)
    labels = np.arange(80) // 8 % 2
    answers = np.where(right, labels, 1 - labels)
    evaluation = Evaluation(Photos.make(paths, labels, root=tmp_path), np.eye(2)[answers])
    report = evaluate_slices(evaluation, detector=GreenDetector())
    share = {each.name: each.accuracy.value for each in report.slices if each.measure == "face"}
    assert share == {"found": 1.0, "none found": 0.5}
    assert {test.measure for test in report.tests if test.differs} >= {"face"}
    figure = plot_slices(report)
    assert len(figure.axes[0].get_yticklabels()) == len(report.slices)


def test_a_turned_face_keeps_its_size_and_its_tilt():
    marks = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], dtype=np.float32)
    face = Face((5.0, 5.0, 20.0, 20.0), 0.8, marks)
    turned = turn_face(face, 90, size=(100, 100))
    np.testing.assert_allclose(turned.box, (5, 75, 20, 20), atol=1e-9)
    np.testing.assert_allclose(turned.landmarks - marks, np.tile([0, 70], (5, 1)), atol=1e-5)
    back = turn_face(turned, -90, size=(100, 100))
    np.testing.assert_allclose(back.box, face.box, atol=1e-9)
    assert turn_face(Face((180.0, 40.0, 20.0, 20.0), 0.8), 90, size=(100, 200)) is None


@pytest.mark.parametrize("degrees", [30, -50, 90])
def test_the_crop_follows_the_face_when_the_photo_is_turned(tmp_path, degrees):
    """After any turn the crop is still nearly all green, so the answer is still Happy."""
    file = save(tmp_path / "photo.png", make_photo(place=(70, 10), size=(160, 160)))
    answer, note = make_corrupted_prediction(make_predictor(), [file])
    corruptions = (Corruption("rotation", "rotation", (abs(degrees),)),)
    seen = []

    def watch(corrupted):
        seen.append(answer(corrupted))
        return seen[-1]

    measure_robustness(
        watch, Photos.make([file], [1]), corruptions=corruptions, seed=3 if degrees > 0 else 4
    )
    assert seen[0][0, 1] > 0.9
    assert seen[1][0, 1] > 0.75
    assert "clean" in note


def test_faces_are_found_before_the_corruption_or_searched_again(tmp_path):
    """In the dark the detector finds nothing; the network alone still answers, wrongly or not."""
    files = [
        save(tmp_path / f"{number}.png", make_photo(place=(20 * number, 30))) for number in range(4)
    ]
    corruptions = (Corruption("darkness", "darkness", (20, 90)),)
    photos = Photos.make(files, [1] * 4)
    before = evaluate_robustness(make_predictor(), photos, corruptions=corruptions)
    again = evaluate_robustness(
        make_predictor(), photos, corruptions=corruptions, search_again=True
    )
    assert before.clean.value == again.clean.value == 1
    assert before.curves[0].unanswered == (0, 0)
    assert again.curves[0].unanswered == (0, 4)
    assert again.curves[0].accuracy[1].value == 0
    assert "searched for again" in str(again)
    figure = plot_robustness(before)
    assert figure.axes[0].get_title().startswith("darkness")


def test_whole_photos_need_no_detector(tmp_path):
    files = [save(tmp_path / "0.png", np.full((50, 60, 3), 250, dtype=np.uint8))]
    predictor = Predictor(Green(), ModelInfo(("Sad", "Happy"), (48, 48), "crop", "none"))
    report = evaluate_robustness(predictor, Photos.make(files, [1]))
    assert report.most_damaging.corruption.name == "darkness"
    assert report.note == ""


@pytest.fixture
def green(monkeypatch):
    monkeypatch.setattr("emoclf.images.faces.make_detector", lambda *_, **__: GreenDetector())


@pytest.mark.usefixtures("green")
def test_analyse_errors_writes_tables_and_figures_into_the_run(run, tmp_path):
    folder = shutil.copytree(run[1].run.folder, tmp_path / "run")
    result = call("analyse-errors", str(folder))
    assert result.exit_code == 0, result.output
    assert "Among many slices" in result.output or "nothing can be concluded" in result.output
    assert "no corruption is shown to matter" in result.output
    numbers = json.loads((folder / "robustness.json").read_text())
    assert len(numbers["curves"]) == 6
    assert numbers["clean"]["count"] == 16
    for name in ("slices.png", "robustness.png"):
        assert load_image(folder / name).shape[1] > 300
    slices = json.loads((folder / "slices.json").read_text())["slices"]
    counts = [each["accuracy"]["count"] for each in slices]
    assert max(counts) == 16


@pytest.mark.usefixtures("green")
def test_analyse_errors_of_a_folder_prints_json_and_writes_nothing(run, tmp_path):
    new = tmp_path / "new"
    make_drawn_faces(new, photos_per_class=10, size=(64, 64), seed=2)
    for name, other in (("happy", "joy"), ("sad", "sorrow")):
        (new / name).rename(new / other)
    arguments = ["analyse-errors", str(run[1].run.folder), str(new), "--no-robustness"]
    before = sorted(run[1].run.folder.iterdir())
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["slices"]["overall"]["count"] == 20
    assert sorted(run[1].run.folder.iterdir()) == before
    result = call(*arguments, "--output", str(tmp_path / "found"))
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        "slices.json",
        "slices.png",
    ]


def test_analyse_errors_says_what_it_needs():
    result = call("analyse-errors", "packaged")
    assert result.exit_code == 2
    assert "analyse-errors packaged data" in result.output


def test_the_baselines_command_on_a_folder_and_on_a_run(run, tmp_path, drawn_folder):
    rest = [f"--skip={name}" for name in ("pixels", "network", "face_features", "fine_tuned")]
    arguments = [
        "baselines",
        str(drawn_folder),
        "--logs",
        str(tmp_path),
        "--name",
        "baselines",
        *rest,
    ]
    result = call(*arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert "Brightness alone gets" in result.output
    assert load_image(tmp_path / "baselines" / "baselines.png").shape[1] > 300
    result = call(*arguments, "--resume", "--json")
    numbers = json.loads(result.stdout)
    assert [baseline["name"] for baseline in numbers["baselines"]] == [
        "majority",
        "brightness",
        "colours",
    ]
    folder = shutil.copytree(run[1].run.folder, tmp_path / "run")
    rest.remove("--skip=network")
    result = call("baselines", str(folder), *rest)
    assert result.exit_code == 0, result.output
    assert "small network, whole photos" in result.output
    assert (folder / "baselines" / "baselines.json").is_file()


def test_the_baselines_command_refuses_what_a_run_decides(run):
    result = call("baselines", str(run[1].run.folder), "--epochs", "3")
    assert result.exit_code == 2
    assert "--epochs has no meaning with a run folder" in result.output
    result = call("baselines", str(run[1].run.folder.parent), "--resume")
    assert result.exit_code == 2
    assert "--resume needs the name" in result.output
