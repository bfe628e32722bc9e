"""`training/experiment.py` from its command line to its table, on the tiny store: whole, stopped, and gone on with."""

import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import augment, run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.fitting import jobs, to_depth
from lsps_tf.networks import build_networks
from training import callbacks, pseudo_labels
from training.evaluation.measure import evaluate_run
from training.experiments import figures
from training.experiments.command import run_experiment
from training.session import STOPPED

FEW = ["--pose-steps", "2", "--depth-steps", "1", "--posterior-steps", "2", "--fit-steps", "1"]


@pytest.fixture(scope="module")
def table1(arguments, tmp_path_factory):
    """The whole of table 1 for one seed, with the output it was written to."""
    output = tmp_path_factory.mktemp("experiment") / "an output"
    command = ["table1", *arguments, *FEW, "--seeds", "0", "--output", str(output)]
    _run_quickly(command)
    return output, command


def _run_quickly(command):
    tf.config.run_functions_eagerly(True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.session.build_networks", _built_once(build_networks))
        patch.setattr(to_depth, "_FOLLOW_STEPS", 1)
        few_steps = {"steps": 1, "points": 16, "shape_weight": 1.0}
        patch.setattr(to_depth.FitSettings, "__init__", lambda self, **_: self.__dict__.update(few_steps))
        for module in (pseudo_labels, jobs):
            patch.setattr(module, "BATCH", 8)
        try:
            assert run_experiment(command) == 0
        finally:
            tf.config.run_functions_eagerly(False)


def _built_once(build):
    """Building takes longer than all the rest; the same networks with their initial weights are as good."""
    built = {}

    def build_networks(config, image_size, seed):
        arguments = config, image_size, seed
        if arguments not in built:
            networks = build(config, image_size, seed)
            built[arguments] = networks, [variable.numpy() for variable in networks.variables]
        networks, values = built[arguments]
        for variable, value in zip(networks.variables, values):
            variable.assign(value)
        return networks

    return build_networks


@pytest.mark.slow
def test_every_row_has_a_cell_with_the_figures_of_its_run(table1):
    output, _ = table1
    found = figures.read(output)
    rows = json.loads((output / "table1.json").read_text())["rows"]
    longer = {name for name in found if "longer" in name}
    assert {f"{row['key']}-seed0" for row in rows} == set(found) - longer
    assert {row["key"] for row in rows if row["same_compute_mm"]} == {
        "synthetic-only",
        "randomised",
        "translate",
        "real",
    }
    for name in longer:
        steps = found[name]["settings"]["config"]["training"]["posterior_steps"]
        times = 9 if name == "randomised-longer-seed0" else 11
        assert steps == times * found["synthetic-only-seed0"]["settings"]["config"]["training"]["posterior_steps"]
    for name in ("synthetic-only", "lsps", "real-trunk"):
        cell = found[f"{name}-seed0"]
        run = run_folder.load_run(output / "runs" / f"{name}-seed0")
        for split in ("validation", "test"):
            assert cell[split]["frames"] == 6
            assert cell[split]["mean_error_mm"] == pytest.approx(evaluate_run(run, split)["mean_error_mm"], abs=1e-3)
        assert cell["settings"]["config"]["training"]["pose_steps"] == 2
        assert len(json.dumps(cell)) < 8000
        assert str(output) not in json.dumps(cell)


@pytest.mark.slow
def test_cells_share_one_pose_stage_and_one_depth_stage(table1):
    output, _ = table1
    weights = sorted(str(path.relative_to(output / "runs")) for path in output.glob("runs/*/weights/*"))
    assert [path for path in weights if path.endswith(("pose.h5", "depth.h5"))] == [
        "depth-seed0/weights/depth.h5",
        "pose-seed0/weights/pose.h5",
    ]
    seconds = figures.read(output)["lsps-seed0"]["seconds"]["training"]
    assert list(seconds) == ["pose-seed0", "depth-seed0", "lsps-seed0"] and all(seconds.values())


@pytest.mark.slow
def test_the_mean_pose_is_the_mean_of_the_real_training_frames(table1, store_path):
    output, _ = table1
    with open_store(store_path) as store:
        train, test = (store.read(f"real/{part}", np.arange(count)) for part, count in (("train", 24), ("test", 6)))
        evaluated = list(store.info.skeleton.evaluated)
    mean_mm = np.mean([joints - center for joints, center in zip(train["joints_mm"], train["center_mm"])], axis=0)
    errors = [
        np.linalg.norm(mean_mm[joint] + center - joints[joint])
        for joints, center in zip(test["joints_mm"], test["center_mm"])
        for joint in evaluated
    ]
    assert figures.read(output)["mean-pose-seed0"]["test"]["mean_error_mm"] == pytest.approx(np.mean(errors), abs=2e-3)


@pytest.mark.slow
def test_translate_is_the_synthetic_regressor_on_translated_images(table1, store_path):
    """Composed from the networks one by one."""
    output, _ = table1
    regressor, lsps = (run_folder.load_run(output / "runs" / f"{name}-seed0") for name in ("synthetic-only", "lsps"))
    with open_store(store_path) as store:
        frames = store.read("real/test", np.arange(6))
    columns = [tf.constant(frames[name]) for name in ("depth_mm", "center_mm", "extent_mm", "cube_mm")]
    image = augment.view_crops(*columns, 32, tf.zeros(6), tf.zeros((6, 3)))
    made = lsps.networks.generators["synthetic"](lsps.networks.encoders["real"](image))
    latent = regressor.networks.posterior(regressor.networks.discriminators["synthetic"].features(made))
    joints = tf.reshape(regressor.networks.pose_decoder(latent), (6, 36, 3)).numpy()
    joints_mm = joints * 0.5 * frames["cube_mm"][:, None, None] + frames["center_mm"][:, None]
    evaluated = list(lsps.skeleton.evaluated)
    errors = np.linalg.norm((joints_mm - frames["joints_mm"])[:, evaluated], axis=-1)
    assert figures.read(output)["translate-seed0"]["test"]["mean_error_mm"] == pytest.approx(errors.mean(), abs=2e-3)


@pytest.mark.slow
def test_the_variants_of_synthetic_only_train_on_what_they_say(table1, store_path):
    output, _ = table1
    settings = {
        name: run_folder.read_settings(output / "runs" / f"{name}-seed0").config.baselines
        for name in ("synthetic-only", "randomised", "oracle")
    }
    assert [part.randomization for part in settings.values()] == [0.0, 1.0, 0.0]
    assert [part.synthetic_part for part in settings.values()] == ["train", "train", "sensed"]
    with open_store(store_path) as store:
        clean, sensed = (store.read(f"synthetic/{part}", np.arange(24)) for part in ("train", "sensed"))
    np.testing.assert_array_equal(clean["joints_mm"], sensed["joints_mm"])
    assert (sensed["depth_mm"] > 0).sum() > 1.2 * (clean["depth_mm"] > 0).sum()  # forearms


@pytest.mark.slow
def test_parts_can_be_left_out(table1, arguments, capsys):
    """In the same folder as table 1, whose pose stage, LSPS and others are there."""
    output, _ = table1
    rows = ["synthetic-only", "lsps", "real", "without-cycle", "without-sharing", "without-pose-vae"]
    _run_quickly(["ablation", *arguments, *FEW, "--seeds", "0", "--output", str(output), "--rows", *rows])
    assert "6 cells, 3 of them there already" in capsys.readouterr().out
    assert [row["key"] for row in json.loads((output / "ablation.json").read_text())["rows"]] == [
        *("synthetic-only", "lsps", "without-cycle", "without-sharing", "without-pose-vae"),
        *("fitted", "real"),
    ]
    found = figures.read(output)
    assert list(found["without-pose-vae-seed0"]["seconds"]["training"]) == [
        "depth-without-pose-vae-seed0",
        "without-pose-vae-seed0",
    ]
    assert "pose-seed0" in found["without-cycle-seed0"]["seconds"]["training"]
    lines = (output / "runs" / "depth-without-cycle-seed0" / "metrics.jsonl").read_text()
    assert "eq3_vae_real_nll" in lines and "eq5" not in lines
    errors = {round(found[f"{name}-seed0"]["test"]["mean_error_mm"], 3) for name in rows}
    assert len(errors) == len(rows)


@pytest.mark.slow
def test_a_round_with_labels_takes_the_fits_of_the_one_without(table1, arguments, monkeypatch):
    """It would find the same ones: from the same networks, in the same frames."""
    output, _ = table1
    monkeypatch.setattr(to_depth.DepthFitter, "fit", _no_fit)
    _run_quickly(["labels", *arguments, *FEW, "--seeds", "0", "--output", str(output), "--rows", "fitted-25"])
    found, (without, own) = (
        figures.read(output),
        (output / "runs" / f"fitting-fit2{name}-seed0" for name in ("", "-25")),
    )
    assert (own / "fits" / "fit2.npz").read_bytes() == (without / "fits" / "fit2.npz").read_bytes()
    errors = [found[f"fitted{name}-seed0"]["test"]["mean_error_mm"] for name in ("", "-25")]
    assert errors[0] != errors[1]  # the labels took part


def _no_fit(*_, **__):
    raise AssertionError("fits again what is fitted")


@pytest.mark.slow
def test_what_is_there_is_not_run_again(table1, capsys, monkeypatch):
    output, command = table1
    monkeypatch.setattr("training.experiments.running.run_training", None)
    monkeypatch.setattr("training.experiments.running.measure_cell", None)
    before = (output / "table1.md").read_text()
    assert run_experiment(command) == 0
    assert "LSPS" in capsys.readouterr().out and (output / "table1.md").read_text() == before
    path = figures.path_of(output)
    whole = path.read_text()
    path.write_text(whole[30:])
    try:
        with pytest.raises(InputError, match="cells.jsonl: line 1: these figures are damaged"):
            run_experiment([*command, "--tables-only"])
    finally:
        path.write_text(whole)


@pytest.mark.slow
def test_other_settings_need_another_folder(table1):
    _, command = table1
    with pytest.raises(InputError, match="made with another --depth-steps; choose another --output"):
        run_experiment([*command, "--depth-steps", "2"])


def test_ctrl_c_stops_and_says_how_to_go_on(arguments, tmp_path, capsys, monkeypatch, eagerly):
    end = callbacks.Progress.on_train_batch_end

    def stop_once(self, batch, logs=None):
        end(self, batch, logs)
        if self.name == "regression" and int(self.step) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    command = ["table1", *arguments, *FEW, "--output", str(tmp_path), "--seeds", "3", "--rows", "synthetic-only"]
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Progress, "on_train_batch_end", stop_once)
        assert run_experiment(command) == STOPPED
    said = capsys.readouterr().err
    assert (
        "Go on with:\n  python " in said and "experiment.py table1" in said and not figures.path_of(tmp_path).exists()
    )
    assert run_experiment(command) == 0
    assert list(figures.read(tmp_path)) == ["synthetic-only-seed3"]
    lines = (tmp_path / "runs" / "synthetic-only-seed3" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "3"], "--seeds"),
        (["--recipe", "paper"], "unknown setting '--recipe'"),
        (["--rows", "lspd"], "--rows lspd: table1 has the rows"),
        (["--cells", "lsps-seed7"], "--cells lsps-seed7: there is no such cell"),
        (["--depth-step", "3"], "unknown setting '--depth-step'"),
    ],
)
def test_what_does_not_fit_is_said(options, said, arguments, tmp_path):
    with pytest.raises(InputError, match=said):
        run_experiment(["table1", *arguments, "--output", str(tmp_path), *options])
    assert not (tmp_path / "runs").exists()
