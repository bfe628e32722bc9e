"""What the fuzz of the readers found once, every reader's good files, and the fuzz's own judgement."""

import pathlib
import random

import pytest

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.readers import READERS
from benchmarks.fuzzing.worker import READ, REFUSED, damaged, good_files, outcome, prepare
from lsps_tf.errors import InputError

DAMAGED = pathlib.Path(__file__).resolve().parents[2] / "damaged"
FOUND = sorted(path for path in DAMAGED.glob("*/*") if path.is_dir())


def read(name, folder, content):
    reader = READERS[name]
    prepare(reader, folder)
    return outcome(reader, reader.place(folder, content))


@pytest.mark.parametrize("found", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_refused_with_one_line(found, tmp_path):
    """Each of these files ended in a traceback, or a line that moved the cursor; one in the end of the process."""
    name = found.parent.name
    said = read(name, tmp_path, (found / READERS[name].file).read_bytes())
    assert said["kind"] == REFUSED and len(FOUND) > 10


@pytest.mark.parametrize("name", list(READERS))
def test_good_files_are_read(name, tmp_path):
    reader = READERS[name]
    contents = [reader.repair(content) if name == "npz-inside" else content for content in good_files(reader)]
    assert read(name, tmp_path, contents[0])["kind"] == READ


@pytest.mark.parametrize("name", ["npy", "camera-toml", "joints", "mat", "tflite"])
def test_some_damage(name, tmp_path):
    seeds = good_files(READERS[name])
    kinds = [read(name, tmp_path, damaged(READERS[name], seeds, name, 0, number))["kind"] for number in range(40)]
    assert set(kinds) == {READ, REFUSED}


def test_damage_is_a_function_of_seed_and_number():
    reader, seeds = READERS["joints"], [b"frame,palm_x\n0000.png,1.5\n" * 5]
    made = [damaged(reader, seeds, "joints", 0, number) for number in range(20)]
    assert made == [damaged(reader, seeds, "joints", 0, number) for number in range(20)]
    assert len(set(made)) > 15 and seeds[0] not in made[:3]
    assert made != [damaged(reader, seeds, "joints", 1, number) for number in range(20)]


def test_checksums_are_repaired():
    from PIL import Image

    content = bytearray(good_files(READERS["png"])[1])
    # A pixel of what is stored without packing; the stream has a checksum of its own, which stands in the last bytes.
    content[60] ^= 1
    repaired = mutations.repair_png(bytes(content))
    assert len(repaired) == len(content) and repaired != bytes(content)
    assert Image.open is not None and mutations.repair_png(repaired) == repaired


def judged(folder, error):
    def fail(path):
        raise error

    return outcome(Reader("a.txt", lambda _: [], fail), folder / "a.txt")["kind"]


def test_what_counts_as_a_finding(tmp_path):
    assert judged(tmp_path, InputError(f"{tmp_path}/a.txt: wrong\n\x1b[2J; mend it")) == REFUSED
    assert judged(tmp_path, ValueError("deep")).startswith("ValueError: deep")
    assert judged(tmp_path, InputError("it is wrong")) == "a message without the file's name"
    assert judged(tmp_path, SystemExit(3)).startswith("SystemExit")
    assert judged(tmp_path, AssertionError("nonsense")).startswith("AssertionError: nonsense")


def test_every_kind_of_damage_changes_something():
    seeds = [bytes(random.Random(0).randbytes(400)), b"words = 1.5\nmore = [1, 2]\n" * 10]
    for kind in {*mutations._BINARY, *mutations._TEXT}:
        changed = [bytes(kind(bytearray(seeds[1]), seeds, random.Random(n))) != seeds[1] for n in range(30)]
        assert sum(changed) > 10, kind
        # Nothing is an input, too.
        kind(bytearray(), seeds, random.Random(0))
