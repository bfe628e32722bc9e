"""Keeps the chatter that libraries write straight to standard error out of sight."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def native_messages_off() -> Iterator[None]:
    """Drops what C++ code writes to standard error; what goes wrong there also raises, with the same words."""
    original, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
        os.close(nowhere)
