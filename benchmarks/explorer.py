"""How quick the explorer's page is, in headless Chromium on this machine: first draw, size, slider to picture, turning.

    python benchmarks/explorer.py --model-dir runs/hands/lsps --screenshots shots --json explorer.json

It starts `export/serve.py --explore` and needs Chromium (Debian: apt-get install chromium). Server and browser share
the processors with all else that runs. So the load is said, and beside the time the processor time of both, which a
busy machine hardly changes. The goals of the page stand beside the figures. The exit status is 1 where one is missed.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from tabulate import tabulate

from lsps_tf.commandline.command import run_command
from lsps_tf.commandline.parser import Parser
from lsps_tf.errors import InputError
from lsps_tf.files import write_json
from tests.export.explorer.browser import Browser, find_browser

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Notes when the first hand is on the screen: the frame after it was drawn.
NOTE_FIRST_DRAW = """
new MutationObserver((_, observer) => {
  if (!document.body?.dataset.drawn) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame((now) => (window.firstDraw = now)));
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["data-drawn"]});
"""
# The ms from a slider's input to the frame after its hand was drawn, for each of REPEATS moves of the first sliders.
MOVE_SLIDERS = """
(async () => {
  const waits = [];
  for (let move = 0; move < REPEATS; move++) {
    const slider = document.getElementById(`directions-${move % 4}`);
    slider.value = ((move * 37) % 60) / 20 - 1.5;
    const drawn = document.body.dataset.drawn;
    const start = performance.now();
    const shown = new Promise((done) => new MutationObserver((_, observer) => {
      if (document.body.dataset.drawn === drawn) return;
      observer.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(done));
    }).observe(document.body, {attributes: true}));
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    await shown;
    waits.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 50));
  }
  return waits;
})()
"""
# The ms between frames while the skeleton turns, for SECONDS.
TURN = """
new Promise((done) => {
  const times = [];
  const turn = (now) => {
    times.push(now);
    explorer.view.setTurn([0.02 * times.length, 0.2]);
    if (now - times[0] < 1000 * SECONDS) requestAnimationFrame(turn);
    else done(times.slice(1).map((time, k) => time - times[k]));
  };
  requestAnimationFrame(turn);
})
"""
BYTES = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, entry) => sum + entry.transferSize, 0)
"""
GOALS = {"first_draw_s": 2.0, "megabytes": 2.0, "slider_ms": 150.0, "frames_per_second": 30.0}
SCREENS = {"laptop": (1280, 900, 1), "phone": (390, 844, 2)}


def main() -> int:
    given = build_parser().parse_args(sys.argv[1:])
    program = find_browser()
    if program is None:
        raise InputError("there is no Chromium on this machine; install one (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile, served(given.model_dir) as (address, server):
        browser = Browser(program, profile, *SCREENS["laptop"][:2])
        try:
            figures = measure(browser, address, server, given.repeats, given.seconds)
            if given.screenshots:
                take_screenshots(browser, address, given.screenshots)
        finally:
            browser.close()
    print(table(figures))
    if given.json:
        write_json(given.json, figures)
    return int(any(missed(figures).values()))


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser("explorer.py", "Measures the explorer's page in headless Chromium.")
    parser.add_argument(
        "--model-dir", type=pathlib.Path, required=True, metavar="MODEL", help="what export/run.py --explore wrote"
    )
    parser.add_argument("--repeats", type=int, default=40, metavar="N", help="moves of a slider (default: 40)")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="S", help="of turning (default: 4)")
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="DIR", help="write pictures of the page there")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures to this file")
    return parser


