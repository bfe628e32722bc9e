"""An active stereo depth sensor (such as Intel's RealSense D4xx), with the errors of block matching.

Not offered for training. It stands for a camera that the simulator does not know, to measure what adapting to it
brings (`benchmarks/adaptation.py`).

Two infrared cameras see a projected texture and match blocks of it. The silhouette grows by part of a block. What only
one of them sees is lost on one side. The disparity's noise is smooth like the blocks, and some blocks match wrongly. A
filter in the camera fills small holes.

Depth images are float32 [B, H, W] in mm along z, 0 = no reading. An image pixel spans `pixel_size` [B] pixels of the
sensor. Each effect is off at 0.

Sources: Keselman, Woodfill, Grunnet-Jepsen & Bhowmik (2017), Intel RealSense stereoscopic depth cameras. Scharstein &
Szeliski (2002), A taxonomy and evaluation of dense two-frame stereo correspondence algorithms (fattening, section 5).
Ahn, Chae, Shin, Nam & Hong (2019), Analysis and noise modeling of the Intel RealSense D435 for mobile robots.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from lsps_tf import camera
from lsps_tf.simulation.depth_geometry import shift
from lsps_tf.simulation.random_fields import gaussian_blur, gaussian_field

_FAR_MM = 1e6
_LARGEST_OCCLUSION = 5  # the lost band is at most 2^5 image pixels wide


@dataclasses.dataclass(frozen=True)
class ActiveStereo:
    """Settings; 0 switches an effect off.

    Attributes:
        camera: resolution and intrinsics; wider and coarser than those of the other sensors.
        distance_mm: nearest and farthest hand that the sensor is used for.
        baseline_mm: from the left camera, whose view this is, to the right one.
        fattening_px: by how much surfaces grow over what lies behind them, sensor pixels.
        disparity_noise_px: standard deviation of the disparity, sensor pixels.
        noise_correlation_px: how far that noise correlates, the size of the blocks.
        mismatch_rate: fraction of readings in blocks that match wrongly.
        mismatch_px: standard deviation of the disparity's error there.
        mismatch_correlation_px: size of such blocks.
        occlusion: 1 where what the right camera does not see is lost.
        fill_px: holes up to about this size are filled with what surrounds them.
        disparity_step_px: the sensor reports multiples of this.
    """

    camera: camera.Camera = camera.Camera(230.0, 230.0, 211.5, 121.0, 424, 240)
    distance_mm: tuple[float, float] = (300.0, 700.0)
    baseline_mm: float = 50.0
    fattening_px: float = 1.0
    disparity_noise_px: float = 0.12
    noise_correlation_px: float = 3.0
    mismatch_rate: float = 0.02
    mismatch_px: float = 1.5
    mismatch_correlation_px: float = 2.5
    occlusion: float = 1.0
    fill_px: float = 1.5
    disparity_step_px: float = 1.0 / 32.0

    def simulate(self, depth_mm: tf.Tensor, pixel_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """All effects in the order in which they arise; arguments as in `sensor.apply_sensor`, pixel_size [B]."""
        s, baseline_focal = self, self.baseline_mm * self.camera.fx
        seeds = tf.unstack(tf.random.split(seed, 4, alg="philox"))
        depth = fatten(depth_mm, pixel_size, s.fattening_px, seeds[0]) if s.fattening_px else depth_mm
        lost = one_eyed(depth, pixel_size, baseline_focal) if s.occlusion else None
        error_px = 0.0
        if s.disparity_noise_px:
            field = gaussian_field(tf.shape(depth), pixel_size, s.noise_correlation_px, seeds[1])
            error_px += s.disparity_noise_px * field
        if s.mismatch_rate:
            error_px += mismatches(tf.shape(depth), pixel_size, s, seeds[2])
        depth = move_disparity(depth, error_px, baseline_focal, s.disparity_step_px)
        if lost is not None:
            depth = tf.where(lost, 0.0, depth)
        return fill_holes(depth, pixel_size, s.fill_px) if s.fill_px else depth


def fatten(depth_mm: tf.Tensor, pixel_size: tf.Tensor, reach_px: float, seed: tf.Tensor) -> tf.Tensor:
    """Surfaces grow to the left and right by up to `reach_px` sensor pixels over what is behind them.

    A block that lies half on a surface matches with it (Scharstein & Szeliski). Whether a pixel is won is drawn with
    the odds that make the mean growth half the reach, coherently over blocks.
    """
    wanted = (reach_px / pixel_size)[:, None, None]
    odds = tf.math.erfc(-gaussian_field(tf.shape(depth_mm), pixel_size, 2.0, seed) / tf.sqrt(2.0)) / 2.0
    for step in range(1, 3):
        near = tf.where(depth_mm > 0.0, depth_mm, _FAR_MM)
        beside = tf.minimum(shift(near, 0, 1, _FAR_MM), shift(near, 0, -1, _FAR_MM))
        won = (beside < near - 20.0) & (odds * wanted > step - 0.5)
        depth_mm = tf.where(won, beside, depth_mm)
    return depth_mm


def one_eyed(depth_mm: tf.Tensor, pixel_size: tf.Tensor, baseline_focal: float) -> tf.Tensor:
    """Mask of readings that the right camera does not see: it sees column u at u - baseline f / z.

    Its view is blocked where a point further right in the same row appears there or before, so a nearer part leaves a
    band on its left.
    """
    columns = tf.range(tf.shape(depth_mm)[2], dtype=tf.float32) * pixel_size[:, None]
    valid = depth_mm > 0.0
    seen_at = columns[:, None, :] - baseline_focal / tf.where(valid, depth_mm, 1.0)
    seen_at = tf.where(valid, seen_at, _FAR_MM)
    nearest = shift(seen_at, 0, -1, _FAR_MM)
    for step in range(_LARGEST_OCCLUSION):
        nearest = tf.minimum(nearest, shift(nearest, 0, -(2**step), _FAR_MM))
    return valid & (nearest < seen_at)


def mismatches(shape: tf.Tensor, pixel_size: tf.Tensor, settings: ActiveStereo, seed: tf.Tensor) -> tf.Tensor:
    """Errors of the disparity, sensor pixels, [B, H, W]: 0 but in blocks that match wrongly (Ahn et al.: outliers)."""
    seeds = tf.unstack(tf.random.split(seed, 2, alg="philox"))
    where, size = (gaussian_field(shape, pixel_size, settings.mismatch_correlation_px, each) for each in seeds)
    chance = tf.math.erfc(where / tf.sqrt(2.0)) / 2.0
    return tf.where(chance < settings.mismatch_rate, settings.mismatch_px * size, 0.0)


def move_disparity(
    depth_mm: tf.Tensor, error_px: tf.Tensor | float, baseline_focal: float, step_px: float
) -> tf.Tensor:
    """Depths whose disparity baseline f / z is off by `error_px` and rounded to steps (Keselman et al.)."""
    valid = depth_mm > 0.0
    disparity = baseline_focal / tf.where(valid, depth_mm, 1.0) + error_px
    if step_px:
        disparity = step_px * tf.round(disparity / step_px)
    return tf.where(valid, baseline_focal / tf.maximum(disparity, 0.5), 0.0)


def fill_holes(depth_mm: tf.Tensor, pixel_size: tf.Tensor, sigma_px: float) -> tf.Tensor:
    """Pixels without a reading among readings take the mean around them, as the camera's filter does."""
    valid = tf.cast(depth_mm > 0.0, tf.float32)
    weight = gaussian_blur(valid, pixel_size, sigma_px)
    around_mm = gaussian_blur(depth_mm, pixel_size, sigma_px) / tf.maximum(weight, 1e-6)
    return tf.where((depth_mm <= 0.0) & (weight > 0.6), around_mm, depth_mm)
