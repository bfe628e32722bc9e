"""Pictures of what a run predicts: the best, median and worst frames, and frames without labels."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from PIL import Image

from lsps_tf import camera, crop, draw
from lsps_tf.augment import IMAGE_COLUMNS, view_stored_crops
from lsps_tf.datasets.store import open_store
from lsps_tf.files import atomic_path, write_json
from lsps_tf.run_folder import Run
from lsps_tf.skeleton import Skeleton, joints_of
from training.evaluation.measure import (
    Predictions,
    build_predict,
    evaluated_errors_mm,
)

FRAMES_PER_ROW, UNLABELLED_FRAMES = 5, 20


def draw_frames(run: Run, split: str, predictions: Predictions, skeleton: Skeleton | None = None) -> Image.Image:
    """The best, the median and the worst frames as the network sees them, with prediction and label.

    `skeleton` is that of the predictions, None for the run's.
    """
    mean_mm = evaluated_errors_mm(predictions, skeleton or run.skeleton).mean(axis=1)
    order = np.argsort(mean_mm, kind="stable")
    columns = min(FRAMES_PER_ROW, len(order))
    middle = (len(order) - columns) // 2
    groups = {"best": order[:columns], "median": order[middle : middle + columns], "worst": order[-columns:]}
    chosen = np.concatenate(list(groups.values()))
    with open_store(run.store_path) as store:
        frames = store.read(f"real/{split}", predictions.rows[chosen])
    titles = [f"{name}: frame {predictions.rows[i]}, {mean_mm[i]:.1f} mm" for name in groups for i in groups[name]]
    images = _overlays(run, frames, predictions.predicted_mm[chosen], skeleton or run.skeleton)
    return draw.contact_sheet(images, titles, columns)


def draw_unlabelled(run: Run) -> Image.Image:
    """What a run makes of frames, evenly spread, that it was trained on without labels."""
    with open_store(run.store_path) as store:
        count = run.settings.frames.get("real/train", store.count("real/train"))
        chosen = np.unique(np.linspace(0, count - 1, UNLABELLED_FRAMES).astype(int))
        frames = store.read("real/train", chosen)
    predicted_mm = build_predict(run)(*(frames[name] for name in IMAGE_COLUMNS)).numpy()
    titles = [f"frame {number}" for number in frames["frame"]]
    return draw.contact_sheet(_overlays(run, frames, predicted_mm, run.skeleton), titles, FRAMES_PER_ROW)


def _overlays(
    run: Run, frames: dict[str, np.ndarray], predicted_mm: np.ndarray, skeleton: Skeleton
) -> list[Image.Image]:
    stored = [frames[name] for name in IMAGE_COLUMNS]
    image = view_stored_crops(*stored, run.config.data.image_size).numpy()[..., 0]
    half_mm = 0.5 * frames["cube_mm"][:, None, None]
    depth_mm = np.where(image < 1.0, image * half_mm + frames["center_mm"][:, 2, None, None], 0.0)
    intrinsics = crop.crop_intrinsics(frames["center_mm"], frames["cube_mm"], image.shape[1]).numpy()[:, None, :]
    predicted_uv = camera.mm_to_uvd(predicted_mm, intrinsics)[..., :2]
    true_mm = frames["joints_mm"][:, list(joints_of(run.skeleton, skeleton))]
    true_uv = camera.mm_to_uvd(true_mm, intrinsics)[..., :2]
    return [draw.overlay(d, p, skeleton, t) for d, p, t in zip(depth_mm, predicted_uv, true_uv)]


def evaluation_paths(output: pathlib.Path, split: str) -> list[pathlib.Path]:
    """The files of a split's evaluation: the figures, the curve, the joints' bars and the frames."""
    return [output / f"{split}{end}" for end in (".json", "-curve.png", "-joints.png", "-frames.png")]


def write_evaluation(
    run: Run,
    split: str,
    predictions: Predictions,
    figures: dict[str, Any],
    output: pathlib.Path,
    skeleton: Skeleton | None = None,
) -> list[pathlib.Path]:
    """Writes the figures, both plots and the picture of frames into a folder; returns their paths.

    `skeleton` is that of the predictions. None is the run's; figures of another are files of their own.
    """
    name = split if skeleton in (None, run.skeleton) else f"{split}-{skeleton.name}"
    paths = evaluation_paths(output, name)
    write_json(paths[0], figures)
    curve = (np.array(figures["curve"]["thresholds_mm"]), np.array(figures["curve"]["percent"]))
    draw.error_curve({f"{run.settings.method}, area {figures['auc']:.3f}": curve}, paths[1])
    draw.joint_bars(list(figures["per_joint_mm"]), list(figures["per_joint_mm"].values()), paths[2])
    picture = draw_frames(run, split, predictions, skeleton)
    with atomic_path(paths[3]) as partial:
        picture.save(partial, format="PNG")
    return paths
