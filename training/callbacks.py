"""What happens around the steps of a stage: progress, checks, logs, pictures, checkpoints, and a clean stop."""

from __future__ import annotations

import contextlib
import json
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import tensorflow as tf
from tensorflow import keras
from tqdm import tqdm

from lsps_tf import draw, generate
from lsps_tf.commandline.command import interrupt
from lsps_tf.files import atomic_path, disk_errors
from lsps_tf.networks import DOMAINS
from lsps_tf.tensorflow_paths import plain_folder
from training.data.source import BUILDING

# Steps between two looks at the losses: each waits for the device.
SHOWN_EVERY = 50


class StageCallback(keras.callbacks.Callback):
    """A callback that knows the stage's own step, which a resumed run does not start at 0."""

    # Tells fit to hand over tensors: turning every step's logs into NumPy would wait for the device each time.
    _supports_tf_logs = True

    def __init__(self, step: tf.Variable, every: int = 1):
        super().__init__()
        self.step, self.every = step, every

    def due(self) -> bool:
        return int(self.step) % self.every == 0

    def close(self) -> None:
        """Lets go of what the callback holds. `fit` ends without `on_train_end` where a callback raises."""


class Position(StageCallback):
    """Counts the steps; comes first, so that the others see the new count."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.step.assign_add(1)


class Progress(StageCallback):
    """A bar with the rate and the time left."""

    def __init__(self, step: tf.Variable, name: str, total: int, shown: str):
        super().__init__(step, SHOWN_EVERY)
        self.name, self.total, self.shown = name, total, shown
        self.bar: tqdm | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.bar = tqdm(
            total=self.total,
            initial=int(self.step),
            desc=f"{self.name:<10}",
            unit="step",
            mininterval=1.0,
            smoothing=0.1,
        )
        self.bar.set_postfix_str(BUILDING)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.bar.postfix == BUILDING:
            self.bar.set_postfix_str("", refresh=False)
        self.bar.update(1)
        if self.due():
            self.bar.set_postfix({self.shown: f"{float(logs[self.shown]):.4g}"}, refresh=False)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class FiniteCheck(StageCallback):
    """Looks for scalars that are not finite where the others look at them; comes before those that write."""

    def __init__(self, step: tf.Variable, every: tuple[int, ...], total: int, check: Callable[[], None]):
        """`check` raises where one is found; it is called at multiples of each of `every`, and at the end."""
        super().__init__(step)
        self.periods, self.total, self.check = every, total, check

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(self.step)
        if step == self.total or any(step % period == 0 for period in self.periods):
            self.check()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.check()


class MetricsLog(StageCallback):
    """Means of every term since the last line, to `metrics.jsonl` and to TensorBoard."""

    def __init__(self, step: tf.Variable, every: int, stage_name: str, total: int, run_dir: pathlib.Path):
        super().__init__(step, every)
        self.stage_name, self.total, self.run_dir = stage_name, total, run_dir
        self.path = run_dir / "metrics.jsonl"
        self.writer: tf.summary.SummaryWriter | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._forget_later_lines()
        self.opened = contextlib.ExitStack()
        folder = self.opened.enter_context(_summary_folder(self.run_dir, self.stage_name))
        self.writer = tf.summary.create_file_writer(folder)
        self.started = time.monotonic()
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.due() and int(self.step) != self.total:
            return
        terms = {name: float(value) for name, value in sorted(logs.items())}
        line = {"stage": self.stage_name, "step": int(self.step), "seconds": round(time.monotonic() - self.started, 2)}
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **terms}) + "\n")
        with self.writer.as_default(step=int(self.step)):
            for name, value in terms.items():
                tf.summary.scalar(name, value)
        self.model.reset_metrics()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.close()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.opened.close()

    def _forget_later_lines(self) -> None:
        """Drops what a run that was killed after its last checkpoint wrote; those steps are done again."""
        if not self.path.exists():
            return
        lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        kept = [line for line in lines if line["stage"] != self.stage_name or line["step"] <= int(self.step)]
        with atomic_path(self.path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


class Pictures(StageCallback):
    """Picture grids of the depth stage, to `pictures/` and to TensorBoard."""

    def __init__(self, step: tf.Variable, every: int, total: int, run_dir: pathlib.Path, batch: dict[str, Any]):
        super().__init__(step, every)
        self.total, self.run_dir, self.batch = total, run_dir, batch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.due() and int(self.step) != self.total:
            return
        shown = self.model.prepare(self.batch)
        image = {domain: shown[domain]["image"] for domain in DOMAINS}
        joints = shown["synthetic"]["joints"] if self.model.maps else None
        rows = generate.depth_pictures(self.model.networks, image, joints, shown["seed"])
        grid = draw.picture_grid(rows)
        path = self.run_dir / "pictures" / f"depth-{int(self.step):07d}.png"
        with atomic_path(path) as partial:
            grid.save(partial, format="PNG")
        with (
            _summary_folder(self.run_dir, "depth") as folder,
            tf.summary.create_file_writer(folder).as_default(),
        ):
            png = tf.io.decode_png(path.read_bytes(), channels=3)
            tf.summary.image("pictures", png[None], step=int(self.step))


@contextlib.contextmanager
def _summary_folder(run_dir: pathlib.Path, stage_name: str) -> Iterator[str]:
    """TensorBoard's folder of a stage, as TensorFlow can name it."""
    folder = run_dir / "tensorboard" / stage_name
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with plain_folder(folder) as plain:
        yield plain


class Checkpoints(StageCallback):
    """Saves what the stage goes on from: every so often, and whenever it stops."""

    def __init__(self, step: tf.Variable, every: int, save: Callable[[], None]):
        super().__init__(step, every)
        self.save = save
        self.saved_at = -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.due():
            self._save()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._save()

    def _save(self) -> None:
        if self.saved_at != int(self.step):
            self.save()
            self.saved_at = int(self.step)


class CleanStop(StageCallback):
    """Turns Ctrl-C and SIGTERM into a stop after the step at hand.

    A second Ctrl-C stops at once. So does either one before the first step is done: nothing is lost, and building the
    graphs may take longer than a machine that is taken away has.

    Where several workers train together, they `agree` every so many steps whether one of them was asked.
    """

    def __init__(self, step: tf.Variable, every: int = 1, agree: Callable[[bool], bool] = bool):
        super().__init__(step, every)
        self.agree = agree
        self.asked = self.stepped = False
        self.before: dict[int, Any] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.stepped = True
        if self.due() and self.agree(self.asked):
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.close()
        # Asked since the last question; the stage is saved.
        if not self.model.stop_training and self.agree(self.asked):
            raise KeyboardInterrupt

    def close(self) -> None:
        while self.before:
            signal.signal(*self.before.popitem())

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.stepped or (self.asked and number == signal.SIGINT):
            interrupt()
        self.asked = True
