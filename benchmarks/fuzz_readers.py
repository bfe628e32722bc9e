"""Every reader of files against thousands of damaged ones: a right result or one clear line, and nothing else.

    python benchmarks/fuzz_readers.py --files 5000 --json fuzz.json
    python benchmarks/fuzz_readers.py --readers png npz --files 200 --keep findings

Good files are damaged by bits, lengths, cuts, splices and words, and read in processes of their own. A finding is a
file that is read to nonsense, raises anything but InputError, has a message that is not one line with the file's name,
hangs, ends the process, or takes more memory than --memory. Each file is a function of --seed and its number.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.fuzzing.readers import READERS
from benchmarks.fuzzing.worker import READ, REFUSED, damaged, good_files
from lsps_tf.files import write_json

ROOT = pathlib.Path(__file__).resolve().parents[1]
# A process imports what the reader needs, TensorFlow at worst, and makes its good files.
_START_S = 300.0
# A process that waits for something that never comes uses no core.
_STANDSTILL_S = 300.0


@dataclasses.dataclass
class Report:
    """What became of a reader's files.

    Attributes:
        counts: how many were read, and how many refused.
        findings: the numbers of the files by what is wrong.
        largest_mib: that reading one took.
        seconds: in all.
    """

    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    findings: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    largest_mib: int = 0
    seconds: float = 0.0

    def add(self, number: int, said: dict[str, Any]) -> None:
        self.counts["files"] += 1
        self.largest_mib = max(self.largest_mib, said.get("grown_mib", 0))
        if said["kind"] in (READ, REFUSED):
            self.counts[said["kind"]] += 1
            return
        kind = " ".join(str(said[name]) for name in ("kind", "where") if name in said)
        self.findings.setdefault(kind, []).append(number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS), help="(default: all)")
    parser.add_argument("--files", type=int, default=5000, help="damaged files of each reader (default: 5000)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first file (default: 0)")
    parser.add_argument("--limit-s", type=float, default=10.0, help="of a core that one file may take (default: 10)")
    parser.add_argument("--memory", type=int, default=1024, help="MiB that one file may take (default: 1024)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--keep", type=pathlib.Path, help="write the files of the findings into this folder")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    options = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(options.workers) as threads:
        reports = dict(zip(options.readers, threads.map(lambda name: fuzz(name, options), options.readers)))
    if options.json:
        write_json(options.json, {name: vars(report) for name, report in reports.items()})
    found = sum(len(report.findings) for report in reports.values())
    print(f"{sum(report.counts['files'] for report in reports.values())} files, {found} kinds of findings")
    return 1 if found else 0


def fuzz(name: str, options: argparse.Namespace) -> Report:
    """Has a reader read its damaged files, in as many processes one after the other as it takes."""
    report, started = Report(), time.monotonic()
    first, last = options.first, options.first + options.files
    while first < last:
        first = _read_by_one_process(name, first, last, options, report)
    report.seconds = round(time.monotonic() - started, 1)
    for kind, numbers in report.findings.items():
        print(f"{name}: {len(numbers)} times, as file {numbers[0]}: {kind}", flush=True)
        if options.keep:
            _keep(options.keep, name, options.seed, numbers[:2])
    counts = ", ".join(f"{report.counts[part]} {part}" for part in ("files", READ, REFUSED))
    print(f"{name:12s} {counts}, largest {report.largest_mib} MiB, {report.seconds:.0f} s", flush=True)
    return report


def _read_by_one_process(name: str, first: int, last: int, options: argparse.Namespace, report: Report) -> int:
    """The number of the first file that the process did not come to."""
    receiving, sending = os.pipe()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        given = [name, options.seed, first, last, options.memory, folder]
        command = [sys.executable, "-m", "benchmarks.fuzzing.worker", *map(str, given), str(sending)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[sending], **quiet)
        os.close(sending)
        try:
            return _follow(process, receiving, first, options.limit_s, report)
        except _NotStarted as error:
            errors.seek(0)
            raise SystemExit(f"{name}: {error}: {errors.read()[-2000:].decode(errors='replace')}") from error
        finally:
            process.kill()
            process.wait()
            os.close(receiving)


class _NotStarted(Exception):
    """The process came to no file, or cannot read a good one."""


def _follow(process: subprocess.Popen, pipe: int, first: int, limit_s: float, report: Report) -> int:
    begun, until_s, text = None, _cpu_s(process) + _START_S, b""
    while True:
        received = _receive(process, pipe, until_s)
        if not received:
            if begun is None and process.poll() == 0:
                return first
            if begun is None and first == report.counts["files"] == 0:
                raise _NotStarted("the process did not begin")
            return _end(process, begun, limit_s, first, report)
        *lines, text = (text + received).split(b"\n")
        for said in map(json.loads, lines):
            if said.get("good", READ) != READ:
                raise _NotStarted(f"a good file is not read: {said['good']}")
            begun, until_s = said.get("begun"), _cpu_s(process) + limit_s
            if "number" in said:
                report.add(said["number"], said)
                first = said["number"] + 1


def _receive(process: subprocess.Popen, pipe: int, until_s: float) -> bytes:
    """What comes from a process; nothing where it is at its end, has used its time, or stands still."""
    started = time.monotonic()
    while not select.select([pipe], [], [], 1.0)[0]:
        if _cpu_s(process) > until_s or time.monotonic() - started > _STANDSTILL_S:
            return b""
    return os.read(pipe, 65536)


def _cpu_s(process: subprocess.Popen) -> float:
    """Seconds of a core that a process has used: others may keep it from the core for long."""
    try:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _end(process: subprocess.Popen, begun: int | None, limit_s: float, first: int, report: Report) -> int:
    if begun is None:
        return first
    try:
        # A process that is dying has closed its pipe a moment before.
        kind = f"the process ends with {process.wait(1.0)}"
    except subprocess.TimeoutExpired:
        kind = f"it takes more than {limit_s:g} s"
    report.add(begun, {"kind": kind})
    return begun + 1


def _keep(folder: pathlib.Path, name: str, seed: int, numbers: list[int]) -> None:
    reader = READERS[name]
    seeds = good_files(reader)
    for number in numbers:
        path = folder / name / f"{number:06d}" / reader.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged(reader, seeds, name, seed, number))


if __name__ == "__main__":
    sys.exit(main())
