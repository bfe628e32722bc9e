"""Single frames as cameras' tools and other programs export them: PGM, EXR, and RealSense's CSV and raw exports.

.pgm   16-bit grayscale, plain or raw (Netpbm)
.exr   one channel of floats, mostly metres; by the package OpenEXR
.csv   a row of numbers per row of pixels, as rs-convert writes them (metres)
.raw   16-bit little-endian counts, with the Viewer's NAME_metadata.csv beside it, which says their size
"""

from __future__ import annotations

import pathlib
import re

import numpy as np

from lsps_tf.errors import InputError
from lsps_tf.recordings.recording import MAX_PIXELS, first_line

_PGM, _EXR = (b"P2", b"P5"), b"\x76\x2f\x31\x01"
# Width, height and the largest count, with comments in between.
_PGM_HEADER = re.compile(rb"(P[25])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")
_METADATA = "_metadata.csv"
# What RealSense Viewer exports beside depth.
_OTHER_STREAMS = re.compile("color|infrared|fisheye", re.IGNORECASE)
# Lists of joints, of times and of poses are CSV, too, but no frame is this narrow.
_FEWEST_COLUMNS = 32
_INSTALL = "EXR is read by the package OpenEXR, which is not installed; pip install lsps-tf[recordings]"


def is_picture(path: pathlib.Path, signature: bytes | None = None) -> bool:
    """Whether a file is one of these.

    Args:
        path: of the file.
        signature: its first bytes; None where only files that have none are asked for.
    """
    ending = path.suffix.lower()
    if ending == ".csv":
        return not path.name.endswith(_METADATA) and _starts_with_numbers(path)
    if ending == ".raw":
        return not _OTHER_STREAMS.search(path.stem)
    return signature is not None and signature.startswith((*_PGM, _EXR))


def read_picture(path: pathlib.Path) -> np.ndarray:
    """The counts, or lengths, of a frame [H, W] as they stand in the file; floats may be NaN where there is no reading.

    Raises:
        InputError: where it is damaged, of 8 bits or several channels, or lacks what says its size.
    """
    with path.open("rb") as file:
        signature = file.read(len(_EXR))
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if path.suffix.lower() == ".raw":
        return _read_raw(path)
    return _read_exr(path) if signature == _EXR else _read_pgm(path)


def _read_pgm(path: pathlib.Path) -> np.ndarray:
    content = path.read_bytes()
    header = _PGM_HEADER.match(content)
    if header is None:
        raise InputError(f"{path}: the PGM's header is damaged; save it again")
    width, height, largest = (int(number) for number in header.groups()[1:])
    if largest < 256:
        raise InputError(f"{path}: this PGM has 8 bits, which hold no depth; save 16 bits")
    if not 0 < width * height <= MAX_PIXELS or largest > 65535:
        raise InputError(f"{path}: the PGM's header says {width} x {height} pixels up to {largest}; save it again")
    body = content[header.end() :]
    if header.group(1) == b"P5":
        counts = np.frombuffer(body[: 2 * width * height], ">u2") if len(body) >= 2 * width * height else np.empty(0)
    else:
        words = body.split(maxsplit=width * height)[: width * height]
        # As floats: a number of any length is one.
        counts = np.array(words, np.float64) if all(word.isdigit() for word in words) else np.empty(0)
    if counts.size != width * height or counts.max() > 65535:
        raise InputError(f"{path}: the PGM is cut short or damaged; save it again")
    return counts.reshape(height, width).astype(np.uint16)


def _read_exr(path: pathlib.Path) -> np.ndarray:
    try:
        import OpenEXR
    except ImportError:
        raise InputError(f"{path}: {_INSTALL}") from None
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except Exception as error:
        raise InputError(f"{path}: the EXR is damaged ({first_line(error)}); save it again") from error
    # Renderers and cameras call a channel of depth Z; a single one may have any name.
    chosen = channels.get("Z", next(iter(channels.values())) if len(channels) == 1 else None)
    if chosen is None:
        raise InputError(f"{path}: its channels are {', '.join(sorted(channels))}, colors; save one channel, or 'Z'")
    return np.asarray(chosen, np.float32)


def _read_csv(path: pathlib.Path) -> np.ndarray:
    try:
        with path.open(encoding="utf-8-sig") as file:
            # Rows may end with a comma.
            values = np.array([line.strip().strip(",").split(",") for line in file if line.strip()], np.float64)
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{path}: this is no table of numbers ({first_line(error)}); export it again") from error
    is_whole = np.all(values == np.floor(values)) and values.min() >= 0 and values.max() <= 65535
    return values.astype(np.uint16 if is_whole else np.float32)


def _read_raw(path: pathlib.Path) -> np.ndarray:
    from lsps_tf.camera_files import read_camera_settings

    metadata = path.with_name(path.stem + _METADATA)
    if not metadata.is_file():
        raise InputError(f"{path}: raw counts do not say their size; keep RealSense Viewer's {metadata.name} beside it")
    said = read_camera_settings(metadata)
    counts = np.fromfile(path, "<u2")
    if counts.size != said.width * said.height:
        raise InputError(
            f"{path}: it holds {counts.size} counts, and {metadata.name} says {said.width} x {said.height}; export "
            "depth, and not color, again"
        )
    return counts.reshape(said.height, said.width).astype(np.uint16)


def _starts_with_numbers(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        fields = file.readline(1_000_000).strip().strip(b",").split(b",")
    return len(fields) >= _FEWEST_COLUMNS and all(re.fullmatch(rb"\s*[-+.\deE]+|\s*nan\s*", field) for field in fields)
