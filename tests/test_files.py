import codecs
import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from lsps_tf import files
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, check_writable, locked, open_text, read_text, write_json

ROOT = pathlib.Path(__file__).resolve().parents[1]


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


# Takes the lock, says so, and keeps it until a line comes in.
HOLDER = (
    "import sys\nfrom lsps_tf.files import locked\n"
    "wait = (lambda text: print(text, flush=True)) if sys.argv[2:] else None\n"
    "with locked(sys.argv[1], wait):\n    print('held', flush=True)\n    sys.stdin.readline()\n"
)


def hold(path, *waiting):
    command = [sys.executable, "-c", HOLDER, str(path), *waiting]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process):
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_a_second_process_says_who_makes_a_file_or_waits_for_it(tmp_path):
    path = tmp_path / "new" / "store.h5"
    first = hold(path)
    assert first.stdout.readline() == "held\n"
    said = f"store.h5: process {first.pid} on .* is making this .*; wait for it"
    with pytest.raises(InputError, match=said), locked(path):
        pass
    second = hold(path, "wait")
    assert f"process {first.pid} on" in second.stdout.readline()
    end(first)
    assert second.stdout.readline() == "held\n"
    end(second)
    with locked(path), locked(path):
        assert names(path.parent) == [".store.h5.lock"]
    assert names(tmp_path) == ["new"] or not path.parent.exists()


def test_a_killed_process_holds_nothing(tmp_path):
    first = hold(tmp_path / "a")
    assert first.stdout.readline() == "held\n"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert names(tmp_path) == [".a.lock"]
    with locked(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_many_processes_write_one_file_one_after_the_other(tmp_path):
    code = (
        "import sys, json\nfrom lsps_tf.files import write_json\n"
        "for number in range(40):\n    write_json(sys.argv[1], [int(sys.argv[2])] * 500)\n"
        "    assert len(set(json.load(open(sys.argv[1])))) == 1\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.json"), str(number)], cwd=ROOT)
        for number in range(3)
    ]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    assert names(tmp_path) == ["a.json"]


def test_a_disk_without_locks_is_locked_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "network").mkdir()
    flock = files.fcntl.flock

    def no_locks(file, how):
        if "/network/" in file.name:
            raise OSError(errno.ENOLCK, "No locks available")
        flock(file, how)

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    with locked(tmp_path / "network" / "a"):
        assert names(tmp_path / "network") == [] and len(names(tmp_path / "tmp")) == 1
    assert names(tmp_path / "tmp") == []


def test_a_folder_that_cannot_be_written_is_nothing_to_lock(tmp_path):
    (tmp_path / "file").write_text("a file")
    with locked(tmp_path / "file" / "a"):
        pass
    with pytest.raises(InputError, match=f"{tmp_path / 'file' / 'a'}: {tmp_path / 'file'} is a file; choose another"):
        check_writable(tmp_path / "file" / "a", "choose another")
    check_writable(tmp_path / "new" / "folder", "choose another")


TEXT = 'fx = 230.0  \nhand = "right"\t\n# für\n'


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_text_is_read_as_editors_leave_it(tmp_path, mark, encoding, line_end):
    (tmp_path / "a").write_bytes(mark + (TEXT.replace("\n", line_end) + "\x1a").encode(encoding))
    assert read_text(tmp_path / "a") == TEXT
    with open_text(tmp_path / "a") as file:
        assert next(file) == "fx = 230.0  \n"


def test_names_in_another_encoding_are_those_of_the_files(tmp_path):
    (tmp_path / "a").write_bytes(b"\xfc.png")
    (pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfc.png"))).touch()
    assert (tmp_path / read_text(tmp_path / "a")).is_file()


@pytest.mark.parametrize("text", ["[" * 100_000, b'{"a": ' * 100_000, "{", ""])
def test_json_that_cannot_be_read_is_a_value_error(text):
    with pytest.raises(ValueError):
        files.parse_json(text)
    assert files.parse_json('{"a": [1]}') == {"a": [1]}
