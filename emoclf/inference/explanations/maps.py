"""Maps of what in a photo speaks for a class: Grad-CAM looks into the network, occlusion hides.

Grad-CAM (Keras networks) weighs the places of the last maps by their gradients. Occlusion (any
network) hides one place after the other and measures where the probability drops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from emoclf.images import PADDING_GREY

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Predict = Callable[[np.ndarray], np.ndarray]
"""Anything that maps uint8 RGB `(photos, height, width, 3)` to probabilities
`(photos, classes)`, such as `Predictor.predict_probabilities`."""

STEPS_PER_PATCH = 2
"""Neighbouring patches overlap by all but this part of their side."""

_SURE = 1e-6
"""Probabilities this near to 0 and 1 are taken for it: float32 knows no finer ones near 1."""

_OTHER_WAY = "method='occlusion' explains any network."


def make_grad_cam_maps(
    model: keras.Model, images: np.ndarray, labels: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Find what in photos speaks for a class, by Grad-CAM (Selvaraju et al., 2017).

    The last maps of the network are added up, each weighed by how much the score of the class
    rises with it on average; what speaks against the class is left out. The score is the log-odds
    of the class, `log(p / (1 - p))`: a logit alone, the score of the paper, may rise without the
    probability doing so. Only the outer graph of the network is looked at, so networks inside it
    stay whole. The map is as coarse as the last maps are: 6 x 6 places for the lesson's network,
    3 x 3 for a backbone of `keras.applications` at 96 x 96 pixels.

    Args:
        model: A network of `emoclf.models`, built or loaded; not changed.
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255, of the network's size.
        labels: For each photo the label of the class to explain.

    Returns:
        float32 `(photos, height, width)`, 0 or more: in each photo what a place adds to the
        log-odds, enlarged to the photo.

    Raises:
        ValueError: If the network does not end in maps, an average or flattening, fully connected
            layers and a softmax; or labels and images do not fit.
    """
    labels = _check_labels(images, labels, classes=model.outputs[0].shape[-1])
    if not len(images):
        return np.zeros(images.shape[:3], dtype=np.float32)
    import keras

    from emoclf.models import copy_network, uses_mixed_precision

    if uses_mixed_precision(model):  # small gradients would become 0
        model = copy_network(model, as_float32=True)
    tap, layers = _find_tap(model)
    maps = keras.Model(model.inputs[0], tap)(images, training=False)
    weights = _differentiate(maps, layers, labels).mean(axis=(1, 2))
    marks = np.einsum("nrcf,nf->nrc", np.asarray(maps), weights).clip(0)
    return np.stack([_enlarge(each, images.shape[1:3]) for each in marks])


def _check_labels(images: np.ndarray, labels: Any, *, classes: int | None = None) -> np.ndarray:
    labels = np.asarray(labels, dtype=np.int64)
    is_known = classes is None or ((labels >= 0) & (labels < classes)).all()
    if labels.shape != (len(images),) or not is_known:
        span = "" if classes is None else f" from 0 to {classes - 1}"
        raise ValueError(
            f"labels: expected one label{span} for each of {len(images)} photos, received "
            f"{labels.tolist()}."
        )
    return labels


def _find_tap(model: keras.Model) -> tuple[keras.KerasTensor, list[keras.layers.Layer]]:
    """Walk back from the probabilities to the last maps, along the outer graph alone.

    Returns:
        The maps, `(batch, rows, columns, features)`, and what leads from them to the probabilities,
        one layer after the other, the softmax or the fully connected layer with it last.

    A layer that is used in several networks, as a backbone is, has an output in each of them;
    tensors know the one they are in, layers do not (tensorflow#44462).
    """
    import keras
    from keras import activations, layers

    tensor = model.outputs[0]
    last = tensor._keras_history.operation
    ends_in_softmax = isinstance(last, layers.Softmax) or (
        isinstance(last, layers.Dense) and last.activation is activations.softmax
    )
    if not ends_in_softmax:
        raise ValueError(
            f"model: expected a network that ends in a softmax, received one that ends in "
            f"{last.name!r}. {_OTHER_WAY}"
        )
    found: list[keras.layers.Layer] = []
    while len(tensor.shape) != 4:
        layer, node_index, _ = tensor._keras_history
        given = layer._inbound_nodes[node_index].input_tensors
        if len(given) != 1 or isinstance(layer, keras.Model):
            raise _make_unknown(model)
        found.insert(0, layer)
        tensor = given[0]
    if isinstance(tensor._keras_history.operation, layers.InputLayer):
        raise _make_unknown(model)
    return tensor, found


def _make_unknown(model: keras.Model) -> ValueError:
    return ValueError(
        f"model: expected a network whose last maps stand in its own layers, before one chain of "
        f"layers to the softmax, as in emoclf.models. Received: {model.name!r} with the layers "
        f"{', '.join(layer.name for layer in model.layers)}. {_OTHER_WAY}"
    )


