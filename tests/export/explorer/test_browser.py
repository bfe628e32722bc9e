"""The explorer's page in headless Chromium, from the server to the pixels.

By default on this project's server with a tiny model; with EXPLORER_URL on a server that runs already.
"""

import json
import os
import pathlib
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from export.explorer.pages import PAGE
from tests.export.explorer.browser import Browser, find_browser

ROOT = pathlib.Path(__file__).resolve().parents[3]
AXE = PAGE.parent / "node_modules" / "axe-core" / "axe.min.js"
FRAME = ROOT / "docs" / "example" / "structured-light.png"
# The skeleton's canvas can be read only where it was just drawn.
PICTURES = (
    "(explorer.view.render(), " "['synthetic', 'real', 'pose'].map((id) => document.getElementById(id).toDataURL()))"
)
DRAWN = "Number(document.body.dataset.drawn)"
MESSAGE = "document.getElementById('message')"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def address(request):
    if os.environ.get("EXPLORER_URL"):
        yield os.environ["EXPLORER_URL"]
        return
    from export.saved_model.signatures import export_saved_model
    from export.serving.settings import Settings
    from lsps_tf.run_folder import load_run
    from tests.export.serving.asker import running

    folder = request.getfixturevalue("tmp_path_factory").mktemp("model")
    export_saved_model(load_run(request.getfixturevalue("run_dir")), folder, explore=True)
    with running(Settings(folder / "lsps", port=0, explore=True)) as (asker, _):
        yield f"{asker.url}/explore/"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(find_browser(), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser, address):
    """The page, freshly loaded; it must complain about nothing, and ask nobody else."""
    browser.errors.clear()
    browser.requested.clear()
    browser.open(address)
    assert browser.run(f"{MESSAGE}.hidden"), browser.run(f"{MESSAGE}.textContent")
    yield browser
    assert browser.errors == []
    host = urllib.parse.urlsplit(address).netloc
    asked = [urllib.parse.urlsplit(url) for url in browser.requested]
    assert {url.netloc for url in asked if url.scheme.startswith("http")} == {host}


def settled(page):
    """The pictures, once the frame after the last hand is painted."""
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.run(PICTURES)


def test_a_slider_changes_both_images_and_the_skeleton(page):
    before, drawn = settled(page), page.run(DRAWN)
    page.change("directions-0", "3")
    page.wait(f"{DRAWN} > {drawn}")
    assert all(one != other for one, other in zip(before, settled(page)))
    assert page.run("document.querySelector('#directions-0 + output').textContent") == "3.0"
    assert "simulated hand" in page.run("document.getElementById('typicality-text').textContent")


def test_a_slider_moves_no_other_number_of_the_code(page):
    # Beyond what a slider can show, and between two of its steps.
    page.run("explorer.setCoordinates(explorer.coordinates.map((value, k) => (k === 1 ? 9.5 : 0.0123)))")
    drawn = page.run(DRAWN)
    page.change("directions-0", "-1")
    page.wait(f"{DRAWN} > {drawn}")
    assert page.run("explorer.coordinates.slice(0, 3)") == [-1, 9.5, 0.0123]
    assert page.run("document.querySelector('#directions-1 + output').textContent") == "9.5"


def test_a_link_restores_the_hand(page, address):
    page.change("seed", "5")
    drawn = page.run(DRAWN)
    page.click("random")
    page.wait(f"{DRAWN} > {drawn}")
    link, coordinates = page.run("location.href"), page.run("explorer.coordinates")
    page.open(address)
    start = page.run("explorer.space.coordinates(explorer.space.start)")
    assert page.run("explorer.coordinates") == start
    page.open(link)
    again = page.run("explorer.coordinates")
    assert max(abs(one - other) for one, other in zip(again, coordinates)) < 1e-3
    assert page.run("document.getElementById('seed').value") == "6"
    drawn = page.run(DRAWN)
    page.click("reset")
    page.wait(f"{DRAWN} > {drawn}")
    assert page.run("explorer.coordinates") == start


def test_a_joint_angle_changes_the_code(page):
    before = page.run("explorer.coordinates")
    page.change("angles-3", "60")
    page.wait(f"explorer.coordinates.some((value, k) => Math.abs(value - {json.dumps(before)}[k]) > 1e-3)")


def test_frames_are_predicted_and_two_make_a_walk(page):
    page.choose_files("file", FRAME)
    page.wait("!document.getElementById('frame').hidden")
    page.wait("explorer.walk.stops.length === 1")
    assert "hand" in page.run("document.getElementById('status').textContent")
    page.run("explorer.setCoordinates(explorer.coordinates.map((value) => value + 1))")
    page.click("add")
    page.wait("explorer.walk.steps.length > 2")
    drawn = page.run(DRAWN)
    page.change("place", "12")
    page.wait(f"{DRAWN} > {drawn}")
    page.click("play")
    page.wait(f"{DRAWN} > {drawn + 3}")
    assert page.run("document.getElementById('play').textContent") == "Pause"
    page.click("play")
    saved = page.run(
        "new Promise((done) => { const make = URL.createObjectURL; URL.createObjectURL = (blob) => {"
        "URL.createObjectURL = make; blob.arrayBuffer().then((bytes) => done([blob.type,"
        "String.fromCharCode(...new Uint8Array(bytes).slice(0, 6))])); return make(blob); };"
        "document.getElementById('save-gif').click(); })"
    )
    assert saved == ["image/gif", "GIF89a"]


def test_files_that_are_no_frames_get_a_message(page, tmp_path):
    broken, text = tmp_path / "broken.png", tmp_path / "notes.png"
    broken.write_bytes(FRAME.read_bytes()[:900])
    text.write_text("no picture")
    page.choose_files("file", text)
    page.wait(f"!{MESSAGE}.hidden")
    assert "notes.png is no PNG" in page.run(f"{MESSAGE}.textContent")
    page.choose_files("file", broken)
    page.wait(f"{MESSAGE}.textContent.startsWith('broken.png: ')")
    # The server's refusal is a complaint of the browser's, too.
    assert all("400" in error for error in page.errors)
    page.errors.clear()


def test_a_frame_without_a_hand_gets_a_message(page, tmp_path):
    path = tmp_path / "wall.png"
    Image.fromarray(np.full((480, 640), 4000, np.uint16)).save(path)
    page.choose_files("file", path)
    page.wait(f"!{MESSAGE}.hidden")
    assert "wall.png: no hand was found" in page.run(f"{MESSAGE}.textContent")
    assert page.run("document.getElementById('frame').hidden")


def test_a_camera_without_meaning_gets_a_message(page):
    page.change("intrinsics", "1, 2, three")
    page.choose_files("file", FRAME)
    page.wait(f"!{MESSAGE}.hidden")
    assert "four numbers" in page.run(f"{MESSAGE}.textContent")


def test_the_skeleton_turns_by_keys(page):
    before = page.run("explorer.view.turn[0]")
    page.run("document.getElementById('pose').focus()")
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight")
    page.wait(f"explorer.view.turn[0] > {before}")
    assert f"v={page.run('Number(explorer.view.turn[0].toFixed(3))'):g}" in page.run("location.hash")


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there (scripts/explorer.sh brings it)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing_serious(page, scheme):
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.run("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    page.run(AXE.read_text(encoding="utf-8") + "; 0")
    found = json.loads(page.run("axe.run().then((result) => JSON.stringify(result.violations))"))
    serious = [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")]
    assert serious == []


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    try:
        assert page.run("document.documentElement.scrollWidth") <= width
    finally:
        page.send("Emulation.clearDeviceMetricsOverride")
