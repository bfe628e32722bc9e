import dataclasses
import json
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from export.exporting import LARGEST_DIFFERENCE, compare_exports, export_command, sample_crops, size_in_bytes
from export.saved_model.signatures import export_saved_model
from export.serving.servable import load_servable
from lsps_tf import camera, run_folder
from lsps_tf.datasets.store import create_store
from lsps_tf.model_manifest import model_hash
from lsps_tf.models import open_model
from lsps_tf.run_folder import load_run

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(run_dir):
    return load_run(run_dir)


def images(run, count=5):
    """Crops of hands, noise and an empty one: the models must agree on all."""
    size = run.config.data.image_size
    noise = tf.random.stateless_uniform([count, size, size, 1], [3, 4], -1.0, 1.0)
    return tf.concat([sample_crops(size, run.config.data.cube_mm, count), noise, tf.ones([1, size, size, 1])], axis=0)


@pytest.mark.parametrize("name", ["lsps", "lsps/1", "lsps.tflite", ""])
def test_exports_agree_with_keras_in_normalized_joints(run, model_dir, name):
    model = open_model(model_dir / name)
    expected = run.networks.predict_joints(images(run), run.domain).numpy()
    # The networks are drawn at random, so that their joints differ from crop to crop; a constant would agree too.
    assert expected.std(axis=0).mean() > 0.01
    difference = np.abs(model.joints_of_crop(images(run).numpy()) - expected)
    assert difference.max() <= LARGEST_DIFFERENCE == 1e-4 and difference.mean() <= 1e-5
    assert (model.info.skeleton.name, model.info.image_size, model.info.cube_mm) == ("nyu", 32, 250.0)


def test_the_report_holds_what_was_written_in_place_of_what_was_there(run_dir, model_dir):
    values = json.loads((model_dir / "report.json").read_text())
    assert values["run_dir"] == str(run_dir)
    assert [model["kind"] for model in values["models"]] == ["SavedModel", *["TFLite"] * 4]
    assert [model["numbers"] for model in values["models"]] == ["float32", "float32", "float16", "dynamic", "int8"]
    for model in values["models"]:
        allowed = 1e-4 if model["numbers"] == "float32" else 0.5
        assert 0 <= model["mean_difference"] <= model["max_difference"] <= allowed
        assert model["bytes"] == size_in_bytes(pathlib.Path(model["path"])) > 10_000
        assert 0 <= model["mean_mm"] <= 0.5 * 250 * 3**0.5 * model["max_difference"] + 1e-9
    assert not (model_dir / "lsps" / "1" / "old").exists()


def test_only_the_files_that_are_asked_for_are_written(command, run_dir, tmp_path):
    output = tmp_path / "new" / "models"
    arguments = ["--run-dir", run_dir, "--output", output, "--variants", "dynamic, float16"]
    status, out, err = command(export_command, *arguments)
    assert (status, err) == (0, "") and str(output / "lsps" / "1") in out and "dynamic" in out
    names = sorted(path.name for path in output.iterdir())
    assert names == ["lsps", "lsps-dynamic.tflite", "lsps-float16.tflite", "manifest.json"]
    hashes = json.loads((output / "manifest.json").read_text())["sha256"]
    assert hashes == {name: model_hash(output / name) for name in ("lsps/1", *names[1:3])}
    assert all(f"  {value}  {name}\n" in out for name, value in hashes.items())


def test_the_saved_model_holds_the_deployed_networks_alone(run, model_dir):
    listed = tf.train.list_variables(str(model_dir / "lsps" / "1" / "variables" / "variables"))
    stored = [shape for name, shape in listed if name.endswith("VARIABLE_VALUE")]
    deployed = [tuple(variable.shape) for variable in run.networks.deployed_variables(run.domain)]
    assert sorted(map(tuple, stored)) == sorted(deployed) and len(deployed) < len(run.networks.variables) / 2


def test_a_model_that_computes_wrongly_is_not_passed(run, model_dir):
    """The comparison must see a change of the weights that moves joints by a millimetre."""
    (report,) = compare_exports(run, [model_dir / "lsps.tflite"])
    assert report["max_difference"] <= LARGEST_DIFFERENCE
    bias = run.networks.pose_decoder.output_layer.bias
    before = bias.numpy()
    try:
        bias.assign_add(np.full(bias.shape, 1.0 / 125.0, np.float32))
        (report,) = compare_exports(run, [model_dir / "lsps.tflite"])
    finally:
        bias.assign(before)
    assert report["max_difference"] > 50 * LARGEST_DIFFERENCE


