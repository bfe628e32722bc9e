"""A server for the tests: this project's, or the real one where TF_SERVING_URL is set."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from export.serving.settings import Settings
from tests.export.serving.asker import Asker, running
from tests.export.serving.toy_models import write_toy_models


@pytest.fixture(scope="session")
def toy_dir(tmp_path_factory):
    return write_toy_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def real_server() -> bool:
    return bool(os.environ.get("TF_SERVING_URL"))


@pytest.fixture(scope="session")
def server(toy_dir, real_server) -> Iterator[Asker]:
    """The models `toy` (versions 1 and 2, label stable = 1) and `image`."""
    if real_server:
        yield Asker(os.environ["TF_SERVING_URL"])
        return
    with running(Settings(toy_dir, port=0, keep_versions=2, labels={"stable": 1}, max_batch_size=8)) as (asker, _):
        yield asker
