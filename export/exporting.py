"""The command `export/run.py`: a run as SavedModel and TFLite, both checked against the Keras networks.

Help and mistakes come before TensorFlow is imported, so what needs it stands in the functions.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from lsps_tf.camera import CAMERAS, Camera
from lsps_tf.commandline.parser import Parser
from lsps_tf.errors import InputError
from lsps_tf.files import check_writable, locked, write_json
from lsps_tf.hand import MOST_HANDS, USUAL_HANDS
from lsps_tf.model_info import FLOAT32, INT8, MODEL_NAME, VARIANTS
from lsps_tf.model_manifest import MANIFEST_NAME, write_manifest

if TYPE_CHECKING:
    import tensorflow as tf
    from tqdm import tqdm

    from lsps_tf.hand_predictor import OpenModel
    from lsps_tf.run_folder import Run

# In normalised joints; 1e-4 of a 250 mm cube is an eightieth of a millimetre.
LARGEST_DIFFERENCE = 1e-4
_SAMPLE_CROPS = 8


def export_command(arguments: list[str]) -> int:
    """Runs `export/run.py` with its arguments and gives the exit status: 1 where an exported model computes wrongly."""
    options = _build_parser().parse_args(arguments)
    check_writable(options.output, "give another folder for --output")
    variants = _parse_variants(options.variants)
    if not 1 <= options.hands <= MOST_HANDS:
        raise InputError(
            f"--hands {options.hands}: a SavedModel finds up to {MOST_HANDS} hands; give 1 to {MOST_HANDS}"
        )
    # One process at a time writes there.
    with locked(options.output / MODEL_NAME):
        return _export(options, variants)


def _export(options: argparse.Namespace, variants: tuple[str, ...]) -> int:
    from tqdm import tqdm

    from export.saved_model.signatures import export_saved_model
    from export.tflite.calibration import calibration_images, fit_confidence
    from export.tflite.convert import export_tflite
    from lsps_tf.generate import load_generating_run
    from lsps_tf.run_folder import load_run

    run = load_generating_run(options.run_dir) if options.explore else load_run(options.run_dir)
    # On a screen alone: in a log its lines would say nothing.
    with tqdm(total=4, bar_format="{desc}: step {n_fmt} of {total_fmt} [{elapsed}]", leave=False, disable=None) as bar:
        _next_step(bar, "calibrating")
        calibration = calibration_images(run, options.calibrate) if INT8 in variants else None
        confidence = fit_confidence(run, options.calibrate)
        _next_step(bar, "writing the SavedModel")
        paths = [export_saved_model(run, options.output, confidence, options.hands, options.explore)]
        _next_step(bar, "writing TFLite files")
        paths += export_tflite(run, options.output, variants, calibration, confidence)
        hashes = write_manifest(options.output)
        _next_step(bar, "comparing with the networks")
        reports = compare_exports(run, paths)
    if confidence is None:
        print("No confidence: there are no frames with labels to calibrate it on; --calibrate STORE.h5 gives some")
    print(_table(reports))
    print(f"Hashes, for --expect of predict.py and serve.py ({options.output / MANIFEST_NAME}):")
    for path in paths:
        name = path.relative_to(options.output).as_posix()
        print(f"  {hashes[name]}  {name}")
    if options.json is not None:
        write_json(options.json, {"run_dir": str(options.run_dir), "models": reports})
    exact = [report for report in reports if report["numbers"] == FLOAT32]
    wrong = [report["path"] for report in exact if not report["max_difference"] <= LARGEST_DIFFERENCE]
    if wrong:
        print(f"{' and '.join(wrong)}: differs from the Keras model by more than {LARGEST_DIFFERENCE:g}; do not use it")
        return 1
    print(f"Next: {_next_command(run, paths[0].parent)}")
    if options.explore:
        script = shlex.quote(os.path.relpath(pathlib.Path(__file__).parent / "serve.py"))
        print(f"Explore: python {script} --model-dir {shlex.quote(str(paths[0].parent))} --explore")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser("run.py", "Exports a finished run for TensorFlow Serving and for edge devices.")
    parser.add_argument("--run-dir", type=pathlib.Path, required=True, metavar="DIR", help="a finished run")
    parser.add_argument("--output", type=pathlib.Path, required=True, metavar="DIR", help="where the models go")
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), metavar="A,B", help=f"TFLite files to write, of {', '.join(VARIANTS)}"
    )
    parser.add_argument(
        "--calibrate",
        type=pathlib.Path,
        metavar="STORE.h5",
        help="sensor frames for int8 and the confidence (default: the run's)",
    )
    parser.add_argument(
        "--hands",
        type=int,
        default=USUAL_HANDS,
        metavar="N",
        help=f"of one frame that the SavedModel finds at most (default: {USUAL_HANDS})",
    )
    parser.add_argument(
        "--explore",
        action="store_true",
        help="a SavedModel that generates, too, for serve.py --explore; of a run with a depth stage",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write paths, sizes and differences")
    return parser


def _next_step(bar: tqdm, name: str) -> None:
    bar.set_description_str(name, refresh=False)
    bar.update()
    bar.refresh()


def _next_command(run: Run, model: pathlib.Path) -> str:
    """How to predict with the model from the folder that the user is in, on frames of the run's camera."""
    script = shlex.quote(os.path.relpath(pathlib.Path(__file__).parent / "predict.py"))
    return f"python {script} --model {shlex.quote(str(model))} FRAME{_camera_options(run)} --overlay hand.png"


