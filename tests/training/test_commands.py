"""The commands as a user calls them: from any folder, with a clean output, stopped by Ctrl-C, on a full disk."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN, EVALUATE = (str(ROOT / "training" / name) for name in ("run.py", "evaluate.py"))
CHATTER = ("tensorflow", "Addons", "end of life", "oneDNN", "Traceback", "Warning")


def call(*arguments, cwd):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=clean_environment())


def clean_environment():
    """Without what the tests' own start put into it, so that the commands must quieten TensorFlow themselves."""
    return {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def assert_quiet(text):
    assert not [word for word in CHATTER if word.lower() in text.lower()], text


def test_help_from_another_folder(tmp_path):
    done = call(RUN, "--help", cwd=tmp_path)
    assert done.returncode == 0 and "--lambda-8-posterior" in done.stdout and done.stderr == ""


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    done = call(RUN, "--dataset", "sim", "--labels", "1.5", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "error: --labels 1.5: it is a fraction of the real labels, from 0 to 1, or from 2 on a whole number of "
        "labelled frames\n"
    )
    assert not list(tmp_path.iterdir())


def wait_for_a_line(path, process, seconds=240):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists() and path.read_text().count("\n") >= 2:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    pytest.fail(f"no metrics after {seconds} seconds")


def test_ctrl_c_in_another_folder_saves_and_says_how_to_go_on(arguments, tmp_path):
    # More steps than any machine does before it is stopped.
    options = ["--stages", "pose", "--pose-steps", "1000000", "--log-every", "1", "--run-dir", "my run"]
    process = subprocess.Popen(
        [sys.executable, RUN, *arguments, *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    wait_for_a_line(tmp_path / "my run" / "metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert_quiet(said)
    printed = shlex.split(said.strip().splitlines()[-1])
    assert (tmp_path / printed[1]).samefile(RUN) and printed[2:] == ["--run-dir", "my run", "--resume"]
    (checkpoint,) = (tmp_path / "my run" / "checkpoints" / "pose").glob("*.index")
    last = json.loads((tmp_path / "my run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert checkpoint.stem == f"ckpt-{last['step']}" and last["step"] >= 2
    # What is not finished cannot be evaluated, and that is said alike.
    done = call(EVALUATE, "--run-dir", "my run", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: my run: the run is not finished; go on with: ")


def test_evaluation_from_another_folder(copy_of_run, tmp_path):
    done = call(EVALUATE, "--run-dir", "copy", "--json", "figures.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_quiet(done.stderr)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert f"{figures['mean_error_mm']:.2f} mm" in done.stdout and figures["frames"] == 6


def in_small_file_system(size, folder, command):
    """`command` as root of its own mounts, with `folder` on a disk of `size`; prints what it left there."""
    listing = f"code=$?; find {folder} -type f -size +0 >&2; exit $code"
    script = f"mount -t tmpfs -o size={size} tmpfs {folder} && {shlex.join(command)}; {listing}"
    return ["unshare", "--mount", "sh", "-c", script]


def can_mount(folder):
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(in_small_file_system("16k", folder, ["true"]), capture_output=True).returncode == 0


def test_a_disk_that_is_really_full(arguments, tmp_path):
    """240 KB hold the pose stage's checkpoint (175 KB), but not the weights (120 KB) beside it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("this user cannot mount a small file system")
    command = [sys.executable, RUN, *arguments, "--stages", "pose", "--pose-steps", "2", "--run-dir", str(disk / "run")]
    done = subprocess.run(
        in_small_file_system("240k", disk, command),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and f"{disk}/run/weights/pose.h5: the disk is full" in lines[0]
    assert "Traceback" not in done.stderr
    left = [line for line in done.stderr.splitlines() if line.startswith(str(disk))]
    assert not [path for path in left if path.endswith(".h5") or "partial" in path]
