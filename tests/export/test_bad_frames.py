"""The command predict.py: every mistake, in one line, and nothing written."""

import numpy as np
import pytest
from PIL import Image

from export.prediction import predict_command


def frames_of_no_use(folder, frame_mm):
    """By name a frame that must be refused, and what is said of it."""
    counts = frame_mm.astype(np.uint16)
    far = np.where(counts > 0, np.minimum(counts * 6 + 3000, 9000), 0).astype(np.uint16)
    Image.fromarray(far).save(folder / "far.png")
    speckle = np.zeros_like(counts)
    speckle[np.random.default_rng(0).integers(0, 480, 40), np.random.default_rng(1).integers(0, 640, 40)] = 600
    Image.fromarray(speckle).save(folder / "speckle.png")
    Image.fromarray(counts[180:280, 440:540]).save(folder / "window.png")
    Image.fromarray((frame_mm / 10).clip(0, 255).astype(np.uint8)).save(folder / "gray.png")
    np.save(folder / "meters.npy", frame_mm / 1000)
    content = (folder / "frame.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 3])
    return {
        "missing.png": "there is no such file",
        "cut.png": "the PNG is truncated or damaged",
        "gray.png": "8-bit grayscale",
        "meters.npy": "--depth-unit",
        "speckle.png": "no hand was found",
        "far.png": "no hand was found",
        "window.png": "the frame is 100x100 pixels but --camera nyu makes 640x480",
    }


def test_frames_of_no_use_are_named_and_nothing_is_written(command, model_dir, frame, frame_mm):
    folder = frame.parent
    for name, message in frames_of_no_use(folder, frame_mm).items():
        before = sorted(folder.iterdir())
        output = ["--json", folder / "out.json", "--overlay", folder / "out.png"]
        status, out, err = command(predict_command, "--model", model_dir / "lsps.tflite", folder / name, *output)
        assert (status, out) == (2, "") and err.count("\n") == 1, (name, status, out, err)
        assert err.startswith(f"error: {folder / name}: ") and message in err, err
        assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--camera", "kinect"], "--camera: there is no 'kinect'"),
        (["--camera", "0,0,320,240"], "must be more than 0"),
        (["--camera", "1,2,3"], "has 3 numbers"),
        (["--camera", "icvl"], "--camera icvl makes 320x240"),
        (["--depth-unit", "0"], "--depth-unit: 0 is no unit"),
        (["--depth-unit", "nan"], "--depth-unit: nan is no unit"),
        (["--depth-unit", "much"], "invalid float value: 'much'"),
        (["--center", "0,0"], "--center: '0,0' has 2 numbers"),
        (["--center", "-300,0,600"], "nothing was measured around the given center"),
        (["--hands", "0"], "hands: 0 cannot be predicted; give how many at most, from 1 to 8"),
        (["--hands", "9"], "lsps.tflite finds at most 8 hands in a frame, not 9; give fewer"),
        (["--hands", "2", "--center", "210,-60,765"], "center: one hand lies there, and 2 are asked for"),
        (["--overlay", "out.jpg"], "the overlay is a PNG"),
        (["--overlays", "out.png"], "unknown setting '--overlays'; the nearest one is '--overlay'"),
        (["--json"], "expected one argument"),
    ],
)
def test_wrong_options_are_named(command, model_dir, frame, options, message):
    status, out, err = command(predict_command, "--model", model_dir / "lsps.tflite", frame, *options)
    assert (status, out) == (2, "") and err.count("\n") == 1 and message in err, err


def test_more_hands_than_a_saved_model_finds(command, model_dir, frame):
    status, out, err = command(predict_command, "--model", model_dir, frame, "--hands", "5")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "finds at most 4 hands in a frame, not 5; give fewer, or export the run again with --hands 5" in err


def test_outputs_that_cannot_be_written_are_named_and_folders_survive(command, model_dir, frame, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "a").write_text("precious")
    for option in ("--json", "--overlay"):
        for name in ("folder.png", "frame.png/out.png"):
            status, _, err = command(
                predict_command, "--model", model_dir / "lsps.tflite", frame, option, tmp_path / name
            )
            assert status == 2 and err.count("\n") == 1 and "error: " in err
    assert (tmp_path / "folder.png" / "a").read_text() == "precious"


def test_a_model_that_is_none_is_named_before_anything_is_written(command, run_dir, frame, tmp_path):
    (tmp_path / "empty").mkdir()
    for model, message in {
        tmp_path / "none": "there is no such model",
        tmp_path / "empty": "this is no model",
        frame: "this is no TFLite model",
    }.items():
        status, out, err = command(predict_command, "--model", model, frame, "--json", tmp_path / "out.json")
        assert (status, out) == (2, "") and err.count("\n") == 1 and f"{model}: {message}" in err
    assert not (tmp_path / "out.json").exists()
