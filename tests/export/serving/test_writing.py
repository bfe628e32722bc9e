"""The text of numbers: as C's %g with six digits where these are enough, and always the same number again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from export.serving.errors import ServingError
from export.serving.writing import array_text, encoded, float_texts, row_texts


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (9000000, "9e+06"),
        (999999, "999999.0"),
        (0.5, "0.5"),
        (0.0003, "0.0003"),
        (0.00003, "3e-05"),
        (555557.5, "555557.5"),
        (0.1, "0.1"),
        (1 / 3, "0.333333343"),
        (-0.0, "-0.0"),
        (1435774336, "1435774336.0"),
        (3.4028235e38, "3.40282347e+38"),
        (np.nan, "NaN"),
        (np.inf, "Infinity"),
        (-np.inf, "-Infinity"),
    ],
)
def test_text_of_a_float(number, text):
    assert float_texts(np.float32([number])) == [text]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_float_comes_back(dtype):
    bits = np.random.default_rng(0).integers(0, 2**32 if dtype is np.float32 else 2**63, 20_000)
    values = bits.astype(np.uint32 if dtype is np.float32 else np.uint64).view(dtype)
    values = values[np.isfinite(values)]
    texts = float_texts(values)
    np.testing.assert_array_equal(np.array([float(text) for text in texts]).astype(dtype), values)
    assert all("." in text or "e" in text for text in texts)


def test_joints_of_float32_take_a_third_less_than_as_doubles():
    joints_mm = np.random.default_rng(0).normal(0, 200, (50, 14, 3)).astype(np.float32)
    text = array_text("joints_mm", joints_mm)
    assert len(text) < 2 / 3 * len(json.dumps(joints_mm.tolist()))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 3), (0,), (2, 0), (0, 2), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, np.bool_, np.float32, np.float64])
def test_nested_lists(shape, dtype):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    assert json.loads(array_text("y", array)) == array.tolist()
    if shape:
        assert [json.loads(text) for text in row_texts("y", array)] == array.tolist()


def test_strings():
    array = np.array([b'a"\n', "\u00e4".encode(), b"\xff"], object)
    assert encoded(array_text("y", array)) == b'["a\\"\\n","\xc3\xa4","\xff"]'
    assert array_text("y_bytes", array[2:]) == '[{"b64":"/w=="}]'


@pytest.mark.parametrize(("dtype", "name"), [("float16", "half"), ("uint16", "uint16"), ("complex64", "complex64")])
def test_types_without_json(dtype, name):
    with pytest.raises(ServingError, match=f"tensor type: {name}") as error:
        array_text("y", np.ones(2, dtype))
    assert error.value.status == 400
