"""What stands still in a recording: learned by sequence, kept, and taken away before hands are found and cropped."""

import numpy as np
import pytest

from lsps_tf.datasets.importing import Target
from lsps_tf.datasets.own import recording
from lsps_tf.datasets.own.frame_folder import open_recording
from lsps_tf.datasets.store import open_store
from lsps_tf.depth_files import write_depth_png16
from tests.scene_frames import CAMERA, hand_frames

UNIT_MM, SIZE, CUBE_MM = 0.25, 32, 250.0


def write(folder, depths_mm):
    folder.mkdir(parents=True)
    for number, depth_mm in enumerate(depths_mm):
        write_depth_png16(folder / f"{number:02d}.png", depth_mm, UNIT_MM)


@pytest.fixture
def folder(tmp_path):
    """The same hands before a table that stands still, before one that moves with the camera, and before nothing."""
    folder, hands_mm = tmp_path / "mine", np.concatenate([hand_frames()[0], hand_frames(number=1)[0]])
    farthest_mm = hands_mm.max() + 30.0
    table_mm = farthest_mm + 0.5 * np.arange(CAMERA.height)[:, None] * np.ones(CAMERA.width)
    write(folder / "a-still", [np.where(hand > 0.0, hand, table_mm) for hand in hands_mm])
    moved = [np.where(hand > 0.0, hand, table_mm + 40.0 * number) for number, hand in enumerate(hands_mm)]
    write(folder / "b-moved", moved)
    write(folder / "c-alone", hands_mm)
    numbers = "".join(f"{name} = {getattr(CAMERA, name)}\n" for name in ("fx", "fy", "cx", "cy"))
    (folder / "camera.toml").write_text(f'{numbers}depth_unit_mm = {UNIT_MM}\nhand = "right"\n')
    return folder


def test_what_stands_still_is_taken_away_before_hands_are_found(folder, tmp_path):
    said, path = [], folder / "store.h5"
    own = recording.with_backgrounds(open_recording(folder), path, said.append)
    assert list(own.backgrounds) == [0]
    assert [line.split(":")[0] for line in said] == ["'b-moved'", "'c-alone'"]
    assert all("nothing stands still" in line for line in said)
    found = recording.find_hands(own, path)
    still_mm, _, alone_mm = np.split(found.center_mm, 3)
    seen = np.isfinite(alone_mm[:, 0])
    assert seen.mean() > 0.7
    np.testing.assert_allclose(still_mm[seen], alone_mm[seen], atol=3.0)
    report = recording.make_report(own, found)
    assert report["background_removed"] == ["a-still"]
    target = Target(path, "nyu", own.camera, SIZE, CUBE_MM, {"report": report})
    recording.make_store(own, found, target, recording.simulated_like(found, target, False, 8))
    with open_store(path) as store:
        rows = store.read("real/train", np.arange(store.count("real/train")))
    still, alone = (rows["depth_mm"][rows["subject"] == sequence] for sequence in (0, 2))
    assert np.mean(np.abs(still - alone) < 2.0) > 0.97


def test_what_was_learned_is_kept_and_is_no_frame_of_the_recording(folder):
    path = folder / "store.h5"
    first = recording.with_backgrounds(open_recording(folder), path)
    kept = folder / "store.h5.backgrounds" / "0.npz"
    before = kept.stat().st_mtime_ns
    again = open_recording(folder)
    assert again.identity == first.identity and len(again.frames) == len(first.frames)
    again = recording.with_backgrounds(again, path)
    assert kept.stat().st_mtime_ns == before
    np.testing.assert_allclose(again.backgrounds[0].depth_mm, first.backgrounds[0].depth_mm, atol=0.51)
