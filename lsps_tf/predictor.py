"""Depth frames to joints: find the hand, crop, predict, map back. The one path of evaluation, export and demo.

Evaluation starts from a store's crops, which are found and made already: it enters at `Predictor.predict_placed_crops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from lsps_tf import camera, crop, mirror
from lsps_tf.confidence import Confidence
from lsps_tf.hand_finding import search
from lsps_tf.run_folder import Run
from lsps_tf.skeleton import Skeleton


class Located(NamedTuple):
    """Hands in their crops; left ones as right ones in a mirror.

    Attributes:
        image: [B, S, S, 1] in [-1, 1], the network's input.
        center_mm: [B, 3] camera space (of the mirrored view for left hands).
        presence: [B], bool: whether there is a hand.
    """

    image: tf.Tensor
    center_mm: tf.Tensor
    presence: tf.Tensor


class Predictor(tf.Module):
    """P_r = G_y o E_r (section 3) with what stands before and after it.

    Networks know right hands. A left one is shown to them in a mirror, and what they say is mirrored back.

    Attributes:
        joints_of_crop: normalised crops [B, S, S, 1] to joints [B, J, 3] in half cubes.
        image_size: S.
        cube_mm: side of the crop's cube.
        skeleton: of the joints.
        sure_joints_of_crop: the same, and the confidence [B, J] of each joint; None where that is not known.
    """

    def __init__(
        self,
        joints_of_crop: Callable[[tf.Tensor], tf.Tensor],
        image_size: int,
        cube_mm: float,
        skeleton: Skeleton,
        sure_joints_of_crop: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None,
    ):
        super().__init__(name="predictor")
        self.joints_of_crop, self.sure_joints_of_crop = joints_of_crop, sure_joints_of_crop
        self.image_size, self.cube_mm, self.skeleton = image_size, cube_mm, skeleton

    def __call__(
        self,
        depth_mm: tf.Tensor,
        intrinsics: tf.Tensor,
        center_mm: tf.Tensor | None = None,
        left: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Predicts the joints of the nearest hand, or of the one around `center_mm`.

        Args:
            depth_mm: [B, H, W], 0 = no reading.
            intrinsics: [B, 4] fx, fy, cx, cy in pixels.
            center_mm: [B, 3] camera space, NaN where the hand is to be found; None finds all.
            left: [B], bool, which are left hands; None for none.

        Returns:
            As `predict`.
        """
        return self.predict(self.locate(depth_mm, intrinsics, center_mm, left), intrinsics, left)

    def locate(
        self,
        depth_mm: tf.Tensor,
        intrinsics: tf.Tensor,
        center_mm: tf.Tensor | None = None,
        left: tf.Tensor | None = None,
    ) -> Located:
        """Finds and crops hands; arguments as of a call."""
        if left is not None:
            depth_mm, intrinsics = _mirrored_views(depth_mm, intrinsics, left)
            center_mm = None if center_mm is None else _mirrored_points(center_mm, left)
        if center_mm is None:
            center_mm, presence = search.find_hand(depth_mm, intrinsics)
        else:
            center_mm, presence = _find_unknown(depth_mm, intrinsics, center_mm)
        cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, self.cube_mm, self.image_size)
        image = crop.normalize_depth(cropped_mm, center_mm, self.cube_mm)
        return Located(image, center_mm, presence & tf.reduce_any(image < 1.0, axis=(1, 2, 3)))

    def predict(self, located: Located, intrinsics: tf.Tensor, left: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Predicts the joints of located hands.

        Args:
            located: of `locate`.
            intrinsics: [B, 4] of the frames.
            left: [B] as given to `locate`.

        Returns:
            joints_mm [B, J, 3] in camera space, joints_uvd [B, J, 3] (pixels, pixels, mm), center_mm [B, 3], presence
            [B], bool, and, where the predictor knows it, confidence [B, J]. Where presence is False, the others are
            NaN, but the confidence 0.
        """
        crops = self.predict_placed_crops(located.image, located.center_mm, self.cube_mm)
        joints_mm, center_mm = crops["joints_mm"], located.center_mm
        if left is not None:
            joints_mm, center_mm = (_mirrored_points(value, left) for value in (joints_mm, center_mm))
        found = {
            "joints_mm": joints_mm,
            "joints_uvd": camera.mm_to_uvd(joints_mm, intrinsics[:, None, :]),
            "center_mm": center_mm,
        }
        outputs = {name: _where(located.presence, value, float("nan")) for name, value in found.items()}
        if "confidence" in crops:
            outputs["confidence"] = _where(located.presence, crops["confidence"], 0.0)
        return {**outputs, "presence": located.presence}

    def predict_placed_crops(
        self, image: tf.Tensor, center_mm: tf.Tensor, cube_mm: tf.Tensor | float
    ) -> dict[str, tf.Tensor]:
        """Predicts the joints of crops whose place is known.

        Args:
            image: [B, S, S, 1] in [-1, 1].
            center_mm: [B, 3] camera space, the crops' centres.
            cube_mm: [B], or one for all, the side of the crops' cubes.

        Returns:
            joints_mm [B, J, 3] in camera space and, where the predictor knows it, confidence [B, J].
        """
        crops = self.predict_crops(image)
        placed = {"joints_mm": crop.denormalize_joints(crops["joints_norm"], center_mm, cube_mm)}
        return {**placed, **{name: crops[name] for name in ("confidence",) if name in crops}}

    def predict_crops(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """joints_norm [B, J, 3] in half cubes and, where it is known, confidence [B, J], of crops [B, S, S, 1]."""
        if self.sure_joints_of_crop is None:
            return {"joints_norm": self.joints_of_crop(image)}
        joints_norm, confidence = self.sure_joints_of_crop(image)
        return {"joints_norm": joints_norm, "confidence": confidence}


def predictor_of_run(run: Run, confidence: Confidence | None = None) -> Predictor:
    """The predictor of a trained run: with the trunk that its method reads real frames with."""

    def sure_joints(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pose_latent = run.networks.predict_latent(image, run.domain)
        return run.networks.decode_pose(pose_latent), confidence(pose_latent)

    return Predictor(
        lambda image: run.networks.predict_joints(image, run.domain),
        run.config.data.image_size,
        run.config.data.cube_mm,
        run.skeleton,
        None if confidence is None else sure_joints,
    )


def _find_unknown(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The centres that are given, and those of the hands that must be found where one is NaN."""
    known = tf.reduce_all(tf.math.is_finite(center_mm), axis=1)
    found_mm, presence = tf.cond(
        tf.reduce_all(known), lambda: (center_mm, known), lambda: search.find_hand(depth_mm, intrinsics)
    )
    return tf.where(known[:, None], center_mm, found_mm), known | presence


def _mirrored_views(depth_mm: tf.Tensor, intrinsics: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    mirrored = mirror.mirror_intrinsics(intrinsics, tf.shape(depth_mm)[2])
    depth_mm = tf.cond(
        tf.reduce_any(left),
        lambda: tf.where(left[:, None, None], tf.reverse(depth_mm, [2]), depth_mm),
        lambda: depth_mm,
    )
    return depth_mm, tf.where(left[:, None], mirrored, intrinsics)


def _mirrored_points(points_mm: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    return tf.where(_like(left, points_mm), mirror.mirror_points(points_mm), points_mm)


def _where(presence: tf.Tensor, value: tf.Tensor, otherwise: float) -> tf.Tensor:
    return tf.where(_like(presence, value), value, tf.constant(otherwise))


def _like(flags: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    return tf.reshape(flags, [-1] + [1] * (len(value.shape) - 1))
