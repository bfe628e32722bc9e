"""The simulated recordings of `benchmarks/adaptation.py`: frames, labels and camera are of the same hand."""

import csv

import numpy as np
import pytest

from benchmarks import adaptation
from lsps_tf.camera import mm_to_uvd
from lsps_tf.datasets.own.frame_folder import open_recording
from lsps_tf.depth_files import read_depth


@pytest.mark.parametrize("kinds", [adaptation.ROOMS, (adaptation.DESK,)])
def test_labels_lie_on_the_hands_of_their_frames(tmp_path, kinds, monkeypatch):
    monkeypatch.setattr(adaptation, "BATCH", 4)
    adaptation.record(tmp_path / "camera", 0, 8, kinds)
    own = open_recording(tmp_path / "camera")
    assert len(own.frames) == 8 and set(own.labels.parts.values()) == {"test"}
    deeper_mm = []
    for frame in own.frames:
        joints_mm = own.labels.joints_mm[frame.name]
        u, v, z = mm_to_uvd(joints_mm, own.camera.intrinsics).T
        seen = (u > 0) & (v > 0) & (u < own.camera.width - 1) & (v < own.camera.height - 1)
        depth_mm = read_depth(tmp_path / "camera" / frame.name).astype(np.float32) * adaptation.UNIT_MM
        surface_mm = depth_mm[np.rint(v[seen]).astype(int), np.rint(u[seen]).astype(int)]
        deeper_mm.append((z[seen] - surface_mm)[surface_mm > 0])
    # Most joints lie a finger's or a palm's half thickness behind what is seen of the hand.
    deeper_mm = np.concatenate(deeper_mm)
    assert len(deeper_mm) > 100
    assert 3.0 < np.median(deeper_mm) < 25.0
    # What was made already stays, and the labels with it.
    lines = list(csv.reader((tmp_path / "camera" / "joints.csv").open()))
    adaptation.record(tmp_path / "camera", 0, 8, kinds)
    assert list(csv.reader((tmp_path / "camera" / "joints.csv").open())) == lines
