"""The process that reads damaged files, which `benchmarks/fuzz_readers.py` starts with numbers for its arguments.

It says through a pipe which file it begins with, and then how that ended, a JSON line each. Its parent sees the rest:
where it hangs, and where it dies.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import resource
import sys
import tempfile
import traceback
import unicodedata
import warnings
from typing import Any

from benchmarks.fuzzing.mutations import mutate
from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.readers import READERS

READ, REFUSED = "read", "refused"
_LONGEST_LINE = 2100
# Of address space over what a process has that has read a good file: what a file asks for beyond is refused to it.
_SPACE_BYTES = 6 * 2**30


def damaged(reader: Reader, seeds: list[bytes], name: str, seed: int, number: int) -> bytes:
    """The damaged file of a number; the same for the same reader, seed and number."""
    draw = random.Random(f"{name} {seed} {number}")
    content = mutate(seeds, draw, reader.is_text)
    return reader.repair(content) if reader.repair is not None and number % 2 else content


def good_files(reader: Reader) -> list[bytes]:
    """The contents that are damaged."""
    with tempfile.TemporaryDirectory() as folder:
        return reader.good(pathlib.Path(folder))


def prepare(reader: Reader, folder: pathlib.Path) -> None:
    """Writes what the reader needs beside the file."""
    (folder / reader.file).parent.mkdir(parents=True, exist_ok=True)
    for name, content in reader.beside().items():
        (folder / name).write_bytes(content)


def outcome(reader: Reader, path: pathlib.Path) -> dict[str, Any]:
    """How reading a file ends: READ, REFUSED with a line, or else what is wrong with that."""
    from lsps_tf.errors import InputError

    try:
        reader.read(path)
    except InputError as error:
        return _judge_line(str(error), path)
    except BaseException as error:
        where = [
            f"{part.filename.rpartition('/')[2]}:{part.lineno}" for part in traceback.extract_tb(error.__traceback__)
        ]
        return {"kind": f"{type(error).__name__}: {str(error)[:300]}", "where": where[-4:]}
    return {"kind": READ}


def _judge_line(line: str, path: pathlib.Path) -> dict[str, Any]:
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in line):
        return {"kind": "a message that is not one printable line", "line": line[:300]}
    if str(path.parent) not in line:
        return {"kind": "a message without the file's name", "line": line[:300]}
    if len(line) > _LONGEST_LINE:
        return {"kind": f"a message of {len(line)} characters", "line": line[:300]}
    return {"kind": REFUSED, "line": line[:300]}


def main(arguments: list[str]) -> None:
    name, folder, pipe = arguments[0], pathlib.Path(arguments[5]), int(arguments[6])
    seed, first, last, memory_mib = map(int, arguments[1:5])
    warnings.simplefilter("ignore")
    reader = READERS[name]
    seeds = good_files(reader)
    prepare(reader, folder)
    good = outcome(reader, reader.place(folder, reader.repair(seeds[0]) if name == "npz-inside" else seeds[0]))
    _say(pipe, good=good["kind"])
    space = _status_kib("VmSize") * 1024 + _SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    for number in range(first, last):
        path = reader.place(folder, damaged(reader, seeds, name, seed, number))
        _say(pipe, begun=number)
        before_kib = _forget_peak()
        found = outcome(reader, path)
        grown_mib = (_status_kib("VmHWM") - before_kib) / 1024
        if grown_mib > memory_mib:
            found = {"kind": f"it takes {grown_mib:.0f} MiB", "was": found["kind"]}
        _say(pipe, number=number, grown_mib=round(grown_mib), **found)


def _say(pipe: int, **values: Any) -> None:
    os.write(pipe, (json.dumps(values) + "\n").encode())


def _forget_peak() -> int:
    """Has the system measure the peak of the memory anew; what is resident now, KiB."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return _status_kib("VmRSS")


def _status_kib(name: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


if __name__ == "__main__":
    main(sys.argv[1:])
