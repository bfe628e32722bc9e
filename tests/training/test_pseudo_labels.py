"""Rounds of training by fitting: which frames are fitted and kept, what shape is expected, and the whole command."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.fitting import jobs, to_depth
from lsps_tf.fitting.jobs import FrameFits
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
    return FrameFits(*(value.astype(np.float32) for value in (*values, rng.permutation(count) + 1.0)))


def test_rounds_follow_the_posterior_stage_of_lsps_alone():
    config = TINY.replace(**RECIPES["fitting"])
    stages = ("pose", "posterior", "fit1", "fit2")
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


def test_frames_whose_views_disagree_are_left_out(settings, store):
    settings = dataclasses.replace(settings, config=settings.config.replace(fit_agree=0.5, fit_keep=0.75))
    fits = made_up_fits(8)
    frames, _ = pseudo_labels.kept_labels(settings, store, fits, ())
    agreeing = sorted(range(8), key=lambda number: fits.disagreement_mm[number])[:4]
    best = sorted(agreeing, key=lambda number: fits.residual_mm[number])[:3]
    assert set(frames) == set(pseudo_labels.fitted_frames(settings, store)[best])


class PointFinder:
    """In place of networks: "joints" are where the only reading of an image is, moved by a part of its place."""

    def __init__(self, bent):
        self.bent = bent

    def predict_joints(self, image, domain):
        return self.decode_pose(self.predict_once(image, domain))

    def decode_pose(self, joints):
        return joints

    def predict_once(self, image, domain):
        size = image.shape[1]
        shown = tf.cast(image[..., 0] < 1.0, tf.float32)
        weights = shown / tf.reduce_sum(shown, axis=[1, 2], keepdims=True)
        place = (tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)) * 2.0 / size
        x, y = tf.einsum("bij,j->b", weights, place), tf.einsum("bij,i->b", weights, place)
        z = tf.reduce_sum(tf.where(shown > 0, image[..., 0], 0.0) * weights, axis=[1, 2])
        return tf.stack([x + self.bent * tf.abs(x), y, z], axis=-1)[:, None]


def stored_points():
    depth_mm = np.zeros([2, 96, 96], np.float32)
    depth_mm[0, 28:31, 58:61] = 520.0
    depth_mm[1, 60:63, 40:43] = 470.0
    center_mm = np.array([[20.0, -30.0, 500.0], [0.0, 10.0, 480.0]], np.float32)
    return depth_mm, center_mm, np.full(2, 300.0, np.float32), np.full(2, 250.0, np.float32)


@pytest.mark.parametrize("views", [1, 4, 7])
def test_views_of_a_frame_are_turned_back(settings, views):
    """A reader that sees where a point is says the same of each view, but for the pixels' size."""
    look = pseudo_labels.build_look(PointFinder(0.0), settings, views)
    _, joints_mm, disagreement_mm = look(*(tf.constant(value) for value in stored_points()))
    depth_mm, center_mm, extent_mm, _ = stored_points()
    for number, (row, column) in enumerate([(29, 59), (61, 41)]):
        z = depth_mm[number].max()
        # Where the pixel's ray is at the centre's distance, then along the ray.
        place = (np.array([column, row]) - 47.5) * extent_mm[number] / 96 + center_mm[number, :2]
        expected = np.append(place, z)
        np.testing.assert_allclose(joints_mm[number, 0, 2], z, atol=1.0)
        np.testing.assert_allclose(joints_mm[number, 0], expected, atol=6.0)
    assert np.all(disagreement_mm.numpy() < 6.0) and (views > 1 or np.all(disagreement_mm.numpy() == 0.0))


def test_a_reader_that_depends_on_the_view_disagrees_with_itself(settings):
    values = [
        pseudo_labels.build_look(PointFinder(bent), settings, 8)(*(tf.constant(value) for value in stored_points()))[2]
        for bent in (0.0, 0.5)
    ]
    assert np.all(values[1].numpy() > 1.5 * values[0].numpy())


@pytest.mark.parametrize("views", [4, 5])
def test_the_median_of_views_is_numpys(views):
    joints = np.random.default_rng(0).normal(size=(views, 3, 6, 3)).astype(np.float32)
    median, disagreement = pseudo_labels._median_of_views(tf.constant(joints))
    np.testing.assert_allclose(median, np.median(joints, axis=0), rtol=1e-6)
    loop = [
        np.mean([np.linalg.norm(joints[v, n, j] - median[n, j]) for v in range(views) for j in range(6)])
        for n in range(3)
    ]
    np.testing.assert_allclose(disagreement, loop, rtol=1e-5)


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


@pytest.mark.parametrize(
    "option",
    [["--fit-keep", "1.5"], ["--fit-agree", "1.5"], ["--fit-views", "0"], ["--fit-rounds", "-1"], ["--fit-keep", "0"]],
)
def test_rounds_that_make_no_sense(arguments, tmp_path, option):
    with pytest.raises(InputError, match=option[0]):
        run_session([*arguments, *option, "--run-dir", str(tmp_path / "run")])
