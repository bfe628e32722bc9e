import numpy as np
import pytest
from PIL import Image

from lsps_tf import draw
from lsps_tf.skeleton import ICVL, NYU


def hand(skeleton=NYU, middle=200.0, spread=40.0):
    return np.random.default_rng(0).normal(middle, spread, (skeleton.num_joints, 2))


def test_a_joint_lies_on_its_pixel_in_its_finger_s_color():
    joints_uv = np.full((NYU.num_joints, 2), np.nan)
    joints_uv[0] = 300.0, 100.0
    pixels = np.asarray(draw.overlay(np.full((480, 640), 800.0), joints_uv, NYU))
    assert pixels.shape == (480, 640, 3)
    assert tuple(pixels[100, 300]) == draw.FINGER_COLORS["pinky"]
    colored = np.ptp(pixels.astype(int), axis=-1) > 30
    rows, columns = np.nonzero(colored)
    assert colored.any() and abs(rows.mean() - 100) < 1 and abs(columns.mean() - 300) < 1


def test_small_images_are_enlarged_and_joints_with_them():
    joints_uv = np.full((NYU.num_joints, 2), np.nan)
    joints_uv[24] = 10.0, 50.0
    pixels = np.asarray(draw.overlay(np.full((64, 64), 800.0), joints_uv, NYU))
    scale = 6
    assert pixels.shape == (64 * scale, 64 * scale, 3)
    rows, columns = np.nonzero(np.ptp(pixels.astype(int), axis=-1) > 30)
    middle = rows.mean(), columns.mean()
    np.testing.assert_allclose(middle, [(position + 0.5) * scale - 0.5 for position in (50, 10)], atol=1.0)


def test_near_is_brighter_than_far_and_no_reading_is_dark():
    depth_mm = np.zeros((400, 400), np.float32)
    depth_mm[:, :150], depth_mm[:, 150:300] = 500, 560
    joints_uv = np.full((NYU.num_joints, 2), [50.0, 200.0])
    joints_uv[1:] = 290.0, 250.0
    pixels = np.asarray(draw.overlay(depth_mm, joints_uv, NYU)).astype(int).sum(axis=-1)
    near, far, none = pixels[20, 20], pixels[20, 280], pixels[20, 350]
    assert near > far > none and none == sum(draw.BACKGROUND)


def test_labels_are_drawn_as_well():
    depth_mm, joints_uv = np.full((400, 400), 700.0), hand()
    alone = np.asarray(draw.overlay(depth_mm, joints_uv, NYU))
    both = np.asarray(draw.overlay(depth_mm, joints_uv, NYU, hand() + 30.0))
    greenish = (both != alone).any(axis=-1)
    assert greenish.any() and (both[greenish].astype(int)[:, 1] >= both[greenish].astype(int)[:, 2]).mean() > 0.9


@pytest.mark.parametrize("depth_mm", [np.zeros((400, 400)), np.full((400, 400), 900.0)])
def test_joints_outside_the_image_or_without_a_place_do_no_harm(depth_mm):
    joints_uv = hand()
    joints_uv[0], joints_uv[7] = [1e30, -1e30], [np.inf, np.nan]
    assert draw.overlay(depth_mm, joints_uv, NYU).size == (400, 400)
    assert draw.overlay(depth_mm, np.full_like(joints_uv, np.nan), NYU).size == (400, 400)


def test_both_skeletons_can_be_drawn():
    joints_uv = hand(ICVL)
    pixels = np.asarray(draw.overlay(np.full((400, 400), 700.0), joints_uv, ICVL))
    for color in draw.FINGER_COLORS.values():
        assert (pixels == color).all(axis=-1).any(), color


def test_several_hands_each_have_a_color_and_their_side():
    hands_uv = [hand(middle=120.0, spread=25.0), hand(middle=300.0, spread=25.0)]
    depth_mm = np.full((400, 400), 700.0)
    pixels = np.asarray(draw.overlay_hands(depth_mm, hands_uv, ["right", "left"], NYU)).astype(int)
    without = np.asarray(draw.overlay_hands(depth_mm, hands_uv, ["", ""], NYU)).astype(int)
    for joints, color in zip(hands_uv, draw.HAND_COLORS):
        rows, columns = np.nonzero((without == color).all(axis=-1))
        assert len(rows) > 20
        np.testing.assert_allclose([columns.mean(), rows.mean()], joints.mean(axis=0), atol=40.0)
    rows, _ = np.nonzero((pixels != without).any(axis=-1))
    tops = [joints[:, 1].min() for joints in hands_uv]
    assert len(rows) > 100 and all(((rows > top - 30) & (rows < top)).any() for top in tops)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\[36, 2\] are needed"):
        draw.overlay(np.zeros((8, 8)), hand(ICVL), NYU)
    with pytest.raises(ValueError, match="are needed"):
        draw.overlay(np.zeros((8, 8, 1)), hand(), NYU)
    with pytest.raises(ValueError, match=r"\[36, 2\] are needed"):
        draw.overlay_hands(np.zeros((8, 8)), [hand(ICVL)], ["right"], NYU)
    with pytest.raises(ValueError, match="rows of images"):
        draw.picture_grid({"a": np.zeros((8, 8))})
    with pytest.raises(ValueError, match="rows of images"):
        draw.picture_grid({})
    with pytest.raises(ValueError, match="make no sheet"):
        draw.contact_sheet([], [], 3)


def test_a_grid_shows_every_crop_in_its_row():
    first, second = np.ones((3, 32, 32)), np.ones((2, 32, 32))
    first[1] = 0.0
    grid = draw.picture_grid({"first": first, "second": second})
    empty = np.asarray(draw.picture_grid({"first": np.ones((3, 32, 32)), "second": second}))
    changed = (np.asarray(grid) != empty).any(axis=-1)
    rows, columns = np.nonzero(changed)
    # The middle crop of three, enlarged threefold, and nothing else.
    assert changed.sum() == 96 * 96
    assert np.ptp(rows) == np.ptp(columns) == 95
    assert abs(columns.mean() - grid.width / 2) < 2 and rows.max() < grid.height / 2


def test_a_sheet_puts_images_side_by_side_and_then_below():
    images = [Image.new("RGB", (20, 10), (value, 0, 0)) for value in (60, 120, 180)]
    sheet = np.asarray(draw.contact_sheet(images, ["a", "b", "c"], 2))
    places = [np.argwhere((sheet == (value, 0, 0)).all(axis=-1)) for value in (60, 120, 180)]
    assert [len(place) for place in places] == [200, 200, 200]
    (top_a, left_a), (top_b, left_b), (top_c, left_c) = (place.min(axis=0) for place in places)
    assert top_a == top_b < top_c and left_a == left_c < left_b


def test_plots_are_pictures(tmp_path):
    thresholds_mm = np.arange(81.0)
    draw.error_curve({"lsps": (thresholds_mm, np.linspace(0, 100, 81))}, tmp_path / "curve.png")
    draw.joint_bars(["wrist", "thumb_tip"], [3.0, 9.0], tmp_path / "bars.png")
    for name in ("curve.png", "bars.png"):
        with Image.open(tmp_path / name) as picture:
            pixels = np.asarray(picture.convert("L"))
        assert min(pixels.shape) > 150 and (pixels < 200).mean() > 0.01
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars.png", "curve.png"]
