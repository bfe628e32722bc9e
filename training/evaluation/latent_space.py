"""The shared latent space as a chain of links, each measured in mm: what of a hand is left after E, G, M and P.

A link makes images of held-out hands, and a regressor reads the pose in them. What the same regressor reads without the
link is the link's floor. What is read in its place, or without any image, is its ceiling.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tabulate import tabulate
from tensorflow import keras

from lsps_tf import generate
from lsps_tf.config import FIT
from lsps_tf.losses import SEEN
from lsps_tf.run_folder import Run
from training.evaluation.latent_runs import Hands

# Readers: regressors of other runs, the run's own P by the domain of its layers, and what reads no image.
SYNTHETIC, REAL, ORACLE = "synthetic-only", "real labels", "oracle"
P_SYNTHETIC, P_REAL = "P through D_s", "P through D_r"
MEAN, POSE_VAE = "mean pose", "pose VAE"
# How an image is made of a hand.
AS_IT_IS, RECONSTRUCTED, TRANSLATED, CYCLED = "as it is", "reconstructed", "translated", "there and back"
# By M: of its pose, of its pose in the other domain, of a pose of the prior.
DRAWN, DRAWN_OTHER, PRIOR = "drawn", "drawn in the other domain", "of the prior"
OTHER = {"synthetic": "real", "real": "synthetic"}
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Reading:
    """A reader, the domain whose held-out hands it reads, and how their images are made."""

    reader: str
    domain: str
    way: str = AS_IT_IS


@dataclasses.dataclass(frozen=True)
class Link:
    """One link: its reading, and those that bound it; a floor of None is no error at all."""

    key: str
    title: str
    reading: Reading
    floor: Reading | None
    ceiling: Reading


def _self_link(kind: str, title: str, domain: str, way: str) -> Link:
    """A link whose images are of the same domain, so that the frames as they are bound it."""
    reader = {"synthetic": SYNTHETIC, "real": REAL}[domain]
    floor = Reading(reader, domain)
    return Link(
        f"{kind}-{domain}", title.format(domain), Reading(reader, domain, way), floor, Reading(MEAN, domain, way)
    )


LINKS = (
    Link("pose-vae", "poses: G_y(E_y(y))", Reading(POSE_VAE, "synthetic"), None, Reading(MEAN, "synthetic")),
    _self_link("reconstruction", "{}, reconstructed", "synthetic", RECONSTRUCTED),
    _self_link("reconstruction", "{}, reconstructed", "real", RECONSTRUCTED),
    _self_link("cycle", "{}, there and back", "synthetic", CYCLED),
    _self_link("cycle", "{}, there and back", "real", CYCLED),
    Link(
        "real-to-synthetic",
        "real to synthetic: G_s(E_r(x))",
        Reading(SYNTHETIC, "real", TRANSLATED),
        Reading(ORACLE, "real"),
        Reading(SYNTHETIC, "real"),
    ),
    Link(
        "synthetic-to-real",
        "synthetic to real: G_r(E_s(x))",
        Reading(REAL, "synthetic", TRANSLATED),
        Reading(REAL, "real"),
        Reading(REAL, "synthetic"),
    ),
    Link(
        "matching-real",
        "matching: P of real frames",
        Reading(P_REAL, "real"),
        Reading(P_SYNTHETIC, "real", TRANSLATED),
        Reading(P_SYNTHETIC, "real"),
    ),
    Link(
        "matching-synthetic",
        "matching: P of synthetic frames made real",
        Reading(P_REAL, "synthetic", TRANSLATED),
        Reading(P_SYNTHETIC, "synthetic"),
        Reading(P_REAL, "synthetic"),
    ),
    _self_link("mapping", "M: {} poses drawn", "synthetic", DRAWN),
    Link(
        "mapping-synthetic-to-real",
        "M: synthetic poses drawn as real",
        Reading(REAL, "synthetic", DRAWN_OTHER),
        Reading(REAL, "real"),
        Reading(MEAN, "synthetic"),
    ),
    _self_link("mapping", "M: {} poses drawn", "real", DRAWN),
    _self_link("prior", "M: poses of the prior as {}", "synthetic", PRIOR),
    _self_link("prior", "M: poses of the prior as {}", "real", PRIOR),
)


class Chain:
    """Images and errors of a run's latent space on held-out hands, each made once.

    Attributes:
        run: whose latent space.
        hands: held-out hands by domain.
        readers: regressors of other runs by the readers' names.
        has_posterior: whether the run's own P can be read with.
    """

    def __init__(self, run: Run, hands: dict[str, Hands], readers: dict[str, Run], has_posterior: bool):
        self.run, self.hands, self.readers, self.has_posterior = run, hands, readers, has_posterior
        self._evaluated = list(run.skeleton.evaluated)
        self._images: dict[tuple[str, str], np.ndarray] = {}
        self._joints: dict[Reading, np.ndarray] = {}

    def missing(self, reading: Reading | None) -> str | None:
        """Why a reading cannot be taken; None where it can."""
        if reading is None or reading.reader in (MEAN, POSE_VAE, *self.readers):
            return None
        if reading.reader in (P_SYNTHETIC, P_REAL):
            return None if self.has_posterior else "the run's P is not trained yet"
        return f"no {_OPTIONS[reading.reader]} is given"

    def images(self, domain: str, way: str) -> np.ndarray:
        """Images [N, S, S] of a domain's hands made in one way, float32 in [-1, 1]."""
        if (domain, way) not in self._images:
            self._images[domain, way] = self._make_images(domain, way)
        return self._images[domain, way]

    def joints(self, reading: Reading) -> np.ndarray:
        """What is read, [N, J, 3] in half cubes."""
        if reading not in self._joints:
            self._joints[reading] = self._read(reading)
        return self._joints[reading]

    def truth(self, reading: Reading) -> np.ndarray:
        """The joints [N, J, 3] in half cubes that there are to be read."""
        if reading.way == PRIOR:
            return _in_batches(self.run.networks.decode_pose, self._prior(reading.domain))
        return self.hands[reading.domain].joints

    def errors_mm(self, reading: Reading) -> np.ndarray:
        """The mean error [N] in mm of the evaluated joints of each hand."""
        half_mm = 0.5 * self.hands[reading.domain].cube_mm[:, None]
        off = (self.joints(reading) - self.truth(reading))[:, self._evaluated]
        return (np.linalg.norm(off, axis=-1) * half_mm).mean(axis=1)

    def _make_images(self, domain: str, way: str) -> np.ndarray:
        networks, hands = self.run.networks, self.hands[domain]
        if way == AS_IT_IS:
            return hands.image
        if way in (DRAWN, DRAWN_OTHER, PRIOR):
            generator = networks.generators[OTHER[domain] if way == DRAWN_OTHER else domain]
            draw = functools.partial(_drawn, networks.mapping, generator)
            if way == PRIOR:
                return _in_batches(draw, self._prior(domain))
            return _in_batches(lambda joints: draw(networks.encode_pose(joints)[0]), hands.joints)
        target = domain if way == RECONSTRUCTED else OTHER[domain]

        def make(image: tf.Tensor) -> tf.Tensor:
            made = generate.translate(networks, image[..., None], domain, target)
            back = generate.translate(networks, made, target, domain) if way == CYCLED else made
            return back[..., 0]

        return _in_batches(make, hands.image)

    def _read(self, reading: Reading) -> np.ndarray:
        true, own = self.truth(reading), self.run.networks
        if reading.reader == MEAN:
            return np.broadcast_to(true.mean(axis=0), true.shape)
        if reading.reader == POSE_VAE:
            return _in_batches(lambda joints: own.decode_pose(own.encode_pose(joints)[0]), true)
        if reading.reader in self.readers:
            networks, layers = self.readers[reading.reader].networks, self.readers[reading.reader].domain
        else:
            networks, layers = own, {P_SYNTHETIC: "synthetic", P_REAL: "real"}[reading.reader]
        images = self.images(reading.domain, reading.way)
        return _in_batches(lambda image: networks.predict_joints(image[..., None], layers), images)

    def _prior(self, domain: str) -> np.ndarray:
        shape = (len(self.hands[domain].image), self.run.config.network.latent_size)
        return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def has_posterior(stage: str) -> bool:
    """Whether P of both domains is trained after this stage."""
    return stage == "posterior" or stage.startswith(FIT)