def _camera_options(run: Run) -> str:
    """What says the camera and the unit of the run's frames; nothing where they are the defaults, or not known."""
    from lsps_tf.datasets.simulator import DATASETS as SIMULATIONS
    from lsps_tf.datasets.store import open_store
    from lsps_tf.simulation.sensor import get_sensor, names_of

    report = {}
    with contextlib.suppress(InputError), open_store(run.store_path) as store:
        report = store.info.source.get("report", {})
    if report:
        camera, unit_mm = Camera(**report["camera"]), report["depth_unit_mm"]
        rotation = report.get("rotation_degrees", 0)
    elif run.settings.dataset in SIMULATIONS:
        # The example frames of the simulator are in whole mm.
        camera, unit_mm, rotation = get_sensor(names_of(run.settings.sensor)[0]).camera, 1.0, 0
    else:
        camera, unit_mm, rotation = CAMERAS.get(run.settings.dataset, CAMERAS["nyu"]), 1.0, 0
    named = next((name for name, known in CAMERAS.items() if known == camera), None)
    text = named or f"{camera.fx:g},{camera.fy:g},{camera.cx:g},{camera.cy:g}"
    options = "" if text == "nyu" else f" --camera {text}"
    options += "" if unit_mm == 1.0 else f" --depth-unit {unit_mm:g}"
    return options + (f" --rotate {rotation}" if rotation else "")


def compare_exports(run: Run, paths: list[pathlib.Path]) -> list[dict[str, Any]]:
    """Opens exported models and compares their joints with the Keras networks' on simulated crops.

    Args:
        run: what was exported.
        paths: the exported models.

    Returns:
        Per model its `path`, `kind`, `numbers`, size in `bytes`, `max_difference` and `mean_difference` of the
        normalised joints (half cubes), and `mean_mm`, how far joints are moved.
    """
    from lsps_tf.models import open_model

    image = sample_crops(run.config.data.image_size, run.config.data.cube_mm, _SAMPLE_CROPS)
    expected = run.networks.predict_joints(image, run.domain).numpy()
    return [_compare(open_model(path), path, image, expected) for path in paths]


def sample_crops(image_size: int, cube_mm: float, count: int, seed: int = 0) -> tf.Tensor:
    """Clean simulated hands as network input, [count, S, S, 1] in [-1, 1]."""
    import tensorflow as tf

    from lsps_tf import crop
    from lsps_tf.simulation import kinematics, pose_prior, renderer, shape, surface, view_prior

    seeds = tf.random.split([seed, 0], 3)
    hand = kinematics.pose_hand(
        pose_prior.sample_angles(seeds[0], count),
        view_prior.sample_rotation(seeds[1], count),
        view_prior.sample_translation(seeds[2], count),
        tf.nest.map_structure(lambda part: tf.repeat(part, count, axis=0), shape.canonical_shape()),
    )
    center_mm = tf.reduce_mean(hand.joints_mm, axis=1)
    cones, wedges = surface.primitives(forearm=False)
    depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, center_mm, cube_mm, image_size)
    return crop.normalize_depth(depth_mm, center_mm, cube_mm)


def _compare(model: OpenModel, path: pathlib.Path, image: tf.Tensor, expected: np.ndarray) -> dict[str, Any]:
    difference = np.abs(model.joints_of_crop(image.numpy()) - expected)
    return {
        "path": str(path),
        "kind": model.kind,
        "numbers": model.info.numbers,
        "bytes": size_in_bytes(path),
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "mean_mm": float(np.linalg.norm(difference, axis=-1).mean() * model.info.cube_mm / 2),
    }


def _parse_variants(text: str) -> tuple[str, ...]:
    asked = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in asked if part not in VARIANTS]
    if unknown:
        raise InputError(f"--variants: there is no '{unknown[0]}'; choose from {', '.join(VARIANTS)}")
    return tuple(variant for variant in VARIANTS if variant in asked)


def size_in_bytes(path: pathlib.Path) -> int:
    """Of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return sum(part.stat().st_size for part in files)


def _table(reports: list[dict[str, Any]]) -> str:
    from tabulate import tabulate

    rows = [
        [
            report["path"],
            report["numbers"],
            f"{report['bytes'] / 1e6:.2f} MB",
            f"{report['max_difference']:.1e}",
            f"{report['mean_mm']:.3f} mm",
        ]
        for report in reports
    ]
    headers = ["model", "numbers", "size", "max difference", "joints move by"]
    return tabulate(rows, headers=headers, disable_numparse=True)
