"""Predictions made better where there are some 50 ms: the simulator's hand is fitted to the one frame at hand.

It needs TensorFlow, whatever the model is; this module loads it with the first predictor that refines.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from lsps_tf import mirror
from lsps_tf.camera import mm_to_uvd
from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.errors import InputError
from lsps_tf.hand import Hand
from lsps_tf.hand_predictor import OpenModel, View
from lsps_tf.skeleton import NYU, joints_of

# What a hand leaves unexplained in its image where it is not the hand that is seen there.
_NOT_BELIEVED_MM = 10.0


def refining(model: OpenModel) -> OpenModel:
    """The same model, whose joints are those of a hand that explains the depth around them.

    The confidence stays the model's own. Joints stay, too, where no hand explains the depth.

    Raises:
        InputError: where TensorFlow is not installed.
    """
    fitter = _fitter(joints_of(NYU, model.info.skeleton))

    def predict(view: View) -> list[Hand]:
        return [_refined(hand, view, fitter, model.info.cube_mm) for hand in model.predict(view)]

    return dataclasses.replace(model, predict=predict)


def _refined(hand: Hand, view: View, fitter, cube_mm: float) -> Hand:
    depth_mm, camera, left = view.depth_mm, view.camera, hand.side == "left"
    if left:
        depth_mm, camera = mirror.mirror_depth(depth_mm), mirror.mirror_camera(camera)
    joints_mm, center_mm = (
        mirror.mirror_points(points_mm) if left else points_mm for points_mm in (hand.joints_mm, hand.center_mm)
    )
    if not np.isfinite(joints_mm).all():
        return hand
    cropped_mm = crop_frame(depth_mm, camera.intrinsics, center_mm, cube_mm, fitter.image_size)
    image = normalize_depth(cropped_mm, center_mm, cube_mm)[..., 0]
    fit = fitter.fit(image, center_mm, cube_mm, joints_mm)
    if not fit.residual_mm < _NOT_BELIEVED_MM:
        return hand
    joints_mm = mirror.mirror_points(fit.joints_mm) if left else fit.joints_mm
    return dataclasses.replace(hand, joints_mm=joints_mm, joints_uvd=mm_to_uvd(joints_mm, view.camera.intrinsics))


@functools.lru_cache(maxsize=2)
def _fitter(joints: tuple[int, ...]):
    try:
        from lsps_tf.fitting.one_frame import OneFrameFitter
    except ModuleNotFoundError as error:
        raise InputError(
            f"refine: a hand is fitted with TensorFlow, and '{error.name}' is not installed; pip install "
            "lsps-tf[tensorflow], or predict without refining"
        ) from error
    return OneFrameFitter(joints)
