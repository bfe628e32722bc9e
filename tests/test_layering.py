"""The house's plan: who imports whom, how many rooms a floor has, and who asks for a method by its name.

`lsps_tf` stands below `export`, and both below `training`; `lsps_tf` parses no arguments and prints nothing.
"""

import ast
import pathlib

import pytest

from training.methods import METHODS

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
    training = ("training/run.py", "training/evaluate.py", "training/generate.py")
    for name in (*training, "export/run.py", "export/predict.py"):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        top = ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef)], [])
        modules = {node.module for node in top.body if isinstance(node, ast.ImportFrom)}
        assert modules <= {"__future__", "lsps_tf.commandline.command"}, name


PACKAGES = ("lsps_tf", "export", "training")
# How many files and folders of code lie at the top of a package, at most.
ROOMS = {"training": 24, "export": 16}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def runs(node):
    """Whether a statement is ever run: what stands under TYPE_CHECKING is not."""
    return not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")


def walk_what_runs(node):
    for child in ast.iter_child_nodes(node):
        if runs(child):
            yield child
            yield from walk_what_runs(child)


def arrows(tree, known):
    """The modules among `known` that a file imports, at the top or inside a function."""
    for node in walk_what_runs(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from sorted(names & set(known)) or ([node.module] if node.module in known else [])


def circle(graph):
    """Modules that import each other in a circle, in order; [] where there is no circle."""
    done = set()

    def visit(module, path):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for target in sorted(graph[module]):
            found = visit(target, [*path, module])
            if found:
                return found
        done.add(module)
        return []

    return next((found for found in (visit(module, []) for module in graph) if found), [])


@pytest.fixture(scope="module")
def graph():
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in FILES.items()}
    return {module: set(arrows(tree, FILES)) - {module} for module, tree in trees.items()}


def test_no_files_import_each_other_in_a_circle(graph):
    assert sum(map(len, graph.values())) > 200
    assert circle(graph) == []


def test_the_search_finds_circles():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    tree = ast.parse("import a.b\nfrom a import c\ndef f():\n    from d import e\nif TYPE_CHECKING:\n    import g")
    assert sorted(arrows(tree, {"a": 0, "a.b": 0, "a.c": 0, "d": 0, "g": 0})) == ["a.b", "a.c", "d"]


def test_no_arrow_leads_upward(graph):
    """Below `export` is `lsps_tf` alone, and only commands use the room that parses arguments and prints."""
    floors = {"lsps_tf": {"lsps_tf"}, "export": {"lsps_tf", "export"}, "training": set(PACKAGES)}
    for module, targets in graph.items():
        assert {target.split(".")[0] for target in targets} <= floors[module.split(".")[0]], module
        if module.startswith("lsps_tf.") and not module.startswith("lsps_tf.commandline"):
            assert not [target for target in targets if target.startswith("lsps_tf.commandline")], module


@pytest.mark.parametrize("package", ROOMS)
def test_a_package_has_few_rooms(package):
    rooms = {path.relative_to(ROOT / package).parts[0] for path in (ROOT / package).rglob("*.py")} - {"__init__.py"}
    assert 10 < len(rooms) <= ROOMS[package], sorted(rooms)


# The table of methods, and what the settings of version 1 meant, which no longer changes.
NAMES_METHODS = {ROOT / "training" / "methods.py", ROOT / "lsps_tf" / "old_settings.py"}
# In the server a method is one of HTTP.
SERVER = ROOT / "export" / "serving"
ASKING = sorted(
    path for folder in (*PACKAGES, "benchmarks") for path in (ROOT / folder).rglob("*.py") if SERVER not in path.parents
)


def is_method(node):
    """Whether an expression is a method's name: `method`, `settings.method`, `given["method"]`, `get("method")`."""
    if isinstance(node, ast.Name):
        return node.id == "method"
    if isinstance(node, ast.Attribute):
        return node.attr == "method" or (node.attr == "name" and is_method(node.value))
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "method"
    if isinstance(node, ast.Call) and node.args:
        return isinstance(node.args[0], ast.Constant) and node.args[0].value == "method"
    return False


def holds_a_method(node):
    return any(isinstance(part, ast.Constant) and part.value in METHODS for part in ast.walk(node))


