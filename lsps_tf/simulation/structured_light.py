"""A structured-light depth sensor (PrimeSense, Kinect v1): one function per effect.

A projector beside the camera throws a pattern; the sensor matches windows of it, so it measures a disparity
d = baseline f / z. Depth images are float32 [B, H, W] in mm along z, 0 = no reading; an image pixel spans `pixel_size`
[B] pixels of the sensor. Each effect is off at 0.

Sources: Khoshelham & Elberink (2012), Accuracy and resolution of Kinect depth data for indoor mapping applications.
Nguyen, Izadi & Lovell (2012), Modeling Kinect sensor noise for improved 3D reconstruction and tracking. Mallick, Das &
Majumdar (2014), Characterizations of noise in Kinect depth images: a review. Handa et al. (2014), A benchmark for RGB-D
visual odometry, 3D reconstruction and SLAM (jittered look-up, then disparity quantization).
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from lsps_tf import camera
from lsps_tf.simulation.depth_geometry import EDGE_MM, beside_edge, incidence_cosine, shift, surroundings
from lsps_tf.simulation.random_fields import gaussian_field

_SHADOW_DOUBLINGS = 5  # the shadow's band is at most 2^5 image pixels wide


@dataclasses.dataclass(frozen=True)
class StructuredLight:
    """Settings; 0 (or False) switches an effect off.

    Attributes:
        camera: resolution and intrinsics.
        distance_mm: nearest and farthest hand that the sensor is used for.
        baseline_mm: from the camera to the projector, which stands on the side of smaller x.
        lateral_jitter_px: standard deviation of the look-up's displacement at edges, sensor pixels.
        jitter_correlation_px: how far the displacements correlate.
        shadow: whether surfaces that the projector does not reach give no reading.
        axial_noise_px: standard deviation of the disparity, sensor pixels.
        grazing_noise: factor on the additional noise of oblique surfaces.
        noise_correlation_px: how far the axial noise correlates (the matching windows overlap).
        grazing_limit_deg: incidence at which half of the readings are lost.
        grazing_softness_deg: width of that transition.
        missing_rate: fraction of readings lost in blobs on a frontal surface at the middle distance.
        missing_thin_rate: the same, additionally, where the matching window holds nothing but the pixel itself.
        missing_correlation_px: size of the blobs.
        speckle_rate: fraction of the silhouette's outermost sensor pixels that give no reading.
        disparity_step_px: the sensor reports multiples of this.
    """

    camera: camera.Camera = camera.NYU
    distance_mm: tuple[float, float] = (550.0, 1000.0)
    baseline_mm: float = 75.0
    lateral_jitter_px: float = 0.8
    jitter_correlation_px: float = 2.0
    shadow: bool = True
    axial_noise_px: float = 1.0 / 16.0
    grazing_noise: float = 1.0
    noise_correlation_px: float = 2.0
    grazing_limit_deg: float = 76.0
    grazing_softness_deg: float = 5.0
    missing_rate: float = 0.01
    missing_thin_rate: float = 0.15
    missing_correlation_px: float = 5.0
    speckle_rate: float = 0.1
    disparity_step_px: float = 0.125

    def simulate(self, depth_mm: tf.Tensor, pixel_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """All effects in the order in which they arise; arguments as in `sensor.apply_sensor`, pixel_size [B]."""
        s, focal = self, self.camera.fx
        seeds = tf.unstack(tf.random.split(seed, 5, alg="philox"))
        cosine = incidence_cosine(depth_mm, pixel_size, focal)
        depth = depth_mm
        if s.lateral_jitter_px:
            depth = jitter_edges(depth, pixel_size, s.lateral_jitter_px, s.jitter_correlation_px, seeds[0])
        shadowed = projector_shadow(depth, pixel_size, s.baseline_mm * focal) if s.shadow else None
        lost = []
        if s.grazing_limit_deg or s.missing_rate or s.missing_thin_rate:
            probability = 0.0
            if s.grazing_limit_deg:
                probability += grazing_loss(cosine, s.grazing_limit_deg, s.grazing_softness_deg)
            if s.missing_rate or s.missing_thin_rate:
                probability += blob_loss(depth, pixel_size, s)
            lost.append(lost_in_blobs(probability, pixel_size, s.missing_correlation_px, seeds[1]))
        if s.speckle_rate:
            lost.append(speckle(depth, pixel_size, s.speckle_rate, seeds[2]))
        deviation = axial_deviation(depth, cosine, s.baseline_mm * focal, s.axial_noise_px, s.grazing_noise)
        if deviation is not None:
            depth = add_axial_noise(depth, deviation, pixel_size, s.noise_correlation_px, seeds[3])
        if s.disparity_step_px:
            depth = quantize_disparity(depth, s.baseline_mm * focal, s.disparity_step_px)
        for mask in [shadowed, *lost]:
            depth = depth if mask is None else tf.where(mask, 0.0, depth)
        return depth


def jitter_edges(
    depth_mm: tf.Tensor, pixel_size: tf.Tensor, deviation_px: float, correlation_px: float, seed: tf.Tensor
) -> tf.Tensor:
    """Readings at edges come from displaced positions, which makes silhouettes ragged (Nguyen et al.).

    Their lateral deviation is 0.8 px + 0.035 px theta / (pi/2 - theta), nearly constant up to grazing angles; the
    displaced look-up is Handa et al.'s. The displacement is rounded at random to whole image pixels, up or down with
    the odds that keep its mean: an edge's distance from the pixel's center is equally likely anywhere within a pixel.
    Inside surfaces the reading stays, as `add_axial_noise` covers them.
    """
    seeds = tf.unstack(tf.random.split(seed, 3, alg="philox"))
    shape = tf.shape(depth_mm)
    moves = []
    for field_seed in seeds[:2]:
        field = gaussian_field(shape, pixel_size, correlation_px, field_seed)
        moves.append(field * (deviation_px / pixel_size)[:, None, None])
    dither = tf.random.stateless_uniform(tf.concat([[2], shape], 0), seeds[2], alg="philox")
    rows, columns = tf.unstack(tf.cast(tf.floor(tf.stack(moves) + dither), tf.int32))
    row = tf.clip_by_value(tf.range(shape[1])[None, :, None] + rows, 0, shape[1] - 1)
    column = tf.clip_by_value(tf.range(shape[2])[None, None, :] + columns, 0, shape[2] - 1)
    flat = tf.reshape(depth_mm, [shape[0], -1])
    found = tf.gather(flat, tf.reshape(row * shape[2] + column, [shape[0], -1]), batch_dims=1)
    found = tf.reshape(found, shape)
    return tf.where(tf.abs(found - depth_mm) > EDGE_MM, found, depth_mm)


def projector_shadow(depth_mm: tf.Tensor, pixel_size: tf.Tensor, baseline_focal: float) -> tf.Tensor:
    """Mask of readings that the projector does not reach (Khoshelham & Elberink; Mallick et al.).

    The projector at x = -baseline sees the point of column u at u + baseline f / z. Its view is blocked where a point
    further left in the same row appears there or beyond, so a nearer part leaves a band baseline f (1/z_near - 1/z_far)
    wide on its right. (A part so thin and so far ahead that its shadow comes away from it shadows the gap, too.)
    """
    columns = tf.range(tf.shape(depth_mm)[2], dtype=tf.float32) * pixel_size[:, None]
    valid = depth_mm > 0.0
    projected = columns[:, None, :] + baseline_focal / tf.where(valid, depth_mm, 1.0)
    projected = tf.where(valid, projected, 0.0)
    furthest = shift(projected, 0, 1)
    for step in range(_SHADOW_DOUBLINGS):
        furthest = tf.maximum(furthest, shift(furthest, 0, 2**step))
    return valid & (furthest > projected)


def grazing_loss(cosine: tf.Tensor, limit_deg: float, softness_deg: float) -> tf.Tensor:
    """Probability that an oblique surface gives no reading: logistic in the angle (Mallick et al.).

    The pattern is stretched on oblique surfaces until windows no longer match; Nguyen et al. find no readings much
    beyond 70 degrees.
    """
    angle = tf.acos(tf.clip_by_value(cosine, 0.0, 1.0)) * (180.0 / math.pi)
    return tf.sigmoid((angle - limit_deg) / (softness_deg / 4.0))


def blob_loss(depth_mm: tf.Tensor, pixel_size: tf.Tensor, settings: StructuredLight) -> tf.Tensor:
    """Probability that a reading is missing for want of a match in its window (Mallick et al.).

    rate (z / z_middle)^2 + thin_rate (1 - f)^2: light falls with z^2; f is the part of the window around the pixel that
    the hand fills, 1/2 at a straight edge, less at fingertips. The window is of about 9 pixels.
    """
    middle = 0.5 * sum(settings.distance_mm)
    window = surroundings(depth_mm, pixel_size, 3.0)
    return settings.missing_rate * (depth_mm / middle) ** 2 + settings.missing_thin_rate * (1.0 - window) ** 2


def lost_in_blobs(probability: tf.Tensor, pixel_size: tf.Tensor, correlation_px: float, seed: tf.Tensor) -> tf.Tensor:
    """Mask that is true with the given probability [B, H, W] at each pixel, in coherent blobs.

    A standard normal field g exceeds the quantile of 1 - p with probability p, that is where Phi(g) > 1 - p.
    """
    field = gaussian_field(tf.shape(probability), pixel_size, correlation_px, seed)
    return tf.math.erfc(field * math.sqrt(0.5)) < 2.0 * probability


def speckle(depth_mm: tf.Tensor, pixel_size: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Mask of single readings lost along edges (unstable boundary pixels: Mallick et al.).

    An image pixel that spans several sensor pixels lies on the outermost of them in one of `pixel_size` cases.
    """
    chance = rate / tf.maximum(pixel_size, 1.0)[:, None, None]
    return beside_edge(depth_mm) & (tf.random.stateless_uniform(tf.shape(depth_mm), seed, alg="philox") < chance)


