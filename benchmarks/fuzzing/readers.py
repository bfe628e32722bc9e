"""Every reader of files that come from elsewhere: good files to damage, how they are read, and what must then hold."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fuzzing import mutations

HEIGHT, WIDTH = 24, 32
_FRAMES_READ = 20
_LARGEST_MM = 1e30


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader and what it reads.

    Attributes:
        file: the name of the damaged file in its folder.
        good: the contents of files that can be read, for an empty folder to make them in.
        read: reads a file; raises AssertionError where the result makes no sense.
        is_text: whether words are damaged, too.
        repair: has checksums right again, in every second damaged file.
        beside: other files that the reader needs, by their names.
        target: what is read, relative to the folder, where that is not the file.
    """

    file: str
    good: Callable[[pathlib.Path], list[bytes]]
    read: Callable[[pathlib.Path], Any]
    is_text: bool = False
    repair: Callable[[bytes], bytes] | None = None
    beside: Callable[[], dict[str, bytes]] = dict
    target: str = ""

    def place(self, folder: pathlib.Path, content: bytes) -> pathlib.Path:
        """Writes a damaged file, and gives the path to read."""
        (folder / self.file).write_bytes(content)
        return folder / (self.target or self.file)


def counts(number: int = 0) -> np.ndarray:
    """A depth frame of 16 bits, in mm, with pixels without a reading."""
    frame = 500 + number + np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 97
    frame[:3] = 0
    return frame.astype(np.uint16)


def check_depth(depth_mm: np.ndarray) -> None:
    """Depth is float32 [H, W] in mm, finite, and not below 0."""
    assert depth_mm.dtype == np.float32 and depth_mm.ndim == 2 and depth_mm.size, (depth_mm.dtype, depth_mm.shape)
    assert np.isfinite(depth_mm).all() and depth_mm.min() >= 0, "depth that is not finite, or negative"


# Pictures and arrays


