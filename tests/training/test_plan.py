"""What each stage of a run draws from the store, and how it is trained."""

import dataclasses

import numpy as np
import pytest

from lsps_tf import camera
from lsps_tf.datasets.store import create_store, open_store
from lsps_tf.errors import InputError
from lsps_tf.pipeline import build_pipeline, labelled_indices
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import RunSettings
from training.methods import METHODS, build_plan
from training.plan import labelled_frames

TINY = PRESETS["tiny"]
FRAMES = {"synthetic/train": 6, "real/train": 10}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "store.h5"
    with create_store(path, "nyu", camera.NYU, 48, {}) as store:
        for split, count in FRAMES.items():
            frames = np.arange(count)
            store.append(
                split,
                {
                    "depth_mm": np.full((count, 48, 48), 500.0),
                    "joints_mm": np.zeros((count, 36, 3)) if split == "synthetic/train" else _half(count),
                    "center_mm": np.tile([0.0, 0.0, 500.0], (count, 1)),
                    "cube_mm": np.full(count, 250.0),
                    "extent_mm": np.full(count, 375.0),
                    "subject": frames,
                    "frame": frames,
                },
            )
    with open_store(path) as store:
        yield store


def _half(count):
    """Joints of which every second frame has none."""
    joints = np.zeros((count, 36, 3))
    joints[1::2] = np.nan
    return joints


def settings(store, **changes):
    given = {"config": TINY, "method": "lsps", "skeleton": "nyu", "dataset": "x.h5", "frames": FRAMES}
    given = {**given, **changes}
    return RunSettings(store=str(store.path), domain=METHODS[given["method"]].domain, **given)


def drawn(plan):
    return {name: (stream.split, stream.batch, stream.images) for name, stream in plan.streams.items()}


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("pose", {"synthetic": ("synthetic/train", 16, False)}),
        ("depth", {"synthetic": ("synthetic/train", 2, True), "real": ("real/train", 2, True)}),
        ("mapping", {"synthetic": ("synthetic/train", 3, True)}),
        ("posterior", {"synthetic": ("synthetic/train", 4, True), "real": ("real/train", 2, True)}),
    ],
)
def test_streams_without_labels(store, networks, stage, expected):
    config = TINY.replace(pose_batch=16, depth_batch=2, mapping_batch=3, posterior_batch=4, matching_batch=2)
    plan = build_plan(stage, settings(store, config=config), networks, store)
    assert plan.name == stage and drawn(plan) == expected


def test_a_posterior_stage_without_a_depth_stage_leaves_out_what_needs_one(store, networks):
    """Translations of untrained E and G would be noise with a pose."""
    config = TINY.replace(depth_steps=0, lambda_7_made=1.0, lambda_8_posterior=1.0, lambda_7_randomized=1.0)
    plan = build_plan("posterior", settings(store, config=config), networks, store)
    assert drawn(plan) == {"synthetic": ("synthetic/train", 4, True)}
    weights = plan.model.lambdas
    assert (weights.lambda_7_made, weights.lambda_8_posterior) == (0.0, 0.0)
    assert (weights.lambda_7, weights.lambda_7_randomized) == (config.weights.lambda_7, 1.0)


@pytest.mark.parametrize("stage", ["pose", "depth", "mapping", "posterior"])
def test_labels_add_a_stream_of_labelled_frames(store, networks, stage):
    given = settings(store, labels=0.4)
    plan = build_plan(stage, given, networks, store)
    stream = plan.streams["labelled"]
    assert stream.split == "real/train" and stream.indices == labelled_indices(store, "real/train", 0.4, 0)
    # Two of the five frames that have labels.
    assert len(stream.indices) == 2 and all(index % 2 == 0 for index in stream.indices)
    assert stream.images == (stage != "pose")


@pytest.mark.parametrize(
    ("method", "labels", "expected"),
    [
        ("synthetic-only", 0.0, {"synthetic": ("synthetic/train", 4, True)}),
        ("real", 1.0, {"labelled": ("real/train", 4, True)}),
    ],
)
def test_regressions_draw_their_own_domain_alone(store, networks, method, labels, expected):
    given = settings(store, method=method, labels=labels, config=TINY.replace(posterior_batch=4))
    plan = build_plan("regression", given, networks, store)
    assert drawn(plan) == expected and plan.model.domain == given.domain


def test_a_run_draws_the_frames_that_it_started_with(store, networks):
    fewer = settings(store, frames={"synthetic/train": 4, "real/train": 5}, labels=1.0)
    streams = build_plan("depth", fewer, networks, store).streams
    assert list(streams["synthetic"].indices) == list(range(4)) and list(streams["real"].indices) == list(range(5))
    assert sorted(streams["labelled"].indices) == [0, 2, 4]


