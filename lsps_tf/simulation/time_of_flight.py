"""A continuous-wave time-of-flight depth sensor (such as SoftKinetic's DS325, 320 x 240): one function per effect.

The sensor measures the phase of modulated infrared light that comes back; light of everything within a pixel, and
light that took a detour, adds up, and the fewer photons return the noisier the phase. Depth images are float32
[B, H, W] in mm along z, 0 = no reading; an image pixel spans `pixel_size` [B] pixels of the sensor. Each effect is off
at 0.

Sources: Lindner, Schiller, Kolb & Koch (2010), Time-of-flight sensor calibration for accurate range sensing. Frank,
Plaue, Rapp, Koethe, Jaehne & Hamprecht (2009), Theoretical and experimental error analysis of continuous-wave
time-of-flight range cameras. Foix, Alenya & Torras (2011), Lock-in time-of-flight (ToF) cameras: a survey.
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from lsps_tf import camera
from lsps_tf.simulation.depth_geometry import beside_edge, incidence_cosine, neighbors
from lsps_tf.simulation.random_fields import gaussian_blur, gaussian_field


@dataclasses.dataclass(frozen=True)
class TimeOfFlight:
    """Settings; 0 switches an effect off.

    Attributes:
        camera: resolution and intrinsics.
        distance_mm: nearest and farthest hand that the sensor is used for.
        smoothing_px: standard deviation of the blur over readings, sensor pixels.
        flying_rate: fraction of sensor pixels across an edge whose reading mixes both sides.
        background_gap_mm: how far behind the hand that background lies which its silhouette mixes with.
        noise_mm: standard deviation of a frontal surface at `noise_distance_mm`.
        noise_distance_mm: see noise_mm.
        noise_correlation_px: how far the noise correlates (the sensor's own denoising).
        wiggling_mm: amplitude of the periodic error of distance.
        wiggling_period_mm: its period; light modulated at 50 MHz repeats every 3 m, its fourth harmonic every 750 mm.
        multipath_mm: standard deviation of the slowly varying bias.
        multipath_correlation_px: how far it varies.
        lowest_amplitude: readings of less returned light give nothing; 1 is a frontal surface at `noise_distance_mm`.
    """

    camera: camera.Camera = camera.ICVL
    distance_mm: tuple[float, float] = (250.0, 600.0)
    smoothing_px: float = 0.7
    flying_rate: float = 0.7
    background_gap_mm: float = 300.0
    noise_mm: float = 2.0
    noise_distance_mm: float = 400.0
    noise_correlation_px: float = 0.6
    wiggling_mm: float = 2.0
    wiggling_period_mm: float = 750.0
    multipath_mm: float = 2.5
    multipath_correlation_px: float = 20.0
    lowest_amplitude: float = 0.1

    def simulate(self, depth_mm: tf.Tensor, pixel_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """All effects in the order in which they arise; arguments as in `sensor.apply_sensor`, pixel_size [B]."""
        s = self
        seeds = tf.unstack(tf.random.split(seed, 3, alg="philox"))
        cosine = incidence_cosine(depth_mm, pixel_size, s.camera.fx)
        amplitude = returned_amplitude(depth_mm, cosine, s.noise_distance_mm)
        depth = depth_mm
        if s.flying_rate:
            depth = flying_pixels(depth, pixel_size, s.flying_rate, s.background_gap_mm, seeds[0])
        if s.smoothing_px:
            depth = smooth(depth, pixel_size, s.smoothing_px)
        if s.wiggling_mm:
            depth = wiggle(depth, s.wiggling_mm, s.wiggling_period_mm)
        if s.multipath_mm:
            depth = multipath_bias(depth, pixel_size, s.multipath_mm, s.multipath_correlation_px, seeds[1])
        if s.noise_mm:
            depth = amplitude_noise(depth, amplitude, pixel_size, s.noise_mm, s.noise_correlation_px, seeds[2])
        if s.lowest_amplitude:
            depth = tf.where(amplitude < s.lowest_amplitude, 0.0, depth)
        return depth


def returned_amplitude(depth_mm: tf.Tensor, cosine: tf.Tensor, reference_mm: float) -> tf.Tensor:
    """Light that returns, cos(theta) (reference / z)^2: a Lambertian surface lit from the camera (Lindner et al.).

    Pixels without a reading count as 1.
    """
    return tf.where(depth_mm > 0.0, cosine * (reference_mm / tf.maximum(depth_mm, 1.0)) ** 2, 1.0)


def flying_pixels(
    depth_mm: tf.Tensor, pixel_size: tf.Tensor, rate: float, background_gap_mm: float, seed: tf.Tensor
) -> tf.Tensor:
    """Readings between both sides of an edge, where one sensor pixel sees both (Foix et al.: jump edge error).

    depth + a (other - depth), a uniform in (0, 1/2): the own side fills at least half of the pixel. Other is the
    neighbor that differs most, or background `background_gap_mm` behind where a neighbor has no reading. An image
    pixel that spans several sensor pixels lies on the one that crosses the edge in one of `pixel_size` cases.
    """
    shape = tf.shape(depth_mm)
    chance, part = tf.unstack(tf.random.stateless_uniform(tf.concat([[2], shape], 0), seed, alg="philox"))
    mixed = beside_edge(depth_mm) & (chance < rate / tf.maximum(pixel_size, 1.0)[:, None, None])
    largest = 0.0
    for value in neighbors(depth_mm):
        difference = tf.where(value > 0.0, value - depth_mm, background_gap_mm)
        largest = tf.where(tf.abs(difference) > tf.abs(largest), difference, largest)
    return tf.where(mixed, depth_mm + 0.5 * part * largest, depth_mm)


def smooth(depth_mm: tf.Tensor, pixel_size: tf.Tensor, sigma_px: float) -> tf.Tensor:
    """Gaussian blur over readings only (normalized convolution: Knutsson & Westin, 1993), as the lens and the sensor's
    denoising do it; pixels without a reading stay so.

    Depths are blurred relative to the image's mean reading, which float32 holds more exactly.
    """
    valid = tf.cast(depth_mm > 0.0, tf.float32)
    count = tf.maximum(tf.reduce_sum(valid, [1, 2], keepdims=True), 1.0)
    mean = tf.reduce_sum(depth_mm, [1, 2], keepdims=True) / count
    blurred = gaussian_blur((depth_mm - mean) * valid, pixel_size, sigma_px)
    weight = gaussian_blur(valid, pixel_size, sigma_px)
    return valid * (mean + blurred / tf.maximum(weight, 1e-6))


def wiggle(depth_mm: tf.Tensor, amplitude_mm: float, period_mm: float) -> tf.Tensor:
    """Periodic error amplitude sin(2 pi z / period) of distance, since the light's modulation is no pure sine (Lindner
    et al.: wiggling)."""
    wrong = depth_mm + amplitude_mm * tf.sin((2.0 * math.pi / period_mm) * depth_mm)
    return tf.where(depth_mm > 0.0, wrong, 0.0)


def multipath_bias(
    depth_mm: tf.Tensor, pixel_size: tf.Tensor, deviation_mm: float, correlation_px: float, seed: tf.Tensor
) -> tf.Tensor:
    """Slowly varying bias of normal distribution, a stand-in for light that took a detour (Foix et al.: multipath).

    The true bias depends on the whole scene; what remains here is its size and that it varies slowly.
    """
    bias = deviation_mm * gaussian_field(tf.shape(depth_mm), pixel_size, correlation_px, seed)
    return tf.where(depth_mm > 0.0, depth_mm + bias, 0.0)


def amplitude_noise(
    depth_mm: tf.Tensor,
    amplitude: tf.Tensor,
    pixel_size: tf.Tensor,
    deviation_mm: float,
    correlation_px: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Normal noise of standard deviation deviation_mm / amplitude (Frank et al.: the phase's deviation goes as one over
    the amplitude), so it grows with the square of the distance and with one over the cosine of the incidence."""
    deviation = deviation_mm / tf.maximum(amplitude, 0.05)
    noisy = depth_mm + deviation * gaussian_field(tf.shape(depth_mm), pixel_size, correlation_px, seed)
    return tf.where(depth_mm > 0.0, tf.maximum(noisy, 1.0), 0.0)
