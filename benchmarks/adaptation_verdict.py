"""How often the verdict without labels, with which a run on one's own recording ends, is the true one.

    python benchmarks/adaptation_verdict.py --output runs/verdict --json verdict.json

Twelve simulated recordings of one subject each, free and among tables and things, by four sensors. A model adapts to
each by a short training on fits of its frames. In some it is spoiled at the start, so that adaptation helps. In others
the labels are made wrong, or the training is too long for them, so that it harms. Both verdicts are taken on frames
that were kept out: the true one by the joints' errors. What is done is kept: start it again to go on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation, Slerp
from tabulate import tabulate
from tensorflow import keras

from lsps_tf import augment, crop
from lsps_tf.commandline.command import run_command
from lsps_tf.config import DataConfig
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.files import read_text, write_json
from lsps_tf.fitting.to_depth import SIZE, DepthFitter
from lsps_tf.networks import Networks
from lsps_tf.run_folder import SHIPPED, load_run
from lsps_tf.simulation import (
    kinematics,
    pose_prior,
    renderer,
    scene_renderer,
    sensor,
    shape,
    surface,
    surroundings,
    view_prior,
)
from training.evaluation.adaptation import compare

FRAMES, HELD_OUT, BATCH = 256, 96, 64
# A hand goes from one pose to another in so many frames.
_WAY = 15
_NEAREST_MM, _FARTHEST_MM = 450.0, 650.0
_CENTER_NOISE_MM = 6.0
_KEPT = 0.85
_SENSORS = {**sensor.SENSORS, "held-out": sensor.HELD_OUT_SENSOR}


class Case(NamedTuple):
    """A recording and what a model makes of it.

    Attributes:
        scene: "free" is one hand that moves, "clutter" are hands among things, in no order.
        sensor: a name of the simulator's, or "held-out".
        subject: its number.
        spoiled: share of each weight that the model's start is off by.
        labels: what is made of the fits: a name of `_spoil_labels`.
        steps: of training.
        learning_rate: of Adam.
    """

    scene: str
    sensor: str
    subject: int
    spoiled: float = 0.0
    labels: str = "fits"
    steps: int = 200
    learning_rate: float = 1e-3


CASES = (
    Case("free", "held-out", 20, spoiled=0.1),
    Case("free", "time-of-flight", 17, spoiled=0.1),
    Case("free", "structured-light", 18, spoiled=0.1),
    Case("free", "stereo", 19, spoiled=0.1),
    Case("free", "time-of-flight", 21, spoiled=0.2),
    Case("clutter", "structured-light", 18, spoiled=0.2),
    Case("free", "held-out", 22, labels="mean", steps=150),
    Case("free", "held-out", 17, labels="shuffled", steps=120),
    Case("free", "time-of-flight", 18, labels="scaled", steps=150),
    Case("clutter", "structured-light", 19, labels="shifted", steps=150),
    Case("clutter", "stereo", 20, labels="few"),
    Case("free", "structured-light", 21, steps=60, learning_rate=4e-3),
)


class Recording(NamedTuple):
    """Crops as a model and as fits see them.

    Attributes:
        images: [N, S, S] in [-1, 1], of the model's size.
        thinned: [N, SIZE, SIZE], the same for fits.
        center_mm: [N, 3] camera space.
        cube_mm: [N], the model's.
        joints_mm: [N, J, 3], the truth.
        order: [N, 2] integers, each frame's sequence and its place in it.
    """

    images: np.ndarray
    thinned: np.ndarray
    center_mm: np.ndarray
    cube_mm: np.ndarray
    joints_mm: np.ndarray
    order: np.ndarray

    def part(self, rows: slice) -> Recording:
        return Recording(*(values[rows] for values in self))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--output", type=Path, required=True, help="folder of what is done")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures = []
    for number, case in enumerate(CASES):
        path = arguments.output / f"{number:02d}.json"
        if not path.is_file():
            write_json(path, judge(case, number))
        figures.append(json.loads(read_text(path)))
        print(f"{number + 1} of {len(CASES)} recordings", flush=True)
    print(format_figures(figures))
    agreed = sum(figure["helped"] == figure["truly_helped"] for figure in figures)
    print(f"The verdict is the true one in {agreed} of {len(figures)} recordings")
    if arguments.json is not None:
        write_json(arguments.json, {"agreed": agreed, "recordings": figures})
    return 0


def judge(case: Case, number: int) -> dict:
    """Adapts the trained model that comes with the program to a case's recording, and takes both verdicts."""
    rng, run = np.random.default_rng(number), load_run(SHIPPED)
    networks = run.networks
    for variable in networks.deployed_variables("real"):
        variable.assign(variable * (1.0 + case.spoiled * rng.normal(size=variable.shape).astype(np.float32)))
    recording = record(case, number, run.settings.config.data)
    train, kept = recording.part(slice(0, FRAMES - HELD_OUT)), recording.part(slice(FRAMES - HELD_OUT, None))
    predict, fitter = _build_predict(networks), DepthFitter(BATCH, range(36))
    before_mm = predict(kept)
    _train(networks, *_labelled(case, train, predict(train), fitter, rng), case, rng)
    after_mm = predict(kept)
    seen = kept.thinned, kept.center_mm, kept.cube_mm
    verdict = compare(fitter, BATCH, *seen, (before_mm, after_mm), kept.order)
    errors_mm = [
        float(np.linalg.norm(joints_mm - kept.joints_mm, axis=-1).mean()) for joints_mm in (before_mm, after_mm)
    ]
    truth = {"error_mm": errors_mm, "truly_helped": errors_mm[1] < errors_mm[0]}
    return {**case._asdict(), **verdict.to_dict(), **truth}


