"""From a photo to a map that lies on it: what speaks for a class, and what hiding that does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emoclf.config import FACE_SIZE, SCENE_SIZE, Method
from emoclf.display import Displayed
from emoclf.images import PADDING_GREY, Photo, Prepared
from emoclf.images.faces import import_opencv
from emoclf.images.faces.cropping import map_face
from emoclf.images.sheet import MAX_FACES, place_face
from emoclf.inference import FacePrediction, Prediction, Predictor
from emoclf.inference.annotation import annotate_photo, save_picture
from emoclf.inference.explanations.maps import make_grad_cam_maps, make_occlusion_maps

if TYPE_CHECKING:
    import keras

HIDDEN_SHARE = 0.1
"""The fraction of the network's input that is hidden to test a map."""

_SCENE = slice(SCENE_SIZE[0]), slice(SCENE_SIZE[1])
_PATCHES_OF_SCENE, _PATCHES_OF_FACE = 4, 3
"""How many patches lie side by side on the photo and on a face of a sheet: a second's work."""

NOTHING_NOTE = "Nothing in the picture speaks for this class, by this method."

_MAP_FRACTION = (0.3, 0.75)
"""How much of a pixel's colour comes from the map, where it marks least and most; the rest is the
photo in grey."""

OUTLINE_COLOUR = "#FFFFFF"

_STRIP_COLOUR, _INK = "#303338", "#FFFFFF"
_LITTLE, _MUCH = "little", "much"


class NothingToExplainError(ValueError):
    """There is no prediction to explain: no face was found."""


@dataclass(frozen=True, eq=False)
class Explanation(Displayed):
    """What in a photo speaks for a class.

    Attributes:
        map: float32 `(height, width)`, 0 to 1, of the photo's size: how much each place speaks for
            the class, 1 is the most; all 0 where nothing does. 0 also where the network did not
            look.
        class_name: The class.
        probability: What the network gives this class, 0 to 1.
        method: "grad-cam" or "occlusion".
        corners: float64 `(4, 2)`, x and y in pixels of the photo: the corners of what the network
            was shown, clockwise from the upper left of its input. May reach past the
            photo.
        fraction_on_photo: Fraction of the map that lies on the photo, 0 to 1; the rest lies on the
            grey that fills the network's input, or beyond the border. 0 where nothing is marked.
        probability_hiding_most: The probability of the class when the tenth of the network's
            picture that is marked most is grey.
        probability_hiding_least: Likewise for the tenth that is marked least. Only when the former
            is clearly lower does the map say something about this network.
        prediction: The prediction for the photo.
        face: Which of its faces was explained, the largest is 0.
        note: What to know, else None.
    """

    map: np.ndarray
    class_name: str
    probability: float
    method: Method
    corners: np.ndarray
    fraction_on_photo: float
    probability_hiding_most: float
    probability_hiding_least: float
    prediction: Prediction
    face: int = 0
    note: str | None = None

    @property
    def seen(self) -> tuple[float, float, float, float]:
        """The part of the photo that was looked at, `(left, top, width, height)` in pixels."""
        height, width = self.map.shape
        first = np.clip(self.corners.min(axis=0), 0, (width, height))
        last = np.clip(self.corners.max(axis=0), 0, (width, height))
        left, top, right, bottom = (float(value) for value in (*first, *last))
        return (left, top, right - left, bottom - top)

    def blocks(self) -> list[str]:
        """Return what was found in two sentences."""
        most, least = self.probability_hiding_most, self.probability_hiding_least
        text = (
            f"{self.class_name} {self.probability:.0%} ({self.method}). With the most marked tenth "
            f"of the picture hidden: {most:.0%}; with the least marked tenth: {least:.0%}."
        )
        return [f"{text} {self.note}" if self.note else text]


