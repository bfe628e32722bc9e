"""The built-in dataset: simulated hands in the synthetic and the real domain, made on demand into the store.

`synthetic` is one canonical hand, clean. `real` are other subjects with forearms, seen by a sensor model; their crops'
centres come from the noisy depth, as they would from a camera. Training, validation and test subjects are disjoint.
A frame is fixed by the version, the split and its number: stores grow, and never change.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.hand_crops import WINDOW_EXTENT, WINDOW_SIZE
from lsps_tf.datasets.store import MARGIN, Store, create_store, growing_store, open_store, stored_size
from lsps_tf.datasets.workers import Pool
from lsps_tf.errors import InputError
from lsps_tf.files import locked
from lsps_tf.hand_finding import search
from lsps_tf.simulation import kinematics, pose_prior, renderer, sensor, shape, surface, view_prior
from lsps_tf.skeleton import NYU, SKELETONS, joints_of

VERSION = "sim-v1"
BATCH = 64
START_SPREAD_MM = 15.0

# Subject 0 is the canonical hand. No subject is in two parts. "synthetic/sensed" are the hands of "synthetic/train" as
# the sensor sees them: an oracle for any adaptation, made only where it is asked for.
SUBJECTS = {
    "synthetic/train": (0,),
    "synthetic/validation": (0,),
    "real/train": tuple(range(1, 13)),
    "real/validation": tuple(range(13, 17)),
    "real/test": tuple(range(17, 23)),
    "synthetic/sensed": (0,),
}
_SPLIT_NUMBERS = {split: number for number, split in enumerate(SUBJECTS)}
_SPLIT_NUMBERS["synthetic/sensed"] = _SPLIT_NUMBERS["synthetic/train"]


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What fixes a simulated store, but for how many frames it holds.

    Attributes:
        sensor: name of the real domain's sensor model.
        skeleton: name of the joints' layout.
        image_size: pixels of the network's image; the store keeps a margin around it.
        cube_mm: side of the crop's cube.
    """

    sensor: str
    skeleton: str
    image_size: int
    cube_mm: float

    def __post_init__(self):
        sensor.get_sensor(self.sensor)

    @property
    def source(self) -> dict:
        """What the store says of its making."""
        return {"made_by": "simulation", "version": VERSION, **dataclasses.asdict(self)}

    def store_path(self, data_root: str | pathlib.Path) -> pathlib.Path:
        """Where this simulation's store is kept under `data_root`."""
        name = f"{VERSION}-{self.sensor}-{self.skeleton}-{self.image_size}px-{self.cube_mm:g}mm.h5"
        return pathlib.Path(data_root) / "sim" / name


def ensure_store(
    simulation: Simulation,
    data_root: str | pathlib.Path,
    counts: dict[str, int],
    progress: Callable[[int, int], None] = lambda done, total: None,
    wait: Callable[[str], None] | None = None,
) -> pathlib.Path:
    """Makes the store, or adds what it lacks.

    Args:
        simulation: what to simulate.
        data_root: the folder of stores.
        counts: frames wanted per split; splits may already hold more.
        progress: called with the frames done and the frames to do.
        wait: called with a line where another process makes the store, which is waited for; None does not wait.

    Returns:
        The store's path. A stop leaves a `.partial` file that the next call goes on with.

    Raises:
        InputError: where the store cannot be read or written, or, without `wait`, another process makes it.
    """
    path = simulation.store_path(data_root)
    if _has(path, counts):
        return path
    with locked(path, wait):
        if not _has(path, counts):
            _grow(path, simulation, counts, progress)
    return path


def _has(path: pathlib.Path, counts: dict[str, int]) -> bool:
    if not path.exists():
        return False
    with open_store(path) as store:
        return all(store.count(split) >= count for split, count in counts.items())


def _grow(
    path: pathlib.Path, simulation: Simulation, counts: dict[str, int], progress: Callable[[int, int], None]
) -> None:
    with growing_store(path) as partial, _open_partial(partial, simulation) as store:
        missing = {split: max(0, count - store.count(split)) for split, count in counts.items()}
        done, total = 0, sum(missing.values())
        progress(done, total)
        for split in counts:
            for rows in _missing_batches(simulation, store, split, counts[split]):
                store.append(split, rows)
                store.flush()
                done += len(rows["frame"])
                progress(done, total)


def _open_partial(partial: pathlib.Path, simulation: Simulation) -> Store:
    size = stored_size(simulation.image_size)
    camera = sensor.SENSORS[simulation.sensor].camera
    if partial.exists():
        try:
            return open_store(partial, "a")
        except InputError:
            # A kill in the middle of a write; every frame can be made again.
            partial.unlink()
    return create_store(partial, simulation.skeleton, camera, size, simulation.source)


def _missing_batches(simulation: Simulation, store: Store, split: str, count: int):
    simulator = Simulator(simulation, split)
    while (start := store.count(split)) < count:
        number, offset = divmod(start, BATCH)
        rows = simulator.batch(number)
        yield {name: value[offset : min(BATCH, count - number * BATCH)] for name, value in rows.items()}


