"""`training/run.py` from its command line to its weights: whole, stopped and resumed, with every method."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from lsps_tf import run_folder
from lsps_tf.config import PRESETS
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from training import callbacks, session
from training.data.table import get_dataset
from training.evaluation.command import run_evaluation
from training.evaluation.pictures import evaluation_paths
from training.methods import LSPS
from training.session import STOPPED, run_session

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGES = LSPS.stages
TINY = PRESETS["tiny"].training
STEPS = {stage: getattr(TINY, f"{stage}_steps") for stage in STAGES}
# A step or two of each stage.
FEW = ["--pose-steps", "2", "--depth-steps", "1", "--mapping-steps", "1", "--posterior-steps", "1"]


def weights(run_dir, stage):
    found = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(run_folder.weights_path(run_dir, stage)) as file:
        file.visititems(collect)
    return found


def assert_same_weights(a, b, stages):
    for stage in stages:
        first, second = weights(a, stage), weights(b, stage)
        assert first.keys() == second.keys() and len(first) > 50
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name], err_msg=f"{stage}: {name}")


def metrics(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def files_under(run_dir):
    return {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}


def test_a_run_writes_its_settings_and_logs(finished_run, store_path):
    settings = json.loads((finished_run / "settings.json").read_text())
    assert (settings["method"], settings["labels"], settings["sensor"]) == ("lsps", 0.0, "structured-light")
    assert settings["config"]["training"]["log_every"] == 3 and settings["config"]["preset"] == "tiny"
    assert settings["store"] == str(store_path) and settings["frames"]["real/train"] == 24
    assert run_folder.read_settings(finished_run).config == PRESETS["tiny"].replace(log_every=3)


def test_metrics_hold_every_term_under_its_equations_name(finished_run):
    lines = metrics(finished_run)
    steps = {stage: [line["step"] for line in lines if line["stage"] == stage] for stage in STAGES}
    for stage, total in STEPS.items():
        assert steps[stage] == sorted({*range(3, total + 1, 3), total})
    named = {stage: set(next(line for line in lines if line["stage"] == stage)) for stage in STAGES}
    assert {"eq1_pose", "eq1_pose_kl", "eq1_pose_nll"} <= named["pose"]
    assert {"eq7_posterior_synthetic_regression", "eq8_features_real_matching", "eq8_posterior"} <= named["posterior"]
    for domain in ("synthetic", "real"):
        terms = ("eq3_vae_{}_kl", "eq3_vae_{}_nll", "eq4_gan_{}_generator", "eq4_gan_{}_discriminator")
        terms += ("eq5_cycle_{}_kl", "eq5_cycle_{}_nll", "eq8_features_{}_matching")
        assert {term.format(domain) for term in terms} <= named["depth"]
    mapping = {f"eq6_mapping_synthetic_{kind}" for kind in ("distance", "nll", "generator", "discriminator")}
    assert mapping | {"eq2_generators", "eq2_discriminators"} <= named["depth"]
    assert mapping | {"eq6_mapping", "eq6_discriminators"} <= named["mapping"]
    assert not [name for name in named["depth"] if "mapping_real" in name or "posterior_real" in name]
    assert all(np.isfinite(value) for line in lines for name, value in line.items() if name != "stage")


def test_a_run_leaves_weights_pictures_and_tensorboard_files_and_nothing_half_written(finished_run):
    files = files_under(finished_run)
    assert {f"weights/{stage}.h5" for stage in STAGES} <= files
    assert all(list((finished_run / "tensorboard" / stage).glob("events*")) for stage in STAGES)
    with Image.open(finished_run / "pictures" / f"depth-{STEPS['depth']:07d}.png") as picture:
        assert picture.size[0] > 100 and len(picture.getcolors(1 << 16)) > 20
    assert not [name for name in files if "partial" in name or name.endswith("tempstate")]


def test_a_run_ends_with_the_figures_that_evaluation_gives(copy_of_run, capsys, tmp_path):
    """Resumed, it shows them again; what is missing is measured again, to the same digits."""
    files = evaluation_paths(copy_of_run / "evaluation", "test")
    before = json.loads(files[0].read_text())
    assert run_evaluation(["--run-dir", str(copy_of_run), "--output", str(tmp_path / "again")]) == 0
    assert [path.read_bytes() for path in evaluation_paths(tmp_path / "again", "test")] == [
        path.read_bytes() for path in files
    ]
    resume = ["--run-dir", str(copy_of_run), "--resume"]
    times = [path.stat().st_mtime_ns for path in files]
    capsys.readouterr()
    assert run_session(resume) == 0
    said = capsys.readouterr().out
    assert f"{before['mean_error_mm']:.2f} mm" in said and f"Figures: {files[0]}" in said and "Written" not in said
    assert [path.stat().st_mtime_ns for path in files] == times
    files[3].unlink()
    assert run_session(resume) == 0
    said = capsys.readouterr().out
    assert f"{before['mean_error_mm']:.2f} mm" in said and f"Written: {files[0]}" in said
    assert json.loads(files[0].read_text()) == before and files[3].exists()


def test_ctrl_c_while_it_measures_says_how_to_go_on(copy_of_run, capsys, monkeypatch):
    shutil.rmtree(copy_of_run / "evaluation")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.evaluation.measure.predict_store", interrupt)
        assert run_session(["--run-dir", str(copy_of_run), "--resume"]) == STOPPED
    assert "Go on with:" in capsys.readouterr().err
    assert not (copy_of_run / "evaluation").exists()


def test_stages_keep_what_came_before(finished_run):
    """The pose networks are frozen after their stage, E, G and M after theirs, and the realism head at the end."""
    pose, depth, mapping, posterior = (weights(finished_run, stage) for stage in STAGES)
    moved = {name.split("/")[0] for name in depth if not np.array_equal(pose[name], depth[name])}
    assert moved == {"encoders", "generators", "discriminators", "mapping", "posterior"}
    moved = {name for name in depth if not np.array_equal(depth[name], mapping[name])}
    assert {name.split("/")[0] for name in moved} == {"mapping", "discriminators"}
    # The realism head, whose layer comes last.
    assert sum(name.startswith("discriminators") for name in moved) == 2
    moved = {name.split("/")[0] for name in depth if not np.array_equal(mapping[name], posterior[name])}
    assert moved == {"discriminators", "posterior"}


@pytest.fixture
def stopping(monkeypatch):
    """Sends Ctrl-C to a run after a given step of a stage."""
    end, plan = callbacks.Progress.on_train_batch_end, {}

    def on_train_batch_end(self, batch, logs=None):
        end(self, batch, logs)
        if plan.get(self.name) == int(self.step):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(callbacks.Progress, "on_train_batch_end", on_train_batch_end)
    return plan


@pytest.mark.parametrize("how", ["eagerly", pytest.param("in_graphs", marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_in_every_stage_ends_like_one_that_never_was(
    how, request, arguments, tmp_path, stopping, capsys
):
    run_dir = tmp_path / "a run"
    common = [*arguments, "--log-every", "3"]
    if how == "eagerly":
        request.getfixturevalue(how)
        common += ["--pose-steps", "20", "--depth-steps", "4", "--posterior-steps", "4", "--depth-average", "0.5"]
        finished_run = tmp_path / "whole"
        assert run_session([*common, "--run-dir", str(finished_run)]) == 0
    else:
        finished_run = request.getfixturevalue("finished_run")
    capsys.readouterr()
    stopping.update(pose=17, depth=3, mapping=2, posterior=2)
    command = [*common, "--run-dir", str(run_dir)]
    for number, stage in enumerate(STAGES):
        assert run_session(command) == STOPPED
        said = capsys.readouterr().err
        assert "Stopped and saved. Go on with:\n" in said
        printed = shlex.split(said.strip().splitlines()[-1])
        assert printed[0] == "python" and pathlib.Path(printed[1]).samefile("training/run.py")
        # Weights have their final name when their stage is finished, and not before.
        assert sorted(path.stem for path in run_dir.glob("weights/*")) == sorted(STAGES[:number])
        assert (run_dir / "checkpoints" / stage / f"ckpt-{stopping[stage]}.index").exists()
        command = printed[2:]
        with pytest.raises(InputError, match="the run is not finished; go on with"):
            run_folder.load_run(run_dir)
    assert run_session(command) == 0
    assert_same_weights(finished_run, run_dir, STAGES)
    assert [(line["stage"], line["step"]) for line in metrics(run_dir)] == [
        (line["stage"], line["step"]) for line in metrics(finished_run)
    ]
    # A finished run has nothing left to do.
    before = run_folder.weights_path(run_dir, "posterior").stat().st_mtime_ns
    assert run_session(command) == 0
    assert run_folder.weights_path(run_dir, "posterior").stat().st_mtime_ns == before


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(arguments, tmp_path, eagerly, monkeypatch):
    command = [*arguments, "--stages", "pose", "--pose-steps", "8", "--checkpoint-every", "3"]
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    assert run_session([*command, "--run-dir", str(whole)]) == 0
    with monkeypatch.context() as patch:
        end = callbacks.Position.on_train_batch_end

        def die(self, batch, logs=None):
            end(self, batch, logs)
            if int(self.step) == 5:
                raise MemoryError

        patch.setattr(callbacks.Position, "on_train_batch_end", die)
        with pytest.raises(MemoryError):
            run_session([*command, "--run-dir", str(killed)])
    assert (killed / "checkpoints" / "pose" / "ckpt-3.index").exists()
    assert run_session(["--run-dir", str(killed), "--resume"]) == 0
    assert_same_weights(whole, killed, ["pose"])


def test_a_store_that_grew_meanwhile_changes_nothing(arguments, tmp_path, eagerly, stopping, store_path):
    grown = tmp_path / "grown.h5"
    grown.write_bytes(store_path.read_bytes())
    command = ["--dataset", str(grown), "--preset", "tiny", "--labels", "0.3", "--stages", "pose", "--pose-steps", "6"]
    assert run_session([*command, "--run-dir", str(tmp_path / "whole")]) == 0
    stopping["pose"] = 2
    assert run_session([*command, "--run-dir", str(tmp_path / "stopped")]) == STOPPED
    larger = pathlib.Path(shutil.copy(grown, tmp_path / "larger.h5"))
    with open_store(larger, "a") as store:
        for split in ("synthetic/train", "real/train"):
            store.append(split, store.read(split, np.arange(9)))
    larger.replace(grown)
    assert run_session(["--run-dir", str(tmp_path / "stopped"), "--resume"]) == 0
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped", ["pose"])


def test_a_second_ctrl_c_still_says_how_to_go_on(arguments, tmp_path, eagerly, monkeypatch, capsys):
    def interrupt(self, batch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Position, "on_train_batch_end", interrupt)
    assert run_session([*arguments, "--run-dir", str(tmp_path / "run")]) == STOPPED
    said = capsys.readouterr().err
    assert "Stopped; what was saved before is kept. Go on with:" in said and said.strip().endswith("--resume")


@pytest.mark.parametrize("where", ["_train", "show_end"])
def test_sigterm_between_the_steps_says_how_to_go_on(copy_of_run, monkeypatch, capsys, where):
    before = signal.getsignal(signal.SIGTERM)

    def stop(*_):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        # As TensorFlow does while it traces.
        raise AttributeError("what a library makes of it")

    with monkeypatch.context() as patch:
        patch.setattr(session, where, stop)
        assert run_session(["--run-dir", str(copy_of_run), "--resume"]) == STOPPED
    assert "Stopped; what was saved before is kept. Go on with:" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_command_starts_a_run_and_goes_on_with_it(arguments, tmp_path, eagerly, stopping, capsys):
    """For a machine that may be taken away at any moment."""
    run_dir = tmp_path / "run"
    command = [*arguments, "--resume", "--stages", "pose", "--pose-steps", "4", "--run-dir", str(run_dir)]
    stopping["pose"] = 2
    assert run_session(command) == STOPPED
    assert run_session(command) == 0 and weights(run_dir, "pose")
    with pytest.raises(InputError, match="--resume: name the run with --run-dir"):
        run_session([*arguments, "--resume"])


def last_line(run_dir, stage):
    return [line for line in metrics(run_dir) if line["stage"] == stage][-1]


@pytest.mark.parametrize(
    ("method", "options", "domain", "terms"),
    [
        ("synthetic-only", [], "synthetic", {"eq7_posterior_synthetic_regression", "eq7_posterior"}),
        ("real", ["--labels", "0.25"], "real", {"eq7_posterior_real_regression", "eq7_posterior"}),
    ],
)
def test_methods_of_table_1(arguments, tmp_path, eagerly, method, options, domain, terms):
    run_dir = tmp_path / "run"
    assert run_session([*arguments, *FEW, "--method", method, *options, "--run-dir", str(run_dir)]) == 0
    run = run_folder.load_run(run_dir)
    assert (run.settings.stages, run.domain) == (("pose", "regression"), domain)
    assert run.settings.labels == (0.25 if options else 0.0)
    assert set(last_line(run_dir, "regression")) - {"stage", "step", "seconds"} == terms
    pose, regression = weights(run_dir, "pose"), weights(run_dir, "regression")
    moved = {name.split("/")[0] for name in pose if not np.array_equal(pose[name], regression[name])}
    assert moved == {"discriminators", "posterior"}


def test_labels_add_the_terms_of_section_3_3(arguments, tmp_path, eagerly):
    run_dir = tmp_path / "run"
    assert run_session([*arguments, *FEW, "--labels", "0.5", "--run-dir", str(run_dir)]) == 0
    depth, posterior = last_line(run_dir, "depth"), last_line(run_dir, "posterior")
    assert {"eq6_mapping_real_distance", "eq6_mapping_real_nll", "eq7_posterior_real_regression"} <= set(depth)
    assert "eq7_posterior_real_regression" in posterior


def test_pretrained_runs(finished_run, arguments, tmp_path, eagerly):
    """Synthetic-only from the pre-trained trunk, and LSPS from another run's pose stage."""
    star, posed = tmp_path / "star", tmp_path / "posed"
    pretrained = ["--pretrained", os.path.relpath(finished_run)]
    assert run_session([*arguments, *FEW, "--method", "synthetic-only", *pretrained, "--run-dir", str(star)]) == 0
    assert run_folder.read_settings(star).stages == ("regression",)
    before, after = weights(finished_run, "depth"), weights(star, "regression")
    frozen = [name for name in before if not name.startswith(("discriminators", "posterior"))]
    assert all(np.array_equal(before[name], after[name]) for name in frozen)
    assert run_folder.read_settings(star).pretrained == str(finished_run)

    pose = [*FEW, *pretrained, "--pretrained-stage", "pose"]
    assert run_session([*arguments, *pose, "--run-dir", str(posed)]) == 0
    settings = run_folder.read_settings(posed)
    assert (settings.stages, settings.pretrained_stage) == (("depth", "mapping", "posterior"), "pose")
    before, after = weights(finished_run, "pose"), weights(posed, "posterior")
    assert all(np.array_equal(before[name], after[name]) for name in before if name.startswith("pose_"))


