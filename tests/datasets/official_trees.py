"""Small trees in the official formats of NYU and ICVL, with hands of discs around the joints."""

import pathlib

import numpy as np
import scipy.io
from PIL import Image

from lsps_tf import camera

PUBLISHED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "published"
REAL_NYU = PUBLISHED.parent / "real" / "nyu" / "test_depth_1_0000001.png"
DISC_MM = 12.0


def nyu_labels(count, seed=0):
    """uvd [count, 36, 3]: real labels of the test set where they are present, else places in a hand's reach."""
    files = [PUBLISHED / "nyu" / f"joints36_{axis}.csv" for axis in "uvd"]
    if all(file.is_file() for file in files):
        return np.stack([np.loadtxt(file, delimiter=",", max_rows=count, ndmin=2) for file in files], axis=-1)
    return random_labels(count, 36, camera.NYU, 750.0, seed)


def icvl_labels(count, seed=0):
    """uvd [count, 16, 3]."""
    file = PUBLISHED / "icvl" / "groundtruth_uvd.txt"
    if file.is_file():
        return np.loadtxt(file, max_rows=count, ndmin=2).reshape(-1, 16, 3)
    return random_labels(count, 16, camera.ICVL, 350.0, seed)


def random_labels(count, joints, view, distance_mm, seed):
    rng = np.random.default_rng(seed)
    middle = rng.normal((0.0, 0.0, distance_mm), 20.0, (count, 1, 3))
    joints_mm = middle + rng.uniform(-60.0, 60.0, (count, joints, 3)) * [1.0, 1.0, 0.3]
    return camera.mm_to_uvd(joints_mm, view.intrinsics.astype(np.float64))


def draw_frame(joints_uvd, view, background):
    """uint16 [H, W] mm: discs around the joints, the nearest in front."""
    frame = np.full((view.height, view.width), background, np.uint16)
    for u, v, d in sorted(joints_uvd[joints_uvd[:, 2] > 0], key=lambda joint: -joint[2]):
        radius = view.fx * DISC_MM / d
        left, top = max(0, int(u - radius)), max(0, int(v - radius))
        part = frame[top : int(v + radius) + 2, left : int(u + radius) + 2]
        rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
        part[(columns - u) ** 2 + (rows - v) ** 2 < radius**2] = round(d)
    return frame


def encode_nyu(depth_mm):
    """The official encoding: 8-bit RGB, mm = 256 G + B."""
    depth_mm = np.asarray(depth_mm, np.uint16)
    return np.stack([np.zeros_like(depth_mm), depth_mm >> 8, depth_mm & 255], axis=-1).astype(np.uint8)


def write_nyu(folder, train=8, test=4, labels=None):
    """The folder's `train` (real and synthetic) and `test`. Returns the labels uvd of both, by part."""
    labels = nyu_labels(train + test) if labels is None else labels
    parts = {"train": labels[:train], "test": labels[train:]}
    for part, joints_uvd in parts.items():
        (folder / part).mkdir(parents=True)
        for number, joints in enumerate(joints_uvd, start=1):
            for prefix in ("depth", "synthdepth") if part == "train" else ("depth",):
                picture = Image.fromarray(encode_nyu(draw_frame(joints, camera.NYU, 2001)))
                picture.save(folder / part / f"{prefix}_1_{number:07d}.png")
        write_labels(folder / part / "joint_data.mat", joints_uvd)
    return parts


def write_labels(path, joints_uvd):
    """`joint_data.mat` as the dataset's own script writes it: three cameras, `joint_xyz` with y up."""
    joints_mm = camera.uvd_to_mm(np.asarray(joints_uvd, np.float64), camera.NYU.intrinsics.astype(np.float64))
    others = np.full_like(joints_uvd, -1.0)
    names = np.array([[f"joint {joint}" for joint in range(joints_uvd.shape[1])]], object)
    scipy.io.savemat(
        path,
        {
            "joint_names": names,
            "joint_uvd": np.stack([joints_uvd, others, others]),
            "joint_xyz": np.stack([joints_mm * [1.0, -1.0, 1.0], others, others]),
        },
        do_compression=True,
    )


def write_icvl(folder, train=8, test=4, rotated=True):
    """`Training` with two sequences and one rotated copy, `Testing` with both sequences. Returns names and labels."""
    labels = icvl_labels(train + test)
    half, middle = train // 2, test // 2
    names = [f"201403121135/image_{k:04d}.png" for k in range(half)]
    names += [f"201406191014/image_{k:04d}.png" for k in range(train - half)]
    lines = dict(zip(names, labels[:train]))
    if rotated:
        lines.update({f"22-5/{name}": joints for name, joints in zip(names, labels[:train])})
    tests = [{f"test_seq_1/image_{k:04d}.png": labels[train + k] for k in range(middle)}]
    tests += [{f"test_seq_2/image_{k:04d}.png": labels[train + middle + k] for k in range(test - middle)}]
    for part, file, frames in (
        ("Training", "labels.txt", lines),
        ("Testing", "test_seq_1.txt", tests[0]),
        ("Testing", "test_seq_2.txt", tests[1]),
    ):
        for name, joints in frames.items():
            path = folder / part / "Depth" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_frame(joints, camera.ICVL, 32001)).save(path)
        text = [f"{name} {' '.join(f'{value:.3f}' for value in joints.ravel())} \n" for name, joints in frames.items()]
        (folder / part / file).write_text("".join(text) + "\n")
    return lines, {**tests[0], **tests[1]}
