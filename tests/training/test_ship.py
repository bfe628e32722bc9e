"""What comes with the program is a run folder that predicts what the run did, and nothing of the machine."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import run_folder
from lsps_tf.errors import InputError
from lsps_tf.models import open_model
from training.ship import ship_run


def test_the_shipped_run_predicts_the_same_and_names_no_folder_of_the_machine(copy_of_run, tmp_path):
    output = tmp_path / "trained" / "sensor"
    shutil.rmtree(copy_of_run / "evaluation")
    with pytest.raises(InputError, match="the run is not evaluated"):
        ship_run(copy_of_run, output)
    (copy_of_run / "evaluation").mkdir()
    (copy_of_run / "evaluation" / "test.json").write_text('{"mean_error_mm": 1.5}')
    for _ in range(2):  # the second time over the first
        ship_run(copy_of_run, output)
    files = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    assert files == ["evaluation/test.json", "lsps-dynamic.tflite", "settings.json", "weights/posterior.h5"]
    assert json.loads((output / "evaluation" / "test.json").read_text()) == {"mean_error_mm": 1.5}
    assert str(tmp_path.parent) not in (output / "settings.json").read_text()
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)), tf.float32)
    shipped, run = (run_folder.load_run(path).networks.predict_joints(image, "real") for path in (output, copy_of_run))
    np.testing.assert_array_equal(shipped.numpy(), run.numpy())
    rounded = open_model(output / "lsps-dynamic.tflite").joints_of_crop(image.numpy())
    assert np.linalg.norm(rounded - run.numpy(), axis=-1).mean() < 0.06


def test_a_run_that_is_not_finished_is_not_shipped(copy_of_run, tmp_path):
    run_folder.weights_path(copy_of_run, "posterior").unlink()
    with pytest.raises(InputError, match="the run is not finished"):
        ship_run(copy_of_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
