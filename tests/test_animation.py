"""Moving pictures, read back: their number, their speed and their colours."""

import numpy as np
import pytest
from PIL import Image

from lsps_tf.animation import write_gif, write_mp4

COLORS = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (120, 120, 120)]


@pytest.fixture
def pictures():
    return [Image.new("RGB", (63, 40), color) for color in COLORS]


def test_a_gif_has_the_pictures_in_their_order(pictures, tmp_path):
    write_gif(tmp_path / "a.gif", pictures, 10)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.format, gif.n_frames, gif.size, gif.info["loop"]) == ("GIF", 4, (63, 40), 0)
        for number, color in enumerate(COLORS):
            gif.seek(number)
            assert gif.info["duration"] == 100
            np.testing.assert_allclose(np.asarray(gif.convert("RGB")).mean(axis=(0, 1)), color, atol=12)


def test_an_mp4_has_the_pictures_in_their_order(pictures, tmp_path, av):
    write_mp4(tmp_path / "a.mp4", pictures, 12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 12.5)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    # An odd width gets a column more.
    assert len(frames) == 4 and frames[0].shape == (40, 64, 3)
    for frame, color in zip(frames, COLORS):
        np.testing.assert_allclose(frame.mean(axis=(0, 1)), color, atol=12)


@pytest.mark.parametrize("write", [write_gif, write_mp4])
def test_what_is_no_sequence_is_refused(write, pictures, tmp_path):
    for wrong in ([], [pictures[0], Image.new("RGB", (10, 10))]):
        with pytest.raises(ValueError, match="one size"):
            write(tmp_path / "a", wrong, 10)
    for per_second in (0, 51):
        with pytest.raises(ValueError, match="per second"):
            write(tmp_path / "a", pictures, per_second)
    assert not list(tmp_path.iterdir())
