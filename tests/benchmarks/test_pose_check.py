"""The pose check's parts at small sizes; its figures on real poses stand in docs/simulator.md."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import pose_check, pose_statistics, pose_vae
from lsps_tf import skeleton
from lsps_tf.errors import InputError
from lsps_tf.fitting import to_joints
from lsps_tf.presets import PRESETS
from lsps_tf.simulation import anatomy, shape

PUBLISHED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "published"
ALL = tuple(range(36))


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pose_vae, "BATCH", 64)
        yield


@pytest.fixture(scope="module")
def poses(small_batches):
    return pose_vae.simulated_poses(shape.sample_shape(tf.constant([1, 2]), 3), ALL, 600, (0, 1), "mean")


def test_poses_are_drawn_around_their_center(poses):
    joints_mm, center_mm = poses
    assert joints_mm.shape == (600, 36, 3) and center_mm.shape == (600, 3)
    np.testing.assert_allclose(center_mm, joints_mm.mean(axis=1), atol=1e-3)
    bones = np.linalg.norm(joints_mm[:, 0] - joints_mm[:, 1], axis=-1)
    assert len(np.unique(bones.round(2))) == 3  # three hands
    again, _ = pose_vae.simulated_poses(shape.sample_shape(tf.constant([1, 2]), 3), ALL, 20, (0, 1), "mean")
    np.testing.assert_allclose(again, joints_mm[:20], atol=1e-3)


@pytest.mark.slow
def test_the_center_of_mass_is_near_the_joints_and_moves_with_the_hand():
    hand = shape.canonical_shape()
    joints_mm, mass_mm = pose_vae.simulated_poses(hand, skeleton.ICVL_FROM_NYU, 30, (0, 1), "mass")
    _, middle_mm = pose_vae.simulated_poses(hand, skeleton.ICVL_FROM_NYU, 30, (0, 1), "mean")
    assert joints_mm.shape == (30, 16, 3)
    apart = np.linalg.norm(mass_mm - middle_mm, axis=-1)
    assert 2.0 < apart.mean() < 30.0 and apart.max() < 60.0


def test_a_vae_learns_the_poses_that_it_sees(poses):
    config = PRESETS["tiny"].replace(pose_learning_rate=5e-3, pose_batch=64, pose_hidden=64)
    errors = []
    for steps in (1, 300):
        networks = pose_vae.train_pose_vae(*poses, config, steps, seed=0)
        errors.append(pose_vae.reconstruction_errors_mm(networks, *poses, config.data.cube_mm))
    assert errors[1].shape == (600, 36)
    assert errors[1].mean() < 0.6 * errors[0].mean() and errors[1].mean() < 35.0


def test_errors_are_those_of_a_loop(poses):
    joints_mm, center_mm = (part[:3] for part in poses)
    networks = pose_vae.train_pose_vae(*poses, PRESETS["tiny"], 1, seed=0)
    found = pose_vae.reconstruction_errors_mm(networks, joints_mm, center_mm, 200.0)
    for n in range(3):
        mean, _ = networks.pose_encoder(((joints_mm[n] - center_mm[n]) / 100.0).reshape(1, 108))
        decoded_mm = networks.pose_decoder(mean).numpy().reshape(36, 3) * 100.0 + center_mm[n]
        expected = [np.sqrt(((decoded_mm[j] - joints_mm[n, j]) ** 2).sum()) for j in range(36)]
        np.testing.assert_allclose(found[n], expected, rtol=1e-3)


def test_views_are_measured_from_the_camera():
    upright = np.eye(3)
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # fingers to the right in the image
    back = np.diag([-1.0, 1.0, -1.0])
    towards = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, -np.sqrt(0.75)], [0.0, np.sqrt(0.75), 0.5]])
    for rotation, roll, tilt, palm in ((upright, 0, 0, 1), (turned, 90, 0, 1), (back, 0, 0, 0), (towards, 0, -60, 1)):
        figures = pose_statistics.view_figures(rotation[None])
        np.testing.assert_allclose(figures["roll"], roll, atol=0.1)
        np.testing.assert_allclose(figures["tilt"], tilt, atol=0.1)
        assert figures["palm_fraction"] == palm


def test_angle_figures_of_a_made_up_hand():
    rng = np.random.default_rng(0)
    angles = np.zeros((2000, anatomy.NUM_ANGLES))
    shared = rng.normal(size=(2000, 1))
    columns = anatomy.FINGER_ANGLES
    angles[:, columns[:, 0]] = 0.1 * (shared + rng.normal(size=(2000, 4)))  # neighbors correlate by a half
    angles[:, columns[:, 1]] = np.radians(5.0) * rng.normal(size=(2000, 4))
    angles[:, columns[:, 2]] = 0.3 * rng.normal(size=(2000, 4))
    noise = np.radians(3.0) * rng.normal(size=(2000, 4))
    angles[:, columns[:, 3]] = 0.1 + 0.7 * angles[:, columns[:, 2]] + noise
    figures = pose_statistics.angle_figures(angles)
    assert abs(figures["mean_correlation_of_neighbors"]["mcp"] - 0.5) < 0.05
    assert abs(figures["mean_correlation_of_neighbors"]["pip"]) < 0.06
    assert abs(figures["deviation_std"] - 5.0) < 0.2 and abs(figures["dip_std_beside_pip"] - 3.0) < 0.1
    assert figures["angles"]["wrist_flexion"] == [0.0] * 5


def test_simulated_poses_are_nearest_to_themselves(monkeypatch):
    monkeypatch.setattr(pose_statistics, "POSES", 500)
    monkeypatch.setattr(pose_statistics, "BATCH", 250)
    parameters = np.zeros((1, shape.NUM_SHAPE_PARAMETERS), np.float32)
    angles = pose_statistics.simulated_angles(500, (0, 3))[:40]
    still = np.tile(np.eye(3, dtype=np.float32), (40, 1, 1))
    joints_mm = pose_statistics.palm_poses(angles, parameters)
    fit = to_joints.HandFit(angles, still, np.zeros((40, 3), np.float32), parameters, joints_mm)
    figures = pose_statistics.nearest_figures(fit, 0)
    assert figures["real_mm"] < 0.01 and 3.0 < figures["simulated_mm"] < 20.0


def test_damaged_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"joints36_u\.csv"):
        pose_check.read_nyu(tmp_path)
    (tmp_path / "groundtruth_uvd.txt").write_text("1 2 3\n4 5 6\n")
    with pytest.raises(InputError, match="48 columns"):
        pose_check.read_icvl(tmp_path)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no published labels at {PUBLISHED}")
@pytest.mark.slow
def test_published_labels_are_right_hands_near_their_centers():
    nyu, icvl = pose_check.read_nyu(PUBLISHED / "nyu"), pose_check.read_icvl(PUBLISHED / "icvl")
    assert nyu.joints_mm.shape == (8252, 36, 3) and icvl.joints_mm.shape == (1596, 16, 3)
    assert np.linalg.norm(nyu.joints_mm.mean(axis=1) - nyu.mass_mm, axis=-1).mean() < 25.0
    for real in (nyu, icvl):
        subject_mm = next(real.joints_mm[frames] for frames in real.subjects.values())[::100]
        fit = to_joints.fit_hand(subject_mm, real.joints)
        assert np.linalg.norm(fit.joints_mm - subject_mm, axis=-1).mean() < 3.5


def test_a_run_of_nothing_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["pose_check.py"])
    with pytest.raises(InputError, match="--nyu or --icvl"):
        pose_check.main()
