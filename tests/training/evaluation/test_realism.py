"""The distance of features against a loop over pairs, and the classifier on images that differ and that do not."""

import numpy as np
import pytest

from training.evaluation import realism


def kernel(one, other):
    return (sum(a * b for a, b in zip(one, other)) / len(one) + 1) ** 3


def test_the_kernel_distance_is_the_mean_over_pairs():
    random = np.random.default_rng(0)
    one, other = random.standard_normal((5, 3)), random.standard_normal((4, 3)) + 0.5
    within = [
        np.mean([kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j])
        for part in (one, other)
    ]
    across = np.mean([kernel(a, b) for a in one for b in other])
    assert realism.kernel_distance(one, other) == pytest.approx(sum(within) - 2 * across)


def test_the_kernel_distance_of_one_distribution_is_zero_in_the_mean():
    random = np.random.default_rng(1)
    same = [realism.kernel_distance(*random.standard_normal((2, 40, 6))) for _ in range(60)]
    moved = realism.kernel_distance(random.standard_normal((40, 6)), random.standard_normal((40, 6)) + 0.7)
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(len(same)) and moved > 5 * np.std(same)


def test_features_are_counted_in_standard_deviations_of_the_reference():
    reference = np.array([[0.0, 4.0], [2.0, 4.0]])
    np.testing.assert_allclose(realism.standardized(np.array([[3.0, 9.0]]), reference), [[2.0, 0.0]])


def images(seed, count, noise):
    random = np.random.default_rng(seed)
    square = np.ones((count, 16, 16), np.float32)
    square[:, 4:12, 4:12] = random.uniform(-0.5, 0.5, (count, 1, 1))
    return (square + noise * random.standard_normal(square.shape)).astype(np.float32)


def test_the_classifier_tells_apart_what_differs_and_guesses_otherwise():
    told = {
        name: realism.told_apart_percent(
            (images(0, 60, 0.0), images(1, 60, noise)), (images(2, 200, 0.0), images(3, 200, noise)), 60, 0
        )
        for name, noise in (("noisy", 0.3), ("same", 0.0))
    }
    assert told["noisy"] > 95 and 35 < told["same"] < 65
