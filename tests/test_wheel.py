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
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode:
        pytest.skip(f"pip cannot do this here: {done.stderr.strip()[-200:]}")


@pytest.mark.slow
def test_three_lines_predict_where_the_wheel_is_installed(frame_mm, tmp_path):
    """With what predicting needs alone; the wheel's other requirements are not asked for."""
    source, python = tmp_path / "source", tmp_path / "empty" / "bin" / "python"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", *(path.name for path in ROOT.glob("requirements*"))):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "lsps_tf", source / "lsps_tf", ignore=shutil.ignore_patterns("__pycache__"))
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", source)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "empty")], check=True)
    (wheel,) = (tmp_path / "wheels").glob("lsps_tf-*.whl")
    pip(python, "install", "-r", ROOT / "requirements-edge.txt")
    pip(python, "install", "--no-deps", wheel)
    np.save(tmp_path / "frame.npy", frame_mm)
    command = [str(python), "-c", THREE_LINES, str(tmp_path / "frame.npy")]
    said = json.loads(subprocess.check_output(command, text=True, cwd=tmp_path, timeout=300))
    expected = lsps_tf.load_predictor()(frame_mm, "nyu")
    np.testing.assert_allclose(said["joints_mm"], expected.joints_mm, atol=0.01)
    assert said["side"] == "right" and not said["tensorflow"] and str(tmp_path) in said["at"]
