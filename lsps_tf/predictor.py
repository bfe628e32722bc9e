"""Depth frames to joints: find the hand, crop, predict, map back. The one path of evaluation, export and demo."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lsps_tf import camera, crop, hand_finding
from lsps_tf.run_folder import Run
from lsps_tf.skeleton import Skeleton


class Predictor(tf.Module):
    """P_r = G_y o E_r (section 3) with what stands before and after it.

    Attributes:
        joints_of_crop: normalised crops [B, S, S, 1] to joints [B, J, 3] in half cubes.
        image_size: S.
        cube_mm: side of the crop's cube.
        skeleton: of the joints.
    """

    def __init__(
        self,
        joints_of_crop: Callable[[tf.Tensor], tf.Tensor],
        image_size: int,
        cube_mm: float,
        skeleton: Skeleton,
    ):
        super().__init__(name="predictor")
        self.joints_of_crop = joints_of_crop
        self.image_size, self.cube_mm, self.skeleton = image_size, cube_mm, skeleton

    def __call__(
        self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Predicts the joints of the nearest hand, or of the one around `center_mm`.

        Args:
            depth_mm: [B, H, W], 0 = no reading.
            intrinsics: [B, 4] fx, fy, cx, cy in pixels.
            center_mm: [B, 3] camera space, or None to find the hand.

        Returns:
            joints_mm [B, J, 3] in camera space, joints_uvd [B, J, 3] (pixels, pixels, mm), center_mm [B, 3], and
            presence [B], bool; where it is False, joints_mm, joints_uvd and center_mm are NaN.
        """
        if center_mm is None:
            center_mm, presence = hand_finding.find_hand(depth_mm, intrinsics)
        else:
            presence = tf.ones_like(center_mm[:, 0], tf.bool)
        cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, self.cube_mm, self.image_size)
        joints_mm = self.from_crop(crop.normalize_depth(cropped_mm, center_mm, self.cube_mm), center_mm)
        found = {
            "joints_mm": joints_mm,
            "joints_uvd": camera.mm_to_uvd(joints_mm, intrinsics[:, None, :]),
            "center_mm": center_mm,
        }
        nowhere = tf.constant(float("nan"))
        absent = {name: tf.where(_like(presence, value), value, nowhere) for name, value in found.items()}
        return {**absent, "presence": presence}

    def from_crop(self, image: tf.Tensor, center_mm: tf.Tensor, cube_mm: tf.Tensor | None = None) -> tf.Tensor:
        """Joints [B, J, 3] in mm, camera space, of normalised crops [B, S, S, 1] around `center_mm` [B, 3]."""
        cube_mm = self.cube_mm if cube_mm is None else cube_mm
        return crop.denormalize_joints(self.joints_of_crop(image), center_mm, cube_mm)


def predictor_of_run(run: Run) -> Predictor:
    """The predictor of a trained run: with the trunk that its method reads real frames with."""
    return Predictor(
        lambda image: run.networks.predict_joints(image, run.domain),
        run.config.data.image_size,
        run.config.data.cube_mm,
        run.skeleton,
    )


def _like(presence: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    return tf.reshape(presence, [-1] + [1] * (len(value.shape) - 1))
