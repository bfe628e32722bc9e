"""Evaluates a finished run on the labelled frames of its store: predicts, measures, and draws what it saw.

With `--predictions` it measures published results instead, beside the run's where one is given (see `comparison`).
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import tensorflow as tf
from PIL import Image
from tabulate import tabulate
from tqdm import tqdm

from lsps_tf import augment, camera, crop, draw, metrics
from lsps_tf.datasets.store import Store, open_store
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, write_json
from lsps_tf.prediction_files import write_joints_uvd
from lsps_tf.run_folder import Run, load_run
from lsps_tf.skeleton import Skeleton
from training.arguments import Parser

SPLITS = ("test", "validation")
TABLE_MM = tuple(range(10, 90, 10))
FRAMES_PER_ROW, UNLABELLED_FRAMES = 5, 20
PredictJoints = Optional[Callable[[tf.Tensor], tf.Tensor]]


def run_evaluation(arguments: list[str]) -> int:
    """Runs `training/evaluate.py`. Returns the exit status 0; InputError where something given is wrong."""
    given = _build_parser().parse_args(arguments)
    if given.batch < 1:
        raise InputError(f"--batch {given.batch}: at least one frame is needed")
    if given.predictions:
        from training.comparison import compare_results

        return compare_results(given)
    if given.run_dir is None:
        raise InputError("--run-dir is needed, or --predictions with files of published results")
    run = load_run(given.run_dir)
    output = given.output if given.output is not None else given.run_dir / "evaluation"
    if run.settings.dataset == "frames" and not run.settings.frames.get(f"real/{given.split}"):
        return _show_unlabelled(run, given, output)
    predictions = predict_store(run, given.split, given.batch)
    figures = summarize(predictions, run.skeleton)
    print(format_figures(figures))
    paths = write_evaluation(run, given.split, predictions, figures, output)
    if given.write_predictions is not None:
        write_predictions(run, given.split, predictions, given.write_predictions)
        paths.append(given.write_predictions)
    if given.json is not None:
        write_json(given.json, figures)
        paths.append(given.json)
    print("Written: " + "\n         ".join(str(path) for path in paths))
    return 0


@dataclasses.dataclass(frozen=True)
class Predictions:
    """A split's labelled frames and what a run makes of them.

    Attributes:
        rows: int64 [N], the frames' places in the split.
        predicted_mm: float32 [N, J, 3] camera space, mm.
        true_mm: float32 [N, J, 3]; only joints that are not evaluated may be NaN.
    """

    rows: np.ndarray
    predicted_mm: np.ndarray
    true_mm: np.ndarray


def evaluate_run(run: Run, split: str = "test", batch: int = 64) -> dict[str, Any]:
    """Figures of a run on "real/<split>" of its store; see `summarize` and, for what it raises, `predict_store`."""
    return summarize(predict_store(run, split, batch), run.skeleton)


def predict_store(run: Run, split: str = "test", batch: int = 64, predict_joints: PredictJoints = None) -> Predictions:
    """Predicts every labelled frame of "real/<split>" in batches, with a progress bar.

    Args:
        run: whose frames, and whose network unless `predict_joints` is given.
        split: "test" or "validation".
        batch: frames at a time.
        predict_joints: from images [B, S, S, 1] in [-1, 1] to joints [B, J, 3] in half cubes.

    Raises:
        InputError: where the store or the split is missing, its skeleton is not the run's, no frame has labels, or the
            predictions are not finite.
    """
    with open_store(run.store_path) as store:
        rows = _labelled_rows(store, run, split)
        predict = _build_predict(run, predict_joints)
        predicted = []
        with tqdm(total=len(rows), desc="evaluate  ", unit="frame", mininterval=1.0) as bar:
            for part in np.split(rows, range(batch, len(rows), batch)):
                frames = store.read(f"real/{split}", part)
                predicted.append(predict(*(frames[name] for name in _INPUTS)).numpy())
                bar.update(len(part))
        true_mm = store.column(f"real/{split}", "joints_mm")[rows]
    predicted_mm = np.concatenate(predicted)
    if not np.isfinite(predicted_mm).all():
        raise InputError(f"{run.directory}: the run predicts joints that are no numbers; train again, more slowly")
    return Predictions(rows, predicted_mm, true_mm)


def summarize(predictions: Predictions, skeleton: Skeleton) -> dict[str, Any]:
    """The figures of predictions, over the skeleton's evaluated joints.

    Returns:
        Ready for JSON: `frames`, `mean_error_mm`, `within_40_mm_percent`, `auc` (0 to 1, over 0 to 80 mm),
        `per_joint_mm` by the joints' names, and `curve` with `thresholds_mm` and `percent`.
    """
    return error_figures(evaluated_errors_mm(predictions, skeleton), skeleton)


def error_figures(errors_mm: np.ndarray, skeleton: Skeleton) -> dict[str, Any]:
    """The figures of errors [N, E] in mm of the skeleton's evaluated joints, as `summarize` returns them."""
    names = [skeleton.joint_names[joint] for joint in skeleton.evaluated]
    return {
        "frames": len(errors_mm),
        "mean_error_mm": metrics.mean_joint_error_mm(errors_mm),
        "within_40_mm_percent": float(metrics.frames_within_percent(errors_mm, 40.0)),
        "auc": metrics.area_under_curve(errors_mm),
        "per_joint_mm": dict(zip(names, metrics.per_joint_error_mm(errors_mm).tolist())),
        "curve": {
            "thresholds_mm": metrics.CURVE_MM.tolist(),
            "percent": metrics.frames_within_percent(errors_mm).tolist(),
        },
    }


