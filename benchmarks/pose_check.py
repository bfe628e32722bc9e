"""Is the simulator's hand a hand? A pose VAE of simulated poses alone, applied to the real poses of NYU and ICVL.

    python benchmarks/pose_check.py --nyu ../shared/data/published/nyu --icvl ../shared/data/published/icvl \
        --json pose_check.json --picture pose_check.png

Per dataset: the mean reconstruction error of the real joints by VAEs that saw the average hand, the simulator's
training subjects, or the hand fitted to each real subject; how well the kinematic hand itself can take the real poses;
how near the nearest simulated poses are. Crops are centred on the mean of the joints, or with --center mass on the
hand's centre of mass, as the input pipeline has it: NYU's published centres, and for simulated hands the centre found
in their rendered depth.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lsps_tf.commandline.command import run_command
from lsps_tf.presets import PRESETS

HELD_OUT = 2048
FIT_FRAMES = 600


@dataclasses.dataclass(frozen=True)
class RealPoses:
    """Labels of right hands: joints_mm [N, J, 3] and mass_mm [N, 3] (or None) in camera space; frames per subject."""

    name: str
    joints_mm: np.ndarray
    mass_mm: np.ndarray | None
    subjects: dict[str, slice]
    joints: tuple[int, ...]  # which of NYU's 36 they are
    evaluated: tuple[int, ...]
    joint_names: tuple[str, ...]


def main() -> int:
    arguments = parse_arguments()
    datasets = [read_nyu(arguments.nyu)] if arguments.nyu else []
    datasets += [read_icvl(arguments.icvl)] if arguments.icvl else []
    if arguments.center == "mass":
        datasets = [real for real in datasets if real.mass_mm is not None]
    if not datasets:
        from lsps_tf.errors import InputError

        raise InputError("nothing to check: name a folder with --nyu or --icvl (--center mass works with --nyu only)")
    report = {"settings": {name: str(value) for name, value in vars(arguments).items()}}
    for real in datasets:
        report[real.name] = check(real, arguments)
    if arguments.json:
        from lsps_tf.files import write_json

        write_json(arguments.json, report)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nyu", type=Path, help="folder of joints36_{u,v,d}.csv and centers_test_xyz_mm.txt")
    parser.add_argument("--icvl", type=Path, help="folder of groundtruth_uvd.txt")
    parser.add_argument("--preset", default="compact", choices=sorted(PRESETS), help="pose VAE's settings")
    parser.add_argument("--steps", type=int, default=5000, help="training steps per VAE (default 5000)")
    parser.add_argument("--poses", type=int, default=40000, help="simulated poses per VAE (default 40000)")
    parser.add_argument("--center", default="mean", choices=("mean", "mass"), help="what the joints are relative to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--picture", type=Path, help="draw NYU's real and nearest simulated poses to this PNG")
    return parser.parse_args()


def read_nyu(folder: Path) -> RealPoses:
    """The 36 joints of the NYU test set, two subjects."""
    from lsps_tf import camera
    from lsps_tf.skeleton import NYU

    joints_uvd = np.stack([_read_table(folder / f"joints36_{axis}.csv", 36, ",") for axis in "uvd"], axis=-1)
    # The published centres have y up.
    mass_mm = _read_table(folder / "centers_test_xyz_mm.txt", 3) * [1.0, -1.0, 1.0]
    joints_mm = camera.uvd_to_mm(joints_uvd, camera.NYU.intrinsics.astype(np.float64))
    subjects = {"subject 1": slice(0, 2440), "subject 2": slice(2440, None)}
    return RealPoses("nyu", joints_mm, mass_mm, subjects, tuple(range(36)), NYU.evaluated, NYU.joint_names)


def read_icvl(folder: Path) -> RealPoses:
    """The 16 joints of the ICVL test set, two sequences; its left hands are mirrored."""
    from lsps_tf import camera
    from lsps_tf.skeleton import ICVL, ICVL_FROM_NYU

    joints_uvd = _read_table(folder / "groundtruth_uvd.txt", 48).reshape(-1, 16, 3)
    joints_mm = camera.uvd_to_mm(joints_uvd, camera.ICVL.intrinsics.astype(np.float64)) * [-1.0, 1.0, 1.0]
    sequences = {"sequence 1": slice(0, 702), "sequence 2": slice(702, None)}
    return RealPoses("icvl", joints_mm, None, sequences, ICVL_FROM_NYU, ICVL.evaluated, ICVL.joint_names)


def _read_table(path: Path, columns: int, delimiter: str | None = None) -> np.ndarray:
    from lsps_tf.errors import InputError
    from lsps_tf.files import open_text

    try:
        with open_text(path) as file:
            table = np.loadtxt(file, delimiter=delimiter, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); see the published labels' layout") from error
    if table.shape[1] != columns or not np.isfinite(table).all():
        raise InputError(f"{path}: {table.shape[1]} columns, or not all numbers; {columns} columns of numbers needed")
    return table


def check(real: RealPoses, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of a dataset, printed as they come."""
    from benchmarks import pose_statistics
    from lsps_tf.simulation.shape import canonical_shape, shape_from_parameters

    print(f"{real.name}: {len(real.joints_mm)} frames, {len(real.joints)} joints, centred on their {arguments.center}")
    report: dict[str, Any] = {"kinematic_hand": {}, "pose_vae": {}}
    fits = {}
    for subject, frames in real.subjects.items():
        fits[subject], report["kinematic_hand"][subject] = fit_subject(real, frames)
    report.update(pose_statistics.statistics(fits, arguments.seed))
    for subject, figures in report["nearest_pose"].items():
        print(f"  nearest simulated pose: {figures['real_mm']:.2f} mm from a real one of {subject}, ", end="")
        print(f"{figures['simulated_mm']:.2f} mm from another simulated one", flush=True)
    if arguments.picture and real.name == "nyu":
        labels_mm = {name: thinned(real.joints_mm[frames]) for name, frames in real.subjects.items()}
        pose_statistics.draw_nearest(labels_mm, fits, arguments.seed, arguments.picture)
    rows = [
        ("average hand", canonical_shape(), real.subjects),
        ("training subjects", training_subjects(), real.subjects),
    ]
    for name, fit in fits.items():
        rows.append((f"fitted {name}", shape_from_parameters(fit.shape_parameters), {name: real.subjects[name]}))
    for title, hands, subjects in rows:
        report["pose_vae"][title] = vae_figures(real, title, hands, subjects, arguments)
    return report


