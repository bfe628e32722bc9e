"""`training/generate.py`: what each subcommand writes, against the networks, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

from lsps_tf import generate, pose_codes
from lsps_tf.augment import IMAGE_COLUMNS, view_stored_crops
from lsps_tf.datasets.store import create_store, open_store
from lsps_tf.run_folder import load_run, load_weights, save_weights, weights_path
from lsps_tf.skeleton import NYU
from training.generation import command as generation
from training.generation.command import TITLES, build_parser, generate_command, help_text
from training.session import run_session


@pytest.fixture(scope="module")
def run(run_dir):
    return load_run(run_dir)


@pytest.fixture
def few_poses(monkeypatch, eagerly):
    monkeypatch.setattr(pose_codes, "POSES", 48)
    monkeypatch.setattr(pose_codes, "_PER_BATCH", 24)


@pytest.fixture
def made(command, run_dir, tmp_path):
    """Runs a subcommand on the tiny run; gives what it printed. The files are in `tmp_path`/"out"."""

    def run(*arguments):
        out = tmp_path / "out"
        status, said, errors = command(generate_command, *arguments, "--run-dir", run_dir, "--output", out)
        assert status == 0, errors
        return said

    return run


@pytest.fixture
def refused(command, run_dir, tmp_path):
    """The one line that a subcommand on the tiny run ends with; nothing is written."""

    def run(*arguments):
        options = ["--output", tmp_path / "out"]
        options += [] if "--run-dir" in arguments else ["--run-dir", run_dir]
        status, _, errors = command(generate_command, *arguments, *options)
        assert status == 2 and errors.startswith("error: ") and errors.count("\n") == 1
        assert not (tmp_path / "out").exists()
        return errors

    return run


def arrays(path):
    with np.load(path) as file:
        return dict(file)


@pytest.fixture
def poses(store_path, tmp_path):
    with open_store(store_path) as store:
        joints_mm = store.column("real/test", "joints_mm")[:3]
    np.savez(tmp_path / "poses.npz", joints_mm=joints_mm)
    return tmp_path / "poses.npz", joints_mm


def test_translate_a_store(made, run, store_path, tmp_path):
    said = made("translate", "--store", store_path, "--count", "3")
    found = arrays(tmp_path / "out" / "translate.npz")
    with open_store(store_path) as store:
        rows = store.read("real/test", [0, 2, 5])
    size = run.config.data.image_size
    image = view_stored_crops(*(rows[name] for name in IMAGE_COLUMNS), size).numpy()
    np.testing.assert_allclose(found["real"], image[..., 0], atol=1e-6)
    expected = generate.translate(run.networks, image, "real", "synthetic").numpy()[..., 0]
    np.testing.assert_allclose(found["real_to_synthetic"], expected, atol=1e-5)
    np.testing.assert_array_equal(found["real_joints_mm"], rows["joints_mm"])
    assert {name for name in found if found[name].shape == (3, size, size)} == {
        *("synthetic", "synthetic_reconstructed", "synthetic_to_real", "synthetic_to_real_and_back"),
        *("real", "real_reconstructed", "real_to_synthetic", "real_to_synthetic_and_back"),
    }
    with Image.open(tmp_path / "out" / "translate.png") as grid:
        assert grid.format == "PNG" and grid.width > 3 * size
    assert "translate.png" in said and "translate.npz" in said


def test_translate_one_s_own_frame(made, run, frame, tmp_path):
    made("translate", frame, "--camera", "nyu")
    found = arrays(tmp_path / "out" / "translate.npz")
    assert found["real"].shape == (1, 32, 32) and "synthetic" not in found
    # A hand is in the crop, and the depth of its centre is the example's.
    assert 0.05 < (found["real"] < 1).mean() < 0.95 and 300 < found["real_center_mm"][0, 2] < 1500


def test_frames_are_simulated_where_there_is_no_store(made, make_run, eagerly, tmp_path, command):
    folder = make_run(tmp_path / "run")
    arguments = ["translate", "--run-dir", folder, "--output", tmp_path / "out", "--count", "2"]
    assert command(generate_command, *arguments)[0] == 0
    found = arrays(tmp_path / "out" / "translate.npz")
    assert len(found["synthetic"]) == len(found["real"]) == 2
    assert np.isfinite(found["real_joints_mm"]).all() and (found["synthetic"] < 1).any()


def test_walk_between_poses(made, run, poses, few_poses, tmp_path):
    path, joints_mm = poses
    said = made("walk", "--poses", path, "--steps", "7", "--per-second", "10")
    found = arrays(tmp_path / "out" / "walk.npz")
    ends = (joints_mm - joints_mm.mean(axis=1, keepdims=True)) / (0.5 * found["cube_mm"])
    np.testing.assert_allclose(
        found["codes"][[0, -1]], generate.codes_of_joints(run.networks, ends)[[0, -1]], atol=1e-5
    )
    hands = generate.hands_of_codes(run.networks, found["codes"])
    for name, values in hands._asdict().items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)
    moved_mm = generate.steps_moved_mm(found["joints_norm"], float(found["cube_mm"]))
    assert f"by {moved_mm.mean():.2f} mm a step in the mean, and by {moved_mm.max():.2f} mm at most" in said
    with Image.open(tmp_path / "out" / "walk.gif") as gif:
        # There and back, without showing either end twice.
        assert gif.n_frames == 12 and gif.info["duration"] == 100


def test_walks_at_random_follow_the_seed(made, few_poses, tmp_path, av):
    codes = []
    for seed in ("3", "3", "4"):
        made("walk", "--steps", "5", "--waypoints", "3", "--seed", seed, "--truncation", "0.7")
        codes.append(arrays(tmp_path / "out" / "walk.npz")["codes"])
    np.testing.assert_array_equal(codes[0], codes[1])
    assert not np.allclose(codes[0], codes[2])
    with av.open(str(tmp_path / "out" / "walk.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_sample_and_show_its_codes_again(made, few_poses, tmp_path):
    made("sample", "--count", "4", "--seed", "1")
    first = arrays(tmp_path / "out" / "sample.npz")
    assert first["codes"].shape == (4, 20) and ((first["typicality"] >= 0) & (first["typicality"] <= 1)).all()
    kept = tmp_path / "kept.npz"
    (tmp_path / "out" / "sample.npz").rename(kept)
    made("sample", "--codes", kept)
    again = arrays(tmp_path / "out" / "sample.npz")
    np.testing.assert_allclose(again["real"], first["real"], atol=1e-6)
    made("sample", "--count", "4", "--seed", "1", "--prior", "unit")
    assert not np.allclose(arrays(tmp_path / "out" / "sample.npz")["codes"], first["codes"])


def test_render_poses(made, run, poses, tmp_path):
    path, joints_mm = poses
    made("render", path)
    found = arrays(tmp_path / "out" / "render.npz")
    np.testing.assert_allclose(found["center_mm"], joints_mm.mean(axis=1), rtol=1e-5)
    on_hand = found["real"] < 0.9
    depth_mm = found["center_mm"][:, 2, None, None] + 125 * found["real"]
    np.testing.assert_allclose(found["real_mm"], np.where(on_hand, depth_mm, 0), rtol=1e-4)


@pytest.mark.parametrize("by", ["translation", "pose"])
def test_a_dataset_holds_the_labels_and_the_generated_depth(made, run, store_path, tmp_path, by):
    said = made("dataset", "--store", store_path, "--count", "5", "--by", by, "--beside", store_path)
    with open_store(store_path) as source, open_store(tmp_path / "out" / "generated.h5") as store:
        before = source.splits()
        after = {**before, "synthetic/train": 5, "real/train": before["real/train"] + 5}
        assert {split: count for split, count in store.splits().items() if count} == after
        clean = store.read("synthetic/train", range(5))
        made_rows = store.read("real/train", range(before["real/train"], before["real/train"] + 5))
        kept = store.read("real/train", range(before["real/train"]))
        np.testing.assert_array_equal(
            kept["depth_mm"], source.read("real/train", range(before["real/train"]))["depth_mm"]
        )
    np.testing.assert_array_equal(made_rows["joints_mm"], clean["joints_mm"])
    size = run.config.data.image_size
    seen, plain = (view_stored_crops(*(rows[name] for name in IMAGE_COLUMNS), size) for rows in (made_rows, clean))
    if by == "translation":
        image = generate.translate(run.networks, plain, "synthetic", "real").numpy()
    else:
        joints_norm = (clean["joints_mm"] - clean["center_mm"][:, None]) / 125
        image = generate.hands_of_codes(run.networks, generate.codes_of_joints(run.networks, joints_norm)).real[
            ..., None
        ]
    # The store counts tenths of a millimetre; beyond the cube there is no reading.
    inside = (image < 0.9) & (image > -0.999)
    np.testing.assert_allclose(np.where(inside, seen, 1), np.where(inside, image, 1), atol=0.06 / 125)
    assert "generated.h5" in said


@pytest.mark.slow
def test_a_generated_store_trains(made, store_path, tmp_path):
    made("dataset", "--store", store_path, "--count", "8", "--beside", store_path)
    options = ["--dataset", tmp_path / "out" / "generated.h5", "--method", "real", "--preset", "tiny"]
    steps = ["--pose-steps", "2", "--posterior-steps", "2", "--run-dir", tmp_path / "run"]
    assert run_session([str(option) for option in [*options, *steps]]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paint"], "'paint': choose what to make: translate, walk, sample, render, dataset"),
        (["sample", "--cuont", "3"], "unknown setting '--cuont'; the nearest one is '--count'"),
        (["sample", "--count", "0"], "--count 0: give 1 at least"),
        (["walk", "--steps", "1"], "--steps 1: give 2 at least"),
        (["walk", "--per-second", "99"], "--per-second 99: give a number above 0, 50 at most"),
        (["sample", "--truncation", "-1"], "--truncation -1: give a factor"),
        (["walk", "--poses", "a.npz", "--codes", "b.npz"], "poses and codes: give one of them"),
        (["render", "none.npz"], "none.npz: there is no such file"),
        (["render"], "arguments are required: POSES"),
        (["walk", "a.png", "--hands", "2"], "--hands 2: the nearest hand of each frame is taken"),
        (["translate", "--store", "none.h5"], "none.h5: there is no such store"),
        (["sample", "--run-dir", "nowhere"], "nowhere: this is no run folder"),
    ],
)
def test_what_is_refused(refused, arguments, message):
    assert message in refused(*arguments)


def test_a_store_without_a_domain(refused, tmp_path, store_path):
    real = tmp_path / "real.h5"
    with open_store(store_path) as whole, create_store(real, "nyu", whole.info.camera, whole.info.size, {}) as store:
        store.append_stored("real/test", whole)
    said = refused("translate", "--store", real)
    assert "has no frames of the domain 'synthetic'; it has real/test; name" in said
    said = refused("translate", "--store", store_path, "--domain", "synthetic", "--part", "test")
    assert "has no frames of 'synthetic/test'" in said
    assert "no frames of 'synthetic/train'" in refused("dataset", "--store", real, "--count", "2")
    assert "has 24 frames, and --count asks for 99" in refused("dataset", "--store", store_path, "--count", "99")


def test_codes_and_poses_that_are_another_run_s(refused, tmp_path):
    np.savez(tmp_path / "codes.npz", codes=np.zeros((3, 7)))
    assert "its codes have 7 numbers, the run's have 20" in refused("walk", "--codes", tmp_path / "codes.npz")
    np.savez(tmp_path / "one.npz", codes=np.zeros((1, 20)))
    assert "a walk needs two ends at least, and there is 1" in refused("walk", "--codes", tmp_path / "one.npz")
    np.savez(tmp_path / "poses.npz", joints_mm=np.zeros((3, 16, 3)))
    assert f"its poses have 16 joints, the run has nyu's {NYU.num_joints}" in refused("render", tmp_path / "poses.npz")


def test_a_run_without_a_depth_stage_is_told_which_one_has_it(refused, make_run, tmp_path):
    folder = make_run(tmp_path / "run", method="real")
    run = load_run(folder)
    for part in (*run.networks.encoders.values(), *run.networks.generators.values(), run.networks.mapping):
        for variable in part.variables:
            if len(variable.shape) == 1:
                variable.assign(0 * variable)
    save_weights(run.networks, weights_path(folder, run.settings.last_stage))
    load_weights(run.networks, weights_path(folder, run.settings.last_stage))
    said = refused("sample", "--run-dir", folder)
    assert "the run has no depth stage of both domains, so E_s, E_r, G_s, G_r, M are untrained" in said
    assert "structured-light" in said and "--method lsps" in said


def test_help_shows_every_option(capsys):
    assert generate_command(["--help"]) == 0
    said = capsys.readouterr().out
    assert said.strip() == help_text().strip()
    for name in TITLES:
        for action in build_parser(name)._actions:
            assert all(option in said for option in action.option_strings)
    assert set(generation._ADD) == set(TITLES)
