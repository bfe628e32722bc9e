"""Public datasets: finds the folder, imports it into a store beside it, and reports on that."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from lsps_tf.config import Config
from lsps_tf.datasets.frame_sources import FrameSource
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.public.dataset import Chosen, PublicDataset
from lsps_tf.datasets.public.folders import find_folder
from lsps_tf.datasets.public.recording import Recording, check_recordings
from lsps_tf.datasets.public.source import RecordedSource
from lsps_tf.datasets.simulated import SimulatedSource
from lsps_tf.datasets.simulator import Simulation
from lsps_tf.datasets.store import is_store, open_store, store_suffix
from lsps_tf.datasets.store_parts import delete_parts
from lsps_tf.errors import InputError
from lsps_tf.files import check_writable, write_json
from lsps_tf.jobs import Workers
from lsps_tf.run_folder import RunSettings
from training.data.source import Dataset, Given, Source, shard_frames_of, show_progress, workers_of

SIMULATED_FRAMES = 20_000
# What `--synthetic` says for simulated frames in place of renderings.
SIMULATED = "sim"
_NAMED_BAD = 10


def public_source(dataset: PublicDataset) -> Dataset:
    """A public dataset as a choice of `--dataset`."""
    return Dataset(functools.partial(_resolve, dataset), functools.partial(_make, dataset))


def _resolve(dataset: PublicDataset, given: Given, config: Config) -> Source:
    layout = dataset.skeleton
    if given.get("rotated") and not dataset.has_rotated:
        raise InputError(f"--rotated: --dataset {dataset.name} has no rotated sequences; leave the option out")
    if given.get("num_joints", layout.num_joints) != layout.num_joints:
        raise InputError(f"--num-joints {given['num_joints']}: {dataset.name} has {layout.num_joints}")
    for option, least in (("limit", 2), ("sim_synthetic_frames", 1)):
        if given.get(option, least) < least:
            raise InputError(f"--{option.replace('_', '-')} {given[option]}: it must be at least {least}")
    config = config.replace(num_joints=layout.num_joints, cube_mm=given.get("cube_mm", dataset.cube_mm))
    directory = pathlib.Path(given["store_dir"]) if "store_dir" in given else _folder(dataset, given)
    store = (directory / _store_name(dataset, given, config)).resolve()
    if not is_store(store):
        check_writable(directory, "name a folder for the store with --store-dir")
    return Source(config, store, layout.name)


def _store_name(dataset: PublicDataset, given: Given, config: Config) -> str:
    parts = [dataset.version, f"{config.data.image_size}px", f"{config.data.cube_mm:g}mm"]
    synthetic = _synthetic(dataset, given)
    parts.append(f"with-{synthetic}" + (str(_simulated_frames(given)) if synthetic == SIMULATED else ""))
    parts += ["rotated"] if given.get("rotated") else []
    parts += ["centers"] if "centers" in given else []
    parts += [f"first{given['limit']}"] if "limit" in given else []
    return "-".join(parts) + store_suffix(shard_frames_of(given))


def _make(dataset: PublicDataset, given: Given, settings: RunSettings, run_dir: pathlib.Path) -> None:
    path, skip_bad = pathlib.Path(settings.store), given.get("skip_bad", False)
    data = settings.config.data
    source = _source(dataset, given)
    target = Target(
        path, dataset.skeleton.name, dataset.camera, data.image_size, data.cube_mm, source, shard_frames_of(given)
    )
    if is_store(path):
        _check_made(target, skip_bad)
    else:
        found = _recordings(dataset, given)
        check_recordings(found, skip_bad)
        sources: dict[str, FrameSource] = {
            split: RecordedSource(recording, data.cube_mm, data.image_size) for split, recording in found.items()
        }
        if "synthetic/train" not in sources:
            simulation = Simulation(dataset.sensor, dataset.skeleton.name, data.image_size, data.cube_mm)
            simulated = SimulatedSource(simulation, "synthetic/train", _simulated_frames(given))
            sources = {"synthetic/train": simulated, **sources}
        _import(target, sources, skip_bad, workers_of(given))
    delete_parts(path)
    _report(path, run_dir)


def _recordings(dataset: PublicDataset, given: Given) -> dict[str, Recording]:
    """The dataset's real splits, and the synthetic ones of its renderings where it learns from these."""
    limit = given.get("limit")
    chosen = Chosen(limit, given.get("centers"), given.get("rotated", False))
    real = dataset.recordings(_folder(dataset, given), chosen)
    if _synthetic(dataset, given) == SIMULATED:
        return real
    return {**dataset.renderings.recordings(_folder_of_renderings(dataset, given), limit), **real}


