"""Graphs that would end the process on a shape they do not expect: their inputs are checked before they run."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from export.serving.servable import load_servable
from export.serving.settings import Settings
from tests.export.serving.asker import running

IMAGE = tf.TensorSpec([None, 4, 4, 1], tf.float32, "image")
PATH = "/v1/models/model"
GOOD = np.ones((2, 4, 4, 1)).tolist()


def _save(path, layer):
    module = tf.Module()
    module.run = tf.function(lambda image: {"y": layer(image)}, input_signature=[IMAGE])
    tf.saved_model.save(module, str(path), {"serving_default": module.run.get_concrete_function()})
    return path


@pytest.mark.parametrize(
    ("name", "layer", "fragile"),
    [
        ("convolution", lambda x: tf.nn.conv2d(x, tf.ones((2, 2, 1, 3)), 1, "SAME"), True),
        ("pooling", lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"), True),
        ("bias", lambda x: tf.nn.bias_add(x, tf.ones(1)), True),
        ("sum", lambda x: x + tf.reduce_sum(x), False),
    ],
)
def test_which_graphs_are_fragile(tmp_path, name, layer, fragile):
    assert load_servable(_save(tmp_path / name / "1", layer)).signature("").fragile == fragile


def test_shapes_that_would_end_the_process_are_refused(tmp_path):
    _save(tmp_path / "model" / "1", lambda x: tf.nn.conv2d(x, tf.ones((2, 2, 1, 3)), 1, "SAME"))
    with running(Settings(tmp_path, port=0)) as (asker, _):
        for inputs in ([[1, 2], [3, 4]], 3.0, np.ones((1, 4, 4)).tolist(), np.ones((1, 4, 5, 1)).tolist()):
            answer = asker.predict({"inputs": inputs}, PATH)
            assert answer.status == 400
            assert "the signature takes [-1,4,4,1]" in answer.error
        assert "is empty" in asker.predict({"inputs": []}, PATH).error
        answer = asker.predict({"inputs": GOOD}, PATH)
        assert answer.status == 200
        assert np.shape(answer.body["outputs"]) == (2, 4, 4, 3)
