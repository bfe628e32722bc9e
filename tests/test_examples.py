"""The jobs under examples/: what they start exists, and each worker gets the TF_CONFIG that it needs."""

import json
import os
import pathlib
import re
import subprocess

from training.arguments import parse_arguments
from training.distribution.cluster import VARIABLE, read_cluster

ROOT = pathlib.Path(__file__).resolve().parents[1]
KUBERNETES = (ROOT / "examples" / "kubernetes" / "train.yaml").read_text(encoding="utf-8")


def stand_in(folder, name, code):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    path.chmod(0o755)


def said_by_workers(folder):
    """TF_CONFIG and the options of each worker, which a program in place of Python wrote."""
    found = {}
    for path in folder.glob("said-*"):
        config, *options = path.read_text().splitlines()
        found[path.name] = read_cluster({VARIABLE: config}), options
    return [found[name] for name in sorted(found)]


def write_python(folder):
    said = '{ echo "$TF_CONFIG"; printf "%s\\n" "${@:2}"; } > "$SAID/said-$INDEX"'
    stand_in(folder, ".venv/bin/python", f'#!/bin/bash\n{said}\n[ "$1" = training/run.py ]\n')


def test_slurm_starts_two_workers(tmp_path, monkeypatch):
    write_python(tmp_path)
    stand_in(tmp_path, "bin/scontrol", "#!/bin/bash\nprintf 'node1\\nnode2\\n'\n")
    # It runs the command once for each task, as srun does.
    stand_in(tmp_path, "bin/srun", '#!/bin/bash\nfor i in 0 1; do SLURM_PROCID=$i INDEX=$i "${@:2}" || exit; done\n')
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SAID": str(tmp_path)}
    environment |= {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_NODELIST": "node[1-2]"}
    subprocess.run(["bash", str(ROOT / "examples/slurm/train.sbatch")], check=True, env=environment)
    workers = said_by_workers(tmp_path)
    assert [(cluster.workers, cluster.index) for cluster, _ in workers] == [
        (("node1:23456", "node2:23456"), 0),
        (("node1:23456", "node2:23456"), 1),
    ]
    check_options(monkeypatch, workers[0][1])
    assert workers[0][1] == workers[1][1]


def test_kubernetes_starts_two_workers(tmp_path, monkeypatch):
    script = re.search(r"args:\n +- \|\n((?: {14}.*\n)+)", KUBERNETES)[1]
    write_python(tmp_path)
    for index in ("0", "1"):
        environment = {**os.environ, "JOB_COMPLETION_INDEX": index, "INDEX": index, "SAID": str(tmp_path)}
        subprocess.run(["bash", "-c", script], check=True, env=environment, cwd=tmp_path)
    workers = said_by_workers(tmp_path)
    # A pod of an indexed job is called by its index, in the domain of the service.
    job = re.search(r"kind: Job\nmetadata:\n  name: (\S+)", KUBERNETES)[1]
    service = re.search(r"subdomain: (\S+)", KUBERNETES)[1]
    expected = tuple(f"{job}-{index}.{service}:23456" for index in (0, 1))
    assert [(cluster.workers, cluster.index) for cluster, _ in workers] == [(expected, 0), (expected, 1)]
    check_options(monkeypatch, workers[0][1])
    assert f"kind: Service\nmetadata:\n  name: {service}" in KUBERNETES


def check_options(monkeypatch, options):
    monkeypatch.setenv(VARIABLE, json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}))
    given = parse_arguments(options)
    assert given["strategy"] == "multiworker" and given["resume"] and {"dataset", "run_dir"} <= given.keys()
