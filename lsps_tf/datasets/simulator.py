"""The built-in simulation: what fixes it, and sim-v1's frames. `simulated_scenes` has sim-v2's.

sim-v1: `synthetic` is one canonical hand, clean. `real` are other subjects with forearms, seen by a sensor model; their
crops' centres come from the noisy depth, as they would from a camera. Training, validation and test subjects are
disjoint. A frame is fixed by the version, the split and its number, and sim-v2's by REVISION, too.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.datasets.hand_crops import WINDOW_EXTENT, WINDOW_SIZE
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.errors import InputError
from lsps_tf.hand_finding.center_of_mass import refine_center
from lsps_tf.simulation import kinematics, pose_prior, renderer, sensor, shape, surface, view_prior
from lsps_tf.skeleton import NYU, SKELETONS, joints_of

# sim-v1: free hands, whose crops are centred on what the sensor sees of them. sim-v2: hands among things, centred on
# the mean of their joints (`simulated_scenes`).
VERSIONS = ("sim-v1", "sim-v2")
# Counts the changes of what the newest version simulates: its frames are not mixed with those from before.
REVISION = 2
# By what `--dataset` calls them.
DATASETS = {"sim": VERSIONS[0], "sim-v2": VERSIONS[1]}
BATCH = 64
START_SPREAD_MM = 15.0

# Subject 0 is the canonical hand. No subject is in two parts. "synthetic/sensed" are the hands of "synthetic/train" as
# the sensor sees them: an oracle for any adaptation, made only where it is asked for. "real/empty", of sim-v2, are the
# hands of "real/test" with nothing around them.
SUBJECTS = {
    "synthetic/train": (0,),
    "synthetic/validation": (0,),
    "real/train": tuple(range(1, 13)),
    "real/validation": tuple(range(13, 17)),
    "real/test": tuple(range(17, 23)),
    "synthetic/sensed": (0,),
    "real/empty": tuple(range(17, 23)),
}
_SPLIT_NUMBERS = {split: number for number, split in enumerate(SUBJECTS)}
_SPLIT_NUMBERS["synthetic/sensed"] = _SPLIT_NUMBERS["synthetic/train"]
_SPLIT_NUMBERS["real/empty"] = _SPLIT_NUMBERS["real/test"]


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What fixes a simulated store, but for how many frames it holds.

    Attributes:
        sensor: name of the real domain's sensor model; of sim-v2 also `sensor.ALL_SENSORS`.
        skeleton: name of the joints' layout.
        image_size: pixels of the network's image; the store keeps a margin around it.
        cube_mm: side of the crop's cube.
        version: of VERSIONS.
    """

    sensor: str
    skeleton: str
    image_size: int
    cube_mm: float
    version: str = VERSIONS[0]

    def __post_init__(self):
        if len(self.sensors) > 1 and self.version == VERSIONS[0]:
            raise InputError(f"--sensor {self.sensor}: {VERSIONS[0]} has one sensor; name it, or take {VERSIONS[1]}")

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the sensors that take the batches in turn."""
        return sensor.names_of(self.sensor)

    @property
    def source(self) -> dict:
        """What the store says of its making."""
        values = {"made_by": "simulation", "version": self.version, **dataclasses.asdict(self)}
        if self.version == VERSIONS[0]:
            return values
        return {**values, "centering": self.centering, "revision": REVISION}

    @property
    def centering(self) -> str:
        """What the crops are centred on: "mass", of what the sensor sees of the hand, or "joints", their mean."""
        return "mass" if self.version == VERSIONS[0] else "joints"

    def store_path(self, data_root: str | pathlib.Path, suffix: str = ".h5") -> pathlib.Path:
        """Where this simulation's store is kept under `data_root`; `suffix` is `store.store_suffix`'s."""
        version = self.version if self.version == VERSIONS[0] else f"{self.version}.{REVISION}"
        name = f"{version}-{self.sensor}-{self.skeleton}-{self.image_size}px-{self.cube_mm:g}mm{suffix}"
        return pathlib.Path(data_root) / "sim" / name


class Simulator:
    """Renders a split's frames, batch by batch.

    Attributes:
        simulation: what fixes the frames.
        split: of SUBJECTS.
        subjects: int32 [N], the numbers of the hands.
        shapes: their shapes.
    """

    def __init__(self, simulation: Simulation, split: str):
        self.simulation, self.split = simulation, split
        self.subjects, self.shapes = self._draw_shapes()
        self._render = {name: tf.function(functools.partial(self._frames, name)) for name in simulation.sensors}
        self._pose = {name: tf.function(functools.partial(self._poses, name)) for name in simulation.sensors}

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """Frames number * BATCH onwards as rows of the store (columns of `lsps_tf.datasets.store`)."""
        return self._rows_of(self._render, _SPLIT_NUMBERS[self.split] + 1000, number)

    def streamed(self, number: int, seed: int, images: bool = True) -> dict[str, np.ndarray]:
        """The same of an endless sequence that the seed fixes, which shares no frame with the store's.

        Args:
            number: of the batch.
            seed: of the sequence.
            images: whether the frames have depth; without, the rest is the same and takes less time.
        """
        state = np.random.SeedSequence([seed, _SPLIT_NUMBERS[self.split]]).generate_state(1)
        return self._rows_of(self._render if images else self._pose, int(state.view(np.int32)[0]), number)

    def _rows_of(self, functions: dict[str, Callable], key: int, number: int) -> dict[str, np.ndarray]:
        sensors = self.simulation.sensors
        seed = np.array([key, number], np.int32)
        rows = {name: value.numpy() for name, value in functions[sensors[number % len(sensors)]](seed).items()}
        rows["subject"] = self.subjects[rows["subject"]]
        rows["frame"] = np.arange(number * BATCH, (number + 1) * BATCH)
        return rows

    def _poses(self, sensor_name: str, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """What `_frames` gives but for the images, which TensorFlow then leaves out of the graph."""
        rows = self._frames(sensor_name, seed)
        del rows["depth_mm"]
        return rows

    def whole_frame(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A whole frame of the sensor's camera, depth_mm [H, W], and its hand's joints [J, 3] in camera space, mm.

        Not one of the store's frames: hand number `number` of a sequence of its own, of the split's subjects.
        """
        seed = tf.constant([_SPLIT_NUMBERS[self.split] + 2000, number], tf.int32)
        shapes = tf.nest.map_structure(lambda part: part[number % len(self.subjects)][None], self.shapes)
        hand = self._hands(seed, shapes, 1)
        cones, wedges = surface.primitives(forearm=self._real)
        camera = sensor.get_sensor(self.simulation.sensors[0]).camera
        depth_mm = renderer.render_frame(hand.centers_mm, hand.radii_mm, cones, wedges, camera)
        if self._real:
            depth_mm = sensor.apply_sensor(self.simulation.sensors[0], depth_mm, 1.0, tf.random.fold_in(seed, 1))
        return depth_mm[0].numpy(), self._joints(hand)[0].numpy()

    def _draw_shapes(self) -> tuple[np.ndarray, shape.HandShape]:
        subjects = np.array(SUBJECTS[self.split], np.int32)
        shapes = [shape.canonical_shape() if s == 0 else shape.subject_shape(int(s)) for s in subjects]
        return subjects, tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *shapes)

    def _frames(self, sensor_name: str, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        subject_seed, pose_seed, center_seed, sensor_seed = tf.unstack(tf.random.split(seed, 4))
        subject = tf.random.stateless_uniform([BATCH], subject_seed, 0, len(self.subjects), tf.int32)
        hand = self._hands(pose_seed, tf.nest.map_structure(lambda part: tf.gather(part, subject), self.shapes), BATCH)
        center_mm = self._centers(hand, center_seed)
        extent_mm = self.simulation.cube_mm * MARGIN
        depth_mm = self._view(hand, center_mm, extent_mm, stored_size(self.simulation.image_size), sensor_seed)
        return self._rows(depth_mm, hand, center_mm, subject)

    def _rows(
        self, depth_mm: tf.Tensor, hand: kinematics.HandState, center_mm: tf.Tensor, subject: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A store's columns; `subject` [B] are indices into the subjects."""
        cube_mm = self.simulation.cube_mm
        return {
            "depth_mm": depth_mm,
            "joints_mm": self._joints(hand),
            "center_mm": center_mm,
            "cube_mm": tf.fill([BATCH], cube_mm),
            "extent_mm": tf.fill([BATCH], cube_mm * MARGIN),
            "subject": subject,
        }

    def _joints(self, hand: kinematics.HandState) -> tf.Tensor:
        return tf.gather(hand.joints_mm, joints_of(NYU, SKELETONS[self.simulation.skeleton]), axis=-2)

    @property
    def _real(self) -> bool:
        """Whether the split's images come from a sensor."""
        return self.split.startswith("real/") or self.split == "synthetic/sensed"

    def _hands(self, seed: tf.Tensor, shapes: shape.HandShape, count: int) -> kinematics.HandState:
        angle_seed, rotation_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
        angles = pose_prior.sample_angles(angle_seed, count, shapes)
        rotation = view_prior.sample_rotation(rotation_seed, count)
        near, far = sensor.SENSORS[self.simulation.sensors[0]].distance_mm
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
        return refine_center(window_mm, intrinsics, start_mm)

    def _view(
        self, hand: kinematics.HandState, center_mm: tf.Tensor, extent_mm: float, size: int, seed: tf.Tensor
    ) -> tf.Tensor:
        cones, wedges = surface.primitives(forearm=self._real)
        depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, center_mm, extent_mm, size)
        if not self._real:
            return depth_mm
        pixel_size = sensor.pixel_size_of_crop(self.simulation.sensors[0], center_mm, extent_mm, size)
        return sensor.apply_sensor(self.simulation.sensors[0], depth_mm, pixel_size, seed)
