"""Links are followed, what systems keep for themselves is no frame."""

import pytest

from lsps_tf.datasets.own.folders import is_recorded, list_files
from lsps_tf.errors import InputError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def listed(folder):
    return sorted(path.relative_to(folder).as_posix() for path in list_files(folder))


def test_links_to_folders_and_files_are_followed(tmp_path):
    for name in ("my/take1/0.png", "disk/take2/0.png", "disk/take2/deep/1.png", "disk/one.png"):
        touch(tmp_path / name)
    (tmp_path / "my" / "take2").symlink_to(tmp_path / "disk" / "take2")
    (tmp_path / "my" / "a.png").symlink_to(tmp_path / "disk" / "one.png")
    (tmp_path / "linked").symlink_to(tmp_path / "my")
    expected = ["a.png", "take1/0.png", "take2/0.png", "take2/deep/1.png"]
    assert listed(tmp_path / "my") == expected and listed(tmp_path / "linked") == expected


def test_loops_and_second_ways_to_a_folder_count_once(tmp_path):
    touch(tmp_path / "my" / "take1" / "0.png")
    touch(tmp_path / "other.png")
    for name, target in {"up": "..", "self": ".", "take1/back": "../..", "latest": "take1", "a": "latest"}.items():
        (tmp_path / "my" / name).symlink_to(target)
    assert listed(tmp_path / "my") == ["take1/0.png"]


def test_links_that_lead_nowhere_are_not_passed_over(tmp_path):
    touch(tmp_path / "0.png")
    (tmp_path / "take2").symlink_to(tmp_path / "unmounted")
    with pytest.raises(InputError, match="take2: this link leads nowhere; mount the disk"):
        listed(tmp_path)
    (tmp_path / "take2").rename(tmp_path / ".take2")
    assert listed(tmp_path) == ["0.png"]


SYSTEMS = [
    ".ipynb_checkpoints/0-checkpoint.png",
    ".Trash-1000/files/deleted.png",
    ".Trashes/501/0.png",
    ".thumbnails/normal/0.png",
    ".git/0.png",
    "@eaDir/0.png/SYNOPHOTO_THUMB_M.png",
    "@Recycle/0.png",
    "#recycle/0.png",
    "$RECYCLE.BIN/S-1-5/0.png",
    "System Volume Information/0.png",
    "__MACOSX/._0.png",
    "lost+found/0.png",
    "._0.png",
    ".DS_Store",
    "store.h5.hands/000000.npz",
]


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("under", ["", "take1"])
def test_what_systems_keep_is_no_part(tmp_path, name, under):
    touch(tmp_path / "rec" / under / "0.png")
    touch(tmp_path / "rec" / under / name)
    assert listed(tmp_path / "rec") == [f"{under}/0.png".lstrip("/")]


def test_a_recording_may_lie_in_a_hidden_folder(tmp_path):
    touch(tmp_path / ".data" / "lost+found" / "0.png")
    assert listed(tmp_path / ".data" / "lost+found") == ["0.png"]
    assert is_recorded("trash talk") and is_recorded("take.1") and not is_recorded("LOST+FOUND")
