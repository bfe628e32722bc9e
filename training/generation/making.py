"""The subcommands of `training/generate.py`: each makes something with a run's networks, writes it and says where."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from lsps_tf import crop, generate
from lsps_tf.datasets.generated import image_to_mm
from lsps_tf.errors import InputError
from lsps_tf.generate import Hands
from lsps_tf.networks import DOMAINS
from lsps_tf.pose_codes import CodeSpace, codes_of_simulated_poses, sample_prior
from lsps_tf.pose_files import read_codes, read_poses
from lsps_tf.run_folder import Run
from training.generation.frames import frames_of
from training.generation.writing import say_written, write_arrays, write_hands_grid, write_image_grid, write_walk

_BATCH = 32
# A code is far out where fewer than this share of simulated poses' codes are as far from the next one.
_FAR_OUT = 0.01


def translate(run: Run, given: argparse.Namespace) -> None:
    """Frames of a domain, or of both: reconstructed, translated to the other domain, and back."""
    # One's own frames come from a sensor.
    domains = (given.domain,) if given.domain else ("real",) if given.frames else DOMAINS
    rows, arrays = {}, {}
    for domain in domains:
        frames = frames_of(run, domain, given)
        parts = [
            generate.translations(run.networks, image, domain)
            for image in _batches(frames.image, f"translate {domain}")
        ]
        rows.update({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        known = {"center_mm": frames.center_mm, "cube_mm": frames.cube_mm, "joints_mm": frames.joints_mm}
        arrays.update({f"{domain}_{name}": values for name, values in known.items()})
    written = [write_image_grid(given.output / "translate.png", rows)]
    say_written([*written, write_arrays(given.output / "translate.npz", {**rows, **arrays})])


def walk(run: Run, given: argparse.Namespace) -> None:
    """A walk between frames, poses or codes, or at random, at even steps of the pose, in all three domains.

    It leads by codes of simulated hands, or straight from code to code.
    """
    corners = _given_corners(run, given)
    closed = corners is None
    if closed or given.path == "hands":
        space = _code_space(run, given.seed)
        corners = space.sample(given.waypoints, given.seed, given.truncation) if closed else corners
        corners = _by_hands(space, corners, closed) if given.path == "hands" else corners
    codes = generate.walk(run.networks, corners, given.steps, closed)
    hands = _hands(run, codes)
    # The moving pictures last: where MP4 cannot be written, the rest is there.
    written = [
        write_hands_grid(given.output / "walk.png", hands, run.skeleton),
        write_arrays(given.output / "walk.npz", _arrays(run, codes, hands)),
        *write_walk(given.output, hands, run.skeleton, given.per_second, closed),
    ]
    moved_mm = generate.steps_moved_mm(hands.joints_norm, run.config.data.cube_mm)
    print(f"Joints move by {moved_mm.mean():.2f} mm a step in the mean, and by {moved_mm.max():.2f} mm at most.")
    say_written(written)


def sample(run: Run, given: argparse.Namespace) -> None:
    """Hands of drawn codes, in all three domains, and how typical each is."""
    codes = None if given.codes is None else read_codes(given.codes, run.config.network.latent_size)
    space = _code_space(run, given.seed)
    if codes is None and given.prior == "unit":
        codes = sample_prior(run.networks, given.count, given.seed, given.truncation)
    elif codes is None:
        codes = space.sample(given.count, given.seed, given.truncation)
    hands, typicality = _hands(run, codes), space.typicality(codes)
    written = [write_hands_grid(given.output / "sample.png", hands, run.skeleton)]
    arrays = {**_arrays(run, codes, hands), "typicality": typicality.astype(np.float32)}
    share, most = np.mean(typicality > _FAR_OUT), 1 - _FAR_OUT
    print(f"{share:.0%} of the codes lie as near to a simulated pose's as {most:.0%} of these lie to each other.")
    say_written([*written, write_arrays(given.output / "sample.npz", arrays)])


def render(run: Run, given: argparse.Namespace) -> None:
    """Depth of given poses in both domains: R_r = G_r(M(E_y(y))) and R_s alike."""
    joints_mm = read_poses(given.poses, run.skeleton)
    center_mm, cube_mm = joints_mm.mean(axis=1), run.config.data.cube_mm
    codes = _codes_of_poses(run, joints_mm)
    hands = _hands(run, codes)
    depth_mm = {f"{domain}_mm": _depth_mm(getattr(hands, domain), center_mm, cube_mm) for domain in DOMAINS}
    arrays = {**_arrays(run, codes, hands), **depth_mm, "center_mm": center_mm, "joints_mm": joints_mm}
    written = [write_hands_grid(given.output / "render.png", hands, run.skeleton)]
    say_written([*written, write_arrays(given.output / "render.npz", arrays)])


def _by_hands(space: CodeSpace, corners: np.ndarray, closed: bool) -> np.ndarray:
    """Corners [K, Z] with the codes of hands that lead from each to the next; a closed walk's first one comes once."""
    ends = np.concatenate([corners, corners[:1]]) if closed else corners
    ways = [space.path(start, end)[:-1] for start, end in zip(ends, ends[1:])]
    return np.concatenate(ways if closed else [*ways, corners[-1:]])


def _given_corners(run: Run, given: argparse.Namespace) -> np.ndarray | None:
    """The codes of what a walk is to lead between, [K, Z]; None where nothing is named.

    Raises:
        InputError: where it cannot be read, or is fewer than two.
    """
    if given.frames:
        codes = generate.codes_of_images(run.networks, frames_of(run, run.domain, given).image, run.domain)
        source = "the frames"
    elif given.poses is not None:
        codes, source = _codes_of_poses(run, read_poses(given.poses, run.skeleton)), str(given.poses)
    elif given.codes is not None:
        codes, source = read_codes(given.codes, run.config.network.latent_size), str(given.codes)
    else:
        return None
    if len(codes) < 2:
        raise InputError(f"{source}: a walk needs two ends at least, and there is {len(codes)}")
    return codes


def _codes_of_poses(run: Run, joints_mm: np.ndarray) -> np.ndarray:
    joints_norm = crop.normalize_joints(joints_mm, joints_mm.mean(axis=1), run.config.data.cube_mm)
    return generate.codes_of_joints(run.networks, joints_norm)


def _code_space(run: Run, seed: int) -> CodeSpace:
    return codes_of_simulated_poses(run.networks, run.skeleton, run.config.data.cube_mm, seed)


def _hands(run: Run, codes: np.ndarray) -> Hands:
    """Hands of codes [N, Z], with a progress bar."""
    parts = [generate.hands_of_codes(run.networks, part) for part in _batches(codes, "generate")]
    return Hands(*(np.concatenate(values) for values in zip(*parts)))


def _arrays(run: Run, codes: np.ndarray, hands: Hands) -> dict[str, np.ndarray]:
    """What an .npz holds of hands; `cube_mm` turns normalised lengths into mm."""
    return {"codes": codes, **hands._asdict(), "cube_mm": np.float32(run.config.data.cube_mm)}


def _depth_mm(image: np.ndarray, center_mm: np.ndarray, cube_mm: float) -> np.ndarray:
    """Normalised depth [N, S, S] of cubes of one side in mm."""
    return image_to_mm(image, center_mm, np.full(len(image), cube_mm, np.float32))


def _batches(values: np.ndarray, title: str) -> Iterator[np.ndarray]:
    with tqdm(total=len(values), desc=title, unit="hand", mininterval=1.0) as bar:
        for first in range(0, len(values), _BATCH):
            part = values[first : first + _BATCH]
            yield part
            bar.update(len(part))
