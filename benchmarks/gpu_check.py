"""What a GPU makes of the training, in five minutes: steps in three forms, share of the peak, pipeline and memory.

    python benchmarks/gpu_check.py --json gpu_check.json

Each stage's step is measured as it is (float32), with TensorFlow's automatic mixed precision, and compiled by XLA. The
batch lies on the device, prepared: XLA has no kernel for the warp of the augmentation, and the pipeline's part, which
has the augmentation, is measured beside it. The peak is the rate of a large matrix product of the same precision. What
the time does not allow is left out and named. `--cpu` rehearses the same with tiny sizes on a machine without a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tabulate import tabulate
from tensorflow import keras

from benchmarks import pipeline
from benchmarks.stage_cost import gflop_of_graph
from benchmarks.train_step_worker import build_stage, random_batch
from lsps_tf.commandline.command import exit_status
from lsps_tf.config import Config
from lsps_tf.errors import InputError
from lsps_tf.files import write_json
from lsps_tf.presets import PRESETS
from training.methods import LSPS

# What `paper` is to fit into.
MEMORY_MB = 8192
WARM_UP, TURNS = 3, 5


@dataclasses.dataclass(frozen=True)
class Form:
    """A way to run a step: compiled by XLA or not, in mixed precision or not."""

    xla: bool = False
    mixed: bool = False

    @property
    def dtype(self) -> tf.DType:
        """Of the matrix product whose rate is its peak."""
        return tf.float16 if self.mixed else tf.float32


FORMS = {"float32": Form(), "mixed": Form(mixed=True), "xla": Form(xla=True)}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        presets: whose stages.
        matrix: side of the matrices of the peak.
        turn_s: seconds that a turn of steps takes at least.
        frames: of the store that the pipeline reads.
        seconds: that the whole may take.
    """

    presets: tuple[str, ...]
    matrix: int
    turn_s: float
    frames: int
    seconds: float