def explain(
    predictor: Predictor,
    photo: Photo,
    *,
    method: Method = "occlusion",
    class_name: str | None = None,
    face: int = 0,
    whole_photo: bool = False,
) -> Explanation:
    """Show what in a photo speaks for the prediction of a network.

    A map shows where the network looked, not why, and not whether it is right: believe it only
    when hiding what it marks changes the prediction more than hiding other places.

    Args:
        predictor: The network: a run's, or the packaged one.
        photo: A path, the bytes of a file, a PIL image, or an array (uint8 RGB
            `(height, width, 3)`, 0 to 255).
        method: "occlusion" (`make_occlusion_maps`) hides one place after the other from any
            network; "grad-cam" (`make_grad_cam_maps`) looks into a Keras network, which is quicker
            and coarser.
        class_name: The class to explain; default: the most probable one.
        face: Which of the faces found, the largest is 0; 0 for a network of whole photos.
        whole_photo: Whether a photo without a face is explained as a whole.

    Returns:
        The map on the photo, and what hiding the marked places does.

    Raises:
        UnreadableImageError: If the photo cannot be read.
        NothingToExplainError: If there is no such face.
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
        ValueError: If the network has no such class, or cannot be explained by this method.

    Example:
        >>> explanation = explain(Predictor.load("logs/first"), "photo.jpg")  # doctest: +SKIP
        >>> print(explanation)  # doctest: +SKIP
        Happy 97% (occlusion). With the most marked tenth of the picture hidden: 41%; ...
    """
    _check_method(predictor, method)
    prediction, shown = predictor.predict_prepared(photo, whole_photo=whole_photo)
    explained = _choose_explained(prediction, face)
    class_name = explained.class_name if class_name is None else class_name
    names, model = predictor.info.class_names, predictor.model
    if class_name not in names:
        raise ValueError(f"class_name={class_name!r} should be one of {', '.join(names)}.")
    label, crop = names.index(class_name), shown.crops[face, np.newaxis]
    if method == "occlusion":
        marks = _mark_parts(predictor, shown, face, label)
    else:
        (marks,) = make_grad_cam_maps(cast("keras.Model", model), crop, [label])
    is_on_photo = _find_pixels_on_photo(shown, face)
    most, least = _hide(predictor, shown.crops[face], label, marks, is_on_photo)
    total = float(marks.sum(dtype=np.float64))
    placed = _place(marks, shown, face)
    placed /= placed.max() or 1.0
    height, width = marks.shape if shown.face_crops is None else SCENE_SIZE
    corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)], dtype=float)
    return Explanation(
        map=placed,
        class_name=class_name,
        probability=explained.probabilities[class_name],
        method=method,
        corners=corners @ shown.matrices[face].T,
        fraction_on_photo=float(marks[is_on_photo].sum(dtype=np.float64)) / total if total else 0.0,
        probability_hiding_most=most,
        probability_hiding_least=least,
        prediction=prediction,
        face=face,
        note=_describe_parts(predictor, shown, label, class_name)
        if marks.max() > 0
        else NOTHING_NOTE,
    )


def _check_method(predictor: Predictor, method: str) -> None:
    if method not in get_args(Method):
        raise ValueError(f"method={method!r} should be one of {get_args(Method)}.")
    if method == "grad-cam" and not hasattr(predictor.model, "layers"):
        raise ValueError(
            "method='grad-cam' looks into a Keras network. Received: "
            f"{type(predictor.model).__name__}, which only predicts. Take method='occlusion'; "
            "the packaged network of faces is also there in Keras: "
            "Predictor(load_face_network(), Predictor.packaged(faces_only=True).info), from "
            "emoclf.models.packaged."
        )


def _choose_explained(prediction: Prediction, face: int) -> FacePrediction:
    """Return the prediction that is explained: of the photo as a whole, or of one of its faces."""
    found = (prediction.photo,) if prediction.photo else prediction.faces
    if 0 <= face < len(found):
        return found[face]
    if not found:
        raise NothingToExplainError(prediction.note or "There is no prediction to explain.")
    raise NothingToExplainError(
        f"face={face}: expected a number from 0 to {len(found) - 1}, because "
        f"{len(found)} were found."
    )


def _mark_parts(predictor: Predictor, shown: Prepared, face: int, label: int) -> np.ndarray:
    """Hide place after place of what the network was shown: float32 `(height, width)`.

    On a sheet the photo and each of its faces are gone through by themselves: a patch over two of
    them would mark the one for the other.
    """
    image, predict = shown.crops[face], predictor.predict_probabilities
    if shown.face_crops is None:
        return make_occlusion_maps(predict, image[np.newaxis], [label])[0]
    marks = np.zeros(image.shape[:2], dtype=np.float32)
    for part in _list_parts(shown):

        def predict_part(hidden: np.ndarray, part: tuple[slice, slice] = part) -> np.ndarray:
            sheets = np.repeat(image[np.newaxis], len(hidden), axis=0)
            sheets[:, *part] = hidden
            return predict(sheets)

        patches = _PATCHES_OF_SCENE if part == _SCENE else _PATCHES_OF_FACE
        (marks[part],) = make_occlusion_maps(
            predict_part, image[part][np.newaxis], [label], patches_per_side=patches
        )
    return marks