def axial_deviation(
    depth_mm: tf.Tensor, cosine: tf.Tensor, baseline_focal: float, disparity_px: float, grazing: float
) -> tf.Tensor | None:
    """Standard deviation of depth in mm, [B, H, W]; None when both parts are off.

    z^2 / (baseline f) disparity_px (Khoshelham & Elberink, with 1/16 px: half a step of their 1/8 px) plus
    grazing 0.1 mm / sqrt(z / m) theta^2 / (pi/2 - theta)^2 (the angular term of Nguyen et al.).
    """
    if not disparity_px and not grazing:
        return None
    deviation = depth_mm**2 * (disparity_px / baseline_focal)
    if grazing:
        angle = tf.acos(tf.clip_by_value(cosine, 0.0, 1.0))
        ratio = angle / tf.maximum(0.5 * math.pi - angle, 0.1)
        deviation += grazing * 0.1 * tf.math.rsqrt(tf.maximum(depth_mm, 1.0) / 1000.0) * ratio**2
    return deviation


def add_axial_noise(
    depth_mm: tf.Tensor, deviation_mm: tf.Tensor, pixel_size: tf.Tensor, correlation_px: float, seed: tf.Tensor
) -> tf.Tensor:
    """Normal noise along z on readings, correlated over neighbors, since their matching windows overlap."""
    noise = deviation_mm * gaussian_field(tf.shape(depth_mm), pixel_size, correlation_px, seed)
    return tf.where(depth_mm > 0.0, tf.maximum(depth_mm + noise, 1.0), 0.0)


def quantize_disparity(depth_mm: tf.Tensor, baseline_focal: float, step_px: float) -> tf.Tensor:
    """Depths on the grid z = baseline f / (k step) (Khoshelham & Elberink: steps of 1/8 px)."""
    valid = depth_mm > 0.0
    steps = tf.round(baseline_focal / (step_px * tf.where(valid, depth_mm, 1.0)))
    return tf.where(valid, baseline_focal / (step_px * tf.maximum(steps, 1.0)), 0.0)
