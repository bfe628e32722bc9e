"""How a run's steps are shared out: to no one, to the devices of a machine, or to the workers of several machines.

The chief, worker 0, alone reads and writes the run's folder. The others have its settings, its weights and what its
optimizers remember from it, so all that they need is the program, TF_CONFIG and the store.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from lsps_tf.commandline.command import interrupt
from lsps_tf.errors import InputError, one_line
from lsps_tf.replicas import WHOLE, Shares
from training.distribution.cluster import MIRRORED, MULTIWORKER, Cluster, read_cluster

# What an operation raises whose other side is gone, or was started again.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.FailedPreconditionError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
# Steps between two questions whether a worker was told to stop. Each waits for all devices.
_STOP_EVERY = 10
_LONGEST_REASON = 300


class Alone:
    """One process with one replica: what a run is without `--strategy`.

    Attributes:
        replicas: that share each batch.
        workers: processes that train together.
        is_chief: whether this one keeps the run's folder.
        stop_every: steps between two questions whether to stop.
    """

    replicas = 1
    workers = 1
    is_chief = True
    stop_every = 1

    def connect(self) -> None:
        """Meets the other workers; TensorFlow's threads are set by then, and nothing was computed."""

    def scope(self) -> contextlib.AbstractContextManager:
        """Where variables are made."""
        return contextlib.nullcontext()

    def dataset(self, make: Callable[[Shares], tf.data.Dataset]) -> tf.data.Dataset:
        """What `fit` takes, of the pipeline of this process' shares."""
        return make(WHOLE)

    def together(self) -> contextlib.AbstractContextManager:
        """Has all workers wait at its end. Where one's block raises InputError, all end with that."""
        return contextlib.nullcontext()

    def agree(self, wanted: bool) -> bool:
        """Whether any worker wants it."""
        return wanted

    def from_chief(self, content: bytes) -> bytes:
        """The chief's content, to all workers."""
        return content

    def spread(self, variables: list[tf.Variable]) -> None:
        """Gives the variables of all workers the chief's values."""

    def lost(self, error: Exception) -> bool:
        """Whether an error says that another worker is gone."""
        return False

    def start_again(self, error: Exception, options: list[str]) -> None:
        """Starts this process once more, with further options, to go on with a worker that is brought back."""


class Mirrored(Alone):
    """One process with a replica on each of its GPUs, or of its CPUs where there are none."""

    def connect(self) -> None:
        self._use(mirrored_strategy())
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        print(f"Training on {self.replicas} {kind}{'s' * (self.replicas > 1)}.", file=sys.stderr)

    def scope(self) -> contextlib.AbstractContextManager:
        return self._strategy.scope()

    def dataset(self, make: Callable[[Shares], tf.data.Dataset]) -> tf.data.Dataset:
        own = self.replicas // self.workers
        return self._strategy.distribute_datasets_from_function(
            lambda context: make(Shares(self.replicas, own * context.input_pipeline_id, own))
        )

    def _use(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync


class MultiWorker(Mirrored):
    """A process for each entry of TF_CONFIG's cluster, with a replica on each of its GPUs, or one on its CPU."""

    stop_every = _STOP_EVERY

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._strategy: tf.distribute.Strategy | None = None
        self.workers = len(cluster.workers)
        self.is_chief = cluster.index == 0

    def connect(self) -> None:
        self._say(f"waiting for {', '.join(self._cluster.others) or 'no one'}")
        with _ends_at_once():
            self._use(tf.distribute.MultiWorkerMirroredStrategy())
        self._say(f"training on {self.replicas} replicas")
        self._sum = tf.function(self._sum_in_graph, input_signature=[tf.TensorSpec([None], tf.int64)])

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        error = None
        try:
            yield
        except InputError as raised:
            error = raised
        if self._strategy is None:
            # Nobody waits for who did not come so far.
            if error is not None:
                raise error
            return
        anywhere = self.agree(error is not None)
        if error is not None:
            raise error
        if anywhere:
            raise InputError("another worker cannot go on; the line that it ended with says why")

    def agree(self, wanted: bool) -> bool:
        return bool(self._added(np.array([wanted], np.int64))[0])

    def from_chief(self, content: bytes) -> bytes:
        count = self._added(np.array([len(content) if self.is_chief else 0], np.int64))[0]
        codes = np.frombuffer(content, np.uint8) if self.is_chief else np.zeros(count, np.uint8)
        return self._added(codes.astype(np.int64)).astype(np.uint8).tobytes()

    def spread(self, variables: list[tf.Variable]) -> None:
        # One message has one type.
        for dtype in sorted({variable.dtype for variable in variables}, key=lambda dtype: dtype.name):
            self._spread_alike([variable for variable in variables if variable.dtype == dtype])

    def _spread_alike(self, variables: list[tf.Variable]) -> None:
        def of_first() -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, 0)
            values = [tf.where(is_first, variable, tf.zeros_like(variable)) for variable in variables]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        values = tf.function(lambda: self._strategy.run(of_first))()
        with self.scope():
            for variable, value in zip(variables, values):
                variable.assign(self._strategy.experimental_local_results(value)[0])

    def lost(self, error: Exception) -> bool:
        return self.workers > 1 and isinstance(error, _LOST)

    def start_again(self, error: Exception, options: list[str]) -> None:
        self._say(f"another worker is lost; going on from the last checkpoint when it is back ({_reason(error)})")
        sys.stdout.flush()
        sys.stderr.flush()
        # Nothing else frees TensorFlow of a cluster that has changed.
        command = sys.orig_argv[1:]
        more = [] if command[-len(options) :] == options else options
        os.execv(sys.executable, [sys.executable, *command, *more])

    def _added(self, values: np.ndarray) -> np.ndarray:
        """The sum of whole numbers [n] over the workers."""
        with _ends_at_once():
            return self._strategy.experimental_local_results(self._sum(tf.constant(values)))[0].numpy()

    def _sum_in_graph(self, values: tf.Tensor) -> tf.Tensor:
        def add(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            own = self.replicas // self.workers
            # A worker's first replica speaks for it.
            speaks = tf.equal(tf.math.floormod(context.replica_id_in_sync_group, own), 0)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(speaks, values, tf.zeros_like(values)))

        return self._strategy.run(add, args=(values,))

    def _say(self, text: str) -> None:
        print(f"Worker {self._cluster.index} of {self.workers}: {text}", file=sys.stderr, flush=True)


def distribution_of(strategy: str | None) -> Alone:
    """The distribution that `--strategy` names, not yet connected; InputError where TF_CONFIG is no use."""
    if strategy is None:
        return Alone()
    return {MIRRORED: Mirrored, MULTIWORKER: lambda: MultiWorker(read_cluster(os.environ))}[strategy]()


def _reason(error: Exception) -> str:
    """What an error of a collective operation says of its cause, in a line."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    cause = next((line for line in lines if "aborted by" in line), lines[0])
    return f"{type(error).__name__}: {one_line(cause)[:_LONGEST_REASON]}"


@functools.lru_cache(maxsize=1)
def mirrored_strategy() -> tf.distribute.Strategy:
    """A replica on each GPU, or on each logical CPU where there are none.

    A process has one: TensorFlow mixes up what the replicas of two send each other.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@contextlib.contextmanager
def _ends_at_once() -> Iterator[None]:
    """Has Ctrl-C and SIGTERM end the process while TensorFlow waits for others, during which Python hears nothing.

    Within a stage they are heard after the step at hand, and are left alone here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is interrupt]
    for number in heard:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, interrupt)
