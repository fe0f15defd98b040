"""The one way from a photo to a network's input: every way ends in the same pixels."""

import numpy as np
import pytest
from PIL import Image

from emoclf.config import Settings
from emoclf.data.loading import cache_photos
from emoclf.experiments.error_analysis import evaluate_robustness
from emoclf.experiments.exporting.parity import gather_photos
from emoclf.images import ModelInfo, decode_for, decode_image, load_image, prepare, resize_image
from emoclf.images.corruptions import Corruption
from emoclf.images.faces import Face, crop_face
from emoclf.inference import Predictor
from emoclf.inference.explanations import explain
from emoclf.photos import Photos
from emoclf.run import Run
from tests.test_images import ORIENTATION_TAG, draw_photo, encode

SIZE = (32, 48)
INFOS = {
    "pad": ModelInfo(image_size=SIZE),
    "crop": ModelInfo(image_size=SIZE, resize_mode="crop"),
    "face": ModelInfo(image_size=SIZE, crop="face"),
}
LARGE = "large.jpg"
"""The one photo that whole-photo networks are shown from a reduced scale."""
FACELESS = ("narrow.png", "faceless.png")


class CornerDetector:
    """Finds two faces in every photo that is wide enough and not black; the larger is tilted."""

    name, description, note = "corner", "Finds what lies in the corner.", ""

    def find(self, image):
        height, width = image.shape[:2]
        if width < 9 or not image.any():
            return ()
        side = 0.5 * min(height, width)
        marks = np.array([(0.3, 0.35), (0.7, 0.45), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
        corner = np.array([0.3 * width, 0.2 * height])
        large = Face((*corner.tolist(), side, side), 0.9, (corner + side * marks).astype("float32"))
        return large, Face((1.0, 2.0, 0.3 * side, 0.3 * side), 0.8)


class Recorder:
    """A network without an opinion that keeps what it is shown."""

    def __init__(self):
        self.batches = []

    def predict_on_batch(self, x):
        self.batches.append(np.array(x))
        return np.full((len(x), 2), 0.5, dtype=np.float32)


def cut_off(data):
    """A JPEG that lacks its last bytes, and so few rows that it is repaired."""
    cut = data[:-60]
    assert decode_image(cut).repaired
    return cut


def list_odd_photos():
    """File name to content: a photo of every odd kind, none of them square."""
    photo, other = draw_photo(90, 70), draw_photo(90, 70, seed=1)
    odd = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        odd[f"orientation{orientation}.jpg"] = encode(photo, "JPEG", exif=exif)
    alpha = photo.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(photo.size))
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    palette = photo.quantize(30)
    frames = {"save_all": True, "append_images": [other], "duration": 50}
    return odd | {
        "alpha.png": encode(alpha, "PNG"),
        "grey.jpg": encode(photo.convert("L"), "JPEG"),
        "sixteen_bits.png": encode(Image.fromarray(deep), "PNG"),
        "palette.gif": encode(palette, "GIF", transparency=3),
        "cmyk.jpg": encode(photo.convert("CMYK"), "JPEG"),
        "animated.webp": encode(photo, "WEBP", lossless=True, **frames),
        "wrong_extension.jpg": encode(photo, "PNG"),
        "narrow.png": encode(photo.resize((1, 60)), "PNG"),
        LARGE: encode(draw_photo(1200, 1600), "JPEG"),
        "truncated.jpg": cut_off(encode(draw_photo(200, 90), "JPEG")),
        "wide.png": encode(draw_photo(40, 150), "PNG"),
        "faceless.png": encode(Image.new("RGB", (70, 90)), "PNG"),
    }


ODD = list_odd_photos()
NAMES = sorted(ODD)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, content in ODD.items():
        (folder / name).write_bytes(content)
    labels = [index % 2 for index in range(len(NAMES))]
    return Photos.make(NAMES, labels, root=folder, parts=["test"] * len(NAMES))


@pytest.fixture(scope="module", params=INFOS)
def info(request):
    return INFOS[request.param]


@pytest.fixture(scope="module")
def trained(photos, info):
    """What training sees, by the photo's name."""
    cache = cache_photos(
        photos,
        image_size=info.image_size,
        resize_mode=info.resize_mode,
        crop=info.crop,
        detector=CornerDetector(),
        without_face="whole_photo",
        progress=False,
    )
    return dict(zip(cache.photos.paths, cache.images, strict=True))


@pytest.fixture
def predictor(info):
    return Predictor(Recorder(), info, detector=CornerDetector())


def has_face(name, info):
    return info.crop == "face" and name not in FACELESS


def test_training_sees_each_photo_decoded_once_and_resized_or_cut_by_hand(photos, trained, info):
    assert len(trained) == len(NAMES)
    for name, file in zip(photos.paths, photos.files, strict=True):
        if has_face(name, info):
            pixels = load_image(file)
            expected = crop_face(pixels, CornerDetector().find(pixels)[0], size=SIZE)
        else:
            pixels = (
                load_image(file, min_size=(64, 96)) if info.crop == "none" else load_image(file)
            )
            expected = resize_image(pixels, SIZE, mode=info.resize_mode)
        np.testing.assert_array_equal(trained[name], expected, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_prediction_is_shown_what_training_saw(photos, trained, predictor, name):
    file = photos.files[NAMES.index(name)]
    alone = predictor.predict(file, whole_photo=True)
    listed = predictor.predict([file], whole_photo=True)
    [(each, pixels)] = predictor.predict_each([file], whole_photo=True, keep_pixels=True)
    assert [alone] == listed == [each]
    assert pixels.shape[:2] == decode_image(file).size
    count = 2 if has_face(name, predictor.info) else 1
    for batch in predictor.model.batches:
        assert batch.shape == (count, *SIZE, 3)
        np.testing.assert_array_equal(batch[0], trained[name])


@pytest.mark.parametrize("name", NAMES)
def test_an_explanation_explains_what_training_saw(photos, trained, predictor, name):
    file = photos.files[NAMES.index(name)]
    found = explain(predictor, file, whole_photo=True)
    np.testing.assert_array_equal(predictor.model.batches[0][0], trained[name])
    assert found.map.shape == decode_image(file).size


@pytest.mark.parametrize("name", NAMES)
def test_error_analysis_without_corruption_shows_what_training_saw(
    photos, trained, predictor, name
):
    """At a photo's own size as the working size, which every photo is brought to first.

    One differs: training reads a large JPEG at a reduced scale where the whole photo is shown.
    """
    file = photos.files[NAMES.index(name)]
    evaluate_robustness(
        predictor,
        Photos.make([file], [0]),
        corruptions=(Corruption("darkness", "darkness", (50,)),),
        working_side_px=max(decode_image(file).size),
    )
    if predictor.info.crop == "face" and name in FACELESS:
        assert predictor.model.batches == []
        return
    clean, dark = (batch[0].astype(int) for batch in predictor.model.batches)
    if name == LARGE and predictor.info.crop == "none":
        assert abs(clean - trained[name]).max() <= 12
    else:
        np.testing.assert_array_equal(clean, trained[name])
    assert (dark.mean() < clean.mean()) == (name != "faceless.png")


@pytest.mark.parametrize("name", [LARGE, "orientation6.jpg"])
def test_at_the_usual_working_size_error_analysis_shows_nearly_the_same(
    photos, trained, predictor, name
):
    """Every photo is resized twice then, so that a severity means the same for all of them."""
    corruptions = (Corruption("darkness", "darkness", (50,)),)
    file = photos.files[NAMES.index(name)]
    evaluate_robustness(predictor, Photos.make([file], [0]), corruptions=corruptions)
    clean = predictor.model.batches[0][0].astype(int)
    assert abs(clean - trained[name]).mean() < 4


def test_an_export_is_scored_on_what_training_saw(photos, trained, info, tmp_path):
    Run(tmp_path).save(Settings(), photos)
    gathered = gather_photos(tmp_path, info, detector=CornerDetector())
    scored = [name for name in NAMES if info.crop == "none" or has_face(name, info)]
    assert len(gathered.images) == len(scored)
    for image, name in zip(gathered.images, scored, strict=True):
        np.testing.assert_array_equal(image, trained[name], err_msg=name)


@pytest.mark.parametrize("name", [*FACELESS, "wide.png", LARGE])
def test_the_matrix_leads_from_the_crop_to_the_photo(photos, info, name):
    file = photos.files[NAMES.index(name)]
    shown = prepare(file, info, detector=CornerDetector(), whole_photo=True)
    assert shown.is_whole_photo == (not has_face(name, info))
    assert len(shown.matrices) == len(shown.crops)
    height, width = shown.size
    assert (height, width) == decode_image(file).size
    middle = shown.matrices[0] @ (SIZE[1] / 2, SIZE[0] / 2, 1)
    if shown.is_whole_photo:
        np.testing.assert_allclose(middle, (width / 2, height / 2), atol=0.5 * max(shown.size) / 32)
    else:
        left, top, side, _ = shown.faces[0].box
        np.testing.assert_allclose(middle, (left + side / 2, top + side / 2), atol=0.02 * side)


def test_a_large_photo_is_decoded_small_only_where_it_is_shown_whole(photos):
    file = photos.files[NAMES.index(LARGE)]
    assert decode_for(file, INFOS["pad"]).pixels.shape == (150, 200, 3)
    assert decode_for(file, INFOS["face"]).pixels.shape == (1200, 1600, 3)
    assert prepare(file, INFOS["pad"]).size == (1200, 1600)


def test_known_faces_are_not_searched_for():
    pixels = np.asarray(draw_photo(60, 90))
    faces = [Face((40.0, 10.0, 30.0, 30.0), 0.5)]
    shown = prepare(pixels, INFOS["face"], faces=faces)
    np.testing.assert_array_equal(shown.crops, [crop_face(pixels, faces[0], size=SIZE)])
    assert shown.faces == tuple(faces)
    nothing = prepare(pixels, INFOS["face"], faces=[], detector=CornerDetector())
    assert nothing.crops.shape == (0, *SIZE, 3)
    assert not nothing.is_whole_photo
    whole = prepare(pixels, INFOS["face"], faces=[], whole_photo=True)
    np.testing.assert_array_equal(whole.crops, prepare(pixels, INFOS["pad"]).crops)


def test_faces_without_a_detector_are_refused_unless_the_whole_photo_will_do():
    pixels = np.asarray(draw_photo(60, 90))
    with pytest.raises(ValueError, match=r"detector: .*make_detector.*whole_photo=True"):
        prepare(pixels, INFOS["face"])
    assert prepare(pixels, INFOS["face"], whole_photo=True).is_whole_photo


def test_red_stays_the_first_channel():
    red = np.zeros((50, 80, 3), np.uint8)
    red[..., 0] = 255
    for info in INFOS.values():
        crop = prepare(red, info, detector=CornerDetector()).crops[0]
        assert crop[16, 24].tolist() == [255, 0, 0]
