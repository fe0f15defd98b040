"""What is drawn onto photos, and the files it is written to."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from emoclf.images import load_image
from emoclf.inference import UNCERTAIN, FacePrediction, Prediction, annotation
from emoclf.inference.annotation import (
    COLOURS,
    MIN_SIDE_PX,
    NEUTRAL_COLOUR,
    annotate_photo,
    save_annotated,
)

HAPPY = {"Sad": 0.1, "Happy": 0.9}
SAD = {"Sad": 0.9, "Happy": 0.1}


def make_prediction(*faces, file=None):
    return Prediction(file, faces=faces)


def make_face(box, answer="Happy", *, is_whole_photo=False):
    return FacePrediction(
        box, SAD if answer == "Sad" else HAPPY, answer, is_whole_photo=is_whole_photo
    )


def grey_photo(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def count_pixels(picture, colour):
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.asarray(picture) == rgb).all(axis=2).sum())


def test_a_new_picture_of_the_same_size_and_the_photo_stays_as_it_is():
    photo = grey_photo(400, 600)
    picture = annotate_photo(photo, make_prediction(make_face((100, 100, 200, 200))))
    assert (picture.shape, picture.dtype) == ((400, 600, 3), np.uint8)
    assert (photo == 128).all()
    assert picture.flags.writeable
    assert (picture[250:290, 150:250] == 128).all(), "the face itself is hidden"
    changed = np.argwhere((picture != 128).any(axis=2))
    assert changed[:, 0].min() >= 45
    assert changed[:, 0].max() <= 310
    assert changed[:, 1].min() >= 90
    assert changed[:, 1].max() <= 310


@pytest.mark.parametrize(
    ("answer", "colour"), [("Sad", COLOURS[0]), ("Happy", COLOURS[1]), (UNCERTAIN, NEUTRAL_COLOUR)]
)
def test_each_prediction_has_its_colour(answer, colour):
    face = make_face((100, 100, 200, 200), answer)
    picture = annotate_photo(grey_photo(400, 600), make_prediction(face))
    others = {*COLOURS[:2], NEUTRAL_COLOUR} - {colour}
    assert count_pixels(picture, colour) > 1000
    assert [count_pixels(picture, other) for other in others] == [0, 0]


def test_uncertain_differs_in_more_than_colour():
    """Its frame is broken: along the right side, colour comes and goes."""
    sides = {}
    for answer in ("Happy", UNCERTAIN):
        picture = annotate_photo(
            grey_photo(400, 600), make_prediction(make_face((100, 100, 200, 200), answer))
        )
        sides[answer] = np.unique(picture[150:290, 300], axis=0)
    assert len(sides["Happy"]) == 1
    assert len(sides[UNCERTAIN]) == 2


def test_label_texts(monkeypatch):
    written = []
    original = annotation.ImageDraw.ImageDraw.text

    def note(self, xy, text, **options):
        written.append(text)
        return original(self, xy, text, **options)

    monkeypatch.setattr(annotation.ImageDraw.ImageDraw, "text", note)
    photo = grey_photo(400, 600)
    annotate_photo(photo, make_prediction(make_face((10, 100, 200, 200))))
    annotate_photo(photo, make_prediction(make_face((10, 100, 200, 200), UNCERTAIN)))
    annotate_photo(photo, make_prediction(make_face((0, 0, 600, 400), "Sad", is_whole_photo=True)))
    annotate_photo(photo, make_prediction())
    annotate_photo(photo, Prediction(problem="damaged"))
    annotate_photo(
        photo, make_prediction(make_face((10, 100, 8, 8)), make_face((90, 9, 8, 8), UNCERTAIN))
    )
    assert written == [
        "Happy 90%",
        "uncertain",
        "whole photo: Sad 90%",
        "no face",
        "not read",
        "H",
        "?",
    ]


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 5000), (5000, 1), (3, 300), (48, 48), (48, 400), (320, 240), (1500, 2000)]
)
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 1.4])
def test_text_stays_inside_and_can_be_read_at_every_size(size, share, monkeypatch):
    """Boxes from tiny to past the border, at every corner."""
    height, width = size
    written = []
    original = annotation.ImageDraw.ImageDraw.text

    def note(self, xy, text, *, font, **options):
        written.append((font.size, font.getbbox(text), xy, self.im.size))
        return original(self, xy, text, font=font, **options)

    monkeypatch.setattr(annotation.ImageDraw.ImageDraw, "text", note)
    for left in (-0.2 * width, (1 - share) * width):
        for top in (-0.2 * height, (1 - share) * height):
            box = (left, top, share * width, share * height)
            for answer in ("Happy", UNCERTAIN):
                picture = annotate_photo(
                    grey_photo(height, width), make_prediction(make_face(box, answer))
                )
                assert max(picture.shape[:2]) >= MIN_SIDE_PX
                assert picture.shape[0] % height == 0 or picture.shape[0] == 44
    assert len(written) == 8
    for font_px, (left, top, right, bottom), (x, y), (full_width, full_height) in written:
        shortest, longest = sorted((full_width, full_height))
        assert font_px >= 11
        assert font_px >= int(longest / 90) or longest > 4 * shortest
        assert x + left >= 0
        assert y + top >= 0
        assert x + right <= full_width
        assert y + bottom <= full_height


def test_a_small_photo_is_enlarged_by_a_whole_factor_and_boxes_with_it():
    picture = annotate_photo(grey_photo(48, 48), make_prediction(make_face((12, 12, 24, 24))))
    assert picture.shape == (336, 336, 3)
    assert count_pixels(picture[84:86, 90:240], COLOURS[1]) > 200
    assert (picture[120:200, 120:200] == 128).all()


def test_labels_avoid_faces_and_each_other(monkeypatch):
    places = []
    original = annotation._choose_place

    def note(*arguments):
        places.append(original(*arguments))
        return places[-1]

    monkeypatch.setattr(annotation, "_choose_place", note)
    faces = [make_face((100 + 60 * i, 200, 100, 100)) for i in range(3)]
    annotate_photo(grey_photo(500, 500), make_prediction(*faces))
    for i, first in enumerate(places):
        for second in places[i + 1 :]:
            across = min(first[2], second[2]) - max(first[0], second[0])
            down = min(first[3], second[3]) - max(first[1], second[1])
            assert min(across, down) <= 0
        assert first[3] <= 200 or first[1] >= 300


def test_a_label_stands_beside_a_face_as_high_as_the_photo():
    picture = annotate_photo(grey_photo(400, 900), make_prediction(make_face((0, 0, 300, 400))))
    assert (picture[20:380, 20:280] == 128).all(), "the face itself is hidden"
    assert count_pixels(picture[:, 302:], COLOURS[1]) > 500


def test_numbers_stand_at_several_faces_and_hide_none(monkeypatch):
    written = []
    original = annotation.ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        annotation.ImageDraw.ImageDraw,
        "text",
        lambda self, xy, text, **more: written.append(text) or original(self, xy, text, **more),
    )
    photo, first, second = grey_photo(400, 900), (0, 0, 330, 400), (380, 0, 200, 400)
    annotate_photo(photo, make_prediction(make_face(second)), numbered=True)
    assert written == []
    whole = make_face((0, 0, 900, 400), is_whole_photo=True)
    one = make_prediction(make_face(second, "Sad"))
    annotate_photo(photo, replace(one, photo=whole), numbered=True)
    assert written.pop() == "1 Sad", "it says another thing than the photo as a whole"
    faces = make_prediction(make_face(first), make_face(second, "Sad"))
    picture = annotate_photo(photo, faces, numbered=True)
    assert written == ["1", "2 Sad"]
    assert (picture[20:380, 20:310] == 128).all()
    assert (picture[20:380, 400:560] == 128).all()


@pytest.mark.parametrize("colour", [*COLOURS, NEUTRAL_COLOUR])
def test_text_stands_out_from_its_ground(colour):
    """At least 4.5 to 1, as WCAG 2 asks for."""
    shares = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    ink = annotation._choose_ink(colour)
    contrast = 1.05 / (luminance + 0.05) if ink == "white" else (luminance + 0.05) / 0.05
    assert contrast >= 4.5


def test_own_classes_have_colours_too():
    shares = {"Bored": 0.1, "Glad": 0.2, "Cross": 0.7}
    face = FacePrediction((100, 100, 200, 200), shares, "Cross")
    picture = annotate_photo(grey_photo(400, 600), make_prediction(face))
    assert count_pixels(picture, COLOURS[2]) > 1000


@pytest.mark.parametrize(
    "photo", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8), None]
)
def test_what_is_no_photo_is_refused(photo):
    with pytest.raises(ValueError, match="expected uint8 RGB"):
        annotate_photo(photo, make_prediction())


@pytest.mark.parametrize(
    ("file", "name", "format_name"),
    [
        ("photos/sunny.jpg", "sunny.jpg", "JPEG"),
        ("sunny.JPEG", "sunny.jpg", "JPEG"),
        ("sunny.webp", "sunny.png", "PNG"),
        ("sunny", "sunny.png", "PNG"),
        (None, "photo.png", "PNG"),
        ("größe 笑.png", "größe 笑.png", "PNG"),
        ("caf\udce9.jpg", "caf.jpg", "JPEG"),
        ("x" * 250 + ".jpg", "x" * 150 + ".jpg", "JPEG"),
    ],
)
def test_the_file_is_named_after_the_photo(file, name, format_name, tmp_path):
    prediction = make_prediction(make_face((10, 10, 50, 50)), file=file)
    path = save_annotated(grey_photo(330, 100), prediction, folder=tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / name
    with Image.open(path) as image:
        assert (image.format, image.size) == (format_name, (176, 330))
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "sunny.jpg").write_text("mine")
    paths = [
        save_annotated(grey_photo(330, 330), make_prediction(file=file), folder=tmp_path)
        for file in ("a/sunny.jpg", "b/sunny.jpg", "b/sunny.jpg")
    ]
    assert [path.name for path in paths] == ["sunny-2.jpg", "sunny-3.jpg", "sunny-4.jpg"]
    assert (tmp_path / "sunny.jpg").read_text() == "mine"
    assert load_image(paths[2]).shape == (330, 330, 3)


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_no_file(error, tmp_path, monkeypatch):
    def break_off(_self, path, *_arguments, **_options):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", break_off)
    with pytest.raises(type(error)):
        save_annotated(grey_photo(330, 330), make_prediction(file="a.jpg"), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OSError, match="taken"):
        save_annotated(grey_photo(330, 330), make_prediction(), folder=tmp_path / "taken")


def draw_frames_alone(photo, prediction, monkeypatch):
    monkeypatch.setattr(annotation, "_draw_label", lambda *_, **__: None)
    return annotate_photo(photo, prediction)


@pytest.mark.parametrize("side", [1200, 4000])
@pytest.mark.parametrize(("answer", "least"), [("Happy", 0.55), (UNCERTAIN, 0.38)])
def test_a_frame_is_seen_where_a_large_photo_is_shown_small(side, answer, least, monkeypatch):
    """As in a grid of the lesson: 224 pixels wide, of which a frame's line takes more than one."""
    face = make_face((0.3 * side, 0.3 * side, 0.3 * side, 0.3 * side), answer)
    picture = draw_frames_alone(grey_photo(side, side), make_prediction(face), monkeypatch)
    small = Image.fromarray(picture).resize((224, 224), Image.Resampling.BOX)
    changed = np.abs(np.asarray(small, int) - 128).max(axis=2)
    assert changed[60:75, 100:124].sum(axis=0).mean() / 255 > least


def test_a_frame_of_a_small_face_leaves_the_face_free(monkeypatch):
    face = make_face((500, 500, 24, 24))
    picture = draw_frames_alone(grey_photo(4000, 4000), make_prediction(face), monkeypatch)
    assert (picture[506:519, 506:519] == 128).all()


@pytest.mark.parametrize("box", [(0, 0, 400, 400), (-30, -10, 500, 500), (2, 1, 396, 420)])
def test_a_face_that_fills_the_photo_keeps_a_frame_of_its_own(box, monkeypatch):
    whole = make_face((0, 0, 400, 400), "Sad", is_whole_photo=True)
    prediction = replace(make_prediction(make_face(box)), photo=whole)
    picture = draw_frames_alone(grey_photo(400, 400), prediction, monkeypatch)
    assert count_pixels(picture, COLOURS[0]) > 4 * 300
    assert count_pixels(picture, COLOURS[1]) > 4 * 300
