"""The figures of a run: predicts the labelled frames of its store and measures the joints' errors."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np
import tensorflow as tf
from tabulate import tabulate
from tqdm import tqdm

from lsps_tf import camera, metrics, rotation
from lsps_tf.augment import IMAGE_COLUMNS, view_stored_crops
from lsps_tf.datasets.store import Store, open_store
from lsps_tf.errors import InputError
from lsps_tf.prediction_files import write_joints_uvd
from lsps_tf.predictor import Predictor, predictor_of_run
from lsps_tf.run_folder import Run, RunSettings
from lsps_tf.skeleton import Skeleton, joints_of

PredictJoints = Optional[Callable[[tf.Tensor], tf.Tensor]]


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


def predict_store(
    run: Run,
    split: str = "test",
    batch: int = 64,
    predict_joints: PredictJoints = None,
    skeleton: Skeleton | None = None,
) -> Predictions:
    """Predicts every labelled frame of "real/<split>" in batches, with a progress bar.

    Args:
        run: whose frames, and whose network unless `predict_joints` is given.
        split: "test" or "validation".
        batch: frames at a time.
        predict_joints: from images [B, S, S, 1] in [-1, 1] to joints [B, J, 3] in half cubes.
        skeleton: whose joints come out, and whose evaluated joints a frame needs; None for the run's.

    Raises:
        InputError: where the store or the split is missing, its skeleton is not the run's, no frame has labels, or the
            predictions are not finite.
    """
    skeleton = skeleton or run.skeleton
    chosen = np.array(joints_of(run.skeleton, skeleton))
    with open_store(run.store_path) as store:
        rows = labelled_rows(store, run.settings, split, chosen[list(skeleton.evaluated)])
        if not len(rows):
            raise InputError(
                f"{store.path}: no frame of 'real/{split}' has labels to compare with; choose another split, or "
                "--joints 21 where those are labelled"
            )
        predict = build_predict(run, predict_joints)
        predicted = []
        with tqdm(total=len(rows), desc="evaluate  ", unit="frame", mininterval=1.0) as bar:
            for part in np.split(rows, range(batch, len(rows), batch)):
                frames = store.read(f"real/{split}", part)
                predicted.append(predict(*(frames[name] for name in IMAGE_COLUMNS)).numpy())
                bar.update(len(part))
        true_mm = store.column(f"real/{split}", "joints_mm")[rows]
    predicted_mm = np.concatenate(predicted)
    if not np.isfinite(predicted_mm).all():
        raise InputError(f"{run.directory}: the run predicts joints that are no numbers; train again, more slowly")
    return Predictions(rows, predicted_mm[:, chosen], true_mm[:, chosen])


def has_labels(settings: RunSettings, split: str = "test") -> bool:
    """Whether a run's store has frames of "real/<split>" to measure the run on."""
    if not settings.frames.get(f"real/{split}"):
        return False
    with open_store(settings.store) as store:
        return len(labelled_rows(store, settings, split, store.info.skeleton.evaluated)) > 0


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


def evaluated_errors_mm(predictions: Predictions, skeleton: Skeleton) -> np.ndarray:
    """Errors [N, E] in mm of the E joints that the field's metrics use."""
    evaluated = list(skeleton.evaluated)
    return metrics.joint_errors_mm(predictions.predicted_mm[:, evaluated], predictions.true_mm[:, evaluated])


def as_recorded(store: Store, joints_mm: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Joints [N, J, 3] of a store's space in the space of the camera that took them: mirrored and turned back.

    The store's source says whether it is mirrored, or which subjects [N] are, and how far its frames are turned.
    """
    mirrored = store.info.source.get("mirrored", False)
    chosen = np.full(len(joints_mm), mirrored) if isinstance(mirrored, bool) else np.isin(subjects, mirrored)
    upright_mm = np.where(chosen[:, None, None], joints_mm * [-1.0, 1.0, 1.0], joints_mm)
    return rotation.rotate_points(upright_mm, rotation.opposite(store.info.source.get("rotation_degrees", 0)))


def recording_camera(store: Store) -> camera.Camera:
    """The camera that took a store's frames, which are kept upright."""
    degrees = store.info.source.get("rotation_degrees", 0)
    return rotation.rotate_camera(store.info.camera, rotation.opposite(degrees))


def labelled_rows(store: Store, settings: RunSettings, split: str, needed: Sequence[int]) -> np.ndarray:
    """The frames whose `needed` joints have labels."""
    if store.info.skeleton.name != settings.skeleton:
        raise InputError(
            f"{store.path}: its skeleton is {store.info.skeleton.name}, the run's is {settings.skeleton}; "
            "give a run that was trained on this store"
        )
    # The run's own frames: another run may have made the store grow since.
    count = settings.frames.get(f"real/{split}")
    joints_mm = store.column(f"real/{split}", "joints_mm")[:count, list(needed)]
    return np.flatnonzero(np.isfinite(joints_mm).all(axis=(1, 2)))


def build_predict(run: Run, predict_joints: PredictJoints = None) -> Callable[..., tf.Tensor]:
    """A function of the columns `IMAGE_COLUMNS` of stored crops that gives their joints [B, J, 3] in mm.

    It is the run's predictor. With `predict_joints` that stands in place of the run's network.
    """
    predictor = predictor_of_run(run)
    if predict_joints is not None:
        predictor = Predictor(predict_joints, predictor.image_size, predictor.cube_mm, predictor.skeleton)
    shapes = {"depth_mm": [None, None, None], "center_mm": [None, 3]}

    @tf.function(input_signature=[tf.TensorSpec(shapes.get(name, [None]), tf.float32) for name in IMAGE_COLUMNS])
    def predict(depth_mm: tf.Tensor, center_mm: tf.Tensor, extent_mm: tf.Tensor, cube_mm: tf.Tensor) -> tf.Tensor:
        image = view_stored_crops(depth_mm, center_mm, extent_mm, cube_mm, predictor.image_size)
        return predictor.predict_placed_crops(image, center_mm, cube_mm)["joints_mm"]

    return predict


TABLE_MM = tuple(range(10, 90, 10))


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
        intrinsics = recording_camera(store).intrinsics.astype(np.float64)
        subjects = store.column(f"real/{split}", "subject")[predictions.rows]
        joints_uvd = camera.mm_to_uvd(as_recorded(store, evaluated_mm, subjects), intrinsics)
    write_joints_uvd(path, joints_uvd[np.argsort(numbers)])
