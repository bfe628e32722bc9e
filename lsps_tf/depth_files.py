"""Depth frames in files: 16-bit PNG and TIFF, the NYU dataset's encoding and NumPy arrays, to float32 depth in mm."""

from __future__ import annotations

import pathlib

import numpy as np

from lsps_tf import png
from lsps_tf.array_files import NPY_SIGNATURE, NPZ_SIGNATURE, open_array
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.recordings.opening import check_not_lost
from lsps_tf.recordings.pictures import is_picture, read_picture

try:
    from PIL import Image
except ImportError:
    # Edge devices have NumPy alone.
    Image = None

# No depth camera for hands reads farther, or nearer, than this in the median: the unit is wrong then.
_FARTHEST_MEDIAN_MM = 20_000.0
_NEAREST_MEDIAN_MM = 30.0
_FORMATS = "a 16-bit grayscale PNG or TIFF, an 8-bit RGB PNG in the NYU encoding, or a .npy or .npz file"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*")
_MAX_COUNT = 65535
# 16-bit grayscale; which of the names depends on the release of Pillow.
_MODES_16 = ("I;16", "I;16B", "I")
# What pictures are that hold no depth, by Pillow's mode.
_KINDS = {
    "L": "8-bit grayscale",
    "RGB": "color, its red is not 0 as the NYU encoding's is",
    "RGBA": "color with transparency",
}


def read_depth(path: str | pathlib.Path, depth_unit_mm: float | None = None) -> np.ndarray:
    """Reads one depth frame.

    The content decides on the format, not the name: 16-bit grayscale PNG or TIFF (counts), 32-bit float TIFF, 8-bit
    RGB PNG in the encoding of the NYU hand pose dataset (mm = 256 * green + blue, Tompson et al., 2014), or NumPy's
    arrays (see `lsps_tf.array_files`). What is no reading is said at `counts_to_mm`.

    Args:
        path: the file.
        depth_unit_mm: mm that one count, or 1.0 of a float array, stands for; default 1.

    Returns:
        float32 [H, W] in mm, 0 = no reading.

    Raises:
        InputError: where the file is missing, truncated, of another format, no 2-D frame, holds no reading at all, or
            where its depths tell that the unit is wrong.
    """
    unit_mm = _checked_unit(1.0 if depth_unit_mm is None else depth_unit_mm)
    return _checked_depth(path, read_counts(path), unit_mm)


def read_counts(path: str | pathlib.Path) -> np.ndarray:
    """What a file holds as it stands there, [H, W] (of an array: of other shapes, too), without a look at the values.

    Raises:
        InputError: where the file is missing, truncated or of another format.
    """
    path = pathlib.Path(path)
    signature = _read_signature(path)
    if signature.startswith((NPY_SIGNATURE, NPZ_SIGNATURE)):
        return open_array(path).read()
    if is_picture(path, signature):
        return read_picture(path)
    if signature == _PNG_SIGNATURE or signature.startswith(_TIFF_SIGNATURES):
        return _read_image(path, "PNG" if signature == _PNG_SIGNATURE else "TIFF")
    check_not_lost(path)
    raise InputError(f"{path}: this is no depth frame that can be read{_looks_like(signature)}; give {_FORMATS}")


def read_nyu_png(path: str | pathlib.Path) -> np.ndarray:
    """Reads a frame of the NYU dataset as quickly as can be: uint16 [H, W], mm as they stand in the file.

    Raises:
        InputError: where the file is missing, truncated, no 8-bit RGB PNG, or its red is not 0.
    """
    mode, array = _decode(pathlib.Path(path))
    if mode != "RGB":
        raise InputError(
            f"{path}: not in the NYU encoding, an 8-bit RGB PNG (it is {_KINDS.get(mode, mode)}); copy it again"
        )
    if array[..., 0].any():
        raise InputError(f"{path}: not in the NYU encoding: {_KINDS[mode]}; copy it again as it was published")
    return _join_bytes(array)


def read_png16(path: str | pathlib.Path) -> np.ndarray:
    """Reads the counts of a 16-bit grayscale PNG as they stand in the file: uint16 [H, W].

    Raises:
        InputError: where the file is missing, truncated or no 16-bit grayscale PNG.
    """
    mode, array = _decode(pathlib.Path(path))
    if mode != "I;16":
        raise InputError(f"{path}: no 16-bit grayscale PNG (it is {_KINDS.get(mode, mode)}); copy it again")
    return array


def write_depth_png16(path: str | pathlib.Path, depth_mm: np.ndarray, depth_unit_mm: float = 1.0) -> None:
    """Writes a frame as 16-bit grayscale PNG, rounded to whole counts.

    Args:
        path: the file to write.
        depth_mm: [H, W] in mm, 0 = no reading.
        depth_unit_mm: mm that one count stands for.

    Raises:
        InputError: where a depth does not fit 16 bits in this unit, or the file cannot be written.
    """
    counts = np.rint(np.asarray(depth_mm, np.float64) / _checked_unit(depth_unit_mm))
    if counts.ndim != 2:
        raise InputError(f"{path}: a frame has two axes, not the shape {counts.shape}")
    if not (np.isfinite(counts).all() and counts.min() >= 0 and counts.max() <= _MAX_COUNT):
        raise InputError(
            f"{path}: depths in units of {depth_unit_mm:g} mm must be finite and within 0 to {_MAX_COUNT} counts; "
            "use a larger unit"
        )
    with atomic_path(path) as partial:
        Image.fromarray(counts.astype(np.uint16)).save(partial, format="PNG")


