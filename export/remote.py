"""A model behind a server, opened like one on the disk."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from export.client import Client, ServerError
from lsps_tf.errors import InputError
from lsps_tf.model_info import ModelInfo
from lsps_tf.models import OpenModel, Outputs
from lsps_tf.skeleton import ICVL, NYU, SKELETONS, Skeleton

_MAX_COUNT = 65535
# The cubes of the two benchmarks; a server does not tell, and here they only decide how far around a hand is looked.
_CUBE_MM = {NYU.name: 300.0, ICVL.name: 250.0}
_IMAGE_SIZE = 64


def open_remote(url: str, depth_unit_mm: float | None = None) -> OpenModel:
    """Opens the model of a server: this project's or TensorFlow Serving.

    Args:
        url: as for `export.client.Client`.
        depth_unit_mm: mm that one count of the frames stands for; they are sent in it where it fits.

    Raises:
        InputError: where there is no server, it has no such model, or the model is not one of this project's.
    """
    try:
        client = Client(url)
        url = client.url
    except ValueError as error:
        raise InputError(f"--url: {error}") from error
    try:
        skeleton = _skeleton_of(client.metadata(), url)
    except ServerError as error:
        _give_up(url, error)

    def predict(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor | None) -> Outputs:
        rows = []
        for row, frame_mm in enumerate(depth_mm.numpy()):
            counts, unit_mm = counts_of_depth(frame_mm, depth_unit_mm or 1.0)
            center = None if center_mm is None else center_mm[row].numpy().tolist()
            rows.append(client.row(counts, intrinsics[row].numpy().tolist(), unit_mm, center))
        try:
            predictions = client.predict_rows(rows, client.signature_of(rows[0]))
        except ServerError as error:
            _give_up(url, error)
        return {name: tf.constant(np.stack([row[name] for row in predictions])) for name in predictions[0]}

    def joints_of_crop(image: tf.Tensor) -> tf.Tensor:
        rows = [{"image": crop} for crop in image.numpy().tolist()]
        predictions = client.predict_rows(rows, "from_crop")
        return tf.constant(np.stack([row["joints_norm"] for row in predictions]), tf.float32)

    info = ModelInfo(skeleton, _IMAGE_SIZE, _CUBE_MM[skeleton.name])
    return OpenModel("server", info, predict, joints_of_crop)


def counts_of_depth(depth_mm: np.ndarray, unit_mm: float) -> tuple[np.ndarray, float]:
    """Depth [H, W] as whole counts that fit 16 bits, and the mm of one count.

    `unit_mm` is kept where it loses nothing; else the farthest reading becomes the largest count.
    """
    counts = depth_mm.astype(np.float64) / unit_mm
    if np.abs(counts - np.rint(counts)).max() > 1e-3 or counts.max() > _MAX_COUNT:
        unit_mm = float(depth_mm.max()) / _MAX_COUNT
        counts = depth_mm.astype(np.float64) / unit_mm
    return np.rint(counts).astype(np.uint16), unit_mm


def _skeleton_of(metadata: dict[str, Any], url: str) -> Skeleton:
    """The skeleton with as many joints as the model gives."""
    try:
        outputs = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["outputs"]
        count = int(outputs["joints_mm"]["tensor_shape"]["dim"][1]["size"])
        return next(skeleton for skeleton in SKELETONS.values() if skeleton.num_joints == count)
    except (KeyError, IndexError, StopIteration):
        raise InputError(f"{url}: the model there gives no joints of a known skeleton; serve an exported run") from None


def _give_up(url: str, error: ServerError) -> NoReturn:
    if error.status == 0:
        raise InputError(f"{error.message}; start one with: python export/serve.py --model-dir DIR") from error
    raise InputError(f"{url}: the server answers {error.status}: {error.message}") from error
