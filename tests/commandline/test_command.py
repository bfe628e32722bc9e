import ast
import errno
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from lsps_tf.commandline.command import exit_status
from lsps_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]


def failing(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("a.png: wrong"), 2, "error: a.png: wrong\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
        (OSError(errno.ENOSPC, "full", "/a"), 2, "error: the disk is full (/a); free some space and start again\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), 2, "error: /a: Permission denied; check who"),
    ],
)
def test_a_user_s_mistake_is_one_line(capsys, error, status, said):
    assert exit_status(failing(error)) == status
    errors = capsys.readouterr().err
    assert errors.startswith(said) and errors.strip().count("\n") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_interrupts_whatever_a_library_makes_of_it(capsys, number):
    """TensorFlow's tracing turns KeyboardInterrupt into errors of its own."""
    before = signal.getsignal(number)

    def main():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as error:
            raise AttributeError("'SymbolicTensor' object has no attribute 'keys'") from error

    assert exit_status(main) == 130 and capsys.readouterr().err == "\nInterrupted.\n"
    assert signal.getsignal(number) is before
    with pytest.raises(AttributeError):
        exit_status(failing(AttributeError()))


def test_a_mistake_of_the_program_is_not_hidden():
    assert exit_status(lambda: 0) == 0 and exit_status(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        exit_status(failing(ZeroDivisionError()))
    with pytest.raises(OSError, match="broken"):
        exit_status(failing(OSError(errno.EIO, "broken")))


def imported(path):
    """The top packages that a file imports anywhere, within functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize(("package", "forbidden"), [("export", {"training"}), ("lsps_tf", {"training", "export"})])
def test_no_module_imports_what_stands_above_it(package, forbidden):
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 5
    wrong = {str(path): forbidden & set(imported(path)) for path in files}
    assert not {path: names for path, names in wrong.items() if names}


def test_the_script_predicts_from_any_folder_without_training_code_or_chatter(run_dir, frame, tmp_path):
    code = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as stop:\n    status = stop.code\n"
        "names = sorted(name for name in sys.modules if name.split('.')[0] == 'training')\n"
        "print('loaded', names)\n"
        "sys.exit(status)\n"
    )
    script = ROOT / "export" / "predict.py"
    arguments = [script, "--model", run_dir, frame, "--json", tmp_path / "out.json"]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "loaded []" and (tmp_path / "out.json").is_file()


def test_wrong_arguments_of_a_script_end_with_2():
    done = subprocess.run(
        [sys.executable, ROOT / "export" / "run.py", "--nothing"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_command_starts_tensorflow_in_silence():
    code = (
        "from lsps_tf.commandline.command import run_command\n"
        "def main():\n    import tensorflow as tf\n    print(float(tf.reduce_sum(tf.ones(3))))\n    return 0\n"
        "run_command(main)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (said.returncode, said.stdout, said.stderr) == (0, "3.0\n", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_the_output_cannot_hold_are_escaped(encoding):
    """The letter is escaped (backslashreplace) and the result printed."""
    code = (
        "import sys\nfrom lsps_tf.commandline.command import run_command\nfrom lsps_tf.errors import InputError\n"
        "def main():\n    print(sys.argv[1])\n    raise InputError(sys.argv[1] + ': wrong')\nrun_command(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, b"\xce\xb1\xfc.png"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=100,
    )
    alpha = b"\xce\xb1" if encoding == "utf-8" else b"\\u03b1"
    assert (done.returncode, done.stdout) == (2, alpha + b"\\udcfc.png\n")
    assert done.stderr == b"error: " + alpha + b"\\udcfc.png: wrong\n"
