"""Files that a final name never holds half of, that one process makes at a time, and text as editors leave it."""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from lsps_tf.errors import InputError

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG)
# What a file system says that has no locks, as some network disks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
# The longest mark comes first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Locks that this process holds, by path. What is made within a lock may lock the same path again.
_held: set[pathlib.Path] = set()


@contextlib.contextmanager
def atomic_path(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write a file or a folder to; it takes the final name when the block ends well.

    A folder takes the place of an older one of that name; a file never takes the place of a folder. A second process
    that writes the same path waits.

    Raises:
        InputError: where the disk is full or the path cannot be written; what was written so far is removed.
    """
    path = pathlib.Path(path)
    if path.name in ("", ".."):
        raise InputError(f"{path}: this is a folder; give the name of a file")
    partial = path.with_name(f".{path.name}.partial")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, wait=lambda text: None):
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


@contextlib.contextmanager
def locked(path: str | pathlib.Path, wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keeps what is made at `path` to this process until the block ends.

    The lock is the system's (flock) on a hidden file beside `path`, so it goes with its owner, however that ends. Where
    the disk has no locks, a file in the folder for temporary files stands in, which the machine's own processes see.
    Where the folder cannot be written there is nothing to keep: whoever makes something there is told so by the system.

    Args:
        path: what is to be made; it need not be there.
        wait: called once, with a line that says who is waited for. None does not wait.

    Raises:
        InputError: without `wait`, where another process makes it.
    """
    path = pathlib.Path(os.path.realpath(pathlib.Path(path).parent), pathlib.Path(path).name)
    if path in _held:
        yield
        return
    is_new = not path.parent.exists()
    file = _open_locked(path, wait)
    if file is None:
        yield
        return
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)
        # Before it is let go: who waits for this file finds that it is gone, and makes a new one.
        with contextlib.suppress(OSError):
            if _is_same(file, pathlib.Path(file.name)):
                pathlib.Path(file.name).unlink()
        file.close()
        if is_new:
            # Nothing came of it where it is empty.
            with contextlib.suppress(OSError):
                path.parent.rmdir()


def _open_locked(path: pathlib.Path, wait: Callable[[str], None] | None) -> TextIO | None:
    """The open file that holds the lock; None where the folder cannot be written, or nothing can be locked."""
    name = f"lsps-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.lock"
    for lock_path in (path.with_name(f".{path.name}.lock"), pathlib.Path(tempfile.gettempdir(), name)):
        try:
            return _lock(lock_path, path, wait)
        except OSError as error:
            if error.errno in _UNWRITABLE or error.errno == errno.ENOSPC:
                return None
            if error.errno not in _NO_LOCKS:
                raise
            with contextlib.suppress(OSError):
                lock_path.unlink()
    return None


def _lock(lock_path: pathlib.Path, path: pathlib.Path, wait: Callable[[str], None] | None) -> TextIO:
    while True:
        try:
            lock_path.parent.mkdir(parents=True, exist_ok=True)
            file = _open_lock(lock_path)
        except FileNotFoundError:
            # Another process, of whose work nothing came, has just removed the folder.
            continue
        try:
            _acquire(file, path, wait)
        except BaseException:
            file.close()
            raise
        # Its last owner deletes a lock; who waited for that one needs the next.
        if _is_same(file, lock_path):
            _sign(file)
            return file
        file.close()


def _open_lock(path: pathlib.Path) -> TextIO:
    try:
        return path.open("a+", encoding="utf-8")
    except PermissionError:
        # Another user's; to read is enough to wait for it.
        return path.open(encoding="utf-8")


def _sign(file: TextIO) -> None:
    """Says in a lock whose it is."""
    with contextlib.suppress(OSError):
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()


def _acquire(file: TextIO, path: pathlib.Path, wait: Callable[[str], None] | None) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read(200).strip() or "another process"
        if wait is None:
            raise InputError(f"{path}: {owner} is making this at the moment; wait for it") from None
        wait(f"{path}: {owner} is making this at the moment; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_same(file: TextIO, path: pathlib.Path) -> bool:
    """Whether the open file still has its name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def write_json(path: str | pathlib.Path, values: Any) -> None:
    """Writes JSON under `path` in one step."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def open_text(path: str | pathlib.Path) -> TextIO:
    """Opens a text file that someone may have edited: UTF-8, or what a byte order mark says, any line ends.

    Bytes that are no UTF-8 become surrogates, as in the names of files, so that a name in a text is that on the disk.
    """
    path = pathlib.Path(path)
    with path.open("rb") as file:
        start = file.read(4)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    return path.open(encoding=encoding, errors=errors)


def read_text(path: str | pathlib.Path) -> str:
    """The text of such a file, with "\\n" as line ends.

    Raises:
        OSError: where it cannot be read.
        UnicodeDecodeError: where it is damaged.
    """
    with open_text(path) as file:
        # Some editors end a text with Ctrl-Z.
        return file.read().rstrip("\x1a\x00")


def parse_json(text: str | bytes) -> Any:
    """The values of a JSON text; ValueError where it is damaged, or nested deeper than Python reads."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists and objects are nested too deep") from None


def printable(name: str) -> str:
    """A file's name as pictures can show it: bytes that are no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def check_writable(folder: str | pathlib.Path, way_out: str) -> None:
    """Raises InputError, which ends with `way_out`, where no file can be made in a folder, or in what will hold it."""
    folder = pathlib.Path(folder).absolute()
    there = next(part for part in (folder, *folder.parents) if part.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return
    reason = "it cannot be written" if there.is_dir() else f"{there} is a file"
    raise InputError(f"{folder}: {reason}; {way_out}")


@contextlib.contextmanager
def disk_errors(path: str | pathlib.Path) -> Iterator[None]:
    """Turns a full disk, or a place that cannot be written, into InputError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError(f"{path}: the disk is full; free some space and start the same command again") from error
        if error.errno in _UNWRITABLE:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
        raise


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
