"""Stereo depth cameras of many kinds: every image is one that some camera, resolution and preset may have made.

What such cameras do to a hand over a table differs from model to model and from preset to preset. So the settings of
the block matching are drawn per image. A step of depth that is small beside a block melts: the matching and the
camera's own filters draw a fingertip and the table under it into one slope. What follows are the effects of
`active_stereo`, which stands for one camera that training does not know.

Depth images are float32 [B, H, W] in mm along z, 0 = no reading. An image pixel spans `pixel_size` [B] pixels of the
sensor.

Sources: those of `active_stereo`. Grunnet-Jepsen & Tong (2018), Depth post-processing for Intel RealSense depth
cameras (edge-preserving filter with a step, hole filling).
"""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from lsps_tf import camera
from lsps_tf.simulation.active_stereo import fatten, fill_holes, mismatches, move_disparity, one_eyed
from lsps_tf.simulation.depth_geometry import neighbors, shift
from lsps_tf.simulation.random_fields import gaussian_field

Range = tuple[float, float]
_FAR_MM = 1e6
# Image pixels by which gaps are closed at most, from either side.
_MOST_CLOSED = 2
# How far apart the pixels are that a pass of the melting filter averages.
_STRIDES = (1, 2, 4)


@dataclasses.dataclass(frozen=True)
class Stereo:
    """Settings; a pair is the range that an image's value is drawn from, uniformly. Zeros switch an effect off.

    Attributes:
        camera: resolution and intrinsics.
        distance_mm: nearest and farthest hand that the sensor is used for.
        baseline_mm: between its two cameras; the left one's view is what the image shows.
        melt_sigma_px: standard deviation of the blur over surfaces and small steps, sensor pixels.
        melt_step_mm: steps of about this height melt; much higher ones stay.
        block_px: gaps in what is near close where they are narrower than about twice this, as half a block.
        fattening_px: by how much surfaces grow over what lies behind them.
        disparity_noise_px: standard deviation of the disparity.
        correlation_px: how far that noise correlates, the size of the blocks.
        mismatch_rate: fraction of readings in blocks that match wrongly, at most.
        mismatch_px: standard deviation of the disparity's error there.
        mismatch_correlation_px: size of such blocks.
        lost_behind: width of the band that is lost beside what is nearer, in widths of what the right camera does not
            see; matching fails around it, too.
        lost_before: the same of the band on the other side, which a check of both cameras takes.
        fill_px: holes up to about this size are filled with what surrounds them.
        disparity_step_px: the sensor reports multiples of this.
    """

    camera: camera.Camera = camera.Camera(604.0, 604.0, 320.0, 240.0, 640, 480)
    distance_mm: Range = (300.0, 1100.0)
    baseline_mm: Range = (45.0, 95.0)
    melt_sigma_px: Range = (1.0, 12.0)
    melt_step_mm: Range = (6.0, 50.0)
    block_px: Range = (0.0, 6.0)
    fattening_px: Range = (0.0, 5.0)
    disparity_noise_px: Range = (0.03, 0.15)
    correlation_px: Range = (3.0, 9.0)
    mismatch_rate: float = 0.015
    mismatch_px: float = 3.0
    mismatch_correlation_px: float = 5.0
    lost_behind: Range = (0.8, 1.5)
    lost_before: Range = (-0.6, 0.8)
    fill_px: Range = (0.5, 5.0)
    disparity_step_px: float = 1.0 / 32.0

    def simulate(self, depth_mm: tf.Tensor, pixel_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """All effects in the order in which they arise; arguments as in `sensor.apply_sensor`, pixel_size [B]."""
        s, count = self, tf.shape(depth_mm)[0]
        seeds = tf.unstack(tf.random.split(seed, 5, alg="philox"))
        ranges = (s.baseline_mm, s.melt_sigma_px, s.melt_step_mm, s.fattening_px, s.disparity_noise_px)
        ranges += (s.correlation_px, (0.0, s.mismatch_rate), s.fill_px, s.lost_behind, s.lost_before, s.block_px)
        low, high = (tf.constant(ends)[:, None] for ends in zip(*ranges))
        drawn = low + (high - low) * tf.random.stateless_uniform([len(ranges), count], seeds[0], alg="philox")
        baseline, melt_px, melt_mm, fat_px, noise_px, correlation_px, rate, fill_px, *rest = tf.unstack(drawn)
        behind, before, block_px = rest
        baseline_focal = (baseline * s.camera.fx)[:, None, None]
        depth = melt(close_gaps(depth_mm, pixel_size, block_px), pixel_size, melt_px, melt_mm)
        # Lengths that differ per image: what counts is their ratio to the pixel.
        depth = fatten(depth, pixel_size, fat_px, seeds[1])
        lost = one_eyed(depth, pixel_size, baseline_focal * tf.nn.relu(behind)[:, None, None])
        mirrored = one_eyed(depth[:, :, ::-1], pixel_size, baseline_focal * tf.nn.relu(before)[:, None, None])
        lost |= mirrored[:, :, ::-1]
        noise = gaussian_field(tf.shape(depth), pixel_size / correlation_px, 1.0, seeds[2])
        error_px = noise_px[:, None, None] * noise
        settings = dataclasses.replace(s, mismatch_rate=rate[:, None, None])
        error_px += mismatches(tf.shape(depth), pixel_size, settings, seeds[3])
        depth = move_disparity(depth, error_px, baseline_focal, s.disparity_step_px)
        depth = tf.where(lost, 0.0, depth)
        return fill_holes(depth, pixel_size / tf.maximum(fill_px, 1e-3), 1.0)


def close_gaps(depth_mm: tf.Tensor, pixel_size: tf.Tensor, reach_px: tf.Tensor) -> tf.Tensor:
    """Gaps that are narrower than twice `reach_px` [B] sensor pixels get the depth of what is nearer beside them.

    A block that is wider than the gap between two fingers matches with the fingers. The closing of mathematical
    morphology: what is near grows and then shrinks again, by whole image pixels, so that outlines stay.

    Args:
        depth_mm: [B, H, W], 0 = no reading.
        pixel_size: [B].
        reach_px: [B], two and a half image pixels at most.
    """
    reach = (reach_px / pixel_size)[:, None, None]
    closed = tf.where(depth_mm > 0.0, depth_mm, _FAR_MM)
    for grows in (True, False):
        for step in range(_MOST_CLOSED):
            # Beyond the image nothing grows in, and nothing shrinks.
            beside = neighbors(closed, _FAR_MM if grows else 0.0)
            beside = functools.reduce(tf.minimum if grows else tf.maximum, beside, closed)
            closed = tf.where(reach > step + 0.5, beside, closed)
    # Shrinking takes nothing from what was there.
    closed = tf.minimum(closed, tf.where(depth_mm > 0.0, depth_mm, _FAR_MM))
    return tf.where(closed < _FAR_MM, closed, 0.0)


def melt(depth_mm: tf.Tensor, pixel_size: tf.Tensor, sigma_px: tf.Tensor, step_mm: tf.Tensor) -> tf.Tensor:
    """Steps of depth of about `step_mm` [B] and less are drawn into slopes; much higher ones stay sharp.

    An edge-avoiding a-trous filter (Dammertz, Sewtz, Hanika & Lensch, 2010): every pixel takes a weighted mean with
    those beside it, farther away from pass to pass. A neighbour counts less the more its depth differs.

    Args:
        depth_mm: [B, H, W], 0 = no reading.
        pixel_size: [B].
        sigma_px: [B], the filter's standard deviation on an even surface, sensor pixels; 3.2 image pixels at most.
        step_mm: [B].
    """
    variance = tf.square(sigma_px / pixel_size)
    step_mm = tf.maximum(step_mm, 1e-3)[:, None, None]
    for stride in _STRIDES:
        share = tf.minimum(variance, 0.5 * stride**2)
        variance -= share
        # The variance of the kernel (w, 1, w) / (1 + 2 w) at that stride.
        weight = (share / (2.0 * (stride**2 - share)))[:, None, None]
        for rows, columns in ((0, stride), (stride, 0)):
            total, count = depth_mm, tf.ones_like(depth_mm)
            for beside_mm in (shift(depth_mm, rows, columns), shift(depth_mm, -rows, -columns)):
                like = weight * tf.exp(-tf.square((beside_mm - depth_mm) / step_mm))
                like = tf.where(beside_mm > 0.0, like, 0.0)
                total, count = total + like * beside_mm, count + like
            depth_mm = tf.where(depth_mm > 0.0, total / count, 0.0)
    return depth_mm
