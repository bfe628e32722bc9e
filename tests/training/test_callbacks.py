"""What happens around the steps: logs, pictures, checkpoints, a clean stop."""

import contextlib
import json
import os
import signal

import pytest
import tensorflow as tf
from PIL import Image
from tensorflow import keras

from lsps_tf.config import LossWeights
from lsps_tf.errors import InputError
from training import callbacks
from training.stages.depth import DepthStage


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
    watchers = [callbacks.Checkpoints(step, 100, lambda: saved.append(int(step))), callbacks.CleanStop(step)]
    fit(step, Interrupting(step, {3: [number]}), *watchers)
    assert saved == [3] and int(step) == 3
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_stops_at_once():
    before = signal.getsignal(signal.SIGINT)
    step = counter()
    stop = callbacks.CleanStop(step)
    with pytest.raises(KeyboardInterrupt):
        fit(step, Interrupting(step, {3: [signal.SIGINT, signal.SIGINT]}), stop)
    stop.close()
    assert signal.getsignal(signal.SIGINT) is before


def test_workers_agree_every_so_many_steps_and_at_the_end():
    for asked, steps, expected in ({}, 9, 9), ({3: [signal.SIGTERM]}, 9, 4), ({5: [signal.SIGTERM]}, 7, 7):
        step, questions = counter(), []

        def agree(wanted, step=step, questions=questions):
            questions.append(int(step))
            return wanted

        stop = callbacks.CleanStop(step, 4, agree)
        # What was asked after the last question ends the run between two stages.
        with contextlib.nullcontext() if steps == 9 else pytest.raises(KeyboardInterrupt):
            fit(step, Interrupting(step, asked), stop, steps=steps)
        assert int(step) == expected
        assert questions == {(9, 9): [4, 8, 9], (9, 4): [4], (7, 7): [4, 7]}[steps, expected]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_first_step_a_signal_stops_at_once(number):
    """Graphs are built then, for longer than a machine that is taken away has."""
    step = counter()
    stop = callbacks.CleanStop(step)

    class Early(callbacks.StageCallback):
        def on_train_batch_begin(self, batch, logs=None):
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        fit(step, stop, Early(step))
    stop.close()
    assert int(step) == 0


def test_losses_are_checked_where_they_are_read_and_before_anything_is_saved():
    checked, saved, step = [], [], counter()
    check = callbacks.FiniteCheck(step, (4, 6), 9, lambda: checked.append(int(step)))
    fit(step, check, steps=9)
    assert checked == [4, 6, 8, 9, 9]

    def found():
        raise InputError(f"found at {int(step)}")

    step = counter()
    check = callbacks.FiniteCheck(step, (4,), 9, found)
    with pytest.raises(InputError, match="found at 4"):
        fit(step, check, callbacks.Checkpoints(step, 2, lambda: saved.append(int(step))), steps=9)
    # At 2 nothing was looked for; at 4 the check came first.
    assert saved == [2]


def test_a_stop_checks_what_it_saves():
    def found():
        raise InputError("found at the stop")

    saved, step = [], counter()
    watchers = [callbacks.FiniteCheck(step, (100,), 10, found)]
    watchers += [callbacks.Checkpoints(step, 100, lambda: saved.append(int(step))), callbacks.CleanStop(step)]
    with pytest.raises(InputError, match="found at the stop"):
        fit(step, Interrupting(step, {3: [signal.SIGINT]}), *watchers)
    watchers[-1].close()
    assert saved == []


@pytest.fixture
def stage(networks):
    return DepthStage(networks, LossWeights())


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
