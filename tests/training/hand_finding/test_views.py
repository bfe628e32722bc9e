"""Views for the hand finder's training: their labels are of what they show, also when they are turned and mirrored."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import rotation
from lsps_tf.hand_finding.constants import FRAME_HEIGHT, FRAME_WIDTH
from lsps_tf.simulation import shape
from training.hand_finding import view_changes
from training.hand_finding.views import VIEW_SIZE, make_views

COUNT = 48


@pytest.fixture(scope="module")
def views():
    subjects = shape.sample_shape(tf.constant([1, 2]), 3)
    return make_views("time-of-flight", subjects, COUNT, tf.constant([5, 6]))


def nearby(depth_mm, intrinsics, point_mm):
    """The readings within 6 pixels of a point's."""
    (x, y, z), (fx, fy, cx, cy) = point_mm, intrinsics
    u, v = round(fx * x / z + cx), round(fy * y / z + cy)
    window = depth_mm[max(v - 6, 0) : v + 7, max(u - 6, 0) : u + 7]
    return window[window > 0]


def share_on_surface(depth_mm, intrinsics, middle_mm, clear):
    """Of the clear hands, how many have a reading a hand's thickness from their middle."""
    hits = [
        np.abs(nearby(depth_mm[n], intrinsics[n], middle_mm[n, k]) - middle_mm[n, k, 2]).min(initial=1e3) < 50.0
        for n, k in np.argwhere(clear)
    ]
    return np.mean(hits)


def clear_hands(pixels, share):
    return (pixels.numpy() > 60) & (share.numpy() > 0.6)


def test_hands_are_where_the_labels_say(views):
    assert views.depth_mm.shape == (COUNT, VIEW_SIZE, VIEW_SIZE)
    clear = clear_hands(views.pixels, views.share)
    assert clear.sum() > 8
    arguments = views.intrinsics.numpy(), views.middle_mm.numpy(), clear
    assert share_on_surface(views.depth_mm.numpy(), *arguments) > 0.85
    # Not in another's view.
    assert share_on_surface(np.roll(views.depth_mm.numpy(), 1, axis=0), *arguments) < 0.6


def test_some_views_have_no_hand_and_some_two(views):
    there = views.middle_mm.numpy()[..., 2] < 1e5
    assert 0.05 < np.mean(~there[:, 0]) < 0.45 and 0.02 < np.mean(there[:, 1]) < 0.5
    assert not views.pixels.numpy()[~there].any() and not views.share.numpy()[~there].any()
    assert np.all(views.right.numpy()[:, 0]) and not np.all(views.right.numpy()[:, 1])


def test_turned_and_mirrored_views_show_their_hands_still(views):
    for number in range(6):
        frames = view_changes.augmented(views, tf.constant([number, 9]))
        assert frames.depth_mm.shape == (COUNT, FRAME_HEIGHT, FRAME_WIDTH)
        fx, fy, cx, cy = frames.intrinsics.numpy().T[:, :, None]
        x, y, z = np.moveaxis(frames.middle_mm.numpy(), -1, 0)
        u, v = fx * x / z + cx, fy * y / z + cy
        inside = (u > 8) & (u < 100) & (v > 8) & (v < 80)
        clear = clear_hands(frames.pixels, frames.share) & inside
        shown = share_on_surface(frames.depth_mm.numpy(), frames.intrinsics.numpy(), frames.middle_mm.numpy(), clear)
        assert not clear.any() or shown > 0.7
        changed = frames.right.numpy() != views.right.numpy()
        assert np.array_equal(changed[:, 0], changed[:, 1]) and 0.2 < changed[:, 0].mean() < 0.8


@pytest.mark.parametrize("quarters", range(4))
def test_turns_are_those_of_frames(views, quarters):
    given = views.depth_mm, views.middle_mm[:, 0], views.middle_mm
    depth_mm, center_mm, middle_mm = view_changes.turn_views(*given, tf.constant(quarters))
    np.testing.assert_array_equal(depth_mm, rotation.rotate_depth(views.depth_mm.numpy(), 90 * quarters))
    for turned, point_mm in ((center_mm, given[1]), (middle_mm, given[2])):
        np.testing.assert_array_equal(turned, rotation.rotate_points(point_mm.numpy(), 90 * quarters))
