"""The wheel's ranges, the pins of both stacks, and their locks, against each other."""

import pathlib
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
STACKS = ("requirements", "requirements-current")


def requirements(lines):
    """{canonical name: requirement} of what is asked for, comments and this project itself left out."""
    found = map(Requirement, filter(None, (line.split("#")[0].strip() for line in lines)))
    return {canonicalize_name(asked.name): asked for asked in found if asked.name != PROJECT["name"]}


def pins(stack):
    return requirements((ROOT / f"{stack}.txt").read_text(encoding="utf-8").splitlines())


def version(requirement):
    return str(requirement.specifier).removeprefix("==")


@pytest.mark.parametrize("stack", STACKS)
def test_the_pins_lie_in_the_ranges_of_the_wheel(stack):
    groups = [
        PROJECT["dependencies"],
        *(EXTRAS[name] for name in ("tensorflow", "plots", "train", "recordings", "serve")),
    ]
    ranges = requirements(line for group in groups for line in group)
    pinned = {name: asked for name, asked in pins(stack).items() if str(asked.specifier).startswith("==")}
    assert len(pinned.keys() & ranges.keys()) > 10
    # Keras comes with TensorFlow, Addons are an extra of their own, and LiteRT's own needs are LiteRT's to say.
    assert pinned.keys() - ranges.keys() <= {"keras", "tensorflow-addons"}
    outside = {
        name for name in pinned.keys() & ranges.keys() if not ranges[name].specifier.contains(version(pinned[name]))
    }
    assert not outside


def test_the_extra_for_addons_is_the_default_stack():
    asked, pinned = requirements(EXTRAS["addons"]), pins("requirements")
    assert {name for name in asked if asked[name].specifier.contains(version(pinned[name]))} == set(asked)
    assert not asked["tensorflow"].specifier.contains(version(pins("requirements-current")["tensorflow"]))


@pytest.mark.parametrize("stack", STACKS)
def test_the_lock_holds_the_pins_with_hashes_and_no_address(stack):
    text = (ROOT / f"{stack}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries and all("--hash=sha256:" in entry for entry in entries)
    for name, asked in pins(stack).items():
        # What is for other versions of Python, the lock leaves out.
        if asked.marker is None:
            assert asked.specifier.contains(locked[name]), name


def test_a_user_needs_no_tools_of_development():
    named = {name for name in EXTRAS if name != "dev" for name in requirements(EXTRAS[name])}
    assert not {"pytest", "pytest-xdist", "ruff"} & (named | set(requirements(PROJECT["dependencies"])))


def test_a_stack_that_there_is_not_is_one_line():
    said = subprocess.run(["make", "--dry-run", "test", "TF=2.20"], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 2 and "TF=2.20: there are two stacks; give TF=2.15" in said.stderr
