"""The command `export/edge.py`: frames to a line of JSON each, joints in camera space (mm) and in the frame's pixels.

The frames are files, a folder that a recorder writes to, or a stream of raw frames on standard input.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from export.device import sources
from export.device.live_background import LiveBackground
from export.device.sources import Frame
from lsps_tf.camera import CAMERAS, Camera
from lsps_tf.camera_files import CameraSettings
from lsps_tf.commandline.options import DEFAULT_CAMERA, FRAME_HELP, FrameOptions, add_frame_options
from lsps_tf.commandline.parser import Parser
from lsps_tf.device.predictor import EdgePredictor
from lsps_tf.device.tracking import HandTracker, OneEuroFilter
from lsps_tf.errors import InputError
from lsps_tf.hand import Hand
from lsps_tf.recordings.opening import is_recording


def edge_command(arguments: list[str]) -> int:
    """Runs `export/edge.py` with its arguments and gives the exit status."""
    options = _build_parser().parse_args(arguments)
    _check(options)
    asked = FrameOptions.of(options)
    predictor = EdgePredictor(
        options.model, options.threads, asked.hand, options.joints, asked.rotation_degrees, options.hands
    )
    write = _writer(options.json)
    if options.frame:
        return _predict_files(predictor, options, asked, write)
    try:
        _follow(predictor, options, asked, write)
    except KeyboardInterrupt:
        # This is how a live loop ends.
        return 0
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser("edge.py", "Hand pose on an edge device, with NumPy and ai-edge-litert alone.")
    parser.add_argument("--model", type=pathlib.Path, required=True, metavar="FILE.tflite", help="from export/run.py")
    parser.add_argument(
        "frame",
        nargs="*",
        type=pathlib.Path,
        metavar="FRAME",
        help=FRAME_HELP,
    )
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        metavar="DIR|FILE",
        help="follow the hands through the frames in DIR, or through a recording, all of its frames",
    )
    parser.add_argument("--stdin", action="store_true", help="or through raw 16-bit little-endian frames")
    parser.add_argument("--size", metavar="WxH", help="pixels of the stream's frames (default: the camera's)")
    parser.add_argument("--every-frame", action="store_true", help="take all, in order; default: the latest, live")
    parser.add_argument("--fps", type=float, default=30.0, metavar="N", help="of --every-frame (default: 30)")
    parser.add_argument("--no-smoothing", action="store_true", help="joints as they are predicted")
    parser.add_argument(
        "--background",
        metavar="SECONDS|FILE",
        help="of a camera that stands still: take away what stands still, learned from so many seconds at the start, "
        "with the hand out of view or moving, or kept in FILE",
    )
    add_frame_options(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the network (default: 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after N frames")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="add the lines to FILE (default: print them)")
    return parser


def _check(options: argparse.Namespace) -> None:
    given = sum((bool(options.frame), options.folder is not None, options.stdin))
    if given != 1:
        raise InputError(f"give frames, or --folder, or --stdin: one of them, not {given}; see edge.py --help")
    if options.frame and options.background is not None:
        raise InputError("--background: single frames do not say what stands still; give it with --folder or --stdin")
    if not options.fps > 0:
        raise InputError(f"--fps {options.fps:g}: give the frames per second, more than 0")
    for name in ("threads", "limit", "hands"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: at least 1 is needed")


def _predict_files(
    predictor: EdgePredictor, options: argparse.Namespace, asked: FrameOptions, write: Callable[[dict], None]
) -> int:
    for path in options.frame[: options.limit]:
        depth_mm, camera = asked.read(path)
        started = time.perf_counter()
        hands = predictor.hands_in(depth_mm, camera)
        if not hands:
            raise InputError(
                f"{path}: no hand was found; it must be what is nearest to the camera, and --camera and --depth-unit "
                "must be right"
            )
        write(_line(Frame(str(path), depth_mm, 0.0), hands, started, predictor))
        if predictor.hands == 1:
            _warn_of_others(path, predictor.count_hands(depth_mm, camera))
    return 0


def _follow(
    predictor: EdgePredictor, options: argparse.Namespace, asked: FrameOptions, write: Callable[[dict], None]
) -> None:
    smoothing = None if options.no_smoothing else OneEuroFilter()
    tracker, used, warned = None, None, False
    still = None if options.background is None else LiveBackground(options.background, asked.rotation_degrees)
    # A recording is worked on to its end; a live loop that cannot start says so at once.
    patient = options.folder is not None and (options.every_frame or is_recording(options.folder))
    for number, (frame, camera) in enumerate(_usable(*_frames(options, asked), patient), start=1):
        if camera != used:
            tracker, used = HandTracker(predictor, camera, smoothing), camera
        started = time.perf_counter()
        depth_mm = asked.prepared(frame.depth_mm)
        if still is not None:
            depth_mm = still(depth_mm, frame.time_s)
        hands = tracker.hands_in(depth_mm, frame.time_s)
        write(_line(frame, hands, started, predictor))
        if predictor.hands == 1 and not warned:
            warned = _warn_of_others(frame.name, tracker.seen)
        if number == options.limit:
            return


def _frames(
    options: argparse.Namespace, asked: FrameOptions
) -> tuple[Iterable[Frame | InputError], Callable[[Frame], Camera]]:
    """The frames, and what tells the camera of one."""
    if options.folder is not None and is_recording(options.folder):
        recording = asked.open(options.folder)
        return sources.frames_of_recording(recording), lambda frame: recording.camera
    return _plain_frames(options, asked), lambda frame: asked.camera_of(frame.name, *frame.depth_mm.shape)


def _plain_frames(options: argparse.Namespace, asked: FrameOptions) -> Iterable[Frame | InputError]:
    if options.folder is not None:
        if options.every_frame:
            return sources.recorded_frames(options.folder, asked.depth_unit_mm, options.fps)
        return sources.live_frames(options.folder, asked.depth_unit_mm)
    width, height = _stream_size(options, asked)
    unit_mm = 1.0 if asked.depth_unit_mm is None else asked.depth_unit_mm
    if not unit_mm > 0:
        raise InputError(f"--depth-unit: {unit_mm:g} is no unit; give the mm that one count stands for, more than 0")
    if options.every_frame:
        return sources.every_frame(sys.stdin.buffer, width, height, unit_mm, options.fps)
    return sources.latest_frames(sys.stdin.buffer, width, height, unit_mm)


def _usable(
    frames: Iterable[Frame | InputError], camera_of: Callable[[Frame], Camera], patient: bool
) -> Iterator[tuple[Frame, Camera]]:
    """The frames and their cameras; what cannot be read, or is another camera's, is said and passed over.

    Raises:
        InputError: at the end where no frame could be used; without patience where the first is another camera's.
    """
    count, failed = 0, None
    for frame in frames:
        try:
            if isinstance(frame, InputError):
                raise frame
            camera = camera_of(frame)
        except InputError as error:
            if not (patient or count or error is frame):
                raise
            print(f"warning: {error}", file=sys.stderr)
            failed = error
        else:
            count += 1
            yield frame, camera
    if failed is not None and not count:
        raise InputError("no frame could be used; the warnings say why") from failed


def _stream_size(options: argparse.Namespace, asked: FrameOptions) -> tuple[int, int]:
    named: Camera | CameraSettings | None = asked.file or CAMERAS.get(
        (options.camera or DEFAULT_CAMERA).strip().lower()
    )
    if options.size is None:
        if named is None or not named.width * named.height:
            raise InputError("--stdin: raw frames do not say how large they are; give --size WIDTHxHEIGHT")
        return named.width, named.height
    width, _, height = options.size.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and 0 < int(width) * int(height) <= 64_000_000):
        raise InputError(f"--size: '{options.size}' is not WIDTHxHEIGHT in pixels, such as 640x480")
    return int(width), int(height)


def _writer(path: pathlib.Path | None) -> Callable[[dict[str, Any]], None]:
    if path is None:
        return lambda line: print(json.dumps(line), flush=True)
    try:
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
    return lambda line: file.write(json.dumps(line) + "\n")


def _warn_of_others(frame: str | pathlib.Path, seen: int) -> bool:
    """Says that a frame shows more hands than the one that is asked for; whether it does."""
    if seen > 1:
        print(f"warning: {frame}: {seen} hands are seen, and one is taken; --hands {seen} gives all", file=sys.stderr)
    return seen > 1


def _line(frame: Frame, hands: list[Hand], started: float, predictor: EdgePredictor) -> dict[str, Any]:
    """What a line says: of one hand in the line itself, of several in a list."""
    each = [hand.to_dict() for hand in hands]
    return {
        "frame": frame.name,
        "time_s": round(frame.time_s, 4),
        "passed_over": frame.passed_over,
        "milliseconds": round(1000 * (time.perf_counter() - started), 2),
        "skeleton": predictor.skeleton.name,
        "presence": bool(hands),
        **({"hands": each} if predictor.hands > 1 else each[0] if each else {}),
    }
