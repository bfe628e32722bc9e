"""The page's arithmetic, run by node, against Python's: the space of codes, and GIFs as Pillow reads them."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from export.explorer.pages import PAGE

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


@pytest.fixture
def space():
    random = np.random.default_rng(0)
    directions, _ = np.linalg.qr(random.standard_normal((5, 5)))
    distances = np.linspace(0.5, 6, 101)
    stddevs = np.array([3.0, 2.0, 1.0, 0.5, 0.1])
    return {"mean": random.standard_normal(5), "directions": directions, "stddevs": stddevs, "distances": distances}


def plain(space):
    return {**{name: values.tolist() for name, values in space.items()}, "names": list("abcde")}


def test_codes_and_coordinates(space):
    coordinates = np.array([0.3, -1.0, 2.0, 0.0, 1.5])
    script = importing("CodeSpace", "model.js") + (
        "const space = new CodeSpace(given.space); const code = space.code(given.coordinates);\n"
        "const far = [0, 1.5, 4, 90].map((distance) => space.typicality([distance, 0, 0, 0, 0]));\n"
        "console.log(JSON.stringify({ code, back: space.coordinates(code), far }));"
    )
    found = json.loads(run(script, {"space": plain(space), "coordinates": coordinates.tolist()}))
    expected = space["mean"] + (coordinates * space["stddevs"]) @ space["directions"]
    np.testing.assert_allclose(found["code"], expected, atol=1e-9)
    np.testing.assert_allclose(found["back"], coordinates, atol=1e-9)
    shares = [(space["distances"] >= distance).mean() for distance in (0, 1.5, 4, 90)]
    np.testing.assert_allclose(found["far"], shares, atol=0.011)


def test_random_codes_are_normal_and_follow_seed_and_truncation(space):
    script = importing("CodeSpace", "model.js") + (
        "const space = new CodeSpace(given);\n"
        "const draw = (factor) => [...Array(2000).keys()].map((seed) => space.random(seed, factor));\n"
        "console.log(JSON.stringify([draw(1), draw(0.5)]));"
    )
    whole, half = (np.array(part) for part in json.loads(run(script, plain(space))))
    np.testing.assert_allclose(half, 0.5 * whole)
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(whole.std(axis=0), 1, atol=0.1)


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