def asked_for_by_name(source):
    """Lines that compare a method with a name, match it, or look it up in another table than METHODS."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            found = any(map(is_method, sides)) and any(map(holds_a_method, sides))
        elif isinstance(node, ast.Subscript):
            found = is_method(node.slice) and not (isinstance(node.value, ast.Name) and node.value.id == "METHODS")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found = node.func.attr == "get" and bool(node.args) and is_method(node.args[0])
        else:
            found = type(node).__name__ == "Match" and is_method(node.subject)
        if found:
            yield node.lineno


@pytest.mark.parametrize("path", ASKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_but_the_table_asks_for_a_method_by_its_name(path):
    lines = list(asked_for_by_name(path.read_text(encoding="utf-8")))
    assert path in NAMES_METHODS or not lines, f"{path}: line {lines}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if settings.method == 'lsps': pass", True),
        ("if 'real' != method: pass", True),
        ("x = given.get('method') in ('real', 'crossing-nets')", True),
        ("x = given['method'] == 'real'", True),
        ("x = method.name == 'real'", True),
        ("x = TITLES[settings.method]", True),
        ("x = {'real': 1.0}.get(method, 0.0)", True),
        ("x = METHODS[settings.method].domain", False),
        ("x = domain == 'real'", False),
        ("x = given.get('method', 'lsps')", False),
        ("x = settings.method not in METHODS", False),
    ],
)
def test_the_search_for_methods_sees_what_it_should(source, found):
    assert bool(list(asked_for_by_name(source))) == found


# Tests without a source of their name, and why. A folder stands for all its tests.
TESTS_OF_THE_WHOLE = {
    "test_commands_in_docs.py": "every command that the documents show",
    "test_data_examples.py": "the example jobs that make data",
    "test_docs.py": "what the documents say",
    "test_examples.py": "the jobs under examples/, started with stand-ins",
    "test_data_page.py": "what docs/data.md says that can be read, tried line by line",
    "test_layering.py": "how all modules stand to each other",
    "test_packaging.py": "pyproject.toml, the requirements and the locks",
    "test_stacks.py": "files of one stack, read on the other",
    "test_quick_start.py": "all commands, and what they load before they answer",
    "test_trained.py": "the model in lsps_tf/trained",
    "test_wheel.py": "the package as it is installed",
    "export/test_bad_frames.py": "export/predict.py with frames, options and outputs that do not serve",
    "export/explorer/test_browser.py": "the explorer's page, in a browser",
    "export/explorer/test_modules.py": "the page's arithmetic, run by node",
    "export/explorer/test_shipped.py": "the page on the real server, with the run that comes with the program",
    "export/saved_model/test_assets.py": "what lies beside the graphs of a SavedModel",
    "export/serving": "the server, asked from outside",
    "scripts/test_audit.py": "scripts/audit.sh, with a stand-in for pip-audit",
    "networks/test_ablations.py": "all networks, without one of their parts",
    "networks/test_tables.py": "all networks, against the appendix's tables",
    "training/test_bad_data.py": "training/run.py on datasets with mistakes in them",
    "training/test_bad_disks.py": "training/run.py where disks are full and data vanish",
    "training/test_bad_input.py": "training/run.py with options, runs and stores that do not serve",
    "training/test_commands.py": "the commands as processes, from other folders",
    "training/test_extending.py": "docs/extending.md, tried",
    "training/stages/test_gpu_kernels.py": "the graphs of all stages' steps",
}
MIRRORED = ("training", "export", "benchmarks", "scripts")


def source_of(test):
    """The module that a test file, given relative to tests/, is named after."""
    place = test.with_name(test.name.removeprefix("test_"))
    return place if test.parts[0] in MIRRORED else pathlib.Path("lsps_tf") / place


def without_namesake(tests, root):
    whole = [pathlib.PurePath(name) for name in TESTS_OF_THE_WHOLE]
    named = [test for test in tests if not any(test == name or name in test.parents for name in whole)]
    return [str(test) for test in named if not (root / source_of(test)).is_file()]


def test_tests_mirror_the_sources():
    folder = ROOT / "tests"
    tests = [path.relative_to(folder) for path in sorted(folder.rglob("test_*.py"))]
    assert len(tests) > 50 and not without_namesake(tests, ROOT)
    assert all((folder / name).exists() for name in TESTS_OF_THE_WHOLE)


def test_a_test_without_a_namesake_is_seen():
    tests = [pathlib.PurePath(name) for name in ("test_crop.py", "training/test_crop.py", "export/serving/test_x.py")]
    assert without_namesake(tests, ROOT) == ["training/test_crop.py"]
