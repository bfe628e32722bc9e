"""How much a prediction explains: in a graph and in NumPy against a loop over points and bones."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop, mirror
from lsps_tf.device import fit as device_fit
from lsps_tf.hand import right_logit
from lsps_tf.hand_finding import constants, fit
from lsps_tf.skeleton import ICVL, NYU
from tests.scene_frames import CAMERA, hand_frames

RNG = np.random.default_rng(8)
CUBE_MM, SIZE = 300.0, 48


@pytest.fixture(scope="module")
def crops():
    """Crops of simulated hands, around their joints' mean, with their joints in half cubes."""
    depth_mm, joints_mm = (value[:3] for value in hand_frames("bare"))
    center_mm = joints_mm.mean(axis=1).astype(np.float32)
    intrinsics = np.tile(CAMERA.intrinsics, (3, 1))
    cropped_mm = crop.crop_frame(tf.constant(depth_mm), tf.constant(intrinsics), tf.constant(center_mm), CUBE_MM, 96)
    image = crop.normalize_depth(cropped_mm, tf.constant(center_mm), CUBE_MM).numpy()
    return image, center_mm, ((joints_mm - center_mm[:, None]) / (0.5 * CUBE_MM)).astype(np.float32)


def by_loops(image, center_mm, joints_norm, bones):
    """One crop, in camera space."""
    size = len(image)
    skin_mm = []
    for first, last in bones:
        for number in range(constants.BONE_POINTS):
            share = (number + 0.5) / constants.BONE_POINTS
            point = center_mm + 0.5 * CUBE_MM * ((1 - share) * joints_norm[first] + share * joints_norm[last])
            skin_mm.append(point - [0.0, 0.0, constants.SKIN_MM])
    near = []
    start, step = constants.FIT_STEP_PX // 2, constants.FIT_STEP_PX
    for row in range(start, size, step):
        for column in range(start, size, step):
            if image[row, column, 0] == 1.0:
                continue
            z = center_mm[2] + 0.5 * CUBE_MM * image[row, column, 0]
            ray = (center_mm[:2] + (np.array([column + 0.5, row + 0.5]) / size - 0.5) * CUBE_MM) / center_mm[2]
            point = np.array([*(ray * z), z])
            if np.linalg.norm(point - center_mm) < constants.FIT_REACH_MM:
                nearest = min(np.linalg.norm(point - each) for each in skin_mm)
                near.append(max(1.0 - (nearest / constants.UNEXPLAINED_MM) ** 2, 0.0))
    return np.mean(near) if near else 0.0


@pytest.mark.parametrize("skeleton", [NYU, ICVL], ids=lambda skeleton: skeleton.name)
def test_it_is_the_mean_over_points_of_how_near_bones_are(skeleton):
    # Something is measured in half of the pixels, but nothing in the last crop.
    image = RNG.uniform(-0.4, 0.4, (4, SIZE, SIZE, 1)).astype(np.float32)
    image[RNG.random(image.shape) < 0.5] = 1.0
    image[3] = 1.0
    center_mm = np.float32([[0, 0, 500], [-250, 80, 700], [90, -200, 350], [0, 0, 600]])
    joints_norm = RNG.uniform(-0.4, 0.4, (4, skeleton.num_joints, 3)).astype(np.float32)
    expected = [by_loops(*each, skeleton.bones) for each in zip(image.astype(float), center_mm, joints_norm)]
    assert expected[3] == 0.0 and min(expected[:3]) > 0.02 and np.ptp(expected[:3]) > 0.01
    inputs = image, center_mm, joints_norm
    in_graph = fit.explained(*map(tf.constant, inputs[:2]), CUBE_MM, tf.constant(joints_norm), skeleton.bones)
    np.testing.assert_allclose(in_graph, expected, atol=1e-4)
    alone = [device_fit.explained(i, c, CUBE_MM, j, skeleton.bones) for i, c, j in zip(*inputs)]
    np.testing.assert_allclose(alone, expected, atol=1e-4)


def test_a_hand_is_explained_by_its_own_joints_and_not_by_those_of_its_mirror_image(crops):
    image, center_mm, joints_norm = map(tf.constant, crops)
    own, other = (
        fit.explained(image, center_mm, CUBE_MM, joints, NYU.bones).numpy()
        for joints in (joints_norm, mirror.mirror_points(joints_norm))
    )
    assert own.min() > 0.5 and (other < own - 0.1).all()


def test_in_a_mirror_it_is_the_same(crops):
    image, center_mm, joints_norm = crops
    for number in range(len(image)):
        own, mirrored = (
            device_fit.explained(*view, NYU.bones)
            for view in (
                (image[number], center_mm[number], CUBE_MM, joints_norm[number]),
                (
                    mirror.mirror_crop(image[number]),
                    mirror.mirror_points(center_mm[number]),
                    CUBE_MM,
                    mirror.mirror_points(joints_norm[number]),
                ),
            )
        )
        assert own == pytest.approx(mirrored, abs=1e-5)


def test_the_side_that_explains_more_wins_where_the_finder_is_not_sure():
    assert right_logit(0.0, 0.6, 0.4) == -right_logit(0.0, 0.4, 0.6) > 1.0
    assert right_logit(-2.0, 0.5, 0.5) < -1.0
    # Little is told where neither explains much.
    assert right_logit(0.0, 0.3, 0.1) < 0.5 * right_logit(0.0, 0.6, 0.4)
    logits = right_logit(np.float32([1.0, -1.0]), 0.5, np.float32([0.6, 0.4]))
    np.testing.assert_allclose(logits, [1.14 - 17.0 * 0.11, -1.14 + 17.0 * 0.09], rtol=1e-5)
