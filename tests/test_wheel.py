"""The package as a user installs it: the wheel in an empty environment, and three lines of Python."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import lsps_tf

ROOT = pathlib.Path(__file__).resolve().parents[1]
THREE_LINES = """
import json, sys, numpy, lsps_tf
predictor = lsps_tf.load_predictor()
hand = predictor(numpy.load(sys.argv[1]), "nyu")
more = {"side": hand.side, "tensorflow": "tensorflow" in sys.modules, "at": lsps_tf.__file__}
print(json.dumps({**hand.to_dict(), **more}))
"""


def pip(python, *arguments):
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built of a copy, so that no build folder is left in the project."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "lsps_tf", source / "lsps_tf", ignore=shutil.ignore_patterns("__pycache__"))
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", wheels, source)
    (wheel,) = wheels.glob("lsps_tf-*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of an environment that nothing but the wheel was installed into."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip(folder / "bin" / "python", "install", wheel)
    return folder / "bin" / "python"


@pytest.mark.slow
def test_it_brings_what_predicting_needs_and_no_more(python):
    installed = {package["name"].lower() for package in json.loads(pip(python, "list", "--format", "json"))}
    assert {"lsps-tf", "numpy", "ai-edge-litert", "pillow"} <= installed
    assert not {"tensorflow", "keras", "matplotlib", "uvicorn", "pytest", "ruff"} & installed


@pytest.mark.slow
def test_three_lines_predict(python, frame_mm, tmp_path):
    np.save(tmp_path / "frame.npy", frame_mm)
    command = [python, "-c", THREE_LINES, tmp_path / "frame.npy"]
    said = json.loads(subprocess.check_output(command, text=True, cwd=tmp_path, timeout=300))
    expected = lsps_tf.load_predictor()(frame_mm, "nyu")
    np.testing.assert_allclose(said["joints_mm"], expected.joints_mm, atol=0.01)
    assert said["side"] == "right" and not said["tensorflow"]
    assert said["at"].startswith(str(python.parents[1]))


@pytest.mark.slow
def test_a_wheel_without_its_weights_is_one_line(python, tmp_path):
    """After the others: it damages the environment."""
    find = "import lsps_tf.models as models; print(models.SHIPPED_TFLITE)"
    weights = pathlib.Path(subprocess.check_output([python, "-c", find], text=True, cwd=tmp_path).strip())
    weights.unlink()
    load = "import lsps_tf\ntry:\n    lsps_tf.load_predictor()\nexcept lsps_tf.InputError as error:\n    print(error)"
    said = subprocess.check_output([python, "-c", load], text=True, cwd=tmp_path)
    assert said.startswith(f"{weights}: ") and said.count("\n") == 1
