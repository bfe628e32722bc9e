"""The figures of what a run generates: pose kept, likeness to the sensor's images, walks, samples, and agreement."""

from __future__ import annotations

from typing import Any

import numpy as np
from tabulate import tabulate

from lsps_tf import generate
from lsps_tf.pose_codes import CodeSpace, sample_prior, simulated_poses
from lsps_tf.run_folder import Run
from lsps_tf.skeleton import NYU, joints_of
from training.evaluation import realism
from training.evaluation.hand_validity import Validity, measure_validity
from training.evaluation.latent_runs import Hands
from training.evaluation.latent_space import AS_IT_IS, DRAWN, DRAWN_OTHER, REAL, SYNTHETIC, TRANSLATED, Chain, Reading

# What a good latent space is asked for.
KEPT_WITHIN, AGREES_WITHIN_MM, LARGEST_STEP, ANGLES_PERCENT = 1.25, 4.0, 3.0, 98.0
_WALKS, _STEPS = 8, 24
_SAMPLES = 96


def measure_pose_kept(chain: Chain) -> dict[str, float]:
    """The error of the real labels' reader on real frames and on simulated ones translated to look real, mm."""
    real_mm = float(chain.errors_mm(Reading(REAL, "real")).mean())
    translated_mm = float(chain.errors_mm(Reading(REAL, "synthetic", TRANSLATED)).mean())
    return {"real_mm": real_mm, "translated_mm": translated_mm, "ratio": translated_mm / real_mm}


def measure_agreement(chain: Chain) -> list[dict[str, Any]]:
    """By depth domain how far a generated image's pose is from the code's own, mm, beside the reader's own error.

    Codes are those of held-out simulated poses. The image is G(M(z)), and the pose G_y(z).
    """
    rows = []
    for domain, reader, way in (("synthetic", SYNTHETIC, DRAWN), ("real", REAL, DRAWN_OTHER)):
        hands, networks = chain.hands["synthetic"], chain.run.networks
        decoded = networks.decode_pose(generate.codes_of_joints(networks, hands.joints)).numpy()
        read = chain.joints(Reading(reader, "synthetic", way))
        evaluated = list(chain.run.skeleton.evaluated)
        half_mm = 0.5 * hands.cube_mm[:, None]
        apart_mm = float((np.linalg.norm((read - decoded)[:, evaluated], axis=-1) * half_mm).mean())
        own_mm = float(chain.errors_mm(Reading(reader, domain)).mean())
        rows.append({"domain": domain, "apart_mm": apart_mm, "reader_mm": own_mm, "beyond_mm": apart_mm - own_mm})
    return rows


def measure_realism(chain: Chain, seen: dict[str, Hands], steps: int, seed: int) -> list[dict[str, Any]]:
    """By the kind of images how far they are from real ones, and how often a classifier tells them apart.

    Args:
        chain: of held-out hands, on which all is measured.
        seen: other hands of both domains; the classifier is trained on them.
        steps: of its training.
        seed: of its weights and batches.
    """
    learned = Chain(chain.run, seen, {}, False)
    kinds = {"as simulated": ("synthetic", AS_IT_IS), "translated": ("synthetic", TRANSLATED)}
    kinds["drawn by M"] = ("synthetic", DRAWN_OTHER)
    reader = chain.readers[REAL]
    real = chain.images("real", AS_IT_IS)
    reference = realism.features(reader.networks, real, reader.domain)

    def distance(images: np.ndarray) -> float:
        made = realism.features(reader.networks, images, reader.domain)
        return realism.kernel_distance(
            realism.standardized(reference, reference), realism.standardized(made, reference)
        )

    rows = [{"images": "real, of training", "distance": distance(seen["real"].image), "told_apart_percent": None}]
    for title, (domain, way) in kinds.items():
        pairs = [(part.images("real", AS_IT_IS), part.images(domain, way)) for part in (learned, chain)]
        told = realism.told_apart_percent(*pairs, steps, seed)
        rows.append({"images": title, "distance": distance(chain.images(domain, way)), "told_apart_percent": told})
    return rows


