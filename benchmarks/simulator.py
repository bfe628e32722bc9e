"""Speed and memory of the simulator: crops per second for the clean domain and for each sensor.

    python benchmarks/simulator.py --json simulator.json

Every figure includes posing the hands; random angles are drawn beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import kinematics, pose_prior, renderer, sensor, shape, surface, view_prior


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32, help="crops per batch (default 32)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="pixels of a crop's side")
    parser.add_argument("--seconds", type=float, default=3.0, help="measuring time per figure (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    hands = draw_hands(arguments.batch)
    figures = []
    for size in arguments.sizes:
        for domain in ("synthetic", *sensor.SENSORS):
            best, median = crops_per_second(domain, size, hands, arguments.seconds)
            figures.append({"domain": domain, "size": size, "best": round(best), "median": round(median)})
            print(f"{domain:18s} {size:4d} px  {median:7.0f} crops/s (best {best:.0f})")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mb:.0f} MB, batch {arguments.batch}, {os.cpu_count()} cores")
    if arguments.json:
        report = {
            "batch": arguments.batch,
            "cores": os.cpu_count(),
            "peak_rss_mb": round(peak_mb),
            "crops_per_second": figures,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def draw_hands(batch: int) -> tuple[tf.Tensor, ...]:
    """Angles, rotations and positions of a batch."""
    seed = tf.constant([0, 0])
    angles = pose_prior.sample_angles(seed, batch)
    return angles, view_prior.sample_rotation(seed, batch), view_prior.sample_translation(seed, batch)


def crops_per_second(domain: str, size: int, hands: tuple[tf.Tensor, ...], seconds: float) -> tuple[float, float]:
    """Best and median of the repetitions within the given time, after two for warming up."""
    real = domain in sensor.SENSORS
    cones = np.array(surface.CONES + (surface.FOREARM_CONES if real else ()))
    wedges = np.array(surface.WEDGES + (surface.FOREARM_WEDGES if real else ()))
    extent_mm = 300.0

    @tf.function
    def crops(angles, rotation, translation_mm, seed):
        hand = kinematics.pose_hand(angles, rotation, translation_mm, shape.canonical_shape())
        center = tf.reduce_mean(hand.joints_mm, axis=1)
        depth = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, center, extent_mm, size)
        if real:
            pixel_size = sensor.pixel_size_of_crop(domain, center, extent_mm, size)
            depth = sensor.apply_sensor(domain, depth, pixel_size, seed)
        return depth

    times, started = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - started < seconds:
        before = time.perf_counter()
        crops(*hands, tf.constant([0, len(times)])).numpy()
        times.append(time.perf_counter() - before)
    times, batch = np.array(times[2:]), hands[0].shape[0]
    return batch / times.min(), batch / float(np.median(times))


if __name__ == "__main__":
    main()
