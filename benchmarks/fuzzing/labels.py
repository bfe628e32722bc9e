"""Labels, centres and predictions: good files to damage, and how they are read."""

from __future__ import annotations

import pathlib

import numpy as np

from benchmarks.fuzzing.reader import Reader

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


READERS: dict[str, Reader] = {
    "mat": Reader("a.mat", _mats, _read_mat),
    "joints": Reader("joints.csv", _joints, _read_joints, is_text=True),
    "predictions": Reader("a.txt", _predictions, _read_predictions, is_text=True),
    "centers": Reader("a.txt", _centers, _read_centers, is_text=True),
    "icvl-labels": Reader("labels.txt", _icvl, _read_icvl, is_text=True),
}
