"""Generated images in a store, seen again as a training sees them."""

import numpy as np
import pytest

from lsps_tf.augment import IMAGE_COLUMNS, view_stored_crops
from lsps_tf.datasets.generated import BACKGROUND, image_to_mm, stored_rows


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    return {
        "joints_mm": random.normal(0, 50, (3, 36, 3)).astype(np.float32),
        "center_mm": random.uniform([-50, -50, 500], [50, 50, 900], (3, 3)).astype(np.float32),
        "cube_mm": np.array([250, 250, 300], np.float32),
        "extent_mm": np.array([375, 375, 450], np.float32),
        "subject": np.arange(3),
        "frame": np.arange(3) + 10,
    }


@pytest.mark.parametrize("size", [32, 64])
def test_a_generated_image_comes_back_from_the_store(rows, size):
    image = np.random.default_rng(1).uniform(-1, 1, (3, size, size)).astype(np.float32)
    made = stored_rows(image, rows)
    seen = view_stored_crops(*(made[name] for name in IMAGE_COLUMNS), size).numpy()[..., 0]
    np.testing.assert_allclose(seen, np.where(image < BACKGROUND, image, 1.0), atol=1e-5)
    np.testing.assert_allclose(made["extent_mm"], rows["extent_mm"])
    for name in ("joints_mm", "center_mm", "cube_mm", "subject", "frame"):
        np.testing.assert_array_equal(made[name], rows[name])


def test_depth_by_hand():
    image = np.array([[[-1.0, 0.0], [0.5, 0.95]]])
    depth_mm = image_to_mm(image, np.array([[0.0, 0.0, 600.0]]), np.array([200.0]))
    np.testing.assert_allclose(depth_mm, [[[500, 600], [650, 0]]])