@contextlib.contextmanager
def served(model_dir: pathlib.Path) -> Iterator[tuple[str, int]]:
    """The page's address and the process of a server that runs meanwhile; InputError where it does not start."""
    command = [sys.executable, str(ROOT / "export" / "serve.py"), "--model-dir", str(model_dir), "--explore"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line.strip())
            found = re.match(r"Explore: (\S+)", line)
            if found:
                yield found.group(1), process.pid
                return
        raise InputError(
            f"--model-dir {model_dir}: the server does not start: {said[-1] if said else 'it says nothing'}"
        )
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measure(browser: Browser, address: str, server: int, repeats: int, seconds: float) -> dict[str, Any]:
    """The figures of the page, by the names of GOALS, and how they came about.

    Processor times are those of the server and of all of the browser's processes together.

    The page is opened three times, as by a new visitor; the median counts.
    """
    browser.send("Network.setCacheDisabled", cacheDisabled=True)
    browser.send("Page.addScriptToEvaluateOnNewDocument", source=NOTE_FIRST_DRAW)
    first, before = [], processor_s(browser.pid, server)
    for _ in range(3):
        browser.open(address)
        browser.wait("window.firstDraw || document.getElementById('message').hidden === false")
        if not browser.run("document.getElementById('message').hidden"):
            raise InputError(f"the page says: {browser.run('document.getElementById(`message`).textContent')}")
        first.append(browser.run("window.firstDraw") / 1000)
    megabytes = browser.run(BYTES) / 1e6
    opened = processor_s(browser.pid, server)
    waits = browser.run(MOVE_SLIDERS.replace("REPEATS", str(repeats)))
    moved = processor_s(browser.pid, server)
    turning = processor_s(browser.pid)
    between = browser.run(TURN.replace("SECONDS", str(seconds)))
    return {
        "first_draw_s": float(np.median(first)),
        "first_draw_processor_s": (opened - before) / len(first),
        "megabytes": megabytes,
        "slider_ms": float(np.median(waits)),
        "slider_ms_90th": float(np.percentile(waits, 90)),
        "slider_processor_ms": 1000 * (moved - opened) / repeats,
        "frames_per_second": 1000 / float(np.mean(between)),
        "frame_processor_ms": 1000 * (processor_s(browser.pid) - turning) / len(between),
        "repeats": repeats,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "errors": browser.errors,
    }


def processor_s(*roots: int) -> float:
    """Processor time so far of processes and of those that they started and that still run."""
    parents, seconds = {}, {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything.
            fields = path.read_text().rpartition(")")[2].split()
            number = int(path.parent.name)
            parents[number], seconds[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    counted, found = set(), set(roots)
    while found:
        counted |= found
        found = {number for number, parent in parents.items() if parent in counted} - counted
    return sum(seconds.get(number, 0) for number in counted) / os.sysconf("SC_CLK_TCK")


def missed(figures: dict[str, Any]) -> dict[str, bool]:
    """By its name whether a goal is missed: frames are to be many, all else little."""
    more = {"frames_per_second"}
    return {name: (figures[name] < goal) if name in more else (figures[name] > goal) for name, goal in GOALS.items()}


def table(figures: dict[str, Any]) -> str:
    """The figures beside their goals, and how busy the machine was."""
    rows = [
        ("first draw, median of 3", f"{figures['first_draw_s']:.2f} s", "2 s"),
        ("its processor time", f"{figures['first_draw_processor_s']:.2f} s", ""),
        ("all that is loaded", f"{figures['megabytes']:.2f} MB", "2 MB"),
        (f"slider to picture, median of {figures['repeats']}", f"{figures['slider_ms']:.0f} ms", "150 ms"),
        ("the same, 90th percentile", f"{figures['slider_ms_90th']:.0f} ms", ""),
        ("its processor time", f"{figures['slider_processor_ms']:.0f} ms", ""),
        ("frames a second while the skeleton turns", f"{figures['frames_per_second']:.0f}", "30"),
        ("a frame's processor time", f"{figures['frame_processor_ms']:.1f} ms", ""),
    ]
    load = f"{figures['cores']} cores, of which {figures['load']:.1f} were asked for on average in the last minute."
    return tabulate(rows, ("figure", "measured", "goal"), disable_numparse=True) + "\n" + load


def take_screenshots(browser: Browser, address: str, folder: pathlib.Path) -> None:
    """PNGs of the page at the widths of a laptop and a phone, light and dark, at first and with all of it in use."""
    folder.mkdir(parents=True, exist_ok=True)
    for screen, (width, height, scale) in SCREENS.items():
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": screen == "phone"}
        browser.send("Emulation.setDeviceMetricsOverride", **size)
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.send("Emulation.setEmulatedMedia", features=features)
            browser.open(address)
            time.sleep(1.0)
            write_screenshot(browser, folder / f"{screen}-{scheme}.png")
            use_the_page(browser)
            write_screenshot(browser, folder / f"{screen}-{scheme}-used.png")
    print(f"Written: {folder}/*.png")


def use_the_page(browser: Browser) -> None:
    """Predicts the example frame, adds a hand to it, and stops within the walk between them."""
    browser.choose_files("file", ROOT / "docs" / "example" / "structured-light.png")
    browser.wait("explorer.walk.stops.length === 1")
    browser.click("reset")
    browser.wait("explorer.coordinates.join() === explorer.space.coordinates(explorer.space.start).join()")
    browser.click("add")
    browser.wait("explorer.walk.steps.length > 2")
    browser.change("place", "10")
    time.sleep(1.0)


def write_screenshot(browser: Browser, path: pathlib.Path) -> None:
    path.write_bytes(base64.b64decode(browser.screenshot()))


if __name__ == "__main__":
    run_command(main)
