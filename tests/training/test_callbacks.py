"""What happens around the steps: logs, pictures, checkpoints, a clean stop."""

import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow import keras

from lsps_tf.config import LossWeights
from training import callbacks
from training.stages.depth import DepthStage

ROWS = [
    *("synthetic", "synthetic, reconstructed", "synthetic to real", "synthetic to real and back"),
    *("real", "real, reconstructed", "real to synthetic", "real to synthetic and back"),
    "synthetic, from its pose by M",
]


class OneNumber(keras.Model):
    """A stage of one loss, whose steps are counted by what it logs."""

    def __init__(self):
        super().__init__()
        self.value = keras.metrics.Mean("loss")
        self.steps = 0

    @property
    def metrics(self):
        return [self.value]

    def train_step(self, data):
        self.value.update_state(data)
        return {"loss": self.value.result()}


def fit(step, *watchers, steps=10):
    model = OneNumber()
    model.compile()
    data = tf.data.Dataset.range(int(step), 1000).map(lambda number: tf.cast(number, tf.float32))
    remaining = steps - int(step)
    model.fit(data, steps_per_epoch=remaining, verbose=0, callbacks=[callbacks.Position(step), *watchers])


def counter(start=0):
    return tf.Variable(start, dtype=tf.int64, trainable=False)


def read_lines(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def scalars(folder):
    """(tag, step, value) of every scalar in a folder's TensorBoard files."""
    found = []
    for path in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(v.tag, event.step, tf.make_ndarray(v.tensor)) for v in event.summary.value]
    return found


def test_metrics_are_means_since_the_last_line(tmp_path):
    step = counter()
    fit(step, callbacks.MetricsLog(step, 4, "pose", 10, tmp_path))
    lines = read_lines(tmp_path)
    assert [(line["stage"], line["step"], line["loss"]) for line in lines] == [
        ("pose", 4, 1.5),
        ("pose", 8, 5.5),
        ("pose", 10, 8.5),
    ]
    assert all(line["seconds"] >= 0 for line in lines)
    shown = [(tag, number, float(value)) for tag, number, value in scalars(tmp_path / "tensorboard" / "pose")]
    assert shown == [("loss", 4, 1.5), ("loss", 8, 5.5), ("loss", 10, 8.5)]


def test_lines_of_steps_that_are_done_again_are_dropped(tmp_path):
    lines = [{"stage": "pose", "step": 40}, *({"stage": "depth", "step": number} for number in (2, 4, 6))]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "depth", "st'
    (tmp_path / "metrics.jsonl").write_text(text)
    step = counter(4)
    fit(step, callbacks.MetricsLog(step, 5, "depth", 10, tmp_path))
    assert [(line["stage"], line["step"]) for line in read_lines(tmp_path)] == [
        *(("pose", 40), ("depth", 2), ("depth", 4)),
        *(("depth", 5), ("depth", 10)),
    ]


def test_checkpoints_come_every_so_often_and_at_the_end_once(tmp_path):
    saved, step = [], counter()
    fit(step, callbacks.Checkpoints(step, 4, lambda: saved.append(int(step))))
    assert saved == [4, 8, 10]
    saved, step = [], counter()
    fit(step, callbacks.Checkpoints(step, 5, lambda: saved.append(int(step))))
    assert saved == [5, 10]


class Interrupting(callbacks.StageCallback):
    """Sends signals to this process after given steps."""

    def __init__(self, step, signals):
        super().__init__(step)
        self.signals = signals

    def on_train_batch_end(self, batch, logs=None):
        for number in self.signals.get(int(self.step), ()):
            os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_at_hand_and_saves(number):
    before = signal.getsignal(number)
    saved, step = [], counter()
    watchers = [callbacks.Checkpoints(step, 100, lambda: saved.append(int(step))), callbacks.CleanStop()]
    fit(step, Interrupting(step, {3: [number]}), *watchers)
    assert saved == [3] and int(step) == 3
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_stops_at_once():
    step = counter()
    with pytest.raises(KeyboardInterrupt):
        fit(step, Interrupting(step, {3: [signal.SIGINT, signal.SIGINT]}), callbacks.CleanStop())
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def stage(networks):
    return DepthStage(networks, LossWeights())


def test_picture_rows_are_what_the_networks_make(stage, networks, unlabelled):
    rows = callbacks.depth_pictures(stage, unlabelled)
    assert list(rows) == ROWS
    outputs = stage.forward(unlabelled)
    latent, mapped = outputs["latent"], outputs["mapped"]["synthetic"]
    expected = {
        "real": unlabelled["real"]["image"],
        "real, reconstructed": networks.generators["real"](latent["real"]),
        "real to synthetic": networks.generators["synthetic"](latent["real"]),
        "synthetic to real": networks.generators["real"](latent["synthetic"]),
        "synthetic, from its pose by M": networks.generators["synthetic"](mapped),
    }
    for name, images in expected.items():
        np.testing.assert_allclose(rows[name], images[..., 0], atol=1e-5)
    assert all(images.shape == rows["real"].shape for images in rows.values())
    # The way back is drawn anew and ends in the domain that it began in.
    for domain in ("synthetic", "real"):
        np.testing.assert_array_equal(rows[f"{domain} to {_other(domain)} and back"], outputs["cycle"][domain][..., 0])


def _other(domain):
    return {"synthetic": "real", "real": "synthetic"}[domain]


def test_pictures_are_written_when_due_and_at_the_end(stage, unlabelled, tmp_path):
    step = counter()
    pictures = callbacks.Pictures(step, 4, 6, tmp_path, unlabelled)
    pictures.set_model(stage)
    for _ in range(6):
        step.assign_add(1)
        pictures.on_train_batch_end(0)
    written = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in written] == ["depth-0000004.png", "depth-0000006.png"]
    shown = scalars(tmp_path / "tensorboard" / "depth")
    assert [(tag, number) for tag, number, _ in shown] == [("pictures", 4), ("pictures", 6)]
    with Image.open(written[1]) as picture:
        # Nine rows of two crops, enlarged; a blank picture would be one colour.
        assert picture.height > picture.width and len(picture.getcolors(1 << 16)) > 50
