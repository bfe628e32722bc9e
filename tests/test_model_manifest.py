"""Hashes of models: what they are of, and that others are refused."""

import hashlib
import json
import subprocess

import pytest

from lsps_tf.errors import InputError
from lsps_tf.model_manifest import check_hash, model_hash, parse_hash, write_manifest


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "lsps/1/saved_model.pb": b"a",
        "lsps/1/variables/v": b"bc",
        "lsps/2/saved_model.pb": b"d",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "lsps.tflite").write_bytes(b"flat")
    return tmp_path


def test_hashes_are_those_of_common_programs(folder):
    assert model_hash(folder / "lsps.tflite") == hashlib.sha256(b"flat").hexdigest()
    shell = "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    printed = subprocess.run(shell, shell=True, cwd=folder / "lsps" / "1", capture_output=True, text=True).stdout
    assert model_hash(folder / "lsps" / "1") == printed.split()[0]


def test_a_manifest_names_every_model(folder):
    hashes = write_manifest(folder)
    assert list(hashes) == ["lsps/1", "lsps/2", "lsps.tflite"]
    assert hashes == {name: model_hash(folder / name) for name in hashes} and len(set(hashes.values())) == 3
    stored = json.loads((folder / "manifest.json").read_text())
    assert stored == {"format": "lsps-manifest", "version": 1, "sha256": hashes}
    # Where the folder lies is no part of it.
    moved = folder.rename(folder.with_name("moved"))
    assert write_manifest(moved) == hashes


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "saved_model.pb").write_bytes(b"b"),
        lambda path: (path / "more").write_bytes(b""),
        lambda path: (path / "variables" / "v").rename(path / "v"),
        lambda path: (path / "variables" / "v").unlink(),
    ],
)
def test_any_change_is_refused(folder, change):
    version = folder / "lsps" / "1"
    expected = model_hash(version)
    check_hash(version, ["0" * 64, expected])
    change(version)
    with pytest.raises(InputError, match=rf"1: its hash is [0-9a-f]{{64}}, not {expected}; this is another model"):
        check_hash(version, [expected])


def test_what_is_no_hash(folder):
    assert parse_hash(f" sha256:{'AB' * 32}\n") == "ab" * 32
    for text in ("", "abc", "g" * 64, "a" * 63, "md5:" + "a" * 64):
        with pytest.raises(InputError, match="--expect .*: a hash has 64 hexadecimal digits"):
            parse_hash(text)
    with pytest.raises(InputError, match="cannot be read"):
        model_hash(folder / "lsps" / "1", ["none"])
