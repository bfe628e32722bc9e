"""Depth frames to joints: find the hands, crop, predict, map back. The one path of evaluation, export and demo.

Evaluation starts from a store's crops, which are found and made already: it enters at `Predictor.predict_placed_crops`.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lsps_tf import camera, crop, mirror
from lsps_tf.confidence import Confidence
from lsps_tf.crop_predictor import CropPredictor, Located, like
from lsps_tf.hand_finding import center_of_mass, search
from lsps_tf.hand_finding.constants import CROP_LOGIT
from lsps_tf.hand_finding.search import FoundHands
from lsps_tf.model_info import JOINTS, MASS
from lsps_tf.run_folder import Run
from lsps_tf.skeleton import Skeleton

_NOWHERE_MM = (0.0, 0.0, 1000.0)


class Predictor(tf.Module):
    """P_r = G_y o E_r (section 3) with what stands before and after it.

    Attributes:
        crops: the network, with what tells the side of hands.
        image_size: S.
        cube_mm: side of the crop's cube.
        skeleton: of the joints.
        centering: what the crop of a found hand is centred on, "mass" or "joints" (`model_info.CENTERINGS`). A centre
            that is given is taken as it is.
    """

    def __init__(
        self,
        joints_of_crop: Callable[..., tf.Tensor],
        image_size: int,
        cube_mm: float,
        skeleton: Skeleton,
        sure_joints_of_crop: Callable[..., tuple[tf.Tensor, tf.Tensor]] | None = None,
        centering: str = MASS,
        first_look: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ):
        """Args: the functions as of `CropPredictor`, the others as the attributes."""
        super().__init__(name="predictor")
        self.centering = centering
        self.crops = CropPredictor(joints_of_crop, cube_mm, skeleton, sure_joints_of_crop, first_look)
        self.image_size, self.cube_mm, self.skeleton = image_size, cube_mm, skeleton

    def __call__(
        self,
        depth_mm: tf.Tensor,
        intrinsics: tf.Tensor,
        center_mm: tf.Tensor | None = None,
        hand: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Predicts the joints of the nearest hand, or of the one around `center_mm`.

        Args:
            depth_mm: [B, H, W], 0 = no reading.
            intrinsics: [B, 4] fx, fy, cx, cy in pixels.
            center_mm: [B, 3] camera space, NaN where the hand is to be found; None finds all.
            hand: [B], string, which hand it is: "right", "left", or "auto" to have it told; None for "auto".

        Returns:
            As `predict`.
        """
        return self.predict(self.locate(depth_mm, intrinsics, center_mm, hand), intrinsics)

    def predict_hands(
        self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, count: int, hand: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Predicts the joints of the `count` nearest hands; arguments and results as of a call, but [B, count]."""
        return self.predict(self.locate_hands(depth_mm, intrinsics, count, hand), intrinsics)

    def locate(
        self,
        depth_mm: tf.Tensor,
        intrinsics: tf.Tensor,
        center_mm: tf.Tensor | None = None,
        hand: tf.Tensor | None = None,
    ) -> Located:
        """Finds and crops one hand in each frame; arguments as of a call."""
        if center_mm is None:
            found = self._centered(depth_mm, intrinsics, _nearest(search.find_hands(depth_mm, intrinsics, 1)))
        else:
            found = self._find_unknown(depth_mm, intrinsics, center_mm, hand)
        return self._cropped(depth_mm, intrinsics, found, hand)

    def locate_hands(
        self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, count: int, hand: tf.Tensor | None = None
    ) -> Located:
        """Finds and crops the `count` nearest hands of each frame, which may show fewer; arguments as of a call."""
        found = search.find_hands(depth_mm, intrinsics, count)
        each = [
            self._cropped(depth_mm, intrinsics, self._centered(depth_mm, intrinsics, one), hand)
            for one in (FoundHands(*(part[:, number] for part in found)) for number in range(count))
        ]
        return Located(*(tf.stack(parts, axis=1) for parts in zip(*each)))

    def _centered(self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, found: FoundHands) -> FoundHands:
        """Found hands, one in each frame, with the centres that the network was trained on."""
        if self.centering == JOINTS:
            return found
        return found._replace(center_mm=center_of_mass.center_of_mass(depth_mm, intrinsics, found.center_mm))

    def _find_unknown(
        self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor, hand: tf.Tensor | None
    ) -> FoundHands:
        """The hands around the centres that are given, and those that must be found where one is NaN."""
        known = tf.reduce_all(tf.math.is_finite(center_mm), axis=1)
        said = tf.zeros_like(known) if hand is None else tf.not_equal(hand, mirror.AUTO)
        given = FoundHands(center_mm, known, tf.zeros_like(center_mm[:, 0]))

        def find() -> FoundHands:
            return self._centered(depth_mm, intrinsics, _nearest(search.find_hands(depth_mm, intrinsics, 1)))

        def look() -> tf.Tensor:
            _, is_hand, right = search.judge_hand(
                depth_mm, intrinsics, tf.where(known[:, None], center_mm, _NOWHERE_MM)
            )
            return tf.where(~said & (is_hand > CROP_LOGIT), right, 0.0)

        found = tf.cond(tf.reduce_all(known), lambda: given, find)
        right = tf.cond(tf.reduce_any(known & ~said), look, lambda: given.right)
        return FoundHands(
            tf.where(known[:, None], center_mm, found.center_mm),
            known | found.presence,
            tf.where(known, right, found.right),
        )

    def _cropped(
        self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, found: FoundHands, hand: tf.Tensor | None
    ) -> Located:
        cropped_mm = crop.crop_frame(depth_mm, intrinsics, found.center_mm, self.cube_mm, self.image_size)
        image = crop.normalize_depth(cropped_mm, found.center_mm, self.cube_mm)
        presence = found.presence & tf.reduce_any(image < 1.0, axis=(1, 2, 3))
        hand = tf.fill(tf.shape(presence), mirror.AUTO) if hand is None else hand
        return Located(image, found.center_mm, presence, found.right, hand)

    def predict(self, located: Located, intrinsics: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predicts the joints of located hands.

        Args:
            located: of `locate`, or of `locate_hands`.
            intrinsics: [B, 4] of the frames.

        Returns:
            joints_mm [B, J, 3] in camera space, joints_uvd [B, J, 3] (pixels, pixels, mm), center_mm [B, 3],
            right_logit [B], presence [B], bool, hand [B], string, and, where the predictor knows it, confidence
            [B, J]. Where presence is False, the others are NaN, but the confidence 0 and the hand "". Of N hands in
            each frame it is [B, N] for [B].
        """
        several, seen = located.presence.shape[1:], self.crops.look(located)
        joints_norm = seen.crops["joints_norm"]
        joints_norm = tf.where(like(seen.left, joints_norm), mirror.mirror_points(joints_norm), joints_norm)
        joints_mm = 0.5 * self.cube_mm * joints_norm + located.center_mm[..., None, :]
        found = {
            "joints_mm": joints_mm,
            "joints_uvd": camera.mm_to_uvd(joints_mm, tf.reshape(intrinsics, [-1, *(1 for _ in several), 1, 4])),
            "center_mm": located.center_mm,
            "right_logit": seen.right_logit,
        }
        outputs = {name: _where(located.presence, value, float("nan")) for name, value in found.items()}
        outputs["hand"] = _where(located.presence, tf.where(seen.left, "left", "right"), "")
        if "confidence" in seen.crops:
            outputs["confidence"] = _where(located.presence, seen.crops["confidence"], 0.0)
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
        crops = self.crops.predict(image)
        placed = {"joints_mm": crop.denormalize_joints(crops["joints_norm"], center_mm, cube_mm)}
        return {**placed, **{name: crops[name] for name in ("confidence",) if name in crops}}


def predictor_of_run(run: Run, confidence: Confidence | None = None) -> Predictor:
    """The predictor of a trained run: with the trunk that its method reads real frames with."""

    networks, domain = run.networks, run.domain

    def joints(image: tf.Tensor, *first_joints: tf.Tensor) -> tf.Tensor:
        return networks.decode_pose(networks.predict_latent(image, domain, *first_joints))

    def sure_joints(image: tf.Tensor, *first_joints: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pose_latent = networks.predict_latent(image, domain, *first_joints)
        return networks.decode_pose(pose_latent), confidence(pose_latent)

    def first_look(image: tf.Tensor) -> tf.Tensor:
        return networks.decode_pose(networks.predict_once(image, domain))

    return Predictor(
        joints,
        run.config.data.image_size,
        run.config.data.cube_mm,
        run.skeleton,
        None if confidence is None else sure_joints,
        run.settings.centering,
        first_look if run.config.network.turns > 1 else None,
    )


def _nearest(found: FoundHands) -> FoundHands:
    """The first of the hands in each frame, [B] of [B, N]."""
    return FoundHands(*(part[:, 0] for part in found))


def _where(presence: tf.Tensor, value: tf.Tensor, otherwise: float | str) -> tf.Tensor:
    return tf.where(like(presence, value), value, tf.constant(otherwise))
