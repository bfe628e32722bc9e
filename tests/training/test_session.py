"""`training/run.py` from its command line to its weights, with every method."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lsps_tf import run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.presets import PRESETS
from tests.training.run_files import files_under, metrics, weights
from training import session
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


def test_a_p_that_votes_starts_from_the_convolutions_of_a_run(finished_run, arguments, tmp_path, eagerly, capsys):
    votes = ["--vote-widths", "6,5", "--pretrained", str(finished_run), "--pretrained-stage", "posterior"]
    run_dir = tmp_path / "votes"
    command = [*arguments, *FEW, *votes, "--method", "real", "--posterior-learning-rate", "1e-9"]
    assert run_session([*command, "--run-dir", str(run_dir)]) == 0
    said = f"P votes otherwise than in {finished_run}: its convolutions go on from there, the rest starts anew."
    assert said in capsys.readouterr().out
    before, after = weights(finished_run, "posterior"), weights(run_dir, "regression")
    np.testing.assert_allclose(after["discriminators/real/000"], before["discriminators/real/000"], atol=1e-6)
    # Fits need a P that is trained.
    fits = [*arguments, *FEW, *votes, "--stages", "fit1", "--fit-rounds", "1", "--run-dir", str(tmp_path / "fits")]
    with pytest.raises(InputError, match="the weights belong to a run with another preset|of other networks"):
        run_session(fits)


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


def test_the_data_alone_is_made_for_a_later_training(arguments, tmp_path, capsys):
    run_dir = tmp_path / "run"
    command = [*arguments, "--stages", "pose", "--pose-steps", "2", "--run-dir", str(run_dir), "--data-only"]
    assert run_session(command) == 0
    assert "Train with:" in capsys.readouterr().out and files_under(run_dir) == {"settings.json"}
    # The same command once more, as a job that was taken away gives it, and then the training.
    assert run_session([*command, "--resume"]) == 0
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0
    assert (run_dir / "weights" / "pose.h5").exists()
