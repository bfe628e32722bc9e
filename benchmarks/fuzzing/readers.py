"""Every reader of files that come from elsewhere, by its name: good files to damage, and what must hold when read."""

from __future__ import annotations

from benchmarks.fuzzing import cameras, labels, pictures, recordings, stores
from benchmarks.fuzzing.reader import Reader

READERS: dict[str, Reader] = {
    name: reader for part in (pictures, cameras, labels, stores, recordings) for name, reader in part.READERS.items()
}
