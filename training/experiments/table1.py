"""Table 1: what simulation alone, unlabelled real frames and real labels give, and the baselines that honesty needs."""

from __future__ import annotations

from training.experiments.cells import (
    Cell,
    Experiment,
    Row,
    fitted,
    lsps,
    of_training,
    real,
    synthetic_only,
    synthetic_variant,
)


def _mean_pose(seed: int) -> Cell:
    # It needs a run for its frames alone.
    return Cell("mean-pose", synthetic_only(seed), "mean-pose")


def _translate(seed: int) -> Cell:
    return Cell("translate", synthetic_only(seed), "translate", beside=lsps(seed))


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
            of_training("randomised", lambda seed: synthetic_variant(seed, "randomised", randomization=1.0)),
        ),
        Row("translate", "real to synthetic, then synthetic-only", _translate),
        Row("lsps", "LSPS, unlabelled real frames", of_training("lsps", lsps)),
        Row("lsps-fitted", "LSPS and training by fitting", of_training("lsps-fitted", fitted)),
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
    ),
    first=("mean-pose", "synthetic-only", "real", "lsps", "lsps-fitted"),
)
