"""The browser's modules that resize, find faces and cut them out, against the package's own."""

import cv2
import numpy as np
import pytest
from PIL import Image

from emoclf import load_image
from emoclf.data.synthetic import draw_face
from emoclf.images.faces import Face, YuNetDetector, make_detector
from emoclf.images.faces.cropping import crop_face, cut_square, map_face, measure_roll
from emoclf.images.faces.detecting import PACKAGED_PATH
from emoclf.images.faces.face import measure_overlap, scale_to_side
from emoclf.images.preparing import resize_image
from tests.running_node import run_node

IS_OPENCV_4 = cv2.__version__.startswith("4.")

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
        # OpenCV 4 rounds to thirty-seconds of a pixel where it turns a picture
        assert_alike(result, wanted, most=8 if IS_OPENCV_4 else 3, mean=1 if IS_OPENCV_4 else 0.5)


def make_landmarks(generator):
    """Return eyes, nose and mouth around (100, 80), turned by anything, sometimes a profile."""
    upright = np.array([(-20, -15), (20, -15), (0, 0), (-14, 18), (14, 18)], dtype=float)
    angle = generator.uniform(-np.pi, np.pi)
    upright[:, 0] *= generator.choice([1, 1, 1, 0.1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    marks = upright @ turn.T + (100, 80) + generator.normal(0, 6, (5, 2))
    return marks.astype(np.float32)


def test_a_face_is_measured_and_cut_as_in_the_package():
    generator = np.random.default_rng(3)
    photo = draw_smooth(160, 200)
    boxes = [[60.0, 40.0, w, h] for w, h in generator.uniform(20, 90, (40, 2)).tolist()]
    faces = [Face(tuple(box), 0.9, make_landmarks(generator)) for box in boxes]
    found = run_node(
        """
        import { cropFace, findSquare, mapSquare, measureRoll } from "SOURCE/vision/cropping.mjs";
        const [height, width] = shapeOf("photo");
        const picture = { width, height, data: take("photo") };
        const faces = take("boxes").map((box, i) => ({
          box, score: 0.9, landmarks: Float64Array.from(take("marks")[i].flat()),
        }));
        give("rolls", faces.map(measureRoll));
        give("matrices", faces.map((face) => {
          const { centre, ...square } = findSquare(face);
          return mapSquare(centre, { ...square, size: [48, 48] });
        }));
        faces.forEach((face, i) => {
          give(`crop${i}`, cropFace(picture, face, [48, 48]).data, [48, 48, 3]);
        });
        """,
        photo=photo,
        boxes=boxes,
        marks=[face.landmarks.tolist() for face in faces],
    )
    np.testing.assert_allclose(found["rolls"], [measure_roll(face) for face in faces], atol=1e-4)
    matrices = [map_face(face, (48, 48)).ravel() for face in faces]
    np.testing.assert_allclose(found["matrices"], matrices, atol=1e-4)
    for i, face in enumerate(faces):
        assert_alike(found[f"crop{i}"], crop_face(photo, face))


def lay_faces(height, width, *places):
    """Draw a photo with faces; each place is a seed, the upper left corner and the side."""
    photo = np.full((height, width, 3), (90, 120, 100), dtype=np.uint8)
    for seed, left, top, side in places:
        face = draw_face("Happy" if seed % 2 else "Sad", seed=seed, size=(side, side))
        photo[top : top + side, left : left + side] = face
    return photo


PHOTOS = {
    "one face": draw_face("Happy", seed=5, size=(256, 256)),
    "enlarged": draw_face("Sad", seed=29, size=(100, 100)),
    "on its side": np.rot90(draw_face("Happy", seed=5, size=(256, 256))).copy(),
    "upside down": np.rot90(draw_face("Sad", seed=29, size=(256, 256)), 2).copy(),
    "small ones": lay_faces(
        900, 1400, *((n, 40 + 190 * (n % 7), 60 + 280 * (n // 7), 56 + 3 * n) for n in range(21))
    ),
    "of two sizes": lay_faces(480, 640, (5, 20, 30, 300), (29, 400, 200, 120)),
    "no face": draw_noise(240, 320),
    "one pixel": draw_noise(1, 1),
    "a thread": draw_noise(3, 700),
}

FIND = """
import { loadKernel } from "SOURCE/engine/memory.mjs";
import { loadNetwork } from "SOURCE/engine/network.mjs";
import { FaceDetector } from "SOURCE/vision/faces.mjs";
import { LiveDetector } from "SOURCE/vision/live.mjs";
const memory = await loadKernel(readFileSync(new URL("SOURCE/engine/kernel.wasm")));
const network = loadNetwork(memory, take("file"), { swapChannels: true });
const detector = new FaceDetector(network, take("isPackaged"));
const write = (face) => ({ ...face, landmarks: Array.from(face.landmarks) });
const read = (name) => {
  const [height, width] = shapeOf(name);
  return { width, height, data: take(name) };
};
"""
FIND_ALL = """
for (let i = 0; i < take("count"); i++) {
  give(`faces${i}`, detector.find(read(`photo${i}`)).map(write));
}
"""


def find_in_node(photos, file, *, is_packaged):
    named = {f"photo{i}": photo for i, photo in enumerate(photos)}
    given = {"file": file, "isPackaged": is_packaged, "count": len(photos)}
    found = run_node(FIND + FIND_ALL, **given, **named)
    return [found[f"faces{i}"] for i in range(len(photos))]


@pytest.fixture(scope="module")
def packaged():
    return make_detector("packaged")


def test_the_packaged_detector_finds_the_same_faces_as_in_the_package(packaged):
    found = find_in_node(PHOTOS.values(), PACKAGED_PATH.read_bytes(), is_packaged=True)
    counts = {}
    for (name, photo), faces in zip(PHOTOS.items(), found, strict=True):
        wanted = packaged.find(photo)
        counts[name] = len(wanted)
        assert len(faces) == len(wanted), name
        for other in wanted:
            face = max(faces, key=lambda each: measure_overlap(each["box"], other.box))
            assert measure_overlap(face["box"], other.box) > 0.95, name
            assert face["score"] == pytest.approx(other.score, abs=0.01)
            marks = np.reshape(face["landmarks"], (5, 2))
            np.testing.assert_allclose(marks, other.landmarks, atol=0.03 * other.box[2])
    assert counts["one face"] == counts["on its side"] == counts["upside down"] == 1
    assert counts["small ones"] > 3
    assert counts["of two sizes"] == 2
    assert counts["no face"] == counts["one pixel"] == counts["a thread"] == 0


def test_the_same_faces_are_found_in_real_photos(real_data):
    file = real_data / "face_detection_yunet_2026may.onnx"
    paths = sorted((real_data / "web_photos_more").rglob("*.jpg"))[::150]
    photos, detector = list(map(load_image, paths)), make_detector("yunet", model_path=file)
    found = find_in_node(photos, file.read_bytes(), is_packaged=False)
    pairs = [
        (face, faces)
        for photo, faces in zip(photos, found, strict=True)
        for face in detector.find(photo)
    ]
    assert len(pairs) >= 20
    seen = [any(measure_overlap(f["box"], face.box) > 0.9 for f in faces) for face, faces in pairs]
    assert np.mean(seen) >= (0.95 if IS_OPENCV_4 else 0.98)  # one of 37 has 11 pixels


def test_overlapping_rows_are_dropped_as_by_opencv():
    generator = np.random.default_rng(1)
    centres = generator.uniform(20, 80, (60, 2))
    boxes = np.concatenate([centres, generator.uniform(10, 50, (60, 2))], axis=1)
    scores = generator.uniform(0.5, 1, 60)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.7, 0.3)
    found = run_node(
        """import { dropDoubles } from "SOURCE/vision/boxes.mjs";
        const faces = take("boxes").map((box, i) => ({ box, score: take("scores")[i], i }));
        give("kept", dropDoubles(faces).map((face) => face.i));""",
        boxes=boxes.tolist(),
        scores=scores.tolist(),
    )
    assert found["kept"] == np.ravel(kept).tolist()


COUNT_LOOKS = """
const live = new LiveDetector(detector);
let looks = 0;
const look = detector.look.bind(detector);
detector.look = (picture) => { looks++; return look(picture); };
"""


def test_a_moving_face_is_found_in_every_frame(packaged):
    """Searched from time to time, and followed from close in between."""
    assert isinstance(packaged, YuNetDetector)
    frames = [lay_faces(480, 640, (5, 20 + 12 * n, 60 + 5 * n, 220)) for n in range(20)]
    found = run_node(
        FIND
        + COUNT_LOOKS
        + """
        const perFrame = [];
        const found = [];
        for (let i = 0; i < take("count"); i++) {
          looks = 0;
          found.push(live.find(read(`frame${i}`)).map(write));
          perFrame.push(looks);
        }
        give("found", found);
        give("looks", perFrame);
        live.restart();
        give("known", live.known);
        """,
        file=PACKAGED_PATH.read_bytes(),
        isPackaged=True,
        count=len(frames),
        **{f"frame{n}": frame for n, frame in enumerate(frames)},
    )
    for frame, faces in zip(frames, found["found"], strict=True):
        (wanted,) = packaged.find(frame)
        (face,) = faces
        assert measure_overlap(face["box"], wanted.box) > 0.8
    assert np.mean(found["looks"]) < 1.5
    assert max(found["looks"]) <= 4
    assert found["known"] == []


def test_faces_that_come_and_go_are_noticed_soon():
    one, two = (5, 20, 60, 220), (29, 380, 150, 200)
    shown = [(one,)] * 3 + [(one, two)] * 14 + [()] * 3 + [(two,)] * 2
    frames = [lay_faces(480, 640, *places) for places in shown]
    found = run_node(
        FIND
        + """
        const live = new LiveDetector(detector);
        const counts = [];
        for (let i = 0; i < take("count"); i++) counts.push(live.find(read(`frame${i}`)).length);
        give("counts", counts);
        """,
        file=PACKAGED_PATH.read_bytes(),
        isPackaged=True,
        count=len(frames),
        **{f"frame{n}": frame for n, frame in enumerate(frames)},
    )
    counts = found["counts"]
    assert counts[:3] == [1, 1, 1]
    assert counts[10:17] == [2] * 7
    assert counts[17:] == [0, 0, 0, 1, 1]


def test_a_group_is_searched_again_without_a_close_look_at_everyone(packaged):
    photo = PHOTOS["small ones"]
    found = run_node(
        FIND
        + COUNT_LOOKS
        + """
        const frames = [];
        for (let i = 0; i < 4; i++) {
          looks = 0;
          const faces = live.find(read("photo"));
          frames.push([faces.length, looks]);
        }
        give("frames", frames);
        """,
        file=PACKAGED_PATH.read_bytes(),
        isPackaged=True,
        photo=photo,
    )
    counts, looks = zip(*found["frames"], strict=True)
    assert min(counts) >= 0.5 * len(packaged.find(photo))
    assert max(counts) - min(counts) <= 2
    assert max(looks[1:]) <= 7


def test_what_is_no_picture_is_refused():
    found = run_node(
        """import { dropAlpha } from "SOURCE/vision/pixels.mjs";
        const given = [[[], 0, 0], [new Uint8Array(15), 2, 2], [new Uint8Array(4), 1.5, 1],
          [new Uint8Array(4), -1, -1], [new Uint8Array(4), NaN, 1]];
        give("errors", given.map((each) => {
          try { dropAlpha(...each); return ""; } catch (error) { return error.message; }
        }));"""
    )
    assert all("Expected 4 bytes a pixel" in error for error in found["errors"])