def test_labels_that_no_frame_has(store):
    without = settings(store, labels=0.5, frames={"synthetic/train": 6, "real/train": 0})
    with pytest.raises(InputError, match="no frame of 'real/train' has labels"):
        labelled_frames(without, store)


def step_size(optimizer, step):
    rate = optimizer._decayed_lr("float32") if step is None else optimizer._get_hyper("learning_rate")
    return float(rate(step) if callable(rate) else rate)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [("none", [1.0, 1.0, 1.0]), ("cosine", [1.0, 0.5, 0.0]), ("halving", [1.0, 0.25, 0.0625])],
)
def test_courses_of_the_step_size(store, networks, decay, expected):
    config = TINY.replace(decay=decay, halve_every=10, pose_steps=40, pose_learning_rate=1.0)
    plan = build_plan("pose", settings(store, config=config), networks, store)
    (optimizer,) = plan.optimizers.values()
    np.testing.assert_allclose([step_size(optimizer, step) for step in (0, 20, 40)], expected, atol=1e-6)
    assert optimizer.get_config()["beta_1"] == config.training.adam_beta_1


def test_stages_get_their_own_schedule(store, networks):
    config = TINY.replace(pose_steps=3, depth_steps=4, mapping_steps=6, posterior_steps=5, depth_learning_rate=0.25)
    given = settings(store, config=config)
    plans = {name: build_plan(name, given, networks, store) for name in ("pose", "depth", "mapping", "posterior")}
    regression = settings(store, method="synthetic-only", config=config)
    plans["regression"] = build_plan("regression", regression, networks, store)
    assert {name: plan.steps for name, plan in plans.items()} == {
        **{"pose": 3, "depth": 4, "mapping": 6},
        **{"posterior": 5, "regression": 5},
    }
    assert float(plans["depth"].optimizers["generator_optimizer"].learning_rate) == 0.25
    assert len(plans["depth"].optimizers) == 2
    assert all(plan.shown in plan.model.totals for plan in plans.values())
    assert dataclasses.asdict(given.config) == dataclasses.asdict(config)


def test_the_depth_stage_alone_shifts_every_image(store, networks):
    """The store's frames are planes through the crop's centre, so their depth in the image is the shift's."""
    data = TINY.replace(depth_shift_mm=15.0, translation_mm=0.0)
    for stage, shifts in (("depth", True), ("posterior", False)):
        plan = build_plan(stage, settings(store, config=data), networks, store)
        batch = plan.model.prepare(next(iter(build_pipeline(store.path, plan.streams, seed=0))))
        for domain in ("synthetic", "real"):
            middle = batch[domain]["image"][:, 16, 16, 0].numpy()
            assert np.all(middle != 0.0) == np.any(middle != 0.0) == shifts, (stage, domain)


def test_equation_6_has_a_part_of_its_weights_in_the_depth_stage_and_all_in_its_own(store, networks):
    given = settings(store, config=TINY.replace(mapping_in_depth=0.5, lambda_4_mapping=2.0, lambda_5=4.0, lambda_6=8.0))
    found = {}
    for stage in ("depth", "mapping"):
        weights = build_plan(stage, given, networks, store).model.lambdas
        found[stage] = (weights.lambda_4_mapping, weights.lambda_5, weights.lambda_6, weights.lambda_4)
    assert found == {"depth": (1.0, 2.0, 4.0, 10.0), "mapping": (2.0, 4.0, 8.0, 10.0)}
    # Crossing nets have no other stage for it.
    crossing = dataclasses.replace(given, method="crossing-nets", labels=1.0)
    assert build_plan("depth", crossing, networks, store).model.lambdas == given.config.weights


def test_gradients_are_bounded_where_the_posterior_is_trained_and_nowhere_else(store, networks):
    config = TINY.replace(clip_norm=7.0, fit_rounds=1)
    for method, stage, bound in (
        *(("lsps", "pose", None), ("lsps", "depth", None), ("lsps", "posterior", 7.0), ("lsps", "fit1", 7.0)),
        *(("synthetic-only", "regression", 7.0), ("real", "regression", 7.0), ("crossing-nets", "posterior", 7.0)),
    ):
        given = settings(store, method=method, config=config, labels=float(METHODS[method].needs_labels))
        optimizers = build_plan(stage, given, networks, store).optimizers.values()
        assert {optimizer.global_clipnorm for optimizer in optimizers} == {bound}
