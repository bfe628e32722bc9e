"""A training that is killed again and again ends with the bits of one that never was.

    python benchmarks/survival.py --kills 30 --json survival.json

The same run is trained twice, as its own process. One is left alone. The other is killed (SIGKILL) at random moments,
and about every second time while it saves: as soon as a file of a checkpoint, of weights or of data appears. After each
kill the same command goes on. At its end the weights of every stage, the store and the figures of the evaluation are
compared, and it begins again. Some of the stops are SIGTERM, which must say how to go on; how long that takes is
measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import h5py

from lsps_tf.commandline.command import exit_status
from lsps_tf.files import write_json
from training.session import STOPPED, run_session

ROOT = pathlib.Path(__file__).resolve().parents[1]
STEPS = {"pose": 40, "depth": 12, "posterior": 12}
FRAMES = ["--sim-synthetic-frames", "24", "--sim-real-frames", "24", "--sim-test-frames", "6"]
# One core computes the same bits each time: with several, sums are ordered by who is first.
THREADS = ["--intra-op-threads", "1", "--inter-op-threads", "1"]
# What a file is called while it is written (lsps_tf.files, training.survival.checkpoints, lsps_tf.datasets.store).
BEING_WRITTEN = ("**/.saving/*", "**/.*.partial", "**/*.partial")
# Longer than any life, which takes a minute of a core.
_LONGEST_S = 3600.0


@dataclasses.dataclass
class Tally:
    """What happened to the run that is killed."""

    kills: int = 0
    while_saving: int = 0
    ends: int = 0
    terms: int = 0
    slowest_term_s: float = 0.0
    problems: list[str] = dataclasses.field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="by SIGKILL (default: 30)")
    parser.add_argument("--terms", type=int, default=3, help="by SIGTERM besides (default: 3)")
    parser.add_argument("--preset", default="tiny", help="of the run (default: tiny)")
    parser.add_argument("--eager", action="store_true", help="build no graphs: quicker lives")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--folder", type=pathlib.Path, help="where both runs are kept (default: a temporary folder)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    options = parser.parse_args()
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__, "training.session"])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        whole = pathlib.Path(folder, "whole")
        life_s = run_whole(options, whole)
        tally = run_killed(whole, options, life_s)
    print(
        f"{tally.kills} kills, {tally.while_saving} of them while it saved; {tally.terms} times SIGTERM, the slowest "
        f"took {tally.slowest_term_s:.1f} s; {tally.ends} ends: "
        + ("; ".join(tally.problems) or "the bits of the run left alone")
    )
    if options.json:
        write_json(options.json, {**dataclasses.asdict(tally), "uninterrupted_s": round(life_s, 1)})
    return 1 if tally.problems else 0


def command(folder: pathlib.Path, preset: str) -> list[str]:
    """The options that start a run in a folder, with its data, or go on with it."""
    steps = [part for stage, count in STEPS.items() for part in (f"--{stage}-steps", str(count))]
    looks = ["--checkpoint-every", "2", "--log-every", "5", "--picture-every", "10"]
    where = ["--run-dir", str(folder / "run"), "--data-root", str(folder / "data")]
    return ["--resume", "--dataset", "sim", "--preset", preset, *FRAMES, *steps, *looks, *THREADS, *where]


def live(arguments: list[str], eager: bool, output: pathlib.Path) -> None:
    """Runs the command to its end in this process, which ends with it; what it says goes into a file."""
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import tensorflow as tf

    tf.config.run_functions_eagerly(eager)
    sys.exit(exit_status(lambda: run_session(arguments)))


def start(options: argparse.Namespace, folder: pathlib.Path) -> multiprocessing.Process:
    """Begins a life of the run in a folder: a process of its own, forked from one that has loaded the program."""
    arguments = (command(folder, options.preset), options.eager, said_path(folder))
    process = multiprocessing.get_context("forkserver").Process(target=live, args=arguments)
    process.start()
    return process


def run_whole(options: argparse.Namespace, folder: pathlib.Path) -> float:
    """Runs it to its end; seconds of a core."""
    process, used_s = start(options, folder), 0.0
    while process.exitcode is None:
        used_s = max(used_s, cpu_s(process))
        time.sleep(0.05)
    if process.exitcode:
        raise SystemExit(f"the run left alone ended with {process.exitcode}: {_last_line(folder)}")
    return used_s


def cpu_s(process: multiprocessing.Process) -> float:
    """Seconds of a core that a process has used; beside others it may wait for one for long. 0 at its end."""
    try:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_killed(whole: pathlib.Path, options: argparse.Namespace, life_s: float) -> Tally:
    """Stops runs as often as asked and lets the last one end. Each that ends is compared with the one left alone."""
    tally, draw = Tally(), random.Random(options.seed)
    folder = whole.with_name("killed")
    while not tally.problems:
        stop = _next_stop(tally, options, draw)
        saving = stop == "kill" and draw.random() < 0.5
        # The end of a life is its evaluation, which saves little.
        moment_s = draw.uniform(0.0, (0.6 if saving else 0.9) * life_s)
        if not _one_life(options, folder, stop, moment_s, saving, tally):
            continue
        tally.ends += 1
        tally.problems += differences(whole, folder)
        print(f"end {tally.ends}: {tally}", file=sys.stderr)
        if not stop:
            break
        shutil.rmtree(folder)
    return tally


def _next_stop(tally: Tally, options: argparse.Namespace, draw: random.Random) -> str:
    """How the next life is to end; "" where all stops are done."""
    kills, terms = max(0, options.kills - tally.kills), max(0, options.terms - tally.terms)
    return draw.choices(["kill", "term"], [kills, terms])[0] if kills or terms else ""


def _one_life(
    options: argparse.Namespace, folder: pathlib.Path, stop: str, moment_s: float, saving: bool, tally: Tally
) -> bool:
    """Runs the command until it is stopped. Returns whether it came to its end before."""
    started, alive_s = time.monotonic(), 0.0
    process = start(options, folder)
    while process.exitcode is None:
        alive_s = max(alive_s, cpu_s(process))
        if stop and alive_s > moment_s and (not saving or _is_saving(folder)):
            break
        if time.monotonic() - started > _LONGEST_S:
            tally.problems.append(f"a life took more than {_LONGEST_S:.0f} s")
            break
        # Long before its moment nobody has to look at each file.
        time.sleep(0.002 if stop and alive_s > moment_s else 0.02)
    sent = time.monotonic()
    (process.terminate if stop == "term" else process.kill)()
    process.join()
    status, took_s = process.exitcode, time.monotonic() - sent
    if status == -signal.SIGKILL:
        tally.kills += 1
        tally.while_saving += saving
    elif stop == "term" and status in (STOPPED, -signal.SIGTERM):
        _judge_term(status, said_path(folder).read_text(), took_s, tally)
    elif status:
        tally.problems.append(f"a life ended with {status}: {_last_line(folder)}")
    print(f"{alive_s:6.1f} s, {stop or 'left alone'}{' while saving' * saving}: {status}", file=sys.stderr)
    return status == 0


def _judge_term(status: int, said: str, took_s: float, tally: Tally) -> None:
    tally.terms += 1
    tally.slowest_term_s = max(tally.slowest_term_s, took_s)
    # Before the program runs there is nobody to hear it, and nothing to say but that it was interrupted.
    if status == STOPPED and not any(part in said for part in ("Go on with:", "Interrupted.")):
        tally.problems.append("SIGTERM without a word of how to go on")


def said_path(folder: pathlib.Path) -> pathlib.Path:
    """What a life said."""
    return folder.with_suffix(".txt")


def _is_saving(folder: pathlib.Path) -> bool:
    return any(next(folder.glob(pattern), None) is not None for pattern in BEING_WRITTEN)


def _last_line(folder: pathlib.Path) -> str:
    return (said_path(folder).read_text().strip().splitlines() or [""])[-1][:300]


def differences(whole: pathlib.Path, killed: pathlib.Path) -> list[str]:
    """What two runs' folders differ in: arrays of weights and stores bit by bit, figures byte by byte."""
    found = []
    arrays = [path.relative_to(whole) for path in whole.rglob("*.h5")]
    files = [path.relative_to(whole) for path in (whole / "run" / "evaluation").glob("*.json")]
    if not any(path.parent.name == "weights" for path in arrays) or not files:
        return ["the run left alone has no weights or no figures"]
    for name, digest in [(name, _array_digest) for name in arrays] + [(name, _file_digest) for name in files]:
        if not (killed / name).exists():
            found.append(f"{name} is missing")
        elif digest(whole / name) != digest(killed / name):
            found.append(f"{name} differs")
    return found


def _array_digest(path: pathlib.Path) -> str:
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            digest.update(f"{name} {item.shape} {item.dtype}".encode())
            digest.update(item[...].tobytes())

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return digest.hexdigest()


def _file_digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
