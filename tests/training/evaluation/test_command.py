"""`training/evaluate.py`: figures against hand-computed ones, and what it writes."""

import json
import os
import re

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsps_tf import augment, draw, run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.skeleton import HAND21, HAND21_FROM_NYU, ICVL, NYU
from training.evaluation import command, measure, pictures
from training.evaluation.command import run_evaluation
from training.evaluation.measure import Predictions

FILES = ["test.json", "test-curve.png", "test-joints.png", "test-frames.png"]


def two_frames():
    """One frame whose pinky tip is 5 mm off, one whose evaluated joints are all 28 mm off."""
    true_mm = np.random.default_rng(0).normal(0, 100, (2, 36, 3))
    predicted_mm = true_mm.copy()
    predicted_mm[0, 0] += (3.0, -4.0, 0.0)
    evaluated = list(NYU.evaluated)
    predicted_mm[1, evaluated, 2] -= 28.0
    # What is not evaluated does not count, with a label or without.
    predicted_mm[:, 1] += 1000.0
    true_mm[:, 2] = np.nan
    return Predictions(np.arange(2), predicted_mm, true_mm)


def test_figures_of_two_frames_by_hand():
    figures = measure.summarize(two_frames(), NYU)
    assert figures["frames"] == 2 and figures["within_40_mm_percent"] == 100.0
    np.testing.assert_allclose(figures["mean_error_mm"], (5 + 14 * 28) / 28)
    assert list(figures["per_joint_mm"]) == [NYU.joint_names[joint] for joint in NYU.evaluated]
    np.testing.assert_allclose(figures["per_joint_mm"].pop("pinky_tip"), (5 + 28) / 2)
    np.testing.assert_allclose(list(figures["per_joint_mm"].values()), 14.0)
    assert figures["curve"]["thresholds_mm"] == list(range(81))
    percent = np.array(figures["curve"]["percent"])
    # Rounding may put an error of exactly 5 or 28 mm on either side.
    keep = np.setdiff1d(np.arange(81), (5, 28))
    expected = np.where(np.arange(81) < 5, 0, np.where(np.arange(81) < 28, 50, 100))
    np.testing.assert_array_equal(percent[keep], expected[keep])
    # Trapezoids: 0.25 + 22 * 0.5 + 0.75 + 52 = 64 of 80 mm, half a mm of each step by that rounding.
    assert abs(figures["auc"] - 0.8) < 1.5 / 80
    json.dumps(figures)


def test_perfect_predictions():
    true_mm = np.zeros((3, 16, 3), np.float32)
    figures = measure.summarize(Predictions(np.arange(3), true_mm, true_mm), ICVL)
    assert (figures["mean_error_mm"], figures["auc"], figures["within_40_mm_percent"]) == (0.0, 1.0, 100.0)
    assert len(figures["per_joint_mm"]) == 16


def test_the_tables_hold_the_figures():
    lines = measure.format_figures(measure.summarize(two_frames(), NYU)).splitlines()
    cells = {re.split(r" {2,}", line.strip())[0]: re.split(r" {2,}", line.strip())[-1] for line in lines}
    assert cells["frames"] == "2" and cells["mean joint error"] == "14.18 mm"
    assert cells["frames with all joints within 20 mm"] == "50.00 %"
    assert cells["frames with all joints within 40 mm"] == "100.00 %"
    assert cells["pinky tip"] == "16.50 mm" and cells["palm distal"] == "14.00 mm"


@pytest.fixture(scope="module")
def evaluated(finished_run, tmp_path_factory):
    """Output folder and --json file of the command."""
    folder = tmp_path_factory.mktemp("evaluation")
    arguments = ["--run-dir", finished_run, "--output", folder / "out", "--json", folder / "figures.json"]
    assert run_evaluation([str(argument) for argument in arguments]) == 0
    return folder


def test_the_command_writes_figures_plots_and_a_picture(evaluated):
    assert sorted(path.name for path in (evaluated / "out").iterdir()) == sorted(FILES)
    for name in FILES[1:]:
        with Image.open(evaluated / "out" / name) as picture:
            assert min(picture.size) > 300 and len(picture.convert("RGB").getcolors(1 << 20)) > 20
    assert json.loads((evaluated / "figures.json").read_text()) == json.loads((evaluated / "out/test.json").read_text())


