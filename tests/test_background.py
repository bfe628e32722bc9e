"""What stands still before a camera: learned, taken away, kept in a file, and refused where there is none."""

import numpy as np
import pytest

from lsps_tf.background import Background, NoBackground, learn_background
from lsps_tf.errors import InputError

H, W, N = 60, 80, 30
ROWS, COLUMNS = np.mgrid[:H, :W]


def table_mm():
    """A slanted table with a box on it."""
    depth_mm = 700.0 + 2.0 * ROWS
    depth_mm[10:25, 50:70] -= 60.0
    return depth_mm


def recording(noise_mm=2.0, camera_mm=0.0, ball=True, holes=0.1):
    """Frames of the table with a ball of 100 mm before it that goes from left to right; and where the ball is."""
    rng = np.random.default_rng(0)
    frames, balls = [], []
    for number in range(N):
        frame = np.roll(table_mm(), round(camera_mm * number), axis=1) + 1.5 * camera_mm * number
        frame = frame + rng.normal(0.0, noise_mm, frame.shape)
        shown = ((ROWS - 35) ** 2 + (COLUMNS - 5 - 2.4 * number) ** 2 < 100) & ball
        frame = np.where(shown, 600.0, frame)
        frames.append(np.where(rng.random(frame.shape) < holes, 0.0, frame).astype(np.float32))
        balls.append(shown)
    return frames, balls


def test_what_stands_still_goes_and_what_moves_stays():
    frames, balls = recording()
    background = learn_background(frames)
    assert np.abs(background.depth_mm - table_mm()).max() < 6.0
    for frame, ball in zip(frames, balls):
        left = background.without(frame)
        np.testing.assert_array_equal(left[ball], frame[ball])
        assert (left[~ball] > 0.0).mean() < 0.02
        assert left.dtype == frame.dtype


def test_a_hand_close_above_the_table_stays():
    frames, _ = recording()
    background = learn_background(frames)
    above = (table_mm() - 16.0).astype(np.float32)
    assert (background.without(above) > 0.0).mean() > 0.9


def test_the_background_of_a_pixel_is_that_of_a_loop():
    frames, _ = recording()
    background, often = learn_background(frames), round(0.25 * N)
    for row, column in ((35, 40), (15, 60), (0, 0)):
        seen = sorted(float(frame[row, column]) for frame in frames)
        spread = [8.0 + 0.01 * value for value in seen]
        windows = [far for far in range(often - 1, N) if 0 < seen[far] - spread[far] <= seen[far - often + 1]]
        surface = [value for value in seen if value >= seen[windows[-1]] - spread[windows[-1]]]
        middle = sorted(surface, reverse=True)[int(np.ceil(0.5 * len(surface))) - 1]
        near = sorted(surface, reverse=True)[int(np.ceil(0.9 * len(surface))) - 1]
        assert background.depth_mm[row, column] == pytest.approx(middle)
        assert background.margin_mm[row, column] == pytest.approx(min(4.0 + 1.5 * (middle - near), 20.0), rel=1e-4)


def test_pixels_without_readings_have_no_background():
    frames, _ = recording(ball=True)
    for frame in frames:
        frame[:, 70:] = 0.0
    background = learn_background(frames)
    assert (background.depth_mm[:, 70:] == 0.0).all()
    moved = frames[0].copy()
    moved[:, 70:] = 5000.0
    assert (background.without(moved)[:, 70:] == 5000.0).all()


def test_nothing_is_learned_of_a_camera_that_moves():
    with pytest.raises(NoBackground, match="nothing stands still"):
        learn_background(recording(camera_mm=25.0)[0])


def test_nothing_is_learned_where_nothing_but_the_hand_is_seen():
    frames, balls = recording(holes=0.0)
    with pytest.raises(NoBackground, match="nothing stands still"):
        learn_background([np.where(ball, frame, 0.0) for frame, ball in zip(frames, balls)])
    with pytest.raises(NoBackground, match="nothing stands still"):
        learn_background(np.zeros([N, H, W]))


def test_nothing_moves():
    still, _ = recording(ball=False)
    with pytest.raises(NoBackground, match="nothing moves"):
        learn_background(still)
    assert learn_background(still, must_move=False).depth_mm.min() > 0.0


def test_too_few_frames():
    with pytest.raises(NoBackground, match="7 frames are too few"):
        learn_background(recording()[0][:7])


def test_it_is_kept_in_a_file(tmp_path):
    path = tmp_path / "background.npz"
    background = learn_background(recording()[0])
    background.save(path)
    loaded = Background.load(path)
    np.testing.assert_allclose(loaded.depth_mm, background.depth_mm, atol=0.5)
    np.testing.assert_allclose(loaded.margin_mm, background.margin_mm, atol=0.5)
    with pytest.raises(InputError, match="80 x 60 pixels, the frame 60 x 80"):
        loaded.without(np.zeros([80, 60], np.float32))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="this is no background"):
        Background.load(path)
    with pytest.raises(InputError, match="there is no such background"):
        Background.load(tmp_path / "none.npz")
