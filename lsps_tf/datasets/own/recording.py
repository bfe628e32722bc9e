"""One's own depth frames into the store: the hand found in every frame, cropped, mirrored where it is a left hand.

All frames without a label, and the labelled ones that are to train on, are "real/train"; the others are
"real/validation" and "real/test". Of long recordings a part without labels is "real/held-out". "synthetic/train" comes
from the simulator, so that one store serves a training.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from lsps_tf.datasets.frame_sources import FrameSource
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.own import hands as finding
from lsps_tf.datasets.own.backgrounds import learn_backgrounds
from lsps_tf.datasets.own.camera_file import CAMERA_FILE
from lsps_tf.datasets.own.files import SHARED_READER
from lsps_tf.datasets.own.folders import beside
from lsps_tf.datasets.own.frame_folder import FrameFolder
from lsps_tf.datasets.own.hands import FoundHands
from lsps_tf.datasets.own.labels import JOINTS_FILE, PARTS, misplaced_labels
from lsps_tf.datasets.own.sampled import check_unit
from lsps_tf.datasets.own.sides import decide_sides, doubtful_sides
from lsps_tf.datasets.own.source import OwnSource
from lsps_tf.datasets.simulated import SimulatedSource
from lsps_tf.datasets.simulator import VERSIONS, Simulation
from lsps_tf.errors import InputError
from lsps_tf.jobs import HERE, Workers
from lsps_tf.rotation import opposite, rotate_camera
from lsps_tf.simulation.sensor import ALL_SENSORS

# Frames that no training draws, for the verdict at its end: blocks of frames in a row, spread over the recording.
HELD_OUT = "real/held-out"
_BLOCK, _FRAMES_PER_BLOCK, _FEWEST_BLOCKS, _MOST_BLOCKS = 12, 100, 2, 32
_FEWEST_TO_HOLD_OUT = 96
NAMED = 5
BROKEN_REASON = finding.REASONS[finding.BROKEN]
# The hands of the simulator stand where those of the recording do: as near as the one sensor's or the other's.
_NEAR_HANDS_MM = 550.0

Progress = Callable[[int, int], None]


def find_hands(
    own: FrameFolder,
    store_path: pathlib.Path,
    progress: Progress = lambda done, total: None,
    workers: Workers = HERE,
) -> FoundHands:
    """Finds the hands of a recording whose store is to be made at `store_path`; a stop is gone on from.

    Raises:
        InputError: where the depth unit is wrong.
    """
    folder = _hands_folder(store_path)
    if not any(folder.glob("*.npz")):
        check_unit(own.sequences, own.camera_file, own.camera)
    return finding.find_hands(own.sequences, own.camera_file, own.camera, folder, progress, own.backgrounds, workers)


def with_backgrounds(
    own: FrameFolder, store_path: pathlib.Path, report: Callable[[str], None] = lambda text: None
) -> FrameFolder:
    """The recording without what stands still in it, as far as a sequence has that.

    Backgrounds are kept beside the store, in NAME.h5.backgrounds. `report` is called with why a sequence has none.
    """
    folder = store_path.with_name(store_path.name + ".backgrounds")
    backgrounds = learn_backgrounds(own.sequences, own.camera_file, folder, report)
    return dataclasses.replace(own, backgrounds=backgrounds)


def check_hands(own: FrameFolder, hands: FoundHands, skip_bad: bool) -> None:
    """Raises InputError where frames cannot be read and are not to be skipped, or no frame shows a hand."""
    broken = np.flatnonzero(hands.kind == finding.BROKEN)
    if len(broken) and not skip_bad:
        named = "; ".join(str(hands.detail[i]) for i in broken[:NAMED])
        raise InputError(
            f"{own.folder}: {len(broken)} of {len(hands.kind)} frames cannot be used ({named}); mend or remove them, "
            "or leave them out with --skip-bad"
        )
    if not (hands.kind == finding.USED).any():
        counts = [f"{(hands.kind == kind).sum()} {text}" for kind, text in enumerate(finding.REASONS) if kind]
        raise InputError(
            f"{own.folder}: no frame shows a hand that can be used ({', '.join(counts)}); check depth_unit_mm, near_mm "
            f"and far_mm in {CAMERA_FILE}: the hand must be what is nearest to the camera"
        )


def make_store(
    own: FrameFolder,
    hands: FoundHands,
    target: Target,
    simulated: dict[str, FrameSource],
    progress: Progress = lambda done, total: None,
    report_bad: Callable[[str], None] = lambda text: None,
    workers: Workers = HERE,
) -> None:
    """Crops the frames into the store, and adds the simulator's; a stop is gone on from.

    Args:
        own: the recording.
        hands: what `find_hands` found.
        target: the store to make; the report is a part of its source.
        simulated: the simulator's frames by split (`simulated_like`).
        progress: called with the frames done and all frames.
        report_bad: called with a line on frames that cannot be read any more.
        workers: who crops.
    """
    own = _without_misplaced(own, hands)
    sides = decide_sides(own.folder, own.sequences, own.camera_file.hand, hands.right)
    sources: dict[str, FrameSource] = {}
    positions_of = {f"real/{part}": _positions(own, hands, part) for part in PARTS}
    unlabelled = [place for place in positions_of["real/train"] if own.frames[place].name not in own.labels.parts]
    positions_of[HELD_OUT] = hold_out(np.array(unlabelled, np.int64))
    positions_of["real/train"] = np.setdiff1d(positions_of["real/train"], positions_of[HELD_OUT])
    for split, positions in positions_of.items():
        if len(positions):
            sources[split] = OwnSource(own, hands, sides, positions, target.cube_mm, target.image_size)
    if "real/train" not in sources:
        raise InputError(f"{own.folder}: no usable frame is left to train on; add frames without labels")
    with contextlib.closing(SHARED_READER):
        import_store(target, {**simulated, **sources}, True, workers, progress, report_bad)
    shutil.rmtree(_hands_folder(target.path), ignore_errors=True)


def make_report(own: FrameFolder, hands: FoundHands) -> dict[str, Any]:
    """What was used and what was not, and why; ready for JSON.

    Returns:
        `folder`, `camera` (fx, fy, cx, cy, width, height, as it records), `depth_unit_mm`, `rotation_degrees`, `hand`
        (by sequence), `frames`, `used`, `tracked` (of the used ones), `labelled` (used, by part), `labels_unused`
        (labelled frames without a hand that can be used), `labels_misplaced` (frames whose labels are not of the hand
        that was found), `doubtful` (sequences that look like the other hand), `distance_mm` (nearest, median, farthest
        hand), `unusable`: by reason `frames` and the `first` names, and `background_removed` (sequences).

    Raises:
        InputError: where most labels are not where the hands are.
    """
    frames, used = own.frames, hands.kind == finding.USED
    unusable = {}
    for kind, reason in enumerate(finding.REASONS):
        places = np.flatnonzero(hands.kind == kind)
        if kind != finding.USED and len(places):
            first = [str(hands.detail[i]) or frames[i].name for i in places[:NAMED]]
            unusable[reason] = {"frames": len(places), "first": first}
    z = hands.center_mm[used, 2]
    labelled = [own.labels.parts.get(frames[i].name) for i in np.flatnonzero(used)]
    return {
        "folder": str(own.folder),
        "camera": dataclasses.asdict(rotate_camera(own.camera, opposite(own.camera_file.rotation_degrees))),
        "depth_unit_mm": own.camera_file.depth_unit_mm,
        "rotation_degrees": own.camera_file.rotation_degrees,
        "hand": decide_sides(own.folder, own.sequences, own.camera_file.hand, hands.right),
        "doubtful": doubtful_sides(own.sequences, own.camera_file.hand, hands.right),
        "frames": len(frames),
        "used": int(used.sum()),
        "tracked": int((hands.tracked & used).sum()),
        "labelled": {part: labelled.count(part) for part in PARTS if part in labelled},
        "labels_unused": len(own.labels.parts) - sum(part is not None for part in labelled),
        "labels_misplaced": _misplaced(own, hands),
        "distance_mm": [round(float(value), 1) for value in (z.min(), np.median(z), z.max())],
        "unusable": unusable,
        "background_removed": [name for number, name in enumerate(own.sequences) if number in own.backgrounds],
    }


def simulated_like(hands: FoundHands, target: Target, scenes: bool, count: int) -> dict[str, FrameSource]:
    """The simulator's frames beside a recording's, by split.

    Args:
        hands: of the recording.
        target: the store.
        scenes: hands among things as all sensors see them; otherwise the clean hand, as far away as the recording's.
        count: of the frames.
    """
    sizes = target.skeleton, target.image_size, target.cube_mm
    if scenes:
        simulation = Simulation(ALL_SENSORS, *sizes, VERSIONS[1])
        return {"synthetic/sensed": SimulatedSource(simulation, "real/train", count)}
    return {"synthetic/train": SimulatedSource(Simulation(sensor_like(hands), *sizes), "synthetic/train", count)}


def hold_out(positions: np.ndarray) -> np.ndarray:
    """The places, of those of the frames without labels, int64, that no training draws; none of a short recording."""
    if len(positions) < _FEWEST_TO_HOLD_OUT:
        return positions[:0]
    blocks = int(np.clip(len(positions) // _FRAMES_PER_BLOCK, _FEWEST_BLOCKS, _MOST_BLOCKS))
    firsts = np.linspace(0, len(positions), blocks, endpoint=False).astype(int) + len(positions) // (2 * blocks)
    return positions[np.minimum(firsts[:, None] - _BLOCK // 2 + np.arange(_BLOCK), len(positions) - 1).ravel()]


def sensor_like(hands: FoundHands) -> str:
    """The simulator's sensor whose hands are about as far away as the recording's."""
    distance_mm = float(np.nanmedian(hands.center_mm[:, 2]))
    return "time-of-flight" if distance_mm < _NEAR_HANDS_MM else "structured-light"


def _misplaced(own: FrameFolder, hands: FoundHands) -> list[str]:
    used = hands.kind == finding.USED
    center_mm = {frame.name: center for frame, center, ok in zip(own.frames, hands.center_mm, used) if ok}
    return misplaced_labels(beside(own.folder, JOINTS_FILE), own.labels.joints_mm, center_mm)


def _without_misplaced(own: FrameFolder, hands: FoundHands) -> FrameFolder:
    """Without labels to train on that are not of the hand found; to test on they stay, so that the error shows."""
    misplaced = {name for name in _misplaced(own, hands) if own.labels.parts[name] == "train"}
    joints_mm = {name: joints for name, joints in own.labels.joints_mm.items() if name not in misplaced}
    return dataclasses.replace(own, labels=dataclasses.replace(own.labels, joints_mm=joints_mm))


def _positions(own: FrameFolder, hands: FoundHands, part: str) -> np.ndarray:
    """Places of the usable frames of a part, int64, in order."""
    parts = np.array([own.labels.parts.get(frame.name, "train") for frame in own.frames])
    return np.flatnonzero((parts == part) & (hands.kind == finding.USED))


def _hands_folder(store_path: pathlib.Path) -> pathlib.Path:
    return store_path.with_name(store_path.name + ".hands")
