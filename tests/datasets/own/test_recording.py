import json

import numpy as np
import pytest

from lsps_tf import mirror, rotation
from lsps_tf.camera import mm_to_uvd
from lsps_tf.datasets.importing import Target
from lsps_tf.datasets.own import files, hands, sides
from lsps_tf.datasets.own import recording as frames
from lsps_tf.datasets.own.frame_folder import open_recording
from lsps_tf.datasets.store import open_store
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.errors import InputError
from lsps_tf.skeleton import NYU
from tests.scene_frames import CAMERA, empty_frames, hand_frames

UNIT_MM = 0.25
SIZE, CUBE_MM = 32, 250.0


def write_camera(folder, camera=CAMERA, hand="right", unit_mm=UNIT_MM, extra=""):
    numbers = "".join(f"{name} = {getattr(camera, name)}\n" for name in ("fx", "fy", "cx", "cy"))
    (folder / "camera.toml").write_text(f'{numbers}depth_unit_mm = {unit_mm}\nhand = "{hand}"\n{extra}')


def write_frames(folder, depths_mm, unit_mm=UNIT_MM):
    folder.mkdir(parents=True, exist_ok=True)
    for number, depth_mm in enumerate(depths_mm):
        write_depth_png16(folder / f"{number}.png", depth_mm, unit_mm)


def write_labels(folder, joints_mm, names):
    columns = [f"{joint}_{axis}" for joint in NYU.joint_names for axis in "xyz"]
    lines = [",".join([name, *(repr(float(v)) for v in joints.ravel())]) for name, joints in zip(names, joints_mm)]
    (folder / "joints.csv").write_text("\n".join([",".join(["frame", *columns]), *lines]))


def make(folder, path, skip_bad=False, hand=None, progress=lambda done, total: None):
    own = open_recording(folder, hand)
    found = frames.find_hands(own, path)
    frames.check_hands(own, found, skip_bad)
    report = frames.make_report(own, found)
    target = Target(path, own.labels.skeleton.name, own.camera, SIZE, CUBE_MM, {"report": report})
    frames.make_store(own, found, target, frames.simulated_like(found, target, False, 8), progress)
    return report


def whole(path):
    with open_store(path) as store:
        return {split: store.read(split, np.arange(count)) for split, count in store.splits().items()}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Eight frames with a hand, labelled, two without, and one that is broken; the folder and the hands' joints."""
    folder = tmp_path_factory.mktemp("recorded")
    depth_mm, joints_mm = hand_frames()
    write_frames(folder, [*depth_mm, *empty_frames("wall")[:2]])
    (folder / "4a.png").write_bytes((folder / "4.png").read_bytes()[:500])
    write_camera(folder)
    write_labels(folder, joints_mm, [f"{number}.png" for number in range(8)])
    return folder, joints_mm


