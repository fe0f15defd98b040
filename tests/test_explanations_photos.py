"""Maps on photos: where they lie, how they are drawn, what they say of the person, the command."""

import io

import numpy as np
import pytest
from PIL import Image

from emoclf import plots
from emoclf.data.synthetic import draw_face
from emoclf.images import ModelInfo, UnreadableImageError
from emoclf.images.faces import Face
from emoclf.inference import Predictor
from emoclf.inference.annotation import annotate_photo
from emoclf.inference.explanations import (
    NothingToExplainError,
    blend_map,
    draw_explanation,
    draw_ramp,
    explain,
    find_body_box,
    find_fraction_on_person,
    save_explanation,
    summarise_fractions_on_person,
)
from emoclf.models.model_file import save_model
from emoclf.models.packaged import load_face_network
from tests.calls import call


class RedNetwork:
    """Happy is how much red there is."""

    def predict_on_batch(self, images):
        pixels = images.astype(float)
        is_red = (pixels[..., 0] > 150) & (pixels[..., 1] < 100) & (pixels[..., 2] < 100)
        happy = 0.02 + 0.96 * (1 - np.exp(-60 * is_red.mean(axis=(1, 2))))
        return np.stack([1 - happy, happy], axis=1).astype(np.float32)


class FixedDetector:
    """Finds the faces it was given."""

    name, description, note = "fixed", "Finds what it was given.", ""

    def __init__(self, *faces):
        self.faces = faces

    def find(self, _image):
        return self.faces


def make_predictor(*, mode="pad", crop="none", faces=()):
    info = ModelInfo(image_size=(40, 40), resize_mode=mode, crop=crop)
    return Predictor(RedNetwork(), info, detector=FixedDetector(*faces))


def make_photo(size, box, *, colour=(220, 20, 20)):
    """A grey photo with a red box `(left, top, right, bottom)`."""
    photo = np.full((*size, 3), 90, dtype=np.uint8)
    left, top, right, bottom = box
    photo[top:bottom, left:right] = colour
    return photo


def find_peak(marks):
    """Return x and y of the middle of what is marked almost most."""
    rows, columns = np.nonzero(marks > 0.9)
    return columns.mean(), rows.mean()