class Simulator:
    """Renders a split's frames, batch by batch."""

    def __init__(self, simulation: Simulation, split: str):
        self.simulation, self.split = simulation, split
        self.subjects = np.array(SUBJECTS[split], np.int32)
        shapes = [shape.canonical_shape() if s == 0 else shape.subject_shape(int(s)) for s in self.subjects]
        self.shapes = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *shapes)
        self._render = tf.function(self._frames)

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """Frames number * BATCH onwards as rows of the store (columns of `lsps_tf.datasets.store`)."""
        seed = np.array([_SPLIT_NUMBERS[self.split] + 1000, number], np.int32)
        rows = {name: value.numpy() for name, value in self._render(seed).items()}
        rows["subject"] = self.subjects[rows["subject"]]
        rows["frame"] = np.arange(number * BATCH, (number + 1) * BATCH)
        return rows

    def whole_frame(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A whole frame of the sensor's camera, depth_mm [H, W], and its hand's joints [J, 3] in camera space, mm.

        Not one of the store's frames: hand number `number` of a sequence of its own, of the split's subjects.
        """
        seed = tf.constant([_SPLIT_NUMBERS[self.split] + 2000, number], tf.int32)
        shapes = tf.nest.map_structure(lambda part: part[number % len(self.subjects)][None], self.shapes)
        hand = self._hands(seed, shapes, 1)
        cones, wedges = surface.primitives(forearm=self._real)
        camera = sensor.get_sensor(self.simulation.sensor).camera
        depth_mm = renderer.render_frame(hand.centers_mm, hand.radii_mm, cones, wedges, camera)
        if self._real:
            depth_mm = sensor.apply_sensor(self.simulation.sensor, depth_mm, 1.0, tf.random.fold_in(seed, 1))
        return depth_mm[0].numpy(), self._joints(hand)[0].numpy()

    def _frames(self, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        subject_seed, pose_seed, center_seed, sensor_seed = tf.unstack(tf.random.split(seed, 4))
        subject = tf.random.stateless_uniform([BATCH], subject_seed, 0, len(self.subjects), tf.int32)
        hand = self._hands(pose_seed, tf.nest.map_structure(lambda part: tf.gather(part, subject), self.shapes), BATCH)
        cube_mm = self.simulation.cube_mm
        center_mm = self._centers(hand, center_seed)
        extent_mm = cube_mm * MARGIN
        depth_mm = self._view(hand, center_mm, extent_mm, stored_size(self.simulation.image_size), sensor_seed)
        return {
            "depth_mm": depth_mm,
            "joints_mm": self._joints(hand),
            "center_mm": center_mm,
            "cube_mm": tf.fill([BATCH], cube_mm),
            "extent_mm": tf.fill([BATCH], extent_mm),
            "subject": subject,
        }

    def _joints(self, hand: kinematics.HandState) -> tf.Tensor:
        return tf.gather(hand.joints_mm, joints_of(NYU, SKELETONS[self.simulation.skeleton]), axis=-2)

    @property
    def _real(self) -> bool:
        return self.split.startswith("real/") or self.split == "synthetic/sensed"

    def _hands(self, seed: tf.Tensor, shapes: shape.HandShape, count: int) -> kinematics.HandState:
        angle_seed, rotation_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
        angles = pose_prior.sample_angles(angle_seed, count, shapes)
        rotation = view_prior.sample_rotation(rotation_seed, count)
        near, far = sensor.SENSORS[self.simulation.sensor].distance_mm
        place_mm = view_prior.sample_translation(place_seed, count, near_mm=near, far_mm=far)
        return kinematics.pose_hand(angles, rotation, place_mm, shapes)

    def _centers(self, hand: kinematics.HandState, seed: tf.Tensor) -> tf.Tensor:
        """The crop's centre by the method that finds it in a camera's frames, from a coarse view of the hand."""
        start_seed, view_seed = tf.unstack(tf.random.split(seed, 2))
        middle_mm = tf.reduce_mean(hand.joints_mm, axis=1)
        start_mm = middle_mm + START_SPREAD_MM * tf.random.stateless_normal([BATCH, 3], start_seed)
        extent_mm = WINDOW_EXTENT * self.simulation.cube_mm
        window_mm = self._view(hand, start_mm, extent_mm, WINDOW_SIZE, view_seed)
        intrinsics = crop.crop_intrinsics(start_mm, extent_mm, WINDOW_SIZE)
        return search.refine_center(window_mm, intrinsics, start_mm)

    def _view(
        self, hand: kinematics.HandState, center_mm: tf.Tensor, extent_mm: float, size: int, seed: tf.Tensor
    ) -> tf.Tensor:
        cones, wedges = surface.primitives(forearm=self._real)
        depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, center_mm, extent_mm, size)
        if not self._real:
            return depth_mm
        pixel_size = sensor.pixel_size_of_crop(self.simulation.sensor, center_mm, extent_mm, size)
        return sensor.apply_sensor(self.simulation.sensor, depth_mm, pixel_size, seed)


class SimulatedSource:
    """The first `count` frames of a split of the built-in simulator."""

    batch = BATCH

    def __init__(self, simulation: Simulation, split: str, count: int):
        self._simulation, self._split, self._count = simulation, split, count

    def __len__(self) -> int:
        return self._count

    def digest(self) -> str:
        return repr((self._simulation.source, self._split))

    def name_of(self, position: int) -> str:
        return f"simulated frame {position}"

    def batches(self, ranges: Iterable[range], pool: Pool | None) -> Iterator[Batch]:
        simulator = Simulator(self._simulation, self._split)
        for positions in ranges:
            rows = simulator.batch(positions.start // self.batch)
            yield Batch({name: value[: len(positions)] for name, value in rows.items()}, [])
