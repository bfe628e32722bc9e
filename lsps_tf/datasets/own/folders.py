"""Which files under a recording's folder are a part of it: what links lead to is, what systems keep there is not."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

from lsps_tf.errors import InputError

# Trash, thumbnails and remains of Windows, macOS, Linux and network disks, in lower case. Others begin with a dot.
_OF_SYSTEMS = frozenset(
    {
        "$recycle.bin",
        "recycler",
        "recycled",
        "system volume information",
        "found.000",
        "lost+found",
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "@sharebin",
        "@tmp",
        "#recycle",
        "#snapshot",
        "network trash folder",
        "temporary items",
        "__macosx",
        "__pycache__",
    }
)
# What an import keeps beside its store, which may lie in the recording.
_BESIDE_STORES = ("hands", "parts", "backgrounds")
_OF_IMPORTS = (".shards", *(f"{store}.{name}" for store in (".h5", ".shards") for name in _BESIDE_STORES))


def beside(recording: pathlib.Path, name: str) -> pathlib.Path:
    """Where a text of a recording lies: in its folder; beside a recording that is a file, with its name before it."""
    return recording.with_name(f"{recording.stem}.{name}") if recording.is_file() else recording / name


def list_files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """The files of a recording under `folder`, by their paths in it; in no order.

    A folder that is met twice, by links, counts once, and by its own path where that is in the recording, too. A link
    to a folder that holds the recording does not count.

    Raises:
        InputError: where a link leads nowhere, or a folder cannot be read.
    """
    above = pathlib.Path(os.path.realpath(folder)).parents
    seen = {(status.st_dev, status.st_ino) for status in map(pathlib.Path.stat, above)}
    folders, links = [folder], []
    while folders or links:
        here = folders.pop() if folders else links.pop(0)
        try:
            status = here.stat()
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"{here}: cannot be read ({error.strerror}); check who may read it") from error
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = here / entry.name
            if not is_recorded(entry.name):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif entry.is_file():
                yield path
            elif entry.is_symlink():
                raise InputError(
                    f"{path}: this link leads nowhere; mount the disk that it leads to, or remove the link"
                )


def is_recorded(name: str) -> bool:
    """Whether a file or folder of this name can be a part of a recording."""
    return not (name.startswith(".") or name.lower() in _OF_SYSTEMS or name.lower().endswith(_OF_IMPORTS))
