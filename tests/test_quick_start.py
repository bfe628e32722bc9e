"""Help, mistakes and the default prediction come without what takes seconds to import."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMANDS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("training", "export")
    for path in (ROOT / folder).glob("*.py")
    if "run_command(" in path.read_text(encoding="utf-8")
)
SLOW = ("tensorflow", "tensorflow_probability", "keras", "h5py", "scipy", "matplotlib", "uvicorn")
# Runs a script as a command is run, and says which of these modules it loaded.
WATCH = """
import runpy, sys
slow, sys.argv = sys.argv[1].split(","), sys.argv[2:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("exit", end.code)
print("loaded", *[name for name in slow if name in sys.modules])
"""


def watch(*arguments):
    command = [sys.executable, "-c", WATCH, ",".join(SLOW), *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, timeout=120)
    return done.stdout.splitlines(), done.stderr


def test_there_are_commands():
    assert len(COMMANDS) >= 10 and {"training/run.py", "export/predict.py", "export/serve.py"} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_and_mistakes_need_no_tensorflow(path):
    lines, _ = watch(path, "--help")
    assert lines[-2:] == ["exit 0", "loaded"] and lines[0].startswith("usage: ")
    lines, err = watch(path, "--nonsense")
    assert lines == ["exit 2", "loaded"] and err.count("\n") >= 1 and "error: " in err


def test_a_prediction_with_overlay_needs_no_tensorflow(tmp_path):
    frame, overlay = ROOT / "docs" / "example" / "structured-light.png", tmp_path / "hand.png"
    lines, _ = watch("export/predict.py", frame, "--overlay", overlay)
    assert lines[-2:] == ["exit 0", "loaded"] and overlay.stat().st_size > 1000


def test_importing_the_package_is_light():
    code = "import sys, lsps_tf; print([n for n in ('tensorflow', 'ai_edge_litert', 'numpy') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
