"""The command edge.py, where TensorFlow, Pillow and all else but NumPy and LiteRT cannot be imported."""

import ast
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export.edge import edge_command
from lsps_tf.camera import NYU, Camera
from lsps_tf.device.predictor import EdgePredictor
from tests import two_hands
from tests.recordings.writers import bag_of

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Everything is refused that neither Python, nor requirements-edge.txt with what LiteRT needs, brings.
BLOCKED = """
import runpy, sys
allowed = set(sys.stdlib_module_names) | {
    "numpy", "ai_edge_litert", "flatbuffers", "google", "ml_dtypes", "typing_extensions", "tqdm", "backports",
    "export", "lsps_tf", "__main__",
}
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Guard())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def without_tensorflow(*arguments, **options):
    command = [sys.executable, "-c", BLOCKED, ROOT / "export" / "edge.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, timeout=300, **options)


@pytest.fixture(scope="module")
def expected(model_dir, frame_mm):
    return EdgePredictor(model_dir / "lsps.tflite")(frame_mm, NYU)


def assert_same(line, expected, atol=0.002):
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        np.testing.assert_allclose(line[name], getattr(expected, name), atol=atol)


def test_a_png_is_predicted_with_numpy_and_litert_alone(model_dir, frame, expected):
    done = without_tensorflow("--model", model_dir / "lsps.tflite", frame)
    assert (done.returncode, done.stderr) == (0, b"")
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["frame"], line["skeleton"], line["presence"]) == (str(frame), "nyu", True)
    assert_same(line, expected)


def test_a_stream_is_followed_with_numpy_and_litert_alone(model_dir, frame_mm, expected):
    content = 3 * frame_mm.astype("<u2").tobytes() + np.zeros((480, 640), "<u2").tobytes()
    arguments = ["--model", model_dir / "lsps-int8.tflite", "--stdin", "--every-frame", "--no-smoothing"]
    done = without_tensorflow(*arguments, input=content)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["presence"] for line in lines] == [True, True, True, False] and "joints_mm" not in lines[3]
    np.testing.assert_allclose(lines[0]["center_mm"], expected.center_mm, atol=0.002)
    np.testing.assert_allclose(lines[2]["joints_mm"], lines[1]["joints_mm"], atol=0.05)


@pytest.mark.slow
def test_it_runs_in_an_environment_of_its_requirements_alone(model_dir, frame, expected, tmp_path):
    """Where pip reaches its packages; the tests above refuse the imports instead."""
    python = tmp_path / "edge" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "edge")], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(ROOT / "requirements-edge.txt")]
    installed = subprocess.run(install, capture_output=True, text=True, timeout=600)
    if installed.returncode:
        pytest.skip(f"requirements-edge.txt cannot be installed here: {installed.stderr.strip()[-200:]}")
    assert subprocess.run([str(python), "-c", "import tensorflow"], capture_output=True).returncode
    # The folders that docs/deploy.md says to copy, and nothing else.
    for folder in ("export", "lsps_tf"):
        shutil.copytree(ROOT / folder, tmp_path / "device" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [python, tmp_path / "device" / "export" / "edge.py", "--model", model_dir / "lsps.tflite", frame]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_same(json.loads(done.stdout), expected)


def test_what_it_imports_is_what_its_requirements_name():
    """Every file that edge.py reaches, without what stands in functions, which is reached by others alone."""
    reached, waiting = set(), [ROOT / "export" / "edge.py"]
    outside = set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                file = ROOT / (name.replace(".", "/") + ".py")
                if file.is_file():
                    waiting.append(file)
                elif name.split(".")[0] not in {*sys.stdlib_module_names, "export", "lsps_tf"}:
                    outside.add(name.split(".")[0])
    assert outside == {"numpy", "ai_edge_litert", "flatbuffers"} and len(reached) > 10
    named = (ROOT / "requirements-edge.txt").read_text()
    assert "ai-edge-litert==" in named and "numpy==" in named and "tensorflow==" not in named


def lines_of(command, *arguments):
    status, out, err = command(edge_command, *arguments)
    assert (status, err) == (0, ""), err
    return [json.loads(line) for line in out.splitlines()]


def test_frames_in_any_format_are_predicted(command, model_dir, frame, frame_mm, expected, tmp_path):
    np.save(tmp_path / "meters.npy", frame_mm / 1000)
    model = ["--model", model_dir / "lsps.tflite"]
    assert_same(lines_of(command, *model, tmp_path / "meters.npy", "--depth-unit", "1000")[0], expected, atol=0.02)
    lines = lines_of(command, *model, frame, frame, "--camera", "588.036865,587.075073,320,240", "--threads", "2")
    assert len(lines) == 2
    assert_same(lines[1], expected)


def test_a_recorded_folder_is_followed_in_order(command, model_dir, frame_mm, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(np.roll(frame_mm, 8 * number, axis=1).astype(np.uint16)).save(folder / f"{number}.png")
    arguments = ["--model", model_dir / "lsps.tflite", "--folder", folder, "--every-frame", "--fps", "15"]
    lines = lines_of(command, *arguments, "--no-smoothing")
    assert [line["frame"] for line in lines] == ["0.png", "1.png", "2.png", "3.png"]
    assert [line["time_s"] for line in lines] == [0, 0.0667, 0.1333, 0.2]
    x = [line["center_mm"][0] for line in lines]
    np.testing.assert_allclose(np.diff(x), 8 * lines[0]["center_mm"][2] / NYU.fx, rtol=0.05)
    smooth = lines_of(command, *arguments, "--limit", "3", "--json", tmp_path / "out.jsonl")
    assert smooth == []
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(written) == 3 and written[2]["joints_mm"] != lines[2]["joints_mm"]
    assert written[2]["center_mm"] == lines[2]["center_mm"]


@pytest.mark.usefixtures("rosbags")
def test_a_recording_is_followed_at_its_times_and_its_frames_are_predicted(command, model_dir, frame_mm, tmp_path):
    frames = [np.roll(frame_mm, 8 * number, axis=1) for number in range(3)]
    # Of a camera that is not the default one, so that the recording's own must be taken.
    path = bag_of(tmp_path / "a.bag", frames, (600.0, 600.0, 310.0, 235.0))
    model = ["--model", model_dir / "lsps.tflite"]
    lines = lines_of(command, *model, "--folder", path, "--no-smoothing")
    assert [line["frame"] for line in lines] == [f"{path}#{i}" for i in range(3)]
    np.testing.assert_allclose(np.diff([line["time_s"] for line in lines]), 0.0333, atol=1e-3)
    alone = EdgePredictor(model_dir / "lsps.tflite")
    camera = Camera(600.0, 600.0, 310.0, 235.0, 640, 480)
    rounded = frames[2].astype(np.uint16)
    assert_same(lines_of(command, *model, f"{path}#2")[0], alone(rounded, camera))
    assert_same(lines_of(command, *model, f"{path}#2", "--camera", "nyu")[0], alone(rounded, NYU))
    status, _, err = command(edge_command, *model, f"{path}#3")
    assert status == 2
    assert f"the last one is {path}#2" in err


@pytest.fixture
def frames_of_two(monkeypatch, tmp_path):
    """A folder: both hands, both, none, the left one alone; what says its camera; and a finder that finds them."""
    two_hands.know(monkeypatch)
    depth_mm, camera, _ = two_hands.two_hands()
    left_mm = np.where(np.arange(camera.width) < camera.width // 2, 0, depth_mm)
    folder = tmp_path / "two"
    folder.mkdir()
    for number, frame_mm in enumerate((depth_mm, depth_mm, 0 * depth_mm + 3500, left_mm)):
        Image.fromarray(frame_mm.astype(np.uint16)).save(folder / f"{number}.png")
    return folder, ["--camera", f"{camera.fx},{camera.fy},{camera.cx},{camera.cy}"]


def test_several_hands_are_followed_each_with_its_track(command, model_dir, frames_of_two):
    folder, camera = frames_of_two
    start = ["--model", model_dir / "lsps.tflite", *camera]
    lines = lines_of(command, *start, "--folder", folder, "--every-frame", "--hands", "2")
    assert [line["presence"] for line in lines] == [True, True, False, True] and "joints_mm" not in lines[0]
    tracks = [[(hand["track"], hand["side"], hand["right_logit"]) for hand in line["hands"]] for line in lines]
    right, left = two_hands.RIGHT_LOGITS
    both = [[(0, "right", times * right), (1, "left", times * left)] for times in (1, 2)]
    assert tracks == [*both, [], [(1, "left", round(3 * left, 3))]]
    (line,) = lines_of(command, *start, folder / "0.png", "--hands", "3")
    assert [hand["side"] for hand in line["hands"]] == ["right", "left"] and "track" not in line["hands"][0]


def test_hands_that_were_not_asked_for_are_said_once(command, model_dir, frames_of_two):
    folder, camera = frames_of_two
    start = ["--model", model_dir / "lsps.tflite", *camera]
    status, out, err = command(edge_command, *start, "--folder", folder, "--every-frame")
    assert status == 0 and err == "warning: 0.png: 2 hands are seen, and one is taken; --hands 2 gives all\n"
    lines = [json.loads(line) for line in out.splitlines()]
    # The nearer one is followed until it is gone.
    assert [line.get("track") for line in lines] == [0, 0, None, 1]
    assert [line.get("side") for line in lines] == ["right", "right", None, "left"]
    status, out, err = command(edge_command, *start, folder / "0.png")
    assert status == 0 and err.count("\n") == 1 and "0.png: 2 hands are seen" in err


def test_names_that_are_times_are_the_times(command, model_dir, frame_mm, tmp_path):
    for name in ("1305031102.160407", "1305031102.226738"):
        Image.fromarray(frame_mm.astype(np.uint16)).save(tmp_path / f"{name}.png")
    arguments = ["--model", model_dir / "lsps.tflite", "--folder", tmp_path, "--every-frame"]
    assert [line["time_s"] for line in lines_of(command, *arguments)] == [1305031102.1604, 1305031102.2267]


def test_a_live_folder_is_followed_until_it_is_stopped(command, model_dir, frame, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    shutil.copy(frame, folder / "a.png")
    (line,) = lines_of(command, "--model", model_dir / "lsps.tflite", "--folder", folder, "--limit", "1")
    assert (line["frame"], line["presence"], line["passed_over"]) == ("a.png", True, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give frames, or --folder, or --stdin: one of them, not 0"),
        (["{frame}", "--stdin"], "one of them, not 2"),
        (["{frame}", "--threads", "0"], "--threads 0: at least 1 is needed"),
        (["{frame}", "--hands", "0"], "--hands 0: at least 1 is needed"),
        (["{frame}", "--hands", "9"], "finds at most 8 hands in a frame, not 9"),
        (["{frame}", "--limit", "-1"], "--limit -1: at least 1 is needed"),
        (["{frame}", "--camera", "icvl"], "--camera icvl makes 320x240"),
        (["{frame}", "--camera", "0,1,2,3"], "must be more than 0"),
        (["{frame}", "--depth-unit", "0"], "--depth-unit: 0 is no unit"),
        (["{missing}"], "missing.png: there is no such file"),
        (["{cut}"], "cut.png: the PNG is truncated or damaged"),
        (["{dark}"], "dark.png: every pixel is 0"),
        (["{far}"], "far.png: no hand was found"),
        (["--stdin", "--camera", "500,500,320,240"], "raw frames do not say how large they are; give --size"),
        (["--stdin", "--size", "640"], "--size: '640' is not WIDTHxHEIGHT"),
        (["--stdin", "--size", "640x0"], "is not WIDTHxHEIGHT"),
        (["--stdin", "--depth-unit", "-1"], "--depth-unit: -1 is no unit"),
        (["--folder", "{missing}", "--every-frame"], "missing.png: there is no such folder"),
        (["--folder", "{empty}", "--every-frame"], "there are no frames"),
        (["--folder", "{missing}"], "there is no such folder"),
        (["--folder", "{empty}", "--fps", "0", "--every-frame"], "--fps 0: give the frames per second"),
        (["{frame}", "--json", "{empty}"], "cannot be written"),
    ],
)
def test_mistakes_are_one_line(command, model_dir, frame, frame_mm, arguments, message):
    folder = frame.parent
    places = {name: folder / f"{name}.png" for name in ("missing", "cut", "dark", "far")}
    places["cut"].write_bytes(frame.read_bytes()[:2000])
    Image.fromarray(np.zeros((480, 640), np.uint16)).save(places["dark"])
    Image.fromarray(np.full((480, 640), 4000, np.uint16)).save(places["far"])
    (folder / "empty").mkdir()
    filled = [argument.format(frame=frame, empty=folder / "empty", **places) for argument in arguments]
    status, out, err = command(edge_command, "--model", model_dir / "lsps.tflite", *filled)
    assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and message in err, err


def test_a_bad_picture_does_not_end_a_folder(command, model_dir, frame, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    arguments = ["--model", model_dir / "lsps.tflite", "--folder", folder, "--every-frame"]
    (folder / "1.png").write_bytes(frame.read_bytes()[:2000])
    status, out, err = command(edge_command, *arguments)
    assert (status, out) == (2, "") and err.startswith("warning: ") and "error: no frame could be used" in err
    Image.fromarray(np.full((240, 320), 600, np.uint16)).save(folder / "3.png")
    for name in ("0.png", "2.png"):
        shutil.copy(frame, folder / name)
    status, out, err = command(edge_command, *arguments)
    assert [json.loads(line)["frame"] for line in out.splitlines()] == ["0.png", "2.png"]
    assert status == 0 and err.count("warning: ") == err.count("\n") == 2 and "1.png" in err and "3.png" in err


def test_a_camera_s_file_says_unit_hand_and_turn(command, model_dir, frame_mm, tmp_path):
    """What the options say by hand and what the file says give the same hand."""
    np.save(tmp_path / "frame.npy", (frame_mm[:, ::-1] * 4).astype(np.uint16))
    (tmp_path / "camera.toml").write_text(
        'fx = 588.0\nfy = 587.0\ncx = 319.0\ncy = 240.0\ndepth_unit_mm = 0.25\nhand = "left"\nfar_mm = 2000\n'
    )
    start = ["--model", model_dir / "lsps.tflite", tmp_path / "frame.npy", "--joints", "21"]
    by_hand = ["--camera", "588,587,319,240", "--depth-unit", "0.25", "--hand", "left", "--far", "2000"]
    (line,) = lines_of(command, *start, *by_hand)
    (same,) = lines_of(command, *start, "--camera", tmp_path / "camera.toml")
    assert same["joints_mm"] == line["joints_mm"] and len(line["joints_mm"]) == 21 and line["skeleton"] == "hand21"
    status, _, err = command(edge_command, *start, "--camera", tmp_path / "camera.toml", "--far", "200")
    assert status == 2 and "no hand was found" in err


def test_wrong_models_are_one_line(command, frame, tmp_path, model_dir):
    (tmp_path / "other.tflite").write_bytes(b"0000TFL3" + bytes(64))
    for model in (tmp_path / "none.tflite", tmp_path / "other.tflite", frame, model_dir / "lsps" / "1"):
        status, out, err = command(edge_command, "--model", model, frame)
        assert (status, out) == (2, "") and err.count("\n") == 1 and str(model) in err
