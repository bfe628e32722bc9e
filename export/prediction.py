"""The command `export/predict.py`: one depth frame to the joints of the hand that it shows."""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tabulate import tabulate

from export.remote import open_remote
from lsps_tf import crop, draw, mirror
from lsps_tf.camera import CAMERAS, Camera
from lsps_tf.commandline.parser import Parser
from lsps_tf.commandline.values import parse_camera, parse_center
from lsps_tf.depth_files import read_depth
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, write_json
from lsps_tf.models import OpenModel, open_model
from lsps_tf.run_folder import SHIPPED
from lsps_tf.skeleton import Skeleton

SHIPPED_NAME = "that comes with the program, trained on the simulator alone (its card: lsps_tf/trained/README.md)"
# Around the cube, so that the overlay shows what the hand belongs to.
_OVERLAY_MARGIN = 1.25


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One hand in camera space.

    Attributes:
        joints_mm: [J, 3], x right, y down, z forward.
        joints_uvd: [J, 3], pixels, pixels, mm.
        center_mm: [3], the middle of the hand's cube.
        skeleton: of the joints.
    """

    joints_mm: np.ndarray
    joints_uvd: np.ndarray
    center_mm: np.ndarray
    skeleton: Skeleton

    def to_dict(self, frame: str | pathlib.Path) -> dict[str, Any]:
        """What `--json` writes; lengths in mm, to a thousandth."""
        return {
            "frame": str(frame),
            "skeleton": self.skeleton.name,
            "joint_names": list(self.skeleton.joint_names),
            "center_mm": _rounded(self.center_mm),
            "joints_mm": _rounded(self.joints_mm),
            "joints_uvd": _rounded(self.joints_uvd),
        }


def predict_command(arguments: list[str]) -> int:
    """Runs `export/predict.py` with its arguments and gives the exit status."""
    options = _build_parser().parse_args(arguments)
    if options.overlay is not None and options.overlay.suffix.lower() != ".png":
        raise InputError(f"{options.overlay}: the overlay is a PNG; give a name that ends in .png")
    depth_mm = read_depth(options.frame, options.depth_unit)
    camera = parse_camera(options.camera, options.frame, *depth_mm.shape)
    model = (
        open_model(options.model or SHIPPED) if options.url is None else open_remote(options.url, options.depth_unit)
    )
    center_mm = None if options.center is None else parse_center(options.center, camera, model.info.cube_mm)
    prediction = predict_frame(model, depth_mm, camera, center_mm, options.frame, options.hand)
    x, y, z = prediction.center_mm
    source = options.model or options.url or SHIPPED_NAME
    print(f"{options.frame}: a hand around ({x:.0f}, {y:.0f}, {z:.0f}) mm, by the {model.kind} {source}")
    if options.json is None:
        print(_table(prediction))
    else:
        write_json(options.json, prediction.to_dict(options.frame))
        print(f"Joints: {options.json}")
    if options.overlay is not None:
        picture = draw_prediction(depth_mm, prediction, camera, model.info.cube_mm)
        with atomic_path(options.overlay) as partial:
            picture.save(partial, format="PNG")
        print(f"Overlay: {options.overlay}")
    return 0


def predict_frame(
    model: OpenModel,
    depth_mm: np.ndarray,
    camera: Camera,
    center_mm: tuple[float, float, float] | None = None,
    frame: str | pathlib.Path = "frame",
    hand: str = "right",
) -> Prediction:
    """Predicts the hand of one frame.

    Models know right hands; a left one is shown to them in a mirror, and what they say is mirrored back.

    Args:
        model: from `lsps_tf.models.open_model`.
        depth_mm: float32 [H, W], 0 = no reading.
        camera: that made the frame.
        center_mm: where the hand is, camera space; None finds it.
        frame: what messages call the frame.
        hand: "right" or "left".

    Raises:
        InputError: where the frame shows no hand, or nothing at the given centre.
    """
    left = hand == "left"
    seen_mm, seen_by = (mirror.mirror_depth(depth_mm), mirror.mirror_camera(camera)) if left else (depth_mm, camera)
    depth = tf.constant(seen_mm[None], tf.float32)
    intrinsics = tf.constant(seen_by.intrinsics[None])
    center = None if center_mm is None else tf.constant([center_mm], tf.float32)
    if center is not None and left:
        center = mirror.mirror_points(center)
    if center is not None and not _any_reading(depth, intrinsics, center, model):
        raise InputError(f"{frame}: nothing was measured around the given center {center_mm} mm; leave --center out")
    outputs = {name: value.numpy()[0] for name, value in model.predict(depth, intrinsics, center).items()}
    if not outputs["presence"]:
        raise InputError(
            f"{frame}: no hand was found; it must be what is nearest to the camera, and --camera and --depth-unit "
            "must be right; or give --center x,y,z"
        )
    if left:
        points = {name: mirror.mirror_points(outputs[name]) for name in ("joints_mm", "center_mm")}
        outputs = {**outputs, **points, "joints_uvd": mirror.mirror_uvd(outputs["joints_uvd"], camera.width)}
    return Prediction(outputs["joints_mm"], outputs["joints_uvd"], outputs["center_mm"], model.info.skeleton)


def draw_prediction(depth_mm: np.ndarray, prediction: Prediction, camera: Camera, cube_mm: float) -> Image.Image:
    """The skeleton over the part of the frame [H, W] that holds the hand's cube of side `cube_mm`."""
    x, y, z = prediction.center_mm
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    reach = 0.5 * _OVERLAY_MARGIN * cube_mm / z
    left, right = _window(u, reach * camera.fx, camera.width)
    top, bottom = _window(v, reach * camera.fy, camera.height)
    window_mm = depth_mm[top:bottom, left:right]
    return draw.overlay(window_mm, prediction.joints_uvd[:, :2] - [left, top], prediction.skeleton)


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser("predict.py", "Predicts the joints of the hand in a depth frame.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--model",
        type=pathlib.Path,
        metavar="PATH",
        help="SavedModel folder, .tflite or run folder (default: the trained model that comes with the program)",
    )
    source.add_argument("--url", metavar="URL", help="a server: http://HOST:PORT[/v1/models/NAME]")
    parser.add_argument("frame", type=pathlib.Path, metavar="FRAME", help="16-bit PNG, NYU-encoded PNG, or .npy")
    names = "|".join(CAMERAS)
    parser.add_argument(
        "--camera", default="nyu", metavar=f"{names}|fx,fy,cx,cy", help="what made the frame, in pixels (default: nyu)"
    )
    parser.add_argument("--depth-unit", type=float, metavar="MM", help="mm that one count stands for (default: 1)")
    parser.add_argument("--hand", choices=mirror.HANDS, default="right", help="which hand it shows (default: right)")
    parser.add_argument("--center", metavar="x,y,z", help="the hand's center in mm, camera space (default: found)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the joints")
    parser.add_argument("--overlay", type=pathlib.Path, metavar="FILE.png", help="draw the joints over the depth")
    return parser


def _any_reading(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor, model: OpenModel) -> bool:
    cube_mm = model.info.cube_mm
    cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, cube_mm, model.info.image_size)
    return bool(tf.reduce_any(crop.normalize_depth(cropped_mm, center_mm, cube_mm) < 1.0))


def _window(middle: float, reach: float, count: int) -> tuple[int, int]:
    first = min(max(0, math.floor(middle - reach)), count - 1)
    return first, max(first + 1, min(count, math.ceil(middle + reach) + 1))


def _table(prediction: Prediction) -> str:
    rows = [[name, *joint] for name, joint in zip(prediction.skeleton.joint_names, prediction.joints_mm)]
    return tabulate(rows, headers=["joint", "x (mm)", "y (mm)", "z (mm)"], floatfmt=".1f")


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(np.float64), 3).tolist()
