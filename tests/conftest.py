"""A finished run with weights drawn at random, and its exports: what the commands need, without any training."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from lsps_tf import run_folder
from lsps_tf.camera import NYU
from lsps_tf.datasets.store import create_store, stored_size
from lsps_tf.depth_files import read_depth
from lsps_tf.networks import build_networks
from lsps_tf.presets import PRESETS
from training.methods import METHODS

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "example"


def pytest_configure(config):
    """Gives TensorFlow two CPUs, between which a test can share out a step; nothing else uses the second."""
    # After lsps_tf, which chooses Keras 2, and before anything is computed.
    import tensorflow as tf

    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)


def write_run(
    folder: pathlib.Path, store: str = "none.h5", skeleton: str = "nyu", method: str = "lsps", **changes
) -> pathlib.Path:
    """A run folder of preset tiny with `changes` of its settings, biases included in what is drawn."""
    config = PRESETS["tiny"].replace(num_joints=36 if skeleton == "nyu" else 16, **changes)
    row = METHODS[method]
    stages = row.stages_with(config)
    ends = {"stages": stages, "last_stage": stages[-1], "domain": row.domain}
    settings = run_folder.RunSettings(config, method, skeleton, "sim", store, "structured-light", **ends)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    rng = np.random.default_rng(0)
    for variable in networks.trainable_variables:
        variable.assign_add(rng.normal(0.0, 0.05, variable.shape))
    run_folder.write_settings(folder, settings)
    run_folder.save_weights(networks, run_folder.weights_path(folder, stages[-1]))
    return folder


def write_store(path: pathlib.Path, frames: int = 8) -> pathlib.Path:
    """A store of clean simulated hands with labels that are theirs but for their order, in every split of "real"."""
    from export.exporting import sample_crops

    size, cube_mm, extent_mm = stored_size(32), 250.0, 375.0
    with create_store(path, "nyu", NYU, size, {"made_by": "test"}) as store:
        for number, part in enumerate(("train", "validation", "test")):
            center_mm = np.tile(np.array([[20.0, -30.0, 650.0]], np.float32), (frames, 1))
            image = sample_crops(size, extent_mm, frames, seed=number).numpy()[..., 0]
            depth_mm = np.where(image < 1.0, center_mm[:, 2, None, None] + 0.5 * extent_mm * image, 0.0)
            joints_mm = center_mm[:, None] + np.random.default_rng(number).normal(0, 40, (frames, 36, 3))
            columns = {"cube_mm": np.full(frames, cube_mm), "extent_mm": np.full(frames, extent_mm)}
            numbers = {"subject": np.zeros(frames), "frame": np.arange(frames)}
            rows = {"depth_mm": depth_mm, "joints_mm": joints_mm, "center_mm": center_mm, **columns, **numbers}
            store.append(f"real/{part}", rows)
    return path


@pytest.fixture(scope="session")
def hands_store(tmp_path_factory):
    """The store of `run_dir`; no folder has another of this name, or who asks first would choose the session's."""
    return write_store(tmp_path_factory.mktemp("stores") / "real.h5")


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory, hands_store):
    return write_run(tmp_path_factory.mktemp("runs") / "tiny", str(hands_store))


@pytest.fixture(scope="session")
def model_dir(run_dir, tmp_path_factory):
    """What `export/run.py` wrote of the run; not to be changed, see `copy_of_model`."""
    from export.exporting import export_command

    output = tmp_path_factory.mktemp("models")
    # What lies there already is replaced as a whole.
    (output / "lsps" / "1" / "old").mkdir(parents=True)
    arguments = ["--run-dir", run_dir, "--output", output, "--json", output / "report.json"]
    assert export_command([str(argument) for argument in arguments]) == 0
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
    from lsps_tf.commandline.command import exit_status

    def run(function, *arguments):
        capsys.readouterr()
        status = exit_status(lambda: function([str(argument) for argument in arguments]))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def strategy():
    """Two replicas on the CPU."""
    from training.distribution.strategies import mirrored_strategy

    return mirrored_strategy()


@pytest.fixture
def make_run():
    """`write_run`, for tests that need a run of their own."""
    return write_run


@pytest.fixture
def rosbags():
    """The package, which is not installed everywhere."""
    return pytest.importorskip("rosbags", reason="rosbags is not installed (pip install lsps-tf[recordings])")


@pytest.fixture
def mcap(rosbags):
    """MCAP's own writer."""
    return pytest.importorskip("mcap", reason="mcap, an independent writer, is not installed")


@pytest.fixture
def av():
    """PyAV."""
    return pytest.importorskip("av", reason="PyAV is not installed (pip install lsps-tf[recordings])")
