"""Training by fitting: what the simulator's hand says of the unlabelled frames becomes labels for a further round.

Not in the paper. A round fits the hand to the depth images from what the networks predict so far, keeps the frames that
are explained best, and `plan` trains the posterior stage on, with them as labelled frames (section 3.3). The shape of
each subject, or recording, is what its best fits of the round before agree on.
"""

from __future__ import annotations

import io
import math
import pathlib
import sys
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from lsps_tf import augment, crop
from lsps_tf.array_files import read_arrays
from lsps_tf.config import FIT
from lsps_tf.datasets.store import Store
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.fitting.jobs import BATCH, FitImages, FrameFits
from lsps_tf.fitting.to_depth import SIZE, FitSettings
from lsps_tf.jobs import HERE, Workers
from lsps_tf.networks import Networks
from lsps_tf.run_folder import RunSettings
from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS
from lsps_tf.skeleton import NYU, SKELETONS, joints_of
from training.data.source import show_progress

SPLIT = "real/train"
# Batches between two times that the fits so far are saved, and batches that take longer than a process takes to start.
_SAVED_EVERY = 20
_WORTH_A_PROCESS = 20
# How firmly a fit stays with the expected shape: the average hand's at first, then its subject's.
_SHAPE_WEIGHTS = (0.5, 2.0)
# The part of a subject's frames, the best explained, whose shapes count.
_BELIEVED = 0.4
# How far views of a frame are shifted, standard deviation per axis: as far as the augmentation of the training.
_VIEW_SHIFT_MM = 10.0


def fits_path(run_dir: pathlib.Path, stage: str) -> pathlib.Path:
    return run_dir / "fits" / f"{stage}.npz"


def fitted_frames(settings: RunSettings, store: Store) -> np.ndarray:
    """The frames of "real/train" that every round fits: at most `fit_frames` of the run's, evenly spread."""
    count = settings.frames.get(SPLIT, store.count(SPLIT))
    wanted = min(count, settings.config.training.fit_frames)
    return np.unique(np.linspace(0, count - 1, wanted).astype(np.int64))


