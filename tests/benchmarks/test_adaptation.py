"""The simulated recordings of `benchmarks/adaptation.py`: frames, labels and camera are of the same hand."""

import csv

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import adaptation
from lsps_tf.camera import mm_to_uvd
from lsps_tf.datasets.own.frame_folder import open_recording
from lsps_tf.depth_files import read_depth


@pytest.fixture
def eagerly():
    """Tracing takes longer than few frames do."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(
    ("record", "tested", "unlabelled"),
    [
        (lambda folder: adaptation.record_rooms(folder, 0, 8), 8, 0),
        # Three takes of eight frames.
        (lambda folder: adaptation.record_takes(folder, 13), 6, 18),
    ],
)
def test_labels_lie_on_the_hands_of_their_frames(tmp_path, record, tested, unlabelled, monkeypatch, eagerly):
    monkeypatch.setattr(adaptation, "BATCH", 4)
    monkeypatch.setattr(adaptation, "TAKE", 8)
    record(tmp_path / "camera")
    own = open_recording(tmp_path / "camera")
    assert len(own.frames) == tested + unlabelled
    assert list(own.labels.parts.values()) == ["test"] * tested
    deeper_mm = []
    for frame in own.frames:
        if frame.name not in own.labels.parts:
            continue
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
    record(tmp_path / "camera")
    assert list(csv.reader((tmp_path / "camera" / "joints.csv").open())) == lines
