"""`--dataset nyu` and `--dataset icvl`: finds the folder, imports it into a store beside it, and reports on that."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from lsps_tf import camera, skeleton
from lsps_tf.config import Config
from lsps_tf.datasets.public import icvl, nyu
from lsps_tf.datasets.public.folders import find_folder
from lsps_tf.datasets.frame_sources import FrameSource
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.store_parts import delete_parts
from lsps_tf.datasets.public.source import RecordedSource
from lsps_tf.datasets.public.recording import Recording, check_recordings
from lsps_tf.datasets.simulated import SimulatedSource, Simulation
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.files import write_json
from lsps_tf.run_folder import RunSettings
from training.data.source import Given, Source, show_progress

SIMULATED_FRAMES = 20_000
_MODULES = {"nyu": nyu, "icvl": icvl}
_SENSORS = {"nyu": "structured-light", "icvl": "time-of-flight"}
_NAMED_BAD = 10


def resolve_nyu(given: Given, config: Config) -> Source:
    """The store of `--dataset nyu`."""
    if given.get("rotated"):
        raise InputError("--rotated: only --dataset icvl has rotated sequences")
    return _resolve("nyu", given, config)


def make_nyu(given: Given, settings: RunSettings, run_dir: pathlib.Path) -> None:
    """Imports NYU's real frames, with its own synthetic ones or simulated ones."""
    folder, limit, centers = _folder("nyu", given), given.get("limit"), given.get("centers")
    own = _synthetic("nyu", given) == "nyu"
    _make("nyu", given, settings, run_dir, lambda: nyu.recordings(folder, limit, centers, synthetic=own))


def resolve_icvl(given: Given, config: Config) -> Source:
    """The store of `--dataset icvl`."""
    return _resolve("icvl", given, config)


def make_icvl(given: Given, settings: RunSettings, run_dir: pathlib.Path) -> None:
    """Imports ICVL's frames, with NYU's synthetic ones where they are (as in section 5) or simulated ones."""
    folder, limit = _folder("icvl", given), given.get("limit")

    def recordings() -> dict[str, Recording]:
        real = icvl.recordings(folder, limit, given.get("centers"), given.get("rotated", False))
        if _synthetic("icvl", given) == "sim":
            return real
        return {**nyu.synthetic_recordings(_nyu_folder(), skeleton.ICVL_FROM_NYU, limit), **real}

    _make("icvl", given, settings, run_dir, recordings)


def _resolve(name: str, given: Given, config: Config) -> Source:
    layout = skeleton.SKELETONS[name]
    if given.get("num_joints", layout.num_joints) != layout.num_joints:
        raise InputError(f"--num-joints {given['num_joints']}: {name} has {layout.num_joints}")
    for option, least in (("limit", 2), ("workers", 0), ("sim_synthetic_frames", 1)):
        if given.get(option, least) < least:
            raise InputError(f"--{option.replace('_', '-')} {given[option]}: it must be at least {least}")
    config = config.replace(num_joints=layout.num_joints, cube_mm=given.get("cube_mm", _MODULES[name].CUBE_MM))
    directory = pathlib.Path(given["store_dir"]) if "store_dir" in given else _folder(name, given)
    return Source(config, (directory / _store_name(name, given, config)).resolve(), layout.name)


def _store_name(name: str, given: Given, config: Config) -> str:
    parts = [_MODULES[name].VERSION, f"{config.data.image_size}px", f"{config.data.cube_mm:g}mm"]
    synthetic = _synthetic(name, given)
    parts.append(f"with-{synthetic}" + (str(_simulated_frames(given)) if synthetic == "sim" else ""))
    parts += ["rotated"] if given.get("rotated") else []
    parts += ["centers"] if "centers" in given else []
    parts += [f"first{given['limit']}"] if "limit" in given else []
    return "-".join(parts) + ".h5"


def _make(name: str, given: Given, settings: RunSettings, run_dir: pathlib.Path, recordings: Any) -> None:
    path, skip_bad = pathlib.Path(settings.store), given.get("skip_bad", False)
    data = settings.config.data
    target = Target(path, name, camera.CAMERAS[name], data.image_size, data.cube_mm, _source(name, given))
    if path.exists():
        _check_made(target, skip_bad)
    else:
        found = recordings()
        check_recordings(found, skip_bad)
        sources: dict[str, FrameSource] = {
            split: RecordedSource(recording, data.cube_mm, data.image_size) for split, recording in found.items()
        }
        if "synthetic/train" not in sources:
            simulation = Simulation(_SENSORS[name], name, data.image_size, data.cube_mm)
            simulated = SimulatedSource(simulation, "synthetic/train", _simulated_frames(given))
            sources = {"synthetic/train": simulated, **sources}
        _import(target, sources, skip_bad, given.get("workers"))
    delete_parts(path)
    _report(path, run_dir)


def _import(target: Target, sources: dict[str, FrameSource], skip_bad: bool, workers: int | None) -> None:
    bad: list[str] = []
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(_bar("import"))
        join_bars: list[tqdm] = []

        def report_bad(text: str) -> None:
            bad.append(text)
            if len(bad) <= _NAMED_BAD:
                bar.write(f"unusable: {text}")
            bar.set_postfix(unusable=len(bad), refresh=False)

        def joined(done: int, total: int) -> None:
            if not join_bars:
                bar.refresh()
                join_bars.append(stack.enter_context(_bar("join")))
            show_progress(join_bars[0])(done, total)

        import_store(target, sources, skip_bad, workers, show_progress(bar), report_bad, joined)


def _bar(name: str) -> tqdm:
    return tqdm(desc=f"{name:10s}", unit="frame", mininterval=1.0)


def _source(name: str, given: Given) -> dict[str, Any]:
    """What fixes the store's content, but for the dataset's own files."""
    centers = pathlib.Path(given["centers"]) if "centers" in given else None
    if centers is not None and not centers.is_file():
        raise InputError(f"{centers}: there is no such file; --centers takes a published file of centres")
    return {
        "made_by": name,
        "version": _MODULES[name].VERSION,
        "synthetic": _synthetic(name, given),
        "mirrored": name == "icvl",
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


def _folder(name: str, given: Given) -> pathlib.Path:
    return find_folder(_MODULES[name].LAYOUT, given.get("data_root"))


def _nyu_folder() -> pathlib.Path:
    return find_folder(nyu.LAYOUT)


def _synthetic(name: str, given: Given) -> str:
    """Where the frames with synthetic labels come from: what was asked for, or NYU's where they are."""
    if "synthetic" in given:
        return given["synthetic"]
    if name == "nyu":
        return "nyu"
    try:
        return "nyu" if (_nyu_folder() / "train").is_dir() else "sim"
    except InputError:
        return "sim"


def _simulated_frames(given: Given) -> int:
    return min(given.get("sim_synthetic_frames", SIMULATED_FRAMES), given.get("limit", SIMULATED_FRAMES))
