"""What every import does alike: stops leave no trace, unusable frames are named, skipped and counted."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lsps_tf import camera, crop
from lsps_tf.datasets import store_parts
from lsps_tf.datasets.hand_crops import find_and_crop
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.public import nyu
from lsps_tf.datasets.public.recording import check_recordings
from lsps_tf.datasets.public.source import RecordedSource, read_frames
from lsps_tf.datasets.store import open_store
from lsps_tf.datasets.store_parts import Parts, delete_parts
from lsps_tf.errors import InputError
from lsps_tf.jobs import Workers
from tests.datasets.official_trees import write_nyu

SIZE, CUBE_MM = 16, 300.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "nyu"
    write_nyu(folder, train=10, test=3)
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(store_parts, "BLOCK", 4)
    monkeypatch.setattr(RecordedSource, "batch", 2)


def target(path):
    return Target(path, "nyu", camera.NYU, SIZE, CUBE_MM, {"made_by": "test"})


def sources(folder, **options):
    return {
        split: RecordedSource(recording, CUBE_MM, SIZE)
        for split, recording in nyu.recordings(folder, **options).items()
    }


def whole(path):
    with open_store(path) as store:
        rows = {split: store.read(split, np.arange(count)) for split, count in store.splits().items()}
        return store.info, rows


def assert_same(a, b):
    (info_a, rows_a), (info_b, rows_b) = whole(a), whole(b)
    assert info_a == info_b and list(rows_a) == list(rows_b)
    for split, columns in rows_a.items():
        for name in columns:
            np.testing.assert_array_equal(columns[name], rows_b[split][name])


class Stop(BaseException):
    pass


def test_stopped_anywhere_and_started_again_it_ends_the_same(tree, tmp_path, small_blocks):
    import_store(target(tmp_path / "once.h5"), sources(tree))
    path = tmp_path / "stopped.h5"
    resumed_at, total = [], 0
    for after in range(1, 100):
        calls = []

        def stop(done, total, calls=calls, after=after):
            calls.append((done, total))
            if len(calls) > after:
                raise Stop

        try:
            import_store(target(path), sources(tree), progress=stop)
            break
        except Stop:
            assert not path.exists()
        resumed_at.append(calls[0][0])
        total = calls[0][1]
    # It goes on from what is finished, and not from the start.
    assert len(resumed_at) > 3 and resumed_at == sorted(resumed_at) and resumed_at[-1] > total // 2
    assert_same(tmp_path / "once.h5", path)
    assert not (tmp_path / "stopped.h5.parts").exists()


def test_stopped_while_the_parts_are_joined(tree, tmp_path, small_blocks, monkeypatch):
    import_store(target(tmp_path / "once.h5"), sources(tree))
    join = Parts._join

    def stopped(self, *arguments):
        for count in join(self, *arguments):
            if count > 5:
                raise Stop
            yield count

    monkeypatch.setattr(Parts, "_join", stopped)
    with pytest.raises(Stop):
        import_store(target(tmp_path / "a.h5"), sources(tree))
    assert not (tmp_path / "a.h5").exists()
    monkeypatch.setattr(Parts, "_join", join)
    import_store(target(tmp_path / "a.h5"), sources(tree))
    assert_same(tmp_path / "once.h5", tmp_path / "a.h5")


def test_worker_processes_give_the_same_store(tree, tmp_path, small_blocks):
    import_store(target(tmp_path / "one.h5"), sources(tree))
    import_store(target(tmp_path / "two.h5"), sources(tree), workers=Workers(2))
    assert_same(tmp_path / "one.h5", tmp_path / "two.h5")


def test_parts_of_other_data_are_not_used(tree, tmp_path, small_blocks):
    path = tmp_path / "a.h5"

    def stop(done, total):
        if done >= 8:
            raise Stop

    with pytest.raises(Stop):
        import_store(target(path), sources(tree), progress=stop)
    seen = []
    import_store(target(path), sources(tree, limit=5), progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 13)
    with open_store(path) as store:
        assert store.splits() == {
            "real/test": 3,
            "real/train": 4,
            "real/validation": 1,
            "synthetic/train": 4,
            "synthetic/validation": 1,
        }


def test_a_second_process_is_told_to_wait_and_a_store_that_is_there_stays(tree, tmp_path):
    """Another process is making this store; wait for it."""
    code = "import sys\nfrom lsps_tf.files import locked\nwith locked(sys.argv[1]):\n    print(flush=True)\n    input()"
    command = [sys.executable, "-c", code, str(tmp_path / "a.h5")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match=rf"a\.h5: process {other.pid} on .* is making this .*; wait for it"):
            import_store(target(tmp_path / "a.h5"), sources(tree))
        other.communicate("\n")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.h5").write_bytes(b"made by the other")
    import_store(target(tmp_path / "a.h5"), sources(tree))
    assert (tmp_path / "a.h5").read_bytes() == b"made by the other"


def test_unusable_frames_are_named_then_skipped_or_mended(tmp_path, small_blocks):
    folder = tmp_path / "nyu"
    write_nyu(folder, train=10, test=3)
    good = {name: (folder / name).read_bytes() for name in ("train/depth_1_0000003.png", "test/depth_1_0000002.png")}
    for name, content in good.items():
        (folder / name).write_bytes(content[: len(content) // 2])
    path, told = tmp_path / "a.h5", []
    with pytest.raises(InputError) as error:
        import_store(target(path), sources(folder), report_bad=told.append)
    assert "2 of 23 frames cannot be used" in str(error.value) and "--skip-bad" in str(error.value)
    assert all(name in str(error.value) for name in good) and not path.exists()
    assert len(told) == 2 and "truncated or damaged" in told[0]

    import_store(target(path), sources(folder), skip_bad=True)
    info, rows = whole(path)
    assert {split: found["frames"] for split, found in info.source["skipped"].items()} == {
        "real/train": 1,
        "real/test": 1,
    }
    assert "train/depth_1_0000003.png" in info.source["skipped"]["real/train"]["first"][0]
    assert list(rows["real/test"]["frame"]) == [0, 2] and list(rows["real/train"]["frame"]) == [0, 1, *range(3, 9)]

    path.unlink()
    delete_parts(path)
    with pytest.raises(InputError):
        import_store(target(path), sources(folder))
    for name, content in good.items():
        (folder / name).write_bytes(content)
    import_store(target(path), sources(folder))
    assert whole(path)[0].source["skipped"] == {} and list(whole(path)[1]["real/test"]["frame"]) == [0, 1, 2]


def test_a_split_without_a_usable_frame_is_refused_even_where_bad_frames_are_skipped(tmp_path, small_blocks):
    folder = tmp_path / "nyu"
    write_nyu(folder, train=4, test=2)
    for path in (folder / "test").glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no frame of 'real/test' is usable"):
        import_store(target(tmp_path / "a.h5"), sources(folder), skip_bad=True)


def test_frames_of_another_size_and_kind_are_unusable(tree, tmp_path):
    small, grey = tmp_path / "small.png", tmp_path / "grey.png"
    from PIL import Image

    Image.fromarray(np.zeros((240, 320, 3), np.uint8)).save(small)
    Image.fromarray(np.zeros((480, 640), np.uint8)).save(grey)
    Image.fromarray(np.full((480, 640, 3), [0, 7, 209], np.uint8)).save(tmp_path / "nothing.png")
    paths = [small, tree / "test" / "depth_1_0000001.png", grey, tmp_path / "none.png", tmp_path / "nothing.png"]
    frames, reasons = read_frames(nyu.read_frame, paths, (480, 640))
    assert frames.shape == (1, 480, 640) and frames.dtype == np.uint16
    assert "320 x 240 pixels, the camera's is 640 x 480" in reasons[0] and reasons[1] == ""
    assert "NYU encoding" in reasons[2] and "no such file" in reasons[3]
    assert reasons[4] == "no pixel has a reading; copy the file again"


def test_what_shows_before_reading_stops_an_import_at_once(tree):
    found = nyu.recordings(tree)
    unusable = {0: "the file is missing", 4: "the file is missing", 5: "odd"}
    found["real/train"] = dataclasses.replace(found["real/train"], unusable=unusable)
    with pytest.raises(InputError) as error:
        check_recordings(found, skip_bad=False)
    assert "2 of 9 frames of real/train: the file is missing (train/depth_1_0000001.png" in str(error.value)
    assert "1 of 9 frames of real/train: odd" in str(error.value)
    check_recordings(found, skip_bad=True)
    found["real/train"] = dataclasses.replace(found["real/train"], unusable=dict.fromkeys(range(9), "odd"))
    with pytest.raises(InputError, match="9 of 9"):
        check_recordings(found, skip_bad=True)


def test_the_centre_does_not_hang_on_the_start(tree):
    """A ball's surface: the refined centre is the same from starts that lie 30 mm apart."""
    rows, columns = np.mgrid[:480, :640]
    frame = np.zeros((480, 640), np.uint16)
    distance = np.hypot(columns - 250, rows - 200)
    frame[distance < 50] = 750
    frame[distance < 20] = 735
    start_mm = np.array([[-90.0, -50.0, 740.0], [-70.0, -40.0, 760.0]], np.float32)
    depth_mm, center_mm = find_and_crop(np.stack([frame, frame]), camera.NYU, start_mm, CUBE_MM, 32)
    x, y = (
        np.mean((values[frame > 0] - middle) * frame[frame > 0] / focal)
        for values, middle, focal in ((columns, 320.0, camera.NYU.fx), (rows, 240.0, camera.NYU.fy))
    )
    np.testing.assert_allclose(center_mm, [[x, y, frame[frame > 0].mean()]] * 2, atol=1.5)
    intrinsics = np.repeat(camera.NYU.intrinsics[None], 2, axis=0)
    expected = crop.crop_frame(np.stack([frame, frame]).astype(np.float32), intrinsics, center_mm, 1.5 * CUBE_MM, 32)
    np.testing.assert_array_equal(depth_mm, expected)