def format_figures(figures: list[dict]) -> str:
    """A table of the cases: what was done, and both verdicts."""
    rows = []
    for figure in figures:
        answers = [[figure[model][name] for model in ("before", "after")] for name in ("unexplained_mm", "from_fit_mm")]
        row = [figure[name] for name in ("scene", "sensor", "labels", "spoiled")]
        row += [f"{before:.1f} to {after:.1f}" for before, after in (figure["error_mm"], *answers)]
        rows.append([*row, figure["score"], "yes" if figure["helped"] == figure["truly_helped"] else "NO"])
    headers = (
        "scene",
        "sensor",
        "labels",
        "spoiled",
        "true mm",
        "unexplained mm",
        "from the fit mm",
        "score",
        "agrees",
    )
    return tabulate(rows, headers, floatfmt=".2f")


def record(case: Case, seed: int, data: DataConfig) -> Recording:
    """The case's recording, in crops of a model's settings."""
    settings, rng = _SENSORS[case.sensor], np.random.default_rng(seed)
    subject = shape.subject_shape(np.array([case.subject]))
    scenes = _free_hands(subject, seed) if case.scene == "free" else _cluttered_hands(subject, seed)
    parts = []
    for number, (render, joints_mm) in enumerate(scenes):
        noise_mm = rng.normal(0.0, _CENTER_NOISE_MM, (len(joints_mm), 3)).astype(np.float32)
        center_mm, extent_mm = tf.reduce_mean(joints_mm, axis=1) + noise_mm, MARGIN * data.cube_mm
        size = stored_size(data.image_size)
        clean_mm = render(center_mm, extent_mm, size)
        pixel_size = sensor.pixel_size_of_crop(settings, center_mm, extent_mm, size)
        depth_mm = sensor.apply_sensor(settings, clean_mm, pixel_size, tf.constant([seed, number]))
        extents_mm, cubes_mm = (tf.fill([len(joints_mm)], value) for value in (extent_mm, data.cube_mm))
        images, thinned = (
            augment.view_stored_crops(depth_mm, center_mm, extents_mm, cubes_mm, size)[..., 0].numpy()
            for size in (data.image_size, SIZE)
        )
        parts.append((images, thinned, center_mm.numpy(), cubes_mm.numpy(), np.array(joints_mm)))
    # Hands among things are other hands in every frame, which are no sequence.
    places = np.arange(FRAMES) * (1 if case.scene == "free" else 2)
    return Recording(*(np.concatenate(part) for part in zip(*parts)), np.stack([np.zeros(FRAMES, int), places], axis=1))


