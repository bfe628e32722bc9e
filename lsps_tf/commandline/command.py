"""What every command of the project does alike: a quiet TensorFlow, one line for a user's mistake, exit codes."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from lsps_tf.native_messages import native_messages_off

USAGE_ERROR = 2
INTERRUPTED = 130
# Set by Ctrl-C and SIGTERM.
_stop = threading.Event()


def run_command(main: Callable[[], int]) -> NoReturn:
    """Runs `main` and exits with what it returns.

    Bad input (`lsps_tf.errors.InputError`) and a full disk give one line on standard error and exit code 2, Ctrl-C and
    SIGTERM 130.
    `main` must import TensorFlow itself, so that the start-up chatter is off by then.
    """
    quiet_tensorflow()
    print_anything()
    sys.exit(exit_status(main))


def print_anything() -> None:
    """Has letters that the output cannot hold, as in a path, escaped where they would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def exit_status(main: Callable[[], int]) -> int:
    """The exit status of `main`, its errors said as `run_command` says them."""
    from lsps_tf.errors import InputError

    try:
        with stoppable():
            return main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away; Python would complain once more while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except PermissionError as error:
        print(f"error: {error.filename}: {error.strerror}; check who owns it, or choose another", file=sys.stderr)
        return USAGE_ERROR
    except Exception as error:
        if stop_was_asked():
            print("\nInterrupted.", file=sys.stderr)
            return INTERRUPTED
        if not isinstance(error, OSError) or error.errno != errno.ENOSPC:
            raise
        print(f"error: the disk is full ({error.filename}); free some space and start again", file=sys.stderr)
        return USAGE_ERROR
    finally:
        # A pipeline whose iterator is still alive when Python ends would wait for Python, and Python for it.
        gc.collect()


def stop_was_asked() -> bool:
    """Whether Ctrl-C or SIGTERM came. Libraries make other errors of an interrupt, as TensorFlow does in tracing."""
    return _stop.is_set()


def interrupt(*_: object) -> None:
    """A handler of signals: raises KeyboardInterrupt, and remembers that."""
    _stop.set()
    raise KeyboardInterrupt


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Has SIGTERM stop a command as Ctrl-C does, so that it too leaves nothing half written, and says how to go on."""
    _stop.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up messages out of the commands' output; call before the first import of it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.meta_path.insert(0, _QuietImport())


class _QuietImport(importlib.abc.MetaPathFinder):
    """Imports TensorFlow without what its libraries write while they are loaded.

    From 2.16 on they write before they read TF_CPP_MIN_LOG_LEVEL.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            run = spec.loader.exec_module

            def run_quietly(module: Any) -> None:
                with native_messages_off():
                    run(module)

            spec.loader.exec_module = run_quietly
        return spec
