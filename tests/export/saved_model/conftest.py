"""The finished run and the SavedModel that was exported from it."""

import pytest
import tensorflow as tf

from lsps_tf.run_folder import load_run


@pytest.fixture(scope="module")
def run(run_dir):
    return load_run(run_dir)


@pytest.fixture(scope="module")
def model(model_dir):
    return tf.saved_model.load(str(model_dir / "lsps" / "1"))
