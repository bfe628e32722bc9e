"""Rounds of training by fitting: which frames are fitted and kept, what shape is expected, and the whole command."""

import dataclasses

import numpy as np
import pytest

from lsps_tf import run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.fitting import jobs, to_depth
from lsps_tf.fitting.to_depth import DepthFit
from lsps_tf.networks import build_networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.presets import PRESETS, RECIPES
from training import pseudo_labels
from training.methods import METHODS, build_plan, resolve_stages
from training.session import run_session

TINY = PRESETS["tiny"]
FEW_STEPS = {"steps": 2, "points": 16, "shape_weight": 1.0}
FITTING = ["--recipe", "fitting", "--pretrained-stage", "posterior", "--fit-frames", "8", "--fit-steps", "1"]


@pytest.fixture
def settings(finished_run):
    given = run_folder.read_settings(finished_run)
    return dataclasses.replace(given, config=given.config.replace(fit_rounds=2, fit_frames=8))


@pytest.fixture
def store(store_path):
    with open_store(store_path) as opened:
        yield opened


def made_up_fits(count, joints=36, seed=0):
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(count, joints, 3)), rng.normal(size=(count, 16)), rng.permutation(count) + 1.0)
    return DepthFit(*(value.astype(np.float32) for value in values))


def test_rounds_follow_the_posterior_stage_of_lsps_alone():
    config = TINY.replace(**RECIPES["fitting"])
    stages = ("pose", "depth", "mapping", "posterior", "fit1", "fit2")
    assert METHODS["lsps"].stages_with(config) == stages == resolve_stages("lsps", config, None, "")
    assert resolve_stages("lsps", config, None, "posterior") == ("fit1", "fit2")
    assert resolve_stages("lsps", config, "fit2", "fit1") == ("fit2",)
    assert METHODS["real"].stages_with(config) == ("pose", "regression")
    with pytest.raises(InputError, match="the fit2 stage starts from the fit1 stage"):
        resolve_stages("lsps", config, "fit2", "posterior")


def test_frames_to_fit_are_spread_over_those_of_the_run(settings, store):
    np.testing.assert_array_equal(pseudo_labels.fitted_frames(settings, store), [0, 3, 6, 9, 13, 16, 19, 23])
    few = dataclasses.replace(settings, frames={**settings.frames, "real/train": 5})
    np.testing.assert_array_equal(pseudo_labels.fitted_frames(few, store), range(5))


def test_the_best_explained_frames_are_kept_and_own_labels_stay(settings, store):
    fits = made_up_fits(8)
    frames, joints_mm = pseudo_labels.kept_labels(settings, store, fits, (1, 3))
    fitted = pseudo_labels.fitted_frames(settings, store)
    best = [number for number in range(8) if fits.residual_mm[number] <= 6.0]
    assert set(frames) == {1, 3, *fitted[best]}
    true_mm = store.column("real/train", "joints_mm")
    for number in best:
        expected = true_mm[3] if fitted[number] == 3 else fits.joints_mm[number]
        np.testing.assert_array_equal(joints_mm[fitted[number]], expected)
    np.testing.assert_array_equal(joints_mm[1], true_mm[1])
    assert np.isnan(np.delete(joints_mm, frames, axis=0)).all() and np.isfinite(true_mm).all()


@pytest.mark.parametrize(
    ("share", "labelled", "times"),
    [(0.0, (1, 3), 1), (0.5, (1, 3), 3), (0.75, (1, 3), 9), (0.75, (1,), 21), (0.5, tuple(range(24)), 1), (0.5, (), 0)],
)
def test_frames_with_labels_have_a_share_of_their_own(settings, store, share, labelled, times):
    """Seven of eight fits are kept, and with a label of frame 3 six of them are left at most."""
    settings = dataclasses.replace(settings, config=settings.config.replace(fit_label_share=share))
    frames, _ = pseudo_labels.kept_labels(settings, store, made_up_fits(8), labelled)
    numbers, counts = np.unique(frames, return_counts=True)
    own = np.isin(numbers, labelled)
    assert set(counts[own]) <= {times} and set(counts[~own]) <= {1} and own.sum() == len(labelled)
    assert not labelled or counts[own].sum() >= share * len(frames)
    assert not own.any() or counts[own].sum() - own.sum() < share * len(frames) or times == 1


