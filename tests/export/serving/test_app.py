"""What is answered where a request takes too long, or where the program itself is wrong."""

from __future__ import annotations

import threading

import pytest

from export.serving import app
from export.serving.settings import Settings
from tests.export.serving.asker import running

GOOD = {"instances": [[1.0, 2.0, 3.0]]}


@pytest.fixture(scope="module")
def asker(toy_dir):
    with running(Settings(toy_dir, port=0)) as (asker, _):
        yield asker


@pytest.mark.parametrize("name", ["read_document", "to_request", "encode_reply"])
def test_time_limit_holds_for_all_of_a_request(toy_dir, monkeypatch, name):
    release = threading.Event()
    monkeypatch.setattr(app, name, lambda *_: release.wait(30))
    with running(Settings(toy_dir, port=0, timeout_s=0.2)) as (slow, _):
        answer = slow.predict(GOOD)
        release.set()
        assert (answer.status, answer.error) == (504, "the request took longer than 0.2 s")


@pytest.mark.parametrize("name", ["read_document", "to_request", "encode_reply"])
@pytest.mark.parametrize("error", [StopIteration, KeyError])
def test_mistake_of_the_program_is_answered(asker, monkeypatch, name, error):
    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(app, name, fail)
        answer = asker.predict(GOOD)
    assert (answer.status, answer.error) == (500, "internal error")
    assert asker.predict(GOOD).status == 200
