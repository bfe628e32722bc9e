"""`lsps_tf` stands below `training` and `export`: it imports neither, parses no arguments and prints nothing."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The one room of the library that parses arguments and prints; `training` and `export` alone use it.
COMMANDS = ROOT / "lsps_tf" / "commandline"
SOURCES = sorted(path for path in (ROOT / "lsps_tf").rglob("*.py") if COMMANDS not in path.parents)
COMMAND_LINE = {"argparse", "optparse", "getopt", "click", "absl", "fire"}
OUTPUT = {"print", "tf.print", "sys.stdout", "sys.stderr", "sys.argv", "sys.exit", "tqdm", "logging"}


def imported(tree):
    """First names of all modules that a file imports, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else node.module.split(".")[0]


def used(tree):
    """Names and dotted names that a file mentions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def complaints(source):
    tree = ast.parse(source)
    modules, names = set(imported(tree)), set(used(tree))
    return (modules & ({"training", "export", "tests", "benchmarks"} | COMMAND_LINE | {"tqdm", "logging"})) | (
        names & OUTPUT
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_keeps_its_place(path):
    assert not complaints(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from training.stage import Stage", {"training"}),
        ("def f():\n    import export.remote", {"export"}),
        ("import argparse", {"argparse"}),
        ("print('hello')", {"print"}),
        ("import sys\nsys.stderr.write('x')", {"sys.stderr"}),
        ("import tensorflow as tf\ntf.print(1)", {"tf.print"}),
        ("from lsps_tf import losses\nlosses.cycle_loss", set()),
    ],
)
def test_the_walk_sees_what_it_should(source, found):
    assert complaints(source) == found


def test_there_are_sources():
    assert len(SOURCES) > 20


def test_commands_start_without_tensorflow():
    """What stands at the top of a command runs before TensorFlow's chatter is off, and for --help."""
    for name in ("training/run.py", "training/evaluate.py", "export/run.py", "export/predict.py"):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        top = ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef)], [])
        modules = {node.module for node in top.body if isinstance(node, ast.ImportFrom)}
        assert modules <= {"__future__", "lsps_tf.commandline.command"}, name