def test_figures_equal_those_of_the_networks(evaluated, finished_run, store_path):
    """The same crops without augmentation, the networks called directly, errors in loops."""
    run = run_folder.load_run(finished_run)
    with open_store(store_path) as store:
        rows = store.read("real/test", np.arange(6))
    columns = [tf.constant(rows[name]) for name in ("depth_mm", "center_mm", "extent_mm", "cube_mm")]
    image = augment.view_crops(*columns, run.config.data.image_size, tf.zeros(6), tf.zeros((6, 3)))
    joints = run.networks.predict_joints(image, "real").numpy()
    errors = [
        float(np.linalg.norm(joints[i, j] * rows["cube_mm"][i] / 2 + rows["center_mm"][i] - rows["joints_mm"][i, j]))
        for i in range(6)
        for j in NYU.evaluated
    ]
    figures = json.loads((evaluated / "figures.json").read_text())
    assert figures["frames"] == 6
    np.testing.assert_allclose(figures["mean_error_mm"], np.mean(errors), rtol=1e-4)


def test_batches_do_not_change_the_figures(finished_run):
    run = run_folder.load_run(finished_run)
    whole, parts = (measure.predict_store(run, batch=batch) for batch in (64, 4))
    np.testing.assert_allclose(whole.predicted_mm, parts.predicted_mm, atol=1e-2)
    np.testing.assert_array_equal(whole.rows, np.arange(6))


