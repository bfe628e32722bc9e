"""The file of figures: what is added comes back, whoever adds it and wherever a process was killed."""

import json
import pathlib
import resource
import signal
import subprocess
import sys

import pytest

from lsps_tf.errors import InputError
from training.experiments import figures

ROOT = pathlib.Path(__file__).resolve().parents[3]


def cell(number, test_mm=20.125):
    seconds = {"measuring": 1.0, "training": {"pose-seed0": 6.1}}
    return {"cell": f"row{number}-seed0", "row": f"row{number}", "seed": 0, "test": [test_mm], "seconds": seconds}


def test_cells_come_back_as_they_were_added(tmp_path):
    assert figures.read(tmp_path) == {}
    for number in range(3):
        figures.append(tmp_path / "made", cell(number))
    figures.append(tmp_path / "made", cell(1, 7.5))
    assert list(figures.read(tmp_path / "made")) == ["row0-seed0", "row1-seed0", "row2-seed0"]
    assert figures.read(tmp_path / "made") == {f"row{n}-seed0": cell(n, 7.5 if n == 1 else 20.125) for n in range(3)}
    lines = figures.path_of(tmp_path / "made").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [cell(0), cell(1), cell(2), cell(1, 7.5)]


def test_processes_that_add_at_once_lose_nothing(tmp_path):
    """The lines are longer than what the system writes in one go, so that they would mix without the lock."""
    program = (
        "import pathlib, sys; from training.experiments import figures\n"
        "for n in range(40): figures.append(pathlib.Path(sys.argv[1]), {'cell': f'{sys.argv[2]}-{n}', 'row': 'r',"
        " 'seed': n, 'test': [n] * 20000, 'seconds': {}})"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("a", "b", "c")]
    assert [process.wait() for process in processes] == [0, 0, 0]
    found = figures.read(tmp_path)
    assert set(found) == {f"{name}-{number}" for name in "abc" for number in range(40)}
    assert all(values["test"] == [values["seed"]] * 20000 for values in found.values())


@pytest.mark.parametrize("left", [1, 50, 9000])
def test_a_line_that_a_killed_process_left_half_written_is_ignored_and_overwritten(tmp_path, left):
    figures.append(tmp_path, cell(0))
    whole = figures.path_of(tmp_path).read_bytes()
    half = json.dumps({**cell(1), "settings": "x" * 10_000}).encode()[:left]
    figures.path_of(tmp_path).write_bytes(whole + half)
    assert figures.read(tmp_path) == {"row0-seed0": cell(0)}
    figures.append(tmp_path, cell(2))
    assert figures.path_of(tmp_path).read_bytes() == whole + json.dumps(cell(2)).encode() + b"\n"
    # The first line of all may be the one.
    figures.path_of(tmp_path).write_bytes(half)
    assert figures.read(tmp_path) == {}
    figures.append(tmp_path, cell(3))
    assert figures.read(tmp_path) == {"row3-seed0": cell(3)}


@pytest.mark.parametrize("damaged", ["{", "[1, 2", "7", ""])
def test_a_damaged_line_is_named(tmp_path, damaged):
    figures.append(tmp_path, cell(0))
    with figures.path_of(tmp_path).open("a") as file:
        file.write(damaged + "\n")
    figures.append(tmp_path, cell(2))
    with pytest.raises(InputError, match="cells.jsonl: line 2: these figures are damaged"):
        figures.read(tmp_path)


def test_a_line_without_its_figures_is_named(tmp_path):
    figures.append(tmp_path, {name: value for name, value in cell(0).items() if name != "test"})
    with pytest.raises(InputError, match="cells.jsonl: line 1: these figures lack 'test'; delete the line"):
        figures.read(tmp_path)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    """A limit on the size of files ends a write as a full disk does."""
    figures.append(tmp_path, cell(0))
    before = figures.path_of(tmp_path).read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(OSError):
            figures.append(tmp_path, cell(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert figures.path_of(tmp_path).read_bytes() == before


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cells.jsonl: cannot be written"):
        figures.append(tmp_path / "file", cell(0))
