"""What stands still is taken away from live frames: learned from the first seconds, or loaded."""

import numpy as np
import pytest

from export.device.live_background import LiveBackground
from lsps_tf.background import Background
from lsps_tf.errors import InputError
from lsps_tf.rotation import rotate_depth

TABLE_MM = np.fromfunction(lambda row, column: 800.0 + row + 2.0 * column, (30, 40), dtype=np.float32)


def frame(number, moves=0.0):
    noise_mm = np.random.default_rng(number).normal(0.0, 1.0, TABLE_MM.shape)
    return (TABLE_MM + moves * number + noise_mm).astype(np.float32)


def with_hand(number):
    depth_mm = frame(number)
    depth_mm[10:20, 10:20] = 600.0
    return depth_mm


def test_it_is_learned_from_the_first_seconds(capsys):
    live = LiveBackground("2")
    for number in range(61):
        np.testing.assert_array_equal(live(frame(number), number / 30), frame(number))
    assert capsys.readouterr().err == "Background: learned from the first 2 s\n"
    left = live(with_hand(70), 70 / 30)
    assert (left[10:20, 10:20] == 600.0).all() and (left > 0.0).mean() < 0.12
    with pytest.raises(InputError, match="learn it again"):
        live(np.zeros([40, 30], np.float32), 3.0)


def test_a_camera_that_moves_goes_on_without(capsys):
    live = LiveBackground("1")
    for number in range(40):
        seen = frame(number, moves=20.0)
        np.testing.assert_array_equal(live(seen, number / 30), seen)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "nothing stands still" in said and "going on without" in said


def test_one_that_was_kept_stands_upright(tmp_path):
    path = tmp_path / "background.npz"
    Background(rotate_depth(TABLE_MM, 90), np.full(TABLE_MM.T.shape, 10.0, np.float32)).save(path)
    left = LiveBackground(str(path), 90)(with_hand(1), 0.0)
    assert (left[10:20, 10:20] == 600.0).all() and (left > 0.0).mean() < 0.12


@pytest.mark.parametrize("asked", ["0", "1e9", "nan", "no.npz"])
def test_mistakes_are_named(asked):
    with pytest.raises(InputError, match="no such background" if asked == "no.npz" else "give the seconds"):
        LiveBackground(asked)
