"""The command `export/record.py`: from a camera that is plugged in into a folder that trains.

A line a second, and a picture, say what the finder sees. At the end stands what the recording is good for.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import math
import pathlib
import time
from collections.abc import Callable

from export.recorder.cameras import NOTHING_SAID, SOURCES, LiveCamera, Said, open_camera
from export.recorder.preview import Preview, find_window, preview_path
from export.recorder.verdict import Sightings, judge
from lsps_tf.commandline.parser import Parser
from lsps_tf.commandline.values import parse_numbers
from lsps_tf.datasets.own.camera_file import CAMERA_FILE
from lsps_tf.depth_files import counts_to_mm, write_depth_png16
from lsps_tf.distortion import undistort_depth
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.hand_predictor import HandPredictor
from lsps_tf.mirror import AUTO, HAND_SETTINGS

# Looking takes longer than a frame lasts; the frames between are recorded all the same.
_LOOK_EVERY_S, _SAY_EVERY_S = 0.2, 1.0
# Frames that wait for the disk; where it is slower than the camera, the camera waits.
_MOST_WAITING = 90


def record_command(
    arguments: list[str], open_it: Callable[[str | None, Said], LiveCamera] = open_camera, clock=time.monotonic
) -> int:
    """Runs `export/record.py` with its arguments and gives the exit status."""
    options = _build_parser().parse_args(arguments)
    for name in ("seconds", "countdown"):
        if getattr(options, name) < 0:
            raise InputError(f"--{name} {getattr(options, name):g}: give seconds, 0 or more")
    folder = options.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: something is there already; name a new folder")
    said, picture = _said(options), preview_path(folder, options.preview)
    from lsps_tf.models import load_predictor

    predictor = load_predictor(options.model, options.hand)
    camera = open_it(options.camera, said)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_camera_file(folder / CAMERA_FILE, camera, options.hand)
        print(f"{camera.name}, {camera.camera.width} x {camera.camera.height} pixels, into {folder}; Ctrl-C ends it")
        print(f"What is seen: {picture}")
        _count_down(camera, options.countdown, clock)
        preview = Preview(picture, predictor.skeleton, find_window())
        with contextlib.closing(preview):
            frames, seen = _record(camera, predictor, folder, options.seconds, clock, preview)
    finally:
        camera.close()
    if not frames:
        raise InputError(f"{folder}: no frame was recorded; record for longer than {options.seconds:g} s")
    print("\n".join(judge(seen, frames)))
    print(f"Train: python training/run.py --dataset frames --data-root {folder}")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "record.py",
        "Records a hand from a depth camera into a folder that trains. The cameras were tested through stand-ins of "
        "their makers' packages, and are untested on hardware.",
    )
    parser.add_argument("folder", type=pathlib.Path, metavar="FOLDER", help="a new one")
    parser.add_argument("--camera", choices=list(SOURCES), help="(default: the first that is found)")
    parser.add_argument("--hand", choices=HAND_SETTINGS, default=AUTO, help="which hand it will show (default: auto)")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="how long (default: 120)")
    parser.add_argument("--countdown", type=float, default=3.0, metavar="S", help="before it starts (default: 3)")
    parser.add_argument("--model", type=pathlib.Path, metavar="PATH", help="what sees the hand (default: the shipped)")
    parser.add_argument("--preview", type=pathlib.Path, metavar="FILE.png", help="default: .preview.png in FOLDER")
    plain = parser.add_argument_group("opencv", "What a camera does not say that is read as the system's video (UVC).")
    plain.add_argument("--number", type=int, metavar="N", help="which of the system's cameras (default: 0)")
    plain.add_argument("--intrinsics", metavar="fx,fy,cx,cy", help="focal lengths and principal point in pixels")
    plain.add_argument("--depth-unit", type=float, metavar="MM", help="what one count stands for")
    return parser


def _said(options: argparse.Namespace) -> Said:
    """What the options say of the camera; InputError where they say too little, or it says that itself."""
    given = {f"--{name}": getattr(options, name.replace("-", "_")) for name in ("number", "intrinsics", "depth-unit")}
    if options.camera is None or SOURCES[options.camera].names_itself:
        for option, value in given.items():
            if value is not None:
                raise InputError(f"{option} {value}: it is for --camera opencv; other cameras say it themselves")
        return NOTHING_SAID
    for option in ("--intrinsics", "--depth-unit"):
        if given[option] is None:
            raise InputError(f"--camera {options.camera}: {option} is missing, since such a camera does not say it")
    intrinsics = parse_numbers("--intrinsics", options.intrinsics, "fx,fy,cx,cy")
    if min(intrinsics[:2]) <= 0:
        raise InputError(f"--intrinsics {options.intrinsics}: fx and fy are pixels, more than 0")
    if not (math.isfinite(options.depth_unit) and options.depth_unit > 0):
        raise InputError(f"--depth-unit {options.depth_unit:g}: it is the mm that one count stands for, more than 0")
    if (options.number or 0) < 0:
        raise InputError(f"--number {options.number}: cameras are counted from 0")
    return Said(options.number or 0, intrinsics, options.depth_unit)


def _write_camera_file(path: pathlib.Path, camera: LiveCamera, hand: str) -> None:
    numbers = {name: getattr(camera.camera, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}
    lines = [f"# {camera.name}; the lens' distortion is undone in the frames"]
    lines += [f"{name} = {value}" for name, value in {**numbers, "depth_unit_mm": camera.depth_unit_mm}.items()]
    with atomic_path(path) as partial:
        partial.write_text("\n".join([*lines, f'hand = "{hand}"']) + "\n", encoding="utf-8")


def _count_down(camera: LiveCamera, seconds: float, clock: Callable[[], float]) -> None:
    """The frames of the countdown are read, so that the camera's exposure has settled after it."""
    end, said = clock() + seconds, None
    while (left := end - clock()) > 0:
        camera.read()
        if math.ceil(left) != said:
            said = math.ceil(left)
            print(f"{said} ...", flush=True)


def _record(
    camera: LiveCamera,
    predictor: HandPredictor,
    folder: pathlib.Path,
    seconds: float,
    clock: Callable[[], float],
    preview: Preview,
) -> tuple[int, Sightings]:
    """Records until the time is over or Ctrl-C; how many frames, and what was seen in some of them."""
    seen, frames, waiting = Sightings(), 0, []
    start = look_at = say_at = clock()
    with concurrent.futures.ThreadPoolExecutor(1) as disk:
        try:
            while clock() - start < seconds:
                counts = undistort_depth(camera.read(), camera.camera, camera.distortion)
                waiting.append(disk.submit(write_depth_png16, folder / f"{frames:06d}.png", counts))
                frames += 1
                if len(waiting) > _MOST_WAITING:
                    waiting.pop(0).result()
                now = clock()
                if now >= look_at:
                    depth_mm = counts_to_mm(counts, camera.depth_unit_mm)
                    hand = predictor(depth_mm, camera.camera)
                    text = seen.add(hand, camera.camera)
                    preview.show(depth_mm, hand)
                    look_at = now + _LOOK_EVERY_S
                    if now >= say_at:
                        print(f"{now - start:5.0f} s  {frames:6d} frames  {text}", flush=True)
                        say_at = now + _SAY_EVERY_S
        except KeyboardInterrupt:
            # This is how a recording may end; what was taken is kept.
            pass
        for write in waiting:
            write.result()
    return frames, seen
