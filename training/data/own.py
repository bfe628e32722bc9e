"""`--dataset frames`: one's own recording into a store, with a contact sheet and a report before training starts."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from lsps_tf import augment, draw
from lsps_tf.config import Config
from lsps_tf.datasets.importing import Target
from lsps_tf.datasets.own import recording as frames
from lsps_tf.datasets.own.camera_file import CAMERA_FILE
from lsps_tf.datasets.own.frame_folder import FrameFolder, open_recording
from lsps_tf.datasets.own.labels import JOINTS_FILE
from lsps_tf.datasets.own.source import VERSION
from lsps_tf.datasets.store import Store, is_store, open_store, store_suffix
from lsps_tf.datasets.store_parts import delete_parts
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, check_writable, write_json
from lsps_tf.run_folder import RunSettings
from training.data.source import Given, Source, shard_frames_of, show_progress, workers_of
from training.methods import DEFAULT, METHODS

SIMULATED_FRAMES = 20_000
_SHEET_COLUMNS, _SHEET_ROWS = 8, 5


def resolve_frames(given: Given, config: Config) -> Source:
    """The store of `--dataset frames`."""
    count = given.get("sim_synthetic_frames", 1)
    if count < 1:
        raise InputError(f"--sim-synthetic-frames {count}: at least one frame is needed")
    own = _open(given)
    skeleton = own.labels.skeleton
    if given.get("num_joints", skeleton.num_joints) != skeleton.num_joints:
        raise InputError(f"--num-joints {given['num_joints']}: the labels, or NYU's layout, have {skeleton.num_joints}")
    method = METHODS[given.get("method", DEFAULT)]
    if not own.labels.joints_mm and (given.get("labels", 0.0) > 0.0 or method.needs_labels):
        option = f"--method {method.name}" if method.needs_labels else "--labels"
        raise InputError(f"{own.folder}: there is no {JOINTS_FILE}, so leave out {option}")
    config = config.replace(num_joints=skeleton.num_joints)
    directory = pathlib.Path(given.get("store_dir", own.folder.parent if own.folder.is_file() else own.folder))
    data = config.data
    simulated = f"{'scenes' if method.adapts else 'sim'}{_simulated_frames(given)}"
    parts = [VERSION, f"{data.image_size}px", f"{data.cube_mm:g}mm", simulated]
    if given.get("remove_background"):
        parts.append("still")
    name = "-".join([*parts, own.identity[:8]]) + store_suffix(shard_frames_of(given))
    labels = 1.0 if own.labels.trainable else 0.0
    store = (directory / name).resolve()
    if not is_store(store):
        check_writable(directory, "name a folder for the store with --store-dir")
    return Source(config, store, skeleton.name, labels=labels, centering="joints")


def make_frames(given: Given, settings: RunSettings, run_dir: pathlib.Path) -> None:
    """Finds the hands, crops, adds the simulator's frames, draws the contact sheet and reports."""
    path = pathlib.Path(settings.store)
    _check_outside(run_dir, pathlib.Path(given["data_root"]))
    if not is_store(path):
        _import(given, settings, path)
    delete_parts(path)
    with open_store(path) as store:
        report = store.info.source["report"]
        splits = store.splits()
        sheet = run_dir / "crops.png"
        with atomic_path(sheet) as partial:
            draw_crops(store, settings.config.data.image_size).save(partial, format="PNG")
    _check_skipped(report, given.get("skip_bad", False))
    write_json(run_dir / "dataset.json", {"store": str(path), "splits": splits, **report})
    print(format_report(report, splits))
    print(f"Store: {path}\nReport: {run_dir / 'dataset.json'}\nLook at the crops before you train for long: {sheet}")


def draw_crops(store: Store, image_size: int) -> Any:
    """Evenly spread frames of "real/train" as a network sees them: each should show a right hand, whole and alone."""
    count = store.count("real/train")
    chosen = np.unique(np.linspace(0, count - 1, _SHEET_COLUMNS * _SHEET_ROWS).astype(int))
    rows = store.read("real/train", chosen)
    stored = [rows[name] for name in augment.IMAGE_COLUMNS]
    images = augment.view_stored_crops(*stored, image_size).numpy()[..., 0]
    titles = [f"frame {number}" for number in rows["frame"]]
    return draw.contact_sheet([draw.crop_picture(image) for image in images], titles, _SHEET_COLUMNS)


