"""`make demo`: the whole of LSPS at a reduced `compact` on the simulator, beside the synthetic-only baseline."""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import resource
import shlex
import sys
import time
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402
from lsps_tf.files import read_text, write_json  # noqa: E402

EXAMPLE_FRAME = ROOT / "docs" / "example" / "structured-light.png"
DATA = ["--sim-synthetic-frames", "8000", "--sim-real-frames", "8000", "--sim-test-frames", "1024"]
# P does not read M, so the demo goes without a stage for it.
REDUCED = ["--pose-steps", "4000", "--depth-steps", "3000", "--mapping-steps", "0", "--posterior-steps", "3000"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=pathlib.Path, help="default: runs/demo, with another seed runs/demo-seedN")
    parser.add_argument("--data-root", default="data", help="where the simulated data is kept (default: data)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    default = pathlib.Path("runs") / ("demo" if given.seed == 0 else f"demo-seed{given.seed}")
    run_dir = default if given.run_dir is None else given.run_dir
    with _stopwatch(run_dir / "seconds.json") as seconds:
        return run_demo(run_dir, given.data_root, given.seed, seconds)


def run_demo(run_dir: pathlib.Path, data_root: str, seed: int, seconds: Callable[[], float]) -> int:
    """Trains, evaluates, exports, predicts and sums up. Interrupted and started again, it goes on."""
    lsps, baseline = run_dir / "lsps", run_dir / "synthetic-only"
    common = ["--dataset", "sim", "--data-root", data_root, "--seed", str(seed), *DATA, *REDUCED]
    status = _train("LSPS: labels from simulation, unlabelled sensor frames", lsps, common)
    if status:
        return status
    same_poses = ["--method", "synthetic-only", "--pretrained", str(lsps), "--pretrained-stage", "pose"]
    status = _train("Synthetic-only: the same regressor without the sensor's frames", baseline, common + same_poses)
    if status:
        return status
    figures = {name: _figures_of(folder) for name, folder in (("synthetic_only", baseline), ("lsps", lsps))}
    model_dir = run_dir / "model"
    overlay = run_dir / "prediction.png"
    _export_and_predict(lsps, model_dir, overlay)
    summary = {
        "synthetic_only_mm": figures["synthetic_only"]["mean_error_mm"],
        "lsps_mm": figures["lsps"]["mean_error_mm"],
        "synthetic_only_within_40_mm_percent": figures["synthetic_only"]["within_40_mm_percent"],
        "lsps_within_40_mm_percent": figures["lsps"]["within_40_mm_percent"],
        "seed": seed,
        "seconds": round(seconds(), 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    write_json(run_dir / "summary.json", summary)
    _print_summary(summary, run_dir, model_dir, overlay)
    return 0


@contextlib.contextmanager
def _stopwatch(path: pathlib.Path) -> Iterator[Callable[[], float]]:
    """Counts the seconds at work in `path`, over all the times that the demo was stopped and started again."""
    before = json.loads(read_text(path))["seconds"] if path.exists() else 0.0
    started = time.monotonic()

    def seconds() -> float:
        return before + time.monotonic() - started

    try:
        yield seconds
    finally:
        write_json(path, {"seconds": seconds()})


def _train(title: str, run_dir: pathlib.Path, arguments: list[str]) -> int:
    from lsps_tf.run_folder import settings_path
    from training.session import run_session

    print(f"\n== {title}")
    if settings_path(run_dir).exists():
        # The settings are checked against those that the run was started with.
        return run_session([*arguments, "--run-dir", str(run_dir), "--resume"])
    return run_session([*arguments, "--run-dir", str(run_dir)])


def _figures_of(run_dir: pathlib.Path) -> dict:
    """What the run ended with."""
    return json.loads((run_dir / "evaluation" / "test.json").read_text(encoding="utf-8"))


def _export_and_predict(run_dir: pathlib.Path, model_dir: pathlib.Path, overlay: pathlib.Path) -> None:
    from export.exporting import export_command
    from export.prediction import predict_command

    print("\n== Export, and a prediction on a sensor frame")
    export_command(["--run-dir", str(run_dir), "--output", str(model_dir)])
    model = str(model_dir / "lsps.tflite")
    predict_command(["--model", model, str(EXAMPLE_FRAME), "--camera", "nyu", "--overlay", str(overlay)])


def _print_summary(summary: dict, run_dir: pathlib.Path, model_dir: pathlib.Path, overlay: pathlib.Path) -> None:
    from tabulate import tabulate

    rows = [
        (name, summary[f"{key}_mm"], summary[f"{key}_within_40_mm_percent"])
        for name, key in (("synthetic-only", "synthetic_only"), ("LSPS, no real labels", "lsps"))
    ]
    headers = ("simulated sensor, test subjects", "mean joint error mm", "frames within 40 mm %")
    pictures = [run_dir / "lsps" / "pictures", run_dir / "lsps" / "evaluation", overlay]
    print(f"\n== Summary ({summary['seconds'] / 60:.1f} minutes, {summary['peak_rss_mb'] / 1024:.1f} GB)\n")
    print(tabulate(rows, headers, floatfmt=".1f"))
    print("\nPictures:  " + "\n           ".join(str(path) for path in pictures))
    print(f"Log:       {run_dir / 'lsps' / 'metrics.jsonl'}; tensorboard --logdir {run_dir}")
    print(f"Model:     {model_dir} (SavedModel lsps/1, lsps.tflite)")
    print(f"Figures:   {run_dir / 'summary.json'}")
    frame = shlex.quote(str(EXAMPLE_FRAME.relative_to(ROOT)))
    print(
        f"Next:      .venv/bin/python export/predict.py --model {model_dir}/lsps {frame} --camera nyu --overlay out.png"
    )


if __name__ == "__main__":
    run_command(main)
