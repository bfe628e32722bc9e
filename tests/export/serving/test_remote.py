"""`export/predict.py --url`: a model behind a server is used like one on the disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from export.client import Client
from export.prediction import predict_command
from export.remote import counts_of_depth, open_remote
from export.serving.settings import Settings
from lsps_tf.camera import NYU
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.errors import InputError
from lsps_tf.hand_predictor import View
from lsps_tf.run_folder import load_run
from lsps_tf.skeleton import NYU as NYU_SKELETON
from tests import two_hands
from tests.export.serving.asker import running

JOINTS = NYU_SKELETON.num_joints


class _Hand(tf.Module):
    """Joint j lies j mm behind the mean reading, on the camera's axis."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "depth_png_bytes"),
            tf.TensorSpec([None, 4], tf.float32, "intrinsics"),
            tf.TensorSpec([None], tf.float32, "depth_unit_mm"),
        ]
    )
    def hand(self, depth_png_bytes, intrinsics, depth_unit_mm):
        counts = tf.map_fn(self._mean, depth_png_bytes, fn_output_signature=tf.float32)
        center_mm = tf.stack([tf.zeros_like(counts), tf.zeros_like(counts), counts * depth_unit_mm], axis=-1)
        behind_mm = tf.stack([tf.zeros(JOINTS), tf.zeros(JOINTS), tf.range(JOINTS, dtype=tf.float32)], axis=-1)
        joints_mm = center_mm[:, None] + behind_mm
        pixel = tf.broadcast_to(intrinsics[:, None, 2:], [tf.shape(counts)[0], JOINTS, 2])
        return {
            "joints_mm": joints_mm,
            "joints_uvd": tf.concat([pixel, joints_mm[..., 2:]], axis=-1),
            "center_mm": center_mm,
            "presence": counts > 0,
            "cube_mm": tf.fill(tf.shape(counts), 210.0),
        }

    @staticmethod
    def _mean(content):
        counts = tf.cast(tf.io.decode_png(content, channels=1, dtype=tf.uint16), tf.float32)
        measured = tf.cast(counts > 0, tf.float32)
        return tf.math.divide_no_nan(tf.reduce_sum(counts), tf.reduce_sum(measured))


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    module = _Hand()
    tf.saved_model.save(module, str(directory / "lsps" / "1"), {"serving_default": module.hand.get_concrete_function()})
    with running(Settings(directory, port=0)) as (asker, _):
        yield asker.url


@pytest.fixture
def frame(tmp_path):
    depth_mm = np.zeros((480, 640))
    depth_mm[200:280, 280:360] = 650.5
    path = tmp_path / "frame.png"
    write_depth_png16(path, depth_mm, 0.5)
    return path


def test_predict_command(url, frame, tmp_path, capsys):
    output, overlay = tmp_path / "hand.json", tmp_path / "hand.png"
    arguments = ["--url", url, str(frame), "--camera", "nyu", "--depth-unit", "0.5", "--json", str(output)]
    assert predict_command([*arguments, "--overlay", str(overlay)]) == 0
    assert f"by the server {url}" in capsys.readouterr().out
    hand = json.loads(output.read_text())
    assert hand["skeleton"] == "nyu"
    assert hand["center_mm"] == [0.0, 0.0, 650.5]
    assert hand["joints_mm"][7] == [0.0, 0.0, 657.5]
    assert hand["joints_uvd"][7] == [NYU.cx, NYU.cy, 657.5]
    assert overlay.stat().st_size > 0


@pytest.mark.parametrize("turn", [90, 180])
def test_a_turned_frame_is_sent_upright_and_its_hand_turned_back(url, frame, tmp_path, turn):
    output = tmp_path / "hand.json"
    arguments = ["--url", url, str(frame), "--depth-unit", "0.5", "--rotate", str(turn), "--json", str(output)]
    assert predict_command(arguments) == 0
    hand = json.loads(output.read_text())
    # On the optical axis, which no turn moves.
    assert hand["joints_mm"][7] == [0.0, 0.0, 657.5]
    np.testing.assert_allclose(hand["joints_uvd"][7], [NYU.cx, NYU.cy, 657.5], atol=1e-3)


def test_a_frame_without_a_hand(url):
    model = open_remote(url)
    # The model says its cube.
    assert model.info.cube_mm == 210.0
    assert model.predict(View(np.zeros((48, 64), np.float32), NYU)) == []
    depth_mm = np.zeros((48, 64), np.float32)
    depth_mm[3, 4] = 812.25
    [hand] = model.predict(View(depth_mm, NYU))
    assert hand.center_mm[2] == 812.25
    # A model that tells no sides knows right hands.
    assert (hand.side, model.info.hands) == ("right", 1)


def test_a_model_for_right_hands_alone(url, frame):
    with pytest.raises(InputError, match="the model there knows right hands alone"):
        predict_command(["--url", url, str(frame), "--hand", "left", "--depth-unit", "0.5"])