def test_a_run_from_one_with_the_other_kind_of_m_takes_all_but_m(finished_run, arguments, tmp_path, eagerly):
    run_dir = tmp_path / "code"
    kind = ["--mapping", "code", "--mapping-widths", "8", "--stages", "mapping"]
    command = [*arguments, *FEW, *kind, "--pretrained", str(finished_run), "--pretrained-stage", "posterior"]
    assert run_session([*command, "--run-dir", str(run_dir)]) == 0
    before, after = weights(finished_run, "posterior"), weights(run_dir, "mapping")
    kept = {name for name in after if name in before and np.array_equal(before[name], after[name])}
    assert {name.split("/")[0] for name in set(after) - kept} == {"mapping", "discriminators"}
    assert after["mapping/000"].shape == (4, 4, 8, 20)


def test_run_folders_name_themselves(arguments, tmp_path, eagerly, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("runs/sim-lsps-tiny-seed3-000").mkdir(parents=True)
    assert run_session([*arguments, "--stages", "pose", "--pose-steps", "1", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    folder = pathlib.Path("runs/sim-lsps-tiny-seed3-001")
    assert f"Run folder: {folder}" in said and run_folder.settings_path(folder).exists()
    # The run is not at its end, so that it is not measured: another one goes on from it.
    following = shlex.split(said.split("Next: ")[1].split(" #")[0])
    assert pathlib.Path(following[1]).is_file() and not (folder / "evaluation").exists()
    given = [
        *following[2:],
        *[part for part in arguments if part not in ("--dataset", "sim")],
        *FEW,
        "--stages",
        "depth",
    ]
    assert run_session([*given, "--run-dir", "rest"]) == 0
    assert run_folder.read_settings("rest").stages == ("depth",)


def test_a_store_in_place_of_the_simulator(store_path, tmp_path, eagerly):
    run_dir = tmp_path / "run"
    command = ["--dataset", str(store_path), "--preset", "tiny", "--pose-steps", "1", "--stages", "pose"]
    assert run_session([*command, "--run-dir", str(run_dir)]) == 0
    settings = run_folder.read_settings(run_dir)
    assert (settings.sensor, settings.skeleton, settings.frames) == (
        *("", "nyu"),
        {"real/test": 6, "real/train": 24, "real/validation": 6, "synthetic/train": 24},
    )


def test_missing_frames_are_made(tmp_path, eagerly, monkeypatch):
    """With a batch of four, so that two more frames are two more, and not a whole batch's time."""
    monkeypatch.setattr("lsps_tf.datasets.simulated.BATCH", 4)
    small = ["--dataset", "sim", "--data-root", str(tmp_path / "data"), "--preset", "tiny", "--stages", "pose"]
    frames = ["--sim-synthetic-frames", "5", "--sim-real-frames", "3", "--sim-test-frames", "2", "--pose-steps", "1"]
    assert run_session([*small, *frames, "--run-dir", str(tmp_path / "run")]) == 0
    settings = run_folder.read_settings(tmp_path / "run")
    with open_store(settings.store) as store:
        expected = {"synthetic/train": 5, "real/train": 3, "real/validation": 2, "real/test": 2}
        assert store.splits() == expected == settings.frames


def test_two_runs_never_take_one_folder(finished_run, tmp_path, monkeypatch):
    """Two folders, ...-000 and ...-001."""
    settings = run_folder.read_settings(finished_run)
    monkeypatch.chdir(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: session._new_run_dir(settings), range(8)))
    assert sorted(path.name[-3:] for path in taken) == [f"{number:03d}" for number in range(8)]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "runs").write_text("a file")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be written"):
        session._new_run_dir(settings)


def test_a_run_that_another_process_trains_is_left_alone(copy_of_run, arguments):
    code = "import sys\nfrom lsps_tf.files import locked\nwith locked(sys.argv[1]):\n    print(flush=True)\n    input()"
    holder = [sys.executable, "-c", code, str(copy_of_run / "training")]
    with subprocess.Popen(holder, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        for options in (["--resume"], arguments):
            with pytest.raises(InputError, match=rf"training: process {other.pid} on .*; wait for it"):
                run_session([*options, "--run-dir", str(copy_of_run)])
        other.communicate("\n")
    assert run_session(["--run-dir", str(copy_of_run), "--resume"]) == 0


def test_a_run_whose_data_cannot_be_made_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "get_dataset", lambda name: dataclasses.replace(get_dataset(name), make=refuse))
    with pytest.raises(InputError, match="no data"):
        run_session(["--dataset", "sim", "--preset", "tiny", *FEW])
    assert not list((tmp_path / "runs").iterdir())


def refuse(*_):
    raise InputError("no data")


@pytest.mark.parametrize("name", ["test[1]", "a\\b*"])
def test_a_stage_goes_on_in_a_folder_of_any_name(arguments, tmp_path, eagerly, name):
    """It goes on from the last checkpoint; two are kept."""
    run_dir = tmp_path / name
    short = ["--method", "synthetic-only", "--stages", "pose", "--pose-steps", "3", "--checkpoint-every", "1"]
    assert run_session([*arguments, *short, "--run-dir", str(run_dir)]) == 0
    checkpoints = sorted(path.name for path in (run_dir / "checkpoints" / "pose").iterdir())
    assert checkpoints == [f"ckpt-{n}.{part}" for n in (2, 3) for part in ("data-00000-of-00001", "index")]
    before = weights(run_dir, "pose")
    shutil.rmtree(run_dir / "weights")
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0
    for variable, value in weights(run_dir, "pose").items():
        np.testing.assert_array_equal(value, before[variable])
    assert any((run_dir / "tensorboard" / "pose").iterdir())


def test_the_data_alone_is_made_for_a_later_training(arguments, tmp_path, capsys):
    run_dir = tmp_path / "run"
    command = [*arguments, "--stages", "pose", "--pose-steps", "2", "--run-dir", str(run_dir), "--data-only"]
    assert run_session(command) == 0
    assert "Train with:" in capsys.readouterr().out and files_under(run_dir) == {"settings.json"}
    # The same command once more, as a job that was taken away gives it, and then the training.
    assert run_session([*command, "--resume"]) == 0
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0
    assert (run_dir / "weights" / "pose.h5").exists()