def _checked_unit(unit_mm: float) -> float:
    if not (np.isfinite(unit_mm) and unit_mm > 0):
        raise InputError(f"--depth-unit: {unit_mm:g} is no unit; give the mm that one count stands for, more than 0")
    return float(unit_mm)


def _read_signature(path: pathlib.Path) -> bytes:
    try:
        with path.open("rb") as file:
            signature = file.read(len(_PNG_SIGNATURE))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; give a depth frame") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give one depth frame") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not signature:
        raise InputError(f"{path}: the file is empty; record or copy it again")
    return signature


def _looks_like(signature: bytes) -> str:
    if signature.startswith(b"\xff\xd8"):
        return " (a JPEG, whose compression destroys depth)"
    return ""


def _read_image(path: pathlib.Path, kind: str) -> np.ndarray:
    mode, array = _decode(path, kind)
    if mode == "RGB" and not array[..., 0].any():
        return _join_bytes(array)
    if mode in _MODES_16 or (mode == "F" and kind == "TIFF"):
        return array
    raise InputError(f"{path}: this {kind} is a picture ({_KINDS.get(mode, mode)}), no depth; give {_FORMATS}")


def _decode(path: pathlib.Path, kind: str = "PNG") -> tuple[str, np.ndarray | None]:
    """Pillow's mode of a PNG or TIFF, and its pixels; of a PNG that holds no depth what it is, and no pixels.

    What a PNG is stands in its header, which is read here: Pillow makes 8 bits of 16 for some.
    """
    if Image is None and kind == "TIFF":
        raise InputError(f"{path}: a TIFF is read by Pillow, which is not installed; install it, or give a PNG or .npy")
    try:
        if kind == "PNG":
            return _decode_png(path)
        with Image.open(path) as image:
            image.load()
            return image.mode, np.asarray(image)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; give a depth frame") from None
    except (OSError, SyntaxError, ValueError, EOFError, getattr(Image, "DecompressionBombError", OSError)) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: the {kind} is truncated or damaged; record or copy it again") from error


def _decode_png(path: pathlib.Path) -> tuple[str, np.ndarray | None]:
    with path.open("rb") as file:
        header = png.read_header(file.read(png.HEADER_BYTES))
    if not header.is_decodable:
        return header.mode, None
    if header.width * header.height > png.MAX_PIXELS:
        raise InputError(f"{path}: {header.width} x {header.height} pixels are more than a depth camera has")
    if Image is None:
        return png.decode_png(path.read_bytes())
    with Image.open(path) as image:
        image.load()
        # Older releases of Pillow give counts of 16 bits as 32.
        return header.mode, np.array(image, np.uint16 if header.mode == "I;16" else np.uint8)


def _join_bytes(array: np.ndarray) -> np.ndarray:
    """256 * green + blue."""
    return array[..., 1].astype(np.uint16) << 8 | array[..., 2]


def _checked_depth(path: pathlib.Path, counts: np.ndarray, unit_mm: float) -> np.ndarray:
    if counts.ndim != 2 or 0 in counts.shape:
        raise InputError(f"{path}: a frame has two axes (height, width), not the shape {counts.shape}; save one frame")
    depth_mm = counts_to_mm(counts, unit_mm)
    readings_mm = depth_mm[depth_mm > 0]
    if not readings_mm.size:
        raise InputError(f"{path}: every pixel is 0 or no depth, so the frame has no reading; record it again")
    median_mm = float(np.median(readings_mm))
    if not _NEAREST_MEDIAN_MM <= median_mm <= _FARTHEST_MEDIAN_MM:
        raise InputError(
            f"{path}: the median depth would be {median_mm:.3g} mm at {unit_mm:g} mm per count, which no hand camera "
            f"reads; give --depth-unit, the mm of one count (1000 where the file holds meters)"
        )
    return depth_mm


def counts_to_mm(counts: np.ndarray, unit_mm: float) -> np.ndarray:
    """Counts of any type to float32 mm, 0 = no reading.

    No reading are 0, negative numbers, NaN and infinity (ROS REP 117, ZED, iPhones), and the largest count of 16 bits,
    which cameras give for what is too far or too near.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        depth_mm = (counts.astype(np.float64) * unit_mm).astype(np.float32)
        is_reading = np.isfinite(depth_mm) & (depth_mm > 0.0)
    if counts.dtype.kind == "u" and counts.dtype.itemsize == 2:
        is_reading &= counts != _MAX_COUNT
    return np.where(is_reading, depth_mm, np.float32(0.0))
