"""How the workers of a run begin: TensorFlow's threads, the meeting, and what the chief alone has read or made."""

from __future__ import annotations

import json
from collections.abc import Callable

import tensorflow as tf

from lsps_tf.config import TrainingConfig
from lsps_tf.fitting.to_depth import DepthFit
from lsps_tf.run_folder import RunSettings
from training.distribution.cluster import check_batches
from training.distribution.strategies import Alone
from training.pseudo_labels import pack_fits, unpack_fits


def start(training: TrainingConfig, stages: tuple[str, ...], distribution: Alone) -> None:
    """Sets TensorFlow up, meets the other workers, and checks that all can share a step (InputError)."""
    join(training, distribution)
    check_batches(training, stages, distribution.replicas)


def join(training: TrainingConfig, distribution: Alone) -> None:
    """Sets TensorFlow up and meets the other workers; the chief opens the run then."""
    _set_up_tensorflow(training)
    distribution.connect()


def settings_of_chief(settings: RunSettings | None, distribution: Alone) -> RunSettings:
    """The settings of the run that the chief opened, to all workers; the others have none."""
    said = b"" if settings is None else json.dumps(settings.to_dict()).encode()
    return RunSettings.from_dict(json.loads(distribution.from_chief(said)))


def fits_of_chief(make: Callable[[], DepthFit], distribution: Alone) -> DepthFit:
    """A round's fits, which the chief makes, to all workers."""
    with distribution.together():
        fits = make() if distribution.is_chief else None
    if distribution.workers == 1:
        return fits
    return unpack_fits(distribution.from_chief(b"" if fits is None else pack_fits(fits)))


def _set_up_tensorflow(training: TrainingConfig) -> None:
    # Its warnings (callbacks that are slow beside a step of a tiny net) would break the progress bar.
    tf.get_logger().setLevel("ERROR")
    # TensorFlow refuses even its own default once it runs.
    if training.intra_op_threads:
        tf.config.threading.set_intra_op_parallelism_threads(training.intra_op_threads)
    if training.inter_op_threads:
        tf.config.threading.set_inter_op_parallelism_threads(training.inter_op_threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
