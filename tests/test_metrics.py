"""Metrics against figures worked out by hand, and against those that the field has published."""

import pathlib

import numpy as np
import pytest

from lsps_tf import camera, metrics

PUBLISHED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "published"
NYU_KNOWN = {
    "CVWW15_NYU_Prior.txt": (20.75, 49.24),
    "ICCV15_NYU_Feedback.txt": (15.97, 65.85),
    "IJCAI16_NYU_DeepModel.txt": (17.04, 58.20),
    "ICCVW17_NYU_DeepPrior++.txt": (12.24, 83.53),
}
ICVL_KNOWN = {"CVPR14_LRF_Results.txt": (12.58, 70.86), "IJCAI16_ICVL_DeepModel.txt": (11.56, 84.02)}

# Four frames of two joints; the worst joint of each: 5, 10, 40, 100 mm.
ERRORS_MM = np.array([[5.0, 1.0], [0.0, 10.0], [40.0, 4.0], [20.0, 100.0]])


def test_errors_are_distances_in_3d():
    true_mm = np.array([[[1.0, 2.0, 700.0], [0.0, 0.0, 600.0]]])
    predicted_mm = true_mm + np.array([[3.0, 0.0, -4.0], [2.0, -3.0, 6.0]])
    np.testing.assert_allclose(metrics.joint_errors_mm(predicted_mm, true_mm), [[5.0, 7.0]], rtol=1e-12)


def test_errors_of_float32_are_computed_in_float64():
    true_mm = np.full((1, 1, 3), 1000.0, np.float32)
    assert metrics.joint_errors_mm(true_mm + np.float32(0.25), true_mm).dtype == np.float64


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 2), (1, 3, 3)])
def test_errors_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="same shape"):
        metrics.joint_errors_mm(np.zeros(shape), np.zeros((1, 2, 3)))


def test_means_by_hand():
    assert metrics.mean_joint_error_mm(ERRORS_MM) == pytest.approx(180.0 / 8)
    np.testing.assert_allclose(metrics.per_joint_error_mm(ERRORS_MM), [65.0 / 4, 115.0 / 4])


def test_frames_within_counts_the_worst_joint_and_includes_the_threshold():
    percent = metrics.frames_within_percent(ERRORS_MM, [0.0, 5.0, 9.99, 10.0, 40.0, 99.0, 100.0])
    np.testing.assert_array_equal(percent, [0.0, 25.0, 25.0, 50.0, 75.0, 75.0, 100.0])
    assert metrics.frames_within_percent(ERRORS_MM, 40.0) == 75.0


def test_frames_within_agrees_with_a_loop():
    errors_mm = np.random.default_rng(0).gamma(2.0, 10.0, (50, 14))
    slow = [100.0 * sum(all(e <= d for e in frame) for frame in errors_mm) / 50 for d in range(81)]
    np.testing.assert_allclose(metrics.frames_within_percent(errors_mm), slow, rtol=1e-12)


def test_area_by_hand():
    # Over 0, 10, 20 mm the shares of the frames within are 0, 1/2, 1/2: trapezoids of 2.5 and 5 of 20.
    assert metrics.area_under_curve(ERRORS_MM, [0.0, 10.0, 20.0]) == pytest.approx(7.5 / 20.0)


def test_area_is_one_without_errors_and_zero_beyond_the_curve():
    assert metrics.area_under_curve(np.zeros((3, 2))) == 1.0
    assert metrics.area_under_curve(np.full((3, 2), 80.5)) == 0.0


@pytest.mark.parametrize("thresholds_mm", [[10.0], [0.0, 0.0, 1.0], [5.0, 1.0]])
def test_area_refuses_thresholds_that_do_not_rise(thresholds_mm):
    with pytest.raises(ValueError, match="rising"):
        metrics.area_under_curve(ERRORS_MM, thresholds_mm)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.mean_joint_error_mm,
        metrics.per_joint_error_mm,
        metrics.frames_within_percent,
        metrics.area_under_curve,
    ],
)
def test_no_frames_and_nan_are_refused(metric):
    with pytest.raises(ValueError, match="at least one frame"):
        metric(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="NaN"):
        metric([[1.0, np.nan]])


@pytest.mark.parametrize(
    "dataset, joints, intrinsics, name, known",
    [("nyu", 14, camera.NYU.intrinsics, *item) for item in NYU_KNOWN.items()]
    + [("icvl", 16, camera.ICVL.intrinsics, *item) for item in ICVL_KNOWN.items()],
)
def test_published_results_come_out(dataset, joints, intrinsics, name, known):
    folder = PUBLISHED / dataset
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the published predictions are not part of the project")
    true_mm, predicted_mm = (
        camera.uvd_to_mm(np.loadtxt(folder / file).reshape(-1, joints, 3), intrinsics.astype(np.float64))
        for file in ("groundtruth_uvd.txt", name)
    )
    errors_mm = metrics.joint_errors_mm(predicted_mm, true_mm)
    assert metrics.mean_joint_error_mm(errors_mm) == pytest.approx(known[0], abs=0.01)
    assert metrics.frames_within_percent(errors_mm, 40.0) == pytest.approx(known[1], abs=0.01)
