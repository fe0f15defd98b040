"""The built-in data set: drawn the same every time, fair, not trivial, flawed as promised."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emoclf.config import CLASS_NAMES
from emoclf.data.synthetic import data_set, draw_face, make_drawn_faces
from emoclf.data.synthetic.canvas import HeadPose, ribbon, smooth
from emoclf.data.synthetic.face import mouth_edges
from emoclf.data.synthetic.flaws import FLAW_COUNTS
from emoclf.data.synthetic.photo import draw_photo
from emoclf.data.synthetic.traits import BACKGROUNDS, COVERS, HAIR_STYLES

SAMPLE_PER_CLASS = 160
TINY = (48, 48)


@pytest.fixture(scope="module")
def sample():
    """Photos as `make_drawn_faces` draws them, sad and happy in turn, with their labels."""
    settings = {"seed": 7, "size": [64, 64]}
    photos = [
        data_set._picture(settings, label, index)
        for index in range(SAMPLE_PER_CLASS)
        for label in (0, 1)
    ]
    return photos, np.tile([0, 1], SAMPLE_PER_CLASS)


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    return make_drawn_faces(
        tmp_path_factory.mktemp("flawed"), photos_per_class=12, size=TINY, with_flaws=True
    )


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


# --- one face


@pytest.mark.parametrize("size", [(128, 128), (64, 96), (96, 64), (32, 32), (200, 33)])
def test_a_face_is_an_rgb_array_of_the_asked_size(size):
    face = draw_face("Happy", seed=3, size=size)

    assert face.shape == (*size, 3)
    assert face.dtype == np.uint8
    assert face.std() > 10


def test_the_same_seed_draws_the_same_face_and_another_seed_another_one():
    first = draw_face("Sad", seed=5, size=TINY)

    np.testing.assert_array_equal(first, draw_face("Sad", seed=5, size=TINY))
    np.testing.assert_array_equal(first, draw_face("sad", seed=np.int64(5), size=TINY))
    assert np.abs(first.astype(int) - draw_face("Sad", seed=6, size=TINY)).mean() > 10


def test_a_face_keeps_its_colours_in_red_green_blue_order():
    faces = [draw_face("Happy", seed=seed, size=TINY) for seed in range(30)]
    centre = np.stack(faces)[:, 16:32, 16:32].reshape(-1, 3).mean(axis=0)

    assert centre[0] > centre[1] > centre[2], "skin is redder than green, greener than blue"


@pytest.mark.parametrize("seed", [1, 8, 21])
def test_without_any_expression_happy_and_sad_are_the_same_picture(seed):
    happy = draw_face("Happy", seed=seed, size=TINY, strength=0.0)

    np.testing.assert_array_equal(happy, draw_face("Sad", seed=seed, size=TINY, strength=0.0))


def test_happy_and_sad_differ_more_the_stronger_the_expression():
    def difference(strength):
        pairs = [
            [draw_face(name, seed=seed, size=(64, 64), strength=strength) for name in CLASS_NAMES]
            for seed in range(12)
        ]
        return np.mean([np.abs(sad.astype(int) - happy).mean() for sad, happy in pairs])

    steps = [difference(strength) for strength in (0.0, 0.25, 0.5, 1.0)]

    assert steps == sorted(steps)
    assert steps[0] == 0.0
    assert steps[3] > 1.5 * steps[1]


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_corners_of_the_mouth_follow_the_feeling(direction):
    for seed in range(20):
        photo = draw_photo(direction, seed=seed, size=(32, 32), strength=0.9)
        upper, lower = mouth_edges(photo.expression)
        middle = (upper[8, 1] + lower[8, 1]) / 2
        corners = (upper[0, 1] + upper[-1, 1]) / 2

        assert (lower[:, 1] >= upper[:, 1]).all()
        if photo.expression.mouth_curve * direction > 0.1:
            assert (middle - corners) * direction > 0, "y grows downwards"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_name": "Angry"}, "class_name='Angry'"),
        ({"class_name": 1}, "class_name=1"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"seed": True}, "seed=True"),
        ({"size": (31, 64)}, r"size=\(31, 64\)"),
        ({"size": 64}, "size=64"),
        ({"size": (64.0, 64)}, "size="),
        ({"size": (64, 5000)}, "size="),
        ({"strength": 1.1}, "strength=1.1"),
        ({"strength": float("nan")}, "strength=nan"),
    ],
)
def test_bad_arguments_of_a_face_are_refused_by_name(arguments, message):
    arguments = {"class_name": "Happy", "seed": 1} | arguments

    with pytest.raises(ValueError, match=f"Expected .*Received: {message}"):
        draw_face(**arguments)


# --- fair and not trivial


@pytest.mark.parametrize("seed", range(6))
def test_only_the_expression_knows_the_class(seed):
    sad, happy = (draw_photo(direction, seed=seed, size=(32, 32)) for direction in (-1.0, 1.0))

    assert sad.person == happy.person
    assert sad.scene == happy.scene
    for name in ("strength", "mouth_open", "teeth", "mouth_skew", "brow_height", "eye_open"):
        assert getattr(sad.expression, name) == getattr(happy.expression, name), name


def test_brightness_colour_and_an_open_mouth_are_alike_in_both_classes(sample):
    photos, labels = sample
    facts = np.array(
        [
            [
                *photo.pixels.reshape(-1, 3).mean(axis=0),
                photo.pixels.std(),
                photo.expression.mouth_open > 0,
                photo.expression.teeth,
                photo.person.glasses != "",
                photo.person.beard != "",
                photo.scene.cover != "",
            ]
            for photo in photos
        ],
        dtype=float,
    )
    sad, happy = facts[labels == 0], facts[labels == 1]
    error = np.sqrt((sad.var(axis=0) + happy.var(axis=0)) / SAMPLE_PER_CLASS)

    assert (np.abs(sad.mean(axis=0) - happy.mean(axis=0)) < 3 * error).all()


def test_the_mean_colour_does_not_give_the_class_away(sample):
    photos, labels = sample
    colours = np.array([photo.pixels.reshape(-1, 3).mean(axis=0) for photo in photos])
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))

    accuracy = cross_val_score(model, colours, labels, cv=5).mean()

    assert abs(accuracy - 0.5) < 3 * np.sqrt(0.25 / len(labels))


def test_a_linear_model_on_the_pixels_is_far_from_solving_it(sample):
    photos, labels = sample
    pixels = np.array(
        [np.asarray(Image.fromarray(p.pixels).convert("L").resize((24, 24))) for p in photos]
    ).reshape(len(photos), -1)

    accuracies = [
        cross_val_score(
            make_pipeline(
                StandardScaler(), LogisticRegression(C=penalty, solver="newton-cholesky")
            ),
            pixels,
            labels,
            cv=4,
        ).mean()
        for penalty in (1e-4, 1e-2)
    ]

    assert max(accuracies) < 0.65, "0.72 if all heads stood upright at the same place"


def test_most_mouths_tell_the_class_and_some_do_not(sample):
    photos, labels = sample
    curves = np.array([photo.expression.mouth_curve for photo in photos])

    share = np.mean((curves > 0) == (labels == 1))

    assert 0.9 < share < 1.0


def test_people_places_and_covers_vary(sample):
    photos, _ = sample

    assert {photo.person.hair_style for photo in photos} == set(HAIR_STYLES)
    assert {photo.scene.background for photo in photos} == set(BACKGROUNDS)
    assert {photo.scene.cover for photo in photos} == {*COVERS, ""}
    assert len({str(photo.person) for photo in photos}) == len(photos)


# --- the data set on disk


def test_a_data_set_has_the_promised_pictures(tmp_path):
    faces = make_drawn_faces(tmp_path / "new" / "data", photos_per_class=4, size=(48, 64))

    assert faces.folder == tmp_path / "new" / "data"
    assert faces.counts == {"Sad": 4, "Happy": 4}
    assert list(faces.counts) == list(CLASS_NAMES)
    assert faces.planted_flaws == ()
    for name in ("sad", "happy"):
        files = list((faces.folder / name).iterdir())
        assert len(files) == 4
        for path in files:
            with Image.open(path) as image:
                image.load()
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))


def test_the_files_depend_on_the_seed_alone_and_not_on_their_count(tmp_path):
    few, more, other = (
        files_below(make_drawn_faces(tmp_path / name, photos_per_class=n, seed=s, size=TINY).folder)
        for name, n, s in (("few", 3, 1), ("more", 5, 1), ("other", 3, 2))
    )
    del few[".drawn_faces.json"]

    assert few.items() <= more.items()
    assert not set(few.values()) & set(other.values())


def test_pictures_of_one_data_set_are_all_different(tmp_path):
    faces = make_drawn_faces(tmp_path, photos_per_class=40, size=(32, 32))
    contents = list(files_below(faces.folder).values())

    assert len(contents) == 81
    assert len(set(contents)) == 81


def test_file_names_stay_unique_in_a_large_data_set():
    names = {
        data_set._relative_path(42, label, index).lower()
        for label in (0, 1)
        for index in range(1500)
    }

    assert len(names) == 3000


def test_wrong_labels_are_the_other_class_and_are_named(tmp_path):
    """The same file without wrong labels shows the other expression; all others are the same."""
    right = make_drawn_faces(tmp_path / "right", photos_per_class=12, size=(32, 32))
    turned = make_drawn_faces(
        tmp_path / "turned", photos_per_class=12, size=(32, 32), wrong_labels=3
    )
    named = {flaw.paths[0] for flaw in turned.planted_flaws}
    assert {flaw.kind for flaw in turned.planted_flaws} == {"wrong_label"}
    assert sorted(path.split("/")[0] for path in named) == ["happy"] * 3 + ["sad"] * 3
    assert turned.counts == right.counts
    for path in (path for path in right.folder.rglob("*.jp*g")):
        name = path.relative_to(right.folder).as_posix()
        is_same = path.read_bytes() == (turned.folder / name).read_bytes()
        assert is_same == (name not in named), name
    again = make_drawn_faces(
        tmp_path / "turned", photos_per_class=12, size=(32, 32), wrong_labels=3
    )
    assert again == turned
    with pytest.raises(ValueError, match="wrong_labels"):
        make_drawn_faces(tmp_path / "many", photos_per_class=2, size=(32, 32), wrong_labels=3)
    with pytest.raises(FileExistsError, match="wrong_labels=3"):
        make_drawn_faces(tmp_path / "turned", photos_per_class=12, size=(32, 32))


def test_a_finished_data_set_is_returned_as_it_is(tmp_path):
    first = make_drawn_faces(tmp_path, photos_per_class=3, size=TINY)
    removed = next((tmp_path / "sad").iterdir())
    removed.unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    second = make_drawn_faces(tmp_path, photos_per_class=3, size=TINY)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert first.counts == {"Sad": 3, "Happy": 3}
    assert second.counts == {"Sad": 2, "Happy": 3}, "a picture taken away stays away"


def test_an_interrupted_data_set_is_finished(tmp_path, monkeypatch):
    whole = make_drawn_faces(tmp_path / "whole", photos_per_class=12, size=TINY, with_flaws=True)
    encode, written = data_set._encode, []

    def interrupt(photo):
        if len(written) == 9:
            raise KeyboardInterrupt
        written.append(photo)
        return encode(photo)

    monkeypatch.setattr(data_set, "_encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_drawn_faces(tmp_path / "part", photos_per_class=12, size=TINY, with_flaws=True)
    monkeypatch.undo()
    pictures = [*(tmp_path / "part/sad").iterdir(), *(tmp_path / "part/happy").iterdir()]
    assert len(pictures) == 9

    finished = make_drawn_faces(tmp_path / "part", photos_per_class=12, size=TINY, with_flaws=True)

    assert files_below(finished.folder) == files_below(whole.folder)
    assert finished.planted_flaws == whole.planted_flaws


def test_a_write_that_fails_leaves_no_half_picture(tmp_path, monkeypatch):
    def fail(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    make_drawn_faces(tmp_path / "other", photos_per_class=1, size=TINY)
    (tmp_path / ".drawn_faces.json").write_bytes(
        (tmp_path / "other" / ".drawn_faces.json").read_bytes().replace(b"true,", b"false,")
    )
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        make_drawn_faces(tmp_path, photos_per_class=1, size=TINY)
    monkeypatch.undo()
    assert not [path for path in (tmp_path / "sad").iterdir() if path.name[0] != "."]

    faces = make_drawn_faces(tmp_path, photos_per_class=1, size=TINY)

    assert faces.counts == {"Sad": 1, "Happy": 1}
    assert not list((tmp_path / "sad").glob(".*")), "the temporary file became the picture"


@pytest.mark.parametrize("place", ["sad/mine.jpg", "happy/notes.txt", ".drawn_faces.json"])
def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"mine")

    with pytest.raises(FileExistsError, match="choose another `folder`") as error:
        make_drawn_faces(tmp_path, photos_per_class=1, size=TINY)

    assert str(tmp_path / place.split("/")[0]) in str(error.value)
    assert files_below(tmp_path) == {place: b"mine"}


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"photos_per_class": 2}, {"size": (64, 64)}, {"with_flaws": True}]
)
def test_faces_drawn_with_other_settings_are_not_mixed(tmp_path, changed):
    settings = {"photos_per_class": 10, "size": TINY}
    make_drawn_faces(tmp_path, **settings)
    before = files_below(tmp_path)

    with pytest.raises(FileExistsError, match="Received: faces drawn with photos_per_class=10"):
        make_drawn_faces(tmp_path, **(settings | changed))

    assert files_below(tmp_path) == before


def test_a_hidden_file_and_other_folders_do_not_disturb(tmp_path):
    for place in ("sad/.gitkeep", "notes/mine.txt"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text("mine")

    faces = make_drawn_faces(tmp_path, photos_per_class=1, size=TINY)

    assert faces.counts == {"Sad": 1, "Happy": 1}
    assert (tmp_path / "notes/mine.txt").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(NotADirectoryError, match="which is a file"):
        make_drawn_faces(tmp_path / "file", photos_per_class=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"photos_per_class": 0}, "at least 1. Received: photos_per_class=0"),
        ({"photos_per_class": 2.0}, "Received: photos_per_class=2.0"),
        ({"photos_per_class": 9, "with_flaws": True}, "at least 10. Received: photos_per_class=9"),
        ({"seed": -3}, "Received: seed=-3"),
        ({"size": (8, 8)}, r"Received: size=\(8, 8\)"),
    ],
)
def test_bad_arguments_of_a_data_set_are_refused_before_anything_is_made(
    tmp_path, arguments, message
):
    with pytest.raises(ValueError, match=message):
        make_drawn_faces(tmp_path / "new", **arguments)

    assert not (tmp_path / "new").exists()


def test_progress_shows_a_bar_on_request_only(tmp_path, capsys):
    make_drawn_faces(tmp_path / "quiet", photos_per_class=1, size=TINY)
    assert capsys.readouterr() == ("", "")

    make_drawn_faces(tmp_path / "loud", photos_per_class=1, size=TINY, progress=True)
    assert "Drawing faces" in capsys.readouterr().err


# --- planted flaws


def flaws_of(faces, kind):
    found = [flaw for flaw in faces.planted_flaws if flaw.kind == kind]
    assert len(found) == FLAW_COUNTS[kind]
    return [(*(faces.folder / path for path in flaw.paths), None)[:2] for flaw in found]


def difference(first, second):
    first, second = (np.asarray(image.convert("RGB"), dtype=float) for image in (first, second))
    return np.abs(first - second).mean()


def test_every_planted_flaw_is_there_once_and_the_rest_is_ordinary(flawed):
    planted = [flaw.paths[0] for flaw in flawed.planted_flaws]
    ordinary = files_below(flawed.folder).keys() - set(planted) - {".drawn_faces.json"}

    assert len(planted) == len(set(planted)) == sum(FLAW_COUNTS.values())
    assert len(ordinary) == 24
    assert flawed.counts == {"Sad": 12, "Happy": 12}
    assert all(flaw.note.endswith(".") for flaw in flawed.planted_flaws)
    for place in ordinary:
        with Image.open(flawed.folder / place) as image:
            image.load()
            assert (image.format, image.size) == ("JPEG", TINY)


def test_flaws_are_the_same_for_the_same_seed_and_lie_in_both_classes(flawed, tmp_path):
    again = make_drawn_faces(tmp_path, photos_per_class=12, size=TINY, with_flaws=True)

    assert files_below(again.folder) == files_below(flawed.folder)
    assert again.planted_flaws == flawed.planted_flaws
    for kind in FLAW_COUNTS:
        folders = {path.parent.name for path, _ in flaws_of(flawed, kind)}
        assert folders == {"sad", "happy"}, kind


def test_truncated_files_open_but_cannot_be_read_to_the_end(flawed):
    for path, _ in flaws_of(flawed, "truncated"):
        with Image.open(path) as image, pytest.raises(OSError, match="truncated"):
            image.load()


@pytest.mark.parametrize("kind", ["web_page", "empty", "unsupported_format", "stray_file"])
def test_files_that_are_no_pictures_do_not_open(flawed, kind):
    for path, _ in flaws_of(flawed, kind):
        with pytest.raises(UnidentifiedImageError):
            Image.open(path)


def test_files_that_are_no_pictures_are_what_they_claim(flawed):
    assert all(path.stat().st_size == 0 for path, _ in flaws_of(flawed, "empty"))
    for path, _ in flaws_of(flawed, "web_page"):
        assert path.suffix == ".jpg"
        assert path.read_bytes().startswith(b"<!DOCTYPE html>")
    assert {path.suffix for path, _ in flaws_of(flawed, "unsupported_format")} == {".svg"}
    assert {path.name for path, _ in flaws_of(flawed, "stray_file")} == {"Thumbs.db", "notes.txt"}


def test_wrong_extensions_hide_a_png(flawed):
    for path, _ in flaws_of(flawed, "wrong_extension"):
        with Image.open(path) as image:
            image.load()
            assert (image.format, path.suffix, image.size) == ("PNG", ".jpg", TINY)


def test_icons_are_tiny_and_placeholders_have_one_colour(flawed):
    for path, _ in flaws_of(flawed, "too_small"):
        with Image.open(path) as image:
            assert image.size == (16, 16)
    for path, _ in flaws_of(flawed, "blank"):
        with Image.open(path) as image:
            assert np.ptp(np.asarray(image)) <= 6


def test_sideways_photos_are_upright_once_exif_is_honoured(tmp_path):
    faces = make_drawn_faces(tmp_path, photos_per_class=10, size=(48, 64), with_flaws=True)
    settings = {"seed": 42, "size": [48, 64]}

    for position, (path, _) in enumerate(flaws_of(faces, "sideways")):
        number = int(path.stem.removeprefix("phone-"))
        index = data_set._FLAW_INDEX + number
        upright = Image.fromarray(data_set._picture(settings, position % 2, index).pixels)
        with Image.open(path) as image:
            assert image.size == (48, 64), "stored sideways: width and height changed places"
            assert image.getexif()[0x0112] in (6, 8)
            turned = ImageOps.exif_transpose(image)
        assert turned.size == (64, 48)
        assert difference(turned, upright) < 8
        assert difference(turned.rotate(180), upright) > 15


@pytest.mark.parametrize("kind", ["exact_copy", "in_both_classes"])
def test_exact_copies_have_the_same_bytes(flawed, kind):
    for copy, original in flaws_of(flawed, kind):
        assert copy.read_bytes() == original.read_bytes()
        assert (copy.parent == original.parent) == (kind == "exact_copy")


@pytest.mark.parametrize("kind", ["resized_copy", "mirrored_copy"])
def test_other_copies_show_the_same_picture_with_other_bytes(flawed, kind):
    for copy, original in flaws_of(flawed, kind):
        assert copy.parent == original.parent
        assert copy.read_bytes() != original.read_bytes()
        with Image.open(copy) as first, Image.open(original) as second:
            if kind == "mirrored_copy":
                assert difference(first, second) > 2 * difference(ImageOps.mirror(first), second)
            else:
                assert first.size == (36, 36)
                assert difference(first.resize(second.size), second) < 12


def test_copies_are_made_of_different_ordinary_pictures(flawed):
    originals = [flaw.paths[1] for flaw in flawed.planted_flaws if len(flaw.paths) == 2]
    planted = {flaw.paths[0] for flaw in flawed.planted_flaws}

    assert len(originals) == len(set(originals)) == 20
    assert not planted & set(originals)


# --- the drawing tools


def test_a_curve_passes_through_its_points_and_a_stroke_has_its_width():
    points = np.array([(0.0, 0.0), (1.0, 0.5), (2.0, 0.0)])

    for closed in (False, True):
        curve = smooth(points, closed=closed)
        for point in points:
            assert np.abs(curve - point).sum(axis=1).min() < 1e-12
    stroke = ribbon(np.array([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]), 0.4, taper=1.0)
    np.testing.assert_allclose(stroke[:, 1], [0, 0.2, 0, 0, -0.2, 0], atol=1e-12)


def test_a_pose_moves_turns_and_foreshortens():
    pose = {"centre_x": 50.0, "centre_y": 40.0, "unit_px": 10.0, "roll": 0.0, "yaw": 0.0}
    points = np.array([(1.0, 0.0), (-1.0, 0.0)])

    straight = HeadPose(**pose, pitch=0.0)
    np.testing.assert_allclose(straight.flat(points), [(60, 40), (40, 40)])
    rolled = HeadPose(**(pose | {"roll": np.pi / 2}), pitch=0.0)
    np.testing.assert_allclose(rolled.flat(points), [(50, 50), (50, 30)])
    turned = HeadPose(**(pose | {"yaw": 0.5}), pitch=0.0)
    x = turned.surface(np.array([(-0.5, 0.0), (0.0, 0.0), (0.5, 0.0)]))[:, 0]
    assert x[1] > 50, "the nose moves to the side the face turns to"
    assert x[1] - x[0] > x[2] - x[1] > 0, "the far cheek is foreshortened"


def test_pictures_survive_their_own_compression():
    photo = draw_photo(1.0, seed=4, size=(128, 128))
    stored = Image.open(io.BytesIO(data_set._encode(photo)))

    assert difference(stored, Image.fromarray(photo.pixels)) < 8
