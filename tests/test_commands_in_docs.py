"""Every command that the pages show: it starts in this environment, and knows the options that it is shown with."""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import threading
import urllib.request

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "lsps_tf").rglob("*.md"),
]
BINARIES = pathlib.Path(sys.executable).parent
LONGEST_START_S = 120


def commands_of(page):
    """The shell commands [word, ...] in a page's code: inline, indented or fenced; comments and what is piped to go."""
    text = page.replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^ {4,}(.*)$", text, re.MULTILINE)
    lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
    for line in lines:
        for part in re.split(r"&&|\|\||[;|]", re.sub(r"(^|\s)#.*", "", line)):
            # A name set for one command, such as CUDA_VISIBLE_DEVICES=1, and the folder of an environment are no part.
            words = re.sub(r"^(\s*\w+=\S*)+\s", "", part).split()
            if words:
                yield [re.sub(r"^\S*bin/", "", words[0]), *words[1:]]


def shown(program):
    """(page, words) of every command of a program; `python script.py` is the program "script.py"."""
    for page in PAGES:
        for name, *words in commands_of(page.read_text(encoding="utf-8")):
            if name in ("python", "python3") and words and words[0] != "-m":
                name, *words = words
            if re.fullmatch(program, name) and words:
                yield page.relative_to(ROOT).as_posix(), name, words


SCRIPTS = list(shown(r"\w+/[\w/]+\.py"))

# All in one process, which so loads TensorFlow once. What a script changed for itself is put back.
ASK_FOR_HELP = """
import contextlib, io, json, os, runpy, sys
said, path, environment = {}, list(sys.path), dict(os.environ)
for script in sys.argv[1:]:
    sys.path[:], sys.argv = [os.path.dirname(script), *path], [script, "--help"]
    text, status = io.StringIO(), 0
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            status = end.code
    said[script] = [status, text.getvalue()]
    os.environ.clear()
    os.environ.update(environment)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said_for_help():
    """What each script of the pages says to --help: (exit status, text)."""
    scripts = sorted({script for _, script, _ in SCRIPTS})
    started = subprocess.run([sys.executable, "-c", ASK_FOR_HELP, *scripts], cwd=ROOT, capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    return json.loads(started.stdout)


def test_the_scripts_start(said_for_help):
    assert len(said_for_help) > 10
    assert {script: said for script, said in said_for_help.items() if said[0] or "usage" not in said[1].lower()} == {}


def test_the_scripts_know_the_options_that_they_are_shown_with(said_for_help):
    known = {script: set(re.findall(r"--[a-z][\w-]*", text)) for script, (_, text) in said_for_help.items()}
    for script, (_, text) in said_for_help.items():
        if re.search(r"option\s+goes\s+to\s+training/run.py", text):
            known[script] |= known["training/run.py"]
    unknown = [
        (page, script, word)
        for page, script, words in SCRIPTS
        for word in (word.split("=")[0] for word in words)
        if re.fullmatch(r"--[a-z][\w-]*", word) and word not in known[script]
    ]
    assert not unknown


def test_tensorboard_says_its_address_and_answers(tmp_path):
    commands = list(shown("tensorboard"))
    assert commands and all(words[0] == "--logdir" for _, _, words in commands)
    server = subprocess.Popen(
        [BINARIES / "tensorboard", "--logdir", tmp_path, "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Without a word from it, its end is what ends the loop.
    timer = threading.Timer(LONGEST_START_S, server.kill)
    timer.start()
    try:
        said = ""
        for line in server.stdout:
            said += line
            if address := re.search(r"TensorBoard \S+ at (http://127\.0\.0\.1:\d+/)", line):
                break
        else:
            pytest.fail(said)
        with urllib.request.urlopen(f"{address[1]}data/environment") as answer:
            assert answer.status == 200 and tmp_path.name in answer.read().decode()
    finally:
        timer.cancel()
        server.kill()
        server.communicate()


def test_the_targets_of_make_are_targets():
    commands = list(shown("make"))
    for page, _, words in commands:
        done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, (page, words, done.stderr)
    assert len(commands) > 5


def test_what_pip_is_asked_for_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commands = list(shown("pip"))
    for page, _, words in commands:
        for before, word in zip(words, words[1:]):
            if before == "-r":
                assert (ROOT / word).is_file(), (page, word)
        for extras in re.findall(r"(?:\blsps[-_]tf\S*|(?<!\S)'?\.)\[([\w,]+)\]", " ".join(map(shlex.quote, words))):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), (page, extras)
    assert commands


@pytest.mark.parametrize(
    ("page", "commands"),
    [
        ("so `make test TF=current` runs", [["make", "test", "TF=current"]]),
        ("    .venv/bin/python a.py --x \\\n        --y 1  # a word\n", [["python", "a.py", "--x", "--y", "1"]]),
        ("```sh\nA=1 python b.py | tail\n```\n", [["python", "b.py"], ["tail"]]),
        ("they make up 5 %", []),
    ],
)
def test_commands_are_found(page, commands):
    assert list(commands_of(page)) == commands
