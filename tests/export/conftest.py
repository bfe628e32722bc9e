"""A finished run with weights drawn at random, and its exports: what the commands need, without any training."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from lsps_tf import run_folder
from lsps_tf.config import PRESETS
from lsps_tf.frames import read_depth
from lsps_tf.networks import build_networks

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "example"


def write_run(folder: pathlib.Path, skeleton: str = "nyu", method: str = "lsps") -> pathlib.Path:
    """A run folder of preset tiny, biases included in what is drawn."""
    config = PRESETS["tiny"].replace(num_joints=36 if skeleton == "nyu" else 16)
    stages = run_folder.STAGES[method]
    settings = run_folder.RunSettings(config, method, skeleton, "sim", "none.h5", "structured-light", stages=stages)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    rng = np.random.default_rng(0)
    for variable in networks.trainable_variables:
        variable.assign_add(rng.normal(0.0, 0.05, variable.shape))
    run_folder.write_settings(folder, settings)
    run_folder.save_weights(networks, run_folder.weights_path(folder, stages[-1]))
    return folder


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def model_dir(run_dir, tmp_path_factory):
    """What `export/run.py` wrote of the run; not to be changed, see `copy_of_model`."""
    from export.exporting import export_command

    output = tmp_path_factory.mktemp("models")
    assert export_command(["--run-dir", str(run_dir), "--output", str(output)]) == 0
    return output


@pytest.fixture
def copy_of_model(model_dir, tmp_path):
    """The exports once more, to be damaged."""
    return pathlib.Path(shutil.copytree(model_dir, tmp_path / "model"))


@pytest.fixture(scope="session")
def frame_mm():
    """A simulated frame of the camera `nyu` in whole mm: it ships with the project."""
    return read_depth(EXAMPLES / "structured-light.png")


@pytest.fixture
def frame(frame_mm, tmp_path):
    """The same as a 16-bit PNG of 1 mm per count."""
    path = tmp_path / "frame.png"
    Image.fromarray(frame_mm.astype(np.uint16)).save(path)
    return path


@pytest.fixture
def command(capsys):
    """Runs a command's function with arguments; gives the exit status, what it printed, and its error messages."""
    from export.command import exit_status

    def run(function, *arguments):
        capsys.readouterr()
        status = exit_status(lambda: function([str(argument) for argument in arguments]))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
