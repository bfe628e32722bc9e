"""The command `export/predict.py`: one depth frame to the joints of the hand, or the hands, that it shows.

What costs time to import stands in the functions that need it: an answer takes a second, and `--help` less.
"""

from __future__ import annotations

import argparse
import math
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lsps_tf.commandline.options import FRAME_HELP, FrameOptions, add_frame_options
from lsps_tf.commandline.parser import Parser
from lsps_tf.errors import InputError
from lsps_tf.mirror import AUTO

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from lsps_tf.camera import Camera
    from lsps_tf.hand import Hand
    from lsps_tf.hand_predictor import HandPredictor, OpenModel

SHIPPED_NAME = "model that comes with the program, trained on the simulator alone (its card: lsps_tf/trained/README.md)"
# Around the cube, so that the overlay shows what the hand belongs to.
_OVERLAY_MARGIN = 1.25


def predict_command(arguments: list[str]) -> int:
    """Runs `export/predict.py` with its arguments and gives the exit status."""
    options = _build_parser().parse_args(arguments)
    if options.overlay is not None and options.overlay.suffix.lower() != ".png":
        raise InputError(f"{options.overlay}: the overlay is a PNG; give a name that ends in .png")
    from lsps_tf.commandline.values import parse_center
    from lsps_tf.files import write_json
    from lsps_tf.hand_predictor import HandPredictor
    from lsps_tf.refining import refining

    asked = FrameOptions.of(options)
    depth_mm, camera = asked.read(options.frame)
    model = _open_model(options, asked.depth_unit_mm)
    if options.refine:
        model = refining(model)
    predictor = HandPredictor(model, asked.hand, options.joints, asked.rotation_degrees, options.hands)
    center_mm = None if options.center is None else parse_center(options.center, camera, model.info.cube_mm)
    hands = predict_frame(predictor, depth_mm, camera, center_mm, options.frame)
    source = SHIPPED_NAME if options.model is None and options.url is None else model.name
    for hand in hands:
        print(f"{options.frame}: {_described(hand)}, by the {model.kind} {source}")
    for line in _remarks(predictor, hands, None if center_mm is not None else predictor.count_hands(depth_mm, camera)):
        print(line)
    if options.json is None:
        print("\n\n".join(_table(hand) for hand in hands))
    else:
        write_json(options.json, frame_values(hands, options.hands, options.frame))
        print(f"Joints: {options.json}")
    if options.overlay is not None:
        _save(draw_hands(depth_mm, hands, camera, model.info.cube_mm), options.overlay)
        print(f"Overlay: {options.overlay}")
    return 0


def predict_frame(
    predictor: HandPredictor,
    depth_mm: np.ndarray,
    camera: Camera,
    center_mm: tuple[float, float, float] | None = None,
    frame: str | pathlib.Path = "frame",
) -> list[Hand]:
    """Predicts the hands of one frame, the nearest first; at least one.

    Args:
        predictor: from `lsps_tf.load_predictor`.
        depth_mm: [H, W], 0 = no reading.
        camera: that made the frame.
        center_mm: where the hand is, camera space; None finds it.
        frame: what messages call the frame.

    Raises:
        InputError: where the frame shows no hand, or nothing at the given centre.
    """
    hands = predictor.hands_in(depth_mm, camera, center_mm)
    if not hands and center_mm is not None:
        raise InputError(f"{frame}: nothing was measured around the given center {center_mm} mm; leave --center out")
    if not hands:
        raise InputError(
            f"{frame}: no hand was found; it must be what is nearest to the camera, and --camera and --depth-unit "
            "must be right; or give --center x,y,z"
        )
    return hands


def frame_values(hands: list[Hand], asked: int, frame: str | pathlib.Path) -> dict[str, Any]:
    """What `--json` writes of a frame's hands: of one in the object itself, of several that are asked for in a list."""
    names = {"skeleton": hands[0].skeleton.name, "joint_names": list(hands[0].joint_names)}
    values = {"hands": [hand.to_dict() for hand in hands]} if asked > 1 else hands[0].to_dict()
    return {"frame": str(frame), **names, **values}


