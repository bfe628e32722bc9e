"""Versions that come and go under load, damaged ones, and how the command starts and stops."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from export.serving.command import serve_command
from export.serving.servable import LoadError, load_servable
from export.serving.settings import Settings
from export.serving.warmup import WARMUP_FILE, prediction_log_class, read_warmup_requests
from lsps_tf.errors import InputError
from lsps_tf.model_manifest import model_hash
from tests.export.serving.asker import Asker, running
from tests.export.serving.toy_models import save_toy

ROOT = pathlib.Path(__file__).resolve().parents[3]
X = {"instances": [[1.0, 2.0, 3.0]]}


@pytest.fixture
def model_dir(toy_dir, tmp_path):
    """A folder with version 1 of the toy, for tests that change it."""
    _copy(toy_dir, 1, tmp_path / "models" / "toy" / "1")
    return tmp_path / "models"


def _copy(toy_dir: pathlib.Path, version: int, path: pathlib.Path) -> None:
    """Copies in one step, as a careful user does."""
    partial = path.parent.parent / f"partial-{path.name}"
    shutil.copytree(toy_dir / "toy" / str(version), partial)
    path.parent.mkdir(exist_ok=True)
    partial.rename(path)


def _wait(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def _states(asker: Asker) -> dict[str, str]:
    return {status["version"]: status["state"] for status in asker.get("/v1/models/toy").body["model_version_status"]}


def test_version_swapped_under_load_drops_no_request(toy_dir, model_dir):
    with running(Settings(model_dir, port=0, poll_s=0.02)) as (asker, lines):
        stop, answers, failures = threading.Event(), [], []

        def load():
            connection = http.client.HTTPConnection(*asker.address, timeout=60)
            while not stop.is_set():
                connection.request("POST", "/v1/models/toy:predict", json.dumps(X))
                response = connection.getresponse()
                body = json.loads(response.read())
                (answers if response.status == 200 else failures).append(body)
            connection.close()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        _copy(toy_dir, 2, model_dir / "toy" / "2")
        _wait(lambda: _states(asker) == {"2": "AVAILABLE", "1": "END"})
        # And back, as one does with a version that proves bad.
        shutil.rmtree(model_dir / "toy" / "2")
        _wait(lambda: _states(asker) == {"2": "END", "1": "AVAILABLE"})
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert {answer["predictions"][0][0] for answer in answers} == {3.0, 4.0}
    assert "toy: version 2 is served" in lines


def test_unloaded_version_is_not_found(toy_dir, model_dir):
    with running(Settings(model_dir, port=0, poll_s=0.02)) as (asker, _):
        assert asker.predict(X, "/v1/models/toy/versions/1").status == 200
        _copy(toy_dir, 2, model_dir / "toy" / "2")
        _wait(lambda: _states(asker).get("1") == "END")
        answer = asker.predict(X, "/v1/models/toy/versions/1")
        assert (answer.status, answer.error) == (404, "Servable not found for request: Specific(toy, 1)")
        assert asker.predict(X).body == {"predictions": [[4.0, 6.0, 8.0]]}


def test_half_copied_version_leaves_the_old_one_until_it_is_whole(toy_dir, model_dir):
    with running(Settings(model_dir, port=0, poll_s=0.02)) as (asker, lines):
        half = model_dir / "toy" / "2"
        half.mkdir()
        shutil.copy(toy_dir / "toy" / "2" / "saved_model.pb", half)
        _wait(lambda: _states(asker).get("2") == "END")
        [status] = asker.get("/v1/models/toy/versions/2").body["model_version_status"]
        assert status["status"]["error_code"] != "OK"
        assert "incomplete or damaged" in status["status"]["error_message"]
        assert asker.predict(X).body == {"predictions": [[3.0, 5.0, 7.0]]}
        shutil.copytree(toy_dir / "toy" / "2", half, dirs_exist_ok=True)
        _wait(lambda: _states(asker) == {"2": "AVAILABLE", "1": "END"})
        assert asker.predict(X).body == {"predictions": [[4.0, 6.0, 8.0]]}
    assert any("toy: version 2 cannot be loaded: " in line for line in lines)


def test_models_stay_when_their_folder_goes(model_dir):
    with running(Settings(model_dir, port=0, poll_s=0.02)) as (asker, _):
        shutil.rmtree(model_dir)
        time.sleep(0.2)
        assert asker.predict(X).status == 200


def test_folder_of_one_model_and_its_name(model_dir):
    with running(Settings(model_dir / "toy", port=0)) as (asker, _):
        assert asker.predict(X).status == 200
    with running(Settings(model_dir / "toy", port=0, name="other")) as (asker, _):
        assert asker.predict(X, "/v1/models/other").status == 200
        assert asker.predict(X).status == 404


def test_versions_of_another_hash_are_refused(toy_dir, model_dir, capsys):
    expected = model_hash(model_dir / "toy" / "1")
    with running(Settings(model_dir, port=0, poll_s=0.02, expected=(expected,))) as (asker, lines):
        assert asker.predict(X).status == 200
        _copy(toy_dir, 2, model_dir / "toy" / "2")
        _wait(lambda: _states(asker).get("2") == "END")
        [status] = asker.get("/v1/models/toy/versions/2").body["model_version_status"]
        assert f", not {expected}; this is another model than --expect asks for" in status["status"]["error_message"]
        assert asker.predict(X).body == {"predictions": [[3.0, 5.0, 7.0]]}
    with pytest.raises(InputError, match=r"toy/2: its hash is \w{64}, not 0{64}; this is another model"):
        serve_command(["--model-dir", str(model_dir), "--port", "0", "--expect", "0" * 64])
    with pytest.raises(InputError, match="--expect abc: a hash has 64"):
        serve_command(["--model-dir", str(model_dir), "--expect", "abc"])


# Warm-up


def _write_warmup(path: pathlib.Path, signature: str, **inputs: np.ndarray) -> None:
    log = prediction_log_class()()
    log.predict_log.request.model_spec.signature_name = signature
    for name, array in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    (path / WARMUP_FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(path / WARMUP_FILE)) as writer:
        writer.write(log.SerializeToString())


def test_warm_up_requests_are_run(model_dir):
    path = model_dir / "toy" / "1"
    _write_warmup(path, "positive", x=np.ones((2, 3), np.float32))
    [(signature, inputs)] = read_warmup_requests(path)
    assert signature == "positive"
    assert inputs["x"].tolist() == [[1.0] * 3] * 2
    load_servable(path)
    shutil.rmtree(path / "assets.extra")
    _write_warmup(path, "positive", x=-np.ones((2, 3), np.float32))
    with pytest.raises(LoadError, match="a warm-up request fails .*x must be positive") as failed:
        load_servable(path)
    assert failed.value.code == 3


def test_warm_up_file_is_tensorflow_serving_s(model_dir):
    """The bytes of tensorflow.serving.PredictionLog, written out by hand: fields 6, 1, 1 and 3."""
    path = model_dir / "toy" / "1"
    tensor = tf.make_tensor_proto(np.float32([[1, 2, 3]])).SerializeToString()
    entry = _field(1, b"x") + _field(2, tensor)
    request = _field(1, _field(1, b"toy") + _field(3, b"two")) + _field(2, entry)
    (path / WARMUP_FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(path / WARMUP_FILE)) as writer:
        writer.write(_field(6, _field(1, request)))
    [(signature, inputs)] = read_warmup_requests(path)
    assert signature == "two"
    assert inputs["x"].tolist() == [[1.0, 2.0, 3.0]]


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


# The command


def _truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: shutil.rmtree(path / "1"), "holds no model with a version"),
        (lambda path: (path / "1").rename(path / "one"), "holds no model with a version"),
        (lambda path: (path / "1" / "saved_model.pb").unlink(), "there is no saved_model.pb"),
        (lambda path: shutil.rmtree(path / "1" / "variables"), "incomplete or damaged"),
        (lambda path: _truncate(path / "1" / "variables" / "variables.index"), "incomplete or damaged"),
        (lambda path: _truncate(path / "1" / "saved_model.pb"), "saved_model.pb"),
        (lambda path: (path / "1" / "saved_model.pb").write_bytes(b"no protobuf\xff" * 9), "of another program"),
        (lambda path: (path / "1" / "saved_model.pb").write_bytes(b""), "no model for serving"),
        (lambda path: (path / "2").mkdir(), "2: there is no saved_model.pb"),
    ],
)
def test_model_that_cannot_be_served_is_one_clear_line(model_dir, change, message):
    change(model_dir / "toy")
    with pytest.raises(InputError) as error, running(Settings(model_dir, port=0)):
        pass
    assert message in str(error.value)
    assert str(model_dir) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model-dir"),
        (["--model-dir", "/does/not/exist"], "there is no such folder"),
        (["--model-dir", "MODELS/toy/1"], "is itself a version; give the folder above it"),
        (["--model-dir", "MODELS", "--port", "x"], "'x' is no number of at least 0"),
        (["--model-dir", "MODELS", "--port", "70000"], "--port 70000"),
        (["--model-dir", "MODELS", "--host", "256.1.1.1"], "--host 256.1.1.1"),
        (["--model-dir", "MODELS", "--max-batch-size", "0"], "'0' is no number of at least 1"),
        (["--model-dir", "MODELS", "--timeout-seconds", "nan"], "'nan' is no number"),
        (["--model-dir", "MODELS", "--label", "stable"], "is not LABEL=VERSION"),
    ],
)
def test_arguments_that_are_wrong(model_dir, arguments, message):
    with _signal_handlers_kept(), pytest.raises(InputError, match=re.escape(message)):
        serve_command([argument.replace("MODELS", str(model_dir)) for argument in arguments])


def test_port_that_is_taken(model_dir):
    with running(Settings(model_dir, port=0)) as (asker, _):
        arguments = ["--model-dir", str(model_dir), "--port", str(asker.address[1])]
        with _signal_handlers_kept(), pytest.raises(InputError, match="another program listens there"):
            serve_command(arguments)


@contextlib.contextmanager
def _signal_handlers_kept():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_sigterm_finishes_what_was_taken(model_dir):
    command = [sys.executable, str(ROOT / "export" / "serve.py"), "--model-dir", str(model_dir), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = None
        while address is None:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            address = re.search(r"Metrics: (http://127\.0\.0\.1:\d+)", line)
        asker = Asker(address[1])
        slow = {"signature_name": "slow", "instances": [8000]}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(asker.predict, slow)
            _wait(lambda: b"lsps_serving_batch_requests_count 1.0" in asker.get("/monitoring/prometheus/metrics").body)
            process.send_signal(signal.SIGTERM)
            assert (answer.result().status, answer.result().body) == (200, {"predictions": [8000]})
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert output.endswith("Stopped; every request that was taken is answered.\n")
    assert errors == ""


def test_start_on_damaged_model_exits_with_2(model_dir):
    (model_dir / "toy" / "1" / "saved_model.pb").unlink()
    command = [sys.executable, str(ROOT / "export" / "serve.py"), "--model-dir", str(model_dir), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith(f"error: {model_dir}/toy/1: there is no saved_model.pb")


def test_memory_of_an_unloaded_version_is_given_back(toy_dir, model_dir):
    """Loading leaves no reference behind: the objects that hold variables are gone after the swap."""
    save_toy(model_dir / "toy" / "3", 3)
    with running(Settings(model_dir, port=0, poll_s=0.02)) as (asker, lines):
        before = _count_servables()
        _copy(toy_dir, 2, model_dir / "toy" / "4")
        _wait(lambda: "toy: version 3 is unloaded" in lines)
        assert asker.predict(X).status == 200
        assert _count_servables() == before


def _count_servables() -> int:
    import gc

    from export.serving.servable import Servable

    gc.collect()
    return sum(isinstance(thing, Servable) for thing in gc.get_objects())
