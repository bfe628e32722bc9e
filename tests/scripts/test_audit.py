"""scripts/audit.sh with a pip-audit that the test writes: nothing known, something known, and nothing audited."""

import pathlib
import shutil
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
NOTHING = "exit 0"
SOMETHING = 'case "$*" in *current*) exit 0;; esac; echo "Name Version ID"; echo "numpy 1.0 PYSEC-1"; exit 1'
NO_ANSWER = 'echo "Traceback" >&2; echo "ConnectionError: no route" >&2; exit 1'


@pytest.fixture
def audit(tmp_path):
    """Runs the script among stand-ins; what it ends with, prints, and says beside."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "audit.sh", tmp_path / "scripts")
    (tmp_path / "scripts" / "audit-accepted.txt").write_text("# A comment.\nPYSEC-7 is of a part that is not used\n")

    def run(tool, install="exit 0"):
        (tmp_path / "scripts" / "install.sh").write_text(install)
        program = tmp_path / ".venv-audit" / "bin" / "pip-audit"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$*" >> asked\n{tool}\n')
        program.chmod(0o755)
        said = subprocess.run(["sh", "scripts/audit.sh"], cwd=tmp_path, capture_output=True, text=True)
        return said.returncode, said.stdout, said.stderr

    return run


def test_nothing_known_is_said_of_both_locks(audit, tmp_path):
    status, printed, beside = audit(NOTHING)
    assert status == 0 and printed.startswith("Audited:") and not beside
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in asked] == ["requirements.lock", "requirements-current.lock"]
    assert all("--require-hashes" in line and "--ignore-vuln PYSEC-7" in line for line in asked)
    assert "comment" not in asked[0]


def test_what_is_known_stands_in_a_table(audit):
    status, printed, _ = audit(SOMETHING)
    assert status == 1 and printed.splitlines()[0] == "requirements.lock:" and "PYSEC-1" in printed
    assert "Audited" not in printed


@pytest.mark.parametrize(("tool", "install"), [(NO_ANSWER, "exit 0"), (NOTHING, "exit 1")])
def test_without_a_database_or_the_tool_nothing_is_called_audited(audit, tool, install):
    status, printed, beside = audit(tool, install)
    assert status == 3 and not printed
    assert beside.startswith("NOT AUDITED: ") and beside.count("\n") == 1
