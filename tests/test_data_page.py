"""The table of docs/data.md, row by row: such files as a row names are read, and what it has one type is understood."""

import json
import pathlib
import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

import lsps_tf
from export.device.command import edge_command
from export.prediction import predict_command
from export.recorder.command import record_command
from lsps_tf.camera import NYU
from lsps_tf.datasets.own import files
from lsps_tf.datasets.own.camera_file import read_camera_file
from lsps_tf.errors import InputError
from lsps_tf.models import SHIPPED_TFLITE
from tests.datasets.own.test_described import INTRINSICS, YAML, pngs
from tests.export.recorder.test_command import Stand
from tests.recordings.test_pictures import METADATA
from tests.recordings.writers import (
    bag_of,
    depth_counts,
    depth_topics,
    kinect_calibration,
    write_bag,
    write_kinect,
    write_mcap,
)
from training.arguments import parse_arguments

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "data.md"

FRAMES = ["--dataset", "frames"]
LENS = {"fx": 40.0, "fy": 41.0, "cx": 15.5, "cy": 11.25}


def table():
    """{what you have: what to type} of the section on what cameras' own tools record."""
    section = PAGE.read_text(encoding="utf-8").split("### What cameras' own tools record")[1].split("\n### ")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in section.splitlines() if "|" in line]
    return dict(rows[2:])


ROWS = table()


def row(start):
    """What to type in the one row that begins so."""
    (found,) = [text for what, text in ROWS.items() if what.startswith(start)]
    return found


def code(text):
    return re.findall(r"`([^`]+)`", text)


def words(command):
    """The arguments of a command, or of options that stand alone."""
    given = shlex.split(command)
    return given if given[0].startswith("-") else given[2:]


def options(command):
    """What training/run.py understands of a command, or of the options that change."""
    given = words(command)
    return parse_arguments(given if "--dataset" in given else [*FRAMES, *given])


def opened(given, root):
    """The sequences and the camera that training would take from `root`."""
    sequences = files.list_sequences(root, given.get("topic"))
    return sequences, read_camera_file(root, files.describe(root, sequences), given.get("hand"))


def count(sequences):
    return sum(map(len, sequences.values()))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The names in the table are of files where the user is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_a_test_for_every_row():
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    tried = re.findall(r'row\("([^"]+)"\)', source)
    untried = [what for what in ROWS if not any(what.startswith(start) for start in tried)]
    assert (len(ROWS), untried) == (15, [])


@pytest.mark.usefixtures("rosbags")
def test_realsense_bag(here):
    (command,) = code(row("RealSense `.bag`"))
    write_bag(here / "hand.bag", 1, depth_topics(1, encoding="16UC1"))
    given = options(command)
    assert given["data_root"] == "hand.bag"
    sequences, camera = opened(given, pathlib.Path("hand.bag"))
    assert (count(sequences), camera.hand, camera.fx) == (3, "right", 40.0)


@pytest.mark.usefixtures("mcap")
@pytest.mark.parametrize("kind", ["ros1", "folder", "db3", "mcap"])
def test_ros(here, kind):
    (topic,) = [part for part in code(row("ROS 1 bag")) if part.startswith("--topic")]
    make = {
        "ros1": lambda topics: write_bag(here / "a.bag", 1, topics),
        "folder": lambda topics: write_bag(here / "a", 2, topics),
        "db3": lambda topics: next(write_bag(here / "a", 2, topics).glob("*.db3")),
        "mcap": lambda topics: write_mcap(here / "a.mcap", topics),
    }[kind]
    version = 1 if kind == "ros1" else 2
    path = make({**depth_topics(version), **depth_topics(version, 2, topic="/other/depth/image_raw")})
    given = options(f"{topic} --hand right")
    with pytest.raises(InputError, match="several topics are depth; choose one with --topic"):
        opened({**given, "topic": None}, path)
    assert count(opened(given, path)[0]) == 3


@pytest.mark.usefixtures("av")
def test_azure_kinect(here):
    assert row("Azure Kinect `.mkv`") == "the same"
    path = write_kinect(here / "a.mkv", calibration=kinect_calibration())
    sequences, camera = opened({"hand": "left"}, path)
    assert (count(sequences), camera.width, camera.depth_unit_mm) == (3, 320, 1.0)


@pytest.mark.usefixtures("rosbags")
def test_a_folder_of_recordings(here):
    (command,) = code(row("a folder of such recordings"))
    (here / "FOLDER").mkdir()
    for name in ("a.bag", "b.bag"):
        write_bag(here / "FOLDER" / name, 1, depth_topics(1))
    given = options(command)
    sequences, camera = opened(given, pathlib.Path(given["data_root"]))
    assert (list(sequences), camera.hand) == (["a.bag", "b.bag"], "auto")


def test_open3d(here):
    (command,) = code(row("Open3D folder"))
    pngs(here / "FOLDER")
    values = {"width": 32, "height": 24, "intrinsic_matrix": INTRINSICS}
    (here / "FOLDER" / "camera_intrinsic.json").write_text(json.dumps(values))
    given = options(command)
    sequences, camera = opened(given, pathlib.Path(given["data_root"]))
    assert (count(sequences), camera.fy, camera.depth_unit_mm) == (3, 41.0, 1.0)


