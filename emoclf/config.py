"""Class names and their order, default sizes, the seed: constants and one frozen dataclass.

This module reads nothing, writes nothing and imports nothing of emoclf, so every other
module may import it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

CLASS_NAMES: tuple[str, ...] = ("Sad", "Happy")
"""Class names in label order: label 0 is Sad (class 1), label 1 is Happy (class 2)."""

Part = Literal["train", "validation", "test"]
"""A part of a data set."""

PARTS: tuple[Part, ...] = get_args(Part)
"""The three parts of a data set, in the order in which the lesson uses them."""

IMAGE_SIZE: tuple[int, int] = (96, 96)
"""Default `(height, width)` in pixels of the network's input."""

FACE_SIZE: tuple[int, int] = (48, 48)
"""`(height, width)` in pixels of FER2013's faces, and of the packaged network's input."""

SCENE_SIZE: tuple[int, int] = (224, 224)
"""`(height, width)` in pixels at which a whole photo is shown to a network of scenes."""

SHEET_SIZE: tuple[int, int] = (320, 224)
"""`(height, width)` in pixels of a sheet: a photo, and below it two rows of faces."""

SEED: int = 42
"""Default seed of everything random: drawing, splitting, initial weights, augmentation."""

MAX_PIXELS: int = 120_000_000
"""Largest picture (height times width) that is decoded: a limit against decompression bombs."""

MODEL_FILE_NAME = "model.keras"
"""Name of the finished model inside a run folder."""

JOINT_FILE_NAME = "model.zip"
"""Name of the finished model of faces and scene inside a run folder."""

FOLDS_FOLDER_NAME = "folds"
"""Name of the folder with the finished folds of a cross-validation inside a run folder."""

CHECKPOINT_FILE_NAME = "best.keras"
"""Name of the best epoch so far inside a run folder."""

ResizeMode = Literal["pad", "crop"]
"""How a photo of any shape becomes `IMAGE_SIZE` with its aspect kept."""

Crop = Literal["none", "face", "both"]
"""What a network takes: the whole photo, a face that was found in it and cut out, or both."""

WEIGHTS_SUFFIXES = (".keras", ".h5", ".pth")
"""How a file of weights of a large network ends."""

BackboneName = Literal[
    "vgg16", "resnet50v2", "mobilenetv3small", "efficientnetv2b0", "efficientnetlite0"
]
"""The large networks that can be built upon."""

NetworkName = Literal["joint", "small", "deep", "face", BackboneName]
"""Every network that can be trained here: a head on what the packaged networks find in faces and
scene, two of our own from scratch, the packaged face network, and the backbones."""

Precision = Literal["auto", "float32"]
"""How numbers are kept while training: half as long where a GPU gains from it, or never."""

Devices = Literal["one", "all"]
"""Which devices learn: the first one, or all GPUs of this machine."""

Method = Literal["grad-cam", "occlusion"]
"""Look into the network (Keras alone, quick, coarse), or hide places (any network, slower)."""

ExportFormat = Literal["keras", "saved_model", "litert", "litert_int8", "onnx"]
"""What a network is exported as."""

BaselineName = Literal[
    "majority", "brightness", "colours", "pixels", "network", "face_features", "fine_tuned"
]
"""Every baseline, from the lowest to the highest."""

Learner = Literal["network", "face_features"]
"""A network that is trained anew in every fold; or the packaged face network as it is, with a
logistic regression on its features, which takes a fraction of a second."""

WithoutFace = Literal["leave_out", "whole_photo"]
"""What becomes of a photo in which no face is found."""

LabelSource = Literal["fer2013", "votes"]
"""FER2013's own label, or what more than half of FER+'s raters saw."""

DetectorKind = Literal["auto", "yunet", "packaged"]
"""Which detector: YuNet, emoclf's own, or the better one that is there."""


_AS_NETWORK_WANTS: Any = None
"""Default of a setting that follows from the network."""

_WANTED = {"face": (FACE_SIZE, "face"), "joint": (SHEET_SIZE, "both")}
"""Image size and crop of a network that takes others than most."""

