"""The client: PNGs that any reader takes, requests against a server, and what it says when there is none."""

from __future__ import annotations

import base64
import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export.client import Client, ServerError, encode_png, without_password

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (48, 64)])
def test_png_is_read_back_as_it_was(shape):
    counts = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    image = Image.open(io.BytesIO(encode_png(counts)))
    assert image.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(image), counts)


def test_png_of_smooth_depth_is_small():
    v, u = np.mgrid[:480, :640]
    counts = (600 + 0.1 * u + 0.2 * v).astype(np.uint16)
    assert len(encode_png(counts)) < 480 * 640 * 2 / 20


@pytest.mark.parametrize(
    "counts", [np.zeros(3), np.zeros((0, 4)), np.full((2, 2), -1), np.full((2, 2), 0.5), np.full((2, 2), 65536)]
)
def test_what_is_no_frame_is_refused(counts):
    with pytest.raises(ValueError, match="frame"):
        encode_png(counts)


@pytest.mark.parametrize("url", ["", "http://", "ftp://host", "http://host/elsewhere", "http://host/v1/models/a/b"])
def test_address_that_is_none(url):
    with pytest.raises(ValueError, match="no address of a server"):
        Client(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://host:1", "/v1/models/lsps"),
        ("host:8501", "/v1/models/lsps"),
        ("http://host/v1/models/hand", "/v1/models/hand"),
        ("http://host/v1/models/hand/versions/3", "/v1/models/hand/versions/3"),
        ("http://host/v1/models/hand/labels/stable", "/v1/models/hand/labels/stable"),
        ("http://host/v1/models/hand:predict", "/v1/models/hand"),
        ("http://host/v1/models/a%3Ab/versions/3:predict", "/v1/models/a%3Ab/versions/3"),
    ],
)
def test_address(url, path):
    assert Client(url).path == path


def test_name_is_encoded():
    assert Client("http://host", model="a:b/c").path == "/v1/models/a%3Ab%2Fc"


@pytest.mark.parametrize(
    ("url", "pair", "shown"),
    [
        ("http://me:secret@host:1", b"me:secret", "http://host:1"),
        ("me:sec%40ret@host/v1/models/a", b"me:sec@ret", "host/v1/models/a"),
        ("https://me@host", b"me:", "https://host"),
    ],
)
def test_password_is_sent_and_not_shown(url, pair, shown):
    client = Client(url)
    assert client.url == shown == without_password(url)
    assert client._headers["Authorization"] == f"Basic {base64.b64encode(pair).decode()}"
    assert "Authorization" not in Client("http://host")._headers


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@",
        "http://me:secret@host:port",
        "ftp://me:secret@host",
        "http://me:secret/@host",
        "me:secret@[",
    ],
)
def test_password_is_in_no_message(url):
    with pytest.raises(ValueError, match="no address of a server") as error:
        Client(url)
    assert "secret" not in str(error.value)


def test_password_of_a_server_that_is_not_there_is_in_no_message():
    with pytest.raises(ServerError, match="http://127.0.0.1:9 does not answer"):
        Client("http://me:secret@127.0.0.1:9", timeout_s=5).status()


@pytest.mark.parametrize("name", ["joints_mm", "joints_uvd", "center_mm"])
def test_hand_whose_joints_are_no_numbers_is_an_error(name, monkeypatch):
    row = {"joints_mm": [[1.0, 2.0, 3.0]], "joints_uvd": [[1.0, 2.0, 3.0]], "center_mm": [1.0, 2.0, 3.0]}
    client = Client("http://host")
    row["presence"] = True
    monkeypatch.setattr(client, "request", lambda *_: {"predictions": [row]})
    assert client.predict_rows([{}])[0]["presence"]
    row[name] = np.full_like(row[name], np.nan).tolist()
    with pytest.raises(ServerError, match=f"the model's {name} of a hand are no numbers"):
        client.predict_rows([{}])
    row["presence"] = False
    assert not client.predict_rows([{}])[0]["presence"]


def test_server_that_is_not_there():
    with pytest.raises(ServerError, match="does not answer") as error:
        Client("http://127.0.0.1:9", timeout_s=5).status()
    assert error.value.status == 0


def test_client_needs_numpy_alone():
    others = {"tensorflow", "PIL", "scipy", "uvicorn", "h5py"}
    code = f"import sys, export.client; print(sorted({{name.split('.')[0] for name in sys.modules}} & {others}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
