"""A loss or a weight that is not finite ends the training: where, with what advice, and what is kept."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.networks import build_networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import SHIPPED
from training.methods import build_plan
from training.session import run_session
from training.survival.divergence import Divergence


def files_under(run_dir, folder):
    return sorted(str(path.relative_to(run_dir / folder)) for path in (run_dir / folder).rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def diverged(arguments, tmp_path_factory):
    """A real divergence: the pose stage is whole, the depth stage is thrown to infinity. The run and what was said."""
    run_dir = tmp_path_factory.mktemp("diverged") / "run"
    rates = ["--depth-learning-rate", "1e6", "--discriminator-learning-rate", "1e6"]
    steps = ["--pose-steps", "2", "--depth-steps", "9", "--checkpoint-every", "1", "--log-every", "1"]
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(InputError) as raised:
            run_session([*arguments, *rates, *steps, "--picture-every", "100", "--run-dir", str(run_dir)])
    finally:
        tf.config.run_functions_eagerly(False)
    return run_dir, str(raised.value)


def step_of(said):
    return int(re.search(r"at step (\d+)", said)[1])


def test_a_stage_that_diverges_ends_the_training_there(diverged):
    run_dir, said = diverged
    assert re.fullmatch(
        rf"{run_dir}: the depth stage diverged at step \d+: eq\d_\w+ \(and \d+ more\) is (nan|infinite); go on from "
        r"its last checkpoint with --resume and a lower --depth-learning-rate \(now 1e\+06\) or "
        r"--discriminator-learning-rate \(now 1e\+06\), or start a new run with that; "
        rf"its batches are in {run_dir}/nonfinite",
        said,
    ), said
    step = step_of(said)
    assert 2 <= step <= 9
    # Only the finished stage has weights; the lines and the checkpoint are those of the steps before.
    assert files_under(run_dir, "weights") == ["pose.h5"]
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["stage"] == "depth"] == list(range(1, step))
    assert all(np.isfinite(value) for line in lines for name, value in line.items() if name != "stage")
    kept = [name for name in files_under(run_dir, "checkpoints") if name.endswith(".index")]
    depth = [f"depth/ckpt-{number}.index" for number in (step - 2, step - 1) if number]
    assert kept == [*depth, "pose/ckpt-1.index", "pose/ckpt-2.index"]


def test_the_batch_that_is_kept_is_that_of_the_step(diverged):
    run_dir, said = diverged
    step = step_of(said)
    assert files_under(run_dir, "nonfinite") == [f"depth-{number:07d}.npz" for number in (step - 1, step)]
    settings = run_folder.read_settings(run_dir)
    networks = build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    with open_store(settings.store) as store:
        streams = build_plan("depth", settings, networks, store).streams
    batch = next(iter(build_pipeline(settings.store, streams, settings.config.training.seed, step - 1)))
    with np.load(run_dir / "nonfinite" / f"depth-{step:07d}.npz") as columns:
        assert columns["seed"].tolist() == [settings.config.training.seed, step - 1]
        np.testing.assert_array_equal(columns["real_depth_mm"], batch["real"]["depth_mm"])
        np.testing.assert_array_equal(columns["synthetic_joints_mm"], batch["synthetic"]["joints_mm"])


@pytest.mark.slow
def test_a_resumed_run_ends_at_the_same_step_again(diverged, eagerly):
    run_dir, said = diverged
    with pytest.raises(InputError, match=f"diverged at step {step_of(said)}: "):
        run_session(["--run-dir", str(run_dir), "--resume"])
    assert files_under(run_dir, "weights") == ["pose.h5"]


def test_the_run_goes_on_from_before_with_a_lower_step_size(diverged, tmp_path, eagerly):
    """Here from before its first step: after steps this long the checkpoints' weights are finite, and no good."""
    run_dir, said = diverged
    again = shutil.copytree(run_dir, tmp_path / "again")
    for path in (again / "checkpoints" / "depth").iterdir():
        path.unlink()
    rates = ["--depth-learning-rate", "1e-4", "--discriminator-learning-rate", "1e-4"]
    assert run_session(["--run-dir", str(again), "--resume", *rates]) == 0
    assert files_under(again, "weights") == ["depth.h5", "mapping.h5", "pose.h5", "posterior.h5"]
    settings = run_folder.read_settings(again)
    assert settings.config.training.depth_learning_rate == 1e-4
    assert settings.changes[0] == {
        **{"setting": "depth_learning_rate", "before": 1e6, "after": 1e-4},
        **{"stage": "depth", "step": 0},
    }


