"""A model behind a server, opened like one on the disk. Needs no TensorFlow."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from export.client import DEFAULT_SIGNATURE, HANDS_SIGNATURE, HINTED_SIGNATURE, Client, ServerError
from lsps_tf.errors import InputError
from lsps_tf.hand import Hand
from lsps_tf.hand_predictor import OpenModel, View
from lsps_tf.mirror import AUTO
from lsps_tf.model_info import ModelInfo
from lsps_tf.models import hands_of_outputs
from lsps_tf.skeleton import SKELETONS, Skeleton

# 65535, the last count of 16 bits, is no reading for many cameras, and so for this program.
_MAX_COUNT = 65534
# Models that were exported before they said their cube have one of at most this side. It only decides how far around a
# hand is looked.
_LARGEST_CUBE_MM = 300.0
_IMAGE_SIZE = 64
# What is sent to learn the cube: a frame without a reading.
_EMPTY_PX = 32


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
        outputs = _outputs_of(client.metadata(), url)
        hands = _most_hands(client.outputs(HANDS_SIGNATURE))
        info = ModelInfo(_skeleton_of(outputs, url), _IMAGE_SIZE, _cube_mm(client, outputs), hands=hands)
    except ServerError as error:
        _give_up(url, error)

    def predict(view: View) -> list[Hand]:
        counts, unit_mm = counts_of_depth(view.depth_mm, depth_unit_mm or 1.0)
        frame = counts, view.camera.intrinsics.tolist(), unit_mm
        try:
            if view.hands > 1:
                rows = client.predict_hands(*frame, view.side)[: view.hands]
            else:
                center_mm = None if view.center_mm is None else view.center_mm.tolist()
                rows = [client.predict(*frame, center_mm, **_side(view, outputs, client))]
        except ServerError as error:
            _give_up(url, error)
        # A model that tells no sides knows right hands alone, or was told the side.
        told = {"hand": "left" if view.side == "left" else "right", "right_logit": 0.0}
        return [hand for row in rows for hand in hands_of_outputs({**told, **row}, info)]

    def joints_of_crop(images: np.ndarray) -> np.ndarray:
        predictions = client.predict_rows([{"image": image} for image in images.tolist()], "from_crop")
        return np.stack([row["joints_norm"] for row in predictions]).astype(np.float32)

    return OpenModel("server", url, info, predict, joints_of_crop)


def counts_of_depth(depth_mm: np.ndarray, unit_mm: float) -> tuple[np.ndarray, float]:
    """Depth [H, W] as whole counts that fit 16 bits, and the mm of one count.

    `unit_mm` is kept where it loses nothing; else the farthest reading becomes the largest count.
    """
    counts = depth_mm.astype(np.float64) / unit_mm
    if np.abs(counts - np.rint(counts)).max() > 1e-3 or counts.max() > _MAX_COUNT:
        unit_mm = float(depth_mm.max()) / _MAX_COUNT
        counts = depth_mm.astype(np.float64) / unit_mm
    # Turned frames are views whose rows are not one after the other.
    return np.ascontiguousarray(np.rint(counts), np.uint16), unit_mm


def _outputs_of(metadata: dict[str, Any], url: str) -> dict[str, Any]:
    """The outputs that the metadata declares, by name."""
    try:
        return metadata["metadata"]["signature_def"]["signature_def"][DEFAULT_SIGNATURE]["outputs"]
    except (KeyError, TypeError):
        raise InputError(f"{url}: the model there has no '{DEFAULT_SIGNATURE}'; serve an exported run") from None


def _side(view: View, outputs: dict[str, Any], client: Client) -> dict[str, str]:
    """The side as an input of the model, where it takes one."""
    if client.inputs(HINTED_SIGNATURE):
        return {"hand": view.side} if "hand" in outputs or view.side != AUTO else {}
    if view.side == "left":
        raise InputError(f"{client.url}: the model there knows right hands alone; leave --hand out, or export it again")
    return {}


def _most_hands(outputs: dict[str, Any]) -> int:
    """How many hands a model finds in a frame, which the shape of its output for several says."""
    try:
        return int(outputs["presence"]["tensor_shape"]["dim"][1]["size"])
    except (KeyError, IndexError):
        return 1


def _skeleton_of(outputs: dict[str, Any], url: str) -> Skeleton:
    """The skeleton with as many joints as the model gives."""
    try:
        count = int(outputs["joints_mm"]["tensor_shape"]["dim"][1]["size"])
        return next(skeleton for skeleton in SKELETONS.values() if skeleton.num_joints == count)
    except (KeyError, IndexError, StopIteration):
        raise InputError(f"{url}: the model there gives no joints of a known skeleton; serve an exported run") from None


def _cube_mm(client: Client, outputs: dict[str, Any]) -> float:
    """The side of the model's cube, which it says with every answer."""
    if "cube_mm" not in outputs:
        return _LARGEST_CUBE_MM
    empty = np.zeros((_EMPTY_PX, _EMPTY_PX), np.uint16)
    middle = 0.5 * (_EMPTY_PX - 1)
    return float(client.predict(empty, [_EMPTY_PX, _EMPTY_PX, middle, middle])["cube_mm"])


def _give_up(url: str, error: ServerError) -> NoReturn:
    if error.status == 0:
        raise InputError(f"{error.message}; start one with: python export/serve.py --model-dir DIR") from error
    raise InputError(f"{url}: the server answers {error.status}: {error.message}") from error