def fit_subject(real: RealPoses, frames: slice) -> tuple[Any, dict[str, Any]]:
    """The hand fitted to every few frames of a subject, and what it misses with this and with the average shape."""
    from lsps_tf.fitting.to_joints import fit_hand
    from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS, SHAPE_PARAMETERS

    joints_mm = thinned(real.joints_mm[frames])
    fit = fit_hand(joints_mm, real.joints)
    average = fit_hand(joints_mm, real.joints, np.zeros([1, NUM_SHAPE_PARAMETERS]))
    errors, average_errors = (np.linalg.norm(each.joints_mm - joints_mm, axis=-1) for each in (fit, average))
    figures = {
        "frames": len(joints_mm),
        "average_shape": summary(real, average_errors),
        "fitted_shape": summary(real, errors),
        "per_joint_mm": dict(zip(real.joint_names, rounded(errors.mean(axis=0)))),
        "shape_sigmas": dict(zip((name for name, _ in SHAPE_PARAMETERS), rounded(fit.shape_parameters[0]))),
    }
    print(f"  kinematic hand, {figures['frames']} frames: fitted {errors.mean():.2f} mm, ", end="")
    print(f"average shape {average_errors.mean():.2f} mm", flush=True)
    return fit, figures


def thinned(values: np.ndarray, count: int = FIT_FRAMES) -> np.ndarray:
    """About `count` of the rows, evenly spread."""
    return values[:: max(1, len(values) // count)]


def summary(real: RealPoses, errors_mm: np.ndarray) -> dict[str, float]:
    """Mean of errors [N, J] over all joints and over the evaluated ones, mm."""
    evaluated = errors_mm[:, list(real.evaluated)]
    return {"all_mm": round(float(errors_mm.mean()), 3), "evaluated_mm": round(float(evaluated.mean()), 3)}


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in values]


def vae_figures(
    real: RealPoses, title: str, hands: Any, subjects: dict[str, slice], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Errors of a VAE of simulated poses of `hands` on each of the subjects, and on simulated poses held out."""
    from benchmarks import pose_vae

    config, key = PRESETS[arguments.preset], (arguments.seed, 1)
    draw = (hands, real.joints)
    poses = pose_vae.simulated_poses(*draw, arguments.poses, key, arguments.center)
    networks = pose_vae.train_pose_vae(*poses, config, arguments.steps, arguments.seed)

    def errors(joints_mm: np.ndarray, center_mm: np.ndarray) -> np.ndarray:
        return pose_vae.reconstruction_errors_mm(networks, joints_mm, center_mm, config.data.cube_mm)

    held_out = errors(*pose_vae.simulated_poses(*draw, HELD_OUT, (arguments.seed, 2), arguments.center))
    center_mm = real.mass_mm if arguments.center == "mass" else real.joints_mm.mean(axis=1)
    found = {name: errors(real.joints_mm[frames], center_mm[frames]) for name, frames in subjects.items()}
    everything = np.concatenate(list(found.values()))
    figures = {
        "simulated_held_out": summary(real, held_out),
        "real": summary(real, everything),
        **{name: summary(real, each) for name, each in found.items()},
        "per_joint_mm": dict(zip(real.joint_names, rounded(everything.mean(axis=0)))),
    }
    shown = ", ".join(f"{name} {figures[name]['all_mm']:.2f}" for name in ("real", *found))
    print(f"  VAE of {title}: {shown} mm ({figures['real']['evaluated_mm']:.2f} of the evaluated joints), ", end="")
    print(f"simulated poses held out {held_out.mean():.2f} mm", flush=True)
    return figures


def training_subjects() -> Any:
    """The hands of the simulator's real training split."""
    from lsps_tf.datasets.simulator import SUBJECTS
    from lsps_tf.simulation.shape import subject_shape

    return subject_shape(SUBJECTS["real/train"])


if __name__ == "__main__":
    run_command(main)
