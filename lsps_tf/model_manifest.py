"""What a model is, as a hash that one can insist on, and the manifest of the models that an export wrote.

The hash of a file is the SHA-256 of its bytes, as `sha256sum` prints it. The hash of a folder is the SHA-256 of one
line per file, in the order of their paths: the file's hash, two blanks, and the path from the folder on. So it is that
of `find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` in the folder, wherever that lies.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable

from lsps_tf.errors import InputError
from lsps_tf.files import write_json
from lsps_tf.model_info import MODEL_NAME

MANIFEST_NAME = "manifest.json"
FORMAT, VERSION = "lsps-manifest", 1
_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


def parse_hash(text: str) -> str:
    """64 hexadecimal digits, lower case, of a text that may begin with "sha256:"; InputError where it is another."""
    found = _HASH.fullmatch(text.strip())
    if found is None:
        raise InputError(f"--expect {text}: a hash has 64 hexadecimal digits, as export/run.py writes {MANIFEST_NAME}")
    return found[1].lower()


def model_hash(path: str | pathlib.Path, files: Iterable[str] | None = None) -> str:
    """The hash of a model.

    Args:
        path: of a file, or of a folder.
        files: paths from the folder on, where it holds more than the model; None takes all.

    Raises:
        InputError: where it cannot be read.
    """
    path = pathlib.Path(path)
    try:
        if path.is_file():
            return _file_hash(path)
        if files is None:
            files = [part.relative_to(path).as_posix() for part in path.rglob("*") if part.is_file()]
        digest = hashlib.sha256()
        for name in sorted(files, key=os.fsencode):
            digest.update(f"{_file_hash(path / name)}  ".encode() + os.fsencode(name) + b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    return digest.hexdigest()


def check_hash(path: str | pathlib.Path, expected: Iterable[str], files: Iterable[str] | None = None) -> None:
    """Raises InputError where a model's hash is none of those expected."""
    expected = tuple(expected)
    found = model_hash(path, files)
    if found not in expected:
        others = f" (nor {len(expected) - 1} others)" if len(expected) > 1 else ""
        raise InputError(
            f"{path}: its hash is {found}, not {expected[0]}{others}; this is another model than --expect asks for, or "
            "it was changed"
        )


def write_manifest(folder: str | pathlib.Path) -> dict[str, str]:
    """Writes `manifest.json` of the models that lie in an export's folder.

    Returns:
        The hash of each model by its path from the folder on: versions of the SavedModel, and TFLite files.
    """
    folder = pathlib.Path(folder)
    versions = [path for path in (folder / MODEL_NAME).glob("*") if path.name.isdigit() and path.is_dir()]
    models = [*sorted(versions, key=lambda path: int(path.name)), *sorted(folder.glob("*.tflite"))]
    hashes = {path.relative_to(folder).as_posix(): model_hash(path) for path in models}
    write_json(folder / MANIFEST_NAME, {"format": FORMAT, "version": VERSION, "sha256": hashes})
    return hashes


def _file_hash(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
