"""What every command of the project does alike: a quiet TensorFlow, one line for a user's mistake, exit codes."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

USAGE_ERROR = 2
INTERRUPTED = 130


def run_command(main: Callable[[], int]) -> NoReturn:
    """Runs `main` and exits with what it returns.

    Bad input (`lsps_tf.errors.InputError`) and a full disk give one line on standard error and exit code 2, Ctrl-C 130.
    `main` must import TensorFlow itself, so that the start-up chatter is off by then.
    """
    quiet_tensorflow()
    sys.exit(exit_status(main))


def exit_status(main: Callable[[], int]) -> int:
    """The exit status of `main`, its errors said as `run_command` says them."""
    from lsps_tf.errors import InputError

    try:
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
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"error: the disk is full ({error.filename}); free some space and start again", file=sys.stderr)
        return USAGE_ERROR
    finally:
        # A pipeline whose iterator is still alive when Python ends would wait for Python, and Python for it.
        gc.collect()


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up messages out of the commands' output; call before the first import of it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
