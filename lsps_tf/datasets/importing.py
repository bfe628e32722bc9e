"""Imports frames into a store: in parallel, resumable, in memory that does not grow with their number.

Jobs read, find the hands' centres and crop (`frame_sources`). This process writes block after block (`store_parts`),
of which the store is made in the end.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from lsps_tf.camera import Camera
from lsps_tf.datasets.frame_sources import FrameSource
from lsps_tf.datasets.public.recording import NAMED
from lsps_tf.datasets.store import is_store, stored_size
from lsps_tf.datasets.store_parts import Parts, info_of
from lsps_tf.errors import InputError
from lsps_tf.files import locked
from lsps_tf.jobs import HERE, Workers

# To read so many frames takes longer than a process takes to start.
_WORTH_A_PROCESS = 1000
Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """A progress that nobody looks at."""


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
        shard_frames: frames of a shard; None for a store in one file.
    """

    path: pathlib.Path
    skeleton: str
    camera: Camera
    image_size: int
    cube_mm: float
    source: dict[str, Any]
    shard_frames: int | None = None


def import_store(
    target: Target,
    sources: dict[str, FrameSource],
    skip_bad: bool = False,
    workers: Workers = HERE,
    progress: Progress = _silent,
    report_bad: Callable[[str], None] = lambda text: None,
    joined: Progress = _silent,
) -> None:
    """Makes a store of all its splits' frames, or goes on where a stop left it; one that is there stays.

    Args:
        target: the store to make.
        sources: by split.
        skip_bad: leave unusable frames out, and say so in the store's source ("skipped").
        workers: who reads and crops.
        progress: called with the frames done (from stops before, too) and the frames to do.
        report_bad: called with a line on every unusable frame, as it is met.
        joined: called with the frames that are in the final store and those that will be, in the end.

    Raises:
        InputError: where a frame is unusable and `skip_bad` is not set (all frames are tried before), a split is left
            without frames, the folder cannot be written, the disk is full, or another process makes the same store.
    """
    with locked(target.path):
        if is_store(target.path):
            return
        digests = {split: f"{len(source)} frames, {source.digest()}" for split, source in sources.items()}
        identity = {**target.source, "sources": digests}
        info = info_of(target.skeleton, target.camera, stored_size(target.image_size), identity)
        parts = Parts(target.path, info, target.shard_frames)
        make_parts(parts, sources, workers, progress, report_bad)
        blocks = {split: parts.blocks(len(source)) for split, source in sources.items()}
        skipped = _skipped(parts.unusable(blocks), sources)
        _check_skipped(target.path, skipped, sources, skip_bad)
        total = sum(len(source) for source in sources.values()) - sum(found["frames"] for found in skipped.values())
        for done in parts.finish(blocks, {**identity, "skipped": skipped}):
            joined(done, total)


def make_parts(
    parts: Parts,
    sources: dict[str, FrameSource],
    workers: Workers,
    progress: Progress = _silent,
    report_bad: Callable[[str], None] = lambda text: None,
) -> None:
    """Makes the parts that are not there yet; arguments as of `import_store`."""
    parts.begin()
    total = sum(len(source) for source in sources.values())
    missing = [(split, block, _ranges(parts, source, block)) for split, source, block in _unfinished(parts, sources)]
    done = total - sum(len(positions) for _, _, ranges in missing for positions in ranges)
    progress(done, total)
    jobs = (sources[split].job(positions) for split, _, ranges in missing for positions in ranges)
    with workers.engine((total - done) // _WORTH_A_PROCESS) as engine:
        batches = engine.run(jobs)
        for split, block, ranges in missing:
            with parts.writing(split, block) as part:
                for positions in ranges:
                    batch = next(batches)
                    part.append(batch.rows, batch.unusable)
                    for position, reason in batch.unusable:
                        report_bad(f"{sources[split].name_of(position)}: {reason}")
                    done += len(positions)
                    progress(done, total)


def _unfinished(parts: Parts, sources: dict[str, FrameSource]) -> list[tuple[str, FrameSource, int]]:
    return [
        (split, source, block)
        for split, source in sources.items()
        for block in range(parts.blocks(len(source)))
        if not parts.finished(split, block, min(parts.block, len(source) - block * parts.block))
    ]


def _ranges(parts: Parts, source: FrameSource, block: int) -> list[range]:
    """The positions of a block, by jobs; none reaches over a multiple of the source's batch."""
    start, end = block * parts.block, min((block + 1) * parts.block, len(source))
    edges = [start, *range((start // source.batch + 1) * source.batch, end, source.batch), end]
    return [range(first, last) for first, last in zip(edges, edges[1:])]


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
