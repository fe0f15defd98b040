"""Write the packaged network of scenes anew, and the card that names its digest."""

from __future__ import annotations

from pathlib import Path

from emoclf.config import SCENE_SIZE
from emoclf.models.packaged import SCENE_FILE_NAME


def write_scene_network(folder: str | Path) -> Path:
    """Write EfficientNet-Lite0 up to its features, with ImageNet's weights, for OpenCV.

    Needs the extras `lesson` (the weights) and `export` (the writer).

    Args:
        folder: Where `scene.onnx` belongs; made when it is missing.

    Returns:
        The path of the file: uint8 RGB `(1, 224, 224, 3)` to float32 `(1, 1280)`, its weights as
        int8.

    Raises:
        PretrainedWeightsError: If the weights are not installed.
    """
    from emoclf.models import build_transfer_model, find_features
    from emoclf.models.formats.writers import shrink_onnx, write_onnx

    path = Path(folder) / SCENE_FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    network = build_transfer_model("efficientnetlite0", SCENE_SIZE, augment=False, dropout=0)
    return shrink_onnx(write_onnx(find_features(network), path))