_OPTIONS = {SYNTHETIC: "--synthetic-reader", REAL: "--real-reader", ORACLE: "--oracle-reader"}


def measure_links(chain: Chain) -> dict[str, list[dict[str, Any]]]:
    """The figures of every link.

    Returns:
        Ready for JSON. `links`: `link`, `title`, `reader`, and `error_mm`, `floor_mm` and `ceiling_mm`, of which the
        bounds are None where their reader is missing. `left_out`: `link` and `reason`. `surfaces`: what images alone
        say, by `measure_surfaces`.
    """
    figures: dict[str, list[dict[str, Any]]] = {"links": [], "surfaces": [], "left_out": []}
    for link in LINKS:
        reason = chain.missing(link.reading)
        if reason is not None:
            figures["left_out"].append({"link": link.key, "reason": reason})
            continue
        bounds = {"error_mm": link.reading, "floor_mm": link.floor, "ceiling_mm": link.ceiling}
        errors = {name: _mean_mm(chain, reading) for name, reading in bounds.items()}
        figures["links"].append({"link": link.key, "title": link.title, "reader": link.reading.reader, **errors})
    for link in image_links():
        figures["surfaces"].append({"link": link.key, "title": link.title, **measure_surfaces(chain, link.reading)})
    return figures


def image_links() -> list[Link]:
    """The links whose images are to show what the frame shows that they are made of."""
    makes = (RECONSTRUCTED, TRANSLATED, CYCLED, DRAWN)
    return [link for link in LINKS if link.reading.way in makes and not link.key.startswith("matching")]


