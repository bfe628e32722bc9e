"""Imports frames into a store: in parallel, resumable, in memory that does not grow with their number.

Worker processes read and decode (see `readers`), this one finds the hands' centres and crops (`frame_sources`) and
writes block after block (`parts`), of which a store is joined in the end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

from lsps_tf.camera import Camera
from lsps_tf.datasets.frame_sources import FrameSource
from lsps_tf.datasets.public.recording import NAMED
from lsps_tf.datasets.store import stored_size
from lsps_tf.datasets.store_parts import Parts
from lsps_tf.datasets.workers import Pool
from lsps_tf.errors import InputError
from lsps_tf.files import locked

# Frames per part, a multiple of both batch sizes.
BLOCK = 256
# More read faster than one process crops and writes, and each takes its memory.
MOST_WORKERS = 4


@dataclasses.dataclass(frozen=True)
class Target:
    """The store to make.

    Attributes:
        path: of the store.
        skeleton: name of the joints' layout.
        camera: that the store names.
        image_size: pixels of the network's image.
        cube_mm: side of the crop's cube.
        source: what the store says of its making; what was skipped is added.
    """

    path: pathlib.Path
    skeleton: str
    camera: Camera
    image_size: int
    cube_mm: float
    source: dict[str, Any]


def import_store(
    target: Target,
    sources: dict[str, FrameSource],
    skip_bad: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report_bad: Callable[[str], None] = lambda text: None,
    joined: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Makes a store of all its splits' frames, or goes on where a stop left it; one that is there stays.

    Args:
        target: the store to make.
        sources: by split.
        skip_bad: leave unusable frames out, and say so in the store's source ("skipped").
        workers: processes that read; None for one per core, at most MOST_WORKERS; 0 for none but this one.
        progress: called with the frames done (from stops before, too) and the frames to do.
        report_bad: called with a line on every unusable frame, as it is met.
        joined: called with the frames that are in the final store and those that will be, in the end.

    Raises:
        InputError: where a frame is unusable and `skip_bad` is not set (all frames are tried before), a split is left
            without frames, the folder cannot be written, the disk is full, or another process makes the same store.
    """
    with locked(target.path):
        if not target.path.exists():
            _import(target, sources, skip_bad, workers, progress, report_bad, joined)


def _import(
    target: Target,
    sources: dict[str, FrameSource],
    skip_bad: bool,
    workers: int | None,
    progress: Callable[[int, int], None],
    report_bad: Callable[[str], None],
    joined: Callable[[int, int], None],
) -> None:
    digests = {split: f"{len(source)} frames, {source.digest()}" for split, source in sources.items()}
    size = stored_size(target.image_size)
    identity = {**target.source, "sources": digests}
    blocks = {split: -(-len(source) // BLOCK) for split, source in sources.items()}
    parts = Parts(target.path, target.skeleton, target.camera, size, identity)
    parts.begin()
    _make_parts(parts, sources, blocks, workers, progress, report_bad)
    skipped = _skipped(parts.unusable(blocks), sources)
    _check_skipped(target.path, skipped, sources, skip_bad)
    total = sum(len(source) for source in sources.values()) - sum(found["frames"] for found in skipped.values())
    for done in parts.join(blocks, {**identity, "skipped": skipped}):
        joined(done, total)


def _make_parts(
    parts: Parts,
    sources: dict[str, FrameSource],
    blocks: dict[str, int],
    workers: int | None,
    progress: Callable[[int, int], None],
    report_bad: Callable[[str], None],
) -> None:
    wanted = {split: [b for b in range(count) if not parts.finished(split, b)] for split, count in blocks.items()}
    total = sum(len(source) for source in sources.values())
    ranges = {
        split: {b: _ranges(b, len(sources[split]), sources[split].batch) for b in numbers}
        for split, numbers in wanted.items()
    }
    done = total - sum(len(r) for of_split in ranges.values() for of_block in of_split.values() for r in of_block)
    progress(done, total)
    if done == total:
        return
    workers = min(len(os.sched_getaffinity(0)), MOST_WORKERS) if workers is None else workers
    with Pool(workers) if workers else contextlib.nullcontext() as pool:
        for split, source in sources.items():
            batches = source.batches([r for block in ranges[split].values() for r in block], pool)
            for block, of_block in ranges[split].items():
                with parts.writing(split, block) as part:
                    for positions in of_block:
                        batch = next(batches)
                        part.append(batch.rows, batch.unusable)
                        for position, reason in batch.unusable:
                            report_bad(f"{source.name_of(position)}: {reason}")
                        done += len(positions)
                        progress(done, total)


def _skipped(unusable: dict[str, list[tuple[int, str]]], sources: dict[str, FrameSource]) -> dict[str, Any]:
    """By split how many frames are left out, and the first ones' names and reasons."""
    return {
        split: {
            "frames": len(found),
            "first": [f"{sources[split].name_of(position)}: {reason}" for position, reason in found[:NAMED]],
        }
        for split, found in unusable.items()
        if found
    }


def _check_skipped(path: pathlib.Path, skipped: dict, sources: dict[str, FrameSource], skip_bad: bool) -> None:
    for split, found in skipped.items():
        if found["frames"] == len(sources[split]):
            raise InputError(f"{path}: no frame of '{split}' is usable, for example {found['first'][0]}")
    if skipped and not skip_bad:
        count = sum(found["frames"] for found in skipped.values())
        total = sum(len(source) for source in sources.values())
        named = "; ".join(name for found in skipped.values() for name in found["first"])
        raise InputError(
            f"{path}: {count} of {total} frames cannot be used ({named}); mend these files and start again, or leave "
            "them out with --skip-bad (what is imported so far is kept)"
        )


def _ranges(block: int, count: int, batch: int) -> list[range]:
    start, end = block * BLOCK, min((block + 1) * BLOCK, count)
    return [range(first, min(first + batch, end)) for first in range(start, end, batch)]
