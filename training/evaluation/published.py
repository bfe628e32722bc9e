"""Published results on NYU and ICVL, measured as the field does it, beside one's own run (figure 5, right)."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

import numpy as np
from tabulate import tabulate

from lsps_tf import camera, draw, metrics, run_folder
from lsps_tf.datasets.public.folders import find_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.files import printable, write_json
from lsps_tf.prediction_files import read_joints_uvd
from lsps_tf.run_folder import Run, load_run
from lsps_tf.skeleton import Skeleton
from training.data.table import PUBLIC
from training.evaluation import measure

# So many results stand beside each other; of more, so many columns beside a result's name.
_MOST_BESIDE, _MOST_COLUMNS = 4, 7


def compare_results(given: argparse.Namespace) -> int:
    """Runs `training/evaluate.py --predictions`. Returns the exit status 0; InputError where something is wrong."""
    if given.dataset not in PUBLIC:
        choices = " or ".join(f"--dataset {name}" for name in PUBLIC)
        raise InputError(f"--predictions: say of which dataset they are with {choices}")
    if given.write_predictions is not None or given.split != "test":
        raise InputError("--predictions: it goes neither with --write-predictions nor with another --split than test")
    layout = PUBLIC[given.dataset].skeleton
    true_uvd = _groundtruth(given, layout)
    predicted_mm = {
        name: _to_mm(_read_matching(path, layout, len(true_uvd)), given.dataset)
        for name, path in _names(given.predictions).items()
    }
    true_mm, rows = _to_mm(true_uvd, given.dataset), np.arange(len(true_uvd))
    if given.run_dir is not None:
        run = load_run(given.run_dir)
        rows, predicted_mm[f"run {given.run_dir.name}"] = _own(run, given.dataset, given.batch, len(true_uvd))
    figures = {}
    for name, joints_mm in predicted_mm.items():
        of_rows = joints_mm if len(joints_mm) == len(rows) else joints_mm[rows]
        figures[name] = measure.error_figures(metrics.joint_errors_mm(of_rows, true_mm[rows]), layout)
    print(_format(figures))
    if len(rows) < len(true_uvd):
        print(f"All measured on the {len(rows)} of {len(true_uvd)} test frames that the run's store holds.")
    paths = _write(given, figures)
    print("Written: " + "\n         ".join(str(path) for path in paths))
    return 0


def _groundtruth(given: argparse.Namespace, layout: Skeleton) -> np.ndarray:
    """uvd [N, E, 3] of the evaluated joints: from the file given, the dataset's folder, or else the run's store."""
    if given.groundtruth is not None:
        return read_joints_uvd(given.groundtruth, layout)
    try:
        dataset = PUBLIC[given.dataset]
        labels = dataset.test_labels(find_folder(dataset.layout, given.data_root))
    except InputError as error:
        if given.run_dir is not None:
            return _labels_of_store(run_folder.read_settings(given.run_dir).store, layout)
        raise InputError(
            f"--groundtruth: give a file of labels, since the dataset's own cannot be used: {error}"
        ) from None
    return labels[:, list(layout.evaluated)].astype(np.float64)


def _labels_of_store(path: str, layout: Skeleton) -> np.ndarray:
    with open_store(path) as store:
        frames = store.column("real/test", "frame")
        if not np.array_equal(frames, np.arange(len(frames))):
            raise InputError(f"{path}: the store lacks frames of the test set; give the labels with --groundtruth")
        joints_mm = store.column("real/test", "joints_mm")[:, list(layout.evaluated)].astype(np.float64)
        recorded_mm = measure.as_recorded(store, joints_mm, store.column("real/test", "subject"))
        return camera.mm_to_uvd(recorded_mm, store.info.camera.intrinsics.astype(np.float64))


def _names(paths: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Files by a short name that tells them apart."""
    stems = [path.stem for path in paths]
    return {printable(path.stem if stems.count(path.stem) == 1 else str(path)): path for path in paths}


def _read_matching(path: pathlib.Path, layout: Skeleton, frames: int) -> np.ndarray:
    joints_uvd = read_joints_uvd(path, layout)
    if len(joints_uvd) != frames:
        raise InputError(
            f"{path}: {len(joints_uvd)} rows, but the labels have {frames}; give predictions of the same frames"
        )
    return joints_uvd


