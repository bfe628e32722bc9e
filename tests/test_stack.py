"""Which TensorFlow, Keras and transform: what is chosen, and the line that a wrong pair of versions gets."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import stack
from lsps_tf.errors import InputError

HAS_ADDONS = importlib.util.find_spec("tensorflow_addons") is not None
HAS_KERAS_3 = importlib.metadata.version("keras").startswith("3.")
IMAGES = np.random.default_rng(0).uniform(0, 900, (64, 48, 48, 1)).astype(np.float32)


def random_matrices(count):
    """Turns, zooms and shifts [count, 8] that leave the picture on all sides."""
    rng = np.random.default_rng(1)
    angle, zoom = rng.uniform(-np.pi, np.pi, count), rng.uniform(0.5, 2.0, count)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    x, y = rng.uniform(-20, 20, (2, count)) + 24
    return np.stack([cos, sin, x, -sin, cos, y, 0 * x, 0 * y], axis=-1).astype(np.float32)


def test_the_raw_operation_is_a_lookup_of_the_nearest_pixel(monkeypatch):
    monkeypatch.setenv(stack.TRANSFORM, stack.RAW)
    matrices = random_matrices(len(IMAGES))
    warped = stack.projective_transform()(tf.constant(IMAGES), tf.constant(matrices), (30, 40)).numpy()
    rows, columns = np.mgrid[:30, :40]
    for image, (a, b, c, d, e, f, *_), given in zip(IMAGES, matrices.astype(np.float64), warped):
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
        inside = (np.rint(x) >= 0) & (np.rint(x) < 48) & (np.rint(y) >= 0) & (np.rint(y) < 48)
        nearest = image[np.rint(y).astype(int).clip(0, 47), np.rint(x).astype(int).clip(0, 47), 0]
        # Where a source lies on the border of two pixels, rounding decides.
        clear = np.minimum(np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5)) > 1e-3
        np.testing.assert_array_equal(given[clear, 0], np.where(inside, nearest, 0)[clear])


@pytest.mark.skipif(not HAS_ADDONS, reason="this stack has no TensorFlow Addons")
def test_both_transforms_give_the_same_bits(monkeypatch):
    images, matrices, results = tf.constant(IMAGES), tf.constant(random_matrices(len(IMAGES))), []
    for name in (stack.ADDONS, stack.RAW):
        monkeypatch.setenv(stack.TRANSFORM, name)
        results.append(stack.projective_transform()(images, matrices, (30, 40)).numpy())
    assert results[0].any()
    np.testing.assert_array_equal(*results)


def test_addons_where_there_are_none(monkeypatch):
    for name in ("tensorflow_addons", "tensorflow_addons.image"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delenv(stack.TRANSFORM, raising=False)
    assert stack.projective_transform() is stack._raw_transform
    monkeypatch.setenv(stack.TRANSFORM, stack.ADDONS)
    with pytest.raises(InputError, match=r"^LSPS_TRANSFORM=addons: .* unset LSPS_TRANSFORM, or set it to raw$"):
        stack.projective_transform()


def test_a_transform_that_there_is_not(monkeypatch):
    monkeypatch.setenv(stack.TRANSFORM, "scipy")
    with pytest.raises(InputError, match="LSPS_TRANSFORM=scipy: .* give addons or raw"):
        stack.projective_transform()


def pretend(monkeypatch, tensorflow, package, versions, flag):
    """A TensorFlow whose Keras comes from `package`, beside the `versions` of what is installed."""
    model = type("Model", (), {"__module__": f"{package}.src.engine"})
    fake = types.SimpleNamespace(__version__=tensorflow, keras=types.SimpleNamespace(Model=model))
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions[name])
    monkeypatch.setattr(stack, "_is_installed", versions.__contains__)
    monkeypatch.setenv(stack.LEGACY_KERAS, flag)


@pytest.mark.parametrize(
    ("tensorflow", "package", "versions"),
    [
        ("2.15.1", "keras", {"keras": "2.15.0"}),
        ("2.15.1", "tf_keras", {"keras": "2.15.0", "tf_keras": "2.15.1"}),
        ("2.21.0", "tf_keras", {"keras": "3.15.1", "tf_keras": "2.21.0"}),
    ],
)
def test_stacks_that_go_together(monkeypatch, tensorflow, package, versions):
    pretend(monkeypatch, tensorflow, package, versions, "1")
    stack.check_keras()


@pytest.mark.parametrize(
    ("package", "versions", "flag", "said"),
    [
        ("keras", {"keras": "3.15.1"}, "1", r"TensorFlow 2.21.0 has Keras 3.15.1, .* pip install 'tf_keras==2.21.\*'"),
        ("tf_keras", {"tf_keras": "2.20.1"}, "1", r"tf_keras 2.20.1 does not belong to .* 'tf_keras==2.21.\*'"),
        ("keras", {"keras": "3.15.1", "tf_keras": "2.21.0"}, "0", "TF_USE_LEGACY_KERAS=0: .* unset it, or set it to 1"),
        ("keras", {"keras": "3.15.1", "tf_keras": "2.21.0"}, "1", "was in use before .* import lsps_tf before"),
    ],
)
def test_stacks_that_do_not_are_one_line(monkeypatch, package, versions, flag, said):
    pretend(monkeypatch, "2.21.0", package, versions, flag)
    with pytest.raises(InputError, match=said) as raised:
        stack.check_keras()
    assert "\n" not in str(raised.value)


START = """
import sys, tensorflow
{before}
from lsps_tf.commandline.command import exit_status
def main():
    from training import session
    print(session.keras.Model.__module__)
    return 0
sys.exit(exit_status(main))
"""


def start(before, **environment):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    if not environment[stack.LEGACY_KERAS]:
        del environment[stack.LEGACY_KERAS]
    return subprocess.run(
        [sys.executable, "-c", START.format(before=before)], capture_output=True, text=True, env=environment
    )


@pytest.mark.skipif(not HAS_KERAS_3, reason="this stack has no Keras 3")
@pytest.mark.parametrize(("before", "flag"), [("tensorflow.keras.Model", ""), ("", "0")])
def test_keras_3_is_refused_by_a_command(before, flag):
    said = start(before, **{stack.LEGACY_KERAS: flag})
    last = said.stderr.strip().splitlines()[-1]
    assert said.returncode == 2 and last.startswith("error: ") and "Traceback" not in said.stderr, said.stderr


@pytest.mark.skipif(not HAS_KERAS_3, reason="this stack has no Keras 3")
def test_tensorflow_first_is_early_enough_while_its_keras_was_not_used():
    said = start("", **{stack.LEGACY_KERAS: ""})
    assert said.returncode == 0 and said.stdout.startswith("tf_keras."), said.stderr


def test_the_library_alone_loads_no_tensorflow():
    code = "import sys, lsps_tf; print(sorted({'tensorflow', 'keras', 'tf_keras', 'scipy'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
