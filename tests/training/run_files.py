"""What a run leaves in its folder: weights, metrics, and the names of its files."""

import json

import h5py
import numpy as np

from lsps_tf import run_folder


def weights(run_dir, stage):
    found = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(run_folder.weights_path(run_dir, stage)) as file:
        file.visititems(collect)
    return found


def assert_same_weights(a, b, stages):
    for stage in stages:
        first, second = weights(a, stage), weights(b, stage)
        assert first.keys() == second.keys() and len(first) > 50
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name], err_msg=f"{stage}: {name}")


def metrics(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def files_under(run_dir):
    return {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
