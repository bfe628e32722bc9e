"""The folder of one's own recording: its frames, its camera and its labels, listed and checked."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.datasets.own.backgrounds import Backgrounds
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile, read_camera_file
from lsps_tf.datasets.own.files import FrameFile, describe, fingerprint, list_sequences
from lsps_tf.datasets.own.folders import beside
from lsps_tf.datasets.own.labels import FrameLabels, read_labels
from lsps_tf.datasets.own.sampled import frame_size
from lsps_tf.errors import InputError
from lsps_tf.rotation import rotate_camera, rotate_points


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
    camera = camera_file.camera(*frame_size(sequences, camera_file))
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
