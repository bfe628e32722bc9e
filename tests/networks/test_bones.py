"""Maps of bones against a loop over pixels and bones, and against the crop's pinhole."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera, crop
from lsps_tf.config import BONES
from lsps_tf.errors import InputError
from lsps_tf.networks.bone_mapping import PERSPECTIVE, BoneMapping, bones_of
from lsps_tf.networks.bones import SIGMA, draw_bones
from lsps_tf.presets import PRESETS
from lsps_tf.skeleton import ICVL, NYU

TINY = PRESETS["tiny"].network


def looped(joints, bones, size, perspective):
    """Each pixel's nearest point on each bone, found among 4,001 points of it."""
    maps = np.zeros((len(joints), size, size, 2 * len(bones)))
    for hand, own in enumerate(joints):
        seen = [np.array([x / (1 + perspective * z), y / (1 + perspective * z), z]) for x, y, z in own]
        for number, (start, end) in enumerate(bones):
            points = seen[start] + np.linspace(0, 1, 4001)[:, None] * (seen[end] - seen[start])
            for row in range(size):
                for column in range(size):
                    pixel = [2 * (column + 0.5) / size - 1, 2 * (row + 0.5) / size - 1]
                    distance = np.linalg.norm(points[:, :2] - pixel, axis=1)
                    spread, depth = math.exp(-(distance.min() ** 2) / (2 * SIGMA**2)), points[distance.argmin(), 2]
                    maps[hand, row, column, [number, len(bones) + number]] = spread, spread * depth
    return maps


@pytest.mark.parametrize("perspective", [0.0, 0.3])
def test_maps_equal_loops(perspective):
    joints = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 4, 3)).astype(np.float32)
    # A bone towards the camera, whose ends show at one place, and one of no length.
    joints[1, 1] = [*joints[1, 0, :2], 0.7] if perspective == 0 else joints[1, 0]
    bones = ((0, 1), (1, 2), (0, 3))
    drawn = draw_bones(tf.constant(joints), bones, 8, perspective)
    np.testing.assert_allclose(drawn[..., :3], looped(joints, bones, 8, perspective)[..., :3], atol=1e-4)
    chosen = [3, 4, 5] if perspective else [4, 5]  # whose depth is that of one point
    np.testing.assert_allclose(
        drawn.numpy()[..., chosen], looped(joints, bones, 8, perspective)[..., chosen], atol=2e-3
    )


def test_bones_lie_where_the_crop_shows_them():
    """The brightest pixel of a point is the one that the pinhole of a centred crop gives."""
    center_mm, cube_mm, size = tf.constant([[0.0, 0.0, 500.0]]), 250.0, 64
    joints = tf.constant([[[0.6, -0.3, 0.5], [-0.7, 0.4, -0.6]]])
    drawn = draw_bones(joints, ((0, 0), (1, 1)), size, 0.5 * cube_mm / 500.0)[0].numpy()
    joints_mm = crop.denormalize_joints(joints, center_mm, tf.constant([cube_mm]))
    intrinsics = crop.crop_intrinsics(center_mm, tf.constant([cube_mm]), size)
    expected = camera.mm_to_uvd(joints_mm, intrinsics[:, None])[0, :, :2].numpy()
    for number in range(2):
        row, column = np.unravel_index(drawn[..., number].argmax(), (size, size))
        assert np.abs([column, row] - expected[number]).max() <= 0.5 + 1e-3


def test_a_pixels_gradient_pulls_the_bone_towards_it():
    joints, goal = tf.Variable([[[0.2, 0.1, 0.0]]]), tf.constant([[[0.3, 0.0, 0.4]]])
    wanted = draw_bones(goal, ((0, 0),), 16, 0.2)
    optimizer = tf.keras.optimizers.legacy.Adam(0.02)
    for _ in range(120):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((draw_bones(joints, ((0, 0),), 16, 0.2) - wanted) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, joints), joints)])
    np.testing.assert_allclose(joints, goal, atol=0.02)


def test_joints_behind_the_camera_give_numbers():
    joints = tf.constant([[[0.5, 0.5, -9.0], [0.0, 0.0, 0.0]]])
    assert np.isfinite(draw_bones(joints, ((0, 1),), 8, 0.3)).all()


def test_the_mapping_is_a_function_of_the_decoded_joints_and_owns_no_weight_of_the_decoder():
    decoder = tf.keras.layers.Dense(3 * TINY.num_joints)
    mapping = BoneMapping(TINY, 32, 1, lambda code: tf.reshape(decoder(code), (-1, TINY.num_joints, 3)))
    code = tf.constant(np.random.default_rng(1).normal(size=(2, TINY.pose_latent)), tf.float32)
    output = mapping(code)
    assert output.shape == (2, 8, 8, TINY.encoder_widths[-1]) and TINY.mapping == BONES
    assert not {v.ref() for v in decoder.variables} & {v.ref() for v in mapping.variables}
    assert float(mapping.perspective) == np.float32(PERSPECTIVE)
    drawn = draw_bones(mapping.decode(code), NYU.bones, 16, PERSPECTIVE)
    np.testing.assert_array_equal(output, mapping.layers_in_order(drawn))


def test_bones_are_those_of_the_layout_with_so_many_joints():
    assert bones_of(36) == NYU.bones and bones_of(16) == ICVL.bones
    with pytest.raises(InputError, match="not of 21; take --mapping code"):
        bones_of(21)
