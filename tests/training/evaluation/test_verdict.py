"""The end of a run on one's own recording: the verdict is written, said and acted on, and asked for once."""

import dataclasses
import json
import shutil

import h5py
import numpy as np
import pytest

from lsps_tf.datasets.own.recording import HELD_OUT, hold_out
from lsps_tf.run_folder import load_run, read_settings, verdict_path, weights_path, write_settings
from training.evaluation import verdict
from training.evaluation.adaptation import Verdict
from training.evaluation.verdict import judge_run


def first_of(file):
    """The first array of weights, however deep its name lies."""
    found = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found[0]


def first_weights(path):
    with h5py.File(path, "r") as file:
        return first_of(file)[...]


@pytest.fixture
def own_run(copy_of_run, finished_run, monkeypatch):
    """A finished run as one on a recording that started from another run, whose weights differ from its own."""
    settings = read_settings(copy_of_run)
    settings = dataclasses.replace(
        settings,
        dataset="frames",
        frames={**settings.frames, HELD_OUT: 4},
        pretrained=str(finished_run),
        pretrained_stage=settings.last_stage,
    )
    write_settings(copy_of_run, settings)
    with h5py.File(weights_path(copy_of_run, settings.last_stage), "a") as file:
        first_of(file)[...] += 1.0
    return settings, copy_of_run


def judged(monkeypatch, score):
    values = {"from_fit_mm": 20.0, "unexplained_mm": 9.0, "unsteady_mm": None}
    found = Verdict(96, values, {**values, "unexplained_mm": 9.0 + score}, score)
    monkeypatch.setattr(verdict, "_compare", lambda settings, before, after: found)


def test_where_it_helped_the_adapted_weights_stay(own_run, monkeypatch):
    settings, run_dir = own_run
    own = first_weights(weights_path(run_dir, settings.last_stage))
    judged(monkeypatch, -0.3)
    assert "It helped." in judge_run(settings, run_dir)
    np.testing.assert_array_equal(first_weights(weights_path(run_dir, settings.last_stage)), own)
    said = json.loads(verdict_path(run_dir).read_text())
    assert (said["kept"], said["helped"], said["frames"]) == ("after", True, 96)


def test_where_it_did_not_help_the_model_from_before_is_the_result(own_run, monkeypatch):
    settings, run_dir = own_run
    last = weights_path(run_dir, settings.last_stage)
    own, before = first_weights(last), first_weights(weights_path(settings.pretrained, settings.last_stage))
    judged(monkeypatch, 0.2)
    text = judge_run(settings, run_dir)
    assert "did not help" in text and "9.0 mm before, 9.2 mm after" in text
    np.testing.assert_array_equal(first_weights(last), before)
    said = json.loads(verdict_path(run_dir).read_text())
    np.testing.assert_array_equal(first_weights(said["adapted"]), own)
    # A resumed run says the same, and compares nothing again.
    judged(monkeypatch, -1.0)
    assert judge_run(settings, run_dir) == text
    # A stop before the verdict was written costs nothing: the adapted weights are still what is compared.
    verdict_path(run_dir).unlink()
    judged(monkeypatch, 0.2)
    judge_run(settings, run_dir)
    np.testing.assert_array_equal(first_weights(said["adapted"]), own)


def test_the_model_from_before_may_have_another_kind_of_m(own_run, finished_run, tmp_path, monkeypatch):
    settings, run_dir = own_run
    before = tmp_path / "before.h5"
    shutil.copy(weights_path(finished_run, settings.last_stage), before)
    last = weights_path(run_dir, settings.last_stage)
    with h5py.File(before, "a") as file, h5py.File(last, "r") as own:
        drawn = first_of(own["mapping"])[...]
        del file["mapping"]
        file["mapping/000"] = np.zeros(3)
    seen = []
    monkeypatch.setattr(verdict, "_weights_before", lambda *_: before)
    monkeypatch.setattr(verdict, "_predict", lambda settings, store, look: (0, 0, 0, seen.append(1), 0))
    values = {"from_fit_mm": 20.0, "unexplained_mm": 9.0, "unsteady_mm": None}
    monkeypatch.setattr(verdict, "compare", lambda *_: Verdict(96, values, values, 0.2))
    assert "did not help" in judge_run(settings, run_dir)
    assert len(seen) == 2
    assert load_run(run_dir).networks is not None
    np.testing.assert_array_equal(first_weights(last), first_weights(before))
    with h5py.File(last, "r") as file:
        np.testing.assert_array_equal(first_of(file["mapping"]), drawn)


@pytest.mark.parametrize("change", [{"dataset": "sim"}, {"frames": {}}, {"pretrained": "", "pretrained_stage": ""}])
def test_without_anything_to_compare_there_is_no_verdict(own_run, change):
    settings, run_dir = own_run
    assert judge_run(dataclasses.replace(settings, **change), run_dir) is None
    assert not verdict_path(run_dir).exists()


def test_frames_are_held_out_in_blocks_and_of_long_recordings_alone():
    assert not len(hold_out(np.arange(95)))
    for count in (96, 250, 2000, 90_000):
        places = np.arange(count) * 3 + 1
        kept = hold_out(places)
        assert len(np.unique(kept)) == len(kept) and np.isin(kept, places).all()
        assert 24 <= len(kept) <= 384 and len(kept) <= 0.25 * count
        assert (np.diff(kept) == 3).sum() >= 11 * len(kept) // 12 - 1
