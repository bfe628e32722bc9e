"""What `--dataset` can name: how each source of frames resolves to a store, and how that store is made.

A public dataset is a row of PUBLIC, and its module under `lsps_tf/datasets/public`. Anything else is an entry of
DATASETS: `resolve` is quick and says what is wrong with the options, `make` fills the store.
"""

from __future__ import annotations

import pathlib

from tqdm import tqdm

from lsps_tf.config import FIT, Config
from lsps_tf.datasets.public import icvl, nyu
from lsps_tf.datasets.simulated import ensure_store
from lsps_tf.datasets.simulator import DATASETS as SIMULATIONS
from lsps_tf.datasets.simulator import VERSIONS, Simulation
from lsps_tf.datasets.store import SUFFIXES, open_store, store_suffix
from lsps_tf.errors import InputError
from lsps_tf.run_folder import RunSettings
from lsps_tf.simulation.sensor import ALL_SENSORS
from lsps_tf.skeleton import SKELETONS
from training.data import own, public
from training.data.source import Dataset, Given, Source, shard_frames_of, show_progress, workers_of
from training.methods import DEFAULT, METHODS

DEFAULT_FRAMES = {
    "sim_synthetic_frames": public.SIMULATED_FRAMES,
    "sim_real_frames": 15_000,
    "sim_test_frames": 2_048,
}
SIMULATED_SPLITS = {
    "synthetic/train": "sim_synthetic_frames",
    "real/train": "sim_real_frames",
    "real/validation": "sim_test_frames",
    "real/test": "sim_test_frames",
}


def get_dataset(name: str) -> Dataset:
    """The dataset of that name, or the one that a store's path is; InputError for anything else."""
    if name in DATASETS:
        return DATASETS[name]
    if name.endswith(SUFFIXES):
        return Dataset(_resolve_store, _nothing_to_make)
    raise InputError(f"--dataset {name}: choose {choices()}")


def choices() -> str:
    """What `--dataset` takes, in words."""
    return f"{', '.join(DATASETS)} or the path of a store ({', '.join(SUFFIXES)})"


def _resolve_simulated(given: Given, config: Config) -> Source:
    simulation = _simulation(given, config)
    if given.get("stream"):
        _check_stream(given, config)
    suffix = store_suffix(shard_frames_of(given))
    path = simulation.store_path(given.get("data_root", "data"), suffix).resolve()
    frames = _simulated_frames(given)
    if given.get("stream"):
        frames = {split: count for split, count in frames.items() if not split.endswith("/train")}
    else:
        frames.setdefault(f"synthetic/{config.baselines.synthetic_part}", frames["synthetic/train"])
    num_joints = SKELETONS[simulation.skeleton].num_joints
    return Source(
        config.replace(num_joints=num_joints),
        path,
        simulation.skeleton,
        simulation.sensor,
        frames,
        centering=simulation.centering,
    )


def _check_stream(given: Given, config: Config) -> None:
    """InputError where an option asks for what frames without end do not have."""
    method = METHODS[given.get("method", DEFAULT)]
    for name in ("sim_synthetic_frames", "sim_real_frames", "shard_frames"):
        if name in given:
            raise InputError(f"--stream: its frames have no end; leave out --{name.replace('_', '-')}, or --stream")
    if given.get("workers") == 0:
        raise InputError("--workers 0: with --stream other processes simulate, at least 1")
    if method.needs_labels or given.get("labels", 0.0) > 0.0:
        option = f"--method {method.name}" if method.needs_labels else "--labels"
        raise InputError(f"--stream: {option} takes its real labels from a store; leave out --stream")
    if method.stages_with(config)[-1].startswith(FIT):
        raise InputError("--stream: rounds of fitting go over the frames of a store; leave out --stream")


def _simulated_frames(given: Given) -> dict[str, int]:
    frames = {name: given.get(name, count) for name, count in DEFAULT_FRAMES.items()}
    for name, count in frames.items():
        if count < 1:
            raise InputError(f"--{name.replace('_', '-')} {count}: at least one frame is needed")
    return {split: frames[name] for split, name in SIMULATED_SPLITS.items()}


def _make_simulated(given: Given, settings: RunSettings, run_dir: pathlib.Path) -> None:
    simulation = _simulation({**given, "sensor": settings.sensor, "skeleton": settings.skeleton}, settings.config)
    root = pathlib.Path(given.get("data_root", "data")).resolve()
    with tqdm(desc="simulate  ", unit="frame", mininterval=1.0) as bar:
        progress, workers = show_progress(bar), workers_of(given)
        ensure_store(simulation, root, settings.frames, progress, workers=workers, shard_frames=shard_frames_of(given))


def _simulation(given: Given, config: Config) -> Simulation:
    version = SIMULATIONS[given["dataset"]]
    return Simulation(
        sensor=given.get("sensor", ALL_SENSORS if version == VERSIONS[1] else "structured-light"),
        skeleton=given.get("skeleton", "nyu"),
        image_size=config.data.image_size,
        cube_mm=config.data.cube_mm,
        version=version,
    )


def _resolve_store(given: Given, config: Config) -> Source:
    dataset = given["dataset"]
    if "shard_frames" in given:
        raise InputError(f"--shard-frames {given['shard_frames']}: {dataset} is made already; leave the option out")
    with open_store(dataset) as store:
        if not any(store.splits().values()):
            raise InputError(f"{dataset}: the store holds no frames; give one that does")
        num_joints = store.info.skeleton.num_joints
        if given.get("num_joints", num_joints) != num_joints:
            raise InputError(f"--num-joints {given['num_joints']}: the store {dataset} has {num_joints}")
        split = next(split for split, count in store.splits().items() if count)
        cube_mm = float(store.column(split, "cube_mm")[0])
        changed = config.replace(num_joints=num_joints, cube_mm=cube_mm)
        centering = store.info.source.get("centering", "mass")
        return Source(changed, store.path.resolve(), store.info.skeleton.name, centering=centering)


def _nothing_to_make(given: Given, settings: RunSettings, run_dir: pathlib.Path) -> None:
    """A store that was given is whole."""


PUBLIC = {dataset.name: dataset for dataset in (nyu.DATASET, icvl.DATASET)}
DATASETS = {
    **dict.fromkeys(SIMULATIONS, Dataset(_resolve_simulated, _make_simulated)),
    **{name: public.public_source(dataset) for name, dataset in PUBLIC.items()},
    "frames": Dataset(own.resolve_frames, own.make_frames),
}
