"""Size, latency and joint error of every form of a model: Keras, SavedModel, four TFLite files, PyTorch.

    python benchmarks/inference.py --run-dir runs/compact --run-dir runs/paper --json figures.json --plot figures.png

Latency is that of one crop to joints, on 1 and on 2 threads; what finds and cuts the crop is in benchmarks/edge.py. The
joint error is the one of training/evaluate.py, on the test split's first frames. Without --run-dir the networks of the
presets `compact` and `paper` have random weights and no error. PyTorch is measured where it is installed
(pip install torch==2.13.0); another environment's Python may run this file, as long as it has the project's packages.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tabulate import tabulate

from export.exporting import export_command
from lsps_tf import run_folder
from lsps_tf.config import IN_A_ROW
from lsps_tf.files import atomic_path, write_json
from lsps_tf.networks import build_networks
from lsps_tf.presets import PRESETS

WORKER = Path(__file__).with_name("inference_worker.py")
PRESETS_WITHOUT_RUNS = ("compact", "paper")
# What it should reach: latency on one thread as a share of PyTorch's in the same run, and what it costs in joint error.
TARGETS = {"TFLite float32": 0.6, "TFLite int8": 0.16}
# (float16's is to be none: within a hundredth of a millimetre).
COST_TARGETS_MM = {"TFLite float16": 0.01, "TFLite int8": 0.3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, action="append", default=[], help="a finished run; may be given again")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of calls per variant (default: 5)")
    parser.add_argument("--frames", type=int, default=1024, help="of the test split, for the error (default: 1024)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw error against latency into this PNG")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        runs = options.run_dir or [random_run(Path(scratch) / preset, preset) for preset in PRESETS_WITHOUT_RUNS]
        for number, run_dir in enumerate(runs):
            preset = run_folder.read_settings(run_dir).config.preset
            models = Path(scratch) / f"models{number}"
            export_command(["--run-dir", str(run_dir), "--output", str(models)])
            figures[preset] = {
                str(threads): measure(run_dir, models, threads, options.seconds, options.frames)
                for threads in options.threads
            }
            print(f"\n{preset}\n{table(figures[preset])}\n{ratios(figures[preset])}\n{costs(figures[preset])}\n")
    if options.json:
        compared = {preset: compare(by_threads) for preset, by_threads in figures.items()}
        write_json(options.json, {"cores": os.cpu_count(), "figures": figures, "compared": compared})
    if options.plot:
        draw(figures, options.plot)


def random_run(folder: Path, preset: str) -> Path:
    """A run folder of networks with their first weights."""
    # PyTorch's network has the P of table 4.
    config = PRESETS[preset].replace(**IN_A_ROW)
    settings = run_folder.RunSettings(config, "lsps", "nyu", "sim", "none.h5", "structured-light")
    run_folder.write_settings(folder, settings)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    run_folder.save_weights(networks, run_folder.weights_path(folder, settings.last_stage))
    return folder


def measure(run_dir: Path, models: Path, threads: int, seconds: float, frames: int) -> dict[str, Any]:
    """Figures by variant, of a process of their own, because TensorFlow's threads are fixed once it has started."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "figures.json"
        arguments = [WORKER, run_dir, models, threads, seconds, frames, output]
        # What numeric libraries read when they are loaded.
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **{name: str(threads) for name in names}}
        subprocess.run([sys.executable, *map(str, arguments)], check=True, env=environment)
        return json.loads(output.read_text(encoding="utf-8"))


def table(by_threads: dict[str, Any]) -> str:
    """A row per variant."""
    first = next(iter(by_threads.values()))
    headers = ["variant", "size MB", "error mm"]
    headers += [f"{part} ms, {t} thread{'s' * (t != '1')}" for t in by_threads for part in ("median", "p90")]
    rows = [
        [
            name,
            f"{values['bytes'] / 1e6:.2f}",
            "" if values["error_mm"] is None else f"{values['error_mm']:.2f}",
            *(f"{by_threads[t][name][part]:.3f}" for t in by_threads for part in ("median_ms", "p90_ms")),
        ]
        for name, values in first.items()
    ]
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def compare(by_threads: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Of each variant, by number of threads: its median latency as a share of PyTorch's; and, of the first number, how
    much farther from the labels it is than the Keras networks, mm. Empty where there is no PyTorch, or no label."""
    shares = {
        f"share_of_pytorch_{threads}": {
            name: values["median_ms"] / variants["PyTorch"]["median_ms"] for name, values in variants.items()
        }
        for threads, variants in by_threads.items()
        if "PyTorch" in variants
    }
    first = next(iter(by_threads.values()))
    errors_mm = {name: values["error_mm"] for name, values in first.items() if values["error_mm"] is not None}
    return {**shares, "cost_mm": {name: error - errors_mm["Keras"] for name, error in errors_mm.items()}}


def ratios(by_threads: dict[str, Any]) -> str:
    """The latencies that matter as shares of PyTorch's, on the first number of threads."""
    threads = next(iter(by_threads))
    shares = compare(by_threads).get(f"share_of_pytorch_{threads}")
    if shares is None:
        return "PyTorch is not installed here."
    said = [f"{name} {shares[name]:.2f} (at most {target})" for name, target in TARGETS.items()]
    return f"Of PyTorch's latency on {threads} thread{'s' * (threads != '1')}: " + ", ".join(said)


def costs(by_threads: dict[str, Any]) -> str:
    """What rounding costs in joint error."""
    cost_mm = compare(by_threads)["cost_mm"]
    if not cost_mm:
        return "No labels, so no joint error."
    said = [f"{name} {cost_mm[name]:+.3f} mm (at most {target:g})" for name, target in COST_TARGETS_MM.items()]
    return "Joint error beyond the Keras networks': " + ", ".join(said)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Error against latency on the first number of threads; models without an error lie at 0."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (preset, by_threads), marker in zip(figures.items(), "os^D"):
        first = next(iter(by_threads.values()))
        for number, (name, values) in enumerate(first.items()):
            place = values["median_ms"], values["error_mm"] or 0.0
            axes.scatter(*place, marker=marker, s=60, color=f"C{number}", label=f"{preset}: {name}", zorder=3)
    axes.set(xscale="log", xlabel="latency of a crop on one thread, median (ms)", ylabel="mean joint error (mm)")
    # Differences of hundredths of a millimetre should look small.
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.5 * (low + high) - 1.0), max(high, 0.5 * (low + high) + 1.0))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=130)


if __name__ == "__main__":
    main()
