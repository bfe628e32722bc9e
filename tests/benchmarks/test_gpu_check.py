"""The parts of the GPU check on the CPU, with tiny sizes; what a GPU alone can say is not among them."""

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import gpu_check
from benchmarks.gpu_check import FORMS, REHEARSAL
from lsps_tf.presets import PRESETS
from training.methods import LSPS

TINY = PRESETS["tiny"]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_step_is_measured(name):
    row = gpu_check.measure_step("pose", TINY, FORMS[name], peak=2.0, turn_s=0.001)
    assert row["finite"] and row["ms"] > 0.0 and row["memory_mb"] > 0.0
    np.testing.assert_allclose(row["share_of_peak"], row["gflop"] / (1e-3 * row["ms"]) / 2.0)
    # The next form starts without this one's options.
    assert not tf.config.optimizer.get_experimental_options().get("auto_mixed_precision")


def test_a_peak_is_of_its_matrices():
    assert 0.01 < gpu_check.peak_gflop_per_s(64, tf.float32) < 1e5


def row(ms, memory=10.0, finite=True):
    figures = {"gflop": 1.0, "share_of_peak": 0.125, "memory_mb": memory, "until_it_ran_s": 1.0, "finite": finite}
    return {"ms": ms, **figures}


def test_tables_hold_each_form_against_float32():
    stages = {"depth": {"float32": row(8.0), "mixed": row(4.0, 20.0, finite=False)}}
    lines = gpu_check.table(stages).splitlines()
    assert lines[2].split() == ["depth", "float32", "8.00", "1.00", "1.00", "12.5", "10", "1.0"]
    assert lines[3].split()[3] == "2.00" and lines[3].endswith("not finite")
    assert "at most 20 MB" in gpu_check.memory_line("paper", stages)


def test_what_the_time_does_not_allow_is_named(monkeypatch, capsys):
    figures = gpu_check.check(dataclasses.replace(REHEARSAL, seconds=-1.0, matrix=16))
    expected = [f"tiny {stage} {name}" for stage in LSPS.stages for name in FORMS]
    assert figures["left_out"] == [*expected, "tiny pipeline"] and figures["stages"] == {"tiny": {}}
    assert "The time was over before: tiny pose float32" in capsys.readouterr().out


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(command, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    status, _, said = command(lambda _: gpu_check.main())
    assert status == 2 and "no GPU" in said and len(said.splitlines()) == 1
    gpu_check.check_device(cpu=True)
