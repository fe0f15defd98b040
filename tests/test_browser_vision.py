"""The browser's modules that see and answer, against the package's own functions."""

import numpy as np
import pytest
from PIL import Image
from tests.running_node import run_node

from emoclf import load_image
from emoclf.images.faces import Face
from emoclf.images.faces.cropping import crop_face, cut_square, map_square, measure_roll
from emoclf.images.faces.face import scale_to_side
from emoclf.images.preparing import resize_image

SIZES = [(1, 1), (1, 40), (37, 1), (2, 3), (48, 48), (96, 130), (301, 200), (480, 640)]


def draw_smooth(height, width):
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + k) * np.cos(7 * y - k) for k in range(3)]
    return np.round(127.5 + 127 * np.stack(waves, axis=-1)).astype(np.uint8)


def draw_noise(height, width):
    generator = np.random.default_rng(height * 1000 + width)
    return generator.integers(96, 160, (height, width, 3), dtype=np.uint8)


def run_on_pictures(code, pictures, **given):
    """Run code that turns `picture` into `result` on several pictures; return the results."""
    script = """
    import { turnPicture } from "SOURCE/vision/pixels.mjs";
    import { scaleToSide } from "SOURCE/vision/resizing.mjs";
    import { cutSquare } from "SOURCE/vision/cropping.mjs";
    import { resizePhoto } from "SOURCE/vision/preparing.mjs";
    for (let i = 0; i < take("count"); i++) {
      const [height, width] = shapeOf(`picture${i}`);
      const picture = { width, height, data: take(`picture${i}`) };
      const result = (CODE);
      give(`result${i}`, result.data, [result.height, result.width, 3]);
    }
    """.replace("CODE", code)
    named = {f"picture{i}": picture for i, picture in enumerate(pictures)}
    found = run_node(script, count=len(pictures), **named, **given)
    return [found[f"result{i}"] for i in range(len(pictures))]


def assert_alike(found, wanted, *, most=3, mean=0.5):
    assert found.shape == wanted.shape
    difference = np.abs(found.astype(int) - wanted)
    assert difference.max() <= most, (found.shape, difference.max())
    assert difference.mean() < mean


PICTURES = [draw(*size) for draw in (draw_smooth, draw_noise) for size in SIZES]


@pytest.mark.parametrize(
    ("side", "enlargement"), [(640, 2.0), (192, 192), (33, 1.0), (320, 2.0), (256, 1.0)]
)
def test_a_picture_is_scaled_to_its_longest_side_as_by_opencv(side, enlargement):
    found = run_on_pictures(
        "scaleToSide(picture, take('side'), take('enlargement'))",
        PICTURES,
        side=side,
        enlargement=enlargement,
    )
    for picture, result in zip(PICTURES, found, strict=True):
        assert_alike(result, scale_to_side(picture, side, max_enlargement=enlargement), most=1)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_picture_is_turned_as_by_numpy(turns):
    found = run_on_pictures("turnPicture(picture, take('turns'))", PICTURES, turns=turns)
    for picture, result in zip(PICTURES, found, strict=True):
        np.testing.assert_array_equal(result, np.rot90(picture, turns))


@pytest.mark.parametrize("mode", ["pad", "crop"])
@pytest.mark.parametrize("size", [(224, 224), (96, 96), (48, 31)])
def test_a_whole_photo_is_resized_as_by_pillow(mode, size):
    code = "resizePhoto(picture, take('size'), take('mode'))"
    found = run_on_pictures(code, PICTURES, size=list(size), mode=mode)
    for picture, result in zip(PICTURES, found, strict=True):
        assert_alike(result, resize_image(picture, size, mode=mode), most=2)


def test_transparent_pixels_show_white_as_when_a_file_is_decoded():
    rgba = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    rgba[:5, :, 3], rgba[5:10, :, 3] = 0, 255
    found = run_node(
        """import { dropAlpha } from "SOURCE/vision/pixels.mjs";
        const [height, width] = shapeOf("rgba");
        give("rgb", dropAlpha(take("rgba"), width, height).data, [height, width, 3]);""",
        rgba=rgba,
    )
    assert_alike(found["rgb"], load_image(Image.fromarray(rgba)), most=1, mean=0.01)


SQUARES = [
    # fraction of the picture: centre, side; then the turn
    (0.5, 0.5, 0.8, 0.0),
    (0.1, 0.95, 1.5, 0.4),
    (0.7, 0.3, 0.2, -2.0),
    (0.45, 0.6, 0.5, np.pi / 2),
    (0.5, 0.5, 4.0, np.pi),
]


@pytest.mark.parametrize("size", [(48, 48), (256, 256), (30, 45)])
@pytest.mark.parametrize("square", SQUARES)
def test_a_square_is_cut_as_in_the_package(square, size):
    big = draw_smooth(900, 1300)
    pictures = [*PICTURES, big]
    across, down, share, roll = square
    found = run_on_pictures(
        """cutSquare(picture, [take('across') * width, take('down') * height],
             { side: take('share') * Math.max(width, height), size: take('size'),
               roll: take('roll') })""",
        pictures,
        **{"across": across, "down": down, "share": share, "roll": roll, "size": list(size)},
    )
    for picture, result in zip(pictures, found, strict=True):
        height, width = picture.shape[:2]
        centre, side = (across * width, down * height), share * max(width, height)
        wanted = cut_square(picture, centre, side=side, size=size, roll=roll)
        assert_alike(result, wanted)
