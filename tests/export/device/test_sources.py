import io
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image

from export.device import sources
from export.device.sources import LatestFrame, every_frame, latest_frames, live_frames, recorded_frames
from lsps_tf.errors import InputError


def image(value, shape=(4, 6)):
    return np.full(shape, value, np.uint16)


def test_the_latest_frame_wins_and_the_others_are_counted():
    latest = LatestFrame()
    for value in (1, 2, 3):
        latest.put(image(value))
    frames = iter(latest)
    first = next(frames)
    assert (first.name, first.depth_mm[0, 0], first.passed_over) == ("2", 3, 2)
    latest.put(image(4), "four")
    second = next(frames)
    assert (second.name, second.passed_over) == ("four", 0) and second.time_s >= first.time_s
    latest.put(image(5))
    latest.close()
    assert [frame.depth_mm[0, 0] for frame in frames] == [5]


def test_a_loop_waits_for_the_camera_s_thread():
    latest = LatestFrame()
    seen = []

    def camera():
        for value in range(1, 30):
            latest.put(image(value))
            time.sleep(0.001)
        latest.close()

    thread = threading.Thread(target=camera)
    thread.start()
    for frame in latest:
        seen.append(int(frame.depth_mm[0, 0]))
        time.sleep(0.004)
    thread.join()
    assert seen == sorted(set(seen)) and seen[-1] == 29 and len(seen) < 29


def test_recorded_frames_come_whole_and_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        np.save(tmp_path / f"f{number}.npy", image(100 + number))
    (tmp_path / "notes.txt").write_text("not a frame")
    frames = list(recorded_frames(tmp_path, 2.0, 20.0))
    assert [frame.name for frame in frames] == ["f2.npy", "f9.npy", "f10.npy"]
    assert [frame.depth_mm[0, 0] for frame in frames] == [204, 218, 220]
    np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.05, 0.1])


def test_a_picture_that_cannot_be_read_comes_as_its_error_and_the_others_go_on(tmp_path):
    for number in (0, 2):
        Image.fromarray(image(100 + number)).save(tmp_path / f"{number}.tif")
    (tmp_path / "1.png").write_bytes(b"no picture")
    first, error, last = recorded_frames(tmp_path, None, 10.0)
    assert [(frame.name, frame.depth_mm[0, 0], frame.time_s) for frame in (first, last)] == [
        ("0.tif", 100, 0.0),
        ("2.tif", 102, 0.2),
    ]
    assert isinstance(error, InputError) and "1.png" in str(error)


def test_a_folder_without_frames_is_named(tmp_path):
    with pytest.raises(InputError, match="there are no frames"):
        list(recorded_frames(tmp_path, None, 30.0))
    for source in (recorded_frames(tmp_path / "none", None, 30.0), live_frames(tmp_path / "none", None)):
        with pytest.raises(InputError, match="none: there is no such folder"):
            next(source)


def save(path, value, stamp):
    np.save(path, image(value))
    os.utime(path, ns=(stamp, stamp))


def test_a_live_folder_gives_its_newest_frame(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.npy", 100 + number, 10**9 * (number + 1))
    frames = live_frames(tmp_path, None)
    first = next(frames)
    assert (first.name, first.depth_mm[0, 0], first.passed_over) == ("2.npy", 102, 2)
    save(tmp_path / "3.npy", 103, 10**9 * 4)
    second = next(frames)
    assert (second.name, second.passed_over) == ("3.npy", 0)
    save(tmp_path / "2.npy", 104, 10**9 * 5)
    assert next(frames).depth_mm[0, 0] == 104


def test_a_live_folder_waits_for_a_file_that_is_being_written(tmp_path):
    frames = live_frames(tmp_path, None)
    whole = io.BytesIO()
    np.save(whole, image(123))
    (tmp_path / "a.npy").write_bytes(whole.getvalue()[:-9])

    def finish():
        time.sleep(0.1)
        (tmp_path / "a.npy").write_bytes(whole.getvalue())

    thread = threading.Thread(target=finish)
    thread.start()
    frame = next(frames)
    thread.join()
    assert (frame.name, frame.depth_mm[0, 0]) == ("a.npy", 123)


def test_a_live_folder_goes_on_after_a_frame_that_is_none(tmp_path):
    (tmp_path / "a.npy").write_text("no frame")
    os.utime(tmp_path / "a.npy", ns=(10**9, 10**9))
    frames = live_frames(tmp_path, None)
    error = next(frames)
    assert isinstance(error, InputError) and "a.npy: this is no depth frame" in str(error)
    save(tmp_path / "b.npy", 200, 10**9 * 2)
    assert next(frames).name == "b.npy"


def stream_of(*values):
    return io.BytesIO(b"".join(image(value).astype("<u2").tobytes() for value in values))


def test_a_stream_is_cut_into_its_frames():
    (marked,) = every_frame(stream_of(65535), 6, 4, 0.25, 10.0)
    assert not marked.depth_mm.any()
    frames = list(every_frame(stream_of(4, 8, 4000), 6, 4, 0.25, 10.0))
    assert [(frame.name, frame.depth_mm[3, 5], frame.depth_mm.shape) for frame in frames] == [
        ("0", 1.0, (4, 6)),
        ("1", 2.0, (4, 6)),
        ("2", 1000.0, (4, 6)),
    ]
    np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.1, 0.2])


class Dribble(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content):
        self._source = io.BytesIO(content)

    def read(self, size=-1):
        return self._source.read(min(size, 7))


def test_a_pipe_may_give_its_bytes_in_pieces_and_must_end_between_frames():
    content = stream_of(5, 6).getvalue()
    assert [frame.depth_mm[0, 0] for frame in every_frame(Dribble(content), 6, 4, 1.0, 30.0)] == [5, 6]
    frames = every_frame(Dribble(content[:-3]), 6, 4, 1.0, 30.0)
    assert next(frames).depth_mm[0, 0] == 5
    with pytest.raises(InputError, match="ended within frame 1: 45 of the 48 bytes of 6x4 16-bit pixels"):
        next(frames)


def test_the_latest_frame_of_a_stream_wins_and_its_end_is_told():
    frames = list(latest_frames(stream_of(*range(1, 200)), 6, 4, 1.0))
    assert frames[-1].depth_mm[0, 0] == 199 and 1 <= len(frames) <= 199
    assert sum(frame.passed_over + 1 for frame in frames) == 199
    with pytest.raises(InputError, match="ended within frame 1"):
        list(latest_frames(io.BytesIO(stream_of(1, 2).getvalue()[:-1]), 6, 4, 1.0))


def test_polling_is_short():
    assert sources._POLL_S < 1 / 120
