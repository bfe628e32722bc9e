import pathlib
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from lsps_tf import depth_files
from lsps_tf.depth_files import read_depth, write_depth_png16
from lsps_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "real"


def frame(height=24, width=32):
    rng = np.random.default_rng(0)
    depth_mm = rng.integers(300, 1500, (height, width)).astype(np.float32)
    depth_mm[rng.random((height, width)) < 0.2] = 0
    return depth_mm


def nyu_encoded(depth_mm):
    counts = depth_mm.astype(np.uint16)
    return np.stack([np.zeros_like(counts), counts >> 8, counts & 255], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("pillow", [True, False])
def test_every_format_gives_the_same_depth(tmp_path, monkeypatch, pillow):
    expected = frame()
    counts = expected.astype(np.uint16)
    Image.fromarray(counts).save(tmp_path / "mm.png")
    Image.fromarray(8 * counts).save(tmp_path / "eighths.png")
    Image.fromarray(nyu_encoded(expected)).save(tmp_path / "nyu.png")
    np.save(tmp_path / "whole.npy", counts)
    np.save(tmp_path / "meters.npy", expected / 1000)
    if not pillow:
        monkeypatch.setattr(depth_files, "Image", None)
    for name, unit_mm in [("mm.png", None), ("eighths.png", 0.125), ("nyu.png", None), ("whole.npy", 1.0)]:
        depth_mm = read_depth(tmp_path / name, unit_mm)
        assert depth_mm.dtype == np.float32
        np.testing.assert_array_equal(depth_mm, expected)
    np.testing.assert_allclose(read_depth(tmp_path / "meters.npy", 1000.0), expected, rtol=1e-6)


def test_the_content_decides_and_not_the_name(tmp_path):
    np.save(tmp_path / "a.npy", frame())
    (tmp_path / "a.npy").rename(tmp_path / "a.png")
    np.testing.assert_array_equal(read_depth(tmp_path / "a.png"), frame())


def test_what_is_written_is_read_back_to_half_a_count(tmp_path):
    depth_mm = frame() + np.float32(0.37)
    write_depth_png16(tmp_path / "sub" / "a.png", depth_mm, 0.25)
    np.testing.assert_allclose(read_depth(tmp_path / "sub" / "a.png", 0.25), depth_mm, atol=0.126)


@pytest.mark.parametrize(("depth_mm", "unit_mm"), [(70_000.0, 1.0), (8_200.0, 0.125), (-1.0, 1.0), (np.nan, 1.0)])
def test_depth_that_does_not_fit_is_not_written(tmp_path, depth_mm, unit_mm):
    with pytest.raises(InputError, match=r"a\.png: depths in units of"):
        write_depth_png16(tmp_path / "a.png", np.full((2, 2), depth_mm), unit_mm)
    assert not list(tmp_path.iterdir())


def bad_frames(folder):
    """By name a file that is no frame, and a part of what is said about it."""
    good = folder / "good.png"
    Image.fromarray(frame().astype(np.uint16)).save(good)
    picture = np.random.default_rng(0).integers(1, 255, (24, 32, 3), np.uint8)
    Image.fromarray(picture).save(folder / "color.png")
    Image.fromarray(picture[..., 0]).save(folder / "gray8.png")
    Image.fromarray(picture).save(folder / "photo.jpg")
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(folder / "nothing.png")
    for name, array in {
        "three.npy": np.ones((2, 24, 32)),
        "nan.npy": np.full((24, 32), np.nan),
        "infinite.npy": np.full((24, 32), np.inf),
        "negative.npy": -frame() - 1,
        "text.npy": np.array([["a", "b"]]),
        "complex.npy": np.ones((24, 32), complex),
        "meters.npy": frame() / 1000,
        "micrometers.npy": frame() * 1000,
        "no_rows.npy": np.ones((0, 32)),
    }.items():
        np.save(folder / name, array)
    np.save(folder / "objects.npy", np.array([[{}]]), allow_pickle=True)
    np.savez(folder / "several.npz", a=frame(), b=frame())
    for name in ("good.png", "meters.npy"):
        content = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("depth, please")
    (folder / "folder").mkdir()
    with zipfile.ZipFile(folder / "archive.png", "w") as archive:
        archive.writestr("a", "a")
    return {
        "missing.png": "there is no such file",
        "folder": "this is a folder",
        "empty.png": "the file is empty",
        "text.png": "no depth frame that can be read; give a 16-bit",
        "archive.png": "a zip or .npz archive",
        "several.npz": "it holds 2 arrays",
        "photo.jpg": "a JPEG, whose compression destroys depth",
        "color.png": "this PNG is a picture (color",
        "gray8.png": "this PNG is a picture (8-bit grayscale",
        "nothing.png": "every pixel is 0",
        "cut_good.png": "the PNG is truncated or damaged",
        "cut_meters.npy": "the array is damaged",
        "objects.npy": "holds objects",
        "text.npy": "the array's type is <U1",
        "complex.npy": "the array's type is complex128",
        "three.npy": "two axes (height, width), not the shape (2, 24, 32)",
        "no_rows.npy": "two axes (height, width), not the shape (0, 32)",
        "nan.npy": "no depth, so the frame has no reading",
        "infinite.npy": "no depth, so the frame has no reading",
        "negative.npy": "no depth, so the frame has no reading",
        "meters.npy": "1000 where the file holds meters",
        "micrometers.npy": "give --depth-unit",
    }


@pytest.fixture(params=["with Pillow", "without Pillow"])
def pillow(request, monkeypatch):
    if request.param == "without Pillow":
        monkeypatch.setattr(depth_files, "Image", None)


def test_bad_frames_are_named_in_one_line(tmp_path, pillow):
    for name, message in bad_frames(tmp_path).items():
        with pytest.raises(InputError) as caught:
            read_depth(tmp_path / name)
        said = str(caught.value)
        assert said.startswith(str(tmp_path / name)) and message in said and "\n" not in said, said


def test_every_cut_of_a_frame_is_refused(tmp_path):
    for source in ("a.png", "a.npy"):
        if source == "a.png":
            write_depth_png16(tmp_path / source, frame())
        else:
            np.save(tmp_path / source, frame())
        content = (tmp_path / source).read_bytes()
        for length in range(0, len(content) - 20, len(content) // 12):
            (tmp_path / "cut").write_bytes(content[:length])
            with pytest.raises(InputError):
                read_depth(tmp_path / "cut")


@pytest.mark.parametrize("unit_mm", [0.0, -1.0, float("nan"), float("inf")])
def test_a_unit_without_meaning_is_refused(tmp_path, unit_mm):
    write_depth_png16(tmp_path / "a.png", frame())
    with pytest.raises(InputError, match="--depth-unit: .* is no unit"):
        read_depth(tmp_path / "a.png", unit_mm)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no {REAL}")
def test_frames_of_real_cameras_are_read_in_mm():
    nyu_mm = read_depth(REAL / "nyu" / "test_depth_1_0000001.png")
    assert nyu_mm.shape == (480, 640) and 700 < np.median(nyu_mm[nyu_mm > 0]) < 3000
    for path in sorted((REAL / "sr305").glob("*.png")):
        depth_mm = read_depth(path, 0.125)
        assert depth_mm.shape == (480, 640) and 300 < np.percentile(depth_mm[depth_mm > 0], 2) < 700


def test_pixels_without_a_reading_are_0_however_they_are_marked(tmp_path):
    """The hand is found in frames whose missing pixels are NaN or infinite."""
    expected = frame()
    for name, mark in {"nan": np.nan, "inf": np.inf, "negative_inf": -np.inf, "negative": -1.0, "zero": -0.0}.items():
        for dtype in (np.float16, np.float32, np.float64):
            metres = np.where(expected > 0, expected / 1000, mark).astype(dtype)
            np.save(tmp_path / f"{name}.npy", metres)
            np.testing.assert_allclose(read_depth(tmp_path / f"{name}.npy", 1000.0), expected, rtol=1e-3)
    counts = np.where(expected > 0, expected, 65535).astype(np.uint16)
    np.save(tmp_path / "counts.npy", counts)
    Image.fromarray(counts).save(tmp_path / "counts.png")
    Image.fromarray(counts).save(tmp_path / "counts.tiff")
    Image.fromarray(np.where(expected > 0, expected, np.nan).astype(np.float32)).save(tmp_path / "float.tiff")
    np.save(tmp_path / "signed.npy", np.where(expected > 0, expected, -32768).astype(np.int16))
    for name in ("counts.npy", "counts.png", "counts.tiff", "float.tiff", "signed.npy"):
        np.testing.assert_array_equal(read_depth(tmp_path / name), expected)
    # In more bits it is a number like others.
    assert depth_files.counts_to_mm(np.array([65535], np.int32), 0.01) == pytest.approx(655.35)


def write_png(path, bits, color, samples, interlaced=False):
    """A PNG of any kind, rows unfiltered: `samples` [H, W, C] uint16."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def packed(rows):
        if bits >= 8:
            return b"".join(b"\0" + row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in rows)
        every = [np.unpackbits(row.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :].ravel() for row in rows]
        return b"".join(b"\0" + np.packbits(row).tobytes() for row in every)

    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [samples[top::down, left::across] for top, left, down, across in starts] if interlaced else [samples]
    data = b"".join(packed(part) for part in passes if part.size)
    palette = chunk(b"PLTE", bytes(range(3 * 2 ** min(bits, 4)))) if color == 3 else b""
    content = chunk(b"IHDR", header) + palette + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


KINDS = [
    (1, 0, "1-bit grayscale"),
    (2, 0, "2-bit grayscale"),
    (4, 0, "4-bit grayscale"),
    (8, 0, "8-bit grayscale"),
    (8, 2, "color, its red is not 0"),
    (16, 2, "16-bit color"),
    (2, 3, "2-bit palette color"),
    (8, 3, "8-bit palette color"),
    (8, 4, "8-bit grayscale with transparency"),
    (16, 4, "16-bit grayscale with transparency"),
    (8, 6, "color with transparency"),
    (16, 6, "16-bit color, transparency"),
]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("bits", "color", "what"), KINDS)
def test_pictures_are_told_alike_with_and_without_pillow(tmp_path, monkeypatch, bits, color, what, interlaced):
    """Expected (shared fault report 15): 'this PNG is a picture (...), no depth', as with Pillow."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    samples = np.random.default_rng(0).integers(1, 2 ** min(bits, 4), (17, 21, channels))
    write_png(tmp_path / "a.png", bits, color, samples, interlaced)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
    said = []
    for pillow in (depth_files.Image, None):
        monkeypatch.setattr(depth_files, "Image", pillow)
        for read in (read_depth, depth_files.read_nyu_png, depth_files.read_png16):
            with pytest.raises(InputError) as caught:
                read(tmp_path / "a.png")
            said.append(str(caught.value))
    assert (
        said[:3] == said[3:] and f"this PNG is a picture ({what}" in said[0] and not any("damaged" in s for s in said)
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (17, 21), (64, 40)])
def test_interlaced_frames_are_read_alike(tmp_path, monkeypatch, size):
    counts = np.random.default_rng(0).integers(300, 1500, size)
    write_png(tmp_path / "gray.png", 16, 0, counts[..., None], interlaced=True)
    write_png(tmp_path / "nyu.png", 8, 2, nyu_encoded(counts), interlaced=True)
    for pillow in (depth_files.Image, None):
        monkeypatch.setattr(depth_files, "Image", pillow)
        for name in ("gray.png", "nyu.png"):
            np.testing.assert_array_equal(read_depth(tmp_path / name), counts)


def test_a_frame_with_red_and_blue_exchanged_is_refused_as_the_user_s_own(tmp_path):
    """Refused as predict.py does ('color, its red is not 0')."""
    encoded = nyu_encoded(np.full((24, 32), 745.0))
    Image.fromarray(encoded).save(tmp_path / "right.png")
    Image.fromarray(encoded[..., ::-1]).save(tmp_path / "swapped.png")
    Image.fromarray(encoded[..., 1]).save(tmp_path / "gray.png")
    assert np.unique(depth_files.read_nyu_png(tmp_path / "right.png")) == [745]
    for read in (depth_files.read_nyu_png, read_depth):
        with pytest.raises(InputError, match="color, its red is not 0"):
            read(tmp_path / "swapped.png")
        with pytest.raises(InputError, match="8-bit grayscale"):
            read(tmp_path / "gray.png")
