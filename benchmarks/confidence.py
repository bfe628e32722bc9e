"""Whether the error falls as the confidence rises, and whether the confidence is the probability that it says it is.

    python benchmarks/confidence.py --run-dir runs/compact --json confidence.json --plot confidence.png

The confidence is calibrated on the validation subjects' frames, as export/run.py does, and measured on the test split.
Tenths of all joints, from the least to the most confident: their confidence, how many lie within 20 mm of their place,
and their mean error. Then what is left when joints below a confidence are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy.stats import spearmanr
from tabulate import tabulate

from export.tflite.calibration import fit_confidence, labelled_crops, signs_and_errors
from lsps_tf.confidence import SIGNS, WITHIN_MM
from lsps_tf.files import atomic_path, write_json
from lsps_tf.run_folder import load_run

TENTHS = 10
THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, required=True, help="a finished run whose store is there")
    parser.add_argument("--frames", type=int, default=4096, help="of the test split, at most (default: 4096)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw them into this PNG")
    options = parser.parse_args()
    run = load_run(options.run_dir)
    confidence, crops = fit_confidence(run), labelled_crops(run, ("real/test",), count=options.frames)
    if confidence is None or crops is None:
        sys.exit(f"error: {run.store_path}: labelled frames to calibrate on and to test on are needed")
    print(confidence.describe())
    signs, errors_mm = signs_and_errors(run, crops)
    evaluated = list(run.skeleton.evaluated)
    report = summarize(confidence.of_signs(signs).numpy()[:, evaluated], errors_mm[:, evaluated], signs[:, evaluated])
    report["calibrated_on"] = {"split": confidence.calibration.split, "frames": confidence.calibration.frames}
    show(report)
    if options.json:
        write_json(options.json, report)
    if options.plot:
        draw(report, options.plot)


def summarize(confidence: np.ndarray, errors_mm: np.ndarray, signs: np.ndarray) -> dict[str, Any]:
    """Figures of confidences and errors [N, J], and of the signs [N, J, F] that the confidence is made of."""
    order = np.argsort(confidence, axis=None, kind="stable")
    tenths = [
        {
            "confidence": float(confidence.ravel()[part].mean()),
            "within": float((errors_mm.ravel()[part] <= WITHIN_MM).mean()),
            "error_mm": float(errors_mm.ravel()[part].mean()),
        }
        for part in np.array_split(order, TENTHS)
    ]
    kept = [
        {
            "least_confidence": least,
            "share": float((confidence >= least).mean()),
            "error_mm": float(errors_mm[confidence >= least].mean()) if (confidence >= least).any() else None,
        }
        for least in THRESHOLDS
    ]
    calibration_error = float(np.mean([abs(tenth["confidence"] - tenth["within"]) for tenth in tenths]))
    ranks = {name: rank_correlations(signs[..., number], errors_mm) for number, name in enumerate(SIGNS)}
    return {
        "frames": len(errors_mm),
        "within_mm": WITHIN_MM,
        "tenths": tenths,
        "kept": kept,
        "calibration_error": calibration_error,
        "rank_correlation_with_error": {"confidence": rank_correlations(-confidence, errors_mm), **ranks},
    }


def rank_correlations(score: np.ndarray, errors_mm: np.ndarray) -> dict[str, float]:
    """Spearman's, of a score that should rise with the error: over all joints, within each joint, and over frames."""
    joints = [spearmanr(score[:, joint], errors_mm[:, joint])[0] for joint in range(score.shape[1])]
    return {
        "all": float(spearmanr(score, errors_mm, axis=None)[0]),
        "within_joints": float(np.mean(joints)),
        "frames": float(spearmanr(score.mean(axis=1), errors_mm.mean(axis=1))[0]),
    }


def show(report: dict[str, Any]) -> None:
    """Prints the tables."""
    percent = [[t["confidence"], t["within"], t["error_mm"]] for t in report["tenths"]]
    headers = ["confidence", f"within {WITHIN_MM:g} mm", "mean error mm"]
    print(tabulate(percent, headers, floatfmt=(".3f", ".3f", ".1f")))
    print(f"Calibration error (mean over tenths): {report['calibration_error']:.3f}\n")
    kept = [[f"at least {k['least_confidence']:g}", 100 * k["share"], k["error_mm"]] for k in report["kept"]]
    print(tabulate(kept, ["joints with confidence", "share %", "mean error mm"], floatfmt=".1f"), "\n")
    ranks = [[name, *values.values()] for name, values in report["rank_correlation_with_error"].items()]
    print(tabulate(ranks, ["rank correlation with error", "all", "within joints", "frames"], floatfmt=".3f"))


def draw(report: dict[str, Any], path: Path) -> None:
    """How many joints are right, and their error, against their confidence."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    right, error = figure.subplots(1, 2)
    confidence = [tenth["confidence"] for tenth in report["tenths"]]
    right.plot([0, 1], [0, 1], color="0.7", linewidth=1.2)
    right.plot(confidence, [tenth["within"] for tenth in report["tenths"]], "o-", linewidth=2.0)
    right.set(xlabel="confidence", ylabel=f"joints within {WITHIN_MM:g} mm", xlim=(0, 1), ylim=(0, 1))
    error.plot(confidence, [tenth["error_mm"] for tenth in report["tenths"]], "o-", linewidth=2.0, color="C3")
    error.set(xlabel="confidence", ylabel="mean error (mm)", xlim=(0, 1))
    error.set_ylim(bottom=0)
    for axes in (right, error):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=130)


if __name__ == "__main__":
    main()