@pytest.fixture(scope="module")
def url_of_two(tmp_path_factory, run_dir):
    """A server of this project's model, up to three hands, with a finder that knows the frame of two."""
    from export.saved_model.signatures import export_saved_model

    directory = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        two_hands.know(patch)
        export_saved_model(load_run(run_dir), directory, hands=3)
    with running(Settings(directory, port=0)) as (asker, _):
        yield asker.url


def test_several_hands_of_a_server(url_of_two, tmp_path, capsys):
    depth_mm, camera, centers_mm = two_hands.two_hands()
    client = Client(url_of_two)
    hands = client.predict_hands(depth_mm.astype(np.uint16), camera.intrinsics)
    assert [str(hand["hand"]) for hand in hands] == ["right", "left"] and hands[0]["cube_mm"] == 250.0
    np.testing.assert_allclose([hand["center_mm"] for hand in hands], centers_mm, atol=1e-3)
    assert client.predict_hands(np.zeros((64, 64), np.uint16), camera.intrinsics) == []
    alone = client.predict(depth_mm.astype(np.uint16), camera.intrinsics, center_mm=centers_mm[1])
    np.testing.assert_allclose(alone["joints_mm"], hands[1]["joints_mm"], atol=1e-3)
    assert (str(alone["hand"]), alone["right_logit"]) == ("left", pytest.approx(two_hands.RIGHT_LOGITS[1]))
    path, output = tmp_path / "two.png", tmp_path / "two.json"
    write_depth_png16(path, depth_mm, 1.0)
    numbers = ",".join(map(str, camera.intrinsics.tolist()))
    start = ["--url", url_of_two, str(path), "--camera", numbers, "--json", str(output)]
    assert predict_command([*start, "--hands", "2"]) == 0
    values = json.loads(output.read_text())["hands"]
    assert [(hand["side"], hand["right_logit"]) for hand in values] == list(
        zip(("right", "left"), two_hands.RIGHT_LOGITS)
    )
    assert predict_command([*start, "--hand", "left"]) == 0
    assert json.loads(output.read_text())["side"] == "left"
    with pytest.raises(
        InputError, match=r"finds at most 3 hands in a frame, not 4; give fewer, or export .* --hands 4"
    ):
        predict_command([*start, "--hands", "4"])


def test_not_both_a_model_and_a_server(frame):
    with pytest.raises(InputError, match="not allowed with"):
        predict_command(["--model", "a", "--url", "b", str(frame)])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "does not answer"),
        ("http://127.0.0.1:9", "start one with: python export/serve.py"),
        ("ftp://127.0.0.1", "--url: 'ftp://127.0.0.1' is no address of a server"),
        ("URL/v1/models/none", "the server answers 404: Servable not found for request: Latest(none)"),
    ],
)
def test_server_that_cannot_be_asked(url, frame, address, message):
    with pytest.raises(InputError) as error:
        predict_command(["--url", address.replace("URL", url), str(frame)])
    assert message in str(error.value)


def test_model_without_joints(server, real_server):
    with pytest.raises(InputError, match="gives no joints of a known skeleton"):
        open_remote(f"{server.url}/v1/models/toy")


def test_server_s_error_is_one_line(url):
    model = open_remote(url)
    frame = np.full((3000, 3000), 500.0, np.float32)
    with pytest.raises(InputError, match="the server answers 400: Input depth_png_bytes, row 0: a frame of 3000x3000"):
        model.predict(View(frame, NYU))


@pytest.mark.parametrize(
    ("depth_mm", "unit_mm", "expected"),
    [
        ([[0.0, 500.0, 65534.0]], 1.0, 1.0),
        ([[0.0, 500.125]], 0.125, 0.125),
        ([[0.0, 500.3, 1234.5678]], 1.0, 1234.5678 / 65534),
        ([[0.0, 9000.0]], 0.125, 9000.0 / 65534),
    ],
)
def test_depth_as_counts(depth_mm, unit_mm, expected):
    depth_mm = np.float32(depth_mm)
    counts, sent_mm = counts_of_depth(depth_mm, unit_mm)
    assert counts.dtype == np.uint16
    assert sent_mm == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(counts * sent_mm, depth_mm, atol=sent_mm / 2 * 1.001)
    assert (counts == 0).tolist() == (depth_mm == 0).tolist()


def test_client_sends_nan_for_a_center_that_is_to_be_found():
    client = Client("http://127.0.0.1:9")
    client._signatures = {"serving_default": {"inputs": {"center_mm": {}}}}
    row = client.row(np.full((2, 2), 500), [1, 1, 0, 0])
    assert np.isnan(row["center_mm"]).all()
    client._signatures = {"serving_default": {"inputs": {}}}
    assert "center_mm" not in client.row(np.full((2, 2), 500), [1, 1, 0, 0])