def _pngs(folder: pathlib.Path) -> list[bytes]:
    from PIL import Image

    mm = counts()
    nyu = np.stack([np.zeros_like(mm), mm >> 8, mm & 255], axis=-1).astype(np.uint8)
    made = []
    for picture, options in (
        *((Image.fromarray(mm), {}), (Image.fromarray(mm), {"compress_level": 0}), (Image.fromarray(nyu), {})),
        *((Image.fromarray(nyu[..., 2]), {}), (Image.fromarray(nyu).quantize(16), {})),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG", **options)
        made.append(buffer.getvalue())
    return made


def _tiffs(folder: pathlib.Path) -> list[bytes]:
    from PIL import Image

    made = []
    for frame in (counts(), counts().astype(np.float32)):
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            buffer = io.BytesIO()
            Image.fromarray(frame).save(buffer, format="TIFF", compression=compression)
            made.append(buffer.getvalue())
    return made


def _read_depth(path: pathlib.Path) -> None:
    from lsps_tf.depth_files import read_depth

    check_depth(read_depth(path))


def _read_table(path: pathlib.Path) -> None:
    """Metres, or counts of mm."""
    from lsps_tf.depth_files import counts_to_mm, read_counts

    table = read_counts(path)
    check_depth(counts_to_mm(table, 1.0 if table.dtype == np.uint16 else 1000.0))


def _read_png_with_numpy(path: pathlib.Path) -> None:
    """As devices without Pillow do."""
    from lsps_tf import depth_files

    image, depth_files.Image = depth_files.Image, None
    try:
        _read_depth(path)
    finally:
        depth_files.Image = image


def _arrays() -> list[np.ndarray]:
    video = np.stack([counts(number) for number in range(3)])
    return [
        *(counts(), counts().astype(">u2"), np.asfortranarray(counts().astype(np.float32)), video),
        *(np.asfortranarray(video), video[..., None].astype(np.float64), np.array([{"code": 1}], dtype=object)),
    ]


def _npys(folder: pathlib.Path) -> list[bytes]:
    made = []
    for array in _arrays():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        made.append(buffer.getvalue())
    return made


def _npzs(folder: pathlib.Path) -> list[bytes]:
    made = []
    for array in _arrays():
        for save in (np.savez, np.savez_compressed):
            buffer = io.BytesIO()
            save(buffer, depth=array)
            made.append(buffer.getvalue())
    return made


def _read_array(path: pathlib.Path) -> None:
    from lsps_tf.array_files import VideoReader, open_array
    from lsps_tf.depth_files import counts_to_mm

    array = open_array(path)
    if len(array.shape) == 3:
        for index in range(min(array.frames, _FRAMES_READ)):
            reader = VideoReader(array) if array.member else None
            frame = reader.read(index) if reader else array.read_frame(index)
            check_depth(counts_to_mm(np.asarray(frame), 1.0))
    _read_depth(path)


def _pgms(folder: pathlib.Path) -> list[bytes]:
    body = b" ".join(str(count).encode() for count in counts().ravel())
    head = f"# made\n{WIDTH} {HEIGHT}\n65535\n".encode()
    return [b"P5\n" + head + counts().astype(">u2").tobytes(), b"P2\n" + head + body]


def _exrs(folder: pathlib.Path) -> list[bytes]:
    import OpenEXR

    made = []
    for number, compression in enumerate((OpenEXR.NO_COMPRESSION, OpenEXR.ZIP_COMPRESSION, OpenEXR.PIZ_COMPRESSION)):
        header = {"compression": compression, "type": OpenEXR.scanlineimage}
        path = folder / f"{number}.exr"
        OpenEXR.File(header, {"Z": counts().astype(np.float32)}).write(str(path))
        made.append(path.read_bytes())
    return made


def _tables(folder: pathlib.Path) -> list[bytes]:
    metres = counts() / 1000.0
    return [
        "\n".join(",".join(f"{value:{kind}}" for value in row) for row in rows).encode()
        for rows, kind in ((metres, ".4f"), (counts(), "d"))
    ]


_VIEWER = b"""Frame Info:
Type,Depth
Resolution x,32
Resolution y,24
Fx,40.0
Fy,41.0
PPx,15.5
PPy,11.25
Distorsion,Brown Conrady
"""


# Cameras and labels

_TOML = b"""fx = 475.0
fy = 475.0
cx = 320.0
cy = 240
depth_unit_mm = 0.125
hand = "left"
near_mm = 100
far_mm = 900
width = 640
height = 480
rotation_degrees = 90
"""
_OPEN3D = b"""{"width": 640, "height": 480, "depth_scale": 1000.0,
 "intrinsic_matrix": [475.0, 0, 0, 0, 475.0, 0, 320.0, 240.0, 1]}
"""
_YAML = b"""image_width: 640
image_height: 480
camera_name: depth
camera_matrix:
  rows: 3
  cols: 3
  data: [475.0, 0.0, 320.0, 0.0, 475.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.001, 0.002, 0.0]
"""
_ECHO = b"""header:
  seq: 1
height: 480
width: 640
distortion_model: "rational_polynomial"
D: [0.1, 0.2, 0.0, 0.0, 0.1, 0.2, 0.1, 0.0]
K: [475.0, 0.0, 320.0, 0.0, 475.0, 240.0, 0.0, 0.0, 1.0]
"""


def _read_camera(path: pathlib.Path) -> None:
    from lsps_tf.camera_files import read_camera_settings
    from lsps_tf.errors import InputError

    said = read_camera_settings(path)
    try:
        camera = said.camera(said.height or 480, said.width or 640)
    except InputError as error:
        # Its message is completed by whoever knows the file's name.
        raise InputError(f"{path}: {error}") from error
    assert camera.fx > 0 and camera.fy > 0 and np.isfinite(camera.intrinsics).all()


def _read_camera_toml(path: pathlib.Path) -> None:
    from lsps_tf.datasets.own.camera_file import read_camera_file

    said = read_camera_file(path.parent)
    assert said.fx > 0 and 0 <= said.near_mm < said.far_mm and np.isfinite(said.depth_unit_mm)


_NAMES = [f"{number:04d}.png" for number in range(6)]


def _joints(folder: pathlib.Path) -> list[bytes]:
    made = []
    for axes, separator in (("xyz", ","), ("uvd", ";")):
        columns = [f"{joint}_{axis}" for joint in ("palm", "index_tip") for axis in axes]
        lines = [["frame", "split", *columns]]
        lines += [[name, "train", *(f"{100.5 + k}" for k in range(6))] for name in _NAMES[:4]]
        made.append("\n".join(separator.join(line) for line in lines).encode())
    return made


def _read_joints(path: pathlib.Path) -> None:
    from lsps_tf.datasets.own.labels import read_labels

    labels = read_labels(path.parent, _NAMES, np.array([475.0, 475.0, 320.0, 240.0], np.float32))
    for joints_mm in labels.joints_mm.values():
        assert joints_mm.shape == (labels.skeleton.num_joints, 3) and joints_mm.dtype == np.float32
    assert set(labels.joints_mm) <= set(_NAMES)


def _predictions(folder: pathlib.Path) -> list[bytes]:
    rows = [" ".join(f"{100 + k + row:.3f}" for k in range(42)) for row in range(5)]
    return ["\n".join(rows).encode()]


def _read_predictions(path: pathlib.Path) -> None:
    from lsps_tf.prediction_files import read_joints_uvd
    from lsps_tf.skeleton import NYU

    joints_uvd = read_joints_uvd(path, NYU)
    assert joints_uvd.shape[1:] == (len(NYU.evaluated), 3) and np.isfinite(joints_uvd).all()


def _centers(folder: pathlib.Path) -> list[bytes]:
    return [b"10.5 20.25 700.0\ninvalid\n-3 4 650\n"]


def _read_centers(path: pathlib.Path) -> None:
    from lsps_tf.datasets.public.recording import start_centers

    centers_mm = start_centers(np.full((3, 16, 3), 500.0), path)
    assert centers_mm.shape == (3, 3) and np.isfinite(centers_mm).all()


def _icvl(folder: pathlib.Path) -> list[bytes]:
    lines = [f"201403121135/image_{n:04d}.png " + " ".join(f"{100.0 + k + n}" for k in range(48)) for n in range(4)]
    return ["\n".join(lines).encode()]


def _read_icvl(path: pathlib.Path) -> None:
    from lsps_tf.datasets.public.icvl import read_labels

    labels = read_labels(path)
    assert labels.joints_uvd.shape == (len(labels.names), 16, 3)


def _mats(folder: pathlib.Path) -> list[bytes]:
    import h5py
    import scipy.io

    labels = np.arange(3 * 2 * 36 * 3, dtype=np.float64).reshape(3, 2, 36, 3)
    for name, compresses in (("a", False), ("b", True)):
        scipy.io.savemat(folder / f"{name}.mat", {"joint_uvd": labels, "other": "text"}, do_compression=compresses)
    with h5py.File(folder / "c.mat", "w", userblock_size=512) as file:
        file["joint_uvd"] = labels.transpose()
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with (folder / "c.mat").open("r+b") as file:
        file.write(head)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _read_mat(path: pathlib.Path) -> None:
    from lsps_tf.datasets.public.nyu import read_labels

    labels = read_labels(path)
    assert labels.shape[1:] == (36, 3) and labels.dtype == np.float32


# Stores, weights, models


def _stores(folder: pathlib.Path) -> list[bytes]:
    from lsps_tf.camera import NYU
    from lsps_tf.datasets.store import create_store

    rows = {
        "depth_mm": np.stack([counts()[:24, :24] for _ in range(4)]).astype(np.float32),
        **{"joints_mm": np.ones((4, 36, 3)), "center_mm": np.ones((4, 3)), "cube_mm": np.full(4, 250.0)},
        **{"extent_mm": np.full(4, 375.0), "subject": np.zeros(4), "frame": np.arange(4)},
    }
    with create_store(folder / "a.h5", "nyu", NYU, 24, {"made": "here"}) as store:
        for split in ("synthetic/train", "real/test"):
            store.append(split, rows)
    return [(folder / "a.h5").read_bytes()]


def _read_store(path: pathlib.Path) -> None:
    from lsps_tf.datasets.store import open_store

    with open_store(path) as store:
        for split, count in store.splits().items():
            frames = np.arange(min(count, _FRAMES_READ))
            rows = store.read(split, frames)
            assert rows["depth_mm"].shape == (len(frames), store.info.size, store.info.size)
            assert rows["joints_mm"].shape == (len(frames), store.info.skeleton.num_joints, 3)


class _Networks:
    """Stands for networks: variables by name, which weights are loaded into."""

    class Variable:
        def __init__(self, shape: tuple[int, ...]):
            self.shape, self.value = shape, np.zeros(shape, np.float32)

        def numpy(self) -> np.ndarray:
            return self.value

        def assign(self, value: np.ndarray) -> None:
            self.value = np.asarray(value, np.float32)
            assert self.value.shape == self.shape

    def __init__(self):
        self._variables = {f"encoder/{number:03d}": self.Variable((7, 5 + number)) for number in range(4)}

    def named_variables(self) -> dict[str, Any]:
        return self._variables


def _weights(folder: pathlib.Path) -> list[bytes]:
    from lsps_tf.run_folder import save_weights

    save_weights(_Networks(), folder / "a.h5")
    return [(folder / "a.h5").read_bytes()]


def _read_weights(path: pathlib.Path) -> None:
    from lsps_tf.run_folder import load_weights

    load_weights(_Networks(), path)


def _settings(folder: pathlib.Path) -> list[bytes]:
    from lsps_tf.run_folder import SHIPPED, settings_path

    return [settings_path(SHIPPED).read_bytes()]


def _read_settings(path: pathlib.Path) -> None:
    from lsps_tf.run_folder import RunSettings, read_settings

    assert isinstance(read_settings(path.parent), RunSettings)


def _tflites(folder: pathlib.Path) -> list[bytes]:
    """The description in an empty model: what stands around it is the same."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from lsps_tf.model_info import TFLITE_IDENTIFIER, ModelInfo, embed_info, read_tflite_info
    from lsps_tf.models import SHIPPED_TFLITE

    info = read_tflite_info(SHIPPED_TFLITE)
    assert isinstance(info, ModelInfo)
    model = schema.ModelT()
    model.version, model.buffers, model.description = 3, [schema.BufferT()], "empty"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=TFLITE_IDENTIFIER)
    return [embed_info(bytes(builder.Output()), info)]


def _read_tflite(path: pathlib.Path) -> None:
    from lsps_tf.model_info import read_tflite_info

    info = read_tflite_info(path)
    assert info.image_size > 0 and info.cube_mm > 0


def _backgrounds(folder: pathlib.Path) -> list[bytes]:
    from lsps_tf.background import Background

    Background(counts().astype(np.float32), np.full((HEIGHT, WIDTH), 5.0, np.float32)).save(folder / "a.npz")
    return [(folder / "a.npz").read_bytes()]


def _read_background(path: pathlib.Path) -> None:
    from lsps_tf.background import Background

    background = Background.load(path)
    check_depth(background.depth_mm)
    assert background.margin_mm.shape == background.depth_mm.shape


# Recordings


def _ros1(folder: pathlib.Path) -> list[bytes]:
    from tests.recordings.writers import depth_topics, write_bag

    return [
        write_bag(folder / f"a{packing}.bag", 1, depth_topics(1), packing=packing).read_bytes()
        for packing in ("", "BZ2", "LZ4")
    ]


def _mcaps(folder: pathlib.Path) -> list[bytes]:
    from tests.recordings.writers import depth_topics, write_mcap

    return [
        write_mcap(folder / f"{packing}.mcap", depth_topics(2), packing=packing).read_bytes()
        for packing in ("NONE", "LZ4", "ZSTD")
    ]


def _ros2(file: str) -> Callable[[pathlib.Path], list[bytes]]:
    from tests.recordings.writers import depth_topics, write_bag

    return lambda folder: [next(write_bag(folder / "bag", 2, depth_topics(2)).glob(file)).read_bytes()]


def _ros2_beside(file: str) -> Callable[[], dict[str, bytes]]:
    def make() -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            return {f"bag/{'bag.db3' if file == '*.db3' else file}": _ros2(file)(pathlib.Path(folder))[0]}

    return make


def _mkvs(folder: pathlib.Path) -> list[bytes]:
    from tests.recordings.writers import kinect_calibration, write_kinect

    return [write_kinect(folder / "a.mkv", 2, calibration=kinect_calibration(), color=False).read_bytes()]


def _read_recording(path: pathlib.Path) -> None:
    from lsps_tf.recordings.depth import open_depth

    with open_depth(path) as recording:
        assert len(recording) > 0
        for index in range(min(len(recording), _FRAMES_READ)):
            frame = recording[index]
            check_depth(frame.depth_mm)
            assert frame.depth_mm.shape == (recording.camera.height, recording.camera.width)


def _checkpoints(folder: pathlib.Path) -> list[bytes]:
    kept, checkpoint = _stage(folder)
    checkpoint.step.assign(3)
    kept.save()
    return [(folder / "ckpt-3.index").read_bytes(), (folder / "ckpt-3.data-00000-of-00001").read_bytes()]


def _stage(folder: pathlib.Path) -> tuple[Any, Any]:
    import tensorflow as tf

    from training.survival.checkpoints import StageCheckpoints

    weights = [tf.Variable(np.full((5, 7), 0.5, np.float32)) for _ in range(8)]
    checkpoint = tf.train.Checkpoint(weights=weights, step=tf.Variable(0, dtype=tf.int64))
    return StageCheckpoints(checkpoint, folder), checkpoint


def _checkpoint_data() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return {"ckpt-3.data-00000-of-00001": _checkpoints(pathlib.Path(folder))[1]}


def _read_checkpoint(path: pathlib.Path) -> None:
    kept, checkpoint = _stage(path.parent)
    kept.restore()
    assert int(checkpoint.step) == 3 and all((weight.numpy() == 0.5).all() for weight in checkpoint.weights)


READERS: dict[str, Reader] = {
    "png": Reader("a.png", _pngs, _read_depth, repair=mutations.repair_png),
    "png-numpy": Reader("a.png", _pngs, _read_png_with_numpy, repair=mutations.repair_png),
    "tiff": Reader("a.tiff", _tiffs, _read_depth),
    "npy": Reader("a.npy", _npys, _read_array),
    "npz": Reader("a.npz", _npzs, _read_array),
    "npz-inside": Reader("a.npz", _npys, _read_array, repair=mutations.pack_npz),
    "pgm": Reader("a.pgm", _pgms, _read_depth),
    "exr": Reader("a.exr", _exrs, _read_depth),
    "csv-depth": Reader("a.csv", _tables, _read_table, is_text=True),
    "raw": Reader(
        "a_metadata.csv", lambda _: [_VIEWER], _read_depth, True, None, lambda: {"a.raw": counts().tobytes()}, "a.raw"
    ),
    "background": Reader("a.npz", _backgrounds, _read_background),
    "mat": Reader("a.mat", _mats, _read_mat),
    "store": Reader("a.h5", _stores, _read_store),
    "weights": Reader("a.h5", _weights, _read_weights),
    "checkpoint": Reader(
        "ckpt-3.index", lambda folder: _checkpoints(folder)[:1], _read_checkpoint, beside=_checkpoint_data
    ),
    "settings": Reader("settings.json", _settings, _read_settings, is_text=True),
    "tflite": Reader("a.tflite", _tflites, _read_tflite),
    "camera-toml": Reader("camera.toml", lambda _: [_TOML], _read_camera_toml, is_text=True),
    "camera-json": Reader("a.json", lambda _: [_OPEN3D], _read_camera, is_text=True),
    "camera-yaml": Reader("a.yaml", lambda _: [_YAML, _ECHO], _read_camera, is_text=True),
    "camera-csv": Reader("a.csv", lambda _: [_VIEWER], _read_camera, is_text=True),
    "joints": Reader("joints.csv", _joints, _read_joints, is_text=True),
    "predictions": Reader("a.txt", _predictions, _read_predictions, is_text=True),
    "centers": Reader("a.txt", _centers, _read_centers, is_text=True),
    "icvl-labels": Reader("labels.txt", _icvl, _read_icvl, is_text=True),
    "bag": Reader("a.bag", _ros1, _read_recording),
    "mcap": Reader("a.mcap", _mcaps, _read_recording),
    "db3": Reader("bag/bag.db3", _ros2("*.db3"), _read_recording, False, None, _ros2_beside("metadata.yaml"), "bag"),
    "bag-yaml": Reader(
        "bag/metadata.yaml", _ros2("metadata.yaml"), _read_recording, True, None, _ros2_beside("*.db3"), "bag"
    ),
    "mkv": Reader("a.mkv", _mkvs, _read_recording),
}