def measure_walks(run: Run, space: CodeSpace, reference_mm: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """By the kind of path the largest step over the mean one, at worst, and the validity of all hands on the way."""
    rows = []
    ends = space.sample(2 * _WALKS, seed)
    for title in ("by hands", "straight"):
        ways = [space.path(*pair) if title == "by hands" else pair for pair in zip(ends[::2], ends[1::2])]
        walks = [_decoded_mm(run, generate.walk(run.networks, way, _STEPS)) for way in ways]
        moved = [np.linalg.norm(np.diff(joints_mm, axis=0), axis=-1).mean(axis=1) for joints_mm in walks]
        largest = max(float(steps.max() / steps.mean()) for steps in moved)
        valid = measure_validity(np.concatenate(walks), run.skeleton, reference_mm)
        rows.append({"poses": f"walks, {title}", "largest_step": largest, **valid._asdict()})
    return rows


def measure_samples(run: Run, space: CodeSpace, reference_mm: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """The validity of drawn hands, beside that of simulated ones as they are and after the pose VAE."""
    poses = {
        "simulated": reference_mm[:_SAMPLES],
        "the same, by the pose VAE": _decoded_mm(run, space.known[:_SAMPLES]),
        "drawn between hands": _decoded_mm(run, space.sample(_SAMPLES, seed)),
        "drawn of N(0, I)": _decoded_mm(run, sample_prior(run.networks, _SAMPLES, seed)),
    }
    return [
        {"poses": title, "largest_step": None, **measure_validity(joints_mm, run.skeleton, reference_mm)._asdict()}
        for title, joints_mm in poses.items()
    ]


def measure_generation(
    chain: Chain, seen: dict[str, Hands], space: CodeSpace, classifier_steps: int, seed: int
) -> dict[str, Any]:
    """All figures, ready for JSON."""
    run, reference_mm = chain.run, average_hand_mm(chain.run)
    validity = measure_samples(run, space, reference_mm, seed) + measure_walks(run, space, reference_mm, seed)
    return {
        "pose_kept": measure_pose_kept(chain),
        "agreement": measure_agreement(chain),
        "realism": measure_realism(chain, seen, classifier_steps, seed),
        "validity": validity,
    }


def format_generation(figures: dict[str, Any]) -> str:
    """The figures of `measure_generation` as tables, with what is asked for."""
    kept = figures["pose_kept"]
    head = ("read by the real labels' regressor", "mm")
    rows: list[tuple[Any, ...]] = [
        ("real frames", _number(kept["real_mm"])),
        ("simulated frames, translated", _number(kept["translated_mm"])),
        (f"ratio (at most {KEPT_WITHIN})", _number(kept["ratio"])),
    ]
    parts = [_table(rows, head)]
    beyond = f"beyond it, mm (at most {AGREES_WITHIN_MM:g})"
    head = ("code against image", "apart, mm", "reader's own error, mm", beyond)
    names = ("domain", "apart_mm", "reader_mm", "beyond_mm")
    parts.append(_table([tuple(map(_number, (row[name] for name in names))) for row in figures["agreement"]], head))
    head = ("images", "distance from real ones", "told apart from them, %")
    names = ("images", "distance", "told_apart_percent")
    parts.append(_table([tuple(map(_number, (row[name] for name in names))) for row in figures["realism"]], head))
    names = ("poses", "largest_step", *Validity._fields)
    head = (
        "poses",
        f"largest step / mean (at most {LARGEST_STEP:g})",
        f"angles in limits, % (at least {ANGLES_PERCENT:g})",
        "bones' spread, %",
        "bones' length, %",
    )
    parts.append(_table([tuple(map(_number, (row[name] for name in names))) for row in figures["validity"]], head))
    return "\n\n".join(parts)


def _decoded_mm(run: Run, codes: np.ndarray) -> np.ndarray:
    return 0.5 * run.config.data.cube_mm * run.networks.decode_pose(codes).numpy()


def average_hand_mm(run: Run) -> np.ndarray:
    """Poses of the simulator's average hand, centred on the mean of their joints."""
    joints_mm = simulated_poses(_SAMPLES, 0)[0][:, list(joints_of(NYU, run.skeleton))]
    return joints_mm - joints_mm.mean(axis=1, keepdims=True)


def _table(rows: list[tuple[Any, ...]], head: tuple[str, ...]) -> str:
    return tabulate(rows, head, colalign=("left", *["right"] * (len(head) - 1)), disable_numparse=True)


def _number(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.2f}"