def fit_frames(
    stage: str,
    settings: RunSettings,
    networks: Networks,
    store: Store,
    run_dir: pathlib.Path,
    workers: Workers = HERE,
) -> FrameFits:
    """Fits the round's frames, with a progress bar; goes on where it was stopped, and ends the same."""
    path, frames = fits_path(run_dir, stage), fitted_frames(settings, store)
    done = _read_own(path)
    if done is not None and len(done.joints_mm) == len(frames):
        return done
    parts = [] if done is None else [done]
    start = 0 if done is None else len(done.joints_mm)
    jobs = _fit_jobs(stage, settings, networks, store, run_dir, start)
    bar = tqdm(desc=f"{stage:<10}", unit="frame", mininterval=1.0)
    show = show_progress(bar)
    show(start, len(frames))
    try:
        with bar, workers.engine((len(frames) - start) // BATCH // _WORTH_A_PROCESS) as engine:
            for number, part in enumerate(engine.run(jobs), start=1):
                parts.append(part)
                show(bar.n + len(part.joints_mm), len(frames))
                if number % _SAVED_EVERY == 0:
                    _write(path, parts)
    finally:
        if parts:
            _write(path, parts)
    return _joined(parts)


def _fit_jobs(
    stage: str, settings: RunSettings, networks: Networks, store: Store, run_dir: pathlib.Path, start: int
) -> Iterator[FitImages]:
    """The jobs of a round's frames from number `start` on; the networks predict here."""
    frames, number = fitted_frames(settings, store), int(stage[len(FIT) :]) - 1
    fitting = FitSettings(shape_weight=_SHAPE_WEIGHTS[min(number, 1)])
    joints = tuple(joints_of(NYU, SKELETONS[settings.skeleton]))
    expected = expected_shapes(_fits_before(number, settings, run_dir), store.column(SPLIT, "subject")[frames])
    look = build_look(networks, settings, settings.config.training.fit_views)
    for first in range(start, len(frames), BATCH):
        rows = np.arange(first, min(first + BATCH, len(frames)))
        read = store.read(SPLIT, frames[rows])
        images, *predicted = (value.numpy() for value in look(*(read[name] for name in augment.IMAGE_COLUMNS)))
        predicted_mm, disagreement_mm = predicted
        seen = images, read["center_mm"], read["cube_mm"], predicted_mm
        yield FitImages(joints, fitting, *seen, expected[rows], first, disagreement_mm)


def kept_labels(
    settings: RunSettings, store: Store, fits: FrameFits, labelled: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The frames that a round draws from, and the joints [N, J, 3] of all N frames of the split that they stand in.

    Of the fitted frames the part `fit_agree` stays whose views agree best, and of these the part `fit_keep` that is
    explained best. Frames with labels of their own keep those. Each of them stands there as often as gives them
    `fit_label_share`.
    """
    frames, training = fitted_frames(settings, store), settings.config.training
    agreeing = _smallest(fits.disagreement_mm, training.fit_agree)
    best = agreeing[_smallest(fits.residual_mm[agreeing], training.fit_keep)]
    joints_mm = np.array(store.column(SPLIT, "joints_mm"))
    own = np.asarray(labelled, np.int64)
    labels_mm = joints_mm[own]
    joints_mm[:] = np.nan
    joints_mm[frames[best]] = fits.joints_mm[best]
    joints_mm[own] = labels_mm
    fitted = np.setdiff1d(frames[best], own)
    share = training.fit_label_share
    times = math.ceil(share / (1.0 - share) * len(fitted) / len(own)) if len(own) else 0
    return np.sort(np.concatenate([fitted, np.repeat(own, max(1, times))])), joints_mm


def _smallest(values: np.ndarray, part: float) -> np.ndarray:
    """The rows of the smallest values, a part of all and at least one."""
    return np.argsort(values, kind="stable")[: max(1, round(part * len(values)))]


def pack_fits(fits: FrameFits) -> bytes:
    """Fits as the bytes of an NPZ file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **fits._asdict())
    return buffer.getvalue()


def unpack_fits(content: bytes) -> FrameFits:
    """What `pack_fits` packed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return FrameFits(**{name: arrays[name] for name in FrameFits._fields})


def expected_shapes(fits: FrameFits | None, subjects: np.ndarray) -> np.ndarray:
    """Per frame [N, P] the median shape of its subject's best fits; zeros, the average hand, without fits."""
    if fits is None:
        return np.zeros([len(subjects), NUM_SHAPE_PARAMETERS], np.float32)
    expected = np.empty_like(fits.shape_parameters)
    for subject in np.unique(subjects):
        rows = np.flatnonzero(subjects == subject)
        best = rows[_smallest(fits.residual_mm[rows], _BELIEVED)]
        expected[rows] = np.median(fits.shape_parameters[best], axis=0)
    return expected


def build_look(networks: Networks, settings: RunSettings, views: int = 1) -> Callable:
    """From stored crops to the images [N, S, S] that a fit explains, the joints [N, J, 3] mm and their disagreement.

    The joints are the median of what P says of `views` views, turned and all but the first shifted. A single view is
    read as the deployed network does. The disagreement [N], mm, is the mean distance of the views' joints from it.
    """
    size = settings.config.data.image_size
    angles, shifts_mm = _views(views)

    def read(image):
        if views == 1:
            return networks.predict_joints(image, settings.domain)
        return networks.decode_pose(networks.predict_once(image, settings.domain))

    @tf.function(reduce_retracing=True)
    def look(depth_mm, center_mm, extent_mm, cube_mm):
        stored = depth_mm, center_mm, extent_mm, cube_mm
        count, seen_mm = tf.shape(depth_mm)[0], []
        for angle, shift_mm in zip(angles, shifts_mm):
            view = tf.fill([count], angle), tf.tile(shift_mm[None], [count, 1])
            joints = read(augment.view_crops(*stored, size, *view))
            seen_mm.append(crop.denormalize_joints(augment.turn_joints(joints, -view[0]), center_mm + view[1], cube_mm))
        images = augment.view_stored_crops(*stored, SIZE)[..., 0]
        return images, *_median_of_views(tf.stack(seen_mm))

    return look


def _views(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles [V] around the circle, and shifts [V, 3] mm of which the first is none."""
    shifts_mm = np.random.default_rng(0).normal(0.0, _VIEW_SHIFT_MM, [count, 3]).astype(np.float32)
    shifts_mm[0] = 0.0
    return np.linspace(0.0, 2.0 * np.pi, count, endpoint=False, dtype=np.float32), shifts_mm


def _median_of_views(joints: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The median [N, J, 3] of joints [V, N, J, 3], coordinate by coordinate, and their mean distance [N] from it."""
    ordered, views = tf.sort(joints, axis=0), joints.shape[0]
    median = 0.5 * (ordered[(views - 1) // 2] + ordered[views // 2])
    return median, tf.reduce_mean(tf.norm(joints - median, axis=-1), axis=[0, 2])


def _fits_before(number: int, settings: RunSettings, run_dir: pathlib.Path) -> FrameFits | None:
    """The round before's fits, of this run or of the one that it started from."""
    for folder in (run_dir, pathlib.Path(settings.pretrained)) if settings.pretrained else (run_dir,):
        fits = _read(fits_path(folder, f"{FIT}{number}"))
        if fits is not None:
            return fits
    return None


def _read(path: pathlib.Path) -> FrameFits | None:
    if not path.exists():
        return None
    return FrameFits(**read_arrays(path, FrameFits._fields))


def _read_own(path: pathlib.Path) -> FrameFits | None:
    """The round's fits so far; none, with a line, where they are damaged: they can be made again."""
    try:
        return _read(path)
    except InputError as error:
        print(f"{error}; they are made again", file=sys.stderr)
        return None


def _joined(parts: list[FrameFits]) -> FrameFits:
    return FrameFits(*(np.concatenate(values) for values in zip(*parts)))


def _write(path: pathlib.Path, parts: list[FrameFits]) -> None:
    parts[:] = [_joined(parts)]
    with atomic_path(path) as partial:
        partial.write_bytes(pack_fits(parts[0]))
