"""Stores, weights, checkpoints and models: good files to damage, and how they are read."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import numpy as np

from benchmarks.fuzzing.reader import FRAMES_READ, HEIGHT, WIDTH, Reader, check_depth, counts


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
            frames = np.arange(min(count, FRAMES_READ))
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
    "background": Reader("a.npz", _backgrounds, _read_background),
    "store": Reader("a.h5", _stores, _read_store),
    "weights": Reader("a.h5", _weights, _read_weights),
    "checkpoint": Reader(
        "ckpt-3.index", lambda folder: _checkpoints(folder)[:1], _read_checkpoint, beside=_checkpoint_data
    ),
    "settings": Reader("settings.json", _settings, _read_settings, is_text=True),
    "tflite": Reader("a.tflite", _tflites, _read_tflite),
}
