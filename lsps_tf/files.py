"""Writing files so that a final name never holds half a file."""

from __future__ import annotations

import contextlib
import errno
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from lsps_tf.errors import InputError

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG)


@contextlib.contextmanager
def atomic_path(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write a file or a folder to; it takes the final name when the block ends well.

    A folder takes the place of an older one of that name; a file never takes the place of a folder.

    Raises:
        InputError: where the disk is full or the path cannot be written; what was written so far is removed.
    """
    path = pathlib.Path(path)
    if path.name in ("", ".."):
        raise InputError(f"{path}: this is a folder; give the name of a file")
    partial = path.with_name(f".{path.name}.partial")
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
        try:
            yield partial
            if path.is_dir():
                if not partial.is_dir():
                    raise InputError(f"{path}: this is a folder; give the name of a file")
                _remove(path)
            partial.replace(path)
        except BaseException:
            _remove(partial)
            raise


def write_json(path: str | pathlib.Path, values: Any) -> None:
    """Writes JSON under `path` in one step."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _disk_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError(f"{path}: the disk is full; free some space and start the same command again") from error
        if error.errno in _UNWRITABLE:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
        raise


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
