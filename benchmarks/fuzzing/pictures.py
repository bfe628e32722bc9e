"""Pictures and arrays: good files to damage, and how they are read."""

from __future__ import annotations

import io
import pathlib

import numpy as np

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.cameras import VIEWER
from benchmarks.fuzzing.reader import FRAMES_READ, HEIGHT, WIDTH, Reader, check_depth, counts


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
        for index in range(min(array.frames, FRAMES_READ)):
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
        "a_metadata.csv", lambda _: [VIEWER], _read_depth, True, None, lambda: {"a.raw": counts().tobytes()}, "a.raw"
    ),
}