def format_figures(figures: dict[str, Any]) -> str:
    """The figures of `summarize` as two tables."""
    percent = np.interp(TABLE_MM, figures["curve"]["thresholds_mm"], figures["curve"]["percent"])
    overall = [
        ("frames", str(figures["frames"])),
        ("mean joint error", f"{figures['mean_error_mm']:.2f} mm"),
        *((f"frames with all joints within {d} mm", f"{share:.2f} %") for d, share in zip(TABLE_MM, percent)),
        (f"area under that curve, 0 to {metrics.CURVE_MM[-1]:.0f} mm", f"{figures['auc']:.4f}"),
    ]
    joints = [(name.replace("_", " "), f"{error_mm:.2f} mm") for name, error_mm in figures["per_joint_mm"].items()]
    tables = (("figure", "value", overall), ("joint", "mean error", joints))
    return "\n\n".join(tabulate(rows, (left, right), colalign=("left", "right")) for left, right, rows in tables) + "\n"


def evaluated_errors_mm(predictions: Predictions, skeleton: Skeleton) -> np.ndarray:
    """Errors [N, E] in mm of the E joints that the field's metrics use."""
    evaluated = list(skeleton.evaluated)
    return metrics.joint_errors_mm(predictions.predicted_mm[:, evaluated], predictions.true_mm[:, evaluated])


