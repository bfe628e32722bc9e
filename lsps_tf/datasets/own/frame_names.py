"""Which frame a label means: the frame's name as it is, or as another system or another folder writes it."""

from __future__ import annotations

import pathlib
import re
import unicodedata

_DRIVE = re.compile(r"[A-Za-z]:")


class FrameNames:
    """The names of a recording's frames, to be found by what labels call them.

    A name is its path in the recording. Labels may write it with backslashes, `./`, other letter cases or composed
    letters, from the folder above, or from the root of some system. What two frames share names none of them.

    Attributes:
        names: as they are in the recording.
    """

    def __init__(self, folder: pathlib.Path, names: list[str]):
        self.names = names
        self._folder = _key(folder.resolve().name)
        self._exact = set(names)
        self._by_key: dict[tuple[str, ...], str | None] = {}
        for name in names:
            key = tuple(map(_key, name.split("/")))
            self._by_key[key] = None if key in self._by_key else name

    def find(self, said: str) -> str | None:
        """The frame's name; None where there is none of that name, or there are two."""
        if said in self._exact:
            return said
        parts = tuple(_key(part) for part in re.split(r"[\\/]+", said) if part not in ("", "."))
        from_root = said.startswith(("/", "\\")) or _DRIVE.match(said)
        last = len(parts) if from_root else 2 if parts[:1] == (self._folder,) else 1
        found = (self._by_key[parts[start:]] for start in range(last) if parts[start:] in self._by_key)
        return next(found, None)


def _key(part: str) -> str:
    return unicodedata.normalize("NFC", part).casefold()
