"""Table 1: what simulation alone, unlabelled real frames and real labels give, and the baselines that honesty needs."""

from __future__ import annotations

from collections.abc import Callable

from training.experiments.cells import (
    Cell,
    Experiment,
    Row,
    Training,
    fitted,
    longer,
    lsps,
    of_training,
    real,
    synthetic_only,
    synthetic_variant,
)


def _mean_pose(seed: int) -> Cell:
    # It needs a run for its frames alone.
    return Cell("mean-pose", synthetic_only(seed), "mean-pose")


def _randomised(seed: int) -> Training:
    return synthetic_variant(seed, "randomised", randomization=1.0)


def _translate(seed: int) -> Cell:
    return Cell("translate", synthetic_only(seed), "translate", beside=lsps(seed))


def _translate_longer(seed: int) -> Cell:
    return Cell("translate-longer", longer(synthetic_only(seed), _COMPUTE), "translate", beside=lsps(seed))


# What all stages of the best recipe take, in trainings of one regression, and of one whose images are randomised in
# every step, as measured (docs/notebook.md).
_COMPUTE, _COMPUTE_RANDOMISED = 11, 9


def _longer(key: str, build: Callable[[int], Training], times: int = _COMPUTE) -> Row:
    """The second column: the row `key` at the compute of the best recipe."""
    cells = of_training(f"{key}-longer", lambda seed: longer(build(seed), times))
    return Row(f"{key}-longer", f"{key}, same compute", cells, same_compute_as=key)


TABLE1 = Experiment(
    "table1",
    "Table 1",
    (
        Row("mean-pose", "mean pose of the labelled real training frames", _mean_pose),
        Row("synthetic-only", "synthetic-only", of_training("synthetic-only", synthetic_only)),
        Row(
            "synthetic-only-trunk",
            "synthetic-only, from the pre-trained trunk",
            of_training("synthetic-only-trunk", lambda seed: synthetic_only(seed, trunk=True)),
        ),
        Row(
            "randomised",
            "synthetic-only with domain randomisation",
            of_training("randomised", _randomised),
        ),
        Row("translate", "real to synthetic, then synthetic-only", _translate),
        Row("lsps", "LSPS, unlabelled real frames: the paper's recipe", of_training("lsps", lsps)),
        Row("fitted", "unlabelled real frames: recipe `fitting`", of_training("fitted", fitted)),
        Row("real", "real labels", of_training("real", real)),
        Row(
            "real-trunk",
            "real labels, from the pre-trained trunk",
            of_training("real-trunk", lambda seed: real(seed, trunk=True)),
        ),
        Row(
            "oracle",
            "oracle: synthetic poses as the sensor sees them",
            of_training("oracle", lambda seed: synthetic_variant(seed, "oracle", synthetic_part="sensed")),
            datasets=("sim",),
        ),
        _longer("synthetic-only", synthetic_only),
        _longer("randomised", _randomised, _COMPUTE_RANDOMISED),
        Row("translate-longer", "translate, same compute", _translate_longer, same_compute_as="translate"),
        _longer("real", real),
    ),
    first=("mean-pose", "synthetic-only", "real", "lsps", "fitted"),
)
