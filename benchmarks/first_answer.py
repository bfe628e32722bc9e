"""How long the first answer takes: `export/predict.py` on one frame with its overlay, beside a bare TensorFlow import.

    python benchmarks/first_answer.py --json first_answer.json

Whole processes, in turn, so that both meet the same machine; medians. The help of every command is timed, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tabulate import tabulate

from lsps_tf.files import write_json

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "example" / "structured-light.png"
IMPORT, ANSWER = "import tensorflow", "predict.py with overlay"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        predict = [
            "export/predict.py",
            str(EXAMPLE),
            "--overlay",
            f"{folder}/hand.png",
            "--json",
            f"{folder}/hand.json",
        ]
        commands = {IMPORT: ["-c", "import tensorflow"], ANSWER: predict}
        commands.update({f"{name} --help": [name, "--help"] for name in scripts()})
        seconds = {name: [] for name in commands}
        for _ in range(options.repeats):
            for name, arguments in commands.items():
                seconds[name].append(run(arguments))
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    ratio = medians[ANSWER] / medians[IMPORT]
    print(tabulate([[name, f"{value:.2f} s"] for name, value in medians.items()], ("process", "median")))
    print(f"\nA first answer takes {ratio:.2f} of a bare import of TensorFlow.")
    if options.json:
        write_json(options.json, {"repeats": options.repeats, "median_s": medians, "ratio": ratio})


def scripts() -> list[str]:
    """The commands of the project, relative to its root."""
    paths = sorted(path for folder in ("training", "export") for path in (ROOT / folder).glob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in paths if "run_command(" in path.read_text(encoding="utf-8")]


def run(arguments: list[str]) -> float:
    """Seconds of a whole Python process."""
    started = time.perf_counter()
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT, env=environment)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
