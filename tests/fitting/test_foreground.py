import numpy as np
import pytest

from lsps_tf.fitting import foreground

S = 64
# Points of a crop of 256 mm seen from far away, so that pixels are 4 mm wide everywhere.
X, Y = np.meshgrid(np.linspace(-126, 126, S), np.linspace(-126, 126, S))
NEAR = np.hypot(X, Y) < 45.0


def points(z):
    return np.stack([X, Y, np.broadcast_to(z, X.shape)], axis=-1).astype(np.float32)


def scene(slope, gap_mm, hand_mm=20.0, noise_mm=1.0):
    """A dome, as a hand might be, over a table that lies `gap_mm` beneath its rim."""
    table = slope * X + hand_mm + gap_mm
    dome = slope * X - hand_mm * np.sqrt(np.clip(1.0 - (X**2 + Y**2) / 45.0**2, 0.0, None))
    z = np.where(NEAR, dome, table) + np.random.default_rng(0).normal(0, noise_mm, X.shape)
    joints = np.stack([v[NEAR][::7] for v in (X, Y, slope * X - 0.5 * hand_mm)], axis=-1)
    return points(z), joints


@pytest.mark.parametrize("slope", [0.0, 0.5, -1.0])
@pytest.mark.parametrize("gap_mm", [0.0, 40.0])
def test_a_table_goes_and_the_hand_on_it_stays(slope, gap_mm):
    points_mm, joints_mm = scene(slope, gap_mm)
    shown, rng = np.ones([S, S], bool), np.random.default_rng(1)
    flat = foreground.flat_surroundings(points_mm, shown, NEAR, joints_mm, rng)
    assert flat[~NEAR].mean() > 0.97 and flat[np.hypot(X, Y) < 38.0].mean() < 0.02


def test_a_table_and_the_wall_behind_it_both_go():
    points_mm, joints_mm = scene(0.0, 10.0)
    wall = ~NEAR & (Y < -60.0)
    points_mm[wall, 2] = 110.0 + 0.3 * X[wall]
    shown, rng = np.ones([S, S], bool), np.random.default_rng(1)
    flat = foreground.flat_surroundings(points_mm, shown, NEAR, joints_mm, rng)
    assert flat[~NEAR].mean() > 0.95 and flat[np.hypot(X, Y) < 38.0].mean() < 0.02


def test_a_flat_hand_is_no_table():
    hand = (np.abs(X) < 45.0) & (np.abs(Y) < 95.0)
    joints_mm = np.stack([v[hand][::30] for v in (X, Y, np.full_like(X, 10.0))], axis=-1)
    # Half of it is where the prediction has no hand.
    near, rng = hand & (Y > 0.0), np.random.default_rng(1)
    assert not foreground.flat_surroundings(points(0.0), hand, near, joints_mm, rng).any()


def test_what_can_be_the_hand_is_near_to_it_and_on_no_table():
    points_mm, joints_mm = scene(0.2, 30.0)
    distance_mm = np.maximum(np.hypot(X, Y) - 45.0, 0.0)
    shown = np.ones([S, S], bool)
    shown[:, :20] = False
    found = foreground.can_be_hand(points_mm[None], shown[None], distance_mm[None], joints_mm[None], seed=0)[0]
    assert not found[distance_mm >= foreground.NEAR_MM].any() and not found[~shown].any()
    assert found[shown & (np.hypot(X, Y) < 38.0)].mean() > 0.98
    assert found[shown & ~NEAR].mean() < 0.02
    again = foreground.can_be_hand(points_mm[None], shown[None], distance_mm[None], joints_mm[None], seed=0)[0]
    np.testing.assert_array_equal(found, again)
