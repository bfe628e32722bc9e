import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.simulation import kinematics, scenes, shape
from tests.scene_frames import CAMERA, SENSOR

SEED = tf.constant([4, 9])
HAND = kinematics.pose_hand(*scenes.draw_hands(SENSOR, shape.canonical_shape(), 3, SEED))


def rendered(kind):
    return scenes.render_scene(kind, HAND, CAMERA, SEED).numpy()


@pytest.mark.parametrize("kind", scenes.HAND_SCENES[1:])
def test_what_is_added_stands_behind_the_hand(kind):
    alone, scene = rendered("bare"), rendered(kind)
    hand = alone > 0
    # A person's upper arm begins at the elbow, and shows before it in a few pixels.
    assert np.isclose(scene[hand], alone[hand], rtol=1e-6).mean() >= (0.99 if kind == "person" else 1.0)
    added = (scene > 0) & ~hand
    assert added.mean() > 0.02
    for depth_mm, was, joints_mm in zip(scene, added, HAND.joints_mm.numpy()):
        if kind == "wall":
            assert depth_mm[was].min() > joints_mm[:, 2].max()


def test_a_table_is_a_plane_clear_of_the_hand():
    depth_mm = rendered("table")
    points_mm = crop.depth_to_points(depth_mm, np.repeat(CAMERA.intrinsics[None], 3, axis=0)).numpy()
    alone = rendered("bare")
    for points, plane in zip(points_mm, (alone == 0) & (depth_mm > 0)):
        flat = points[plane]
        center = flat.mean(axis=0)
        normal = np.linalg.svd(flat - center, full_matrices=False)[2][2]
        assert np.abs((flat - center) @ normal).max() < 0.5


def test_a_person_s_arm_goes_on_to_the_shoulder():
    body_mm, radii_mm = scenes.body_of(HAND, SEED)
    assert body_mm.shape == (3, 6, 3) and radii_mm.shape == (3, 6)
    assert np.all(body_mm[:, 0, 2] >= tf.reduce_max(HAND.joints_mm[..., 2], axis=1) + 199.0)


@pytest.mark.parametrize("kind", scenes.EMPTY_SCENES)
def test_scenes_without_a_hand_hold_what_they_say(kind):
    depth_mm = scenes.render_empty(kind, 3, CAMERA, SEED).numpy()
    assert depth_mm.shape == (3, CAMERA.height, CAMERA.width)
    assert (depth_mm > 0).mean() == 0.0 if kind == "nothing" else (depth_mm > 0).mean() > 0.4
