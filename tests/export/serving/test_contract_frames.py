"""Depth frames as this project's models take them; `test_contract.py` says of which server."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from tests.export.serving.asker import b64


def test_frames(server):
    depth = np.random.default_rng(0).integers(400, 900, (24, 32)).astype(np.uint16)
    rows = [_frame(depth, 0.5), _frame(depth, 1.0)]
    answer = server.predict({"instances": rows}, "/v1/models/image")
    assert answer.status == 200
    for row, unit in zip(answer.body["predictions"], (0.5, 1.0)):
        assert row["mean_mm"] == pytest.approx(depth.mean() * unit, rel=1e-5)
        assert row["focal_px"] == 475.0


@pytest.mark.parametrize(
    "damage", [lambda png: png[:-20], lambda png: png[:30], lambda png: b"no PNG", lambda png: b""]
)
def test_damaged_frames(server, damage):
    depth = np.full((24, 32), 500, np.uint16)
    row = _frame(depth, 1.0)
    row["depth_png_bytes"] = b64(damage(_png(depth)))
    answer = server.predict({"instances": [row]}, "/v1/models/image")
    assert answer.status == 400
    assert answer.error


def test_camera_of_nan(server):
    row = _frame(np.full((24, 32), 500, np.uint16), 1.0)
    row["intrinsics"] = [math.nan, 475.0, 16.0, 12.0]
    answer = server.predict({"instances": [row]}, "/v1/models/image")
    assert answer.status == 400
    assert "intrinsics must be finite" in answer.error


def _frame(depth: np.ndarray, unit_mm: float) -> dict:
    return {"depth_png_bytes": b64(_png(depth)), "intrinsics": [475.0, 475.0, 16.0, 12.0], "depth_unit_mm": unit_mm}


def _png(depth: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(depth).save(file, format="PNG")
    return file.getvalue()
