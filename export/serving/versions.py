"""Model folders watched: new versions are loaded beside the old ones, which go when nothing uses them any more."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from export.serving.errors import CODES, no_status, unknown_label, unknown_servable
from export.serving.metrics import Metrics
from export.serving.servable import LoadError, Servable, load_servable
from export.serving.settings import Settings
from export.serving.threads import in_thread
from lsps_tf.errors import InputError

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"
# Sizes and times of a version's files: a copy that goes on changes them.
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(eq=False)
class Version:
    """A version of a model, loaded or not.

    Attributes:
        number: its folder's name.
        path: its folder.
        fingerprint: of the files at the last look.
        state: one of TensorFlow Serving's.
        error: why it could not be loaded.
        servable: while it is loaded.
        users: requests that use it now.
    """

    number: int
    path: pathlib.Path
    fingerprint: Fingerprint
    state: str = START
    error: LoadError | None = None
    servable: Servable | None = None
    users: int = 0

    def to_json(self) -> dict[str, Any]:
        """The contract's status of a version."""
        code, message = ("OK", "") if self.error is None else (CODES[self.error.code][0], self.error.message)
        return {
            "version": str(self.number),
            "state": self.state,
            "status": {"error_code": code, "error_message": message},
        }


class Model:
    """A folder of versions. Its methods belong to one event loop."""

    def __init__(self, name: str, path: pathlib.Path, settings: Settings, metrics: Metrics):
        self.name, self.path = name, path
        self._settings, self._metrics = settings, metrics
        self.versions: dict[int, Version] = {}

    async def start(self) -> None:
        """Loads the versions that are to be served; InputError where one of them cannot be."""
        for number, path, fingerprint in self._scan():
            version = self.versions[number] = Version(number, path, fingerprint)
            await self._load(version)
            if version.error is not None:
                raise InputError(
                    f"{path}: {version.error.message}; copy or export this version again, or remove its folder"
                )

    async def update(self, say: Callable[[str], None]) -> None:
        """Loads what is new and then unloads what is too much; `say` takes a line per change.

        A version is loaded when its files stayed as they are since the last look, and one that failed is tried again
        when they changed. What is served stays until everything that is to be served is loaded.
        """
        found = await in_thread(self._scan)
        for number, path, fingerprint in found:
            version = self.versions.get(number)
            if version is None or (version.state == END and version.error is None):
                self.versions[number] = Version(number, path, fingerprint)
            elif version.state == START or version.error is not None:
                await self._try_load(version, fingerprint, say)
        wanted = {number for number, _, _ in found}
        if not wanted or any(self.versions[number].state != AVAILABLE for number in wanted):
            return
        for version in self._available():
            if version.number not in wanted:
                await self._unload(version)
                say(f"{self.name}: version {version.number} is unloaded")

    async def _try_load(self, version: Version, fingerprint: Fingerprint, say: Callable[[str], None]) -> None:
        changed = fingerprint != version.fingerprint
        version.fingerprint = fingerprint
        if changed and version.error is not None:
            version.state, version.error = START, None
        if changed or version.error is not None:
            return
        await self._load(version)
        if version.error is None:
            say(f"{self.name}: version {version.number} is served")
        else:
            say(f"{self.name}: version {version.number} cannot be loaded: {version.error.message}")

    @contextlib.contextmanager
    def use(self, number: int | None) -> Iterator[tuple[int, Servable]]:
        """A version, or the highest one, with its number; it is not unloaded within the block.

        Raises:
            ServingError: 404 where it is not served.
        """
        available = [version for version in self._available() if number in (None, version.number)]
        if not available:
            raise unknown_servable(self.name, number)
        version = available[-1]
        version.users += 1
        try:
            yield version.number, version.servable
        finally:
            version.users -= 1

    @property
    def newest(self) -> Version | None:
        """The highest version that is served, None where none is."""
        return max(self._available(), key=lambda version: version.number, default=None)

    def status(self, number: int | None) -> dict[str, Any]:
        """The contract's status of one version or of all, highest first; ServingError 404 where there is none."""
        shown = [version for key, version in sorted(self.versions.items(), reverse=True) if number in (None, key)]
        if not shown:
            raise no_status(self.name, number)
        return {"model_version_status": [version.to_json() for version in shown]}

    def version_of_label(self, label: str) -> int:
        """The version that a label stands for; ServingError 400 where the label is unknown."""
        number = self._settings.labels.get(label)
        if number is None or number not in self.versions:
            raise unknown_label(label)
        return number

    def _scan(self) -> list[tuple[int, pathlib.Path, Fingerprint]]:
        """The versions that are to be served, as they lie on the disk."""
        folders = version_folders(self.path)[-self._settings.keep_versions :]
        return [(number, path, _fingerprint(path)) for number, path in folders]

    def _available(self) -> list[Version]:
        return [version for _, version in sorted(self.versions.items()) if version.state == AVAILABLE]

    async def _load(self, version: Version) -> None:
        version.state = LOADING
        try:
            version.servable = await in_thread(load_servable, version.path, self._settings.expected)
        except LoadError as error:
            version.state, version.error = END, error
            return
        version.state, version.error = AVAILABLE, None
        self._metrics.versions.labels(self.name, version.number).set(1)

    async def _unload(self, version: Version) -> None:
        version.state = UNLOADING
        self._metrics.versions.remove(self.name, str(version.number))
        while version.users:
            await asyncio.sleep(0.02)
        version.servable = None
        version.state = END
        gc.collect()


def find_models(settings: Settings) -> dict[str, pathlib.Path]:
    """Name to folder of every model under `settings.model_dir`.

    Raises:
        InputError: where there is no folder, or nothing in it that has versions.
    """
    directory = settings.model_dir
    if not directory.is_dir():
        raise InputError(f"{directory}: there is no such folder; make one with: python export/run.py --output DIR")
    if version_folders(directory):
        return {settings.name or directory.resolve().name: directory}
    models = {path.name: path for path in sorted(directory.iterdir()) if path.is_dir() and version_folders(path)}
    if not models:
        what = (
            "is itself a version; give the folder above it"
            if (directory / "saved_model.pb").exists()
            else ("holds no model with a version; the layout is NAME/1/saved_model.pb, as export/run.py writes it")
        )
        raise InputError(f"{directory}: this folder {what}")
    if settings.name and len(models) > 1:
        raise InputError(f"{directory}: holds {len(models)} models ({', '.join(models)}); leave --name out")
    return {settings.name: next(iter(models.values()))} if settings.name else models


def version_folders(path: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
    """Number and folder of every version in a model's folder, lowest first."""
    try:
        folders = [part for part in path.iterdir() if part.name.isascii() and part.name.isdigit() and part.is_dir()]
    except OSError:
        return []
    return sorted((int(part.name), part) for part in folders)


def _fingerprint(path: pathlib.Path) -> Fingerprint:
    try:
        files = [(file, file.stat()) for file in sorted(path.rglob("*"))]
    except OSError:
        return ()
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in files)
