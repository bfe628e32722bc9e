import errno
import json

import pytest

from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_only_when_whole(tmp_path):
    path = tmp_path / "new" / "a.json"
    with atomic_path(path) as partial:
        partial.write_text("half")
        assert not path.exists() and partial.parent == path.parent
    assert path.read_text() == "half" and names(path.parent) == ["a.json"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_what_was_there_stays_when_writing_is_stopped(tmp_path, stop):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(stop), atomic_path(path) as partial:
        partial.write_text("half")
        raise stop
    assert json.loads(path.read_text()) == {"old": 1} and names(tmp_path) == ["a.json"]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "model"
    for name in ("one", "two"):
        with atomic_path(path) as partial:
            partial.mkdir()
            (partial / name).write_text(name)
    assert names(path) == ["two"] and names(tmp_path) == ["model"]


def test_what_an_earlier_crash_left_behind_goes_away(tmp_path):
    (tmp_path / ".a.json.partial").mkdir()
    (tmp_path / ".a.json.partial" / "old").write_text("old")
    write_json(tmp_path / "a.json", [1])
    assert names(tmp_path) == ["a.json"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "weights").write_text("precious")
    with pytest.raises(InputError, match="runs: this is a folder; give the name of a file"):
        write_json(tmp_path / "runs", {})
    assert (tmp_path / "runs" / "weights").read_text() == "precious" and names(tmp_path) == ["runs"]
    for path in (".", "..", "/"):
        with pytest.raises(InputError, match="this is a folder"):
            write_json(path, {})


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(InputError, match=r"a\.json: the disk is full; free some space"),
        atomic_path(tmp_path / "a.json") as partial,
    ):
        partial.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_other_errors_of_the_system_are_not_hidden(tmp_path):
    with pytest.raises(OSError, match="broken") as caught, atomic_path(tmp_path / "a.json"):
        raise OSError(errno.EIO, "broken")
    assert not isinstance(caught.value, InputError)


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(InputError, match=r"a\.json: cannot be written"):
        write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(InputError, match="cannot be written"):
        write_json(tmp_path / ("a" * 300), {})