def test_a_subjects_shape_is_what_its_best_fits_agree_on():
    fits = made_up_fits(20)
    subjects = np.repeat([4, 7], 10)
    expected = pseudo_labels.expected_shapes(fits, subjects)
    for subject in (4, 7):
        own = np.flatnonzero(subjects == subject)
        best = sorted(own, key=lambda row: fits.residual_mm[row])[:4]
        for row in own:
            np.testing.assert_allclose(expected[row], np.median(fits.shape_parameters[best], axis=0))
    assert (pseudo_labels.expected_shapes(None, subjects) == 0).all()


def test_a_round_trains_on_what_was_fitted(settings, store):
    networks = build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    plan = build_plan("fit1", settings, networks, store, made_up_fits(8))
    stream = plan.streams["labelled"]
    assert (plan.name, plan.steps, stream.split, len(stream.indices)) == (
        "fit1",
        TINY.training.fit_steps,
        "real/train",
        7,
    )
    assert np.isfinite(stream.joints_mm[stream.indices]).all()


@pytest.mark.parametrize(("translations", "streams"), [(False, {"synthetic", "labelled"}), (True, {"real"})])
def test_a_round_leaves_translations_out_unless_asked_for_them(settings, store, translations, streams, eagerly):
    """Without them a round's loss is equation 7 alone, whatever the preset's weights of the other terms are."""
    config = settings.config.replace(fit_translations=translations, lambda_7_made=1.0, lambda_7_randomized=1.0)
    settings = dataclasses.replace(settings, config=config)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    plan = build_plan("fit1", settings, networks, store, made_up_fits(8))
    assert set(plan.streams) == streams | {"synthetic", "labelled"}
    batch = next(iter(build_pipeline(settings.store, plan.streams, seed=0)))
    terms = {name: float(value) for name, value in plan.model.train_step(batch).items()}
    beside = {name for name in terms if "matching" in name or name.endswith("made")}
    assert bool(beside) == translations
    weights = config.weights
    expected = sum(terms[name] * weights.lambda_7 for name in terms if name.endswith("regression"))
    expected += terms["eq7_posterior_synthetic_randomized"] * weights.lambda_7_randomized
    expected += sum(terms[name] for name in beside if name.endswith("made"))
    expected += sum(terms[name] * weights.lambda_8_posterior for name in beside if "matching" in name)
    assert terms["eq8_posterior"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_run_goes_through_its_rounds_and_goes_on_where_it_was_stopped(
    finished_run, arguments, eagerly, tmp_path, monkeypatch, capsys
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    monkeypatch.setattr(pseudo_labels, "BATCH", 2)
    monkeypatch.setattr(jobs, "BATCH", 2)
    monkeypatch.setattr(to_depth, "_FOLLOW_STEPS", 2)
    monkeypatch.setattr(to_depth.FitSettings, "__init__", lambda self, **_: self.__dict__.update(FEW_STEPS))
    command = [*arguments, *FITTING, "--pretrained", str(finished_run)]
    assert run_session([*command, "--run-dir", str(whole)]) == 0
    assert sorted(path.stem for path in whole.glob("weights/*")) == ["fit1", "fit2"]
    run_folder.load_run(whole)

    fit, calls = jobs.DepthFitter.fit, []

    def interrupted(self, *inputs, seed):
        if seed == 4 and not calls:
            calls.append(seed)
            raise KeyboardInterrupt
        return fit(self, *inputs, seed=seed)

    monkeypatch.setattr(jobs.DepthFitter, "fit", interrupted)
    assert run_session([*command, "--fit-rounds", "1", "--run-dir", str(stopped)]) == 130
    assert "Go on with" in capsys.readouterr().err
    with np.load(pseudo_labels.fits_path(stopped, "fit1")) as file:
        assert len(file["joints_mm"]) == 4
    assert run_session(["--run-dir", str(stopped), "--resume"]) == 0
    first, second = (np.load(pseudo_labels.fits_path(folder, "fit1")) for folder in (whole, stopped))
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name])
    assert [path.stem for path in stopped.glob("weights/*")] == ["fit1"]


@pytest.mark.parametrize("option", [["--fit-keep", "1.5"], ["--fit-rounds", "-1"], ["--fit-keep", "0"]])
def test_rounds_that_make_no_sense(arguments, tmp_path, option):
    with pytest.raises(InputError, match=option[0]):
        run_session([*arguments, *option, "--run-dir", str(tmp_path / "run")])
