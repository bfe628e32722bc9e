"""One's own depth frames into the store: the hand found in every frame, cropped, mirrored where it is a left hand.

All frames without a label, and the labelled ones that are to train on, are "real/train"; the others are
"real/validation" and "real/test". Of long recordings a part without labels is "real/held-out". "synthetic/train" comes
from the simulator, so that one store serves a training.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from lsps_tf import crop, mirror
from lsps_tf.camera import Camera
from lsps_tf.datasets.frame_sources import Batch, FrameSource
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.own import hands as finding
from lsps_tf.datasets.own.backgrounds import Backgrounds, learn_backgrounds, without_background
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile, read_camera_file
from lsps_tf.datasets.own.files import (
    FrameFile,
    FrameReader,
    describe,
    fingerprint,
    list_sequences,
    to_mm,
)
from lsps_tf.datasets.own.folders import beside
from lsps_tf.datasets.own.hands import FoundHands, decide_sides, doubtful_sides
from lsps_tf.datasets.own.labels import JOINTS_FILE, PARTS, FrameLabels, misplaced_labels, read_labels
from lsps_tf.datasets.simulated import SimulatedSource
from lsps_tf.datasets.simulator import VERSIONS, Simulation
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.datasets.workers import read_ahead
from lsps_tf.errors import InputError
from lsps_tf.rotation import opposite, rotate_camera, rotate_points
from lsps_tf.simulation.sensor import ALL_SENSORS

VERSION = "frames-v2"
# Frames that no training draws, for the verdict at its end: blocks of frames in a row, spread over the recording.
HELD_OUT = "real/held-out"
_BLOCK, _FRAMES_PER_BLOCK, _FEWEST_BLOCKS, _MOST_BLOCKS = 12, 100, 2, 32
_FEWEST_TO_HOLD_OUT = 96
NAMED = 5
BROKEN_REASON = finding.REASONS[finding.BROKEN]
# The hands of the simulator stand where those of the recording do: as near as the one sensor's or the other's.
_NEAR_HANDS_MM = 550.0

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class FrameFolder:
    """The folder of a recording, listed and checked.

    Attributes:
        folder: that holds it.
        sequences: its frames by sequence.
        camera_file: what `camera.toml` says, with the hand that was asked for in its place.
        camera: that took the frames, turned upright as they are (`rotation_degrees` of `camera.toml`).
        labels: of `joints.csv`, turned as the frames.
        identity: changes when the recording does.
        backgrounds: what stands still in it and is taken away, by the number of the sequence; empty where all stays.
    """

    folder: pathlib.Path
    sequences: dict[str, list[FrameFile]]
    camera_file: CameraFile
    camera: Camera
    labels: FrameLabels
    identity: str
    backgrounds: Backgrounds = dataclasses.field(default_factory=dict)

    @property
    def frames(self) -> list[FrameFile]:
        """All frames in order."""
        return [name for names in self.sequences.values() for name in names]

    @property
    def sequence_of(self) -> np.ndarray:
        """Per frame the number of its sequence, int32 [N]."""
        counts = [len(names) for names in self.sequences.values()]
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def open_recording(folder: str | pathlib.Path, hand: str | None = None, topic: str | None = None) -> FrameFolder:
    """Lists and checks a recording.

    Args:
        folder: with the frames and `camera.toml`, or a camera's recording.
        hand: "right", "left" or "auto" in place of what `camera.toml` says.
        topic: which depth of a camera's recording, where it has several.

    Raises:
        InputError: where the folder, the camera's file or the labels have a mistake.
    """
    folder = pathlib.Path(folder)
    sequences = list_sequences(folder, topic)
    described = describe(folder, sequences)
    camera_file = read_camera_file(folder, described, hand)
    camera = camera_file.camera(*finding.frame_size(sequences, camera_file))
    if not (0 <= camera.cx < camera.width and 0 <= camera.cy < camera.height):
        raise InputError(
            f"{beside(folder, CAMERA_FILE)}: the principal point cx = {camera.cx:g}, cy = {camera.cy:g} is outside the "
            f"frames of {camera.width} x {camera.height} pixels; it is near the middle"
        )
    names = [frame.name for names in sequences.values() for frame in names]
    labels = read_labels(folder, names, camera.intrinsics, camera_file.distortion)
    degrees = camera_file.rotation_degrees
    turned_mm = {name: rotate_points(joints_mm, degrees) for name, joints_mm in labels.joints_mm.items()}
    return FrameFolder(
        folder,
        sequences,
        camera_file,
        rotate_camera(camera, degrees),
        dataclasses.replace(labels, joints_mm=turned_mm),
        fingerprint(folder, sequences, camera_file.hand, described),
    )


def find_hands(own: FrameFolder, store_path: pathlib.Path, progress: Progress = lambda done, total: None) -> FoundHands:
    """Finds the hands of a recording whose store is to be made at `store_path`; a stop is gone on from.

    Raises:
        InputError: where the depth unit is wrong.
    """
    folder = _hands_folder(store_path)
    if not any(folder.glob("*.npz")):
        finding.check_unit(own.sequences, own.camera_file, own.camera)
    return finding.find_hands(own.sequences, own.camera_file, own.camera, folder, progress, own.backgrounds)


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
) -> None:
    """Crops the frames into the store, and adds the simulator's; a stop is gone on from.

    Args:
        own: the recording.
        hands: what `find_hands` found.
        target: the store to make; the report is a part of its source.
        simulated: the simulator's frames by split (`simulated_like`).
        progress: called with the frames done and all frames.
        report_bad: called with a line on frames that cannot be read any more.
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
    import_store(target, {**simulated, **sources}, True, 0, progress, report_bad)
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