def draw_hands(depth_mm: np.ndarray, hands: list[Hand], camera: Camera, cube_mm: float) -> Image.Image:
    """The skeletons over the part of the frame [H, W] that holds the hands' cubes of side `cube_mm`."""
    from lsps_tf import draw

    windows = [_window(hand, camera, cube_mm) for hand in hands]
    left, top = (min(window[number] for window in windows) for number in (0, 1))
    right, bottom = (max(window[number] for window in windows) for number in (2, 3))
    part_mm, joints_uv = depth_mm[top:bottom, left:right], [hand.joints_uvd[:, :2] - [left, top] for hand in hands]
    if len(hands) == 1:
        return draw.overlay(part_mm, joints_uv[0], hands[0].skeleton)
    return draw.overlay_hands(part_mm, joints_uv, [hand.side for hand in hands], hands[0].skeleton)


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser("predict.py", "Predicts the joints of the hand, or the hands, in a depth frame.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--model",
        type=pathlib.Path,
        metavar="PATH",
        help="SavedModel folder, .tflite or run folder (default: the trained model that comes with the program)",
    )
    source.add_argument("--url", metavar="URL", help="a server: http://HOST:PORT[/v1/models/NAME]")
    parser.add_argument(
        "--expect", metavar="HASH", help="refuse a model with another hash; export/run.py writes it into manifest.json"
    )
    parser.add_argument(
        "frame",
        type=pathlib.Path,
        metavar="FRAME",
        help=FRAME_HELP,
    )
    add_frame_options(parser)
    parser.add_argument("--center", metavar="x,y,z", help="the hand's center in mm, camera space (default: found)")
    parser.add_argument(
        "--refine", action="store_true", help="fit the hand to the frame: some 50 ms more, and needs TensorFlow"
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the joints")
    parser.add_argument("--overlay", type=pathlib.Path, metavar="FILE.png", help="draw the joints over the depth")
    return parser


def _open_model(options: argparse.Namespace, depth_unit_mm: float | None) -> OpenModel:
    from lsps_tf.model_manifest import parse_hash

    expected = () if options.expect is None else (parse_hash(options.expect),)
    if options.url is not None:
        if expected:
            raise InputError("--expect: what a server runs is not seen from here; give it to serve.py, or leave it out")
        from export.remote import open_remote

        return open_remote(options.url, depth_unit_mm)
    from lsps_tf.models import open_model

    return open_model(options.model, expected=expected)


def _save(picture: Image.Image, path: pathlib.Path) -> None:
    from lsps_tf.files import atomic_path

    with atomic_path(path) as partial:
        picture.save(partial, format="PNG")


def _window(hand: Hand, camera: Camera, cube_mm: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that hold a hand's cube."""
    x, y, z = hand.center_mm
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    reach = 0.5 * _OVERLAY_MARGIN * cube_mm / z
    left, right = _pixels(u, reach * camera.fx, camera.width)
    top, bottom = _pixels(v, reach * camera.fy, camera.height)
    return left, top, right, bottom


def _pixels(middle: float, reach: float, count: int) -> tuple[int, int]:
    first = min(max(0, math.floor(middle - reach)), count - 1)
    return first, max(first + 1, min(count, math.ceil(middle + reach) + 1))


def _described(hand: Hand) -> str:
    x, y, z = hand.center_mm
    return f"a {hand.side} hand around ({x:.0f}, {y:.0f}, {z:.0f}) mm"


def _remarks(predictor: HandPredictor, hands: list[Hand], seen: int | None) -> Iterator[str]:
    """What a user should know: hands that were not asked for, and sides that one frame does not tell."""
    from lsps_tf.hand import SURE_SIDE

    if seen is not None and seen > len(hands) and len(hands) == predictor.hands:
        nearest = "this is the nearest" if len(hands) == 1 else "these are the nearest"
        yield f"{seen} hands are seen, and {nearest}; --hands {seen} gives all"
    unsure = sum(abs(hand.right_logit) < SURE_SIDE for hand in hands) if predictor.hand == AUTO else 0
    if unsure:
        whose = "its side" if len(hands) == 1 else f"the side of {unsure} of them"
        yield f"One frame does not tell {whose} well; --hand right or --hand left says it"


def _table(hand: Hand) -> str:
    from tabulate import tabulate

    rows = [[name, *joint] for name, joint in zip(hand.joint_names, hand.joints_mm)]
    return tabulate(rows, headers=[f"{hand.side} hand", "x (mm)", "y (mm)", "z (mm)"], floatfmt=".1f")