@pytest.fixture(scope="module")
def made(recorded, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "own.h5"
    return path, make(recorded[0], path, skip_bad=True)


def test_the_store_holds_the_hands_and_their_labels(recorded, made):
    folder, joints_mm = recorded
    path, report = made
    rows = whole(path)
    assert set(rows) == {"synthetic/train", "real/train", "real/validation", "real/test"}
    assert len(rows["synthetic/train"]["frame"]) == 8
    # In the order of the names 4a.png is frame 5, so the eight hands are 0 to 8 without it.
    numbers = np.concatenate([rows[f"real/{part}"]["frame"] for part in ("train", "validation", "test")])
    assert sorted(numbers) == [n for n in numbers.tolist() if n != 5] and len(numbers) >= 7
    for part in ("train", "validation", "test"):
        split = rows[f"real/{part}"]
        for row, number in enumerate(split["frame"]):
            np.testing.assert_allclose(split["joints_mm"][row], joints_mm[number - (number > 5)], atol=1e-3)
        offset_mm = np.linalg.norm(split["center_mm"] - split["joints_mm"].mean(axis=1), axis=1)
        assert np.all(offset_mm < 60.0)
        assert np.all((split["depth_mm"] > 0).mean(axis=(1, 2)) > 0.03)
    assert report["used"] == len(numbers) and report["frames"] == 11


def test_the_report_says_what_was_not_used_and_why(made):
    path, report = made
    assert report["unusable"][hands.REASONS[hands.BROKEN]]["frames"] == 1
    assert "4a.png" in report["unusable"][hands.REASONS[hands.BROKEN]]["first"][0]
    assert report["unusable"]["no hand in view"]["frames"] >= 2
    assert {"8.png", "9.png"} <= set(report["unusable"]["no hand in view"]["first"])
    assert report["frames"] == report["used"] + sum(found["frames"] for found in report["unusable"].values())
    assert report["hand"] == {".": "right"} and report["depth_unit_mm"] == UNIT_MM
    with open_store(path) as store:
        assert store.info.source["report"] == json.loads(json.dumps(report))
        assert store.info.camera == CAMERA


@pytest.mark.slow
def test_broken_frames_stop_the_import_unless_they_are_to_be_skipped(recorded, tmp_path):
    with pytest.raises(InputError, match=r"1 of 11 frames cannot be used \(.*4a\.png.*--skip-bad"):
        make(recorded[0], tmp_path / "own.h5")
    assert not (tmp_path / "own.h5").exists()
    make(recorded[0], tmp_path / "own.h5", skip_bad=True)


@pytest.mark.slow
def test_an_import_that_was_stopped_ends_as_one_that_was_not(recorded, made, tmp_path, monkeypatch):
    monkeypatch.setattr(hands, "BLOCK", 3)
    path = tmp_path / "own.h5"
    own = open_recording(recorded[0])

    def stop(done, total):
        if done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frames.find_hands(own, path, stop)
    with pytest.raises(KeyboardInterrupt):
        make(recorded[0], path, skip_bad=True, progress=stop)
    assert not path.exists()
    make(recorded[0], path, skip_bad=True)
    stopped, straight = whole(path), whole(made[0])
    for split in straight:
        for column in straight[split]:
            np.testing.assert_array_equal(stopped[split][column], straight[split][column])
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.h5"]


@pytest.mark.slow
def test_left_hands_are_stored_as_their_mirror_images(made, tmp_path):
    depth_mm, joints_mm = hand_frames()
    write_frames(tmp_path / "left", mirror.mirror_depth(depth_mm))
    write_camera(tmp_path / "left", mirror.mirror_camera(CAMERA), hand="left")
    write_labels(tmp_path / "left", mirror.mirror_points(joints_mm), [f"{number}.png" for number in range(8)])
    report = make(tmp_path / "left", tmp_path / "left.h5")
    assert report["hand"] == {".": "left"}
    left, right = whole(tmp_path / "left.h5"), whole(made[0])
    part = "real/train"
    numbers = right[part]["frame"] - (right[part]["frame"] > 5)
    shared = [row for row, number in enumerate(left[part]["frame"]) if number in numbers]
    same = [list(numbers).index(left[part]["frame"][row]) for row in shared]
    assert len(shared) >= 4
    np.testing.assert_allclose(left[part]["joints_mm"][shared], right[part]["joints_mm"][same], atol=1e-3)
    # A thinned frame is not quite the mirror image of the thinned mirror image.
    np.testing.assert_allclose(left[part]["center_mm"][shared], right[part]["center_mm"][same], atol=15.0)


def test_a_hand_is_tracked_within_its_sequence_alone(tmp_path, monkeypatch):
    """A hand that moves by 2 pixels per frame and jumps once; then another sequence's first frame."""
    # Jobs of two frames, of both sequences in turn.
    monkeypatch.setattr(hands, "BLOCK", 2)
    depth_mm, _ = hand_frames()
    own_hand = depth_mm[[0]]
    steps = [0, 2, 4, 6, 60, 62]
    write_frames(tmp_path / "a", [np.roll(own_hand[0], step, axis=1) for step in steps])
    write_frames(tmp_path / "b", depth_mm[1:2])
    write_camera(tmp_path)
    own = open_recording(tmp_path)
    found = hands.find_hands(own.sequences, own.camera_file, own.camera, tmp_path / "x.h5.hands")
    assert found.kind.tolist() == [hands.USED] * 7
    assert found.tracked[[1, 2, 3, 5]].all() and not found.tracked[[0, 6]].any()
    alone = {f"s{k}": [frame] for k, frame in enumerate(own.frames)}
    single = hands.find_hands(alone, own.camera_file, own.camera, tmp_path / "y.h5.hands")
    assert not single.tracked.any()
    np.testing.assert_allclose(found.center_mm, single.center_mm, atol=6.0)


def test_frames_of_another_size_cannot_be_used(tmp_path):
    depth_mm, _ = hand_frames()
    write_frames(tmp_path, [depth_mm[0], depth_mm[1], depth_mm[0][:, :-20]])
    write_camera(tmp_path)
    found = frames.find_hands(open_recording(tmp_path), tmp_path / "own.h5")
    assert found.kind[2] == hands.BROKEN and hands.BROKEN not in found.kind[:2]
    assert f"its size is {CAMERA.width - 20} x {CAMERA.height} pixels, not {CAMERA.width} x" in found.detail[2]


def test_the_border_counts_from_the_centre():
    center_mm = np.array([0.0, 0.0, 400.0])
    assert not hands._cut_off(center_mm, CAMERA)
    edge_mm = (CAMERA.width - 1 - CAMERA.cx) * 400.0 / CAMERA.fx
    assert hands._cut_off(np.array([edge_mm - 30.0, 0.0, 400.0]), CAMERA)
    assert not hands._cut_off(np.array([edge_mm - 50.0, 0.0, 400.0]), CAMERA)


@pytest.mark.parametrize("wrong", [1000 * UNIT_MM, UNIT_MM / 100])
def test_a_wrong_unit_is_named_and_the_right_one_suggested(tmp_path, wrong):
    depth_mm, _ = hand_frames()
    write_frames(tmp_path, depth_mm)
    write_camera(tmp_path, unit_mm=wrong)
    with pytest.raises(InputError, match=f"with depth_unit_mm = {UNIT_MM:g} hands are") as raised:
        frames.find_hands(open_recording(tmp_path), tmp_path / "own.h5")
    assert " m away" in str(raised.value) or " mm away and no hand" in str(raised.value)


def test_frames_without_any_hand_are_refused(tmp_path):
    write_frames(tmp_path, empty_frames("table")[:3])
    write_camera(tmp_path)
    with pytest.raises(InputError, match="no frame shows a hand that can be used"):
        make(tmp_path, tmp_path / "own.h5")


def test_a_size_that_no_frame_has_is_refused(tmp_path):
    write_frames(tmp_path, hand_frames()[0][:2])
    write_camera(tmp_path, extra="width = 640\nheight = 480\n")
    with pytest.raises(InputError, match=f"640 x 480 pixels, the frames' {CAMERA.width} x {CAMERA.height}"):
        open_recording(tmp_path)


def test_a_principal_point_outside_the_frame_is_refused(tmp_path):
    write_frames(tmp_path, hand_frames()[0][:1])
    write_camera(tmp_path)
    text = (tmp_path / "camera.toml").read_text().replace(f"cx = {CAMERA.cx}", "cx = 313.7")
    (tmp_path / "camera.toml").write_text(text)
    with pytest.raises(InputError, match="the principal point"):
        open_recording(tmp_path)


def test_the_side_is_told_from_a_sequence_or_asked_for(tmp_path):
    sequences = {name: [files.FrameFile(f"{name}/{i}.png", tmp_path) for i in range(30)] for name in ("a", "b")}

    def decide(right, said="auto"):
        return sides.decide_sides(tmp_path, sequences, said, np.array(right))

    assert decide([2.0] * 30 + [-1.0] * 30) == {"a": "right", "b": "left"}
    with pytest.raises(InputError, match="which hand 'b' shows cannot be told from 30 frames"):
        decide([2.0] * 30 + [-0.1, 0.1] * 15)
    with pytest.raises(InputError, match="which hand 'a' shows cannot be told from 3 frames"):
        decide([2.0] * 3 + [np.nan] * 27 + [-1.0] * 30)
    assert decide([0.0] * 60, "right") == {"a": "right", "b": "right"}
    assert sides.doubtful_sides(sequences, "right", np.array([2.0] * 30 + [-1.0] * 30)) == ["b"]
    assert sides.doubtful_sides(sequences, "left", np.array([2.0] * 30 + [-1.0] * 30)) == ["a"]


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("in_pixels", [False, True])
def test_a_turned_camera_gives_the_store_of_an_upright_one(tmp_path, degrees, in_pixels):
    """The place of the upright frame, turned."""
    depth_mm, joints_mm = (part[:3] for part in hand_frames())
    stores = []
    for turn in (0, degrees):
        # What the turned camera records: the upright scene turned back, labelled in its own space.
        folder, back = tmp_path / str(turn), rotation.opposite(turn)
        recorded = rotation.rotate_camera(CAMERA, back)
        write_frames(folder, rotation.rotate_depth(depth_mm, back))
        write_camera(folder, recorded, extra=f"rotation_degrees = {turn}\n")
        labels = rotation.rotate_points(joints_mm, back)
        write_labels(folder, labels, [f"{number}.png" for number in range(3)])
        if in_pixels:
            labels = mm_to_uvd(labels, recorded.intrinsics)
            text = (folder / "joints.csv").read_text().splitlines()[0]
            for axis, letter in zip("xyz", "uvd"):
                text = text.replace(f"_{axis}", f"_{letter}")
            lines = [f"{n}.png," + ",".join(map(repr, map(float, labels[n].ravel()))) for n in range(3)]
            (folder / "joints.csv").write_text("\n".join([text, *lines]))
        own = open_recording(folder)
        assert own.camera == CAMERA
        found = frames.find_hands(own, tmp_path / f"{turn}.h5")
        stores.append((found.center_mm, [own.labels.joints_mm[f"{number}.png"] for number in range(3)]))
        report = frames.make_report(own, found)
        assert report["rotation_degrees"] == turn and report["camera"]["width"] == recorded.width
    for upright, turned in zip(*stores):
        np.testing.assert_allclose(turned, upright, atol=2e-3)
    assert np.isfinite(stores[0][0]).all()