# --- where the map lies ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["pad", "crop"])
@pytest.mark.parametrize("size", [(200, 120), (120, 200), (400, 400), (30, 24)])
def test_the_map_lies_on_the_photo_whatever_was_padded_or_cut(mode, size):
    height, width = size
    box = (width // 2, height // 2, width * 2 // 3, height * 2 // 3)
    found = explain(make_predictor(mode=mode), make_photo(size, box))
    assert found.map.shape == size
    assert found.map.dtype == np.float32
    assert found.map.min() == 0
    assert found.map.max() == 1
    x, y = find_peak(found.map)
    step = max(size) / 10
    assert box[0] - step <= x <= box[2] + step
    assert box[1] - step <= y <= box[3] + step
    left, top, seen_width, seen_height = found.seen
    side = min(size)
    expected = (0, 0, width, height)
    if mode == "crop":
        expected = ((width - side) / 2, (height - side) / 2, side, side)
    np.testing.assert_allclose((left, top, seen_width, seen_height), expected, atol=1)
    beside = found.map.copy()
    beside[round(top) : round(top + seen_height), round(left) : round(left + seen_width)] = 0
    assert not beside.any(), "nothing is marked where the network did not look"


def test_a_large_photo_that_is_decoded_small_has_a_map_of_its_full_size(tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(make_photo((1600, 2400), (1600, 400, 2000, 800))).save(path, quality=95)
    found = explain(make_predictor(), path)
    assert found.map.shape == (1600, 2400)
    x, y = find_peak(found.map)
    assert 1500 <= x <= 2100
    assert 300 <= y <= 900
    assert found.prediction.file == str(path)


def test_grey_and_transparent_photos_are_explained():
    grey = np.full((50, 60), 120, dtype=np.uint8)
    assert explain(make_predictor(), grey).map.shape == (50, 60)
    rgba = np.dstack([make_photo((50, 60), (10, 10, 25, 25)), np.full((50, 60), 255, np.uint8)])
    assert find_peak(explain(make_predictor(), rgba).map)[0] < 30
    pixel = np.full((1, 1, 3), 200, dtype=np.uint8)
    assert explain(make_predictor(), pixel).map.shape == (1, 1)


@pytest.mark.parametrize("roll", [0, 30, -50])
def test_the_map_of_a_face_lies_where_its_crop_was(roll):
    """The mouth of a tilted face is red; its place in the crop is turned back."""
    angle = np.radians(roll)
    across, down = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    centre = np.array([160.0, 110.0])
    eyes = [centre - 14 * across - 10 * down, centre + 14 * across - 10 * down]
    mouth = centre + 22 * down
    photo = make_photo((240, 320), (0, 0, 0, 0))
    x, y = (int(value) for value in mouth)
    photo[y - 8 : y + 8, x - 8 : x + 8] = (220, 20, 20)
    landmarks = np.array([*eyes, centre, mouth, mouth], dtype=np.float32)
    face = Face(box=(120.0, 65.0, 80.0, 90.0), score=0.9, landmarks=landmarks)
    found = explain(make_predictor(crop="face", faces=(face,)), photo)
    assert np.hypot(*(find_peak(found.map) - mouth)) < 10
    far = np.ones(found.map.shape, dtype=bool)
    far[40:200, 80:240] = False
    assert not found.map[far].any()
    across_crop = found.corners[1] - found.corners[0]
    assert np.degrees(np.arctan2(across_crop[1], across_crop[0])) == pytest.approx(roll, abs=1)


def test_a_face_at_the_border_keeps_what_lies_beyond_in_its_share():
    face = Face(box=(-30.0, -30.0, 80.0, 80.0), score=0.9)
    photo = make_photo((100, 100), (0, 0, 16, 16))
    found = explain(make_predictor(crop="face", faces=(face,)), photo)
    assert 0 < found.fraction_on_photo < 0.9
    inside = Face(box=(20.0, 20.0, 50.0, 50.0), score=0.9)
    photo = make_photo((100, 100), (40, 40, 50, 50))
    found = explain(make_predictor(crop="face", faces=(inside,)), photo)
    assert found.fraction_on_photo == 1


def test_another_face_and_another_class_are_explained_when_asked():
    faces = tuple(Face(box=(left, 20.0, 60.0, 60.0), score=0.9) for left in (10.0, 120.0))
    photo = make_photo((100, 200), (140, 40, 160, 60))
    predictor = make_predictor(crop="face", faces=faces)
    assert find_peak(explain(predictor, photo, face=1).map)[0] > 100
    first = explain(predictor, photo)
    assert (first.class_name, first.note) == ("Sad", "Nothing in the picture speaks for this "
                                              "class, by this method.")  # fmt: skip
    assert not first.map.any()
    assert "Nothing in the picture" in str(first)
    sad = explain(predictor, photo, face=1, class_name="Sad")
    assert sad.class_name == "Sad"
    assert sad.probability == sad.prediction.faces[1].probabilities["Sad"]


def test_what_cannot_be_explained_says_why():
    photo = make_photo((60, 60), (10, 10, 20, 20))
    nobody = make_predictor(crop="face")
    with pytest.raises(NothingToExplainError, match="No face was found"):
        explain(nobody, photo)
    assert explain(nobody, photo, whole_photo=True).map.any()
    with pytest.raises(NothingToExplainError, match="face=1"):
        explain(make_predictor(), photo, face=1)
    with pytest.raises(ValueError, match="'Angry' should be one of Sad, Happy"):
        explain(make_predictor(), photo, class_name="Angry")
    with pytest.raises(ValueError, match="guess"):
        explain(make_predictor(), photo, method="guess")
    for faces_only in (False, True):
        with pytest.raises(ValueError, match="load_face_network"):
            explain(Predictor.packaged(faces_only=faces_only), photo, method="grad-cam")
    with pytest.raises(UnreadableImageError):
        explain(make_predictor(), b"no photo")


def test_the_packaged_network_is_explained_without_tensorflow_and_with():
    photo = draw_face("Happy", seed=18, size=(96, 96), strength=1.0)
    detector = FixedDetector(Face((20.0, 20.0, 56.0, 60.0), 0.9))
    packaged = Predictor.packaged(faces_only=True, detector=detector)
    found = explain(packaged, photo)
    assert found.method == "occlusion"
    assert found.map.max() == 1
    in_keras = Predictor(
        load_face_network(), packaged.info, detector=packaged.detector
    )  # fmt: skip
    other = explain(in_keras, photo, method="grad-cam")
    assert other.map.shape == found.map.shape
    np.testing.assert_allclose(other.corners, found.corners)


# --- how it is drawn ------------------------------------------------------------------------


def test_yellow_is_where_it_speaks_most_and_the_rest_of_the_photo_stays_grey():
    face = Face(box=(20.0, 20.0, 50.0, 50.0), score=0.9)
    photo = make_photo((100, 200), (40, 40, 50, 50))
    found = explain(make_predictor(crop="face", faces=(face,)), photo)
    picture = blend_map(photo, found).astype(int)
    x, y = (int(value) for value in find_peak(found.map))
    red, green, blue = picture[y, x]
    assert min(red, green) > blue + 60
    np.testing.assert_array_equal(picture[90, 150], [90, 90, 90])
    assert (picture[50, 20:30, 2] > picture[50, 20:30, 0]).all(), "blue where it says little"


def test_the_ramp_grows_lighter_for_every_reader():
    """Also without colour: each step is lighter than the one before."""
    ramp = draw_ramp((2, 64)).astype(float)
    assert ramp.shape == (2, 64, 3)
    luminance = ramp[0] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > -0.6).all()
    assert luminance[-1] > luminance[0] + 60


@pytest.mark.parametrize("size", [(40, 30), (30, 400), (900, 700)])
def test_every_picture_has_its_legend(size):
    height, width = size
    photo = make_photo(size, (width // 3, height // 3, width // 2, height // 2))
    found = explain(make_predictor(), photo)
    picture = draw_explanation(photo, found)
    answered = annotate_photo(photo, found.prediction)
    assert picture.shape[1] == answered.shape[1]
    strip = picture[answered.shape[0] :].astype(int)
    assert strip.shape[0] >= 30
    yellow = (strip[..., 0] > strip[..., 2] + 60).any(axis=0)
    assert yellow[: strip.shape[1] // 3].sum() == 0
    assert yellow[strip.shape[1] // 2 :].any()


def test_a_photo_of_another_size_is_refused():
    found = explain(make_predictor(), make_photo((40, 60), (5, 5, 20, 20)))
    with pytest.raises(ValueError, match=r"\(40, 60, 3\)"):
        blend_map(make_photo((60, 40), (5, 5, 20, 20)), found)


def test_nothing_is_overwritten(tmp_path):
    photo = make_photo((40, 60), (5, 5, 20, 20))
    Image.fromarray(photo).save(tmp_path / "sunny.png")
    found = explain(make_predictor(), tmp_path / "sunny.png")
    paths = [save_explanation(photo, found, folder=tmp_path) for _ in range(2)]
    assert [path.name for path in paths] == ["sunny-happy.png", "sunny-happy-2.png"]
    np.testing.assert_array_equal(
        np.asarray(Image.open(paths[0])), draw_explanation(photo, found)
    )  # fmt: skip


# --- the person -----------------------------------------------------------------------------

FACE = Face(box=(40.0, 20.0, 20.0, 20.0), score=0.9)


def test_shares_are_those_of_the_boxes():
    marks = np.zeros((200, 100))
    marks[20:40, 40:60] = 3.0  # the face: 1,200
    marks[100:104, 40:60] = 5.0  # the body: 400
    marks[190:, :40] = 1.0  # elsewhere: 400
    fraction = find_fraction_on_person(marks, [FACE])
    assert fraction.face.marked == pytest.approx(0.6)
    assert fraction.face.area == pytest.approx(400 / 20000)
    assert fraction.body.marked == pytest.approx(0.8)
    assert find_body_box(FACE) == (20.0, 10.0, 60.0, 110.0)
    assert fraction.body.area == pytest.approx(60 * 110 / 20000)
    assert fraction.face.lead == pytest.approx(0.58)


def test_a_map_that_marks_everywhere_alike_is_at_chance():
    faces = [FACE, Face(box=(80.0, 150.0, 40.0, 40.0), score=0.9)]  # one reaches past the border
    fraction = find_fraction_on_person(np.ones((200, 100)), faces)
    assert fraction.face.lead == pytest.approx(0)
    assert fraction.body.lead == pytest.approx(0)
    assert fraction.face.area == pytest.approx((20 * 20 + 20 * 40) / 20000)


def test_only_what_the_network_saw_counts():
    marks = np.zeros((200, 100))
    marks[50:150] = 1.0
    fraction = find_fraction_on_person(
        marks, [Face((0.0, 0.0, 100.0, 100.0), 0.9)], seen=(0, 50, 100, 100)
    )
    assert fraction.face.marked == fraction.face.area == 0.5


def test_no_face_or_no_mark_has_no_share_and_no_map_is_refused():
    assert find_fraction_on_person(np.ones((20, 20)), []) is None
    assert find_fraction_on_person(np.zeros((20, 20)), [Face((0.0, 0.0, 9.0, 9.0), 0.9)]) is None
    for wrong in (np.ones((20, 20, 3)), -np.ones((20, 20)), np.full((20, 20), np.nan)):
        with pytest.raises(ValueError, match="marks"):
            find_fraction_on_person(wrong, [FACE])


def make_shares(face_value, count, *, elsewhere=1.0, body_value=None, seed=0):
    generator = np.random.default_rng(seed)
    fractions = []
    for _ in range(count):
        marks = elsewhere * generator.uniform(0.8, 1.2, (200, 100))
        if body_value is not None:
            marks[10:120, 20:80] *= body_value
        marks[20:40, 40:60] = face_value * generator.uniform(0.8, 1.2, (20, 20))
        fractions.append(find_fraction_on_person(marks, [FACE]))
    return fractions


@pytest.mark.parametrize(
    ("fractions", "sentence"),
    [
        (make_shares(9.0, 12), "looks at faces more than chance would."),
        (make_shares(0.1, 12), "looks past the faces"),
        (make_shares(0.3, 12, body_value=3.0), "looks at the person more than chance would, not"),
        (make_shares(9.0, 9), "From 9 photos nothing can be concluded"),
    ],
)
def test_the_sentence_follows_from_the_numbers(fractions, sentence):
    summary = summarise_fractions_on_person([*fractions, None])
    assert sentence in str(summary)
    assert summary.count == len(fractions)
    leads = [fraction.face.lead for fraction in fractions]
    assert summary.face.lead == pytest.approx(np.mean(leads))
    assert summary.face.low < summary.face.lead < summary.face.high
    assert summary.face.above.value == np.mean(np.array(leads) > 0)


def test_maps_that_are_near_chance_show_nothing():
    fractions = make_shares(0.5, 6) + make_shares(1.5, 6, seed=1)
    assert "is not shown to look at faces" in str(summarise_fractions_on_person(fractions))


def test_the_interval_is_students():
    fractions = make_shares(9.0, 1) + make_shares(2.0, 1) + make_shares(5.0, 1)
    leads = np.array([fraction.face.lead for fraction in fractions])
    summary = summarise_fractions_on_person(fractions)
    reach = 4.302653 * leads.std(ddof=1) / np.sqrt(3)
    assert summary.face.high - summary.face.lead == pytest.approx(reach, rel=1e-5)
    assert np.isnan(summarise_fractions_on_person(fractions[:1]).face.low)
    with pytest.raises(ValueError, match="2 photos without"):
        summarise_fractions_on_person([None, None])


# --- figures --------------------------------------------------------------------------------


def render(figure):
    return np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGB"))


def test_a_page_of_maps_has_one_legend():
    photos = [make_photo((40, 60 + n), (5, 5, 20, 20)) for n in range(5)]
    found = [explain(make_predictor(), photo) for photo in photos]
    figure = plots.plot_explanations(photos, found, columns=3, title="Maps")
    assert render(figure).std() > 5
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 5
    assert shown[0].get_title() == f"Happy {found[0].probability:.0%}"
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels.count("what speaks for the class") == 1
    with pytest.raises(ValueError, match="5 photos and 4 explanations"):
        plots.plot_explanations(photos, found[:4])


def test_the_shares_are_shown_against_chance():
    fractions = [*make_shares(9.0, 12), None]
    figure = plots.plot_fractions_on_person(fractions)
    assert render(figure).std() > 5
    dots = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 12]
    np.testing.assert_allclose(dots[0].get_ydata(), [s.face.marked for s in fractions if s])
    assert figure.get_supxlabel() == str(summarise_fractions_on_person(fractions))


def test_boxes_that_fill_the_pictures_are_not_drawn():
    fractions = [
        share._replace(body=share.body._replace(area=1.0, marked=1.0))
        for share in make_shares(9.0, 12)
    ]
    figure = plots.plot_fractions_on_person(fractions)
    assert [axis.get_xlabel() for axis in figure.axes] == ["fraction of the area in faces"]
    assert len(plots.plot_fractions_on_person(make_shares(9.0, 12)).axes) == 2


# --- the command ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    import keras

    from emoclf.models import build_cnn

    keras.utils.set_random_seed(7)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model = build_cnn((32, 32), filters=(4, 8), seed=1)
    return save_model(model, path, info=ModelInfo(image_size=(32, 32)))


@pytest.fixture
def detector(monkeypatch):
    found = FixedDetector(Face((10.0, 5.0, 20.0, 25.0), 0.9))
    monkeypatch.setattr("emoclf.images.faces.make_detector", lambda *_args, **_options: found)


def invoke(*arguments):
    return call("explain", *arguments)


@pytest.mark.usefixtures("detector")
def test_the_command_writes_a_picture_per_photo(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(make_photo((60, 80), (10, 10, 30, 30))).save(folder / f"{number}.png")
    (folder / "text.jpg").write_text("This is no photo.")
    output = tmp_path / "maps"
    result = invoke(folder, "--output", output)
    assert result.exit_code == 1
    rows = result.stdout.splitlines()
    assert len(rows) == 3
    assert all("With the most marked tenth" in row for row in rows[:2])
    assert "text.jpg: not read" in rows[2]
    assert len(list(output.iterdir())) == 2
    assert all(np.asarray(Image.open(each)).ndim == 3 for each in output.iterdir())


@pytest.mark.usefixtures("detector")
@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_a_network_of_yours_is_explained_and_measured(model_file, method, tmp_path):
    Image.fromarray(make_photo((60, 80), (10, 10, 30, 30))).save(tmp_path / "a.png")
    result = invoke(
        *(tmp_path / "a.png", "--model", model_file, "--method", method, "--person"),
        *("--class", "Happy", "--output", tmp_path / "maps"),
    )
    assert result.exit_code == 0
    assert f"({method})" in result.stdout
    if "Nothing in the picture" in result.stdout:  # an untrained network may mark nothing
        assert "No photo has both a face and something marked" in result.stdout
    else:
        assert "From 1 photo nothing can be concluded" in result.stdout
    assert (tmp_path / "maps" / "a-happy.png").exists()


@pytest.mark.usefixtures("detector")
def test_what_the_command_refuses(tmp_path):
    photo = tmp_path / "a.png"
    Image.fromarray(make_photo((60, 80), (10, 10, 30, 30))).save(photo)
    cam = invoke(photo, "--method", "grad-cam", "--output", tmp_path / "maps")
    assert cam.exit_code == 1
    assert "--method occlusion" in cam.stderr
    person = invoke(photo, "--faces-only", "--person", "--output", tmp_path / "maps")
    assert person.exit_code == 2
    assert "leave --person out" in person.stderr
    assert invoke(photo).exit_code == 2
    assert not (tmp_path / "maps").exists()


def test_no_face_is_not_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "emoclf.images.faces.make_detector", lambda *_args, **_options: FixedDetector()
    )
    photo = tmp_path / "a.png"
    Image.fromarray(make_photo((60, 80), (10, 10, 30, 30))).save(photo)
    given = (photo, "--output", tmp_path / "maps")
    result = invoke(*given, "--faces-only")
    assert result.exit_code == 1
    assert "not explained. No face was found" in result.stdout
    assert not (tmp_path / "maps").exists()
    assert invoke(*given, "--faces-only", "--whole-photo").exit_code == 0
    assert invoke(*given).exit_code == 0, "the scene is explained"
