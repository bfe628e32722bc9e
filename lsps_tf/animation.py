"""Moving pictures: GIF by Pillow, MP4 (H.264) by PyAV, the one package beside Pillow, loaded where it is needed."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from PIL import Image

from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path

# GIF counts time in hundredths of a second, and viewers slow down what is faster than two of them.
FASTEST = 50
_MP4_CODEC, _MP4_PIXELS, _MP4_QUALITY = "libx264", "yuv420p", "18"


def write_gif(path: str | pathlib.Path, pictures: Sequence[Image.Image], per_second: float) -> None:
    """Writes pictures of one size as a GIF that repeats for ever.

    Args:
        path: of the file.
        pictures: RGB, at least one.
        per_second: how many are shown in a second, above 0 and at most `FASTEST`.

    Raises:
        InputError: where the file cannot be written.
        ValueError: where there are no pictures, or their sizes differ.
    """
    _check(pictures, per_second)
    # One palette for all, so that what stands still does not flicker.
    palette = _palette(pictures)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    with atomic_path(path) as partial:
        first.save(
            partial, format="GIF", save_all=True, append_images=others, duration=round(1000 / per_second), loop=0
        )


def write_mp4(path: str | pathlib.Path, pictures: Sequence[Image.Image], per_second: float) -> None:
    """Writes pictures of one size as an MP4 that browsers and players show; arguments and errors as of `write_gif`.

    An odd width or height gets one more row or column, as H.264's colours are of half the size.

    Raises:
        InputError: where PyAV is not installed, or lacks the encoder, too.
    """
    _check(pictures, per_second)
    try:
        import av
    except ImportError as error:
        raise InputError(f"{path}: MP4 is written by PyAV, which is not installed; pip install av") from error
    if _MP4_CODEC not in av.codecs_available:
        raise InputError(f"{path}: this PyAV has no {_MP4_CODEC}, which writes MP4; pip install av has it")
    width, height = (side + side % 2 for side in pictures[0].size)
    with atomic_path(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        rate = Fraction(per_second).limit_denominator(1000)
        stream = container.add_stream(_MP4_CODEC, rate=rate, options={"crf": _MP4_QUALITY})
        stream.width, stream.height, stream.pix_fmt = width, height, _MP4_PIXELS
        for picture in pictures:
            pixels = np.asarray(picture.convert("RGB"))
            even = np.pad(pixels, ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())


def _palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """A palette of 256 colours for the whole sequence, from a few of its pictures."""
    chosen = [pictures[place] for place in np.unique(np.linspace(0, len(pictures) - 1, 8).astype(int))]
    sheet = Image.new("RGB", (chosen[0].width, sum(picture.height for picture in chosen)))
    for number, picture in enumerate(chosen):
        sheet.paste(picture, (0, number * picture.height))
    return sheet.quantize(256)


def _check(pictures: Sequence[Image.Image], per_second: float) -> None:
    if not pictures or len({picture.size for picture in pictures}) != 1:
        raise ValueError(f"pictures of one size are needed, not {sorted({picture.size for picture in pictures})}")
    if not 0 < per_second <= FASTEST:
        raise ValueError(f"{per_second} pictures per second; above 0 and at most {FASTEST} are possible")