def _differentiate(
    maps: tf.Tensor, layers: Sequence[keras.layers.Layer], labels: np.ndarray
) -> np.ndarray:
    """Return how the log-odds of the class rise with each value of the maps."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(maps)
        values = maps
        for layer in layers[:-1]:
            values = layer(values)
        score = tf.reduce_sum(_find_log_odds(_find_logits(layers[-1], values), labels))
    return tape.gradient(score, maps).numpy()


def _find_logits(last: keras.layers.Layer, values: tf.Tensor) -> tf.Tensor:
    """Return what the softmax is given; 1.0 has no gradient any more, its logits have."""
    from keras import layers, ops

    if isinstance(last, layers.Softmax):
        return values
    logits = ops.matmul(values, last.kernel)
    return ops.add(logits, last.bias) if last.use_bias else logits


def _find_log_odds(logits: tf.Tensor, labels: np.ndarray) -> tf.Tensor:
    import tensorflow as tf

    is_class = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    of_class = tf.boolean_mask(logits, is_class)
    others = tf.where(is_class, tf.constant(-np.inf, logits.dtype), logits)
    return of_class - tf.reduce_logsumexp(others, axis=-1)


def make_occlusion_maps(
    predict: Predict,
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    *,
    patches_per_side: int = 5,
    batch_size: int = 64,
) -> np.ndarray:
    """Find what in photos speaks for a class by hiding it (Zeiler and Fergus, 2014).

    A grey patch moves over the photo by half of its side; where the log-odds of the class,
    `log(p / (1 - p))`, fall, there is something that speaks for it. Every place gets the mean of
    all patches that hid it; what speaks against the class is left out. Works with any network,
    run once for every patch: 121 times per photo with 5 patches per side.

    Args:
        predict: The network.
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255, of the network's size.
        labels: For each photo the label of the class to explain.
        patches_per_side: How many patches lie side by side, at least 1: more show finer things
            and take longer, and a patch that hides too little changes nothing.
        batch_size: How many hidden photos the network is run on at a time.

    Returns:
        float32 `(photos, height, width)`, 0 or more: by how much the log-odds fall on average
        when this place is hidden.

    Raises:
        ValueError: If labels and images do not fit, or there is no patch.
    """
    labels = _check_labels(images, labels)
    if patches_per_side < 1:
        raise ValueError(f"patches_per_side: expected at least 1, received {patches_per_side}.")
    maps = [
        _map_photo(predict, image, label, patches_per_side, batch_size)
        for image, label in zip(images, labels, strict=True)
    ]
    return np.array(maps, dtype=np.float32).reshape(images.shape[:3])


def _map_photo(
    predict: Predict, image: np.ndarray, label: int, patches_per_side: int, batch_size: int
) -> np.ndarray:
    """Return float32 `(height, width)`."""
    windows = [_find_windows(side, patches_per_side) for side in image.shape[:2]]
    places = [(rows, columns) for rows in windows[0] for columns in windows[1]]
    scores: list[float] = []
    for start in range(0, len(places) + 1, batch_size):
        # The first is the photo as it is.
        batch = [(slice(0), slice(0)), *places][start : start + batch_size]
        hidden = np.repeat(image[np.newaxis], len(batch), axis=0)
        for copy, (rows, columns) in zip(hidden, batch, strict=True):
            copy[rows, columns] = PADDING_GREY
        scores += _measure_log_odds(np.asarray(predict(hidden))[:, label]).tolist()
    falls = scores[0] - np.array(scores[1:]).reshape([len(each) for each in windows])
    return _average(falls, image.shape[:2]).clip(0)


def _find_windows(side: int, patches: int) -> list[slice]:
    """Return the overlapping patches along one side; those at the ends hide a half."""
    edges = np.linspace(0, side, patches * STEPS_PER_PATCH + 1).round().astype(int)
    first = range(1 - STEPS_PER_PATCH, len(edges) - 1)
    last = len(edges) - 1
    return [slice(edges[max(0, n)], edges[min(n + STEPS_PER_PATCH, last)]) for n in first]


def _average(falls: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Give each cell the mean of the patches over it, and enlarge the cells to the photo."""
    over = np.lib.stride_tricks.sliding_window_view(falls, (STEPS_PER_PATCH, STEPS_PER_PATCH))
    return _enlarge(over.mean(axis=(2, 3)), size)


def _measure_log_odds(probabilities: np.ndarray) -> np.ndarray:
    sure = np.clip(np.asarray(probabilities, dtype=np.float64), _SURE, 1 - _SURE)
    return np.log(sure / (1 - sure))


def _enlarge(marks: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    picture = Image.fromarray(marks.astype(np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