def test_mirrored_crops_show_the_mirrored_joints(tree):
    recording = nyu.recordings(tree)["real/test"]
    plain = RecordedSource(recording, CUBE_MM, 64).job(range(3))().rows
    mirrored = RecordedSource(recording.replace(mirrored=True), CUBE_MM, 64).job(range(3))().rows
    np.testing.assert_array_equal(mirrored["joints_mm"] * [-1, 1, 1], plain["joints_mm"])
    np.testing.assert_array_equal(mirrored["depth_mm"][:, :, ::-1], plain["depth_mm"])
    for rows in (plain, mirrored):
        intrinsics = crop.crop_intrinsics(rows["center_mm"].astype(np.float32), 1.5 * CUBE_MM, 96).numpy()
        pixels = np.rint(camera.mm_to_uvd(rows["joints_mm"], intrinsics[:, None])).astype(int)
        for depth_mm, joints in zip(rows["depth_mm"], pixels):
            on_hand = depth_mm[np.clip(joints[:, 1], 0, 95), np.clip(joints[:, 0], 0, 95)]
            assert np.mean(np.abs(on_hand - joints[:, 2]) < 25.0) > 0.5


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(tree, tmp_path):
    script = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "if __name__ == '__main__':\n"
        "    import pathlib, tests.datasets.test_importing as t\n"
        "    t.store_parts.BLOCK, t.RecordedSource.batch = 4, 2\n"
        "    t.import_store(t.target(pathlib.Path(sys.argv[3])), t.sources(sys.argv[2]), workers=t.Workers(2))\n"
    )
    (tmp_path / "make.py").write_text(script)
    rng = np.random.default_rng(int(time.time()))

    def run(path, kill_after=None):
        process = subprocess.Popen(
            [sys.executable, tmp_path / "make.py", ROOT, tree, path], start_new_session=True, stderr=subprocess.DEVNULL
        )
        if kill_after is not None:
            parts = path.with_name(path.name + ".parts")
            while process.poll() is None and not parts.exists():
                time.sleep(0.01)
            time.sleep(kill_after)
            os.kill(process.pid, signal.SIGKILL)
        process.wait()

    run(tmp_path / "once.h5")
    for _ in range(4):
        run(tmp_path / "killed.h5", rng.uniform(0.0, 4.0))
    run(tmp_path / "killed.h5")
    assert_same(tmp_path / "once.h5", tmp_path / "killed.h5")