def _list_parts(shown: Prepared) -> list[tuple[slice, slice]]:
    """Return the rows and columns of a sheet that show the photo, and each of its faces."""
    return [_SCENE, *(place_face(place) for place in range(min(len(shown.faces), MAX_FACES)))]


def _describe_parts(
    predictor: Predictor, shown: Prepared, label: int, class_name: str
) -> str | None:
    """Say what the faces and the scene of a sheet each do to the probability of a class."""
    if shown.face_crops is None or not shown.faces:
        return None
    without_faces, without_scene = shown.crops[0].copy(), shown.crops[0].copy()
    without_faces[SCENE_SIZE[0] :] = 0
    without_scene[: SCENE_SIZE[0]] = PADDING_GREY
    scene, faces = predictor.predict_probabilities(np.stack([without_faces, without_scene]))
    return (
        f"By the scene alone: {class_name} {scene[label]:.0%}; by the faces alone: "
        f"{faces[label]:.0%}."
    )


def _hide(
    predictor: Predictor, image: np.ndarray, label: int, marks: np.ndarray, is_on_photo: np.ndarray
) -> tuple[float, float]:
    """Return the probability of the class without what is marked most, and least, of the photo."""
    pixels = np.flatnonzero(is_on_photo)
    order = pixels[np.argsort(marks.ravel()[pixels], kind="stable")]
    count = max(1, round(HIDDEN_SHARE * len(order)))
    hidden = np.stack([image, image])
    for copy, chosen in zip(hidden, (order[-count:], order[:count]), strict=True):
        copy.reshape(-1, 3)[chosen] = PADDING_GREY
    most, least = predictor.predict_probabilities(hidden)[:, label]
    return float(most), float(least)


def _place(marks: np.ndarray, shown: Prepared, face: int) -> np.ndarray:
    """Lay the network's map onto the photo: float32 of its size, 0 where nothing was shown."""
    if shown.face_crops is None:
        return _warp(marks, shown.matrices[face], shown.size)
    scene, *places = _list_parts(shown)
    placed = _warp(marks[scene], shown.matrices[0], shown.size)
    for part, each in zip(places, shown.faces, strict=False):
        crop = _warp(marks[part], map_face(each, FACE_SIZE), shown.size)
        placed = np.maximum(placed, crop)
    return placed


def _warp(marks: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    inverse = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))
    placed = Image.fromarray(np.ascontiguousarray(marks, dtype=np.float32)).transform(
        size[::-1],
        Image.Transform.AFFINE,
        tuple(inverse[:2].ravel()),
        resample=Image.Resampling.BILINEAR,
    )
    return np.array(placed)


def _find_pixels_on_photo(shown: Prepared, face: int) -> np.ndarray:
    """Return bool `(height, width)` of the network's size: where its pixels show the photo."""
    rows, columns = np.indices(shown.crops.shape[1:3])
    points = np.stack([columns + 0.5, rows + 0.5, np.ones(rows.shape)], axis=-1)
    matrix = shown.matrices[face if shown.face_crops is None else 0]
    x, y = np.moveaxis(points @ matrix.T, -1, 0)
    height, width = shown.size
    is_on_photo = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    if shown.face_crops is not None:
        is_on_photo[SCENE_SIZE[0] :] = False
        for part in _list_parts(shown)[1:]:
            is_on_photo[part] = True
    return is_on_photo


def blend_map(photo: np.ndarray, explanation: Explanation) -> np.ndarray:
    """Lay a map over its photo, with the outline of what the network was shown.

    Args:
        photo: uint8 RGB `(height, width, 3)`, 0 to 255: the photo that was explained, upright and
            in full size, as `load_image` returns it.
        explanation: From `explain`.

    Returns:
        uint8 RGB of the photo's shape. What the network was not shown stays grey.

    Raises:
        ValueError: If the photo has another size than the map.
    """
    if photo.shape != (*explanation.map.shape, 3) or photo.dtype != np.uint8:
        raise ValueError(
            f"photo: expected uint8 RGB {(*explanation.map.shape, 3)}, the size of the map, "
            f"received {photo.dtype} {photo.shape}. Give the photo that was explained."
        )
    picture = Image.fromarray(np.ascontiguousarray(photo)).convert("L").convert("RGB")
    coloured = Image.fromarray(_colour(picture, explanation.map))
    outline = [(float(x), float(y)) for x, y in explanation.corners]
    seen = Image.new("1", picture.size)
    ImageDraw.Draw(seen).polygon(outline, fill=1)
    picture.paste(coloured, mask=seen)
    width = max(1, round(max(picture.size) / 400))
    ImageDraw.Draw(picture).polygon(outline, outline=OUTLINE_COLOUR, width=width)
    return np.array(picture)


