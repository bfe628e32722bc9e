"""Folders under names that TensorFlow reads as they stand.

TensorFlow takes paths of checkpoints and SavedModels for patterns, in which `[ ] * ?` and a backslash mean something
else, and names for UTF-8. A folder whose path is not so plain is opened, and reached by the number of the open file.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator

from lsps_tf.errors import InputError

_PATTERN = frozenset("[]*?\\")
_OPEN_FILES = pathlib.Path("/proc/self/fd")


def is_plain(path: str | pathlib.Path) -> bool:
    """Whether TensorFlow takes a path as it stands."""
    text = os.fspath(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not _PATTERN & set(text)


@contextlib.contextmanager
def plain_folder(folder: str | pathlib.Path) -> Iterator[str]:
    """Gives a path to a folder that is there, for TensorFlow, as long as the block lasts.

    Raises:
        InputError: where the path is not plain and the system does not show open files as a folder.
    """
    if is_plain(folder):
        yield os.fspath(folder)
        return
    if not _OPEN_FILES.is_dir():
        raise InputError(f"{folder}: TensorFlow cannot use a path with [ ] * ? or \\ in it; choose another")
    number = os.open(folder, os.O_RDONLY)
    try:
        yield str(_OPEN_FILES / str(number))
    finally:
        os.close(number)
