"""The ablation: LSPS without labels, without one of the paper's parts at a time, and with what is added to them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from training.experiments.cells import (
    Experiment,
    Row,
    Training,
    fitted,
    longer,
    lsps,
    lsps_fitted,
    lsps_randomised,
    lsps_translations,
    lsps_variant,
    of_training,
    real,
    synthetic_only,
)


def _without(part: str, title: str, own_pose: bool = False, **options: Any) -> Row:
    key = f"without-{part}"
    return Row(key, f"without {title}", of_training(key, functools.partial(_train, key, own_pose, options)))


def _train(key: str, own_pose: bool, options: dict[str, Any], seed: int) -> Training:
    return lsps_variant(seed, key, own_pose, **options)


def _fitted_with_translations(seed: int) -> Training:
    # At the step size that the rounds had before they went without: they do not bear a larger one.
    return lsps_fitted(seed, name="lsps-fit{}-translations", fit_translations=True, fit_learning_rate=1e-3)


def _fitted_longer(seed: int) -> Training:
    """It takes as long as the rounds after a depth stage (docs/notebook.md), with the fits of the row before."""
    last = fitted(seed)
    return dataclasses.replace(longer(last, 2), fits_of=last)


ABLATION = Experiment(
    "ablation",
    "Ablation",
    (
        Row("synthetic-only", "synthetic-only", of_training("synthetic-only", synthetic_only)),
        Row("lsps", "LSPS, the paper's recipe", of_training("lsps", lsps)),
        _without("cycle", "cycle-consistency (equation 5)", cycle=False),
        _without("gan", "adversarial terms (equations 4 and 6)", lambda_4=0.0, lambda_4_mapping=0.0),
        _without("matching", "feature matching (equation 8)", lambda_8_depth=0.0, lambda_8_posterior=0.0),
        # The discriminators go on sharing theirs: they are how P gets from one domain to the other (equation 8).
        _without("sharing", "weight sharing of E and of G", weight_sharing=False),
        _without("mapping", "the mapping M (equation 6)", lambda_4_mapping=0.0, lambda_5=0.0, lambda_6=0.0),
        _without("pose-vae", "the pose VAE: P regresses joints", own_pose=True, pose_vae=False),
        Row(
            "lsps-translations",
            "with supervision of translated images",
            of_training("lsps-translations", lsps_translations),
        ),
        Row(
            "lsps-randomised",
            "with supervision of translated and randomised images",
            of_training("lsps-randomised", lsps_randomised),
        ),
        Row(
            "lsps-fit1",
            "these and one round of fitting",
            of_training("lsps-fit1", functools.partial(lsps_fitted, rounds=1)),
        ),
        Row(
            "lsps-fitted",
            "these and two rounds: `fitting` after a depth stage",
            of_training("lsps-fitted", lsps_fitted),
        ),
        Row(
            "lsps-fitted-translations",
            "the same with translations and feature matching in its rounds, too",
            of_training("lsps-fitted-translations", _fitted_with_translations),
        ),
        Row("fitted", "recipe `fitting`: without a depth stage", of_training("fitted", fitted)),
        Row(
            "fitted-longer",
            "`fitting` with twice the steps in its second round: the time of `fitting` after a depth stage",
            of_training("fitted-longer", _fitted_longer),
        ),
        Row("real", "real labels", of_training("real", real)),
    ),
    first=("synthetic-only", "lsps", "real"),
    plot="bars",
)