def draw_ramp(size: tuple[int, int]) -> np.ndarray:
    """Draw the colours of a map for a legend, as they look over a mid-grey photo.

    Args:
        size: `(height, width)` in pixels.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255: on the left what marks nothing, on the right what
        is marked most.
    """
    marks = np.repeat(np.linspace(0, 1, size[1], dtype=np.float32)[np.newaxis], size[0], axis=0)
    return _colour(Image.new("RGB", (size[1], size[0]), (128, 128, 128)), marks)


def draw_explanation(
    photo: np.ndarray, explanation: Explanation, *, numbered: bool = False
) -> np.ndarray:
    """Draw a map, the prediction and a legend onto a photo.

    Args:
        photo: As for `blend_map`.
        explanation: From `explain`.
        numbered: As for `annotate_photo`.

    Returns:
        uint8 RGB `(height, width, 3)`: a new picture, the prediction drawn as `annotate_photo`
        does, with a strip below that says what the colours mean.

    Raises:
        ValueError: If the photo has another size than the map.
    """
    blended = blend_map(photo, explanation)
    drawn = annotate_photo(blended, explanation.prediction, numbered=numbered)
    return np.concatenate([drawn, _draw_legend(drawn.shape[1], explanation)])


def save_explanation(photo: np.ndarray, explanation: Explanation, *, folder: str | Path) -> Path:
    """Write a photo with its map, prediction and legend into a folder.

    Args:
        photo: As for `blend_map`.
        explanation: From `explain`. The photo's file names the picture: `sunny.jpg` becomes
            `sunny-happy.jpg` when Happy is explained, other formats than JPEG become PNG.
        folder: Where to; made when it is missing.

    Returns:
        The path of the new picture. Nothing is ever overwritten: when the name is taken, `-2`,
        `-3` ... is added.

    Raises:
        OSError: If the folder cannot be made or written.
        ValueError: If the photo has another size than the map.
    """
    picture = draw_explanation(photo, explanation)
    ending = f"-{explanation.class_name.lower()}"
    return save_picture(picture, folder, file=explanation.prediction.file, ending=ending)


def _colour(picture: Image.Image, marks: np.ndarray) -> np.ndarray:
    """Mix a grey picture with the colours of a map: uint8 RGB of its size."""
    cv2 = import_opencv()
    levels = Image.fromarray(np.round(np.clip(marks, 0, 1) * 255).astype(np.uint8))
    colours = cv2.applyColorMap(np.asarray(levels), cv2.COLORMAP_CIVIDIS)[..., ::-1]
    least, most = (255 * share for share in _MAP_FRACTION)
    share = levels.point([round(least + (most - least) * level / 255) for level in range(256)])
    return np.array(Image.composite(Image.fromarray(np.ascontiguousarray(colours)), picture, share))


def _draw_legend(width: int, explanation: Explanation) -> np.ndarray:
    """Draw a strip: the colours with their ends named, and below what they stand for."""
    font_px = min(max(12, round(width / 36)), 40)
    font = ImageFont.load_default(size=font_px)
    text = f"what speaks for {explanation.class_name}"
    strip = Image.new("RGB", (width, round(3.4 * font_px)), _STRIP_COLOUR)
    draw = ImageDraw.Draw(strip)
    left = round(font.getlength(_LITTLE) + font_px)
    right = round(width - font.getlength(_MUCH) - font_px)
    ramp = draw_ramp((font_px, max(2, right - left)))
    strip.paste(Image.fromarray(ramp), (left, round(0.5 * font_px)))
    middle = round(font_px)
    draw.text((left - font_px // 2, middle), _LITTLE, fill=_INK, font=font, anchor="rm")
    draw.text((right + font_px // 2, middle), _MUCH, fill=_INK, font=font, anchor="lm")
    for words in (f"{text} ({explanation.method})", text):
        if font.getlength(words) <= width - 4:
            draw.text((width / 2, 2.5 * font_px), words, fill=_INK, font=font, anchor="mm")
            break
    return np.array(strip)