def _to_mm(joints_uvd: np.ndarray, dataset: str) -> np.ndarray:
    return camera.uvd_to_mm(joints_uvd, PUBLIC[dataset].camera.intrinsics.astype(np.float64))


def _own(run: Run, dataset: str, batch: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The test frames that a run's store holds, by their place in the test set, and the run's joints of them in mm."""
    with open_store(run.store_path) as store:
        made_by = store.info.source.get("made_by")
        if made_by != dataset:
            raise InputError(
                f"{run.directory}: the run's store was made from '{made_by}', so it is no result on {dataset}"
            )
        predictions = measure.predict_store(run, "test", batch)
        rows = store.column("real/test", "frame")[predictions.rows]
        if rows.max() >= frames:
            raise InputError(f"--groundtruth: it has {frames} rows, but the run's store holds test frame {rows.max()}")
        evaluated_mm = predictions.predicted_mm[:, list(run.skeleton.evaluated)].astype(np.float64)
        subjects = store.column("real/test", "subject")[predictions.rows]
        return rows, measure.as_recorded(store, evaluated_mm, subjects)


def _format(figures: dict[str, dict[str, Any]]) -> str:
    """One result as `evaluation` shows it, several in tables that fit a screen."""
    if len(figures) == 1:
        return measure.format_figures(*figures.values())
    overall = [
        (name, f["frames"], f"{f['mean_error_mm']:.2f}", f"{f['within_40_mm_percent']:.2f}", f"{f['auc']:.4f}")
        for name, f in figures.items()
    ]
    headers = ("result", "frames", "mean error mm", "within 40 mm %", "area 0 to 80 mm")
    tables = [_table(headers, overall)]
    results = list(figures.values())
    curve = {f"{d} mm": [f"{_shares(f)[k]:.2f}" for f in results] for k, d in enumerate(measure.TABLE_MM)}
    joints = {
        joint.replace("_", " "): [f"{f['per_joint_mm'][joint]:.2f}" for f in results]
        for joint in results[0]["per_joint_mm"]
    }
    for first, values in (("all joints within %", curve), ("mean error mm", joints)):
        tables += _tables(first, values, list(figures))
    return "\n\n".join(tables) + "\n"


def _tables(first: str, values: dict[str, list[str]], results: list[str]) -> list[str]:
    """A row per distance or joint, by whose names the values of all results are; of many results a row per result."""
    if len(results) <= _MOST_BESIDE:
        return [_table((first, *results), [(name, *row) for name, row in values.items()])]
    names = list(values)
    chunks = [names[start : start + _MOST_COLUMNS] for start in range(0, len(names), _MOST_COLUMNS)]
    return [
        _table((first, *chunk), [(result, *(values[name][k] for name in chunk)) for k, result in enumerate(results)])
        for chunk in chunks
    ]


def _shares(figures: dict[str, Any]) -> np.ndarray:
    return np.interp(measure.TABLE_MM, *figures["curve"].values())


def _table(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    align = ("left", *["right"] * (len(headers) - 1))
    return tabulate(rows, headers, colalign=align, disable_numparse=True)


def _write(given: argparse.Namespace, figures: dict[str, dict[str, Any]]) -> list[pathlib.Path]:
    output = given.output
    if output is None:
        output = pathlib.Path("runs" if given.run_dir is None else given.run_dir / "evaluation")
        output = output / f"comparison-{given.dataset}"
    paths = [output / name for name in ("figures.json", "curve.png", "joints.png")]
    summary = {"dataset": given.dataset, "results": figures}
    if len(figures) == 1:
        summary.update(*figures.values())
    curves = {
        f"{name}, {f['mean_error_mm']:.1f} mm": tuple(np.array(values) for values in f["curve"].values())
        for name, f in figures.items()
    }
    write_json(paths[0], summary)
    draw.error_curve(curves, paths[1])
    joints = list(next(iter(figures.values()))["per_joint_mm"])
    draw.grouped_joint_bars(joints, {name: list(f["per_joint_mm"].values()) for name, f in figures.items()}, paths[2])
    if given.json is not None:
        write_json(given.json, summary)
        paths.append(given.json)
    return paths