def _free_hands(subject: shape.HandShape, seed: int):
    """Batches of a hand that moves from pose to pose: a function that renders crops, and the joints."""
    count, seeds = FRAMES // _WAY + 2, tf.constant([seed, 1])
    angles = pose_prior.sample_angles(seeds, count, _repeated(subject, count)).numpy()
    place_mm = view_prior.sample_translation(seeds, count, near_mm=_NEAREST_MM, far_mm=_FARTHEST_MM).numpy()
    turns = Slerp(np.arange(count), Rotation.from_matrix(view_prior.sample_rotation(seeds, count).numpy()))
    first, part = np.divmod(np.arange(FRAMES) / _WAY, 1.0)
    part, first = (3.0 * part**2 - 2.0 * part**3)[:, None], first.astype(int)
    angles, place_mm = (
        (values[first] * (1.0 - part) + values[first + 1] * part).astype(np.float32) for values in (angles, place_mm)
    )
    rotation = turns(first + part[:, 0]).as_matrix().astype(np.float32)
    for start in range(0, FRAMES, BATCH):
        rows = slice(start, start + BATCH)
        hand = kinematics.pose_hand(angles[rows], rotation[rows], place_mm[rows], _repeated(subject, BATCH))

        def render(*view, hand=hand):
            return renderer.render_crop(hand.centers_mm, hand.radii_mm, *surface.primitives(forearm=True), *view)

        yield render, hand.joints_mm


def _cluttered_hands(subject: shape.HandShape, seed: int):
    for number in range(FRAMES // BATCH):
        scene = surroundings.draw_scene(subject, BATCH, _NEAREST_MM, _FARTHEST_MM, tf.constant([seed, number]))
        yield lambda *view, scene=scene: scene_renderer.render_scene(scene, *view)[0], scene.hand.joints_mm


def _repeated(subject: shape.HandShape, count: int) -> shape.HandShape:
    return tf.nest.map_structure(lambda part: tf.repeat(part, count, axis=0), subject)


def _build_predict(networks: Networks):
    @tf.function
    def joints_of(images: tf.Tensor) -> tf.Tensor:
        return networks.predict_joints(images[..., None], "real")

    def predict(recording: Recording) -> np.ndarray:
        parts = [joints_of(recording.images[first : first + BATCH]) for first in range(0, len(recording.images), BATCH)]
        return crop.denormalize_joints(tf.concat(parts, axis=0), recording.center_mm, recording.cube_mm).numpy()

    return predict


def _labelled(case: Case, seen: Recording, predicted_mm: np.ndarray, fitter: DepthFitter, rng: np.random.Generator):
    """Images and joints [N, J, 3] in half cubes to train on: the best explained fits, or what is made of them."""
    fits = []
    for first in range(0, len(seen.images), BATCH):
        rows = slice(first, first + BATCH)
        part = seen.part(rows)
        fits.append(fitter.fit(part.thinned, part.center_mm, part.cube_mm, predicted_mm[rows], seed=first))
    residual_mm = np.concatenate([fit.residual_mm for fit in fits])
    best = np.argsort(residual_mm)[: round(_KEPT * len(residual_mm))]
    joints_mm = np.concatenate([fit.joints_mm for fit in fits])
    joints = crop.normalize_joints(joints_mm, seen.center_mm, seen.cube_mm).numpy()[best]
    made = {
        "fits": joints,
        "few": joints,
        "mean": 0.3 * joints + 0.7 * joints.mean(axis=0),
        "shuffled": joints[rng.permutation(len(joints))],
        "scaled": 1.35 * joints,
        "shifted": joints + np.array([0.0, 0.2, 0.12]),
    }[case.labels]
    count = 8 if case.labels == "few" else len(best)
    return seen.images[best][:count], made[:count].astype(np.float32)


def _train(networks: Networks, images: np.ndarray, joints: np.ndarray, case: Case, rng: np.random.Generator) -> None:
    variables = networks.posterior_variables("real")
    optimizer = keras.optimizers.legacy.Adam(case.learning_rate, beta_1=0.5, global_clipnorm=5.0)
    optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])

    @tf.function
    def step(image: tf.Tensor, target: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((networks.predict_joints(image, "real") - target) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    for _ in range(case.steps):
        chosen = rng.choice(len(images), 32)
        step(tf.constant(images[chosen][..., None]), tf.constant(joints[chosen]))


if __name__ == "__main__":
    run_command(main)
