"""The client against a server: this project's, or the real one where TF_SERVING_URL is set."""

from __future__ import annotations

import numpy as np
import pytest

from export.client import Client, ServerError

INTRINSICS = (475.0, 475.0, 16.0, 12.0)


@pytest.fixture
def client(server):
    with Client(server.url, model="image") as client:
        yield client


def test_predict(client):
    depth = np.random.default_rng(0).integers(400, 900, (24, 32))
    hand = client.predict(depth, INTRINSICS, depth_unit_mm=0.5)
    assert hand["mean_mm"] == pytest.approx(depth.mean() * 0.5, rel=1e-5)
    assert hand["focal_px"] == 475.0


def test_predict_rows_of_any_signature(server):
    with Client(f"{server.url}/v1/models/toy/versions/1") as client:
        rows = client.predict_rows([[1, 2, 3], [0, 0, 0]])
        assert [row["output"].tolist() for row in rows] == [[3, 5, 7], [1, 1, 1]]
        assert sorted(client.inputs("two")) == ["a", "n"]
        [row] = client.predict_rows([{"a": [1, 2], "n": 3}], "two")
        assert (row["total"], row["n_next"]) == (6.0, 4)
        assert client.status()["model_version_status"][0]["state"] == "AVAILABLE"


def test_errors_are_the_server_s(client):
    with pytest.raises(ServerError, match="400: .*") as error:
        client.predict(b"no PNG", INTRINSICS)
    assert error.value.status == 400
    with pytest.raises(ServerError) as error:
        client.predict(np.full((24, 32), 500), INTRINSICS, center_mm=(0, 0, 500))
    assert "does not have named input" in error.value.message
    with pytest.raises(ServerError, match="404: Could not find any versions of model none"):
        Client(client.url, model="none").status()


def test_connection_that_the_server_closed_is_opened_again(client):
    assert client.status()
    client._connection.sock.shutdown(2)
    assert client.status()
