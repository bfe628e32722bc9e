"""What the trainings of an experiment's cells are told to train, without training them."""

import pytest

from training.arguments import resolve_config
from training.experiments import running
from training.experiments.ablation import ABLATION
from training.experiments.labels import LABELS
from training.experiments.table1 import TABLE1


@pytest.fixture
def options_of(tmp_path, monkeypatch):
    """options_of(training): what it would give to `run.py`, in a folder with few steps of every stage."""
    monkeypatch.setattr(running, "open_run", lambda given, again: (None, given))
    few = {"dataset": "sim", "preset": "tiny", "depth_steps": 7, "posterior_steps": 5, "fit_steps": 3}
    return lambda training: running.open_training(training, running.Workspace(tmp_path, few, "again"))


def test_a_longer_round_has_more_steps_of_its_own_and_the_fits_of_the_short_one(options_of):
    short, long = (ABLATION.row(key).build(0).training for key in ("fitted", "fitted-longer"))
    assert (short.stage, long.stage) == ("fit2", "fit2")
    assert options_of(short)["fit_steps"] == 3
    assert options_of(long)["fit_steps"] == 2 * 3
    assert options_of(long)["posterior_steps"] == 5
    assert long.fits_of.folder == short.folder != long.folder
    assert long.base == short.base


def test_a_longer_regression_has_more_steps_of_the_posterior_stage(options_of):
    short, long = (TABLE1.row(key).build(0).training for key in ("real", "real-longer"))
    assert options_of(short)["posterior_steps"] == 5
    assert options_of(long)["posterior_steps"] == 11 * 5
    assert options_of(long)["fit_steps"] == 3


def test_a_number_of_labelled_frames_joins_every_round(options_of):
    """The first round's fits are those without labels. The second's are not: another network predicts."""
    last = LABELS.row("fitted-100-frames").build(0).training
    assert [options_of(training).get("labels") for training in last.chain()][-3:] == [None, 100.0, 100.0]
    assert [training.folder for training in last.chain()][-2:] == [
        "fitting-fit1-100-frames-seed0",
        "fitting-fit2-100-frames-seed0",
    ]
    assert last.base.fits_of.folder == "fitting-fit1-seed0" and last.fits_of is None


def test_a_fraction_of_the_labels_joins_the_last_round_with_the_fits_of_the_row_without(options_of):
    last = LABELS.row("fitted-5").build(0).training
    assert [options_of(training).get("labels") for training in last.chain()][-3:] == [None, None, 0.05]
    assert last.fits_of.folder == "fitting-fit2-seed0"


@pytest.mark.parametrize(
    ("key", "stages"),
    [
        ("fitted", ["pose", "posterior", "fit1", "fit2"]),
        ("lsps-fitted", ["pose", "depth", "posterior", "fit1", "fit2"]),
    ],
)
def test_rounds_come_without_a_depth_stage_and_after_one(options_of, key, stages):
    """The posterior stage learns from translated images where there was a depth stage."""
    chain = ABLATION.row(key).build(0).training.chain()
    assert [training.stage for training in chain] == stages
    config = resolve_config(options_of(chain[-3]))
    assert config.weights.lambda_7_randomized == 1.0
    assert (config.training.depth_steps > 0) == ("depth" in stages)
