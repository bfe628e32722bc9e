"""Ends a stage whose losses or weights are not finite any more, with one line that says where and what to do."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from lsps_tf.config import FIT
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.networks import Networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.run_folder import RunSettings
from training.data.feeding import open_feed
from training.plan import StagePlan

FOLDER = "nonfinite"
# The settings that are a stage's step sizes; those of "depth" are the generators' and the discriminators',
# and those of "mapping" M's and the realism head's.
STEP_SIZES = {
    "pose": ("pose_learning_rate",),
    "depth": ("depth_learning_rate", "discriminator_learning_rate"),
    "mapping": ("mapping_learning_rate", "discriminator_learning_rate"),
    "posterior": ("posterior_learning_rate",),
    "regression": ("posterior_learning_rate",),
    FIT: ("fit_learning_rate",),
}


class Divergence:
    """Says whether a stage's numbers are finite. Each question waits for the device, so it is asked now and then."""

    def __init__(self, plan: StagePlan, settings: RunSettings, networks: Networks, run_dir: pathlib.Path):
        self._plan, self._settings, self._networks, self._run_dir = plan, settings, networks, run_dir

    def check_losses(self) -> None:
        """Raises InputError where a step's terms were not all finite, and keeps the batch of the first such step."""
        found = self._plan.model.first_nonfinite()
        if found is None:
            return
        step, scalars = found
        name, value = next(iter(scalars.items()))
        others = f" (and {len(scalars) - 1} more)" if len(scalars) > 1 else ""
        raise InputError(
            f"{self._run_dir}: the {self._plan.name} stage diverged at step {step + 1}: {name}{others} is "
            f"{'nan' if math.isnan(value) else 'infinite'}; {self._advice()}; {self._keep_batches(step)}"
        )

    def check_variables(self, step: int) -> None:
        """Raises InputError where a weight, or an optimizer's state, is not finite after so many steps."""
        variables = self._networks.named_variables()
        for name, optimizer in self._plan.optimizers.items():
            variables.update({f"{name}/{number:03d}": part for number, part in enumerate(optimizer.variables())})
        variables = {name: variable for name, variable in variables.items() if variable.dtype.is_floating}
        finite = tf.stack([tf.reduce_all(tf.math.is_finite(variable)) for variable in variables.values()]).numpy()
        if not finite.all():
            name = list(variables)[int(np.argmin(finite))]
            raise InputError(
                f"{self._run_dir}: the {self._plan.name} stage diverged: after step {step} {name} is not finite; "
                f"{self._advice()}"
            )

    def _advice(self) -> str:
        stage, training = self._plan.name, self._settings.config.training
        names = STEP_SIZES[FIT if stage.startswith(FIT) else stage]
        options = " or ".join(f"--{name.replace('_', '-')} (now {getattr(training, name):g})" for name in names)
        return f"go on from its last checkpoint with --resume and a lower {options}, or start a new run with that"

    def _keep_batches(self, step: int) -> str:
        """Writes the step's batch, and the one before, whose update may be the cause. Returns where they are."""
        folder = self._run_dir / FOLDER
        try:
            for number, columns in self._batches(max(step - 1, 0), step):
                path = folder / f"{self._plan.name}-{number + 1:07d}.npz"
                with atomic_path(path) as partial, partial.open("wb") as file:
                    np.savez(file, **columns)
        except InputError as error:
            # What is wrong with the training is the news.
            return f"its batches are not kept ({error})"
        return f"its batches are in {folder}"

    def _batches(self, first: int, last: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """The batches of these steps, counted from 0, drawn again: columns by "STREAM_COLUMN", and the seed."""
        seed = self._settings.config.training.seed
        with open_feed(self._settings) as feed:
            batches = build_pipeline(feed, self._plan.streams, seed, first)
            for number, batch in zip(range(first, last + 1), batches):
                columns = {"seed": batch.pop("seed").numpy()}
                for stream, rows in batch.items():
                    columns.update({f"{stream}_{name}": value.numpy() for name, value in rows.items()})
                yield number, columns