GPU = Sizes(("compact", "paper"), matrix=8192, turn_s=0.3, frames=128, seconds=300.0)
REHEARSAL = Sizes(("tiny",), matrix=256, turn_s=0.02, frames=16, seconds=300.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", choices=sorted(PRESETS), help="(default: compact and paper)")
    parser.add_argument("--seconds", type=float, help="that it may take (default: 300)")
    parser.add_argument("--cpu", action="store_true", help="rehearse it on the CPU, by default with the preset tiny")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    check_device(given.cpu)
    changes = {"presets": tuple(given.preset or ()), "seconds": given.seconds}
    sizes = dataclasses.replace(REHEARSAL if given.cpu else GPU, **{k: v for k, v in changes.items() if v})
    figures = check(sizes)
    if given.json:
        write_json(given.json, figures)
    return 0


def check_device(cpu: bool) -> None:
    """Raises InputError where there is no GPU to measure."""
    if not cpu and not tf.config.list_physical_devices("GPU"):
        raise InputError(
            "TensorFlow finds no GPU here; run this where there is one, with TensorFlow's GPU libraries (pip install "
            "'tensorflow[and-cuda]'), or rehearse it with --cpu"
        )


def check(sizes: Sizes) -> dict[str, Any]:
    """Measures all that the time allows, printing each table when it is there; gives all figures."""
    deadline = time.monotonic() + sizes.seconds
    peaks = {str(form.dtype.name): peak_gflop_per_s(sizes.matrix, form.dtype) for form in FORMS.values()}
    figures = {"device": device_name(), "tensorflow": tf.__version__, "peak_gflop_per_s": peaks}
    figures["tf32"] = tf.config.experimental.tensor_float_32_execution_enabled()
    print("\n".join(f"{name}: {value}" for name, value in figures.items()), flush=True)
    figures.update(stages={}, pipeline={}, left_out=[])
    for preset in sizes.presets:
        steps, feeding = figures["stages"].setdefault(preset, {}), figures["pipeline"].setdefault(preset, {})
        for stage, name in ((stage, name) for stage in LSPS.stages for name in FORMS):
            if time.monotonic() > deadline:
                figures["left_out"].append(f"{preset} {stage} {name}")
                continue
            steps.setdefault(stage, {})[name] = measure_step(
                stage, PRESETS[preset], FORMS[name], peaks[FORMS[name].dtype.name], sizes.turn_s
            )
        print(f"\n{preset}\n{table(steps)}\n{memory_line(preset, steps)}", flush=True)
        if time.monotonic() > deadline:
            figures["left_out"].append(f"{preset} pipeline")
            continue
        feeding.update(measure_pipeline(PRESETS[preset], sizes.frames))
        print(f"\n{preset}, what feeds the step, ms\n{pipeline.table(feeding)}", flush=True)
    if figures["left_out"]:
        print(f"\nThe time was over before: {', '.join(figures['left_out'])}.", flush=True)
    return figures


def peak_gflop_per_s(side: int, dtype: tf.DType) -> float:
    """The rate of a product of two matrices of that side, in 1e9 operations a second."""
    matrix = tf.cast(tf.random.stateless_normal([side, side], [0, 0]), dtype)

    @tf.function
    def multiply() -> tf.Tensor:
        return tf.linalg.matmul(matrix, matrix)[0, 0]

    multiply().numpy()
    return 2e-9 * side**3 / min(_seconds(lambda: multiply().numpy()) for _ in range(TURNS))


def measure_step(stage: str, config: Config, form: Form, peak: float, turn_s: float) -> dict[str, Any]:
    """One form of a stage's step: milliseconds, operations, share of the peak, memory, and seconds until it ran."""
    reset_memory()
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": form.mixed})
    try:
        model = build_stage(stage, config)
        batch = {**random_batch(stage, config), "seed": np.array([0, 0], np.int32)}
        batch = tf.nest.map_structure(tf.constant, batch)
        function = tf.function(model.train_step, jit_compile=form.xla)
        begun_s = _seconds(lambda: [_values(function(batch)) for _ in range(WARM_UP)])
        gflop = gflop_of_graph(function.get_concrete_function(batch).graph)
        seconds = step_seconds(lambda: function(batch), turn_s)
        finite = bool(np.isfinite(_values(function(batch))).all())
        memory = memory_mb()
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision": False})
        keras.backend.clear_session()
    return {
        "ms": 1e3 * seconds,
        "gflop": gflop,
        "share_of_peak": gflop / seconds / peak,
        "memory_mb": memory,
        "until_it_ran_s": begun_s,
        "finite": finite,
    }


def step_seconds(step: Callable[[], dict[str, tf.Tensor]], turn_s: float) -> float:
    """The median over turns of a step's seconds; a turn waits for the device at its end alone."""
    count = max(1, int(turn_s / max(_seconds(lambda: _values(step())), 1e-6)))

    def turn() -> None:
        for _ in range(count - 1):
            step()
        _values(step())

    return float(np.median([_seconds(turn) / count for _ in range(TURNS)]))


def measure_pipeline(config: Config, frames: int) -> dict[str, dict[str, float]]:
    """Per stage what feeds the step, as benchmarks/pipeline.py measures it."""
    given = SimpleNamespace(turns=TURNS, threads=os.cpu_count())
    with tempfile.TemporaryDirectory() as scratch:
        path = pipeline.make_store(config, Path(scratch), frames)
        return {stage: pipeline.measure(config, stage, path, given) for stage in LSPS.stages}


def table(stages: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A row per stage and form."""
    headers = ["", "", "ms", "over float32", "GFLOP", "% of peak", "memory, MB", "s until it ran", ""]
    return tabulate(list(_rows(stages)), headers, disable_numparse=True)


def _rows(stages: dict[str, dict[str, dict[str, Any]]]) -> Iterator[list[str]]:
    for stage, forms in stages.items():
        for name, row in forms.items():
            yield [
                stage,
                name,
                f"{row['ms']:.2f}",
                f"{forms['float32']['ms'] / row['ms']:.2f}",
                f"{row['gflop']:.2f}",
                f"{100 * row['share_of_peak']:.1f}",
                f"{row['memory_mb']:.0f}",
                f"{row['until_it_ran_s']:.1f}",
                "" if row["finite"] else "not finite",
            ]


def memory_line(preset: str, stages: dict[str, dict[str, dict[str, Any]]]) -> str:
    """What a preset takes at most, beside what `paper` is to fit into."""
    most = max((row["memory_mb"] for forms in stages.values() for row in forms.values()), default=0.0)
    return f"{preset}: at most {most:.0f} MB ({MEMORY_MB} MB is what `paper` should fit into)"


def device_name() -> str:
    """The GPU's name, or that it is a CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "CPU"


def reset_memory() -> None:
    """Forgets the largest memory so far, where TensorFlow can."""
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.reset_memory_stats("GPU:0")


def memory_mb() -> float:
    """The largest memory of the device since then; on a CPU that of the process."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _values(tensors: dict[str, tf.Tensor]) -> list[float]:
    return [float(value) for value in tensors.values()]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(exit_status(main))
