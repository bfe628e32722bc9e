"""What the stages share: the means of the terms, and the first loss that is not finite."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf.config import LossWeights
from lsps_tf.losses import Term
from training.stages.base import OnePlayerStage, by_pair, noise_seeds

NAN, INFINITY = float("nan"), float("inf")


class OneWeight(OnePlayerStage):
    """One weight w on numbers x: the term "distance" is the mean of (w - x)², and "rest" is the batch's own."""

    def __init__(self, weight):
        super().__init__(None, LossWeights(lambda_1=2.0, lambda_2=3.0), [weight], "sum")

    def forward(self, batch):
        return {**batch, "weight": self.player_variables[0]}

    def loss_terms(self, outputs):
        terms = {"distance": Term(tf.reduce_mean((outputs["weight"] - outputs["x"]) ** 2), "lambda_1")}
        if "rest" in outputs:
            terms["rest"] = Term(outputs["rest"], "lambda_2")
        return terms


def batch(step, x, **rest):
    numbers = {name: tf.constant(value, tf.float32) for name, value in {"x": x, **rest}.items()}
    return {**numbers, "seed": tf.constant([5, step], tf.int32)}


@pytest.fixture(params=["eager", "graph"])
def step(request):
    stage = OneWeight(tf.Variable(1.0))
    stage.compile(keras.optimizers.legacy.SGD(0.1))
    run = tf.function(stage.train_step) if request.param == "graph" else stage.train_step
    return stage, run


def test_a_one_player_step_descends_its_weighted_terms_and_logs_their_means(step):
    stage, run = step
    logs = run(batch(0, [2.0, 4.0], rest=7.0))
    # 2 (((1 - 2)² + (1 - 4)²) / 2) + 3 * 7, and the slope 2 (-1 - 3).
    assert {name: float(value) for name, value in logs.items()} == {"distance": 5.0, "rest": 7.0, "sum": 31.0}
    np.testing.assert_allclose(stage.player_variables[0], 1.0 + 0.1 * 8.0, rtol=1e-6)
    logs = run(batch(1, [1.8, 1.8], rest=9.0))
    np.testing.assert_allclose([logs[name] for name in ("distance", "rest", "sum")], [2.5, 8.0, 29.0], rtol=1e-5)
    stage.reset_metrics()
    assert float(run(batch(2, [1.8, 1.8], rest=9.0))["rest"]) == 9.0


def test_means_are_those_of_the_terms_that_a_step_had(step):
    stage, run = step
    stage.reset_metrics()
    assert stage.metrics == []
    assert set(run(batch(0, [2.0]))) == {"distance", "sum"}
    # Another size is another trace.
    logs = run(batch(1, [2.0, 3.0]))
    assert set(logs) == {"distance", "sum"} and len(stage.metrics) == 1
    # The weight is 1, and then 1 + 0.1 * 2 * 2 (2 - 1) = 1.4.
    np.testing.assert_allclose(logs["distance"], (1.0 + (0.6**2 + 1.6**2) / 2) / 2, rtol=1e-6)


def test_terms_that_come_later_are_logged_from_then_on(eagerly):
    stage = OneWeight(tf.Variable(1.0))
    stage.compile(keras.optimizers.legacy.SGD(0.1))
    stage.train_step(batch(0, [2.0]))
    logs = stage.train_step(batch(1, [2.0], rest=7.0))
    assert set(logs) == {"distance", "rest", "sum"} and float(logs["rest"]) == 7.0


def test_the_first_step_that_is_not_finite_is_kept_with_what_was_not(step):
    stage, run = step
    assert stage.first_nonfinite() is None
    run(batch(40, [2.0], rest=1.0))
    assert stage.first_nonfinite() is None
    run(batch(41, [2.0], rest=INFINITY))
    run(batch(42, [NAN], rest=2.0))
    run(batch(43, [2.0], rest=1.0))
    # Means are counted anew after each line of the log; what was found stays.
    stage.reset_metrics()
    assert stage.first_nonfinite() == (41, {"rest": INFINITY, "sum": INFINITY})


def test_nan_is_found_as_infinity_is(step):
    stage, run = step
    run(batch(3, [NAN], rest=1.0))
    number, found = stage.first_nonfinite()
    assert number == 3 and set(found) == {"distance", "sum"} and all(np.isnan(value) for value in found.values())


def test_images_by_pair_keep_their_order():
    made = {"synthetic": {"synthetic": 1, "real": 2}, "pose": {"real": 3}}
    assert list(by_pair(made).items()) == [
        *((("synthetic", "synthetic"), 1), (("synthetic", "real"), 2)),
        (("pose", "real"), 3),
    ]


def test_seeds_are_their_own_by_name_and_by_step():
    seeds = [noise_seeds(tf.constant([1, step]), ["a", "b"]) for step in (0, 1)]
    assert len({tuple(part.numpy()) for named in seeds for part in named.values()}) == 4
    again = noise_seeds(tf.constant([1, 0]), ["a", "b"])
    assert all(np.array_equal(again[name], seeds[0][name]) for name in again)