def measure_surfaces(chain: Chain, reading: Reading) -> dict[str, float]:
    """How far what both images see moves (mm), which share of pixels one alone sees (%), and L1 in half cubes."""
    before, after = chain.images(reading.domain, AS_IT_IS), chain.images(reading.domain, reading.way)
    half_mm = 0.5 * chain.hands[reading.domain].cube_mm[:, None, None]
    seen, still = before < SEEN, after < SEEN
    moved_mm = (np.abs(after - before) * half_mm)[seen & still]
    return {
        "moved_mm": float(moved_mm.mean()) if moved_mm.size else float("nan"),
        "one_sees_percent": 100.0 * float((seen != still).mean()),
        "l1": float(np.abs(after - before).mean()),
    }


def format_links(figures: dict[str, list[dict[str, Any]]]) -> str:
    """The figures of `measure_links` as two tables and a line for each link that was left out."""
    head = ("link", "read by", "mm", "floor", "ceiling")
    rows = [
        (row["title"], row["reader"], *(_cell(row[name]) for name in ("error_mm", "floor_mm", "ceiling_mm")))
        for row in figures["links"]
    ]
    parts = [tabulate(rows, head, colalign=("left", "left", "right", "right", "right"), disable_numparse=True)]
    head = ("images", "surfaces moved, mm", "one alone sees, %", "L1, half cubes")
    rows = [
        (row["title"], f"{row['moved_mm']:.1f}", f"{row['one_sees_percent']:.1f}", f"{row['l1']:.4f}")
        for row in figures["surfaces"]
    ]
    parts.append(tabulate(rows, head, colalign=("left", "right", "right", "right"), disable_numparse=True))
    parts += [f"left out: {row['link']} ({row['reason']})" for row in figures["left_out"]]
    return "\n\n".join(parts[:2]) + "".join(f"\n{line}" for line in parts[2:])


def _cell(value_mm: float | None) -> str:
    return "-" if value_mm is None else f"{value_mm:.2f}"


def _mean_mm(chain: Chain, reading: Reading | None) -> float | None:
    if reading is None:
        return 0.0
    return None if chain.missing(reading) else float(chain.errors_mm(reading).mean())


def _drawn(mapping: keras.Model, generator: keras.Model, pose_latent: tf.Tensor) -> tf.Tensor:
    """G(M(z_y)) of latents [B, Z], [B, S, S]."""
    return generator(mapping(pose_latent))[..., 0]


def _in_batches(make: Callable[[tf.Tensor], tf.Tensor], values: np.ndarray) -> np.ndarray:
    parts = [make(tf.constant(values[i : i + _BATCH], tf.float32)).numpy() for i in range(0, len(values), _BATCH)]
    return np.concatenate(parts)
