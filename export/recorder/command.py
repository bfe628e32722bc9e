"""The command `export/record.py`: from a camera that is plugged in into a folder that trains.

A line a second says what the finder sees. At the end stands what the recording is good for.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import math
import pathlib
import time
from collections.abc import Callable

import numpy as np

from export.recorder.cameras import CAMERAS, LiveCamera, open_camera
from export.recorder.verdict import Sightings, judge
from lsps_tf.commandline.parser import Parser
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, HAND_SETTINGS
from lsps_tf.depth_files import counts_to_mm, write_depth_png16
from lsps_tf.distortion import undistort_depth
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.hand_predictor import HandPredictor

# Looking takes longer than a frame lasts; the frames between are recorded all the same.
_LOOK_EVERY_S, _SAY_EVERY_S = 0.2, 1.0
# Frames that wait for the disk; where it is slower than the camera, the camera waits.
_MOST_WAITING = 90


def record_command(
    arguments: list[str], open_it: Callable[[str | None], LiveCamera] = open_camera, clock=time.monotonic
) -> int:
    """Runs `export/record.py` with its arguments and gives the exit status."""
    options = _build_parser().parse_args(arguments)
    for name in ("seconds", "countdown"):
        if getattr(options, name) < 0:
            raise InputError(f"--{name} {getattr(options, name):g}: give seconds, 0 or more")
    folder = options.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: something is there already; name a new folder")
    from lsps_tf.models import load_predictor

    predictor = load_predictor(options.model, "left" if options.hand == "left" else "right")
    camera = open_it(options.camera)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_camera_file(folder / CAMERA_FILE, camera, options.hand)
        print(f"{camera.name}, {camera.camera.width} x {camera.camera.height} pixels, into {folder}; Ctrl-C ends it")
        _count_down(camera, options.countdown, clock)
        frames, seen = _record(camera, predictor, folder, options.seconds, clock)
    finally:
        camera.close()
    if not frames:
        raise InputError(f"{folder}: no frame was recorded; record for longer than {options.seconds:g} s")
    print("\n".join(judge(seen, frames)))
    print(f"Train: python training/run.py --dataset frames --data-root {folder}")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser("record.py", "Records a hand from a depth camera into a folder that trains.")
    parser.add_argument("folder", type=pathlib.Path, metavar="FOLDER", help="a new one")
    parser.add_argument("--camera", choices=list(CAMERAS), help="(default: the first that is found)")
    parser.add_argument("--hand", choices=HAND_SETTINGS, required=True, help="which hand it will show")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="how long (default: 120)")
    parser.add_argument("--countdown", type=float, default=3.0, metavar="S", help="before it starts (default: 3)")
    parser.add_argument("--model", type=pathlib.Path, metavar="PATH", help="what sees the hand (default: the shipped)")
    return parser


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
    camera: LiveCamera, predictor: HandPredictor, folder: pathlib.Path, seconds: float, clock: Callable[[], float]
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
                    text = _look(camera, predictor, counts, seen)
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


def _look(camera: LiveCamera, predictor: HandPredictor, counts: np.ndarray, seen: Sightings) -> str:
    return seen.add(predictor(counts_to_mm(counts, camera.depth_unit_mm), camera.camera), camera.camera)
