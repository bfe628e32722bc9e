"""What trained networks make: images of the other domain, hands of codes in all three domains, and walks.

Also the rows of pictures that show a depth stage's state while it trains.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import losses
from lsps_tf.config import FIT
from lsps_tf.errors import InputError
from lsps_tf.networks import DOMAINS, Networks
from lsps_tf.run_folder import GENERATING, Run, load_run, read_settings, weights_path

OTHER = dict(zip(DOMAINS, reversed(DOMAINS)))
# Between two codes of a walk, before its steps are made even.
_FINE_STEPS = 64


class Hands(NamedTuple):
    """Hands in all three domains.

    Attributes:
        synthetic, real: normalised depth [B, S, S], as the simulator and as the sensor show them.
        joints_norm: [B, J, 3] in half cubes.
    """

    synthetic: np.ndarray
    real: np.ndarray
    joints_norm: np.ndarray


def load_generating_run(directory: str | pathlib.Path = GENERATING) -> Run:
    """Loads a run that has trained E, G and M of both domains, the one that comes with the program by default.

    Of a run that only went on with M of a whole one, the weights are those of its last stage.

    Raises:
        InputError: as of `load_run`, and where the run has not trained them.
    """
    settings = read_settings(directory)
    whole = settings.pretrained_stage == "posterior" or settings.pretrained_stage.startswith(FIT)
    finished = [stage for stage in settings.stages if whole and weights_path(directory, stage).is_file()]
    run = load_run(directory, finished[-1] if finished else None)
    check_generates(run)
    return run


def generates(networks: Networks) -> bool:
    """Whether E and G of both domains and M were trained."""
    return not untrained_networks(networks)


def check_generates(run: Run) -> None:
    """InputError where a run cannot generate, which says what it lacks and which run has it."""
    missing = untrained_networks(run.networks)
    if missing:
        raise InputError(
            f"{run.directory}: the run has no depth stage of both domains, so {', '.join(missing)} are untrained; take "
            f"one that has it, such as {GENERATING}, or train one: python training/run.py --dataset sim --method lsps"
        )


def translations(networks: Networks, image: np.ndarray, source: str) -> dict[str, np.ndarray]:
    """What becomes of images, from the means of q(z|x): reconstructions, translations, and these translated back.

    Args:
        networks: the trained networks.
        image: x of the domain `source`, normalised depth [B, S, S, 1].
        source: "synthetic" or "real".

    Returns:
        Normalised depth [B, S, S] by what it is: the source's name, "real_reconstructed", "real_to_synthetic" and
        "real_to_synthetic_and_back", for "real".
    """
    other = OTHER[source]
    image = tf.convert_to_tensor(image, tf.float32)
    made = networks.generate(networks.encode({source: image}, {source: source}), {source: DOMAINS})[source]
    rows = {
        source: image,
        f"{source}_reconstructed": made[source],
        f"{source}_to_{other}": made[other],
        f"{source}_to_{other}_and_back": translate(networks, made[other], other, source),
    }
    return {name: np.asarray(values)[..., 0] for name, values in rows.items()}


def hands_of_codes(networks: Networks, codes: np.ndarray) -> Hands:
    """Hands of pose codes [B, Z] in all three domains: G_s(M(z)), G_r(M(z)) and G_y(z)."""
    codes = tf.convert_to_tensor(codes, tf.float32)
    made = networks.generate({"pose": networks.mapping(codes)}, {"pose": DOMAINS})["pose"]
    return Hands(made["synthetic"][..., 0].numpy(), made["real"][..., 0].numpy(), networks.decode_pose(codes).numpy())


def codes_of_joints(networks: Networks, joints_norm: np.ndarray) -> np.ndarray:
    """The means of q(z_y|y), [B, Z], of joints [B, J, 3] in half cubes."""
    return networks.encode_pose(tf.convert_to_tensor(joints_norm, tf.float32))[0].numpy()


def codes_of_images(networks: Networks, image: np.ndarray, domain: str) -> np.ndarray:
    """P(x): the pose codes [B, Z] of normalised depth [B, S, S, 1]."""
    return networks.predict_latent(tf.convert_to_tensor(image, tf.float32), domain).numpy()


def walk(networks: Networks, codes: np.ndarray, steps: int, closed: bool = False) -> np.ndarray:
    """Codes along the straight lines from each code to the next, at even steps of the pose.

    The latent space stretches poses unevenly. So the places are chosen by how far the decoded joints move in the mean.

    Args:
        networks: whose G_y decodes poses.
        codes: [K, Z], at least two.
        steps: how many codes come out, at least two.
        closed: whether the walk returns to the first code; that one does not come twice.

    Returns:
        [steps, Z] float32.
    """
    codes = np.asarray(codes, np.float64)
    corners = np.concatenate([codes, codes[:1]]) if closed else codes
    share = np.linspace(0.0, 1.0, _FINE_STEPS, endpoint=False)[:, None]
    fine = np.concatenate([start + share * (end - start) for start, end in zip(corners, corners[1:])] + [corners[-1:]])
    joints = networks.decode_pose(tf.constant(fine, tf.float32)).numpy()
    moved = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(axis=1)
    # What stands still still takes its time, so that the places rise.
    place = np.concatenate([[0.0], np.cumsum(moved + 1e-9)])
    wanted = np.linspace(0.0, place[-1], steps, endpoint=not closed)
    return np.stack([np.interp(wanted, place, column) for column in fine.T], axis=1).astype(np.float32)


def steps_moved_mm(joints_norm: np.ndarray, cube_mm: float) -> np.ndarray:
    """How far the joints [N, J, 3] of a walk move in the mean at each step, [N - 1] in mm."""
    return 0.5 * cube_mm * np.linalg.norm(np.diff(joints_norm, axis=0), axis=-1).mean(axis=1)


def translate(networks: Networks, image: tf.Tensor, source: str, domain: str) -> tf.Tensor:
    """G(E(x)), from the mean of q(z|x).

    Args:
        networks: the trained networks.
        image: x of the domain `source`, normalised depth [B, S, S, 1].
        source: "synthetic" or "real".
        domain: whose generator makes the image; that of `source` reconstructs it.

    Returns:
        Normalised depth [B, S, S, 1] as the domain has it.
    """
    mean = networks.encode({source: image}, {source: source})
    return networks.generate(mean, {source: (domain,)})[source][domain]


def depth_pictures(
    networks: Networks, image: dict[str, tf.Tensor], joints: tf.Tensor | None, seed: tf.Tensor
) -> dict[str, np.ndarray]:
    """Rows of pictures: each domain's images, their reconstruction, their translation and its way back, and M's.

    As in the depth stage, what is made comes from a sample of q(z|x) and of q(z_y|y), so the noise shows.

    Args:
        networks: the networks.
        image: normalised depth [B, S, S, 1] by domain.
        joints: of the synthetic images, [B, J, 3] in half cubes; None leaves M's row out.
        seed: of the samples, int32 [2].

    Returns:
        By the row's title images [B, S, S] in [-1, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 2 * len(DOMAINS) + 1))
    latent = _sample(networks, image, {domain: domain for domain in DOMAINS}, seeds[:2])
    made = networks.generate(latent, dict.fromkeys(DOMAINS, DOMAINS))
    translated = {domain: made[domain][OTHER[domain]] for domain in DOMAINS}
    latent = _sample(networks, translated, OTHER, seeds[2:4])
    back = networks.generate(latent, {domain: (domain,) for domain in DOMAINS})
    rows = {}
    for domain in DOMAINS:
        rows[domain] = image[domain]
        rows[f"{domain}, reconstructed"] = made[domain][domain]
        rows[f"{domain} to {OTHER[domain]}"] = translated[domain]
        rows[f"{domain} to {OTHER[domain]} and back"] = back[domain][domain]
    if joints is not None:
        pose_latent = losses.pose_posterior(*networks.encode_pose(joints)).sample(seed=seeds[4])
        rows["synthetic, from its pose by M"] = networks.generators["synthetic"](networks.mapping(pose_latent))
    return {name: images[..., 0].numpy() for name, images in rows.items()}


def _sample(
    networks: Networks, image: dict[str, tf.Tensor], encoders: dict[str, str], seeds: list[tf.Tensor]
) -> dict[str, tf.Tensor]:
    """A sample of q(z|x), [B, S/4, S/4, C] by the names of the images; `encoders` says whose E takes them."""
    mean = networks.encode(image, encoders)
    return {name: losses.depth_posterior(mean[name]).sample(seed=seed) for name, seed in zip(image, seeds)}


def untrained_networks(networks: Networks) -> list[str]:
    """Names of the networks that generate and were never trained. Biases start at 0, and the first step moves them."""
    parts = {f"E_{domain[0]}": networks.encoders[domain].private for domain in DOMAINS}
    parts |= {f"G_{domain[0]}": networks.generators[domain].private for domain in DOMAINS}
    parts["M"] = networks.mapping
    return [name for name, part in parts.items() if not any(np.any(v) for v in part.variables if len(v.shape) == 1)]
