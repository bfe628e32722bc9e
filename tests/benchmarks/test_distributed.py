"""What the benchmark of two workers makes of their logs."""

import numpy as np

from benchmarks import distributed


def lines(seconds, loss):
    steps = [5 * (number + 1) for number in range(len(seconds))]
    return [{"stage": "depth", "step": step, "seconds": s, "loss": loss} for step, s in zip(steps, seconds)]


def test_rates_leave_out_the_building_of_graphs():
    # 20 seconds for the first five steps, then 5 steps of 8 samples in 2, 4 and 2 seconds.
    np.testing.assert_allclose(distributed.samples_per_s(lines([20.0, 22.0, 26.0, 28.0], 1.0), 8), 20.0)


def test_losses_are_held_against_their_size():
    np.testing.assert_allclose(distributed.difference(lines([1.0], -50.0), lines([2.0], -50.005)), 1e-4, rtol=1e-6)


def test_ratios_are_of_turns(monkeypatch):
    given = type("Given", (), {"turns": 3, "batch": 8, "preset": "tiny", "steps": 10})
    # The machine is slower in each turn, for both.
    taken = {1: iter([4.0, 8.0, 40.0]), 2: iter([2.0, 5.0, 20.0])}
    asked = []

    def run(count, given, folder, name, steps, every):
        asked.append((count, name, steps, every))
        # Two workers' losses are off by a part in a million in the run that compares them.
        return lines([0.0], 2.0 + 2e-6 * (count - 1)) if name == "losses" else lines([0.0, next(taken[count])], 2.0)

    monkeypatch.setattr(distributed, "run", run)
    figures = distributed.measure(given)
    assert figures["two_over_one"] == 2.0 and figures["two_over_one_range"] == [1.6, 2.0]
    assert figures["samples_per_s"]["1"] == [10.0, 5.0, 1.0] and abs(figures["losses_apart"] - 1e-6) < 1e-9
    assert [call for call in asked if call[1] == "losses"] == [(1, "losses", 2, 1), (2, "losses", 2, 1)]
    assert "two over one: 2.00 (1.60 to 2.00; at least 1.6)" in distributed.table(figures)


def test_ports_are_free_and_differ():
    assert len(set(distributed.free_ports(3))) == 3
