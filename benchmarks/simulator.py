"""Speed and memory of the simulator: crops per second for the clean domain and for each sensor.

    python benchmarks/simulator.py --json simulator.json

Every figure includes posing the hands; random angles are drawn beforehand. Where Open3D is installed, its general ray
caster renders the clean crops of the same hands from triangle meshes, in turn with this simulator. Making the meshes is
not counted, making Open3D's scenes is.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks import ray_caster
from benchmarks.timing import CLOCKS, Clock, add_clock_option, seconds
from lsps_tf.simulation import kinematics, pose_prior, renderer, sensor, shape, surface, view_prior

EXTENT_MM = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32, help="crops per batch (default 32)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="pixels of a crop's side")
    parser.add_argument("--seconds", type=float, default=3.0, help="measuring time per figure (default 3)")
    add_clock_option(parser)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    hands, given = draw_hands(arguments.batch), (arguments.seconds, CLOCKS[arguments.clock])
    figures = []
    for size in arguments.sizes:
        for domain in ("synthetic", *sensor.SENSORS):
            best, median = crops_per_second(domain, size, hands, *given)
            figures.append({"domain": domain, "size": size, "best": round(best), "median": round(median)})
            print(f"{domain:18s} {size:4d} px  {median:7.0f} crops/s (best {best:.0f})")
    compared = compare(hands, arguments.sizes, *given)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mb:.0f} MB, batch {arguments.batch}, {os.cpu_count()} cores")
    if arguments.json:
        report = {
            "batch": arguments.batch,
            "cores": os.cpu_count(),
            "peak_rss_mb": round(peak_mb),
            "crops_per_second": figures,
            "ray_caster": compared,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def draw_hands(batch: int) -> tuple[tf.Tensor, ...]:
    """Angles, rotations and positions of a batch."""
    seed = tf.constant([0, 0])
    angles = pose_prior.sample_angles(seed, batch)
    return angles, view_prior.sample_rotation(seed, batch), view_prior.sample_translation(seed, batch)


def crops_per_second(
    domain: str, size: int, hands: tuple[tf.Tensor, ...], enough_s: float, clock: Clock
) -> tuple[float, float]:
    """Best and median of the repetitions within the given time, after two for warming up."""
    crops, times = crops_of(domain, size), []

    def render(number: int) -> None:
        crops(*hands, tf.constant([0, number])).numpy()

    while len(times) < 5 or sum(times) < enough_s:
        times.append(seconds(render, len(times), clock=clock))
    times, batch = np.array(times[2:]), hands[0].shape[0]
    return batch / times.min(), batch / float(np.median(times))


def crops_of(domain: str, size: int) -> Callable[..., tf.Tensor]:
    """From angles, rotations, positions and a seed to crops [B, size, size] in mm."""
    real = domain in sensor.SENSORS
    cones, wedges = surface_of(real)

    @tf.function
    def crops(angles, rotation, translation_mm, seed):
        hand = kinematics.pose_hand(angles, rotation, translation_mm, shape.canonical_shape())
        center = tf.reduce_mean(hand.joints_mm, axis=1)
        depth = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, center, EXTENT_MM, size)
        if real:
            pixel_size = sensor.pixel_size_of_crop(domain, center, EXTENT_MM, size)
            depth = sensor.apply_sensor(domain, depth, pixel_size, seed)
        return depth

    return crops


def surface_of(real: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cones and wedges; real crops show the forearm too."""
    cones = np.array(surface.CONES + (surface.FOREARM_CONES if real else ()))
    return cones, np.array(surface.WEDGES + (surface.FOREARM_WEDGES if real else ()))


def compare(hands: tuple[tf.Tensor, ...], sizes: list[int], enough_s: float, clock: Clock) -> list[dict[str, float]]:
    """Open3D's ray caster beside the simulator, per size: how many times faster, and how far apart the depths are."""
    if importlib.util.find_spec("open3d") is None:
        print("Open3D is not installed here, so there is no general ray caster to compare with.")
        return []
    hand = kinematics.pose_hand(*hands, shape.canonical_shape())
    spheres = zip(hand.centers_mm.numpy(), hand.radii_mm.numpy())
    meshes = [ray_caster.hand_mesh(*given, *surface_of(False)) for given in spheres]
    centers_mm = tf.reduce_mean(hand.joints_mm, axis=1).numpy()
    rows = [_compare_size(hands, meshes, centers_mm, size, enough_s, clock) for size in sizes]
    for row in rows:
        print("Open3D, {size} px  {open3d_crops_per_second:.0f} crops/s".format(**row), end=", ")
        print("ours {times_faster:.1f} times as fast, {median_difference_mm:.2f} mm apart".format(**row))
    return rows


def _compare_size(hands, meshes, centers_mm: np.ndarray, size: int, enough_s: float, clock: Clock) -> dict[str, float]:
    crops, seed = crops_of("synthetic", size), tf.constant([0, 0])
    rays = [ray_caster.crop_rays(center, EXTENT_MM, size) for center in centers_mm]

    def render() -> np.ndarray:
        return crops(*hands, seed).numpy()

    def cast() -> np.ndarray:
        return np.stack([ray_caster.cast_crop(mesh, of_crop) for mesh, of_crop in zip(meshes, rays)])

    rendered, hits = render(), cast()
    both = (rendered > 0) & (hits > 0)
    times: list[list[float]] = []
    while len(times) < 3 or np.sum(times) < enough_s:
        times.append([seconds(render, clock=clock), seconds(cast, clock=clock)])
    ours, theirs = np.array(times).T
    ratios = theirs / ours
    return {
        "size": size,
        "open3d_crops_per_second": len(meshes) / float(np.median(theirs)),
        "times_faster": float(np.median(ratios)),
        "times_faster_range": [float(ratios.min()), float(ratios.max())],
        "median_difference_mm": float(np.median(np.abs(rendered - hits)[both])),
        "same_silhouette": float(np.mean((rendered > 0) == (hits > 0))),
    }


if __name__ == "__main__":
    main()
