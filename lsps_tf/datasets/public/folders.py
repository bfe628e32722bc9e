"""Finding a public dataset's folder, and what to say where there is none."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from lsps_tf.errors import InputError

ENVIRONMENT = "LSPS_DATA"


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataset's folder is recognised and described.

    Attributes:
        name: of the dataset and of its folder.
        marks: entries of which at least one is in the folder.
        inside: sub-folders that the dataset may lie in as it is unpacked.
        description: what the folder has to hold, in words.
        source: where the dataset is to be had, in words.
    """

    name: str
    marks: tuple[str, ...]
    inside: tuple[str, ...]
    description: str
    source: str


def find_folder(layout: Layout, root: str | pathlib.Path | None = None) -> pathlib.Path:
    """The dataset's folder.

    Args:
        layout: what to look for.
        root: the folder that holds it or is it; None to look in data/NAME and $LSPS_DATA/NAME.

    Raises:
        InputError: where there is none; it says where the dataset is to be had and how its folder must look.
    """
    if root is not None:
        roots = [pathlib.Path(root), pathlib.Path(root) / layout.name]
    else:
        shared = os.environ.get(ENVIRONMENT)
        roots = [pathlib.Path(part) / layout.name for part in ("data", shared) if part]
    for folder in (folder for start in roots for folder in (start, *(start / part for part in layout.inside))):
        if any((folder / mark).exists() for mark in layout.marks):
            return folder
    unset = "" if root is not None or os.environ.get(ENVIRONMENT) else f" (${ENVIRONMENT} is not set)"
    raise InputError(
        f"{' and '.join(str(start) for start in roots)}: the {layout.name} dataset is not there{unset}; get it from "
        f"{layout.source}, so that the folder holds {layout.description}, and name the folder with --data-root"
    )