def test_the_run_folder_is_the_default_and_validation_is_another_split(copy_of_run, capsys):
    assert run_evaluation(["--run-dir", str(copy_of_run), "--split", "validation"]) == 0
    folder = copy_of_run / "evaluation"
    # Beside the test frames' files, which the run has ended with.
    names = [*FILES, *(f"validation{name[4:]}" for name in FILES)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    said = capsys.readouterr().out
    figures = json.loads((folder / "validation.json").read_text())
    assert f"{figures['mean_error_mm']:.2f} mm" in said and str(folder / "validation-frames.png") in said


def test_the_picture_shows_best_median_and_worst_frames(finished_run, store_path, monkeypatch):
    run = run_folder.load_run(finished_run)
    with open_store(store_path) as store:
        true_mm = store.column("real/test", "joints_mm")
    # Frame i is off by 10 * place[i] mm, so the order is known.
    place = np.array([3, 0, 5, 1, 4, 2])
    off_mm = (10.0 * place)[:, None, None] * np.array([0.0, 1.0, 0.0])
    shown = {}
    sheet = draw.contact_sheet
    monkeypatch.setattr(draw, "contact_sheet", lambda *given: shown.update(titles=given[1]) or sheet(*given))
    monkeypatch.setattr(pictures, "FRAMES_PER_ROW", 2)
    picture = pictures.draw_frames(run, "test", Predictions(np.arange(6), true_mm + off_mm, true_mm))
    assert shown["titles"] == [
        *("best: frame 1, 0.0 mm", "best: frame 3, 10.0 mm"),
        *("median: frame 5, 20.0 mm", "median: frame 0, 30.0 mm"),
        *("worst: frame 4, 40.0 mm", "worst: frame 2, 50.0 mm"),
    ]
    assert picture.height > picture.width


def test_frames_that_came_later_do_not_count(copy_of_run, store_path, tmp_path):
    grown = tmp_path / "grown.h5"
    grown.write_bytes(store_path.read_bytes())
    with open_store(grown, "a") as store:
        store.append("real/test", store.read("real/test", np.arange(3)))
    point_to(copy_of_run, grown)
    assert measure.evaluate_run(run_folder.load_run(copy_of_run))["frames"] == 6


def test_figures_that_are_damaged_or_older_than_the_weights_do_not_count(copy_of_run):
    settings, output = run_folder.read_settings(copy_of_run), copy_of_run / "evaluation"
    figures = output / "test.json"
    whole = figures.read_text()
    assert "mean joint error" in command._stored_tables(settings, copy_of_run, output)
    for damaged in (whole[:-40], "{}", "[]"):
        figures.write_text(damaged)
        assert command._stored_tables(settings, copy_of_run, output) is None
    figures.write_text(whole)
    assert command._stored_tables(settings, copy_of_run, output) is not None
    os.utime(output / "test-frames.png", (1, 1))
    assert command._stored_tables(settings, copy_of_run, output) is None


def point_to(run_dir, store):
    path = run_folder.settings_path(run_dir)
    path.write_text(json.dumps({**json.loads(path.read_text()), "store": str(store)}))


def refused(*arguments):
    with pytest.raises(InputError) as error:
        run_evaluation([str(argument) for argument in arguments])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_bad_arguments(finished_run, tmp_path):
    assert "--batch 0: at least one frame" in refused("--run-dir", finished_run, "--batch", "0")
    assert "--split: invalid choice: 'train'" in refused("--run-dir", finished_run, "--split", "train")
    assert "--run-dir is needed" in refused()
    assert "this is no run folder" in refused("--run-dir", tmp_path)
    assert "unknown setting '--jsn'; the nearest one is '--json'" in refused("--run-dir", finished_run, "--jsn", "x")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused("--run-dir", finished_run, "--output", tmp_path / "file" / "out")


def test_runs_that_cannot_be_evaluated(copy_of_run, store_path, tmp_path):
    weights = run_folder.weights_path(copy_of_run, "posterior")
    with h5py.File(weights, "a") as file:
        file["posterior/000"][...] = np.nan
    assert "predicts joints that are no numbers" in refused("--run-dir", copy_of_run)
    assert sorted(path.name for path in (copy_of_run / "evaluation").iterdir()) == sorted(FILES)
    weights.unlink()
    assert "the run is not finished; go on with" in refused("--run-dir", copy_of_run)


def test_21_joints_are_measured_where_they_alone_are_labelled(copy_of_run, store_path, tmp_path):
    store, chosen = tmp_path / "copy.h5", list(HAND21_FROM_NYU)
    store.write_bytes(store_path.read_bytes())
    with h5py.File(store, "a") as file:
        joints_mm = file["real/test/joints_mm"][:]
        joints_mm[:, [joint for joint in range(36) if joint not in chosen]] = np.nan
        joints_mm[0, chosen[0]] = np.nan
        file["real/test/joints_mm"][:] = joints_mm
    every = measure.predict_store(run_folder.load_run(copy_of_run))
    point_to(copy_of_run, store)
    assert "--joints 21" in refused("--run-dir", copy_of_run)
    assert "leave it out" in refused(
        "--run-dir", copy_of_run, "--joints", 21, "--write-predictions", tmp_path / "a.txt"
    )
    assert run_evaluation(["--run-dir", str(copy_of_run), "--joints", "21"]) == 0
    names = sorted(path.name for path in (copy_of_run / "evaluation").glob("test-hand21*"))
    assert names == sorted(name.replace("test", "test-hand21") for name in FILES)
    figures = json.loads((copy_of_run / "evaluation" / "test-hand21.json").read_text())
    errors_mm = np.linalg.norm(every.predicted_mm[1:, chosen] - joints_mm[1:, chosen], axis=-1)
    assert figures["frames"] == 5 and list(figures["per_joint_mm"]) == list(HAND21.joint_names)
    np.testing.assert_allclose(list(figures["per_joint_mm"].values()), errors_mm.mean(axis=0), rtol=1e-4)


def test_stores_that_do_not_fit_the_run(copy_of_run, store_path, tmp_path):
    store = tmp_path / "copy.h5"
    point_to(copy_of_run, store)
    assert "there is no such store" in refused("--run-dir", copy_of_run)
    store.write_bytes(store_path.read_bytes())
    with h5py.File(store, "a") as file:
        file["real/test/joints_mm"][:] = np.nan
    assert "no frame of 'real/test' has labels to compare with" in refused("--run-dir", copy_of_run)
    with h5py.File(store, "a") as file:
        del file["real/test"]
    message = refused("--run-dir", copy_of_run)
    assert "there is no split 'real/test'" in message and "real/validation" in message
    with h5py.File(store, "a") as file:
        file.attrs["skeleton"] = "icvl"
        for group in [split for domain in file.values() for split in domain.values()]:
            joints_mm = group["joints_mm"][:, :16]
            del group["joints_mm"]
            group["joints_mm"] = joints_mm
    assert "its skeleton is icvl, the run's is nyu" in refused("--run-dir", copy_of_run)
