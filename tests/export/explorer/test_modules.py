"""The page's arithmetic, run by node, against Python's: the space of codes, and GIFs as Pillow reads them."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from export.explorer.pages import PAGE
from lsps_tf.pose_codes import fit_codes

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed (Debian: apt-get install nodejs)")


def run(script, given=None):
    """What a module script writes, bytes; it finds `given` in the variable of this name."""
    source = f"const given = {json.dumps(given)};\n{script}"
    options = ["--input-type=module", "--experimental-default-type=module", "-"]
    done = subprocess.run([NODE, *options], cwd=PAGE, input=source.encode(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def importing(name, module):
    return f"const {{ {name} }} = await import({json.dumps((PAGE / module).as_uri())});\n"


@pytest.fixture(scope="module")
def space():
    codes = np.random.default_rng(0).standard_normal((80, 5)) * [3.0, 2.0, 1.0, 0.5, 0.1]
    return fit_codes(codes, {"curl": codes[:, 0]})


def test_codes_and_coordinates(space):
    coordinates = np.array([0.3, -1.0, 2.0, 0.0, 1.5])
    script = importing("CodeSpace", "model.js") + (
        "const space = new CodeSpace(given.space); const code = space.code(given.coordinates);\n"
        "console.log(JSON.stringify({ code, back: space.coordinates(code) }));"
    )
    found = json.loads(run(script, {"space": space.to_dict(), "coordinates": coordinates.tolist()}))
    np.testing.assert_allclose(found["code"], space.codes(coordinates[None])[0], atol=1e-5)
    np.testing.assert_allclose(found["back"], coordinates, atol=1e-5)


def test_typicality_and_the_way_from_code_to_code(space):
    codes = space.known[:6] + np.array([0.0, 0.1, 0.3, 1.0, 3.0, 9.0])[:, None]
    script = importing("CodeSpace, evenly", "model.js") + (
        "const space = new CodeSpace(given.space); const way = space.path(given.codes[0], given.codes[3]);\n"
        "const shares = given.codes.map((code) => space.typicality(code));\n"
        "console.log(JSON.stringify({ way, steps: evenly(way, 9), shares }));"
    )
    found = json.loads(run(script, {"space": space.to_dict(), "codes": codes.tolist()}))
    np.testing.assert_allclose(found["shares"], space.typicality(codes), atol=0.03)
    way = np.array(found["way"])
    np.testing.assert_allclose(way, space.path(codes[0], codes[3]), atol=1e-3)
    lengths = np.linalg.norm(np.diff(way, axis=0), axis=1)
    places = np.interp(np.linspace(0, lengths.sum(), 9), np.concatenate([[0], np.cumsum(lengths)]), range(len(way)))
    expected = [way[int(at)] + at % 1 * (way[min(int(at) + 1, len(way) - 1)] - way[int(at)]) for at in places]
    np.testing.assert_allclose(found["steps"], expected, atol=1e-6)


def test_random_codes_lie_beside_known_ones_and_follow_seed_and_truncation(space):
    script = importing("CodeSpace", "model.js") + (
        "const space = new CodeSpace(given);\n"
        "const draw = (factor) => [...Array(2000).keys()].map((seed) => space.random(seed, factor));\n"
        "console.log(JSON.stringify([draw(0), draw(0.5), draw(1)]));"
    )
    known, half, whole = (np.array(part) for part in json.loads(run(script, space.to_dict())))
    assert len({tuple(code) for code in known}) == len(space.known)
    np.testing.assert_allclose(half - known, 0.5 * (whole - known), atol=1e-6)
    # As Python draws them.
    drawn = space.sample(2000, 0) - space.sample(2000, 0, truncation=0.0)
    np.testing.assert_allclose((whole - known).std(axis=0), drawn.std(axis=0), rtol=0.2)


@pytest.mark.parametrize("size", [(4, 3), (150, 90)])
def test_a_gif_is_read_as_it_was_written(size):
    width, height = size
    frames = np.random.default_rng(0).integers(0, 256, (3, height, width))
    # One that compresses well, too.
    frames[1] = 7
    script = importing("grayGif", "gif.js") + (
        "const gif = grayGif(given.width, given.height, given.frames, 8);\n"
        "process.stdout.write(new Uint8Array(await gif.arrayBuffer()));"
    )
    flat = [frame.ravel().tolist() for frame in frames]
    content = run(script, {"width": width, "height": height, "frames": flat})
    with Image.open(io.BytesIO(content)) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"], gif.info["duration"]) == (3, size, 0, 80)
        for number, frame in enumerate(frames):
            gif.seek(number)
            np.testing.assert_array_equal(np.asarray(gif.convert("L")), frame)


def test_numbers_that_are_not_finite_come_as_null():
    answer = '{"predictions": [{"a": [NaN, -Infinity, 1.5], "b": NaN, "hand": "no NaN here"}]}'
    script = importing("Server", "server.js") + (
        "globalThis.fetch = async () => ({ ok: true, text: async () => given });\n"
        "console.log(JSON.stringify(await new Server('m').predict('s', [])));"
    )
    row = json.loads(run(script, answer))[0]
    assert row["a"] == [None, None, 1.5] and row["b"] is None and row["hand"] == "no NaN here"
