"""Options that commands share: how a frame came to be, and which joints are asked for."""

from __future__ import annotations

import argparse

from lsps_tf.camera import CAMERAS
from lsps_tf.mirror import SIDES
from lsps_tf.rotation import ROTATIONS


def add_frame_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `predict.py` and `edge.py` ask of a frame: camera, unit, hand, turn, joints."""
    names = "|".join(CAMERAS)
    parser.add_argument(
        "--camera", default="nyu", metavar=f"{names}|fx,fy,cx,cy", help="what made the frame, in pixels (default: nyu)"
    )
    parser.add_argument("--depth-unit", type=float, metavar="MM", help="mm that one count stands for (default: 1)")
    parser.add_argument("--hand", choices=SIDES, default="right", help="which hand it shows (default: right)")
    parser.add_argument(
        "--rotate",
        type=int,
        choices=ROTATIONS,
        default=0,
        help="degrees clockwise that turn the frames upright, for a camera that hangs or lies on its side (default: 0)",
    )
    parser.add_argument(
        "--joints",
        type=int,
        choices=(21,),
        help="the 21 joints of MANO, MediaPipe and FreiHAND (default: all that the model has)",
    )