def format_report(report: dict[str, Any], splits: dict[str, int]) -> str:
    """The report of `frames.make_report` in words and tables."""
    nearest, median, farthest = report["distance_mm"]
    sides = sorted(set(report["hand"].values()))
    mirrored = " (stored as its mirror image)" if "left" in sides else ""
    lines = [
        f"{report['folder']}: {report['used']} of {report['frames']} frames show a hand that can be used",
        f"Hand: {' and '.join(sides)}{mirrored}, {median:.0f} mm away in the median, {nearest:.0f} to {farthest:.0f}",
    ]
    for name in report["doubtful"]:
        lines.append(
            f"Warning: '{name}' looks like the other hand than {CAMERA_FILE} or --hand says; look at the crops"
        )
    if report.get("background_removed"):
        lines.append(f"What stands still was taken away in {', '.join(report['background_removed'])}")
    lines += _format_labels(report)
    rows = [(reason, found["frames"], ", ".join(found["first"])) for reason, found in report["unusable"].items()]
    if rows:
        lines += ["", tabulate(rows, ("not used because", "frames", "first"))]
    return "\n".join([*lines, "", tabulate(list(splits.items()), ("split", "frames")), ""])


def _format_labels(report: dict[str, Any]) -> list[str]:
    # A store of an older version does not say the last two.
    lines, misplaced, unused = [], report.get("labels_misplaced", []), report.get("labels_unused", 0)
    if report["labelled"]:
        lines.append("Labels: " + ", ".join(f"{count} for {part}" for part, count in report["labelled"].items()))
    if unused:
        lines.append(f"{unused} labelled frames are not used, for want of a hand that can be")
    if misplaced:
        lines.append(
            f"{len(misplaced)} labels are not of the hand found ({', '.join(misplaced[: frames.NAMED])}); those to "
            "train on are left out"
        )
    return lines


def _import(given: Given, settings: RunSettings, path: pathlib.Path) -> None:
    own, workers = _open(given), workers_of(given)
    if given.get("remove_background"):
        own = frames.with_backgrounds(own, path, lambda text: print(f"Background: {text}"))
    with tqdm(desc="find hands", unit="frame", mininterval=1.0) as bar:
        hands = frames.find_hands(own, path, show_progress(bar), workers)
    frames.check_hands(own, hands, given.get("skip_bad", False))
    report = frames.make_report(own, hands)
    mirrored = [number for number, side in enumerate(report["hand"].values()) if side == "left"]
    source = {"made_by": "frames", "version": VERSION, "mirrored": mirrored, "report": report}
    source["rotation_degrees"] = own.camera_file.rotation_degrees
    data = settings.config.data
    shard_frames = shard_frames_of(given)
    target = Target(path, settings.skeleton, own.camera, data.image_size, data.cube_mm, source, shard_frames)
    with tqdm(desc="import    ", unit="frame", mininterval=1.0) as bar:
        simulated = frames.simulated_like(hands, target, METHODS[settings.method].adapts, _simulated_frames(given))
        frames.make_store(own, hands, target, simulated, show_progress(bar), bar.write, workers)


def _check_skipped(report: dict[str, Any], skip_bad: bool) -> None:
    broken = report["unusable"].get(frames.BROKEN_REASON)
    if broken and not skip_bad:
        raise InputError(
            f"{report['folder']}: {broken['frames']} frames that cannot be read were left out of the store; go on with "
            f"--skip-bad ({'; '.join(broken['first'])})"
        )


def _check_outside(run_dir: pathlib.Path, recording: pathlib.Path) -> None:
    if run_dir.resolve().is_relative_to(recording.resolve()):
        raise InputError(
            f"{run_dir}: this folder lies in the recording, where its pictures would count as frames; choose one "
            "outside with --run-dir"
        )


def _open(given: Given) -> FrameFolder:
    if "data_root" not in given:
        raise InputError(
            f"--dataset frames: name the folder with the frames and {CAMERA_FILE}, or a recording, with --data-root"
        )
    return open_recording(given["data_root"], given.get("hand"), given.get("topic"))


def _simulated_frames(given: Given) -> int:
    return given.get("sim_synthetic_frames", SIMULATED_FRAMES)
