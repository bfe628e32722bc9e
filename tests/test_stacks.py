"""Files made on one stack give the same numbers on the other."""

import os
import pathlib
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHONS = {name: ROOT / name / "bin" / "python" for name in (".venv", ".venv-current")}
MISSING = [name for name, python in PYTHONS.items() if not python.exists()]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING), reason=f"there is no {' and no '.join(MISSING)}: make install, make install TF=current"
    ),
]


def run(stack, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    said = subprocess.run(
        [PYTHONS[stack], ROOT / "tests" / "stack_files.py", *arguments],
        capture_output=True,
        text=True,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("maker", PYTHONS)
def test_files_of_one_stack_on_the_other(maker, tmp_path):
    run(maker, "make", tmp_path)
    numbers = {}
    for stack in PYTHONS:
        run(stack, "read", tmp_path, tmp_path / f"numbers{stack}.npz")
        with np.load(tmp_path / f"numbers{stack}.npz") as file:
            numbers[stack] = dict(file)
    versions = [str(values.pop("tensorflow")) for values in numbers.values()]
    assert versions[0].startswith("2.15.") and versions[1] != versions[0]
    expected, found = numbers.values()
    assert {"run", "SavedModel", "TFLite", "the shipped model", "store depth_mm"} <= set(expected) == set(found)
    for name, values in expected.items():
        # Joints are in half cubes; what is stored comes back bit by bit.
        tolerance = 0 if name.startswith("store") else 1e-5
        np.testing.assert_allclose(found[name], values, rtol=0, atol=tolerance, err_msg=name)
        assert np.ptp(values) > 0 or name.startswith("store"), name
