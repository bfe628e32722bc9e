"""The SavedModel: from whole frames to joints for TensorFlow Serving, and from crops for those who find hands alone."""

from __future__ import annotations

import errno
import os
import pathlib
import tempfile

import tensorflow as tf

from export.metadata import ASSET_NAME, ModelInfo
from lsps_tf.files import atomic_path
from lsps_tf.predictor import Predictor, predictor_of_run
from lsps_tf.run_folder import Run

MODEL_NAME = "lsps"
VERSION = "1"
FROM_FRAME = "serving_default"
FROM_CENTER = "from_center"
FROM_CROP = "from_crop"

_DEPTH = tf.TensorSpec([None, None, None], tf.float32, "depth_mm")
_INTRINSICS = tf.TensorSpec([None, 4], tf.float32, "intrinsics")
_CENTER = tf.TensorSpec([None, 3], tf.float32, "center_mm")


class _Servable(tf.Module):
    """Holds the three functions that become signatures, the variables that they read, and the description."""

    def __init__(self, run: Run, predictor: Predictor, info_path: pathlib.Path):
        super().__init__(name="lsps")
        self.deployed = deployed_variables(run)
        self.info = tf.saved_model.Asset(str(info_path))
        size = run.config.data.image_size
        image = tf.TensorSpec([None, size, size, 1], tf.float32, "image")
        self.from_frame = tf.function(lambda depth_mm, intrinsics: predictor(depth_mm, intrinsics, None))
        self.from_center = tf.function(
            lambda depth_mm, intrinsics, center_mm: predictor(depth_mm, intrinsics, center_mm)
        )
        self.from_crop = tf.function(lambda image: {"joints_norm": run.networks.predict_joints(image, run.domain)})
        self.signatures_by_name = {
            FROM_FRAME: self.from_frame.get_concrete_function(_DEPTH, _INTRINSICS),
            FROM_CENTER: self.from_center.get_concrete_function(_DEPTH, _INTRINSICS, _CENTER),
            FROM_CROP: self.from_crop.get_concrete_function(image),
        }


def export_saved_model(run: Run, directory: str | pathlib.Path) -> pathlib.Path:
    """Writes `directory`/lsps/1, the layout of TensorFlow Serving.

    Signatures, all with a dynamic batch:
        serving_default: depth_mm [B, H, W] in mm and intrinsics [B, 4] in pixels, to joints_mm [B, J, 3],
            joints_uvd [B, J, 3], center_mm [B, 3] and presence [B].
        from_center: the same with the hand's center_mm [B, 3] given.
        from_crop: image [B, S, S, 1] in [-1, 1] to joints_norm [B, J, 3] in half cubes.
    The asset `lsps.json` describes the skeleton, the crop and the units.

    Args:
        run: a loaded run.
        directory: where the folder `lsps` comes to lie.

    Returns:
        The folder of the version.

    Raises:
        InputError: where the disk is full or the folder cannot be written.
    """
    path = pathlib.Path(directory) / MODEL_NAME / VERSION
    with tempfile.TemporaryDirectory() as scratch, atomic_path(path) as partial:
        info_path = pathlib.Path(scratch) / ASSET_NAME
        info_path.write_text(ModelInfo.of_run(run).to_json(), encoding="utf-8")
        servable = _Servable(run, predictor_of_run(run), info_path)
        try:
            tf.saved_model.save(servable, str(partial), signatures=servable.signatures_by_name)
        except tf.errors.ResourceExhaustedError as error:
            # TensorFlow's own name for a full disk.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    return path


def deployed_variables(run: Run) -> list[tf.Variable]:
    """The variables that P_r = G_y(P(x)) reads (section 3): the trunk of the run's domain, P's head and G_y."""
    trunk = run.networks.discriminators[run.domain]
    parts = (trunk.private, trunk.shared, run.networks.posterior, run.networks.pose_decoder)
    return [variable for part in parts for variable in part.variables]