def as_recorded(store: Store, joints_mm: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Joints [N, J, 3] of a store's space in the space of its camera: mirrored back where the store is mirrored.

    Its source says so for the whole store, or names the subjects [N] that are.
    """
    mirrored = store.info.source.get("mirrored", False)
    chosen = np.full(len(joints_mm), mirrored) if isinstance(mirrored, bool) else np.isin(subjects, mirrored)
    return np.where(chosen[:, None, None], joints_mm * [-1.0, 1.0, 1.0], joints_mm)


def write_predictions(run: Run, split: str, predictions: Predictions, path: pathlib.Path) -> None:
    """Writes the evaluated joints in the published layout, a row per frame in the order of the dataset.

    Raises:
        InputError: where frames between the first and the last are missing, since rows are told apart by their place.
    """
    with open_store(run.store_path) as store:
        numbers = store.column(f"real/{split}", "frame")[predictions.rows]
        if np.any(np.diff(np.sort(numbers)) != 1):
            raise InputError(
                f"{store.path}: frames of 'real/{split}' were left out, so that --write-predictions would shift the "
                "rows of a comparison; import all of them"
            )
        evaluated_mm = predictions.predicted_mm[:, list(run.skeleton.evaluated)].astype(np.float64)
        intrinsics = store.info.camera.intrinsics.astype(np.float64)
        subjects = store.column(f"real/{split}", "subject")[predictions.rows]
        joints_uvd = camera.mm_to_uvd(as_recorded(store, evaluated_mm, subjects), intrinsics)
    write_joints_uvd(path, joints_uvd[np.argsort(numbers)])


def draw_frames(run: Run, split: str, predictions: Predictions) -> Image.Image:
    """The best, the median and the worst frames as the network sees them, with prediction and label."""
    mean_mm = evaluated_errors_mm(predictions, run.skeleton).mean(axis=1)
    order = np.argsort(mean_mm, kind="stable")
    columns = min(FRAMES_PER_ROW, len(order))
    middle = (len(order) - columns) // 2
    groups = {"best": order[:columns], "median": order[middle : middle + columns], "worst": order[-columns:]}
    chosen = np.concatenate(list(groups.values()))
    with open_store(run.store_path) as store:
        frames = store.read(f"real/{split}", predictions.rows[chosen])
    titles = [f"{name}: frame {predictions.rows[i]}, {mean_mm[i]:.1f} mm" for name in groups for i in groups[name]]
    images = _overlays(run, frames, predictions.predicted_mm[chosen])
    return draw.contact_sheet(images, titles, columns)


def write_evaluation(
    run: Run, split: str, predictions: Predictions, figures: dict[str, Any], output: pathlib.Path
) -> list[pathlib.Path]:
    """Writes the figures, both plots and the picture of frames into a folder; returns their paths."""
    paths = [output / f"{split}{end}" for end in (".json", "-curve.png", "-joints.png", "-frames.png")]
    write_json(paths[0], figures)
    curve = (np.array(figures["curve"]["thresholds_mm"]), np.array(figures["curve"]["percent"]))
    draw.error_curve({f"{run.settings.method}, area {figures['auc']:.3f}": curve}, paths[1])
    draw.joint_bars(list(figures["per_joint_mm"]), list(figures["per_joint_mm"].values()), paths[2])
    picture = draw_frames(run, split, predictions)
    with atomic_path(paths[3]) as partial:
        picture.save(partial, format="PNG")
    return paths


def draw_unlabelled(run: Run) -> Image.Image:
    """What a run makes of frames, evenly spread, that it was trained on without labels."""
    with open_store(run.store_path) as store:
        count = run.settings.frames.get("real/train", store.count("real/train"))
        chosen = np.unique(np.linspace(0, count - 1, UNLABELLED_FRAMES).astype(int))
        frames = store.read("real/train", chosen)
    predicted_mm = _build_predict(run)(*(frames[name] for name in _INPUTS)).numpy()
    titles = [f"frame {number}" for number in frames["frame"]]
    return draw.contact_sheet(_overlays(run, frames, predicted_mm), titles, FRAMES_PER_ROW)


def _show_unlabelled(run: Run, given: argparse.Namespace, output: pathlib.Path) -> int:
    """What is left to do for a recording without labels to measure on."""
    if given.json is not None or given.write_predictions is not None:
        raise InputError(
            f"{run.store_path}: the recording has no labelled frames to {given.split} on, so leave out --json and "
            "--write-predictions, or label some in joints.csv"
        )
    path = output / "unlabelled-frames.png"
    with atomic_path(path) as partial:
        draw_unlabelled(run).save(partial, format="PNG")
    print(
        f"The recording has no labelled frames to {given.split} on, so there is nothing to measure.\n"
        f"Look at what the run sees in it: {path}"
    )
    return 0


_INPUTS = ("depth_mm", "center_mm", "extent_mm", "cube_mm")


def _build_parser() -> Parser:
    parser = Parser(
        prog="evaluate.py",
        description="Measure a finished run on frames with labels, or published predictions beside it.",
        allow_abbrev=False,
    )
    path = {"type": pathlib.Path, "metavar": "FILE"}
    parser.add_argument("--run-dir", type=pathlib.Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which frames (default: test)")
    parser.add_argument("--write-predictions", help="write the run's predictions here in the published layout", **path)
    parser.add_argument("--predictions", nargs="+", help="published predictions to measure, `u v d` per joint", **path)
    parser.add_argument("--dataset", choices=("nyu", "icvl"), help="of the published predictions")
    parser.add_argument("--groundtruth", help="their labels, same layout (default: the dataset's own)", **path)
    parser.add_argument("--data-root", metavar="DIR", help="the dataset's folder (default: data/NAME, $LSPS_DATA/NAME)")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="DIR",
        help="default: evaluation/ in the run's folder, or runs/comparison-DATASET without a run",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="frames at a time (default: 64)")
    return parser


def _labelled_rows(store: Store, run: Run, split: str) -> np.ndarray:
    if store.info.skeleton.name != run.skeleton.name:
        raise InputError(
            f"{store.path}: its skeleton is {store.info.skeleton.name}, the run's is {run.skeleton.name}; "
            "give a run that was trained on this store"
        )
    # The run's own frames: another run may have made the store grow since.
    count = run.settings.frames.get(f"real/{split}")
    joints_mm = store.column(f"real/{split}", "joints_mm")[:count, list(run.skeleton.evaluated)]
    rows = np.flatnonzero(np.isfinite(joints_mm).all(axis=(1, 2)))
    if not len(rows):
        raise InputError(f"{store.path}: no frame of 'real/{split}' has labels to compare with; choose another split")
    return rows


def _view(run: Run, depth_mm: tf.Tensor, center_mm: tf.Tensor, extent_mm: tf.Tensor, cube_mm: tf.Tensor) -> tf.Tensor:
    """The network's images [B, S, S, 1] of stored crops, without augmentation."""
    size = run.config.data.image_size
    angle, shift_mm = tf.zeros_like(cube_mm), tf.zeros_like(center_mm)
    return augment.view_crops(depth_mm, center_mm, extent_mm, cube_mm, size, angle, shift_mm)


def _build_predict(run: Run, predict_joints: PredictJoints = None) -> Any:
    predict_joints = predict_joints or (lambda image: run.networks.predict_joints(image, run.domain))
    shapes = {"depth_mm": [None, None, None], "center_mm": [None, 3]}

    @tf.function(input_signature=[tf.TensorSpec(shapes.get(name, [None]), tf.float32) for name in _INPUTS])
    def predict(depth_mm: tf.Tensor, center_mm: tf.Tensor, extent_mm: tf.Tensor, cube_mm: tf.Tensor) -> tf.Tensor:
        image = _view(run, depth_mm, center_mm, extent_mm, cube_mm)
        return crop.denormalize_joints(predict_joints(image), center_mm, cube_mm)

    return predict


def _overlays(run: Run, frames: dict[str, np.ndarray], predicted_mm: np.ndarray) -> list[Image.Image]:
    image = _view(run, *(tf.constant(frames[name]) for name in _INPUTS)).numpy()[..., 0]
    half_mm = 0.5 * frames["cube_mm"][:, None, None]
    depth_mm = np.where(image < 1.0, image * half_mm + frames["center_mm"][:, 2, None, None], 0.0)
    intrinsics = crop.crop_intrinsics(frames["center_mm"], frames["cube_mm"], image.shape[1]).numpy()[:, None, :]
    predicted_uv = camera.mm_to_uvd(predicted_mm, intrinsics)[..., :2]
    true_uv = camera.mm_to_uvd(frames["joints_mm"], intrinsics)[..., :2]
    return [draw.overlay(d, p, run.skeleton, t) for d, p, t in zip(depth_mm, predicted_uv, true_uv)]