_LONGEST_SIDE = 10_000
_LONGEST_PATH = 4096
_LARGEST_COUNT = 10**6


@dataclass(frozen=True)
class Settings:
    """Everything that decides how one run is split and trained.

    A run writes its settings to `settings.json`, so that it can be read, compared and repeated.

    Attributes:
        image_size: The network's input, `(height, width)` in pixels, each at least 32; in a
            shell 96, or 96x128.
        resize_mode: `"pad"` keeps the whole photo on a grey ground, `"crop"` keeps its centre.
        crop: `"none"` takes whole photos, `"face"` the largest face of each, cut out before
            training, `"both"` the photo and its faces.
        network: `"joint"` learns to decide by what two packaged networks find in the faces and in
            the whole photo; `"small"` and `"deep"` learn from your photos alone, `"face"` goes on
            from the packaged face network (48 x 48 pixels), the others from a large network.
        weights: What those others start from: `"imagenet"` (downloaded once, or installed),
            `"none"`, or the path of a file of weights.
        validation_fraction: Fraction of the photos that choose the best epoch, above 0.
        test_fraction: Fraction of the photos that are kept for the test at the end, above 0.
        batch_size: Photos per training step.
        epochs: Passes over the training photos at most; early stopping may end sooner.
        learning_rate: Largest learning rate of the optimizer.
        patience: Epochs without a better validation loss before training stops.
        dropout: Fraction of the features switched off at random while training, 0 to below 1.
        ema_momentum: Momentum of the exponential moving average of the weights, which is then what
            is judged and saved, such as 0.99; 0 takes the last weights.
        augment: Whether every epoch gets the photos flipped, moved, turned and re-lit at random.
        class_weights: Whether the rarer class counts for more in training.
        precision: `"auto"` trains in mixed precision on a GPU that gains from it, `"float32"`
            never does. What is saved is float32 in any case.
        seed: Seed of the split, the initial weights, the order and the augmentation, 0 to below
            2 ** 32.

    Raises:
        ValueError: If a value is of another type or out of its range, or two do not fit together;
            the message names them.

    Example:
        >>> face = Settings(network="face")
        >>> face.image_size, face.crop
        ((48, 48), 'face')
    """

    image_size: tuple[int, int] = _AS_NETWORK_WANTS
    resize_mode: ResizeMode = "pad"
    crop: Crop = _AS_NETWORK_WANTS
    network: NetworkName = "small"
    weights: str = "imagenet"
    validation_fraction: float = 0.15
    test_fraction: float = 0.15
    batch_size: int = 16
    epochs: int = 15
    learning_rate: float = 2e-3
    patience: int = 10
    dropout: float = 0.3
    ema_momentum: float = 0
    augment: bool = True
    class_weights: bool = True
    precision: Precision = "auto"
    seed: int = SEED

    def __post_init__(self) -> None:
        """Fill in what follows from the network, and refuse values that no run could use."""
        size, crop = _WANTED.get(str(self.network), (IMAGE_SIZE, "none"))
        for name, value in {"image_size": size, "crop": crop}.items():
            if getattr(self, name) is _AS_NETWORK_WANTS:
                object.__setattr__(self, name, value)
        if isinstance(self.weights, os.PathLike):
            object.__setattr__(self, "weights", os.fspath(self.weights))
        if isinstance(self.image_size, list):
            object.__setattr__(self, "image_size", tuple(self.image_size))
        for each in fields(self):
            _check_type(each.name, getattr(self, each.name), str(each.type))
        self._check_ranges()
        self._check_fit()

    def _check_ranges(self) -> None:
        """Refuse a value that is out of its range."""
        checks = {
            "image_size": (
                all(32 <= side <= _LONGEST_SIDE for side in self.image_size),
                f"(height, width), each 32 to {_LONGEST_SIDE:,}",
            ),
            "resize_mode": (self.resize_mode in ("pad", "crop"), "pad or crop"),
            "crop": (self.crop in get_args(Crop), ", ".join(get_args(Crop))),
            "network": (self.network in get_args(NetworkName), ", ".join(get_args(NetworkName))),
            "weights": (
                0 < len(self.weights) <= _LONGEST_PATH,
                f"1 to {_LONGEST_PATH:,} characters",
            ),
            "validation_fraction": (self.validation_fraction > 0, "above 0"),
            "test_fraction": (
                self.test_fraction > 0 and self.test_fraction + self.validation_fraction < 1,
                "above 0, and with validation_fraction below 1, to leave photos for training",
            ),
            "batch_size": (1 <= self.batch_size <= _LARGEST_COUNT, f"1 to {_LARGEST_COUNT:,}"),
            "epochs": (1 <= self.epochs <= _LARGEST_COUNT, f"1 to {_LARGEST_COUNT:,}"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "above 0"),
            "patience": (self.patience >= 1, "1 or more"),
            "dropout": (0 <= self.dropout < 1, "0 to below 1"),
            "ema_momentum": (0 <= self.ema_momentum < 1, "0 to below 1"),
            "precision": (self.precision in get_args(Precision), ", ".join(get_args(Precision))),
            "seed": (0 <= self.seed < 2**32, "0 to below 2 ** 32"),
        }
        for name, (is_valid, expected) in checks.items():
            if not is_valid:
                raise ValueError(
                    f"{name}={getattr(self, name)!r:.200} is out of range. Expected: {expected}."
                )

    def _check_fit(self) -> None:
        """Refuse values that are right one by one, but not together."""
        size = _WANTED[self.network][0] if self.network in _WANTED else self.image_size
        if self.image_size != size:
            raise ValueError(
                f"network={self.network!r} takes {size[0]} x {size[1]} pixels. Received: "
                f"image_size={self.image_size}. Leave image_size out, or take another network."
            )
        if (self.crop == "both") != (self.network == "joint"):
            raise ValueError(
                f"crop='both' is for network='joint', which takes nothing else. Received: "
                f"crop={self.crop!r}, network={self.network!r}. Leave crop out."
            )
        if not self.is_backbone and self.weights not in ("imagenet", "none"):
            raise ValueError(
                f"weights={self.weights!r:.200} is for a large network, "
                f"{', '.join(get_args(BackboneName))}. Received: network={self.network!r}. Leave "
                "weights out, or take one of those networks."
            )

    def check_for_workers(self) -> None:
        """Refuse, by a ValueError, what several workers cannot train."""
        if self.is_pretrained or self.network == "joint":
            way = "in one step" if self.network == "joint" else "in stages"
            raise ValueError(
                f"network={self.network!r} is trained {way}, on one worker. Several workers "
                "train network='small' or network='deep', or a backbone with weights='none'."
            )
        if self.ema_momentum:
            raise ValueError(
                f"ema_momentum={self.ema_momentum} is for one worker. Set ema_momentum=0 "
                "for several."
            )

    @property
    def is_backbone(self) -> bool:
        """Whether the network is one of the large ones, which `weights` are for."""
        return self.network in get_args(BackboneName)

    @property
    def is_pretrained(self) -> bool:
        """Whether the network starts from learned weights, so that it is trained in stages."""
        return self.network == "face" or (self.is_backbone and self.weights != "none")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary that JSON can hold."""
        return asdict(self)


_IS_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: (
        isinstance(value, float) or (_IS_OF_TYPE["int"](value) and abs(value) < 2**53)
    ),
    "bool": lambda value: isinstance(value, bool),
    "tuple[int, int]": lambda value: (
        isinstance(value, tuple) and len(value) == 2 and all(map(_IS_OF_TYPE["int"], value))
    ),
}


def _check_type(name: str, value: Any, expected: str) -> None:
    """Refuse a value of another type than a field's; where none is listed it is a text."""
    if not _IS_OF_TYPE.get(expected, lambda value: isinstance(value, str))(value):
        kind = expected if expected in _IS_OF_TYPE else "str"
        raise ValueError(f"{name}={value!r:.200} should be {kind}. See emoclf.Settings.")
