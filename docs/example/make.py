"""Makes the sensor frame of this folder: `python docs/example/make.py`."""

from __future__ import annotations

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from lsps_tf.commandline.command import run_command  # noqa: E402

NUMBER = 3


def main() -> int:
    from lsps_tf.datasets.simulator import Simulation, Simulator
    from lsps_tf.depth_files import write_depth_png16
    from lsps_tf.simulation.sensor import SENSORS

    for name in SENSORS:
        depth_mm, _ = Simulator(Simulation(name, "nyu", 64, 250.0), "real/test").whole_frame(NUMBER)
        write_depth_png16(HERE / f"{name}.png", depth_mm, 1.0)
    return 0


if __name__ == "__main__":
    run_command(main)