def asks_for_and_takes(root, names, values):
    """Without `camera.toml` these names are asked for, and with them, and no others, the recording is read."""
    with pytest.raises(InputError) as error:
        opened({"hand": "right"}, root)
    assert f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} missing" in str(error.value)
    (root / "camera.toml").write_text("".join(f"{name} = {values[name]}\n" for name in names))
    sequences, camera = opened({"hand": "right"}, root)
    assert count(sequences) == 3
    return camera


def test_tum(here):
    *names, file = code(row("TUM RGB-D folder"))
    assert file == "camera.toml"
    pngs(here, color="rgb")
    (here / "depth.txt").write_text("# timestamp filename\n")
    assert asks_for_and_takes(here, names, LENS).depth_unit_mm == 0.2


def test_ros_yaml(here):
    name, _ = code(row("16-bit PNG with ROS"))
    pngs(here)
    (here / "camera_info.yaml").write_text(YAML)
    assert asks_for_and_takes(here, [name], {"depth_unit_mm": 1.0}).distortion


def test_realsense_viewer(here):
    name, _ = code(row("RealSense Viewer's `.raw`"))
    for i in range(3):
        (here / f"{i}_Depth.raw").write_bytes(depth_counts(i).astype("<u2").tobytes())
        (here / f"{i}_Depth_metadata.csv").write_text(METADATA)
    assert asks_for_and_takes(here, [name], {"depth_unit_mm": 1.0}).fx == 40.0


def in_mm(root, unit):
    """The frames of a folder whose `camera.toml` says all."""
    numbers = "".join(f"{name} = {value}\n" for name, value in LENS.items())
    (root / "camera.toml").write_text(f'{numbers}{unit}\nhand = "right"\n')
    sequences, camera = opened({}, root)
    with files.FrameReader() as reader:
        return [files.to_mm(reader.read(frame), camera) for frames in sequences.values() for frame in frames]


def test_floats_in_metres(here):
    exr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed (pip install lsps-tf[recordings])")
    unit = code(row("rs-convert's `.csv`, EXR"))[1]
    metres = (depth_counts(3) / 1000.0).astype(np.float32)
    metres[5, 7] = np.nan
    (here / "a.csv").write_text("\n".join(",".join(f"{value:.6f}" for value in line) for line in metres))
    exr.File({"type": exr.scanlineimage}, {"Y": metres}).write(str(here / "b.exr"))
    np.save(here / "c.npy", metres)
    expected = np.where(np.isnan(metres), 0.0, 1000.0 * metres)
    frames = in_mm(here, unit)
    assert len(frames) == 3
    for frame in frames:
        np.testing.assert_allclose(frame, expected, rtol=1e-5)


def test_pgm(here):
    assert row("PGM, 16 bit") == "`camera.toml` as for PNG"
    Image.fromarray(depth_counts(1)).save(here / "a.pgm")
    (frame,) = in_mm(here, "depth_unit_mm = 0.5")
    np.testing.assert_array_equal(frame, 0.5 * depth_counts(1))


@pytest.fixture
def hand_bag(here, rosbags, frame_mm):
    """hand.bag, whose frame 12 shows another hand than the others do."""
    frames = [*[frame_mm] * 12, np.roll(frame_mm, 16, axis=1)]
    return bag_of(here / "hand.bag", frames, NYU.intrinsics)


@pytest.mark.usefixtures("hand_bag")
def test_one_frame(command):
    (typed,) = code(row("one frame of a recording"))
    status, out, err = command(predict_command, *words(typed))
    assert (status, err) == (0, "")
    assert re.search(r"hand\.bag#12: a (right|left) hand around", out)
    status, _, err = command(predict_command, "hand.bag#13")
    assert (status, "the last one is hand.bag#12" in err) == (2, True)


@pytest.mark.usefixtures("hand_bag")
def test_on_a_device(here, command):
    (typed,) = code(row("a recording on a device"))
    shutil.copy(SHIPPED_TFLITE, here / "lsps.tflite")
    status, out, err = command(edge_command, *words(typed))
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 13


@pytest.mark.usefixtures("hand_bag")
def test_in_python():
    (typed,) = code(row("Python"))
    names = {"lsps_tf": lsps_tf, "predictor": lsps_tf.load_predictor()}
    exec(typed, names)
    assert names["hand"].joints_mm.shape == (36, 3)


def test_a_camera(here, command, frame_mm):
    (typed,) = code(row("a camera that is plugged in"))
    camera = Stand(frame_mm)
    given = [*words(typed), "--seconds", "0.2", "--countdown", "0"]
    status, out, _ = command(lambda said: record_command(said, lambda *_: camera, lambda: camera.now), *given)
    assert status == 0
    assert options(out.splitlines()[-1].removeprefix("Train: "))["data_root"] == "my-hand"
    assert count(opened({}, here / "my-hand")[0]) >= 6


def test_what_is_refused(here):
    assert row("AVI, MP4, `.oni`") == "refused; the message says how to convert"
    (kinds,) = [what for what in ROWS if what.startswith("AVI")]
    endings = [kind.strip("`. ").lower() for kind in kinds.split(",")]
    assert len(endings) == 5
    for ending in endings:
        path = here / f"a.{ending}"
        path.write_bytes(b"\0")
        with pytest.raises(InputError, match="convert|record|export"):
            opened({"hand": "right"}, path)
