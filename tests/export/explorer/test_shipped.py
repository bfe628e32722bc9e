"""The page on the real server, with the run that comes with the program."""

import pytest

from benchmarks.explorer import served
from export.exporting import export_command
from lsps_tf.run_folder import GENERATING
from tests.export.explorer.browser import Browser, find_browser
from tests.export.explorer.test_browser import DRAWN, FRAME, PICTURES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium (Debian: apt-get install chromium)"),
]
# Pixels of a depth picture that show a hand, out of 64 x 64.
SEEN = """['synthetic', 'real'].map((id) => {
  const canvas = document.getElementById(id);
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.filter((value, place) => place % 4 === 0 && value > 60).length;
})"""


def test_hands_are_drawn_and_a_frame_is_predicted(tmp_path):
    arguments = ["--run-dir", GENERATING, "--output", tmp_path, "--explore", "--variants", "float32"]
    assert export_command([str(argument) for argument in arguments]) == 0
    with served(tmp_path / "lsps") as (address, _):
        browser = Browser(find_browser(), tmp_path / "profile")
        try:
            browser.open(address)
            assert all(150 < seen < 2000 for seen in browser.run(SEEN))
            # An open hand of the simulator is one of its hands.
            assert browser.run("document.getElementById('typicality').value") > 0
            before, drawn = browser.run(PICTURES), browser.run(DRAWN)
            browser.change("directions-0", "2")
            browser.wait(f"{DRAWN} > {drawn}")
            assert all(one != other for one, other in zip(before[:2], browser.run(PICTURES)))
            browser.choose_files("file", FRAME)
            browser.wait("explorer.walk.stops.length === 1")
            assert "a right hand" in browser.run("document.getElementById('status').textContent")
            assert browser.errors == []
        finally:
            browser.close()