def expect_one_line(result, message):
    status, out, err = result
    assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1, (status, out, err)
    assert message in err, err


def test_runs_that_cannot_be_exported_are_named(command, run_dir, tmp_path):
    output = tmp_path / "out"
    command_of = lambda folder: command(export_command, "--run-dir", folder, "--output", output)  # noqa: E731
    expect_one_line(command_of(tmp_path / "none"), "none: this is no run folder")
    unfinished = shutil.copytree(run_dir, tmp_path / "unfinished")
    (unfinished / "weights" / "posterior.h5").unlink()
    expect_one_line(command_of(unfinished), "unfinished: the run is not finished; go on with:")
    cut = shutil.copytree(run_dir, tmp_path / "cut")
    weights = run_folder.weights_path(cut, "posterior")
    weights.write_bytes(weights.read_bytes()[:-200])
    expect_one_line(command_of(cut), "the weights are damaged")
    other = shutil.copytree(run_dir, tmp_path / "other")
    path = run_folder.settings_path(other)
    path.write_text(path.read_text().replace('"pose_hidden": 30', '"pose_hidden": 31'))
    expect_one_line(command_of(other), "another preset")
    assert not output.exists()


def test_a_place_that_cannot_be_written_is_named(command, run_dir, tmp_path):
    (tmp_path / "file").write_text("precious")
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        status, _, err = command(export_command, "--run-dir", run_dir, "--output", output)
        assert status == 2 and err.count("\n") == 1 and "file" in err
    assert (tmp_path / "file").read_text() == "precious"


def test_a_full_disk_is_one_line_and_leaves_no_half_model(command, run_dir, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    output = tmp_path / "out"
    status, _, err = command(export_command, "--run-dir", run_dir, "--output", output)
    assert status == 2 and "lsps/1: the disk is full" in err and err.count("\n") == 1
    assert not [path for path in output.rglob("*") if path.is_file()]


def test_the_next_command_names_camera_and_unit_and_works_from_any_folder(run, tmp_path, monkeypatch):
    from export.exporting import _next_command

    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    said = shlex.split(_next_command(run, tmp_path / "my models" / "lsps"))
    assert (pathlib.Path.cwd() / said[1]).resolve() == ROOT / "export" / "predict.py"
    assert said[2:5] == ["--model", str(tmp_path / "my models" / "lsps"), "FRAME"] and "--camera" not in said
    report = {
        "camera": {"fx": 230.0, "fy": 231.0, "cx": 211.5, "cy": 121.0, "width": 424, "height": 240},
        "depth_unit_mm": 0.1,
        "rotation_degrees": 180,
    }
    with create_store(tmp_path / "own.h5", "nyu", camera.NYU, 48, {"report": report}):
        pass
    own = dataclasses.replace(run, settings=dataclasses.replace(run.settings, store=str(tmp_path / "own.h5")))
    options = "--camera 230,231,211.5,121 --depth-unit 0.1 --rotate 180 --overlay hand.png"
    assert _next_command(own, tmp_path).endswith(options)
    icvl = dataclasses.replace(run, settings=dataclasses.replace(run.settings, store="none.h5", dataset="icvl"))
    assert "--camera icvl" in _next_command(icvl, tmp_path)


def test_another_process_that_exports_to_the_folder_is_named(command, run_dir, tmp_path):
    code = "import sys\nfrom lsps_tf.files import locked\nwith locked(sys.argv[1]):\n    print(flush=True)\n    input()"
    holder = [sys.executable, "-c", code, str(tmp_path / "out" / "lsps")]
    with subprocess.Popen(holder, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        result = command(export_command, "--run-dir", run_dir, "--output", tmp_path / "out")
        other.communicate("\n")
    expect_one_line(result, f"lsps: process {other.pid} on")


def test_models_are_exported_to_and_opened_from_any_path(run, tmp_path):
    """TensorFlow reads these letters as a pattern."""
    folder = tmp_path / "o[1]" / "a\\b*"
    path = export_saved_model(run, folder)
    assert path == folder / "lsps" / "1" and open_model(folder).kind == "SavedModel"
    assert load_servable(path).signatures