class OwnSource:
    """Some of a recording's frames as a split of the store."""

    batch = 16

    def __init__(
        self,
        own: FrameFolder,
        hands: FoundHands,
        sides: dict[str, str],
        positions: np.ndarray,
        cube_mm: float,
        image_size: int,
    ):
        self._own, self._hands, self._positions = own, hands, positions
        self._cube_mm, self._size = cube_mm, stored_size(image_size)
        self._frames, self._sequence_of = own.frames, own.sequence_of
        self._left = np.array([side == "left" for side in sides.values()])[self._sequence_of]

    def __len__(self) -> int:
        return len(self._positions)

    def digest(self) -> str:
        return f"{VERSION} {self._own.identity} {sorted(self._own.backgrounds)}"

    def name_of(self, position: int) -> str:
        return self._frames[self._positions[position]].name

    def batches(self, ranges: Iterable[range], pool: Any) -> Iterator[Batch]:
        ranges = list(ranges)
        places = self._positions[[position for positions in ranges for position in positions]]
        with contextlib.ExitStack() as stack:
            read = functools.partial(self._read, reader=stack.enter_context(FrameReader()))
            depths = stack.enter_context(contextlib.closing(read_ahead(read, places)))
            for positions in ranges:
                yield self._batch(positions, [next(depths) for _ in positions])

    def _read(self, place: int, reader: FrameReader) -> np.ndarray | str:
        """A frame in mm, or why it cannot be read any more."""
        frame = self._frames[place]
        try:
            depth_mm = to_mm(reader.read(frame), self._own.camera_file)
            return without_background(depth_mm, self._own.backgrounds, int(self._sequence_of[place]))
        except InputError as error:
            return str(error)

    def _batch(self, positions: range, depths: list[np.ndarray | str]) -> Batch:
        unusable = [(p, found) for p, found in zip(positions, depths) if isinstance(found, str)]
        usable = [p for p, found in zip(positions, depths) if not isinstance(found, str)]
        if not usable:
            return Batch({"frame": np.empty(0, np.int64)}, unusable)
        depth_mm = np.stack([found for found in depths if not isinstance(found, str)])
        return Batch(self._rows(depth_mm, self._positions[usable]), unusable)

    def _rows(self, depth_mm: np.ndarray, places: np.ndarray) -> dict[str, np.ndarray]:
        count, left = len(places), self._left[places]
        center_mm = self._hands.center_mm[places]
        with tf.device("CPU"):
            intrinsics = np.repeat(self._own.camera.intrinsics[None], count, axis=0)
            extent_mm = tf.constant(MARGIN * self._cube_mm, tf.float32)
            cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, extent_mm, self._size).numpy()
        missing = np.full((self._own.labels.skeleton.num_joints, 3), np.nan, np.float32)
        joints_mm = np.stack([self._own.labels.joints_mm.get(self._frames[place].name, missing) for place in places])
        return {
            "depth_mm": np.where(left[:, None, None], mirror.mirror_depth(cropped_mm), cropped_mm),
            "joints_mm": np.where(left[:, None, None], mirror.mirror_points(joints_mm), joints_mm),
            "center_mm": np.where(left[:, None], mirror.mirror_points(center_mm), center_mm),
            "cube_mm": np.full(count, self._cube_mm),
            "extent_mm": np.full(count, self._cube_mm * MARGIN),
            "subject": self._sequence_of[places],
            "frame": places,
        }


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
