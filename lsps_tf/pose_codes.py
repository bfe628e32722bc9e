"""Where the codes of hands lie in the pose VAE's latent space: which codes are hands, and what each direction moves.

The VAE's prior is N(0, I). Codes of poses fill a small and curved part of it. Those of a hand that turns lie on a ring,
whose middle is no hand. So what is near codes of simulated poses counts as a hand, and new codes are drawn between
them. The principal directions of these codes are the axes worth a slider.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.errors import InputError
from lsps_tf.networks import Networks
from lsps_tf.simulation import anatomy, kinematics, pose_prior, view_prior
from lsps_tf.simulation.shape import canonical_shape
from lsps_tf.skeleton import NYU, Skeleton, joints_of

POSES = 2048
_PER_BATCH = 256
# A weaker correlation names nothing.
_NAMED_FROM = 0.25
# Of a known code, those that a new one is drawn towards.
_NEIGHBORS = 8


@dataclasses.dataclass(frozen=True)
class CodeSpace:
    """Codes of simulated poses, and their principal directions.

    Distances are those of codes. They stand for distances of poses: along every direction a unit of the code moves the
    decoded joints about as far.

    Attributes:
        known: [N, Z] float32, the codes.
        distances: [N] rising, from each of them to the nearest other one.
        mean: [Z], of all.
        directions: [K, Z] orthonormal rows, the one of the largest variance first.
        stddevs: [K], of the codes along the directions.
        names: K, what a direction moves most.
        correlations: [K], of the named quantity with the coordinate; not negative, as directions are turned so.
    """

    known: np.ndarray
    distances: np.ndarray
    mean: np.ndarray
    directions: np.ndarray
    stddevs: np.ndarray
    names: tuple[str, ...]
    correlations: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of the distances the percentiles from 0 to 100, and three digits of the codes."""
        lists = {name: getattr(self, name).tolist() for name in ("mean", "directions", "stddevs", "correlations")}
        known = np.round(self.known.astype(np.float64), 3).tolist()
        distances = np.percentile(self.distances, range(101)).tolist()
        return {**lists, "names": list(self.names), "known": known, "distances": distances}

    def coordinates(self, codes: np.ndarray) -> np.ndarray:
        """Codes [B, Z] to coordinates [B, K] in standard deviations along the directions."""
        return (np.asarray(codes) - self.mean) @ self.directions.T / self.stddevs

    def codes(self, coordinates: np.ndarray) -> np.ndarray:
        """Inverse of `coordinates`: [B, K] to codes [B, Z], float32."""
        return (self.mean + (np.asarray(coordinates) * self.stddevs) @ self.directions).astype(np.float32)

    def typicality(self, codes: np.ndarray) -> np.ndarray:
        """[B], the share of known codes whose nearest other one is as far as the nearest of them from codes [B, Z].

        1 at a known code, 0 where none lies so far from the others.
        """
        nearest = np.array([_distances(self.known, code).min() for code in np.asarray(codes, np.float32)])
        return 1.0 - np.searchsorted(self.distances, nearest, side="left") / len(self.distances)

    def sample(self, count: int, seed: int, truncation: float = 1.0) -> np.ndarray:
        """Codes [count, Z] between a known one and one of its neighbours, at any place (SMOTE, Chawla et al., 2002).

        Args:
            count: how many.
            seed: the same seed gives the same codes, whatever the truncation.
            truncation: multiplies the distance from the known code; 0 gives known codes as they are, and above 1
                codes may lie beyond the neighbour.
        """
        random, factor = np.random.default_rng([seed, 23]), check_truncation(truncation)
        codes = []
        for _ in range(count):
            start = self.known[random.integers(len(self.known))]
            near = self.known[np.argsort(_distances(self.known, start), kind="stable")[1 : _NEIGHBORS + 1]]
            codes.append(start + factor * random.uniform() * (near[random.integers(len(near))] - start))
        return np.array(codes, np.float32)

    def path(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The way from one code [Z] to another by known codes, [K, Z], both ends included.

        Of all ways the one with the smallest sum of squared steps (Dijkstra, 1959). It takes short steps, so it keeps
        near hands, where the straight line leaves them.
        """
        codes = np.concatenate([self.known, np.asarray([end, start], np.float32)])
        first, last = len(codes) - 1, len(codes) - 2
        cost = np.full(len(codes), np.inf)
        before = np.full(len(codes), first)
        cost[first], left = 0.0, np.ones(len(codes), bool)
        while left[last]:
            place = int(np.argmin(np.where(left, cost, np.inf)))
            left[place] = False
            reached = cost[place] + _distances(codes, codes[place]) ** 2
            better = left & (reached < cost)
            cost[better], before[better] = reached[better], place
        way = [last]
        while way[-1] != first:
            way.append(int(before[way[-1]]))
        return codes[way[::-1]]


def check_truncation(truncation: float) -> float:
    """The truncation; InputError where it is not from 0 to 3."""
    if not 0.0 <= truncation <= 3.0:
        raise InputError(
            f"--truncation {truncation:g}: give a factor from 0 to 3; 1 leaves all as it is, less is more usual"
        )
    return truncation


def sample_prior(networks: Networks, count: int, seed: int, truncation: float = 1.0) -> np.ndarray:
    """Codes [count, Z] of the VAE's own prior N(0, I); the truncation multiplies their distance from 0 (StyleGAN's)."""
    normal = np.random.default_rng([seed, 23]).standard_normal((count, networks.config.latent_size))
    return (check_truncation(truncation) * normal).astype(np.float32)


def fit_codes(codes: np.ndarray, quantities: dict[str, np.ndarray]) -> CodeSpace:
    """The space of codes [N, Z], at least two, its directions named by quantities [N] that go along with them.

    A direction is turned so that its coordinate rises with the quantity of the largest correlation. Where a name is
    taken by a direction of more variance, the quantity of the next largest correlation is added to it.
    """
    mean = codes.mean(axis=0, dtype=np.float64)
    variances, vectors = np.linalg.eigh(np.cov(codes - mean, rowvar=False))
    order = np.argsort(-variances, kind="stable")
    stddevs, directions = np.sqrt(np.maximum(variances[order], 1e-12)), vectors[:, order].T
    coordinates = (codes - mean) @ directions.T / stddevs
    correlations = _correlations(coordinates, np.stack(list(quantities.values()), axis=1))
    ranked = np.argsort(-np.abs(correlations), axis=1, kind="stable")
    rows = np.arange(len(directions))
    strongest = correlations[rows, ranked[:, 0]]
    directions = directions * np.where(strongest < 0, -1.0, 1.0)[:, None]
    names = _unique_names([[list(quantities)[place] for place in row] for row in ranked], np.abs(strongest))
    known = codes.astype(np.float32)
    return CodeSpace(
        known,
        np.sort([np.partition(_distances(known, code), 1)[1] for code in known]),
        mean.astype(np.float32),
        directions.astype(np.float32),
        stddevs.astype(np.float32),
        names,
        np.abs(strongest).astype(np.float32),
    )


def _distances(codes: np.ndarray, code: np.ndarray) -> np.ndarray:
    """[N], of codes [N, Z] from one [Z]."""
    return np.linalg.norm(codes - code, axis=1)


def codes_of_simulated_poses(networks: Networks, skeleton: Skeleton, cube_mm: float, seed: int = 0) -> CodeSpace:
    """The space of the codes that E_y gives poses of the simulator, centred on the mean of their joints."""
    joints_mm, quantities = simulated_poses(POSES, seed)
    joints_mm = joints_mm[:, list(joints_of(NYU, skeleton))]
    joints_norm = crop.normalize_joints(joints_mm, joints_mm.mean(axis=1), cube_mm)
    return fit_codes(networks.encode_pose(joints_norm)[0].numpy(), quantities)


def simulated_poses(count: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Poses of the simulator's average hand, joints_mm [count, 36, 3] in NYU's order, and their named quantities."""
    hand = canonical_shape()

    @tf.function
    def draw(key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        seeds = tf.unstack(tf.random.split(key, 3))
        angles = pose_prior.sample_angles(seeds[0], _PER_BATCH, hand)
        rotation = view_prior.sample_rotation(seeds[1], _PER_BATCH)
        place_mm = view_prior.sample_translation(seeds[2], _PER_BATCH)
        shapes = tf.nest.map_structure(lambda part: tf.repeat(part, _PER_BATCH, axis=0), hand)
        return kinematics.pose_hand(angles, rotation, place_mm, shapes).joints_mm, angles, rotation

    batches = [draw(tf.constant([seed, number], tf.int32)) for number in range(-(-count // _PER_BATCH))]
    joints_mm, angles, rotation = (np.concatenate([part.numpy() for part in parts])[:count] for parts in zip(*batches))
    return joints_mm, named_quantities(angles, rotation)


def named_quantities(angles: np.ndarray, rotation: np.ndarray) -> dict[str, np.ndarray]:
    """What a viewer would call a pose's features, [N] each.

    Args:
        angles: [N, A] radians, in the order of `anatomy.ANGLE_NAMES`.
        rotation: [N, 3, 3] from the palm frame (see `anatomy`) to camera space.
    """
    fingers = angles[:, anatomy.FINGER_ANGLES]
    # Of the MCP and the PIP joint, in all the bend of a finger but for its DIP joint, which follows.
    bend = fingers[:, :, 0] + fingers[:, :, 2]
    thumb = angles[:, anatomy.THUMB_ANGLES]
    across, down, back = rotation[:, :, 0], rotation[:, :, 1], rotation[:, :, 2]
    quantities = {
        "curl": bend.mean(axis=1),
        "knuckles bent": fingers[:, :, 0].mean(axis=1),
        "curl of index against pinky": bend[:, 3] - bend[:, 0],
        "curl of outer against middle fingers": bend[:, 0] + bend[:, 3] - bend[:, 1] - bend[:, 2],
        "spread": fingers[:, 3, 1] - fingers[:, 0, 1],
        "fingers lean to the thumb": fingers[:, :, 1].mean(axis=1),
        "thumb bent": thumb[:, 2] + thumb[:, 4],
        "thumb across the palm": thumb[:, 0] + thumb[:, 1],
        "palm cupped": angles[:, anatomy.PALM_ARCH],
        "wrist bent": angles[:, anatomy.WRIST_FLEXION],
        "fingers to the right": -down[:, 0],
        "fingers up": down[:, 1],
        "fingers to the camera": down[:, 2],
        "thumb to the right": across[:, 0],
        "thumb up": -across[:, 1],
        "thumb to the camera": -across[:, 2],
        "palm to the right": -back[:, 0],
        "palm up": back[:, 1],
        "palm to the camera": back[:, 2],
    }
    return {name: np.asarray(values, np.float64) for name, values in quantities.items()}


def _correlations(coordinates: np.ndarray, quantities: np.ndarray) -> np.ndarray:
    """Pearson's, [K, Q], of [N, K] with [N, Q]; 0 where one does not vary."""
    parts = [values - values.mean(axis=0) for values in (coordinates, quantities)]
    first, second = (part / np.maximum(np.linalg.norm(part, axis=0), 1e-12) for part in parts)
    return first.T @ second


def _unique_names(ranked: list[list[str]], correlations: np.ndarray) -> tuple[str, ...]:
    """A name for each direction from its quantities, the strongest first; a number where none goes along with it."""
    names: list[str] = []
    for quantities, correlation in zip(ranked, correlations):
        count = range(1, len(quantities) + 1 if correlation >= _NAMED_FROM else 1)
        choices = (", ".join(quantities[:number]) for number in count)
        names.append(next((name for name in choices if name not in names), f"mixture {len(names) + 1}"))
    return tuple(names)