def _import(target: Target, sources: dict[str, FrameSource], skip_bad: bool, workers: Workers) -> None:
    bad: list[str] = []
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(_bar("import"))
        joining: list[Callable[[int, int], None]] = []

        def report_bad(text: str) -> None:
            bad.append(text)
            if len(bad) <= _NAMED_BAD:
                bar.write(f"unusable: {text}")
            bar.set_postfix(unusable=len(bad), refresh=False)

        def joined(done: int, total: int) -> None:
            if not joining:
                bar.refresh()
                joining.append(show_progress(stack.enter_context(_bar("join")), note=""))
            joining[0](done, total)

        import_store(target, sources, skip_bad, workers, show_progress(bar), report_bad, joined)


def _bar(name: str) -> tqdm:
    return tqdm(desc=f"{name:10s}", unit="frame", mininterval=1.0)


def _source(dataset: PublicDataset, given: Given) -> dict[str, Any]:
    """What fixes the store's content, but for the dataset's own files."""
    centers = pathlib.Path(given["centers"]) if "centers" in given else None
    if centers is not None and not centers.is_file():
        raise InputError(f"{centers}: there is no such file; --centers takes a published file of centres")
    return {
        "made_by": dataset.name,
        "version": dataset.version,
        "synthetic": _synthetic(dataset, given),
        "mirrored": dataset.mirrored,
        "rotated": given.get("rotated", False),
        "limit": given.get("limit"),
        "centers": hashlib.sha256(centers.read_bytes()).hexdigest()[:16] if centers else "joints' mean",
    }


def _check_made(target: Target, skip_bad: bool) -> None:
    with open_store(target.path) as store:
        made = store.info.source
    if any(made.get(key) != value for key, value in target.source.items()):
        raise InputError(f"{target.path}: this store was made with other options; delete it, or choose a --store-dir")
    count = sum(found["frames"] for found in made.get("skipped", {}).values())
    if count and not skip_bad:
        raise InputError(
            f"{target.path}: {count} unusable frames were left out of this store; go on with --skip-bad, or mend them "
            "and delete the store"
        )


def _report(path: pathlib.Path, run_dir: pathlib.Path) -> None:
    """Says what the store holds, and writes it to the run's folder."""
    with open_store(path) as store:
        splits, skipped = store.splits(), store.info.source.get("skipped", {})
    write_json(run_dir / "dataset.json", {"store": str(path), "frames": splits, "skipped": skipped})
    rows = [(split, count, skipped.get(split, {}).get("frames", 0)) for split, count in splits.items()]
    print(f"Store: {path}\n{tabulate(rows, ('split', 'frames', 'skipped'))}")


def _folder(dataset: PublicDataset, given: Given) -> pathlib.Path:
    return find_folder(dataset.layout, given.get("data_root"))


def _folder_of_renderings(dataset: PublicDataset, given: Given) -> pathlib.Path:
    """The folder with the renderings; --data-root names the dataset's own alone."""
    layout = dataset.renderings.layout
    return _folder(dataset, given) if layout == dataset.layout else find_folder(layout)


def _synthetic(dataset: PublicDataset, given: Given) -> str:
    """Where the frames with synthetic labels come from: what was asked for, or renderings where there are some."""
    renderings = dataset.renderings
    choices = [SIMULATED] if renderings is None else [renderings.layout.name, SIMULATED]
    if "synthetic" in given:
        if given["synthetic"] not in choices:
            raise InputError(
                f"--synthetic {given['synthetic']}: --dataset {dataset.name} learns from {' or '.join(choices)}"
            )
        return given["synthetic"]
    # Where a dataset's own renderings are missing, it is not whole, and the import says so.
    if renderings is None or renderings.layout == dataset.layout:
        return choices[0]
    try:
        return choices[0] if (_folder_of_renderings(dataset, given) / renderings.part).is_dir() else SIMULATED
    except InputError:
        return SIMULATED


def _simulated_frames(given: Given) -> int:
    return min(given.get("sim_synthetic_frames", SIMULATED_FRAMES), given.get("limit", SIMULATED_FRAMES))
