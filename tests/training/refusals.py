"""Runs of `training/run.py` that must be refused, and what they say."""

import pytest

from lsps_tf.errors import InputError
from training.session import run_session

# Two steps of the pose stage alone.
SHORT = ["--stages", "pose", "--pose-steps", "2"]


def refused(arguments):
    with pytest.raises(InputError) as error:
        run_session([str(argument) for argument in arguments])
    message = str(error.value)
    assert "\n" not in message
    return message


def start(store, run_dir, *options):
    return ["--dataset", store, "--preset", "tiny", "--run-dir", run_dir, *options]
