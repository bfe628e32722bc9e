"""Which stages a method has and which of them a run trains; and that a new method is a row."""

import pytest

from lsps_tf import run_folder
from lsps_tf.errors import InputError
from lsps_tf.presets import PRESETS, RECIPES
from training import plan
from training.arguments import parse_arguments
from training.methods import METHODS, Method, resolve_stages
from training.session import run_session

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    ("method", "asked", "pretrained", "stages"),
    [
        ("lsps", None, "", ("pose", "depth", "mapping", "posterior")),
        ("lsps", None, "pose", ("depth", "mapping", "posterior")),
        ("lsps", None, "depth", ("mapping", "posterior")),
        ("lsps", None, "mapping", ("posterior",)),
        ("lsps", None, "fit2", ()),
        ("lsps", "mapping", "fit2", ("mapping",)),
        ("lsps", "mapping", "depth", ("mapping",)),
        # P does not read M, so its stage starts from the depth stage.
        ("lsps", "pose, depth, posterior", "", ("pose", "depth", "posterior")),
        ("lsps", "posterior", "depth", ("posterior",)),
        ("lsps", "depth, pose", "", ("pose", "depth")),
        ("lsps", "pose", "depth", ("pose",)),
        ("synthetic-only", None, "", ("pose", "regression")),
        ("synthetic-only", None, "depth", ("regression",)),
        ("real", None, "pose", ("regression",)),
        # A regression goes on from another one.
        ("real", None, "regression", ("regression",)),
        ("synthetic-only", "regression", "regression", ("regression",)),
    ],
)
def test_stages(method, asked, pretrained, stages):
    assert resolve_stages(method, TINY, asked, pretrained) == stages


@pytest.mark.parametrize(
    ("asked", "pretrained", "stages"),
    [
        (None, "", ("pose", "posterior", "fit1", "fit2")),
        (None, "pose", ("posterior", "fit1", "fit2")),
        (None, "depth", ("posterior", "fit1", "fit2")),
        ("pose,posterior", "", ("pose", "posterior")),
    ],
)
def test_the_recipe_fitting_has_no_depth_stage(asked, pretrained, stages):
    """M, which comes after the depth stage, has no stage there either."""
    assert TINY.training.mapping_steps > 0
    assert resolve_stages("lsps", TINY.replace(**RECIPES["fitting"]), asked, pretrained) == stages


@pytest.mark.parametrize(
    ("method", "asked", "pretrained", "message"),
    [
        ("lsps", "regression", "", "has the stages pose, depth, mapping, posterior, not 'regression'"),
        ("real", "pose,depth", "", "has the stages pose, regression, not 'depth'"),
        ("lsps", " , ", "", "name at least one"),
        ("lsps", "mapping", "pose", "the mapping stage starts from the depth stage"),
        ("lsps", "depth", "", "the depth stage starts from the pose stage"),
        ("lsps", "pose,posterior", "", "the posterior stage starts from the depth stage"),
        ("lsps", "posterior", "pose", "the posterior stage starts from the depth stage"),
        ("synthetic-only", "regression", "", "the regression stage starts from the pose stage"),
    ],
)
def test_stages_that_make_no_run(method, asked, pretrained, message):
    with pytest.raises(InputError, match=message):
        resolve_stages(method, TINY, asked, pretrained)


def test_an_adaptation_has_rounds_alone_and_one_at_least():
    assert METHODS["adapt"].stages_with(TINY) == ("fit1",)
    assert METHODS["adapt"].stages_with(TINY.replace(fit_rounds=2)) == ("fit1", "fit2")
    # Whatever the model that it starts from has gone through.
    assert resolve_stages("adapt", TINY, None, "fit2") == ("fit1",)


def test_without_steps_there_is_no_mapping_stage():
    assert METHODS["lsps"].stages_with(TINY.replace(mapping_steps=0)) == ("pose", "depth", "posterior")


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.stages])
def test_without_a_pose_vae_there_is_no_pose_stage(method):
    row = METHODS[method]
    assert row.stages_with(TINY.replace(pose_vae=False)) == row.stages[1:] and row.stages[0] == "pose"


@pytest.mark.parametrize(
    ("method", "stages", "splits"),
    [
        ("lsps", ("pose",), {"synthetic/train", "real/train"}),
        ("synthetic-only", ("pose", "regression"), {"synthetic/train", "synthetic/sensed"}),
        ("real", ("pose", "regression"), {"synthetic/train", "real/train"}),
        ("real", ("regression",), {"real/train"}),
        ("crossing-nets", ("pose", "depth"), {"real/train"}),
    ],
)
def test_methods_say_what_they_train_on(method, stages, splits):
    assert set(METHODS[method].splits(TINY.replace(synthetic_part="sensed"), stages)) == splits


def test_a_new_method_is_a_row(monkeypatch, arguments, tmp_path, eagerly):
    row = Method(
        name="poses",
        title="the pose VAE alone",
        stages=("pose",),
        splits=lambda config, stages: ("synthetic/train",),
        build=lambda kind, inputs: {"pose": plan.build_pose}[kind](inputs),
        domain="synthetic",
        takes_labels=False,
    )
    monkeypatch.setitem(METHODS, row.name, row)
    command = [*arguments, "--method", "poses", "--pose-steps", "2", "--run-dir", str(tmp_path / "run")]
    assert parse_arguments(command)["method"] == "poses"
    assert run_session(command) == 0
    # What predicts knows it from the run's settings alone.
    monkeypatch.delitem(METHODS, row.name)
    run = run_folder.load_run(tmp_path / "run")
    assert (run.settings.last_stage, run.domain, run.settings.method_title) == ("pose", "synthetic", row.title)
    with pytest.raises(InputError, match="the run's method 'poses' is none of lsps, "):
        run_session(["--run-dir", str(tmp_path / "run"), "--resume"])
