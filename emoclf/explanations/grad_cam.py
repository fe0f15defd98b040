"""Grad-CAM: which places of its last maps speak for a class, asked of the network itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_OTHER_WAY = "method='occlusion' (--method occlusion) explains any network."


@dataclass(frozen=True)
class _Tap:
    """Where a network is looked into.

    Attributes:
        maps: Its last maps, `(batch, rows, columns, features)`: what it averages over the photo.
        before_softmax: What the softmax, or the fully connected layer with it, is given.
        dense: That fully connected layer; None where `before_softmax` holds the logits.
    """

    maps: keras.KerasTensor
    before_softmax: keras.KerasTensor
    dense: keras.layers.Dense | None


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

    from emoclf.models import computes_in_half_precision, copy_network

    if computes_in_half_precision(model):  # small gradients would become 0
        model = copy_network(model, as_float32=True)
    tap = _find_tap(model)
    tapped = keras.Model(model.inputs, [tap.maps, tap.before_softmax])
    maps, gradients = _differentiate(tapped, tap.dense, images, labels)
    weights = gradients.mean(axis=(1, 2))
    marks = np.einsum("nrcf,nf->nrc", maps, weights).clip(0)
    return np.stack([_enlarge(each, images.shape[1:3]) for each in marks])


def _check_labels(images: np.ndarray, labels: Any, *, classes: int) -> np.ndarray:
    labels = np.asarray(labels, dtype=np.int64)
    if labels.shape != (len(images),) or not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"labels: expected one label from 0 to {classes - 1} for each of {len(images)} photos, "
            f"received {labels.tolist()}."
        )
    return labels


def _find_tap(model: keras.Model) -> _Tap:
    """Walk back from the answer to the last maps, along the outer graph alone.

    A layer that is used in several networks, as a backbone is, has an output in each of them;
    tensors know the one they are in, layers do not (tensorflow#44462).
    """
    from keras import activations, layers

    answer = model.outputs[0]
    layer = answer._keras_history.operation
    dense = None
    if isinstance(layer, layers.Dense) and layer.activation is activations.softmax:
        dense = layer
    elif not isinstance(layer, layers.Softmax):
        raise ValueError(
            f"model: expected a network that ends in a softmax, received one that ends in "
            f"{layer.name!r}. {_OTHER_WAY}"
        )
    before_softmax = tensor = _step_back(answer, model)
    while len(tensor.shape) != 4:
        tensor = _step_back(tensor, model)
    if isinstance(tensor._keras_history.operation, layers.InputLayer):
        raise _make_unknown(model)
    return _Tap(tensor, before_softmax, dense)


def _step_back(tensor: keras.KerasTensor, model: keras.Model) -> keras.KerasTensor:
    """Return what the layer was given that made a tensor."""
    import keras

    layer, node_index, _ = tensor._keras_history
    given = layer._inbound_nodes[node_index].input_tensors
    if len(given) != 1 or isinstance(layer, keras.Model):
        raise _make_unknown(model)
    return given[0]


def _make_unknown(model: keras.Model) -> ValueError:
    return ValueError(
        f"model: expected a network whose last maps stand in its own layers, before one chain of "
        f"layers to the answer, as in emoclf.models. Received: {model.name!r} with the layers "
        f"{', '.join(layer.name for layer in model.layers)}. {_OTHER_WAY}"
    )


def _differentiate(
    tapped: keras.Model, dense: keras.layers.Dense | None, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the last maps, and how the log-odds of the class rise with each value of them."""
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        # The tape follows what depends on a watched value; a frozen network has none of its own.
        tape.watch([weight.value for weight in tapped.weights if "float" in weight.dtype])
        maps, values = tapped(tf.convert_to_tensor(images), training=False)
        logits = values if dense is None else tf.matmul(values, dense.kernel) + _find_bias(dense)
        score = tf.reduce_sum(_find_log_odds(logits, labels))
    return maps.numpy(), tape.gradient(score, maps).numpy()


def _find_bias(dense: keras.layers.Dense) -> Any:
    return dense.bias if dense.use_bias else 0.0


def _find_log_odds(logits: tf.Tensor, labels: np.ndarray) -> tf.Tensor:
    import tensorflow as tf

    is_class = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    of_class = tf.boolean_mask(logits, is_class)
    others = tf.where(is_class, tf.constant(-np.inf, logits.dtype), logits)
    return of_class - tf.reduce_logsumexp(others, axis=-1)


def _enlarge(marks: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    picture = Image.fromarray(marks.astype(np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
