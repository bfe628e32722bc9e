"""The example jobs that make data: what they start, and that their commands know the options they are given."""

import os
import pathlib
import re
import shlex
import subprocess
import time

import pytest

from training.arguments import parse_arguments

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"
SBATCH, YAML = EXAMPLES / "slurm" / "simulate.sbatch", EXAMPLES / "kubernetes" / "simulate.yaml"


@pytest.mark.parametrize(("nodes", "status"), [(3, 0), (1, 0), (2, 2)])
def test_the_slurm_job_starts_a_cluster_and_makes_the_data(tmp_path, nodes, status):
    """With stand-ins of Slurm's, Ray's and Python's commands, which write down how they are called."""
    calls = tmp_path / "calls"
    for name in ("srun", "ray", "python"):
        ends = f"exit {status if name == 'python' else 0}"
        (tmp_path / name).write_text(f'#!/bin/bash\necho "{name} $*" >> {calls}\n{ends}\n')
    (tmp_path / "scontrol").write_text("#!/bin/bash\nprintf 'a1\\na2\\na3\\n'\n")
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "a[1-3]", "SLURM_JOB_NUM_NODES": f"{nodes}", "SLURM_CPUS_PER_TASK": "8"}
    environment = {**os.environ, **slurm, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    given = ["--run-dir", "runs/my run", "--dataset", "sim-v2"]
    done = subprocess.run(["bash", SBATCH, *given], env=environment, timeout=60)
    assert done.returncode == status
    said, started = _written(calls, min(nodes, 2))
    assert len(started) == min(nodes, 2) and any("--head" in line and "--num-cpus=6" in line for line in started)
    if nodes > 1:
        (other,) = [line for line in started if "--head" not in line]
        assert f"--nodes={nodes - 1} --ntasks={nodes - 1} --exclude=a1 ray start --address=a1:6379" in other
    (run,) = [line for line in said if line.startswith("python")]
    assert run == "python training/run.py --cluster a1:6379 --data-only --resume --run-dir runs/my run --dataset sim-v2"
    parse_arguments(["--cluster", "a1:6379", "--data-only", "--resume", *given])


def _written(calls, count):
    """All calls, and those of srun, which the job starts in the background: they may write after its end."""
    for _ in range(600):
        said = calls.read_text().splitlines()
        started = [line for line in said if line.startswith("srun")]
        if len(started) >= count:
            break
        time.sleep(0.05)
    return said, started


@pytest.mark.parametrize("path", [SBATCH, YAML], ids=lambda path: path.name)
def test_the_options_that_are_shown_are_known(path):
    text = re.sub(r"\\\n[# ]*", "", path.read_text())
    shown = re.findall(r"(?:training/run\.py|simulate\.sbatch) (--run-dir.*|--cluster.*)", text)
    for line in (line for line in shown if '"$@"' not in line):
        given = parse_arguments(shlex.split(line))
        assert given["run_dir"]
    assert shown


def test_the_kubernetes_job_finds_its_head():
    yaml = pytest.importorskip("ruamel.yaml", reason="ruamel.yaml is not installed")
    service, job, workers = yaml.YAML(typ="safe").load_all(YAML.read_text())
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    (worker,) = workers["spec"]["template"]["spec"]["containers"]
    assert f"--address={service['metadata']['name']}:{service['spec']['ports'][0]['port']}" in worker["command"]
    assert workers["spec"]["selector"]["matchLabels"] == workers["spec"]["template"]["metadata"]["labels"]
    assert worker["resources"]["requests"]["cpu"] == worker["command"][-2].removeprefix("--num-cpus=")
