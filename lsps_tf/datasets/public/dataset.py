"""What a public dataset is: one object in a module of its own, which `training/data/table.py` has a row for."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.datasets.public.folders import Layout
from lsps_tf.datasets.public.recording import Recording
from lsps_tf.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Which frames of a dataset are used, and how.

    Attributes:
        limit: only the first so many frames of the training and of the test set, None for all.
        centers_path: a file of centres of the test frames to start from (`recording.start_centers`), None for none.
        rotated: rotated copies of training frames, too.
    """

    limit: int | None = None
    centers_path: str | pathlib.Path | None = None
    rotated: bool = False


@dataclasses.dataclass(frozen=True)
class Renderings:
    """Rendered frames with labels, which a dataset learns from in place of simulated ones: its own or another's.

    Attributes:
        layout: how the folder with them is found.
        part: the part of that folder that holds them; without it there are none.
        recordings: the synthetic splits of the folder, of its first so many training frames or of all (None), with
            the joints of the dataset that learns from them.
    """

    layout: Layout
    part: str
    recordings: Callable[[pathlib.Path, int | None], dict[str, Recording]]


@dataclasses.dataclass(frozen=True)
class PublicDataset:
    """A public dataset.

    Attributes:
        layout: its name, and how its folder is found.
        version: of what is made of it; stores of another one are not used.
        skeleton: of its labels.
        camera: of its frames.
        cube_mm: side of the crop's cube that is usual for it.
        sensor: the simulator's sensor that is like its camera.
        mirrored: its hands are left ones, stored as their mirror images.
        has_rotated: it has rotated copies of training frames.
        recordings: the real splits of its folder; InputError where labels are missing or damaged.
        test_labels: the joints of all test frames in its folder, [N, J, 3] in pixels, pixels and mm.
        renderings: what it can learn from beside simulated frames, None for nothing.
    """

    layout: Layout
    version: str
    skeleton: Skeleton
    camera: Camera
    cube_mm: float
    sensor: str
    recordings: Callable[[pathlib.Path, Chosen], dict[str, Recording]]
    test_labels: Callable[[pathlib.Path], np.ndarray]
    mirrored: bool = False
    has_rotated: bool = False
    renderings: Renderings | None = None

    @property
    def name(self) -> str:
        return self.layout.name