def test_a_resumed_stage_takes_the_step_size_of_its_settings(arguments, tmp_path, eagerly):
    """A checkpoint holds Adam's step size, too; a step of next to nothing moves nothing."""
    run_dir = tmp_path / "run"
    few = ["--stages", "pose", "--pose-steps", "4", "--checkpoint-every", "2"]
    assert run_session([*arguments, *few, "--run-dir", str(run_dir)]) == 0
    at_2 = tf.train.load_checkpoint(str(run_dir / "checkpoints" / "pose" / "ckpt-2"))
    run_folder.weights_path(run_dir, "pose").unlink()
    for path in (run_dir / "checkpoints" / "pose").glob("ckpt-4.*"):
        path.unlink()
    assert run_session(["--run-dir", str(run_dir), "--resume", "--pose-learning-rate", "1e-30"]) == 0
    at_4 = tf.train.load_checkpoint(str(run_dir / "checkpoints" / "pose" / "ckpt-4"))
    names = [name for name in at_2.get_variable_to_shape_map() if name.startswith("networks/pose")]
    names = [name for name in names if "OPTIMIZER_SLOT" not in name]
    assert len(names) > 4
    for name in names:
        np.testing.assert_allclose(at_2.get_tensor(name), at_4.get_tensor(name), rtol=0, atol=1e-12)


@pytest.fixture
def divergence(finished_run, store_path, tmp_path):
    """Of the depth stage of a finished run, with its networks and plan."""
    run = run_folder.load_run(finished_run)
    with open_store(store_path) as store:
        plan = build_plan("depth", run.settings, run.networks, store)
    return Divergence(plan, run.settings, run.networks, tmp_path), plan, run.networks


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("pose", ["pose_learning_rate"]),
        ("depth", ["depth_learning_rate", "discriminator_learning_rate"]),
        ("mapping", ["mapping_learning_rate", "discriminator_learning_rate"]),
        ("posterior", ["posterior_learning_rate"]),
        ("regression", ["posterior_learning_rate"]),
        ("fit2", ["fit_learning_rate"]),
    ],
)
def test_the_advice_names_the_stages_own_step_sizes(divergence, tmp_path, stage, settings):
    _, plan, networks = divergence
    plan = dataclasses.replace(plan, name=stage)
    plan.model.first_nonfinite = lambda: (0, {"eq": float("inf")})
    config = PRESETS["tiny"].replace(**{name: 0.125 for name in settings})
    given = dataclasses.replace(run_folder.read_settings(SHIPPED), config=config, store="none.h5")
    with pytest.raises(InputError) as raised:
        Divergence(plan, given, networks, tmp_path).check_losses()
    asked = re.findall(r"--([a-z-]+) \(now 0.125\)", str(raised.value))
    assert [name.replace("-", "_") for name in asked] == settings and "--pretrained" not in str(raised.value)


def test_weights_that_are_not_finite_are_named(divergence, eagerly):
    check, plan, networks = divergence
    check.check_losses()
    check.check_variables(7)
    weight = networks.named_variables()["mapping/002"]
    weight.assign_add(np.full(weight.shape, np.inf, np.float32))
    with pytest.raises(InputError, match="the depth stage diverged: after step 7 mapping/002 is not finite; go on"):
        check.check_variables(7)


def test_an_optimizer_whose_state_is_not_finite_is_named(divergence, eagerly):
    """A squared gradient beyond float32: the weights stay finite and never move again."""
    check, plan, networks = divergence
    optimizer = plan.optimizers["generator_optimizer"]
    weight = networks.mapping.variables[0]
    optimizer.apply_gradients([(np.full(weight.shape, 1e25, np.float32), weight)])
    assert np.isfinite(weight.numpy()).all()
    with pytest.raises(InputError, match=r"after step 7 generator_optimizer/\d+ is not finite"):
        check.check_variables(7)


def test_batches_that_cannot_be_kept_do_not_hide_the_divergence(divergence, tmp_path, eagerly, monkeypatch):
    check, plan, _ = divergence
    monkeypatch.setattr(plan.model, "first_nonfinite", lambda: (0, {"eq1_pose_kl": float("nan")}))
    (tmp_path / "nonfinite").write_text("in the way")
    with pytest.raises(InputError, match=r"at step 1: eq1_pose_kl is nan; .*; its batches are not kept \("):
        check.check_losses()
