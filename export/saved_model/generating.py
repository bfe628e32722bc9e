"""What a SavedModel can beside predicting: codes to hands in all domains, and frames, crops and joint angles to codes.

Only a run that has trained E, G and M has it, and only an export that is asked for it (`export/run.py --explore`).
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import tensorflow as tf

from lsps_tf import crop
from lsps_tf.generate import check_generates
from lsps_tf.model_info import DECODE_POSE, ENCODE, ENCODE_ANGLES, GENERATE
from lsps_tf.networks import DOMAINS
from lsps_tf.pose_codes import codes_of_simulated_poses
from lsps_tf.run_folder import Run
from lsps_tf.simulation import anatomy, kinematics
from lsps_tf.simulation.rotations import axis_rotation
from lsps_tf.simulation.shape import canonical_shape
from lsps_tf.skeleton import NYU, joints_of

Outputs = dict[str, tf.Tensor]
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


class Generating(tf.Module):
    """The networks that generate, as functions with a free batch.

    Attributes:
        read: the variables that the functions read.
    """

    def __init__(self, run: Run):
        """InputError where the run has not trained E, G and M."""
        super().__init__(name="generating")
        check_generates(run)
        self._run, networks = run, run.networks
        self.read = [*networks.generator_variables(*DOMAINS), *networks.deployed_variables(run.domain)]

    @property
    def functions(self) -> dict[str, tuple[Callable[..., Outputs], tuple[tf.TensorSpec, ...]]]:
        """By the signature's name the function and the specifications of its inputs."""
        run = self._run
        size = run.config.data.image_size
        code = tf.TensorSpec([None, run.config.network.latent_size], tf.float32, "code")
        image = tf.TensorSpec([None, size, size, 1], tf.float32, "image")
        angles = tf.TensorSpec([None, anatomy.NUM_ANGLES], tf.float32, "angles")
        turn = tf.TensorSpec([None, 3], tf.float32, "turn")
        return {
            DECODE_POSE: (self.decode_pose, (code,)),
            GENERATE: (self.generate, (code,)),
            ENCODE: (self.encode, (image,)),
            ENCODE_ANGLES: (self.encode_angles, (angles, turn)),
        }

    def decode_pose(self, code: tf.Tensor) -> Outputs:
        """G_y(z): codes [B, Z] to joints [B, J, 3] in half cubes."""
        return {"joints_norm": self._run.networks.decode_pose(code)}

    def generate(self, code: tf.Tensor) -> Outputs:
        """G_s(M(z)), G_r(M(z)) and G_y(z): codes [B, Z] to normalised depth [B, S, S, 1] and joints [B, J, 3]."""
        networks = self._run.networks
        made = networks.generate({"pose": networks.mapping(code)}, {"pose": DOMAINS})["pose"]
        return {**made, **self.decode_pose(code)}

    def encode(self, image: tf.Tensor) -> Outputs:
        """The code P(x), and what E and G make of a sensor's crops [B, S, S, 1]: reconstruction and translation."""
        networks, domain = self._run.networks, self._run.domain
        made = networks.generate(networks.encode({domain: image}, {domain: domain}), {domain: DOMAINS})[domain]
        return {"code": networks.predict_latent(image, domain), **made}

    def encode_angles(self, angles: tf.Tensor, turn: tf.Tensor) -> Outputs:
        """The code E_y gives the simulator's average hand.

        Args:
            angles: [B, A] radians, in the order of `anatomy.ANGLE_NAMES`; beyond the limits the limit counts.
            turn: [B, 3] radians about the camera's axis, the image's x and its y. Zeros show the palm, fingers up.
        """
        angles = tf.clip_by_value(angles, *anatomy.ANGLE_LIMITS.T)
        about_z, about_x, about_y = (axis_rotation(axis, turn[:, i]) for i, axis in enumerate((_Z, _X, _Y)))
        hand = kinematics.pose_hand(angles, about_z @ about_x @ about_y, tf.zeros_like(turn), canonical_shape())
        joints_mm = tf.gather(hand.joints_mm, joints_of(NYU, self._run.skeleton), axis=1)
        middle_mm = tf.reduce_mean(joints_mm, axis=1)
        joints_norm = crop.normalize_joints(joints_mm, middle_mm, self._run.config.data.cube_mm)
        return {"code": self._run.networks.encode_pose(joints_norm)[0]}


def write_codes(run: Run, generating: Generating, path: pathlib.Path) -> None:
    """Writes where the codes of simulated poses lie (`CodeSpace.to_dict`), with the code of an open hand as `start`.

    Also the names and limits of the angles.
    """
    start = generating.encode_angles(tf.zeros([1, anatomy.NUM_ANGLES]), tf.zeros([1, 3]))["code"][0].numpy()
    space = codes_of_simulated_poses(run.networks, run.skeleton, run.config.data.cube_mm)
    angles = [
        {"name": name, "low": float(low), "high": float(high)}
        for name, (low, high) in zip(anatomy.ANGLE_NAMES, anatomy.ANGLE_LIMITS)
    ]
    path.write_text(json.dumps({**space.to_dict(), "start": start.tolist(), "angles": angles}), encoding="utf-8")
